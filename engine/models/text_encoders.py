"""Text encoders in a file of their own: one row each, how its header tells it, and what ComfyUI calls it.

The names are those of transformers, and several encoders share them: what tells them apart are names that only one
has, widths and numbers of layers. Source of the rules: ComfyUI, comfy/sd.py, ``detect_te_model``; of what stands for
``<clip>`` in ``text_encoders.<clip>.transformer.``: comfy/text_encoders/*.py, the module beside each row. A width that
no row names is taken for the row without widths: a small model for tests, or one of a size that is not published yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.models.families import Family

Shapes = Mapping[str, tuple[int, ...]]

_DETECTION = "ComfyUI, comfy/sd.py, detect_te_model, and comfy/text_encoders/"


@dataclass(frozen=True)
class TextEncoder:
    """One text encoder.

    Attributes:
        family: of a file that holds nothing else.
        clip: what ComfyUI calls it.
        widths: name of a weight -> the sizes of its last dimension that this encoder can have. Without any the row
            takes what is left of its signature.
        least_rows: name of a weight -> the least size of its first dimension.
    """

    family: Family
    clip: str
    widths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    least_rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def canonical(self) -> str:
        """How the canonical names of its weights begin."""
        return f"text_encoders.{self.clip}.transformer."

    def fits(self, shapes: Shapes) -> bool:
        """Whether the names and sizes in a header are this encoder's."""
        return (
            all(name in shapes for name in self.family.signature)
            and not any(name in shapes for name in self.family.absent)
            and all(name in shapes and shapes[name][-1:] in _ones(sizes) for name, sizes in self.widths.items())
            and all(name in shapes and shapes[name][:1] >= (least,) for name, least in self.least_rows.items())
        )


def _ones(sizes: tuple[int, ...]) -> list[tuple[int]]:
    return [(size,) for size in sizes]


def _row(
    clip: str,
    title: str,
    signature: tuple[str, ...],
    stack: str,
    module: str,
    *,
    absent: tuple[str, ...] = (),
    widths: Mapping[str, tuple[int, ...]] | None = None,
    least_rows: Mapping[str, int] | None = None,
) -> TextEncoder:
    key = "llama3" if clip == "llama" else clip  # not that of the language models
    family = Family(key, title, signature, (stack,), _DETECTION + module, absent=absent, text_encoder=True)
    return TextEncoder(family, clip, widths or {}, least_rows or {})


_CLIP = "text_model.encoder.layers.0.layer_norm1.weight"
_CLIP_STACK = "text_model.encoder.layers"
_VISION = "vision_model.encoder.layers.0.layer_norm1.weight"
_T5 = "encoder.block.0.layer.0.SelfAttention.q.weight"
_T5_SECOND_BIAS = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"
_T5_FIRST_GATE = "encoder.block.0.layer.1.DenseReluDense.wi_1.weight"
_T5_PLAIN = "encoder.block.0.layer.1.DenseReluDense.wi.weight"
_EMBED, _Q = "model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"
_Q_BIAS, _Q_NORM = "model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.q_norm.weight"
_GEMMA_NORM = "model.layers.0.post_feedforward_layernorm.weight"
_HEAD, _STACK = "lm_head.weight", "model.layers"
_SIGHT = "visual.patch_embed.proj.weight"
_MIXTURE = ("model.layers.0.mlp.gate.weight", "model.layers.0.block_sparse_moe.gate.weight")

LANGUAGE_MODEL_WIDTHS: Mapping[str, tuple[int, ...]] = {
    # sizes that are published as language models with tied embeddings, and that ComfyUI has no encoder of
    "qwen25_7b": (896, 1536, 2048, 5120, 8192),  # Qwen2.5 0.5B, 1.5B, 3B, 14B and 32B, 72B
    "qwen3_4b": (5120,),  # Qwen3 14B, 32B
    "gemma2_2b": (3584, 4608),  # Gemma 2 9B, 27B
    "gemma3_4b": (640, 1152, 5376),  # Gemma 3 270M, 1B, 27B
}

