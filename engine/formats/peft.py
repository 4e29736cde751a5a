"""PEFT's adapters of models of transformers: a folder with the weights, ``adapter_config.json`` and a model card.

Keys are ``base_model.model.``, the module's full name in the model, and ``.lora_A.weight`` (rank, in) or
``.lora_B.weight`` (out, rank); of embeddings ``.lora_embedding_A`` (rank, vocabulary) and ``.lora_embedding_B`` (width,
rank). All are scaled so that ``lora_alpha`` is the rank of every layer, which is right too for programs that read no
``alpha_pattern``.

Norms, and embeddings that have new rows or are the last layer too, are there as they are (``modules_to_save``), biases
likewise (``bias: all``): PEFT has no differences. Of adapters for tied embeddings PEFT 0.21 gives either the loaded or
the merged model the right values, never both. Sources: PEFT 0.21, tuners/tuners_utils.py, tuners/lora/layer.py,
utils/other.py and utils/transformers_weight_conversion.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from engine.decompose.method import StoredPart
from engine.formats.lora_format import LayerKeys, LoraFormat, LoraIndex, Place, index_of
from engine.formats.peft_config import (
    ALPHA,
    BIAS,
    DOWN,
    EMBEDDING_DOWN,
    EMBEDDING_UP,
    MARK,
    PREFIX,
    UP,
    WHOLE,
    Adapter,
    Stack,
    Target,
    adapter_config,
    config_text,
    expert_key,
    published_name,
)
from engine.formats.transformers_names import ModelClass
from engine.formats.transformers_names import Place as ModulePlace
from engine.models.families import Family
from engine.models.language_models import CONV1D
from engine.models.pairing import PairedWeight, Pairing

_FAMILIES = ("generic", "llama", "llama_base", "gpt2", "bert")
_HEAD = "lm_head.weight"
_SHARED, _COPIES = "shared", ("encoder.embed_tokens", "decoder.embed_tokens")
"""T5's embeddings, and the modules that look up in them: PEFT 0.21 cannot tie those to one."""
_BERTS_EMBEDDINGS, _BERTS_HEAD, _BERTS_BIAS = "word_embeddings", "cls.predictions.decoder", "cls.predictions.bias"
_VOCABULARIES = ("embed_tokens", "wte", "shared", "embed_in", "lm_head", _BERTS_EMBEDDINGS)
_ENDINGS: dict[str, StoredPart] = {DOWN: "down", UP: "up", EMBEDDING_DOWN: "down", EMBEDDING_UP: "up", ALPHA: "alpha"}
_ENDINGS |= {f"{MARK}up": "up", f"{MARK}down": "down", f"{MARK}alpha": "alpha"}


class Peft(LoraFormat):
    """What PEFT and vLLM load into models of transformers."""

    key = "peft"
    title = "PEFT"
    holds_differences = False
    scale_baked = True
    names_alpha = True
    own_prefixes = True
    ending = ""
    writer = "engine.formats.peft_folder"

    def __init__(self, pair: _Pair | None = None) -> None:
        """Without a pair of models no weight has a key: names depend on the original's files."""
        self._pair = pair

    def for_pair(self, pairing: Pairing) -> Peft:
        """See `LoraFormat.for_pair`."""
        return Peft(_Pair(pairing))

    @property
    def adapter(self) -> Adapter:
        """What the writer has to know of the models."""
        return Adapter() if self._pair is None else self._pair.adapter

    def places(self, family: Family, name: str, kind: str, shape: Sequence[int], *, factors: bool) -> tuple[Place, ...]:
        """See `LoraFormat.places`. Factors of experts have keys that `engine.formats.peft_folder` joins."""
        place = self._pair.places.get(name) if factors and self._pair is not None else None
        if place is None or (len(shape) > 2 and shape[1] == 1):  # PEFT refuses what is cut into groups
            return ()
        assert self._pair is not None
        key = self._pair.target_key(place)
        if place.expert is not None:
            start = expert_key(key, place.expert, place.half, place.halves)
            keys: LayerKeys = {"up": f"{start}up", "down": f"{start}down", "alpha": f"{start}alpha"}
            return (Place(keys, zeros=place.halves - 1),)
        alpha = key + ALPHA
        if place.embedding:  # (vocabulary, width) is PEFT's (in, out)
            return (Place({"down": key + EMBEDDING_DOWN, "up": key + EMBEDDING_UP, "alpha": alpha}, transposed=True),)
        return (Place({"down": key + DOWN, "up": key + UP, "alpha": alpha}),)

    def kept_whole(self, family: Family, name: str) -> tuple[str, ...]:
        """See `LoraFormat.kept_whole`."""
        return () if self._pair is None else self._pair.whole.get(name, ())

    def whole_keys_in_files(self, name: str) -> tuple[str, ...]:
        """The keys under which a weight can be in a file as it is, by whichever tool."""
        return () if self._pair is None else self._pair.whole_keys(name)

    def parse(self, keys: Iterable[str]) -> LoraIndex | None:
        """See `LoraFormat.parse`. A layer is called as its module in the model, with PEFT's prefix."""
        index = index_of(keys, _ENDINGS, prefixes=(PREFIX,))
        return None if index is None else replace(index, endings={})

    def bytes_beside(self, ranks: Mapping[str, int | None], kept: Iterable[str]) -> int:
        """See `LoraFormat.bytes_beside`: ``adapter_config.json``; the card is small."""
        return 0 if self._pair is None else self._pair.config_bytes(ranks, [key.partition(MARK)[0] for key in kept])

    def problem(self, family: Family) -> str | None:
        """``no_names`` for models that transformers has no class of."""
        return None if family.key in _FAMILIES or family.text_encoder else "no_names"


