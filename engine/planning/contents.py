"""What a file holds of what is chosen: as far as its format has a place for it, and its program loads it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from engine.decompose.method import LayerMethod
from engine.formats.lora_format import LoraFormat, Place
from engine.formats.programs import Loads, Program
from engine.models.families import Family
from engine.models.pairing import PairedWeight, Selection
from engine.planning.suitability import unsuitable, unsuitable_program
from engine.results import LeaveOutReason, LeftOut
from engine.settings import ExtractionSettings


@dataclass(frozen=True)
class Contents:
    """The weights that a file holds, by canonical name.

    Attributes:
        places: of those that are stored as factors or differences.
        whole_keys: of those that only the fine-tuned model has.
        kept_whole: of those of both models that are as the fine-tuned one has them.
        left_out: what is not in it for its format's or its program's sake.
    """

    places: Mapping[str, tuple[Place, ...]]
    whole_keys: Mapping[str, str]
    kept_whole: Mapping[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]

    @property
    def keys(self) -> list[str]:
        """Of all tensors of `places`."""
        return [key for places in self.places.values() for key in keys_of(places)]


def contents(
    row: LoraFormat,
    program: Program | None,
    loads: Loads | None,
    family: Family,
    selection: Selection,
    settings: ExtractionSettings,
    method: LayerMethod,
) -> Contents:
    """What a file will hold.

    Args:
        row: its format, for the pair.
        program: that it is for; None for what the format is written for.
        loads: what is loaded of it; None where nothing is known of that.
        family: of the models.
        selection: what is chosen of them.
        settings: of the file.
        method: how layers are decomposed.

    Raises:
        EngineError: ``format_unsuitable`` where the format holds nothing of what is chosen, ``program_unsuitable``
            where the program loads nothing of it.
    """
    kept_known = {weight.name: row.kept_whole(family, weight.name) for weight in selection.extracted}
    kept_known = {name: keys for name, keys in kept_known.items() if keys}
    kept = {
        weight.name: kept_known[weight.name]
        for weight in selection.extracted
        if weight.name in kept_known and _whole_module_is_loaded(loads, weight)
    }
    rest = [weight for weight in selection.extracted if weight.name not in kept_known]
    known = {weight.name: _places(row, family, weight, method, settings, loads) for weight in rest}
    found = {weight.name: _loaded_places(known[weight.name], weight, method, loads) for weight in rest}
    taken = {key: name for name, places in reversed(found.items()) for key in keys_of(places)}  # by the first weight
    held_places = {name: places for name, places in found.items() if places and _owner(taken, places) == name}
    if selection.extracted and not held_places:
        if program is not None and any(known.values()):
            raise unsuitable_program(program, family, "nothing")
        raise unsuitable(row, family, "nothing")
    whole_known = {name: row.whole_key(family, name) for name in selection.new}
    whole = {name: key for name, key in whole_known.items() if whole_is_loaded(loads, name, key)}
    taken = {key: name for name, key in reversed(whole.items()) if key is not None} | taken
    whole_keys = {name: key for name, key in whole.items() if key is not None and taken[key] == name}
    details = {name: row.title for name in (*found, *whole_known, *kept_known) if name not in kept}
    for name, places in found.items():
        if places and name not in held_places:
            details[name] = f"{row.title}: the same key as {_owner(taken, places)}"
    for name, key in whole.items():
        if key is not None and name not in whole_keys:
            details[name] = f"{row.title}: the same key as {taken[key]}"
    names = [name for name in details if name not in held_places and name not in whole_keys]
    ignored = {name for name, places in known.items() if places and not found[name]} | whole_known.keys() - whole.keys()
    ignored |= kept_known.keys() - kept.keys()
    if program is not None:
        details |= dict.fromkeys(ignored, program.title)
    left_out = _left_out({name: details[name] for name in names}, ignored, selection)
    return Contents(held_places, whole_keys, kept, left_out)


def whole_is_loaded(loads: Loads | None, name: str, key: str | None) -> bool:
    """Whether a weight that is set as a whole is loaded; true of one that the format has no key for."""
    return loads is None or key is None or loads.takes_whole(name, key)


def _whole_module_is_loaded(loads: Loads | None, weight: PairedWeight) -> bool:
    """Whether a weight is loaded that is kept as it is: those of modules go the way of norms, whatever they are."""
    return loads is None or loads.takes(weight.name, "bias" if weight.kind == "bias" else "norm", factors=False)


def _loaded_places(
    places: tuple[Place, ...], weight: PairedWeight, method: LayerMethod, loads: Loads | None
) -> tuple[Place, ...]:
    """The places of a layer that are loaded; none where not all of its rows are."""
    if loads is None:
        return places
    if not loads.takes(weight.name, weight.kind, factors=method.stores_factors(weight.kind)):
        return ()
    read = tuple(place for place in places if all(loads.takes_key(weight.name, key) for key in place.keys.values()))
    return read if {place.rows for place in read} == {place.rows for place in places} else ()


def _places(
    row: LoraFormat,
    family: Family,
    weight: PairedWeight,
    method: LayerMethod,
    settings: ExtractionSettings,
    loads: Loads | None,
) -> tuple[Place, ...]:
    factors = method.stores_factors(weight.kind)
    places = row.places(family, weight.name, weight.kind, weight.shape, factors=factors)
    enlarges = settings.set_weight and weight.may_be_enlarged and (loads is None or loads.reshape)
    if not (places and factors and enlarges):
        return places
    key = row.reshape_key(family, weight.name)
    return places if key is None else (replace(places[0], keys={**places[0].keys, "reshape": key}), *places[1:])


def keys_of(places: Iterable[Place]) -> list[str]:
    """The keys of all parts of some places."""
    return [key for place in places for key in place.keys.values()]


def _owner(taken: Mapping[str, str], places: Iterable[Place]) -> str:
    """The first weight that has one of a weight's keys; the weight itself where there is no other."""
    return next(iter(dict.fromkeys(taken[key] for key in keys_of(places))))


def _left_out(details: Mapping[str, str], ignored: Collection[str], selection: Selection) -> tuple[LeftOut, ...]:
    """What the format has no place for and what the program ignores, by name with what there is to say about it."""
    reasons = {True: LeaveOutReason.NOT_LOADED, False: LeaveOutReason.NOT_IN_FORMAT}
    sizes = {name: (math.prod(view.shape), view.component) for name, view in selection.new.items()}
    sizes |= {weight.name: (weight.numel, weight.component) for weight in selection.extracted}
    return tuple(
        LeftOut(name, reasons[name in ignored], detail, numel=sizes[name][0], component=sizes[name][1])
        for name, detail in details.items()
    )
