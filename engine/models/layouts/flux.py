"""The Flux family and its relatives: two streams of blocks, then one, with attention fused in the original's names."""

from __future__ import annotations

from engine.models.layouts.layout import Layout, Rename, Row, Swap, fused, renamed

_SINGLE_FILE = "diffusers 0.42, loaders/single_file_utils.py, "
_COMFYUI_LOADER = "ComfyUI, comfy/supported_models.py, process_unet_state_dict"
_DOUBLE = ("transformer_blocks.{n}.", "double_blocks.{n}.")
_SINGLE = ("single_transformer_blocks.{n}.", "single_blocks.{n}.")


def _attention(there: str, here: str) -> tuple[Row, ...]:
    """Both streams' attention of a double block: fused, with norms of the queries and the keys."""
    return (
        fused(tuple(f"{there}attn.to_{part}" for part in "qkv"), f"{here}img_attn.qkv"),
        fused(tuple(f"{there}attn.add_{part}_proj" for part in "qkv"), f"{here}txt_attn.qkv"),
        *renamed(("attn.to_out.0", "img_attn.proj"), ("attn.to_add_out", "txt_attn.proj"), start=(there, here)),
        Rename(f"{there}attn.norm_q.weight", f"{here}img_attn.norm.query_norm.scale"),
        Rename(f"{there}attn.norm_k.weight", f"{here}img_attn.norm.key_norm.scale"),
        Rename(f"{there}attn.norm_added_q.weight", f"{here}txt_attn.norm.query_norm.scale"),
        Rename(f"{there}attn.norm_added_k.weight", f"{here}txt_attn.norm.key_norm.scale"),
    )


def _single_norms(there: str, here: str) -> tuple[Row, ...]:
    return (
        Rename(f"{there}attn.norm_q.weight", f"{here}norm.query_norm.scale"),
        Rename(f"{there}attn.norm_k.weight", f"{here}norm.key_norm.scale"),
    )


def _single_linears(there: str, here: str) -> tuple[Row, ...]:
    """Queries, keys, values and the first half of the feed-forward network, which the original computes at once."""
    parts = *(f"{there}attn.to_{part}" for part in "qkv"), f"{there}proj_mlp"
    return fused(parts, f"{here}linear1"), *renamed((f"{there}proj_out", f"{here}linear2"))


def _feed_forward(first: str, second: str) -> tuple[Row, ...]:
    modules = [(f"{there}.{first}", f"{here}.0") for there, here in (("ff", "img_mlp"), ("ff_context", "txt_mlp"))]
    modules += [(f"{there}.{second}", f"{here}.2") for there, here in (("ff", "img_mlp"), ("ff_context", "txt_mlp"))]
    return renamed(*modules, start=_DOUBLE)


def _embedders(start: str, *kinds: tuple[str, str]) -> tuple[Row, ...]:
    modules = [(f"{start}.{there}_embedder.linear_1", f"{here}.in_layer") for there, here in kinds]
    return renamed(*modules, *((f"{start}.{there}_embedder.linear_2", f"{here}.out_layer") for there, here in kinds))


_INPUTS = renamed(("x_embedder", "img_in"), ("context_embedder", "txt_in"))
_EMBEDDERS = _embedders("time_text_embed", ("timestep", "time_in"), ("text", "vector_in"), ("guidance", "guidance_in"))
_OUTPUT = renamed(("proj_out", "final_layer.linear"))
_FINAL_SWAPPED = Swap("norm_out.linear.{rest}", "final_layer.adaLN_modulation.1.{rest}")
_BLOCKS = (
    *_attention(*_DOUBLE),
    *_feed_forward("net.0.proj", "net.2"),
    *_single_linears(*_SINGLE),
    *_single_norms(*_SINGLE),
)
_MODULATIONS = (
    *renamed(("norm1.linear", "img_mod.lin"), ("norm1_context.linear", "txt_mod.lin"), start=_DOUBLE),
    *renamed(("norm.linear", "modulation.lin"), start=_SINGLE),
)

FLUX = Layout(
    "flux_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_flux_transformer_checkpoint_to_diffusers",
    (*_INPUTS, *_EMBEDDERS, *_BLOCKS, *_MODULATIONS, _FINAL_SWAPPED, *_OUTPUT),
    family="flux",
    signature=(
        "x_embedder.weight",
        "time_text_embed.text_embedder.linear_1.weight",
        "transformer_blocks.0.attn.add_q_proj.weight",
        "transformer_blocks.0.norm1.linear.weight",
        "single_transformer_blocks.0.attn.to_q.weight",
    ),
    ran=True,
)

CHROMA = Layout(
    "chroma_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_chroma_transformer_checkpoint_to_diffusers",
    (
        *_INPUTS,
        *renamed(
            ("linear_1", "in_layer"),
            ("linear_2", "out_layer"),
            start=("distilled_guidance_layer.layers.{n}.", "distilled_guidance_layer.layers.{n}."),
        ),
        Rename("distilled_guidance_layer.norms.{n}.weight", "distilled_guidance_layer.norms.{n}.scale"),
        *_BLOCKS,
        *_OUTPUT,
    ),
    family="chroma",
    signature=("distilled_guidance_layer.in_proj.weight", "transformer_blocks.0.attn.add_q_proj.weight"),
    ran=True,
)