TEXT_ENCODERS: tuple[TextEncoder, ...] = (
    _row("clip_l", "CLIP-L", (_CLIP,), _CLIP_STACK, "../sd1_clip.py", widths={_CLIP: (768,)}),
    _row("clip_h", "CLIP-H", (_CLIP,), _CLIP_STACK, "sd2_clip.py", widths={_CLIP: (1024,)}),
    _row("clip_g", "CLIP-G", (_CLIP,), _CLIP_STACK, "../sdxl_clip.py", widths={_CLIP: (1280,)}),
    _row(
        "clip_l",
        "CLIP",
        (_CLIP, "text_model.embeddings.token_embedding.weight"),
        _CLIP_STACK,
        "../sd1_clip.py",
        absent=(_VISION,),
    ),
    _row("umt5base", "UMT5-Base", (_T5, _T5_SECOND_BIAS), "encoder.block", "ace.py", widths={_T5: (768,)}),
    _row("umt5xxl", "UMT5-XXL", (_T5, _T5_SECOND_BIAS), "encoder.block", "wan.py"),
    _row("byt5_small", "ByT5-Small", (_T5,), "encoder.block", "hunyuan_image.py", widths={_T5: (1472,)}),
    _row("pile_t5xl", "Pile-T5-XL", (_T5, _T5_FIRST_GATE), "encoder.block", "aura_t5.py", widths={_T5: (2048,)}),
    _row("t5base", "T5-Base", (_T5, _T5_PLAIN), "encoder.block", "sa_t5.py", widths={_T5: (768,)}),
    _row("t5xxl", "T5-XXL", (_T5,), "encoder.block", "sd3_clip.py"),
    _row(
        "gemma3_12b",
        "Gemma 3 12B",
        (_Q, _GEMMA_NORM, _Q_NORM),
        _STACK,
        "lt.py",
        absent=(_HEAD,),
        widths={_Q: (3840,)},
    ),
    _row("gemma3_4b", "Gemma 3 4B", (_Q, _GEMMA_NORM, _Q_NORM), _STACK, "lumina2.py", absent=(_HEAD,)),
    _row("gemma2_2b", "Gemma 2 2B", (_Q, _GEMMA_NORM), _STACK, "lumina2.py", absent=(_HEAD, _Q_NORM)),
    _row("qwen25_3b", "Qwen2.5-VL 3B", (_Q, _Q_BIAS, _SIGHT), _STACK, "omnigen2.py", widths={_Q: (2048,)}),
    _row("qwen25_7b", "Qwen2.5-VL 7B", (_Q, _Q_BIAS, _SIGHT), _STACK, "qwen_image.py"),
    _row("qwen25_7b", "Qwen2.5-VL 7B", (_Q, _Q_BIAS), _STACK, "qwen_image.py", absent=(_HEAD, *_MIXTURE)),
    *(
        _row(
            clip,
            title,
            (_Q, _Q_NORM),
            _STACK,
            module,
            absent=(_HEAD, _GEMMA_NORM, *_MIXTURE, "visual.deepstack_merger_list.0.norm.weight"),
            widths=widths,
        )
        for clip, title, module, widths in (
            ("qwen3_06b", "Qwen3 0.6B", "anima.py", {_Q: (1024,)}),
            ("qwen3_2b", "Qwen3 1.7B", "ovis.py", {_Q: (2048,)}),
            ("qwen3_8b", "Qwen3 8B", "flux.py", {_Q: (4096,)}),
            ("qwen3_4b", "Qwen3 4B", "z_image.py", {}),
        )
    ),
    _row(
        "mistral3_24b",
        "Mistral Small 24B",
        (_Q, _EMBED),
        _STACK,
        "flux.py",
        absent=(_HEAD, _Q_BIAS, _Q_NORM, _GEMMA_NORM, *_MIXTURE),
        widths={_Q: (5120,)},
        least_rows={_EMBED: 131072},
    ),
    _row(
        "llama",
        "Llama 3 8B",
        (_Q, _EMBED),
        _STACK,
        "hunyuan_video.py",
        absent=(_HEAD, _Q_BIAS, _Q_NORM, _GEMMA_NORM, *_MIXTURE),
        widths={_Q: (4096,)},
        least_rows={_EMBED: 128256},
    ),
)


def detect_text_encoder(shapes: Shapes) -> TextEncoder | None:
    """The text encoder that a file's names and sizes are; None for anything else, and for a language model.

    A language model has the same names. It is known by its head, or by a size that is not published as an encoder; one
    with sight is an encoder.
    """
    encoder = next((row for row in TEXT_ENCODERS if row.fits(shapes)), None)
    if encoder is None or _SIGHT in shapes or encoder.widths:
        return encoder
    return None if shapes.get(_Q, ())[-1:] in _ones(LANGUAGE_MODEL_WIDTHS.get(encoder.clip, ())) else encoder
