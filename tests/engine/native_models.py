"""Tiny diffusers models and their state dicts under the names that ComfyUI's files have.

Each mapping here is the inverse of diffusers' own single-file converter; `back` runs that converter, so that
the tests can prove the mapping right before they rely on it.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel, WanTransformer3DModel
from diffusers.loaders import single_file_utils

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class NativeModel:
    """One architecture: how to build it small, its native names, diffusers' way back, and an input for it."""

    build: Callable[[], torch.nn.Module]
    native: Callable[[Tensors], Tensors]
    back: Callable[[Tensors], Tensors]
    inputs: Callable[[], dict[str, Any]]


FLUX_WIDTH = 48


def _flux() -> torch.nn.Module:
    return FluxTransformer2DModel(
        patch_size=1, in_channels=8, num_layers=2, num_single_layers=2, attention_head_dim=16,
        num_attention_heads=3, joint_attention_dim=20, pooled_projection_dim=12, guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )  # fmt: skip


def _flux_native(state: Tensors) -> Tensors:
    native: Tensors = {}

    def move(ours: str, *theirs: str) -> None:
        for kind in ("weight", "bias"):
            native[f"{ours}.{kind}"] = torch.cat([state[f"{name}.{kind}"] for name in theirs])

    for ours, theirs in (("time_in", "timestep"), ("vector_in", "text"), ("guidance_in", "guidance")):
        move(f"{ours}.in_layer", f"time_text_embed.{theirs}_embedder.linear_1")
        move(f"{ours}.out_layer", f"time_text_embed.{theirs}_embedder.linear_2")
    move("txt_in", "context_embedder")
    move("img_in", "x_embedder")
    for index in range(2):
        ours, theirs = f"double_blocks.{index}", f"transformer_blocks.{index}"
        move(f"{ours}.img_mod.lin", f"{theirs}.norm1.linear")
        move(f"{ours}.txt_mod.lin", f"{theirs}.norm1_context.linear")
        move(f"{ours}.img_attn.qkv", *(f"{theirs}.attn.to_{part}" for part in "qkv"))
        move(f"{ours}.txt_attn.qkv", *(f"{theirs}.attn.add_{part}_proj" for part in "qkv"))
        move(f"{ours}.img_attn.proj", f"{theirs}.attn.to_out.0")
        move(f"{ours}.txt_attn.proj", f"{theirs}.attn.to_add_out")
        for side, ff, norm in (("img", "ff", "norm"), ("txt", "ff_context", "norm_added")):
            move(f"{ours}.{side}_mlp.0", f"{theirs}.{ff}.net.0.proj")
            move(f"{ours}.{side}_mlp.2", f"{theirs}.{ff}.net.2")
            native[f"{ours}.{side}_attn.norm.query_norm.scale"] = state[f"{theirs}.attn.{norm}_q.weight"]
            native[f"{ours}.{side}_attn.norm.key_norm.scale"] = state[f"{theirs}.attn.{norm}_k.weight"]
        ours, theirs = f"single_blocks.{index}", f"single_transformer_blocks.{index}"
        move(f"{ours}.modulation.lin", f"{theirs}.norm.linear")
        move(f"{ours}.linear1", *(f"{theirs}.attn.to_{part}" for part in "qkv"), f"{theirs}.proj_mlp")
        move(f"{ours}.linear2", f"{theirs}.proj_out")
        native[f"{ours}.norm.query_norm.scale"] = state[f"{theirs}.attn.norm_q.weight"]
        native[f"{ours}.norm.key_norm.scale"] = state[f"{theirs}.attn.norm_k.weight"]
    move("final_layer.linear", "proj_out")
    for kind in ("weight", "bias"):  # diffusers has scale before shift here, the original shift before scale
        scale, shift = state[f"norm_out.linear.{kind}"].chunk(2)
        native[f"final_layer.adaLN_modulation.1.{kind}"] = torch.cat([shift, scale])
    return native


def _flux_back(native: Tensors) -> Tensors:
    """diffusers' converter, with its one constant for the width of the real model set to the tiny one's."""
    converter = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers
    constants = tuple(FLUX_WIDTH if constant == 3072 else constant for constant in converter.__code__.co_consts)
    code = converter.__code__.replace(co_consts=constants)
    converted: Tensors = types.FunctionType(code, converter.__globals__)(dict(native))
    return converted


def _flux_inputs() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    return {
        "hidden_states": torch.randn(1, 4, 8, generator=generator),
        "encoder_hidden_states": torch.randn(1, 3, 20, generator=generator),
        "pooled_projections": torch.randn(1, 12, generator=generator),
        "timestep": torch.tensor([0.5]),
        "guidance": torch.tensor([3.5]),
        "img_ids": torch.zeros(4, 3),
        "txt_ids": torch.zeros(3, 3),
    }


WAN_NAMES = (
    # native, diffusers; the order matters
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
    ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
    ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
    ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
    ("norm3.", "norm2."),
    ("cross_attn", "attn2"),
    ("self_attn", "attn1"),
    (".o.", ".to_out.0."),
    (".q.", ".to_q."),
    (".k.", ".to_k."),
    (".v.", ".to_v."),
    (".k_img.", ".add_k_proj."),
    (".v_img.", ".add_v_proj."),
    (".norm_k_img.", ".norm_added_k."),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
    ("head.head", "proj_out"),
)


