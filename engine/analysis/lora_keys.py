"""Which keys of a LoRA file change which rows of which weight, whatever tool wrote them and however it ends its keys.

Registered formats say where they put a layer; beside these the spellings are tried in which other tools name the same
modules: native or diffusers' names, dotted or with underscores, behind the prefixes that are in use. Sources of those:
ComfyUI, comfy/lora.py (``model_lora_keys_unet``, ``model_lora_keys_clip``) and comfy/weight_adapter/lora.py (endings);
diffusers 0.42, loaders/lora_conversion_utils.py and utils/state_dict_utils.py.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.checkpoints import Checkpoint
from engine.decompose.method import StoredPart
from engine.errors import EngineError, ErrorCode
from engine.formats import registry
from engine.formats.diffusers import METADATA_KEY
from engine.formats.lora_format import LoraFormat, LoraIndex, Place
from engine.formats.registry import formats_of, likeliest
from engine.models.layouts import LAYOUTS, NATIVE
from engine.models.names import DENOISER
from engine.models.pairing import PairedWeight, Pairing

_ENDINGS: dict[str, StoredPart] = {
    ".lora_up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_B.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_A.default.weight": "down",
    ".lora_B": "up",
    ".lora_A": "down",
    ".lora.up.weight": "up",
    ".lora.down.weight": "down",
    "_lora.up.weight": "up",
    "_lora.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    ".alpha": "alpha",
    ".diff": "difference",
}
_BIAS = ".diff_b"
_OTHER_KINDS: dict[str, str] = {
    # ending -> what such a file is called: its change is more than a product of two factors
    ".dora_scale": "DoRA",
    ".lora_magnitude_vector": "DoRA",
    ".lora_magnitude_vector.weight": "DoRA",
    **{f".lokr_{part}": "LoKr" for part in ("w1", "w2", "w1_a", "w1_b", "w2_a", "w2_b", "t2")},
    **{f".hada_{part}": "LoHa" for part in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    ".oft_blocks": "OFT",
    ".oft_diag": "OFT",
    ".lora_mid.weight": "LoCon",
    ".on_input": "(IA)^3",
}
_DOTTED = (
    "",
    "diffusion_model.",
    "transformer.",
    "unet.",
    "model.diffusion_model.",
    "base_model.model.",
    "base_model.model.transformer.",
)
_UNDERSCORED = ("lora_unet_", "lora_transformer_", "lycoris_")
_ENCODERS: dict[str, tuple[tuple[str, ...], ...]] = {
    # family -> its text encoders in the order of diffusers' pipelines and of trainers
    "sd1": (("clip_l", "clip_h"),),
    "sdxl": (("clip_l",), ("clip_g",)),
    "sd3": (("clip_l",), ("clip_g",), ("t5xxl",)),
    "flux": (("clip_l",), ("t5xxl",)),
    "chroma": (("t5xxl",),),
}
_FOREIGN = ""  # instead of a format's key
_AS_THIRD = ("flux", "chroma")  # whose T5 trainers call the third, as in SD3


@dataclass(frozen=True)
class LoraKeys:
    """A LoRA's keys by the weights that they change.

    Attributes:
        format: the registered format that knows most of the keys of these weights; None where others wrote them.
        places: of each weight, with the keys that are in the file alone; empty where there are none.
        enlarged: of weights that are enlarged to the fine-tuned model's shape, the key that says so.
        whole: the names of weights that only the fine-tuned model has and that the file holds as they are.
        kept: of weights that the file holds as they are, the key.
        of_weights: keys that belong to one of these weights.
        known: these, and those of weights that are set as a whole.
        scale: what the product of a pair of factors is multiplied by where no alpha says it, by the key of its down and
            its rank.
    """

    format: LoraFormat | None
    places: Mapping[str, tuple[Place, ...]]
    enlarged: Mapping[str, str]
    whole: frozenset[str]
    kept: Mapping[str, str]
    of_weights: frozenset[str]
    known: frozenset[str]
    scale: Callable[[str, int], float]


def read_keys(file: Checkpoint, pairing: Pairing, weights: list[PairedWeight]) -> LoraKeys:
    """Find the keys of each weight.

    Args:
        file: the LoRA.
        pairing: the two models.
        weights: of them, those that are judged.

    Raises:
        EngineError: ``not_a_lora`` where no key ends as a LoRA's; ``lora_mismatch`` with the reason ``kind`` for a file
            whose change is no product of two factors.
    """
    refuse_other_kinds(file)
    own = formats_of(file.stored.keys())
    modules = _modules(file.stored)
    if not own and not any("up" in parts or "down" in parts for parts in modules.values()):
        raise EngineError(ErrorCode.NOT_A_LORA, file=file.path)
    rows = [(row.for_pair(pairing), row.parse(file.stored)) for row in registry.FORMATS]
    spellings = _Spellings(pairing)
    places: dict[str, tuple[Place, ...]] = {}
    counts: dict[str, int] = {}
    taken: set[str] = set()
    for weight in weights:
        found = list[Place]()
        for row, place in _candidates(weight, pairing, rows, spellings, modules):
            keys = place.keys
            whole = "difference" in keys or {"up", "down"} <= keys.keys()
            there = [other for other in found if _rows(place, weight) == _rows(other, weight)]
            in_two_forms = any(("up" in other.keys) != ("up" in keys) for other in there)
            if not whole or in_two_forms or taken & set(keys.values()):
                continue
            taken |= set(keys.values())
            counts[row] = counts.get(row, 0) + len(keys)
            if not there:  # else another spelling of the same change, of which programs read one
                found.append(place)
        places[weight.name] = tuple(found)
    kept = _kept(file, [row for row, _ in rows], [weight for weight in weights if not places[weight.name]], counts)
    taken |= {key for keys in kept.values() for key in keys}
    enlarged = _enlarged(file, [row for row, _ in rows], pairing, weights)
    whole_keys = frozenset(key for _, index in own for key in index.whole)
    family = pairing.family
    names = {name for name in pairing.only_finetuned for row, _ in rows if row.whole_key(family, name) in whole_keys}
    known = {row: counts[row.key] for row in registry.FORMATS if counts.get(row.key)}
    if counts.get(_FOREIGN, 0) > sum(known.values()):
        known = {}
    return LoraKeys(
        likeliest(known, file.metadata) if known else None,
        places,
        enlarged,
        frozenset(names),
        {name: keys[0] for name, keys in kept.items()},
        frozenset(taken | {*enlarged.values()}),
        frozenset(taken | {*enlarged.values()} | whole_keys),
        _scales(file.metadata),
    )


def _kept(
    file: Checkpoint, rows: list[LoraFormat], weights: list[PairedWeight], counts: dict[str, int]
) -> dict[str, list[str]]:
    """The keys of weights that the file holds as they are, each with its copies; those of each format are counted."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for weight in weights:
            keys = [key for key in row.whole_keys_in_files(weight.name) if key in file.stored]
            if keys:
                found.setdefault(weight.name, keys)
                counts[row.key] = counts.get(row.key, 0) + len(keys)
    return found


