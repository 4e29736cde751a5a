"""CLIP's text encoders: OpenCLIP's names and those of 2022, beside those of transformers, which are canonical."""

from __future__ import annotations

from engine.models.layouts.layout import Fuse, Layout, Rename

_CLIP, _OPEN = "text_model.encoder.layers.{n}.", "transformer.resblocks.{n}."
_CLIP_ROOTS = ("embeddings.", "encoder.", "final_layer_norm.")

OPEN_CLIP = Layout(
    "open_clip",
    "OpenCLIP's names",
    'diffusers 0.42, loaders/single_file_utils.py, DIFFUSERS_TO_LDM_MAPPING["openclip"]',
    (
        Fuse((_OPEN + "attn.in_proj_weight",), tuple(f"{_CLIP}self_attn.{part}_proj.weight" for part in "qkv")),
        Fuse((_OPEN + "attn.in_proj_bias",), tuple(f"{_CLIP}self_attn.{part}_proj.bias" for part in "qkv")),
        Rename(_OPEN + "attn.{rest}", _CLIP + "self_attn.{rest}"),
        Rename(_OPEN + "ln_1.{rest}", _CLIP + "layer_norm1.{rest}"),
        Rename(_OPEN + "ln_2.{rest}", _CLIP + "layer_norm2.{rest}"),
        Rename(_OPEN + "mlp.c_fc.{rest}", _CLIP + "mlp.fc1.{rest}"),
        Rename(_OPEN + "mlp.c_proj.{rest}", _CLIP + "mlp.fc2.{rest}"),
        Rename(_OPEN + "{rest}", _CLIP + "{rest}"),
        Rename("ln_final.{rest}", "text_model.final_layer_norm.{rest}"),
        Rename("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
        Rename("positional_embedding", "text_model.embeddings.position_embedding.weight"),
        Rename("text_projection", "text_projection.weight", transposed=True),
    ),
    component="text_encoders",
    signature=("token_embedding.weight", "transformer.resblocks.0.attn.in_proj_weight", "ln_final.weight"),
    ran=True,
)
CLIP_2022 = Layout(
    "clip_2022",
    "CLIP without the level text_model",
    "Stable Diffusion v1 as released in 2022, before transformers added the level; transformers 5 leaves it out again",
    tuple(Rename(root + "{rest}", f"text_model.{root}{{rest}}") for root in _CLIP_ROOTS),
    component="text_encoders",
    signature=("embeddings.token_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight"),
    ran=True,
)
