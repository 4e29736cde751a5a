"""llama.cpp's names of weights, which GGUF files of language models and of T5 have: Hugging Face's names are canonical.

Which names belong together depends on the architecture that the header states: ``ffn_norm`` is another norm in Gemma 2
than in Llama. Files of architectures that have no row here keep llama.cpp's names, and pair with such files alone.
What llama.cpp changes of the numbers is undone by `engine.checkpoints.encodings.gguf`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engine.checkpoints.gguf_types import VERSION_KEY
from engine.models.layouts.layout import Layout, Rename, renamed

_SOURCE = "llama.cpp, gguf-py/gguf/tensor_mapping.py"
_HF, _BLOCK = "model.layers.{n}.", "blk.{n}."


_OUTSIDE = renamed(("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head"))
_LAYER = renamed(
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_exps", "mlp.experts.gate_proj"),
    ("ffn_up_exps", "mlp.experts.up_proj"),
    ("ffn_down_exps", "mlp.experts.down_proj"),
    start=(_BLOCK, _HF),
)
_GEMMA_NORMS = (
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
)
_T5_OUTSIDE = renamed(
    ("token_embd", "shared"),
    ("enc.output_norm", "encoder.final_layer_norm"),
    ("dec.output_norm", "decoder.final_layer_norm"),
    ("output", "lm_head"),
)


def _t5_attention(stored: str, canonical: str, start: str = "attn") -> tuple[Rename, ...]:
    names = (f"{start}_q", "q"), (f"{start}_k", "k"), (f"{start}_v", "v"), (f"{start}_o", "o")
    return renamed(*names, (f"{start}_rel_b", "relative_attention_bias"), start=(stored, canonical))


def _t5_stack(stored: str, canonical: str, up: str, *, feed_forward: int) -> tuple[Rename, ...]:
    inner = f"{canonical}layer.{feed_forward}."
    return (
        *renamed(("attn_norm", "layer.0.layer_norm"), start=(stored, canonical)),
        *_t5_attention(stored, f"{canonical}layer.0.SelfAttention."),
        *renamed(("ffn_norm", "layer_norm"), ("ffn_gate", "DenseReluDense.wi_0"), start=(stored, inner)),
        *renamed(("ffn_up", up), ("ffn_down", "wo"), start=(stored, f"{inner}DenseReluDense.")),
    )


def _t5_rows(up: str) -> tuple[Rename, ...]:
    stored, canonical = "dec.blk.{n}.", "decoder.block.{n}."
    return (
        *_T5_OUTSIDE,
        *_t5_stack("enc.blk.{n}.", "encoder.block.{n}.", up, feed_forward=1),
        *_t5_stack(stored, canonical, up, feed_forward=2),
        *renamed(("cross_attn_norm", "layer.1.layer_norm"), start=(stored, canonical)),
        *_t5_attention(stored, f"{canonical}layer.1.EncDecAttention.", "cross_attn"),
    )


LLAMA = Layout(
    "llama_cpp",
    "llama.cpp",
    _SOURCE,
    (*_OUTSIDE, *_LAYER, *renamed(("ffn_norm", "post_attention_layernorm"), start=(_BLOCK, _HF))),
)
GEMMA = Layout(
    "llama_cpp_gemma", "llama.cpp", _SOURCE, (*_OUTSIDE, *_LAYER, *renamed(*_GEMMA_NORMS, start=(_BLOCK, _HF)))
)
T5 = Layout("llama_cpp_t5", "llama.cpp", _SOURCE, _t5_rows("wi_1"))
T5_UNGATED = Layout("llama_cpp_t5_ungated", "llama.cpp", _SOURCE, _t5_rows("wi"))
LLAMA_CPP = (LLAMA, GEMMA, T5, T5_UNGATED)

ARCHITECTURES: Mapping[str, Layout] = {
    **dict.fromkeys(("llama", "mistral3", "qwen2", "qwen2vl", "qwen3", "qwen3vl", "qwen3moe", "gemma"), LLAMA),
    **dict.fromkeys(("gemma2", "gemma3"), GEMMA),
    **dict.fromkeys(("t5", "t5encoder"), T5),
}
"""By what a header calls ``general.architecture``."""


def llama_cpp_layout(names: Collection[str], metadata: Mapping[str, str]) -> Layout | None:
    """The layout of a GGUF file's names; None where they are not llama.cpp's, or of an architecture without a row.

    Args:
        names: of the file.
        metadata: its texts.
    """
    layout = ARCHITECTURES.get(metadata.get("general.architecture", "")) if VERSION_KEY in metadata else None
    if layout is None or not any(name.startswith(("blk.", "enc.blk.", "dec.blk.")) for name in names):
        return None
    return T5_UNGATED if layout is T5 and not any(".ffn_gate." in name for name in names) else layout
