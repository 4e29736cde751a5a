"""Tiny models under their native names, diffusers' own converters for them, and diffusers' models that take the result.

The native names and shapes are written down here, from the programs that publish them. Nothing of the program is used:
that a converted state dict loads strictly proves the names right and complete. Some converters hold the widths of the
real models as constants, which are replaced by those of the tiny ones.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
from diffusers.loaders import single_file_utils as converters
from model_files import Tensors

Shapes = dict[str, tuple[int, ...]]
WIDTH, HEAD, TEXT = 48, 16, 20


@dataclass(frozen=True)
class LayoutModel:
    """One model in two layouts.

    Attributes:
        family: its key.
        layout: key of the layout of diffusers' names.
        shapes: of all tensors under the native names.
        convert: from the native names to diffusers'.
        build: diffusers' model.
        unused: native tensors that diffusers drops.
        native_layout: key of the layout of the native names where those are not the canonical ones.
    """

    family: str
    layout: str
    shapes: Shapes
    convert: Callable[[Tensors], Tensors]
    build: Callable[[], torch.nn.Module]
    unused: frozenset[str] = field(default_factory=frozenset)
    native_layout: str = "native"

    def native(self, seed: int) -> Tensors:
        """Random numbers under the native names, no two alike."""
        random = torch.Generator().manual_seed(seed)
        return {name: torch.randn(shape, generator=random) for name, shape in self.shapes.items()}

    def converted(self, native: Tensors) -> Tensors:
        """The same model under diffusers' names."""
        return {name: tensor.clone() for name, tensor in self.convert(dict(native)).items()}


def with_sizes(converter: Callable[..., Any], sizes: dict[int, int]) -> Callable[..., Tensors]:
    """A converter with other constants, those of the functions inside it included."""

    def resized(constant: Any) -> Any:
        if isinstance(constant, types.CodeType):
            return replaced(constant)
        if isinstance(constant, tuple):
            return tuple(map(resized, constant))
        return sizes.get(constant, constant) if type(constant) is int else constant

    def replaced(code: types.CodeType) -> types.CodeType:
        return code.replace(co_consts=tuple(map(resized, code.co_consts)))

    return types.FunctionType(replaced(converter.__code__), converter.__globals__)


def linear(name: str, rows: int, columns: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (rows, columns), **({f"{name}.bias": (rows,)} if bias else {})}


def norm(name: str, width: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (width,), **({f"{name}.bias": (width,)} if bias else {})}


def mlp(name: str, columns: int, width: int, parts: Iterable[str], *, bias: bool = True) -> Shapes:
    first, second = parts
    found = linear(f"{name}.{first}", width, columns, bias=bias)
    return found | linear(f"{name}.{second}", width, width, bias=bias)


def flux_blocks(*, modulated: bool, bias: bool = True, gated: bool = False, ratio: int = 4) -> Shapes:
    """Two double blocks and one single block, as Black Forest Labs name them."""
    shapes: Shapes = {}
    wide = ratio * WIDTH
    for index in range(2):
        for stream in ("img", "txt"):
            start = f"double_blocks.{index}.{stream}"
            if modulated:
                shapes |= linear(f"{start}_mod.lin", 6 * WIDTH, WIDTH)
            shapes |= linear(f"{start}_attn.qkv", 3 * WIDTH, WIDTH, bias=bias)
            shapes |= {f"{start}_attn.norm.{part}_norm.scale": (HEAD,) for part in ("query", "key")}
            shapes |= linear(f"{start}_attn.proj", WIDTH, WIDTH, bias=bias)
            shapes |= linear(f"{start}_mlp.0", wide * (2 if gated else 1), WIDTH, bias=bias)
            shapes |= linear(f"{start}_mlp.2", WIDTH, wide, bias=bias)
    shapes |= linear("single_blocks.0.linear1", 3 * WIDTH + wide * (2 if gated else 1), WIDTH, bias=bias)
    shapes |= linear("single_blocks.0.linear2", WIDTH, WIDTH + wide, bias=bias)
    shapes |= {f"single_blocks.0.norm.{part}_norm.scale": (HEAD,) for part in ("query", "key")}
    return shapes | (linear("single_blocks.0.modulation.lin", 3 * WIDTH, WIDTH) if modulated else {})