def refuse_other_kinds(file: Checkpoint) -> None:
    """Raise `EngineError` ``lora_mismatch`` for what is no product of two factors, with its name."""
    for key in file.stored:
        kind = next((kind for ending, kind in _OTHER_KINDS.items() if key.endswith(ending)), None)
        if key.endswith(".a1.weight") and key.removesuffix("a1.weight") + "b2.weight" in file.stored:
            kind = "GLoRA"
        if kind is not None:
            raise EngineError(ErrorCode.LORA_MISMATCH, file=file.path, tensor=key, reason="kind", kind=kind)


Modules = Mapping[str, Mapping[StoredPart, str]]
"""The keys of each part, by the name of the module that they end."""


def _modules(keys: Mapping[str, object]) -> Modules:
    found: dict[str, dict[StoredPart, str]] = {}
    for key in keys:
        ending = next((ending for ending in _ENDINGS if key.endswith(ending)), None)
        if ending is not None:
            found.setdefault(_base(key, ending), {})[_ENDINGS[ending]] = key
        elif key.endswith(_BIAS):
            found.setdefault(key.removesuffix(_BIAS) + _BIAS, {})["difference"] = key
    return found


def _base(key: str, ending: str) -> str:
    """The module of a key; attention's processors of the first diffusers stand for the modules around them."""
    base = key.removesuffix(ending)
    if not ending.startswith("_lora"):
        return base
    base = base.replace(".processor.", ".")
    return f"{base}.0" if base.endswith(".to_out") else base


_Row = tuple[LoraFormat, LoraIndex | None]


def _candidates(
    weight: PairedWeight, pairing: Pairing, rows: list[_Row], spellings: _Spellings, modules: Modules
) -> Iterator[tuple[str, Place]]:
    """Where keys of a weight stand in the file, with the format's key; first where the formats put them."""
    family = pairing.family
    for factors in (True, False) if weight.kind in ("matrix", "conv") else (False,):
        for row, index in rows:
            if index is not None and (factors or row.holds_differences):
                for place in row.places(family, weight.name, weight.kind, weight.shape, factors=factors):
                    yield row.key, replace(place, keys=index.found(place.keys))
    for place in spellings.of(weight):
        keys = modules.get(place.keys["up"])
        if keys is not None:
            yield _FOREIGN, replace(place, keys=keys)


