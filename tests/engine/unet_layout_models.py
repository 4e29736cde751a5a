"""Tiny U-Nets of Stable Diffusion and their VAE in the original's names, as `layout_models` has other models."""

from __future__ import annotations

from typing import Any

import diffusers
from diffusers.loaders import single_file_utils as converters
from layout_models import LayoutModel, Shapes, linear, norm
from model_files import Tensors

CONTEXT = 24


def conv(name: str, rows: int, columns: int, kernel: int = 3) -> Shapes:
    return {f"{name}.weight": (rows, columns, kernel, kernel), f"{name}.bias": (rows,)}


def resnet(name: str, columns: int, rows: int, embedding: int) -> Shapes:
    shapes = norm(f"{name}.in_layers.0", columns) | conv(f"{name}.in_layers.2", rows, columns)
    shapes |= linear(f"{name}.emb_layers.1", rows, embedding)
    shapes |= norm(f"{name}.out_layers.0", rows) | conv(f"{name}.out_layers.3", rows, rows)
    return shapes | (conv(f"{name}.skip_connection", rows, columns, 1) if rows != columns else {})


def attention(name: str, width: int, depth: int, *, linears: bool) -> Shapes:
    shapes = norm(f"{name}.norm", width)
    for part in ("proj_in", "proj_out"):
        shapes |= linear(f"{name}.{part}", width, width) if linears else conv(f"{name}.{part}", width, width, 1)
    for index in range(depth):
        start = f"{name}.transformer_blocks.{index}"
        for at in (1, 2, 3):
            shapes |= norm(f"{start}.norm{at}", width)
        for inner, columns in (("attn1", width), ("attn2", CONTEXT)):
            shapes |= linear(f"{start}.{inner}.to_q", width, width, bias=False)
            shapes |= linear(f"{start}.{inner}.to_k", width, columns, bias=False)
            shapes |= linear(f"{start}.{inner}.to_v", width, columns, bias=False)
            shapes |= linear(f"{start}.{inner}.to_out.0", width, width)
        shapes |= linear(f"{start}.ff.net.0.proj", 8 * width, width) | linear(f"{start}.ff.net.2", width, 4 * width)
    return shapes


def unet_shapes(widths: tuple[int, ...], depths: tuple[int, ...], layers: int, *, pooled: int, linears: bool) -> Shapes:
    """A U-Net as its original builds it: a depth of 0 is a level without attention, `pooled` the size of a vector."""
    first = widths[0]
    embedding = 4 * first
    shapes = linear("time_embed.0", embedding, first) | linear("time_embed.2", embedding, embedding)
    if pooled:
        shapes |= linear("label_emb.0.0", embedding, pooled) | linear("label_emb.0.2", embedding, embedding)
    shapes |= conv("input_blocks.0.0", first, 4)
    skips, width, at = [first], first, 1
    for level, (wide, depth) in enumerate(zip(widths, depths, strict=True)):
        for _ in range(layers):
            shapes |= resnet(f"input_blocks.{at}.0", width, wide, embedding)
            shapes |= attention(f"input_blocks.{at}.1", wide, depth, linears=linears) if depth else {}
            width, at = wide, at + 1
            skips.append(width)
        if level + 1 < len(widths):
            shapes |= conv(f"input_blocks.{at}.0.op", width, width)
            skips.append(width)
            at += 1
    middle = max(depths[-1], 1)
    shapes |= resnet("middle_block.0", width, width, embedding) | resnet("middle_block.2", width, width, embedding)
    shapes |= attention("middle_block.1", width, middle, linears=linears)
    at = 0
    for level, (wide, depth) in reversed(list(enumerate(zip(widths, depths, strict=True)))):
        for index in range(layers + 1):
            shapes |= resnet(f"output_blocks.{at}.0", width + skips.pop(), wide, embedding)
            shapes |= attention(f"output_blocks.{at}.1", wide, depth, linears=linears) if depth else {}
            width = wide
            if level and index == layers:
                shapes |= conv(f"output_blocks.{at}.{2 if depth else 1}.conv", width, width)
            at += 1
    return shapes | norm("out.0", width) | conv("out.2", 4, width)