def flux() -> LayoutModel:
    shapes = linear("img_in", WIDTH, 8) | linear("txt_in", WIDTH, TEXT)
    for name, columns in (("time_in", 256), ("vector_in", 12), ("guidance_in", 256)):
        shapes |= mlp(name, columns, WIDTH, ("in_layer", "out_layer"))
    shapes |= flux_blocks(modulated=True)
    shapes |= linear("final_layer.adaLN_modulation.1", 2 * WIDTH, WIDTH) | linear("final_layer.linear", 8, WIDTH)
    return LayoutModel(
        "flux", "flux_diffusers", shapes,
        with_sizes(converters.convert_flux_transformer_checkpoint_to_diffusers, {3072: WIDTH}),
        lambda: diffusers.FluxTransformer2DModel(
            patch_size=1, in_channels=8, num_layers=2, num_single_layers=1, attention_head_dim=HEAD,
            num_attention_heads=3, joint_attention_dim=TEXT, pooled_projection_dim=12, guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ),
    )  # fmt: skip


def chroma() -> LayoutModel:
    guide = "distilled_guidance_layer"
    shapes = linear("img_in", WIDTH, 8) | linear("txt_in", WIDTH, TEXT)
    shapes |= linear(f"{guide}.in_proj", 20, 8) | linear(f"{guide}.out_proj", WIDTH, 20)
    for index in range(2):
        shapes |= mlp(f"{guide}.layers.{index}", 20, 20, ("in_layer", "out_layer"))
        shapes[f"{guide}.norms.{index}.scale"] = (20,)
    shapes |= flux_blocks(modulated=False) | linear("final_layer.linear", 8, WIDTH)
    return LayoutModel(
        "chroma", "chroma_diffusers", shapes,
        with_sizes(converters.convert_chroma_transformer_checkpoint_to_diffusers, {3072: WIDTH}),
        lambda: diffusers.ChromaTransformer2DModel(
            patch_size=1, in_channels=8, num_layers=2, num_single_layers=1, attention_head_dim=HEAD,
            num_attention_heads=3, joint_attention_dim=TEXT, axes_dims_rope=(4, 6, 6), approximator_num_channels=8,
            approximator_hidden_dim=20, approximator_layers=2,
        ),
    )  # fmt: skip


def flux2() -> LayoutModel:
    shapes = linear("img_in", WIDTH, 8, bias=False) | linear("txt_in", WIDTH, TEXT, bias=False)
    for name in ("time_in", "guidance_in"):
        shapes |= mlp(name, 16, WIDTH, ("in_layer", "out_layer"), bias=False)
    for name, parts in (
        ("double_stream_modulation_img", 6),
        ("double_stream_modulation_txt", 6),
        ("single_stream_modulation", 3),
    ):
        shapes |= linear(f"{name}.lin", parts * WIDTH, WIDTH, bias=False)
    shapes |= flux_blocks(modulated=False, bias=False, gated=True, ratio=3)
    shapes |= linear("final_layer.adaLN_modulation.1", 2 * WIDTH, WIDTH, bias=False)
    shapes |= linear("final_layer.linear", 8, WIDTH, bias=False)
    return LayoutModel(
        "flux2", "flux2_diffusers", shapes, converters.convert_flux2_transformer_checkpoint_to_diffusers,
        lambda: diffusers.Flux2Transformer2DModel(
            patch_size=1, in_channels=8, num_layers=2, num_single_layers=1, attention_head_dim=HEAD,
            num_attention_heads=3, joint_attention_dim=TEXT, timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
        ),
    )  # fmt: skip