@dataclass(frozen=True)
class _Pair:
    """What becomes of the weights of a pair of models."""

    pairing: Pairing
    model: ModelClass = field(init=False)

    def __post_init__(self) -> None:
        names = [piece.source.name for weight in self.pairing.weights for piece in weight.original.pieces]
        object.__setattr__(self, "model", ModelClass(self.pairing.config, names))

    @cached_property
    def places(self) -> dict[str, ModulePlace]:
        """Of the matrices that can be factors, by canonical name."""
        weights = (weight for weight in self.pairing.weights if weight.kind in ("matrix", "conv"))
        found = {weight.name: self._place(weight) for weight in weights if weight.name not in self.whole}
        return {name: place for name, place in found.items() if place is not None}

    def _place(self, weight: PairedWeight) -> ModulePlace | None:
        view = weight.original
        if len(view.pieces) != 1:
            return None
        (piece,) = view.pieces
        if piece.rows is not None or (piece.transposed and view.layout != CONV1D and view.expert is None):
            return None
        return self.model.place(self._name(weight), expert=view.expert, turned=piece.transposed)

    def _name(self, weight: PairedWeight) -> str:
        """A weight's name in the original's file; of a last layer that is the embeddings there, its own."""
        name = weight.original.source.name.rpartition("/")[2]
        if weight.name.endswith(_HEAD) and not name.endswith(_HEAD):
            return _HEAD
        layout = weight.original.layout
        return weight.name.removeprefix("diffusion_model.") if layout.startswith("llama_cpp") else name

    @cached_property
    def paths(self) -> dict[str, str]:
        """The full name of every weight in the model, by canonical name."""
        return {weight.name: self.model.path(self._name(weight)) for weight in self.pairing.weights}

    @cached_property
    def tied(self) -> bool:
        """Whether the model's last layer is its embeddings."""
        said = self.pairing.config.get("tie_word_embeddings")
        if self._head is None:
            return said is not False and self.model.has_head
        own = (side.source.name.endswith(_HEAD) for side in (self._head.original, self._head.finetuned))
        return all(own) and said is True

    @cached_property
    def whole(self) -> dict[str, tuple[str, ...]]:
        """The keys of weights that are written as they are, by canonical name."""
        found = {weight.name: self._whole(weight) for weight in self.pairing.weights}
        return {name: keys for name, keys in found.items() if keys}

    def _whole(self, weight: PairedWeight) -> tuple[str, ...]:
        path = self.paths[weight.name]
        module = path.rpartition(".")[0]
        vocabulary = weight.kind == "matrix" and module.rpartition(".")[2] in _VOCABULARIES
        several = module == _SHARED or self.tied or self._untied_by_tuning
        if vocabulary and not weight.lacking and (several or weight.grown):
            return self._whole_modules(module, *self._copies(module))
        if path == _BERTS_BIAS and self.tied:
            return (f"{PREFIX}{path}{MARK}{WHOLE}", f"{PREFIX}{_BERTS_HEAD}.bias{MARK}{WHOLE}")
        if weight.common is not None:
            return ()
        beside = weight.kind if weight.kind == "norm" else self._kinds.get(module) if weight.kind == "bias" else None
        if beside == "norm" and self._alone(module):
            return (f"{PREFIX}{path}{MARK}{WHOLE}",)
        return (f"{PREFIX}{path}{MARK}{BIAS}",) if beside == "matrix" else ()

    def _copies(self, module: str) -> tuple[str, ...]:
        """The other modules that have the same weight as the embeddings."""
        halves = [half for half in _COPIES if any(path.startswith(half.partition(".")[0]) for path in self._modules)]
        copies = tuple(halves) if module == _SHARED else ()
        if not self.tied or self._head is not None:
            return copies
        return (*copies, _BERTS_HEAD if module.endswith(_BERTS_EMBEDDINGS) else "lm_head")

    def whole_keys(self, name: str) -> tuple[str, ...]:
        """The keys under which a weight can be in a file as it is; of a bias beside factors that of the layer below."""
        path = self.paths.get(name)
        if path is None:
            return ()
        module, _, parameter = path.rpartition(".")
        own = (PREFIX + path, f"{PREFIX}{module}.base_layer.bias") if parameter == "bias" else (PREFIX + path,)
        copies = (key.partition(MARK)[0] for key in self.whole.get(name, ()) if key.endswith(WHOLE))
        return tuple(dict.fromkeys((*own, *copies)))

    def _whole_modules(self, *modules: str) -> tuple[str, ...]:
        keys = tuple(f"{PREFIX}{module}.weight{MARK}{WHOLE}" for module in modules)
        return keys if all(map(self._alone, modules)) else ()

    @cached_property
    def _head(self) -> PairedWeight | None:
        """The last layer, where the pair has one."""
        return next((weight for weight in self.pairing.weights if weight.name.endswith(_HEAD)), None)

    @property
    def _untied_by_tuning(self) -> bool:
        """Whether the fine-tuned model has a last layer of its own that is the embeddings in the original."""
        return self._head is not None and not self._head.original.source.name.endswith(_HEAD)

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """Kinds of the weights called ``weight``, by module."""
        endings = ((self.paths[weight.name].rpartition("."), weight.kind) for weight in self.pairing.weights)
        return {module: kind for (module, _, parameter), kind in endings if parameter == "weight"}

    def _alone(self, module: str) -> bool:
        """Whether PEFT, which compares the ends of names, takes no other module for this one."""
        last = module.rpartition(".")[2]
        words = (last,) if last != module else tuple(word for word in self._by_last_word if word.endswith(module))
        return not any(
            other != module and other.endswith(module) for word in words for other in self._by_last_word.get(word, ())
        )

    @cached_property
    def _by_last_word(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for module in self._modules:
            found.setdefault(module.rpartition(".")[2], []).append(module)
        return found

    @cached_property
    def _modules(self) -> frozenset[str]:
        paths = self.paths.values()
        return frozenset(path[:end] for path in paths for end in range(len(path)) if path[end] == ".")

    def target_key(self, place: ModulePlace) -> str:
        """How the keys of a target begin."""
        module = place.path.rpartition(".")[0] if place.parameter else place.path
        if place.path.endswith(".gate_up_proj") and f"{module}.down_proj" in self._stacked:
            return f"{PREFIX}{module}.base_layer"  # PEFT wraps a module once for each of its parameters
        return PREFIX + module

    def config_bytes(self, ranks: Mapping[str, int | None], whole: list[str]) -> int:
        """The largest size of the configuration, see `Peft.bytes_beside`."""
        found: dict[str, int] = {}
        for number, (name, rank) in enumerate(ranks.items()):
            place = self.places[name]
            key, most = self.target_key(place), (4096 - min(number, 1) if rank is None else rank) * place.halves
            found[key] = max(found.get(key, 0), most)
        return len(config_text(adapter_config(self.adapter, found, {}, whole)).encode())

    @cached_property
    def _stacked(self) -> dict[str, list[tuple[ModulePlace, PairedWeight]]]:
        """The matrices of experts by the parameter that holds them."""
        found: dict[str, list[tuple[ModulePlace, PairedWeight]]] = defaultdict(list)
        by_name = {weight.name: weight for weight in self.pairing.weights}
        for name, place in self.places.items():
            if place.expert is not None:
                found[place.path].append((place, by_name[name]))
        return dict(found)

    @cached_property
    def adapter(self) -> Adapter:
        """What the writer has to know."""
        targets = {}
        for place in self.places.values():
            key = self.target_key(place)
            targets[key] = Target(key, place.path, place.parameter)
        stacks = {}
        for members in self._stacked.values():
            place, weight = members[0]
            rows, columns = weight.shape
            key = self.target_key(place)
            outer = key.removesuffix(".base_layer") if key.endswith(".base_layer") else ""
            experts = 1 + max(place.expert or 0 for place, _ in members)
            stacks[key] = Stack(experts, place.halves, rows * place.halves, columns, place.swapped, outer)
        turned = sum(weight.original.layout == CONV1D for weight in self.pairing.weights)
        embeddings = (weight for weight in self.pairing.weights if weight.name in self.whole and weight.grown)
        return Adapter(
            model=self.model.name,
            finetuned=published_name(self.pairing.paths[0]),
            original=published_name(self.pairing.paths[1]),
            targets=targets,
            stacks=stacks,
            conv1d=turned > 0,
            vocabulary=next((weight.finetuned.shape[0] for weight in embeddings), None),
            tied=self.tied and _SHARED not in self._modules,
        )
