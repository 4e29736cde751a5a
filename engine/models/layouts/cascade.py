"""Stable Cascade, whose attention is joined in its own names; ComfyUI divides it, and so do the canonical names."""

from __future__ import annotations

from engine.models.layouts.layout import Fuse, Layout


def _joined(kind: str) -> Fuse:
    return Fuse((f"{{rest}}.attn.in_proj_{kind}",), tuple(f"{{rest}}.attn.to_{part}.{kind}" for part in "qkv"))


def _stage(letter: str, level: int) -> Layout:
    """The names of a stage, by the first level that has attention."""
    return Layout(
        f"stable_cascade_{letter}",
        f"Stability's names, stage {letter.upper()}",
        "ComfyUI, comfy/supported_models.py, Stable_Cascade_C.process_unet_state_dict",
        (_joined("weight"), _joined("bias")),
        family="stable_cascade",
        signature=("clf.1.weight", "embedding.1.weight", f"down_blocks.{level}.2.attention.attn.in_proj_weight"),
    )


STABLE_CASCADE = (_stage("c", 0), _stage("b", 2))