def hunyuan_video() -> LayoutModel:
    """Under Tencent's names, which diffusers' converter takes."""
    shapes: Shapes = {"img_in.proj.weight": (WIDTH, 4, 1, 2, 2), "img_in.proj.bias": (WIDTH,)}
    shapes |= mlp("time_in", 256, WIDTH, ("mlp.0", "mlp.2")) | mlp("guidance_in", 256, WIDTH, ("mlp.0", "mlp.2"))
    shapes |= mlp("vector_in", 12, WIDTH, ("in_layer", "out_layer"))
    shapes |= mlp("txt_in.t_embedder", 256, WIDTH, ("mlp.0", "mlp.2"))
    shapes |= mlp("txt_in.c_embedder", TEXT, WIDTH, ("linear_1", "linear_2"))
    shapes |= linear("txt_in.input_embedder", WIDTH, TEXT)
    start = "txt_in.individual_token_refiner.blocks.0"
    shapes |= norm(f"{start}.norm1", WIDTH) | norm(f"{start}.norm2", WIDTH)
    shapes |= linear(f"{start}.self_attn_qkv", 3 * WIDTH, WIDTH) | linear(f"{start}.self_attn_proj", WIDTH, WIDTH)
    shapes |= linear(f"{start}.mlp.fc1", 4 * WIDTH, WIDTH) | linear(f"{start}.mlp.fc2", WIDTH, 4 * WIDTH)
    shapes |= linear(f"{start}.adaLN_modulation.1", 2 * WIDTH, WIDTH)
    for stream in ("img", "txt"):
        start = f"double_blocks.0.{stream}"
        shapes |= linear(f"{start}_mod.linear", 6 * WIDTH, WIDTH) | linear(f"{start}_attn_qkv", 3 * WIDTH, WIDTH)
        shapes |= {f"{start}_attn_{part}_norm.weight": (HEAD,) for part in "qk"}
        shapes |= linear(f"{start}_attn_proj", WIDTH, WIDTH)
        shapes |= linear(f"{start}_mlp.fc1", 4 * WIDTH, WIDTH) | linear(f"{start}_mlp.fc2", WIDTH, 4 * WIDTH)
    shapes |= linear("single_blocks.0.linear1", 7 * WIDTH, WIDTH) | linear("single_blocks.0.linear2", WIDTH, 5 * WIDTH)
    shapes |= {f"single_blocks.0.{part}_norm.weight": (HEAD,) for part in "qk"}
    shapes |= linear("single_blocks.0.modulation.linear", 3 * WIDTH, WIDTH)
    shapes |= linear("final_layer.adaLN_modulation.1", 2 * WIDTH, WIDTH) | linear("final_layer.linear", 16, WIDTH)
    return LayoutModel(
        "hunyuan_video", "hunyuan_video_diffusers", shapes,
        with_sizes(converters.convert_hunyuan_video_transformer_to_diffusers, {3072: WIDTH}),
        lambda: diffusers.HunyuanVideoTransformer3DModel(
            in_channels=4, out_channels=4, num_attention_heads=3, attention_head_dim=HEAD, num_layers=1,
            num_single_layers=1, num_refiner_layers=1, text_embed_dim=TEXT, pooled_projection_dim=12,
            rope_axes_dim=(4, 6, 6),
        ),
        native_layout="hunyuan_video_tencent",
    )  # fmt: skip


def wan_block(name: str, width: int, *, image: bool) -> Shapes:
    shapes: Shapes = {f"{name}.modulation": (1, 6, width)}
    for attention in ("self_attn", "cross_attn"):
        for part in "qkvo":
            shapes |= linear(f"{name}.{attention}.{part}", width, width)
        shapes |= {f"{name}.{attention}.norm_{part}.weight": (width,) for part in "qk"}
    if image:
        shapes |= linear(f"{name}.cross_attn.k_img", width, width) | linear(f"{name}.cross_attn.v_img", width, width)
        shapes[f"{name}.cross_attn.norm_k_img.weight"] = (width,)
    shapes |= norm(f"{name}.norm3", width)
    return shapes | linear(f"{name}.ffn.0", 40, width) | linear(f"{name}.ffn.2", width, 40)


def wan_around(width: int, channels: int) -> Shapes:
    shapes: Shapes = {"patch_embedding.weight": (width, channels, 1, 2, 2), "patch_embedding.bias": (width,)}
    shapes |= mlp("time_embedding", 32, width, "02") | mlp("text_embedding", 16, width, "02")
    shapes |= linear("time_projection.1", 6 * width, width) | linear("head.head", 16, width)
    return shapes | {"head.modulation": (1, 2, width)}


def wan() -> LayoutModel:
    """Image to video, whose attention has keys and values of an image."""
    shapes = wan_around(24, 6) | wan_block("blocks.0", 24, image=True) | wan_block("blocks.1", 24, image=True)
    shapes |= norm("img_emb.proj.0", 10) | linear("img_emb.proj.1", 10, 10)
    shapes |= linear("img_emb.proj.3", 24, 10) | norm("img_emb.proj.4", 24)
    return LayoutModel(
        "wan", "wan_diffusers", shapes, converters.convert_wan_transformer_to_diffusers,
        lambda: diffusers.WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, in_channels=6, out_channels=4, text_dim=16, freq_dim=32,
            ffn_dim=40, num_layers=2, image_dim=10, added_kv_proj_dim=24, rope_max_seq_len=16,
        ),
    )  # fmt: skip


