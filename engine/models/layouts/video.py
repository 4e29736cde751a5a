"""Wan and LTX, whose layers are divided alike in diffusers' names and their own: nothing is joined."""

from __future__ import annotations

from engine.models.layouts.layout import Layout, Rename, Row, renamed

_SINGLE_FILE = "diffusers 0.42, loaders/single_file_utils.py, "


def _wan_block(stack: str) -> tuple[Row, ...]:
    """A block of Wan. The norm with weights is the third in its own names, the second in diffusers'."""
    there = f"{stack}.{{n}}."
    attention = (
        *((f"to_{part}", part) for part in "qkv"),
        ("to_out.0", "o"),
        ("add_k_proj", "k_img"),
        ("add_v_proj", "v_img"),
        ("norm_q", "norm_q"),
        ("norm_k", "norm_k"),
        ("norm_added_k", "norm_k_img"),
    )
    return (
        *renamed(*attention, start=(f"{there}attn1.", f"{there}self_attn.")),
        *renamed(*attention, start=(f"{there}attn2.", f"{there}cross_attn.")),
        *renamed(("norm2", "norm3"), ("norm3", "norm2"), start=(there, there)),
        *renamed(("ffn.net.0.proj", "ffn.0"), ("ffn.net.2", "ffn.2"), start=(there, there)),
        Rename(f"{there}scale_shift_table", f"{there}modulation"),
    )


WAN = Layout(
    "wan_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_wan_transformer_to_diffusers; scripts/convert_wan_to_diffusers.py",
    (
        *_wan_block("blocks"),
        *_wan_block("vace_blocks"),
        *renamed(("proj_in", "before_proj"), ("proj_out", "after_proj"), start=("vace_blocks.{n}.",) * 2),
        *renamed(
            ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
            ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
            ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
            ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
            ("condition_embedder.time_proj", "time_projection.1"),
            ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"),
            ("condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"),
            ("condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"),
            ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
            ("proj_out", "head.head"),
        ),
        Rename("condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"),
        Rename("scale_shift_table", "head.modulation"),
    ),
    family="wan",
    signature=("condition_embedder.time_embedder.linear_1.weight", "blocks.0.attn1.to_q.weight"),
    ran=True,
)

_LTX_BLOCK = ("transformer_blocks.{n}.",) * 2
LTX = Layout(
    "ltx_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_ltx_transformer_checkpoint_to_diffusers",
    (
        *renamed(("proj_in", "patchify_proj"), ("time_embed", "adaln_single")),
        *renamed(
            *((f"{attention}.norm_{part}", f"{attention}.{part}_norm") for attention in ("attn1", "attn2")
              for part in "qk"),
            start=_LTX_BLOCK,
        ),
    ),
    family="ltx",
    signature=(
        "proj_in.weight",
        "time_embed.emb.timestep_embedder.linear_1.weight",
        "transformer_blocks.0.scale_shift_table",
    ),
    absent=("audio_proj_in.weight",),
    ran=True,
)  # fmt: skip

_LTX2_ATTENTION = (
    "attn1", "attn2", "audio_attn1", "audio_attn2", "audio_to_video_attn", "video_to_audio_attn",
)  # fmt: skip
LTX2 = Layout(
    "ltx2_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_ltx2_transformer_to_diffusers",
    (
        *renamed(
            ("proj_in", "patchify_proj"),
            ("audio_proj_in", "audio_patchify_proj"),
            ("time_embed", "adaln_single"),
            ("audio_time_embed", "audio_adaln_single"),
            ("av_cross_attn_video_scale_shift", "av_ca_video_scale_shift_adaln_single"),
            ("av_cross_attn_audio_scale_shift", "av_ca_audio_scale_shift_adaln_single"),
            ("av_cross_attn_video_a2v_gate", "av_ca_a2v_gate_adaln_single"),
            ("av_cross_attn_audio_v2a_gate", "av_ca_v2a_gate_adaln_single"),
        ),
        *(
            Rename(
                f"transformer_blocks.{{n}}.{stream}_a2v_cross_attn_scale_shift_table",
                f"transformer_blocks.{{n}}.scale_shift_table_a2v_ca_{stream}",
            )
            for stream in ("video", "audio")
        ),
        *renamed(
            *(
                (f"{attention}.norm_{part}", f"{attention}.{part}_norm")
                for attention in _LTX2_ATTENTION
                for part in "qk"
            ),
            start=_LTX_BLOCK,
        ),
    ),
    family="ltx2",
    signature=("proj_in.weight", "audio_proj_in.weight", "time_embed.emb.timestep_embedder.linear_1.weight"),
    ran=True,
)