def unet(
    family: str, widths: tuple[int, ...], depths: tuple[int, ...], layers: int, *, pooled: int = 0, linears: bool = True
) -> LayoutModel:
    config: dict[str, Any] = {"layers_per_block": layers}
    if pooled:
        config |= {"addition_embed_type": "text_time", "addition_time_embed_dim": 4}
        config["projection_class_embeddings_input_dim"] = pooled

    def convert(native: Tensors) -> Tensors:
        prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in native.items()}
        converted: Tensors = converters.convert_ldm_unet_checkpoint(prefixed, config)
        return converted

    return LayoutModel(
        family, f"{family}_diffusers", unet_shapes(widths, depths, layers, pooled=pooled, linears=linears), convert,
        lambda: diffusers.UNet2DConditionModel(
            sample_size=8, block_out_channels=widths, cross_attention_dim=CONTEXT, attention_head_dim=4,
            norm_num_groups=4, use_linear_projection=linears,
            down_block_types=tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
            up_block_types=tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)),
            transformer_layers_per_block=tuple(max(depth, 1) for depth in depths), **config,
        ),
    )  # fmt: skip


def sd1() -> LayoutModel:
    return unet("sd1", (8, 16, 16, 16), (1, 1, 1, 0), 2, linears=False)


def sd2_of_one_layer() -> LayoutModel:
    """As distilled models are: one block for each level, attention in all of them."""
    return unet("sd1", (8, 16, 16), (1, 1, 1), 1)


def sdxl() -> LayoutModel:
    return unet("sdxl", (8, 16, 16), (0, 2, 3), 2, pooled=36)


def sdxl_refiner() -> LayoutModel:
    """Four levels, attention in the middle ones."""
    return unet("sdxl", (8, 16, 16, 16), (0, 1, 1, 0), 2, pooled=20)


def vae_block(name: str, columns: int, rows: int) -> Shapes:
    shapes = norm(f"{name}.norm1", columns) | conv(f"{name}.conv1", rows, columns)
    shapes |= norm(f"{name}.norm2", rows) | conv(f"{name}.conv2", rows, rows)
    return shapes | (conv(f"{name}.nin_shortcut", rows, columns, 1) if rows != columns else {})


def vae() -> LayoutModel:
    """Three levels, so that the decoder's numbers run the other way."""
    widths = (8, 16, 24)
    shapes = conv("encoder.conv_in", 8, 3) | conv("decoder.conv_in", 24, 4)
    width = 8
    for level, wide in enumerate(widths):
        shapes |= vae_block(f"encoder.down.{level}.block.0", width, wide)
        width = wide
        if level < 2:
            shapes |= conv(f"encoder.down.{level}.downsample.conv", width, width)
    for level, wide in reversed(list(enumerate(widths))):
        shapes |= vae_block(f"decoder.up.{level}.block.0", width, wide)
        shapes |= vae_block(f"decoder.up.{level}.block.1", wide, wide)
        width = wide
        if level:
            shapes |= conv(f"decoder.up.{level}.upsample.conv", width, width)
    for half in ("encoder", "decoder"):
        shapes |= vae_block(f"{half}.mid.block_1", 24, 24) | vae_block(f"{half}.mid.block_2", 24, 24)
        shapes |= norm(f"{half}.mid.attn_1.norm", 24)
        for part in ("q", "k", "v", "proj_out"):
            shapes |= conv(f"{half}.mid.attn_1.{part}", 24, 24, 1)
    shapes |= norm("encoder.norm_out", 24) | conv("encoder.conv_out", 8, 24)
    shapes |= norm("decoder.norm_out", 8) | conv("decoder.conv_out", 3, 8)
    shapes |= conv("quant_conv", 8, 8, 1) | conv("post_quant_conv", 4, 4, 1)
    types = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    return LayoutModel(
        "generic", "vae_diffusers", shapes,
        lambda native: converters.convert_ldm_vae_checkpoint(
            {f"first_stage_model.{name}": tensor for name, tensor in native.items()}, types
        ),
        lambda: diffusers.AutoencoderKL(block_out_channels=widths, norm_num_groups=4, **types),
    )  # fmt: skip