def wan_vace() -> LayoutModel:
    shapes = wan_around(24, 4) | wan_block("blocks.0", 24, image=False)
    shapes |= wan_block("vace_blocks.0", 24, image=False)
    shapes |= linear("vace_blocks.0.before_proj", 24, 24) | linear("vace_blocks.0.after_proj", 24, 24)
    shapes |= {"vace_patch_embedding.weight": (24, 6, 1, 2, 2), "vace_patch_embedding.bias": (24,)}
    return LayoutModel(
        "wan", "wan_diffusers", shapes, converters.convert_wan_transformer_to_diffusers,
        lambda: diffusers.WanVACETransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=32,
            ffn_dim=40, num_layers=1, rope_max_seq_len=16, vace_layers=[0], vace_in_channels=6,
        ),
    )  # fmt: skip


def ltx() -> LayoutModel:
    shapes = linear("patchify_proj", 24, 8) | linear("proj_out", 8, 24) | {"scale_shift_table": (2, 24)}
    shapes |= mlp("adaln_single.emb.timestep_embedder", 256, 24, ("linear_1", "linear_2"))
    shapes |= linear("adaln_single.linear", 6 * 24, 24) | mlp("caption_projection", 20, 24, ("linear_1", "linear_2"))
    for index in range(2):
        start = f"transformer_blocks.{index}"
        shapes[f"{start}.scale_shift_table"] = (6, 24)
        for attention in ("attn1", "attn2"):
            for part in ("to_q", "to_k", "to_v", "to_out.0"):
                shapes |= linear(f"{start}.{attention}.{part}", 24, 24)
            shapes |= {f"{start}.{attention}.{part}_norm.weight": (24,) for part in "qk"}
        shapes |= linear(f"{start}.ff.net.0.proj", 96, 24) | linear(f"{start}.ff.net.2", 24, 96)
    return LayoutModel(
        "ltx", "ltx_diffusers", shapes, converters.convert_ltx_transformer_checkpoint_to_diffusers,
        lambda: diffusers.LTXVideoTransformer3DModel(
            in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=12, cross_attention_dim=24,
            num_layers=2, caption_channels=20,
        ),
    )  # fmt: skip


def ltx2() -> LayoutModel:
    """Video of width 24 and audio of width 12, with attention from either to the other."""
    shapes: Shapes = {"scale_shift_table": (2, 24), "audio_scale_shift_table": (2, 12)}
    for start, width in (("", 24), ("audio_", 12)):
        shapes |= linear(f"{start}patchify_proj", width, 8) | linear(f"{start}proj_out", 8, width)
        shapes |= mlp(f"{start}caption_projection", 20, width, ("linear_1", "linear_2"))
    modulations = (
        ("adaln_single", 24, 6), ("audio_adaln_single", 12, 6), ("av_ca_video_scale_shift_adaln_single", 24, 4),
        ("av_ca_audio_scale_shift_adaln_single", 12, 4), ("av_ca_a2v_gate_adaln_single", 24, 1),
        ("av_ca_v2a_gate_adaln_single", 12, 1),
    )  # fmt: skip
    for name, width, parts in modulations:
        shapes |= mlp(f"{name}.emb.timestep_embedder", 256, width, ("linear_1", "linear_2"))
        shapes |= linear(f"{name}.linear", parts * width, width)
    start = "transformer_blocks.0"
    for name, width, parts in (
        ("scale_shift_table", 24, 6),
        ("audio_scale_shift_table", 12, 6),
        ("scale_shift_table_a2v_ca_video", 24, 5),
        ("scale_shift_table_a2v_ca_audio", 12, 5),
    ):
        shapes[f"{start}.{name}"] = (parts, width)
    attention = (
        # name, width of queries, of keys and values, inside
        ("attn1", 24, 24, 24), ("attn2", 24, 24, 24), ("audio_attn1", 12, 12, 12), ("audio_attn2", 12, 12, 12),
        ("audio_to_video_attn", 24, 12, 12), ("video_to_audio_attn", 12, 24, 12),
    )  # fmt: skip
    for name, queries, keys, inner in attention:
        shapes |= linear(f"{start}.{name}.to_q", inner, queries) | linear(f"{start}.{name}.to_out.0", queries, inner)
        shapes |= linear(f"{start}.{name}.to_k", inner, keys) | linear(f"{start}.{name}.to_v", inner, keys)
        shapes |= {f"{start}.{name}.{part}_norm.weight": (inner,) for part in "qk"}
    for name, width in (("ff", 24), ("audio_ff", 12)):
        shapes |= linear(f"{start}.{name}.net.0.proj", 4 * width, width)
        shapes |= linear(f"{start}.{name}.net.2", width, 4 * width)
    return LayoutModel(
        "ltx2", "ltx2_diffusers", shapes, converters.convert_ltx2_transformer_to_diffusers,
        lambda: diffusers.LTX2VideoTransformer3DModel(
            in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=12, cross_attention_dim=24,
            audio_in_channels=8, audio_out_channels=8, audio_num_attention_heads=2, audio_attention_head_dim=6,
            audio_cross_attention_dim=12, num_layers=1, caption_channels=20,
        ),
    )  # fmt: skip


