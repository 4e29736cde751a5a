"""The Flux family and its relatives: two streams of blocks, then one, with attention fused in the original's names."""

from __future__ import annotations

from engine.models.layouts.layout import Layout, Rename, Row, Swap, fused, renamed

SINGLE_FILE = "diffusers 0.42, loaders/single_file_utils.py, "
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
    return fused(parts, f"{here}linear1", square=3), *renamed((f"{there}proj_out", f"{here}linear2"))


def _feed_forward(first: str, second: str) -> tuple[Row, ...]:
    modules = [(f"{there}.{first}", f"{here}.0") for there, here in (("ff", "img_mlp"), ("ff_context", "txt_mlp"))]
    modules += [(f"{there}.{second}", f"{here}.2") for there, here in (("ff", "img_mlp"), ("ff_context", "txt_mlp"))]
    return renamed(*modules, start=_DOUBLE)


def embedders(start: str, *kinds: tuple[str, str]) -> tuple[Row, ...]:
    """Rows of embedders of two layers: what diffusers calls each below `start`, and its original's name."""
    modules = [(f"{start}.{there}_embedder.linear_1", f"{here}.in_layer") for there, here in kinds]
    return renamed(*modules, *((f"{start}.{there}_embedder.linear_2", f"{here}.out_layer") for there, here in kinds))


_INPUTS = renamed(("x_embedder", "img_in"), ("context_embedder", "txt_in"))
EMBEDDERS = embedders("time_text_embed", ("timestep", "time_in"), ("text", "vector_in"), ("guidance", "guidance_in"))
OUTPUT = renamed(("proj_out", "final_layer.linear"))
FINAL_SWAPPED = Swap("norm_out.linear.{rest}", "final_layer.adaLN_modulation.1.{rest}")
BLOCKS = (
    *_attention(*_DOUBLE),
    *_feed_forward("net.0.proj", "net.2"),
    *_single_linears(*_SINGLE),
    *_single_norms(*_SINGLE),
)
MODULATIONS = (
    *renamed(("norm1.linear", "img_mod.lin"), ("norm1_context.linear", "txt_mod.lin"), start=_DOUBLE),
    *renamed(("norm.linear", "modulation.lin"), start=_SINGLE),
)

FLUX = Layout(
    "flux_diffusers",
    "diffusers names",
    SINGLE_FILE + "convert_flux_transformer_checkpoint_to_diffusers",
    (*_INPUTS, *EMBEDDERS, *BLOCKS, *MODULATIONS, FINAL_SWAPPED, *OUTPUT),
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
    SINGLE_FILE + "convert_chroma_transformer_checkpoint_to_diffusers",
    (
        *_INPUTS,
        *renamed(
            ("linear_1", "in_layer"),
            ("linear_2", "out_layer"),
            start=("distilled_guidance_layer.layers.{n}.", "distilled_guidance_layer.layers.{n}."),
        ),
        Rename("distilled_guidance_layer.norms.{n}.weight", "distilled_guidance_layer.norms.{n}.scale"),
        *BLOCKS,
        *OUTPUT,
    ),
    family="chroma",
    signature=("distilled_guidance_layer.in_proj.weight", "transformer_blocks.0.attn.add_q_proj.weight"),
    ran=True,
)

FLUX2 = Layout(
    "flux2_diffusers",
    "diffusers names",
    SINGLE_FILE + "convert_flux2_transformer_checkpoint_to_diffusers",
    (
        *_INPUTS,
        *embedders("time_guidance_embed", ("timestep", "time_in"), ("guidance", "guidance_in")),
        *renamed(
            *((f"{name}.linear", f"{name}.lin") for name in (
                "double_stream_modulation_img", "double_stream_modulation_txt", "single_stream_modulation",
            ))
        ),
        *_attention(*_DOUBLE),
        *_feed_forward("linear_in", "linear_out"),
        *renamed(("attn.to_qkv_mlp_proj", "linear1"), ("attn.to_out", "linear2"), start=_SINGLE),
        *_single_norms(*_SINGLE),
        FINAL_SWAPPED,
        *OUTPUT,
    ),
    family="flux2",
    signature=("single_stream_modulation.linear.weight", "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight"),
    ran=True,
)  # fmt: skip


def _norms_of_weights(family: str, *signature: str, absent: tuple[str, ...] = ()) -> Layout:
    """The original's names but for the norms, whose scales are called weights, as ComfyUI names them since 2026."""
    here = (
        *(
            f"double_blocks.{{n}}.{stream}_attn.norm.{part}_norm"
            for stream in ("img", "txt")
            for part in ("query", "key")
        ),
        *(f"single_blocks.{{n}}.norm.{part}_norm" for part in ("query", "key")),
        "distilled_guidance_layer.norms.{n}",
    )
    return Layout(
        f"{family}_norm_weights",
        "ComfyUI's names of norms",
        "ComfyUI, comfy/supported_models.py and comfy/model_detection.py: .scale is renamed .weight",
        tuple(Rename(f"{name}.weight", f"{name}.scale") for name in here),
        family=family,
        signature=("double_blocks.0.img_attn.norm.key_norm.weight", *signature),
        absent=absent,
    )


NORM_WEIGHTS = (
    _norms_of_weights("flux2", "single_stream_modulation.lin.weight"),
    _norms_of_weights("chroma", "distilled_guidance_layer.in_proj.weight"),
    _norms_of_weights(
        "hunyuan_video",
        "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",
        absent=("vision_in.proj.0.weight", "byt5_in.fc1.weight"),
    ),
    _norms_of_weights(
        "flux",
        "vector_in.in_layer.weight",
        absent=("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",),
    ),
)