def _wan() -> torch.nn.Module:
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=6, out_channels=4,
        text_dim=16, freq_dim=32, ffn_dim=40, num_layers=3, cross_attn_norm=True, image_dim=10,
        added_kv_proj_dim=24, rope_max_seq_len=16,
    )  # fmt: skip


def _wan_native(state: Tensors) -> Tensors:
    native: Tensors = {}
    for theirs, tensor in state.items():
        if theirs.endswith("scale_shift_table"):
            native["head.modulation" if theirs[0] == "s" else theirs.replace("scale_shift_table", "modulation")] = (
                tensor
            )
            continue
        ours = theirs
        for new, old in WAN_NAMES:
            ours = ours.replace(old, new)
        native[ours] = tensor
    return native


def _wan_back(native: Tensors) -> Tensors:
    converted: Tensors = single_file_utils.convert_wan_transformer_to_diffusers(dict(native))
    return converted


def _wan_inputs() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    return {
        "hidden_states": torch.randn(1, 6, 1, 4, 4, generator=generator),
        "timestep": torch.tensor([300]),
        "encoder_hidden_states": torch.randn(1, 5, 16, generator=generator),
        "encoder_hidden_states_image": torch.randn(1, 3, 10, generator=generator),
    }


def _sdxl() -> torch.nn.Module:
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=2, block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=24, transformer_layers_per_block=(1, 2), attention_head_dim=(2, 4), norm_num_groups=8,
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=36,
    )  # fmt: skip


SDXL_PARTS = (
    ("down_blocks.0.resnets.0", "input_blocks.1.0"), ("down_blocks.0.resnets.1", "input_blocks.2.0"),
    ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"),
    ("down_blocks.1.resnets.0", "input_blocks.4.0"), ("down_blocks.1.attentions.0", "input_blocks.4.1"),
    ("down_blocks.1.resnets.1", "input_blocks.5.0"), ("down_blocks.1.attentions.1", "input_blocks.5.1"),
    ("mid_block.resnets.0", "middle_block.0"), ("mid_block.attentions.0", "middle_block.1"),
    ("mid_block.resnets.1", "middle_block.2"),
    ("up_blocks.0.resnets.0", "output_blocks.0.0"), ("up_blocks.0.attentions.0", "output_blocks.0.1"),
    ("up_blocks.0.resnets.1", "output_blocks.1.0"), ("up_blocks.0.attentions.1", "output_blocks.1.1"),
    ("up_blocks.0.resnets.2", "output_blocks.2.0"), ("up_blocks.0.attentions.2", "output_blocks.2.1"),
    ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.2.conv"),
    ("up_blocks.1.resnets.0", "output_blocks.3.0"), ("up_blocks.1.resnets.1", "output_blocks.4.0"),
    ("up_blocks.1.resnets.2", "output_blocks.5.0"),
    ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"), ("add_embedding.linear_2", "label_emb.0.2"),
    ("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2"),
)  # fmt: skip
SDXL_RESNET = (
    (".norm1.", ".in_layers.0."), (".conv1.", ".in_layers.2."), (".norm2.", ".out_layers.0."),
    (".conv2.", ".out_layers.3."), (".time_emb_proj.", ".emb_layers.1."), (".conv_shortcut.", ".skip_connection."),
)  # fmt: skip


def _sdxl_native(state: Tensors) -> Tensors:
    native: Tensors = {}
    for theirs, tensor in state.items():
        start, ours = next((old, new) for old, new in SDXL_PARTS if theirs.startswith(old + "."))
        rest = theirs[len(start) :]
        for old, new in SDXL_RESNET if ".resnets." in theirs else ():
            rest = rest.replace(old, new)
        native[ours + rest] = tensor
    return native


def _sdxl_back(native: Tensors) -> Tensors:
    prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in native.items()}
    config = {"layers_per_block": 2, "addition_embed_type": "text_time"}
    converted: Tensors = single_file_utils.convert_ldm_unet_checkpoint(prefixed, config)
    return converted


def _sdxl_inputs() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    return {
        "sample": torch.randn(1, 4, 8, 8, generator=generator),
        "timestep": torch.tensor([300]),
        "encoder_hidden_states": torch.randn(1, 5, 24, generator=generator),
        "added_cond_kwargs": {
            "text_embeds": torch.randn(1, 12, generator=generator),
            "time_ids": torch.randn(1, 6, generator=generator),
        },
    }


NATIVE_MODELS = {
    "flux": NativeModel(_flux, _flux_native, _flux_back, _flux_inputs),
    "wan": NativeModel(_wan, _wan_native, _wan_back, _wan_inputs),
    "sdxl": NativeModel(_sdxl, _sdxl_native, _sdxl_back, _sdxl_inputs),
}


def state_of(family: str, seed: int) -> Tensors:
    """A random state dict of the tiny model, every value non-zero, under diffusers' names."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = NATIVE_MODELS[family].build()
        return {name: tensor + 0.02 * torch.randn_like(tensor) for name, tensor in model.state_dict().items()}