def sd3() -> LayoutModel:
    """SD 3.5: norms of queries and keys, and a second attention in the first block."""
    shapes: Shapes = {"pos_embed": (1, 64, 24), "x_embedder.proj.weight": (24, 4, 2, 2), "x_embedder.proj.bias": (24,)}
    shapes |= mlp("t_embedder", 256, 24, ("mlp.0", "mlp.2")) | mlp("y_embedder", 12, 24, ("mlp.0", "mlp.2"))
    shapes |= linear("context_embedder", 24, TEXT)
    for index in range(3):
        for block in ("x_block", "context_block"):
            start, last = f"joint_blocks.{index}.{block}", index == 2 and block == "context_block"
            dual = index == 0 and block == "x_block"
            shapes |= linear(f"{start}.adaLN_modulation.1", (2 if last else 9 if dual else 6) * 24, 24)
            for attention in ("attn", "attn2") if dual else ("attn",):
                shapes |= linear(f"{start}.{attention}.qkv", 72, 24)
                shapes |= {f"{start}.{attention}.ln_{part}.weight": (8,) for part in "qk"}
                shapes |= {} if last else linear(f"{start}.{attention}.proj", 24, 24)
            if not last:
                shapes |= linear(f"{start}.mlp.fc1", 96, 24) | linear(f"{start}.mlp.fc2", 24, 96)
    shapes |= linear("final_layer.adaLN_modulation.1", 48, 24) | linear("final_layer.linear", 16, 24)
    return LayoutModel(
        "sd3", "sd3_diffusers", shapes, converters.convert_sd3_transformer_checkpoint_to_diffusers,
        lambda: diffusers.SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, num_layers=3, attention_head_dim=8, num_attention_heads=3,
            joint_attention_dim=TEXT, caption_projection_dim=24, pooled_projection_dim=12, out_channels=4,
            pos_embed_max_size=8, dual_attention_layers=(0,), qk_norm="rms_norm",
        ),
    )  # fmt: skip


def auraflow() -> LayoutModel:
    shapes: Shapes = {"register_tokens": (1, 8, 24), "positional_encoding": (1, 16, 24)}
    shapes |= linear("init_x_linear", 24, 16) | linear("cond_seq_linear", 24, TEXT, bias=False)
    shapes |= mlp("t_embedder", 256, 24, ("mlp.0", "mlp.2"))
    shapes |= linear("modF.1", 48, 24, bias=False) | linear("final_linear", 16, 24, bias=False)

    def block(start: str, attention: Iterable[str], feed: Iterable[str], modulation: Iterable[str]) -> None:
        for part in attention:
            shapes.update(linear(f"{start}.attn.{part}", 24, 24, bias=False))
        for name in feed:
            for part, rows, columns in (("c_fc1", 256, 24), ("c_fc2", 256, 24), ("c_proj", 24, 256)):
                shapes.update(linear(f"{start}.{name}.{part}", rows, columns, bias=False))
        for name in modulation:
            shapes.update(linear(f"{start}.{name}.1", 144, 24, bias=False))

    block("double_layers.0", (f"w{side}{part}" for side in "12" for part in "qkvo"), ("mlpX", "mlpC"), ("modX", "modC"))
    block("single_layers.0", (f"w1{part}" for part in "qkvo"), ("mlp",), ("modCX",))
    return LayoutModel(
        "auraflow", "auraflow_diffusers", shapes, converters.convert_auraflow_transformer_checkpoint_to_diffusers,
        lambda: diffusers.AuraFlowTransformer2DModel(
            sample_size=8, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=12, num_attention_heads=2,
            joint_attention_dim=TEXT, caption_projection_dim=24, pos_embed_max_size=16,
        ),
    )  # fmt: skip


