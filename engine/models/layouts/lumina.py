"""Lumina 2 and Z-Image: refiners and one stack of layers, with attention fused in the names of ComfyUI's files."""

from __future__ import annotations

from engine.models.layouts.layout import Layout, Row, fused, renamed

_SINGLE_FILE = "diffusers 0.42, loaders/single_file_utils.py, "
_STACKS = ("layers", "noise_refiner", "context_refiner")


def _lumina_block(stack: str) -> tuple[Row, ...]:
    """A block of Lumina 2. Those that are modulated have their first norm inside the modulation's module."""
    start = (f"{stack}.{{n}}.",) * 2
    first = "norm1" if stack == "context_refiner" else "norm1.norm"
    return (
        fused(tuple(f"{start[0]}attn.to_{part}" for part in "qkv"), f"{start[1]}attention.qkv", square=1),
        *renamed(
            ("attn.to_out.0", "attention.out"),
            ("attn.norm_q", "attention.q_norm"),
            ("attn.norm_k", "attention.k_norm"),
            *((f"feed_forward.linear_{part}", f"feed_forward.w{part}") for part in (1, 2, 3)),
            ("norm1.linear", "adaLN_modulation.1"),
            (first, "attention_norm1"),
            ("norm2", "attention_norm2"),
            start=start,
        ),
    )


LUMINA2 = Layout(
    "lumina2_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_lumina2_to_diffusers",
    (
        *(row for stack in _STACKS for row in _lumina_block(stack)),
        *renamed(
            ("time_caption_embed.caption_embedder", "cap_embedder"),
            ("time_caption_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
            ("time_caption_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
            ("norm_out.linear_1", "final_layer.adaLN_modulation.1"),
            ("norm_out.linear_2", "final_layer.linear"),
        ),
    ),
    family="lumina2",
    signature=("time_caption_embed.caption_embedder.0.weight", "layers.0.attn.to_q.weight"),
    ran=True,
)


def _z_image_attention(stack: str) -> tuple[Row, ...]:
    start = (f"{stack}.{{n}}.attention.",) * 2
    return (
        fused(tuple(f"{start[0]}to_{part}" for part in "qkv"), f"{start[1]}qkv", square=1),
        *renamed(("to_out.0", "out"), ("norm_q", "q_norm"), ("norm_k", "k_norm"), start=start),
    )


Z_IMAGE = Layout(
    "z_image_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_z_image_transformer_checkpoint_to_diffusers",
    (
        *(row for stack in (*_STACKS, "siglip_refiner") for row in _z_image_attention(stack)),
        *renamed(("all_final_layer.2-1", "final_layer"), ("all_x_embedder.2-1", "x_embedder")),
    ),
    family="z_image",
    signature=("all_x_embedder.2-1.weight", "layers.0.attention.to_q.weight"),
    ran=True,
)