FLUX2 = Layout(
    "flux2_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_flux2_transformer_checkpoint_to_diffusers",
    (
        *_INPUTS,
        *_embedders("time_guidance_embed", ("timestep", "time_in"), ("guidance", "guidance_in")),
        *renamed(
            *((f"{name}.linear", f"{name}.lin") for name in (
                "double_stream_modulation_img", "double_stream_modulation_txt", "single_stream_modulation",
            ))
        ),
        *_attention(*_DOUBLE),
        *_feed_forward("linear_in", "linear_out"),
        *renamed(("attn.to_qkv_mlp_proj", "linear1"), ("attn.to_out", "linear2"), start=_SINGLE),
        *_single_norms(*_SINGLE),
        _FINAL_SWAPPED,
        *_OUTPUT,
    ),
    family="flux2",
    signature=("single_stream_modulation.linear.weight", "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight"),
    ran=True,
)  # fmt: skip

_REFINER = ("context_embedder.token_refiner.refiner_blocks.{n}.", "txt_in.individual_token_refiner.blocks.{n}.")
HUNYUAN_VIDEO = Layout(
    "hunyuan_video_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_hunyuan_video_transformer_to_diffusers; " + _COMFYUI_LOADER,
    (
        fused(tuple(f"{_REFINER[0]}attn.to_{part}" for part in "qkv"), f"{_REFINER[1]}self_attn.qkv"),
        *renamed(
            ("attn.to_out.0", "self_attn.proj"),
            ("ff.net.0.proj", "mlp.0"),
            ("ff.net.2", "mlp.2"),
            ("norm_out.linear", "adaLN_modulation.1"),
            ("norm1", "norm1"),
            ("norm2", "norm2"),
            start=_REFINER,
        ),
        *_embedders(
            "context_embedder.time_text_embed", ("timestep", "txt_in.t_embedder"), ("text", "txt_in.c_embedder")
        ),
        *renamed(("context_embedder.proj_in", "txt_in.input_embedder"), ("x_embedder.proj", "img_in.proj")),
        *_EMBEDDERS,
        *_BLOCKS,
        *_MODULATIONS,
        _FINAL_SWAPPED,
        *_OUTPUT,
    ),
    family="hunyuan_video",
    signature=(
        "context_embedder.token_refiner.refiner_blocks.0.attn.to_q.weight",
        "single_transformer_blocks.0.attn.to_q.weight",
    ),
    ran=True,
)  # fmt: skip

_TENCENT_REFINER = "txt_in.individual_token_refiner.blocks.{n}."
_TENCENT_DOUBLE = tuple(
    (f"double_blocks.{{n}}.{stream}_", f"double_blocks.{{n}}.{stream}_") for stream in ("img", "txt")
)
HUNYUAN_VIDEO_TENCENT = Layout(
    "hunyuan_video_tencent",
    "Tencent's names",
    _COMFYUI_LOADER,
    (
        *renamed(
            *((f"{name}.mlp.{at}", f"{name}.{layer}") for name in ("time_in", "guidance_in", "txt_in.t_embedder")
              for at, layer in ((0, "in_layer"), (2, "out_layer"))),
            ("txt_in.c_embedder.linear_1", "txt_in.c_embedder.in_layer"),
            ("txt_in.c_embedder.linear_2", "txt_in.c_embedder.out_layer"),
        ),
        *renamed(
            ("self_attn_qkv", "self_attn.qkv"), ("self_attn_proj", "self_attn.proj"), ("mlp.fc1", "mlp.0"),
            ("mlp.fc2", "mlp.2"), start=(_TENCENT_REFINER, _TENCENT_REFINER),
        ),
        *(
            row
            for start in _TENCENT_DOUBLE
            for row in (
                *renamed(
                    ("mod.linear", "mod.lin"), ("attn_qkv", "attn.qkv"), ("attn_proj", "attn.proj"),
                    ("mlp.fc1", "mlp.0"), ("mlp.fc2", "mlp.2"), start=start,
                ),
                Rename(f"{start[0]}attn_q_norm.weight", f"{start[1]}attn.norm.query_norm.scale"),
                Rename(f"{start[0]}attn_k_norm.weight", f"{start[1]}attn.norm.key_norm.scale"),
            )
        ),
        *renamed(("single_blocks.{n}.modulation.linear", "single_blocks.{n}.modulation.lin")),
        Rename("single_blocks.{n}.q_norm.weight", "single_blocks.{n}.norm.query_norm.scale"),
        Rename("single_blocks.{n}.k_norm.weight", "single_blocks.{n}.norm.key_norm.scale"),
    ),
    family="hunyuan_video",
    signature=(
        "txt_in.individual_token_refiner.blocks.0.self_attn_qkv.weight",
        "double_blocks.0.img_attn_qkv.weight",
    ),
)  # fmt: skip
