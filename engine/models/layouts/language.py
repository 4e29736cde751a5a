"""Layouts of language models with sight: the level that transformers puts above them."""

from __future__ import annotations

from engine.models.layouts.layout import Layout, Rename

SIGHTED = Layout(
    "transformers_sighted",
    "transformers with the level model.language_model",
    "transformers 5, models/qwen2_5_vl/modeling_qwen2_5_vl.py; the encoders in ComfyUI read model. and visual.",
    (Rename("model.language_model.{rest}", "model.{rest}"), Rename("model.visual.{rest}", "visual.{rest}")),
    component="text_encoders",
    signature=("model.language_model.layers.0.self_attn.q_proj.weight",),
)
SIGHTED_OUTSIDE = Layout(
    "transformers_sighted_outside",
    "transformers with the level language_model",
    "transformers 5, conversion_mapping.py: what Gemma 3 is saved as; the encoders in ComfyUI read model.",
    (Rename("language_model.model.{rest}", "model.{rest}"),),
    component="text_encoders",
    signature=(
        "language_model.model.layers.0.self_attn.q_proj.weight",
        "language_model.model.layers.0.post_feedforward_layernorm.weight",
    ),
)