LUMINA_STACKS = ("layers", "noise_refiner", "context_refiner")


def lumina2() -> LayoutModel:
    """Two heads of keys and values for four of queries, so that the parts of the fused attention differ in size."""
    shapes = linear("x_embedder", 24, 16) | mlp("t_embedder", 256, 24, ("mlp.0", "mlp.2"))
    shapes |= norm("cap_embedder.0", TEXT, bias=False) | linear("cap_embedder.1", 24, TEXT)
    for stack in LUMINA_STACKS:
        start = f"{stack}.0"
        shapes |= linear(f"{start}.attention.qkv", 48, 24, bias=False)
        shapes |= linear(f"{start}.attention.out", 24, 24, bias=False)
        shapes |= {f"{start}.attention.{part}_norm.weight": (6,) for part in "qk"}
        for part, rows, columns in ((1, 96, 24), (2, 24, 96), (3, 96, 24)):
            shapes |= linear(f"{start}.feed_forward.w{part}", rows, columns, bias=False)
        for name in ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"):
            shapes |= norm(f"{start}.{name}", 24, bias=False)
        shapes |= {} if stack == "context_refiner" else linear(f"{start}.adaLN_modulation.1", 96, 24)
    shapes |= linear("final_layer.adaLN_modulation.1", 24, 24) | linear("final_layer.linear", 16, 24)
    return LayoutModel(
        "lumina2", "lumina2_diffusers", shapes | {"norm_final.weight": (24,)},
        with_sizes(converters.convert_lumina2_to_diffusers, {2304: 24, 768: 12}),
        lambda: diffusers.Lumina2Transformer2DModel(
            sample_size=8, in_channels=4, hidden_size=24, num_layers=1, num_refiner_layers=1, num_attention_heads=4,
            num_kv_heads=2, multiple_of=8, axes_dim_rope=(2, 2, 2), axes_lens=(8, 8, 8), cap_feat_dim=TEXT,
        ),
        unused=frozenset({"norm_final.weight"}),
    )  # fmt: skip


def z_image() -> LayoutModel:
    shapes = linear("x_embedder", 24, 16) | {"x_pad_token": (1, 24), "cap_pad_token": (1, 24)}
    shapes |= linear("t_embedder.mlp.0", 1024, 256) | linear("t_embedder.mlp.2", 24, 1024)
    shapes |= norm("cap_embedder.0", TEXT, bias=False) | linear("cap_embedder.1", 24, TEXT)
    for stack in LUMINA_STACKS:
        start = f"{stack}.0"
        shapes |= linear(f"{start}.attention.qkv", 72, 24, bias=False)
        shapes |= linear(f"{start}.attention.out", 24, 24, bias=False)
        shapes |= {f"{start}.attention.{part}_norm.weight": (12,) for part in "qk"}
        for part, rows, columns in ((1, 64, 24), (2, 24, 64), (3, 64, 24)):
            shapes |= linear(f"{start}.feed_forward.w{part}", rows, columns, bias=False)
        for name in ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"):
            shapes |= norm(f"{start}.{name}", 24, bias=False)
        shapes |= {} if stack == "context_refiner" else linear(f"{start}.adaLN_modulation.0", 96, 24)
    shapes |= linear("final_layer.adaLN_modulation.1", 24, 24) | linear("final_layer.linear", 16, 24)
    return LayoutModel(
        "z_image", "z_image_diffusers", shapes | {"norm_final.weight": (24,)},
        converters.convert_z_image_transformer_checkpoint_to_diffusers,
        lambda: diffusers.ZImageTransformer2DModel(
            in_channels=4, dim=24, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=TEXT,
            axes_dims=[4, 4, 4], axes_lens=[64, 8, 8],
        ),
        unused=frozenset({"norm_final.weight"}),
    )  # fmt: skip
