"""The files that a run will write: format, how layers are stored, keys, name and largest size of each."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.decompose.method import LayerMethod, StoringRule
from engine.disk import free_bytes, same_disk
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.formats.header_room import header_room
from engine.formats.lora_format import LoraFormat, Place
from engine.formats.output_path import check_writable, first_free, numbered, output_folder_and_stem, rank_label
from engine.formats.registry import FORMATS, format_named, formats_for
from engine.models.families import Family
from engine.models.pairing import PairedWeight, Pairing, Selection
from engine.planning.costs import enlarging_bytes, matrix_shape, stored_bytes
from engine.planning.coverage import cover
from engine.results import Coverage, LeaveOutReason, LeftOut
from engine.settings import ExtractionSettings, HardwareSettings

_LENGTH_BYTES = 8  # the format's own first field


@dataclass(frozen=True)
class Output:
    """One file of a run.

    Attributes:
        made_with: the settings as the file's report names them, JSON values.
        made_with_text: the same as its header holds them, JSON.
        title: its name without the figures.
        rank: of all layers; None where a rule or the type decides.
        rank_label: the same in its name: ``32``, ``full`` or ``adaptive_fro_0.85``.
        format: gives layers their keys.
        storing: how layers are stored in it.
        places: of the layers that it holds, by canonical name.
        whole_keys: of the weights that only the fine-tuned model has and that it holds, by canonical name.
        left_out: what is not in it, and why.
        folder: where it goes.
        stem: its name up to the counter.
        name: the file name that is free now.
        header_bytes: room to reserve for its header.
        output_bytes: largest size of it.
        identity: everything that decides its bytes, beside the two models.
        coverage: of how much of the models its figures will speak.
    """

    made_with: dict[str, Any]
    made_with_text: str
    title: str
    rank: int | None
    rank_label: str
    format: LoraFormat
    storing: StoringRule
    places: Mapping[str, tuple[Place, ...]]
    whole_keys: Mapping[str, str]
    left_out: tuple[LeftOut, ...]
    folder: Path
    stem: str
    name: str
    header_bytes: int
    output_bytes: int
    identity: str
    coverage: Coverage

    @cached_property
    def enlarged(self) -> frozenset[str]:
        """The names of weights that it enlarges to the fine-tuned model's shape, new part included."""
        return _enlarged(self.places)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what was chosen and the format has no place for."""
        return tuple(item.name for item in self.left_out if item.reason is LeaveOutReason.NOT_IN_FORMAT)


def plan_outputs(
    pairing: Pairing,
    selection: Selection,
    chosen: Sequence[ExtractionSettings],
    hardware: HardwareSettings,
    method: LayerMethod,
    output_dir: Path,
) -> tuple[Output, ...]:
    """Plan the files of a run: one for each of the settings, see `_output`, under names that differ.

    Raises:
        EngineError: as `_output`; ``nothing_selected``, ``output_unwritable`` where a folder takes no file, or
            ``disk_full`` where the files cannot fit.
    """
    numbers: Counter[tuple[Path, str]] = Counter()
    outputs = tuple(_output(pairing, selection, settings, hardware, method, output_dir, numbers) for settings in chosen)
    if not selection.extracted:
        raise EngineError(ErrorCode.NOTHING_SELECTED, matched=len(pairing.weights))
    _check_folders(outputs, exact=method.exact_size)
    return outputs


def _check_folders(outputs: tuple[Output, ...], *, exact: bool) -> None:
    needed: Counter[Path] = Counter()  # by the first folder on each disk
    for output in outputs:
        check_writable(output.folder)
        disk = next((folder for folder in needed if same_disk(folder, output.folder)), output.folder)
        needed[disk] += output.output_bytes
    for folder, size in needed.items():
        free = free_bytes(folder)
        if exact and free is not None and size > free:
            raise EngineError(ErrorCode.DISK_FULL, file=folder, needed=size, free=free)


def _output(
    pairing: Pairing,
    selection: Selection,
    settings: ExtractionSettings,
    hardware: HardwareSettings,
    method: LayerMethod,
    output_dir: Path,
    numbers: Counter[tuple[Path, str]],
) -> Output:
    """Plan one file.

    Args:
        pairing: the two models.
        selection: what is chosen of them.
        settings: what to write; of these the format, the file name, and how layers are stored.
        hardware: how the machine is used, which stands in the name and the header.
        method: how layers are decomposed, the same for all files of a run.
        output_dir: the output folder.
        numbers: the last counter that a file of the run takes, by folder and stem; the file's own is noted in it.

    Raises:
        EngineError: ``output_escapes``, ``format_unknown``, or ``format_unsuitable`` where the format cannot be
            written for these models, or at this type, or holds nothing of what is chosen, or ``dtype_unsuitable`` for
            a precision that these files cannot have.
    """
    row = format_named(settings.key_format).for_pair(pairing)
    folder, stem = output_folder_and_stem(output_dir, settings, hardware, row.stem)
    numbers[folder, stem] = first_free(folder, stem, numbers[folder, stem] + 1)
    _check_suits(row, pairing.family, method)
    _check_dtype(row, settings, method)
    found = {weight.name: _places(row, pairing.family, weight, method, settings) for weight in selection.extracted}
    taken = {key: name for name, places in reversed(found.items()) for key in _keys(places)}  # by the first weight
    held_places = {name: places for name, places in found.items() if places and _owner(taken, places) == name}
    if selection.extracted and not held_places:
        raise unsuitable(row, pairing.family, "nothing")
    whole = {name: row.whole_key(pairing.family, name) for name in selection.new}
    taken = {key: name for name, key in reversed(whole.items()) if key is not None} | taken
    whole_keys = {name: key for name, key in whole.items() if key is not None and taken[key] == name}
    details = {name: row.title for name in (*found, *whole)}
    for name, places in found.items():
        if places and name not in held_places:
            details[name] = f"{row.title}: the same key as {_owner(taken, places)}"
    for name, key in whole.items():
        if key is not None and name not in whole_keys:
            details[name] = f"{row.title}: the same key as {taken[key]}"
    names = (*(name for name in found if name not in held_places), *(name for name in whole if name not in whole_keys))
    held = [weight for weight in selection.extracted if weight.name in held_places]
    rule = StoringRule.of(settings, _largest_rank(held, method) if row.one_alpha and held else None)
    all_keys = [key for places in held_places.values() for key in _keys(places)]
    enlarged = _enlarged(held_places)
    unsaid = _unsaid(selection) | settings.newer_defaults
    header_bytes = header_room((*all_keys, *whole_keys.values()), _texts(settings, hardware, unsaid))
    size = (
        _LENGTH_BYTES
        + header_bytes
        + sum(stored_bytes(weight, method, rule, held_places[weight.name]) for weight in held)
    )
    size += sum(enlarging_bytes(weight, method, rule) for weight in held if weight.name in enlarged)
    return Output(
        made_with=settings.model_dump(mode="json", exclude=set(settings.newer_defaults)),
        made_with_text=settings.model_dump_json(exclude={"resume", *unsaid}),
        title=Path(settings.filename_prefix).name,
        rank=settings.rank if settings.lora_type == "standard" else None,
        rank_label=rank_label(settings),
        format=row,
        storing=rule,
        places=held_places,
        whole_keys=whole_keys,
        left_out=(*_outside(selection, enlarged), *_not_in_format({name: details[name] for name in names}, selection)),
        folder=folder,
        stem=stem,
        name=numbered(stem, numbers[folder, stem]),
        header_bytes=header_bytes,
        output_bytes=size + sum(selection.new[name].value_bytes for name in whole_keys),
        identity=_identity(settings, hardware, stem, header_bytes, unsaid),
        coverage=cover(pairing, settings.components, {*whole_keys, *enlarged}),
    )


def _outside(selection: Selection, enlarged: Collection[str]) -> list[LeftOut]:
    """What is left out whatever the format, without the new parts of the weights that are enlarged."""
    return [
        item for item in selection.left_out if item.reason is not LeaveOutReason.GROWN_PART or item.name not in enlarged
    ]


def _not_in_format(details: Mapping[str, str], selection: Selection) -> list[LeftOut]:
    sizes = {name: (math.prod(view.shape), view.component) for name, view in selection.new.items()}
    sizes |= {weight.name: (weight.numel, weight.component) for weight in selection.extracted}
    reason = LeaveOutReason.NOT_IN_FORMAT
    return [
        LeftOut(name, reason, detail, numel=sizes[name][0], component=sizes[name][1])
        for name, detail in details.items()
    ]


def output_notices(output: Output, family: Family) -> tuple[Notice, ...]:
    """Remarks on a file before the start: what its format makes of this family, and what it has no place for."""
    notices = output.format.notices(family)
    if output.storing.fp8 and output.rank is not None:
        notices = (*notices, Notice(NoticeCode.FP8_HALVES, data={"rank": output.rank, "double": 2 * output.rank}))
    if output.missing:
        data = {"layers": len(output.missing), "format": output.format.title}
        notices = (*notices, Notice(NoticeCode.NOT_IN_FORMAT, output.missing[0], data))
    return notices


def _check_suits(row: LoraFormat, family: Family, method: LayerMethod) -> None:
    problem = row.problem(family)
    if problem is not None:
        raise unsuitable(row, family, problem)
    if method.full and not row.holds_differences:
        raise unsuitable(row, family, "full")


def _check_dtype(row: LoraFormat, settings: ExtractionSettings, method: LayerMethod) -> None:
    """Whether there are factors in fp8, with an alpha that can hold their scale, and programs that load them."""
    if settings.output_dtype != "fp8_e4m3":
        return
    reason = "full" if method.full else "alpha" if settings.alpha != "auto" else "" if row.holds_fp8 else "format"
    if reason:
        able = [other.title for other in FORMATS if other.holds_fp8]
        raise EngineError(
            ErrorCode.DTYPE_UNSUITABLE, reason=reason, dtype=settings.output_dtype, format=row.title, available=able
        )


def unsuitable(row: LoraFormat, family: Family, reason: str) -> EngineError:
    """The error for a format that cannot be used, with the other formats that these models have."""
    others = [other.title for other in formats_for(family) if other.key != row.key]
    names = {"format": row.title, "family": family.title}
    return EngineError(ErrorCode.FORMAT_UNSUITABLE, reason=reason, available=others, **names)


def _places(
    row: LoraFormat, family: Family, weight: PairedWeight, method: LayerMethod, settings: ExtractionSettings
) -> tuple[Place, ...]:
    factors = method.stores_factors(weight.kind)
    places = row.places(family, weight.name, weight.kind, weight.shape, factors=factors)
    if not (places and factors and settings.set_weight and weight.may_be_enlarged):
        return places
    key = row.reshape_key(family, weight.name)
    return places if key is None else (replace(places[0], keys={**places[0].keys, "reshape": key}), *places[1:])


def _keys(places: Iterable[Place]) -> list[str]:
    return [key for place in places for key in place.keys.values()]


def _enlarged(places: Mapping[str, tuple[Place, ...]]) -> frozenset[str]:
    return frozenset(name for name, found in places.items() if any("reshape" in place.keys for place in found))


def _owner(taken: Mapping[str, str], places: Iterable[Place]) -> str:
    """The first weight that has one of a weight's keys; the weight itself where there is no other."""
    return next(iter(dict.fromkeys(taken[key] for key in _keys(places))))


def _largest_rank(weights: list[PairedWeight], method: LayerMethod) -> float:
    """The largest rank that a layer of a file can have."""
    return float(max(method.policy.cap(matrix_shape(weight.shape)) for weight in weights))


def _unsaid(selection: Selection) -> set[str]:
    """Settings that decide nothing of this pair, and so are not in the file: it stays the one of earlier versions."""
    rounds = any(weight.rounding is not None for weight in (*selection.extracted, *selection.measured))
    return set() if rounds else {"round_original"}


def _identity(
    settings: ExtractionSettings, hardware: HardwareSettings, stem: str, header_bytes: int, unsaid: set[str]
) -> str:
    everything = settings.model_copy(update={"resume": True})  # whether it may go on decides no byte
    chosen = everything.model_dump_json(exclude=unsaid)
    return "\n".join((chosen, hardware.model_dump_json(exclude={"debug_mode"}), stem, str(header_bytes)))


def _texts(settings: ExtractionSettings, hardware: HardwareSettings, unsaid: set[str]) -> str:
    """The long texts of the file's metadata."""
    texts = settings.model_dump_json(exclude={"resume", *unsaid}), hardware.model_dump_json(exclude={"debug_mode"})
    return json.dumps([*texts, settings.filename_prefix])