class _Spellings:
    """The names that other tools may give a module; in place of keys stands the module's name alone."""

    def __init__(self, pairing: Pairing) -> None:
        self._family = pairing.family.key
        names = [name.removeprefix(DENOISER) for name in pairing.names if name.startswith(DENOISER)]
        layouts = [NATIVE, *(it for it in LAYOUTS.values() if it.family == self._family and it.component == "denoiser")]
        self._layouts = [layout.for_canonical(names) for layout in layouts]
        self._present = [
            frozenset(name for canonical in names for name in layout.stored_names(canonical))
            for layout in self._layouts
        ]

    def of(self, weight: PairedWeight) -> Iterator[Place]:
        """The spellings of a weight's module, each once."""
        seen: set[tuple[str, tuple[int, int] | None]] = set()
        for name, place in self._all(weight):
            if (name, place.rows) not in seen:
                seen.add((name, place.rows))
                yield Place({"up": name}, place.rows, place.swapped, place.transposed)

    def _all(self, weight: PairedWeight) -> Iterator[tuple[str, Place]]:
        whole = Place({})
        for view in (weight.original, weight.finetuned):
            if len(view.pieces) == 1 and view.shape == view.source.shape:
                for prefix in _DOTTED:
                    yield prefix + _module(view.source.name), whole
        if weight.name.startswith(DENOISER):
            for layout, present in zip(self._layouts, self._present, strict=True):
                for share in layout.shares(weight.name.removeprefix(DENOISER), weight.shape, present):
                    place = Place({}, share.rows, share.swapped, share.transposed)
                    for name in _spelled(_module(share.name), _DOTTED, _UNDERSCORED):
                        yield name, place
            return
        for name in self._encoder_names(weight.name):
            yield name, whole

    def _encoder_names(self, name: str) -> Iterator[str]:
        part, _, inner = name.partition(".transformer.")
        clip = part.removeprefix("text_encoders.")
        numbers = [at for at, clips in enumerate(_ENCODERS.get(self._family, ())) if clip in clips]
        dotted, underscored = [f"{part}.transformer.", f"{clip}.", f"{clip}.transformer."], list[str]()
        for number in numbers:
            dotted.append(f"text_encoder_{number + 1}." if number else "text_encoder.")
            underscored.append(f"lora_te{number + 1}_")
            underscored += [] if number else ["lora_te_"]
        if clip == "t5xxl" and self._family in _AS_THIRD:
            underscored.append("lora_te3_")
        for spelled in dict.fromkeys((inner, inner.removeprefix("text_model."))):
            yield from _spelled(_module(spelled), tuple(dotted), tuple(underscored))


def _spelled(module: str, dotted: tuple[str, ...], underscored: tuple[str, ...]) -> Iterator[str]:
    yield from (prefix + module for prefix in dotted)
    bias = _BIAS if module.endswith(_BIAS) else ""
    joined = module.removesuffix(_BIAS).replace(".", "_")
    yield from (prefix + joined + bias for prefix in underscored)


def _module(name: str) -> str:
    """What stands for a weight before an ending: its module; of a bias the module and the ending of its difference."""
    return name.removesuffix(".bias") + _BIAS if name.endswith(".bias") else name.removesuffix(".weight")


def _rows(place: Place, weight: PairedWeight) -> tuple[int, int]:
    return place.rows or (0, weight.shape[0] if weight.shape else 1)


def _enlarged(
    file: Checkpoint, rows: list[LoraFormat], pairing: Pairing, weights: list[PairedWeight]
) -> dict[str, str]:
    """The keys of the shapes that weights of a larger fine-tuned side are enlarged to."""
    keys = (
        (weight.name, row.reshape_key(pairing.family, weight.name))
        for row in rows
        for weight in weights
        if weight.may_be_enlarged
    )
    return {name: key for name, key in keys if key is not None and key in file.stored}


def _scales(metadata: Mapping[str, str]) -> Callable[[str, int], float]:
    """What a file without alphas is multiplied by: as its configuration of PEFT says, else 1."""
    try:
        config = json.loads(metadata.get(METADATA_KEY, "{}"))
    except ValueError:
        config = {}
    components: dict[str, dict[str, Any]] = {}
    for name, value in config.items() if isinstance(config, dict) else ():
        component, _, word = name.partition(".")
        components.setdefault(component, {})[word] = value

    def scale(key: str, rank: int) -> float:
        component, _, module = key.partition(".")
        found = components.get(component)
        if found is None:
            return 1.0
        module = next((module.removesuffix(ending) for ending in _ENDINGS if module.endswith(ending)), module)
        alpha = _of_pattern(found.get("alpha_pattern"), module, found.get("lora_alpha", rank))
        return float(alpha) / (math.sqrt(rank) if found.get("use_rslora") else rank)

    return scale


def _of_pattern(patterns: object, module: str, otherwise: float) -> float:
    """PEFT's rule (utils/other.py, ``get_pattern_key``): the first pattern that is the end of a module's name."""
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        try:
            if re.match(rf"(.*\.)?({pattern})$", module):
                return float(value)
        except re.error:
            continue
    return otherwise
