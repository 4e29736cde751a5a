"""Where a weight of a file stands in the model that transformers makes of it: the names that PEFT knows modules by.

A file's names are nearly always those of the class that wrote it. They differ where a program wrapped the model, where
a file of a model without a head is loaded into one with a head, whose body then has a name of its own, and where
transformers 5 keeps the experts of a layer in one tensor. Sources: transformers 5, ``base_model_prefix`` of
models/*/modeling_*.py and conversion_mapping.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from engine.models.wrappers import without_always

_OUTSIDE = ("module.", "base_model.model.", "state_dict.", "model_state_dict.")
"""What programs leave in front of a whole model, and what no class calls its body."""
_BODIES = {
    # model_type -> what classes with a head call the body; `model` for all others
    **dict.fromkeys(("gpt2", "gpt_neo", "gptj", "bloom", "falcon", "codegen", "gpt_bigcode", "mpt"), "transformer"),
    **dict.fromkeys(("roberta", "xlm-roberta", "camembert"), "roberta"),
    **{name: name for name in ("bert", "distilbert", "electra", "albert", "gpt_neox", "mobilebert")},
    **dict.fromkeys(("deberta", "deberta-v2"), "deberta"),
    **dict.fromkeys(("t5", "mt5", "umt5"), ""),
}
_HEADS = (
    *("lm_head.", "cls.", "score.", "classifier.", "qa_outputs.", "predictions.", "generator_", "pre_classifier."),
    *("discriminator_predictions.", "vocab_", "head.", "decoder.", "embed_out.", "multiple_choice_head."),
)
_SIGHTED = (
    # how a name of the language model begins in files, a name that only such files have, and what begins otherwise in
    # memory: models with sight, whose levels transformers 5 names anew when it loads them
    ("model.", "visual.", (("visual.", "model.visual."), ("model.", "model.language_model."))),
    (
        "language_model.model.",
        "language_model.model.",
        (
            ("language_model.model.", "model.language_model."),
            ("language_model.lm_head.", "lm_head."),
            ("vision_tower.", "model.vision_tower."),
            ("multi_modal_projector.", "model.multi_modal_projector."),
        ),
    ),
)
_ENDINGS_OF_BODIES = re.compile(r"(?<!LMHead)(?<!DoubleHeads)Model$")
_EMBEDDINGS = frozenset(
    (
        *("embed_tokens", "embed_positions", "embed_in", "embed_tokens_per_layer", "tok_embeddings", "shared"),
        *("wte", "wpe", "word_embeddings", "position_embeddings", "token_type_embeddings", "relative_attention_bias"),
        *("token_embedding", "position_embedding"),
    )
)
_ONE_EXPERT = re.compile(r"^(?P<module>.*\.experts)\.(?P<number>\d+)\.(?P<leaf>\w+)\.weight$")
_HALVES = {"gate_proj": 0, "up_proj": 1, "w1": 0, "w3": 1}
_GATE_UP, _DOWN = "gate_up_proj", "down_proj"
_OF_GRANITE = {"input_linear": _GATE_UP, "output_linear": _DOWN}
_ROUTER = re.compile(r"\.(gate|router|router\.layer|router\.linear)\.weight$")
_RENAMED = frozenset(("gate", "gate_proj", "up_proj", _DOWN, "w1", "w2", "w3"))
"""Modules that PEFT takes for experts or a router in a model with experts, wherever they stand."""


@dataclass(frozen=True)
class Place:
    """Where a matrix stands.

    Attributes:
        path: of its module, or where `parameter` of the parameter itself.
        parameter: whether PEFT has to be told the parameter: it belongs to no linear layer, or to one that PEFT would
            take for another.
        embedding: whether its rows are looked up.
        expert: its number in a tensor that holds the matrices of all experts; None for a matrix of its own.
        half: which of two matrices that transformers joins it is: 0 the gate, 1 the projection up.
        halves: how many are joined.
        swapped: PEFT takes (in, out) of the tensor for (out, in): Llama 4 does not mark its experts as transposed.
    """

    path: str
    parameter: bool = False
    embedding: bool = False
    expert: int | None = None
    half: int = 0
    halves: int = 1
    swapped: bool = False


class ModelClass:
    """The class of transformers that a file's ``config.json`` names, as far as names of modules depend on it.

    Args:
        config: the file's ``config.json``; empty where there is none.
        names: of the weights in the file.
    """

    def __init__(self, config: Mapping[str, Any], names: Collection[str]) -> None:
        words = config.get("architectures")
        self.name = str(words[0]) if isinstance(words, list) and words else ""
        cleaned = {clean(name) for name in names}
        self.experts = any(".experts." in name or ".block_sparse_moe." in name for name in cleaned)
        self._body = ""
        self._levels: tuple[tuple[str, str], ...] = ()
        for start, mark, levels in _SIGHTED if self.name.endswith("ForConditionalGeneration") else ():
            found = [any(name.startswith(word) for name in cleaned) for word in (start, mark, "model.language_model.")]
            self._levels = self._levels or (levels if found == [True, True, False] else ())
        body = _BODIES.get(str(config.get("model_type", "")), "model")
        headed = self.name and not _ENDINGS_OF_BODIES.search(self.name)
        if headed and body and not self._levels and not any(name.startswith(body + ".") for name in cleaned):
            self._body = body + "."
        if self.name or not cleaned:
            return
        self.name = "AutoModelForCausalLM" if _has_head(cleaned) else "AutoModel"

    @property
    def has_head(self) -> bool:
        """Whether it has a last layer that can be tied to the embeddings."""
        return self.name.endswith(("ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForConditionalGeneration"))

    def path(self, name: str) -> str:
        """The full name of a weight in an object of the class, from its name in the file."""
        name = clean(name)
        for start, level in self._levels:
            if name.startswith(start):
                return level + name.removeprefix(start)
        return self._body + name if self._body and not name.startswith(_HEADS) else name

    def place(self, name: str, *, expert: int | None = None, turned: bool = False) -> Place:
        """Where a matrix of the file stands.

        Args:
            name: of the weight in the file.
            expert: which matrix of a tensor of many experts it is; None where the tensor is the matrix.
            turned: whether that tensor holds matrices as (in, out).
        """
        path = self.path(name)
        if expert is not None:
            module, _, leaf = path.removesuffix(".weight").rpartition(".")
            if leaf in _OF_GRANITE:
                module, leaf = f"{module}.experts", _OF_GRANITE[leaf]
            swapped = turned and ".feed_forward." in path
            return Place(f"{module}.{leaf}", parameter=True, expert=expert, swapped=swapped)
        single = _ONE_EXPERT.match(path)
        if single is not None:
            module = single["module"].replace(".block_sparse_moe.", ".mlp.")
            number, leaf = int(single["number"]), single["leaf"]
            if leaf in _HALVES:
                return Place(f"{module}.{_GATE_UP}", parameter=True, expert=number, half=_HALVES[leaf], halves=2)
            return Place(f"{module}.{_DOWN}", parameter=True, expert=number)
        if self.experts and _ROUTER.search(path):
            path = path.replace(".block_sparse_moe.gate.", ".mlp.gate.").replace(".router.layer.", ".router.")
            return Place(path.replace(".router.linear.", ".router."), parameter=True)
        module = path.removesuffix(".weight")
        leaf = module.rpartition(".")[2]
        if self.experts and leaf in _RENAMED:
            return Place(path, parameter=True)
        return Place(module, embedding=leaf in _EMBEDDINGS)


def clean(name: str) -> str:
    """A name without what programs leave in front of a model or inside its names."""
    name = without_always(name)
    while (start := next((start for start in _OUTSIDE if name.startswith(start)), "")) and name != start:
        name = name.removeprefix(start)
    return name.removeprefix("model.") if name.startswith("model.model.") else name


def _has_head(names: Collection[str]) -> bool:
    """Whether the names are those of a model with a language head, which may be tied to its embeddings."""
    starts = ("lm_head.", "model.layers.", "transformer.h.")
    return any(name.startswith(starts) for name in names)
