"""HunyuanVideo and HunyuanImage, whose canonical names are ComfyUI's: those of Flux; Tencent's own are a layout."""

from __future__ import annotations

from engine.models.layouts.flux import (
    BLOCKS,
    EMBEDDERS,
    FINAL_SWAPPED,
    MODULATIONS,
    OUTPUT,
    SINGLE_FILE,
    embedders,
)
from engine.models.layouts.layout import Layout, Rename, Row, fused, renamed

_COMFYUI_LOADER = "ComfyUI, comfy/supported_models.py, process_unet_state_dict"
_REFINER = ("context_embedder.token_refiner.refiner_blocks.{n}.", "txt_in.individual_token_refiner.blocks.{n}.")
_TEXT = (
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
    *embedders("context_embedder.time_text_embed", ("timestep", "txt_in.t_embedder"), ("text", "txt_in.c_embedder")),
    *renamed(("context_embedder.proj_in", "txt_in.input_embedder"), ("x_embedder.proj", "img_in.proj")),
)
_GLYPHS = renamed(
    ("context_embedder_2.norm", "byt5_in.layernorm"),
    *((f"context_embedder_2.linear_{number}", f"byt5_in.fc{number}") for number in (1, 2, 3)),
)


def _second_time(start: str) -> tuple[Row, ...]:
    """The other end of the step, which models of mean flows are told."""
    parts = (("linear_1", "in_layer"), ("linear_2", "out_layer"))
    return renamed(*parts, start=(f"{start}.timestep_embedder_r.", "time_r_in."))


_REST = (*BLOCKS, *MODULATIONS, FINAL_SWAPPED, *OUTPUT)
_REFINED = "context_embedder.token_refiner.refiner_blocks.0.attn.to_q.weight"

HUNYUAN_VIDEO = Layout(
    "hunyuan_video_diffusers",
    "diffusers names",
    SINGLE_FILE + "convert_hunyuan_video_transformer_to_diffusers; " + _COMFYUI_LOADER,
    (*_TEXT, *EMBEDDERS, *_REST),
    family="hunyuan_video",
    signature=(_REFINED, "time_text_embed.timestep_embedder.linear_1.weight"),
    absent=("context_embedder_2.linear_1.weight",),
    ran=True,
)
HUNYUAN_VIDEO15 = Layout(
    "hunyuan_video15_diffusers",
    "diffusers names",
    "diffusers, scripts/convert_hunyuan_video1_5_to_diffusers.py; " + _COMFYUI_LOADER,
    (
        *_TEXT,
        *_GLYPHS,
        *embedders("time_embed", ("timestep", "time_in")),
        *_second_time("time_embed"),
        *renamed(
            ("image_embedder.norm_in", "vision_in.proj.0"),
            ("image_embedder.linear_1", "vision_in.proj.1"),
            ("image_embedder.linear_2", "vision_in.proj.3"),
            ("image_embedder.norm_out", "vision_in.proj.4"),
            ("cond_type_embed", "cond_type_embedding"),
        ),
        *_REST,
    ),
    family="hunyuan_video15",
    signature=(_REFINED, "image_embedder.linear_1.weight", "cond_type_embed.weight"),
)
HUNYUAN_IMAGE = Layout(
    "hunyuan_image_diffusers",
    "diffusers names",
    "diffusers, scripts/convert_hunyuan_image_to_diffusers.py; " + _COMFYUI_LOADER,
    (
        *_TEXT,
        *_GLYPHS,
        *embedders("time_guidance_embed", ("timestep", "time_in"), ("guidance", "guidance_in")),
        *_second_time("time_guidance_embed"),
        *_REST,
    ),
    family="hunyuan_image",
    signature=(_REFINED, "context_embedder_2.linear_1.weight", "time_guidance_embed.timestep_embedder.linear_1.weight"),
)


def _tencent_stream(stream: str, *, divided: bool) -> tuple[Row, ...]:
    """One stream of a double block; `divided` models usually have queries, keys and values by themselves."""
    start = f"double_blocks.{{n}}.{stream}_"
    attention = [
        *renamed(("attn_qkv", "attn.qkv"), start=(start, start)),
        fused(tuple(f"{start}attn_{part}" for part in "qkv"), f"{start}attn.qkv"),
    ]
    return (
        *(reversed(attention) if divided else attention),
        *renamed(
            ("mod.linear", "mod.lin"),
            ("attn_proj", "attn.proj"),
            ("mlp.fc1", "mlp.0"),
            ("mlp.fc2", "mlp.2"),
            start=(start, start),
        ),
        Rename(f"{start}attn_q_norm.weight", f"{start}attn.norm.query_norm.scale"),
        Rename(f"{start}attn_k_norm.weight", f"{start}attn.norm.key_norm.scale"),
    )


_TENCENT_ROWS: tuple[Row, ...] = (
    *renamed(
        *(
            (f"{name}.mlp.{at}", f"{name}.{layer}")
            for name in ("time_in", "time_r_in", "guidance_in", "txt_in.t_embedder")
            for at, layer in ((0, "in_layer"), (2, "out_layer"))
        ),
        ("txt_in.c_embedder.linear_1", "txt_in.c_embedder.in_layer"),
        ("txt_in.c_embedder.linear_2", "txt_in.c_embedder.out_layer"),
    ),
    *renamed(
        ("self_attn_qkv", "self_attn.qkv"),
        ("self_attn_proj", "self_attn.proj"),
        ("mlp.fc1", "mlp.0"),
        ("mlp.fc2", "mlp.2"),
        start=(_REFINER[1], _REFINER[1]),
    ),
    *renamed(("single_blocks.{n}.modulation.linear", "single_blocks.{n}.modulation.lin")),
    Rename("single_blocks.{n}.q_norm.weight", "single_blocks.{n}.norm.query_norm.scale"),
    Rename("single_blocks.{n}.k_norm.weight", "single_blocks.{n}.norm.key_norm.scale"),
)


def _tencent(family: str, source: str, *signature: str, absent: tuple[str, ...] = (), divided: bool = False) -> Layout:
    streams = (row for stream in ("img", "txt") for row in _tencent_stream(stream, divided=divided))
    return Layout(
        f"{family}_tencent",
        "Tencent's names",
        source + _COMFYUI_LOADER,
        (*_TENCENT_ROWS, *streams),
        family=family,
        signature=("txt_in.individual_token_refiner.blocks.0.self_attn_qkv.weight", *signature),
        absent=absent,
        ran=not source,
    )


HUNYUAN_VIDEO_TENCENT = _tencent(
    "hunyuan_video", "", "double_blocks.0.img_attn_qkv.weight", absent=("byt5_in.fc1.weight",)
)
HUNYUAN_TENCENT = (
    HUNYUAN_VIDEO_TENCENT,
    _tencent(
        "hunyuan_video15",
        "diffusers, scripts/convert_hunyuan_video1_5_to_diffusers.py; ",
        "byt5_in.fc1.weight",
        "vision_in.proj.0.weight",
        divided=True,
    ),
    _tencent(
        "hunyuan_image",
        "diffusers, scripts/convert_hunyuan_image_to_diffusers.py; ",
        "byt5_in.fc1.weight",
        absent=("vision_in.proj.0.weight",),
    ),
)
