"""The files that a run will write: format, how layers are stored, keys, name and largest size of each."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from engine.decompose.method import LayerMethod, StoringRule
from engine.disk import free_bytes, same_disk
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.formats.header_room import header_room
from engine.formats.lora_format import LoraFormat, Place
from engine.formats.output_path import Target, check_writable, first_free, output_folder_and_stem, rank_label
from engine.formats.programs import Loads, Program, limits, program_named
from engine.formats.registry import format_named, formats_for, programs_that_load
from engine.models.families import Family
from engine.models.pairing import PairedWeight, Pairing, Selection
from engine.planning.costs import enlarging_bytes, matrix_shape, stored_bytes
from engine.planning.coverage import cover
from engine.results import Coverage, LeaveOutReason, LeftOut
from engine.settings import ExtractionSettings, HardwareSettings, SizeBy

_LENGTH_BYTES = 8  # the format's own first field
_OF_OTHER_PROGRAMS = (
    NoticeCode.DIFFUSERS_READS_BLOCKS,
    NoticeCode.DIFFUSERS_REFUSES,
    NoticeCode.DIFFUSERS_READS_NOTHING,
)
"""What a format says of a program that may load its files too; of no interest to one who has chosen another."""


@dataclass(frozen=True)
class SizeGoal:
    """What size a file is to have, and how that is shared between its layers.

    Attributes:
        target: bytes, at most.
        size_by: the way, see `engine.planning.ranks`.
        cap: the largest rank of a layer.
        one_alpha: all layers have the alpha of the largest rank that one of them gets.
    """

    target: int
    size_by: SizeBy
    cap: int
    one_alpha: bool


@dataclass(frozen=True)
class Output:
    """One file of a run.

    Attributes:
        made_with: the settings as the file's report names them, JSON values.
        made_with_text: the same as its header holds them, JSON.
        title: its name without the figures.
        rank: of all layers; None where a rule or the type decides.
        largest_rank: that a layer with factors can have; 0 where none has.
        rank_label: the same in its name: ``32``, ``size_150MB``, ``full`` or ``adaptive_fro_0.85``.
        format: gives layers their keys.
        program: that it is for; None for what the format is written for.
        loads: what is loaded of it; None where nothing is known of that.
        storing: how layers are stored in it.
        places: of the layers that it holds, by canonical name.
        whole_keys: of the weights that only the fine-tuned model has and that it holds, by canonical name.
        kept_whole: of the weights of both models that it holds as the fine-tuned one has them, by canonical name.
        left_out: what is not in it, and why.
        target: where it goes.
        counter: the number that is free now for all files of the run.
        header_bytes: room to reserve for its header.
        base_bytes: what is in it beside its layers: the header, and weights that only the fine-tuned model has.
        kept_bytes: what weights of both models take that it holds as the fine-tuned one has them, by canonical name.
        output_bytes: largest size of it.
        identity: everything that decides its bytes, beside the two models.
        coverage: of how much of the models its figures will speak.
        goal: the size that it is to have; None where its ranks are not chosen for one.
    """

    made_with: dict[str, Any]
    made_with_text: str
    title: str
    rank: int | None
    largest_rank: int
    rank_label: str
    format: LoraFormat
    program: Program | None
    loads: Loads | None
    storing: StoringRule
    places: Mapping[str, tuple[Place, ...]]
    whole_keys: Mapping[str, str]
    kept_whole: Mapping[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]
    target: Target
    counter: int
    header_bytes: int
    base_bytes: int
    kept_bytes: Mapping[str, int]
    output_bytes: int
    identity: str
    coverage: Coverage
    goal: SizeGoal | None = None

    @property
    def folder(self) -> Path:
        """Where it goes."""
        return self.target.folder

    @property
    def name(self) -> str:
        """The name that is free now."""
        return self.target.path(self.counter).name

    @cached_property
    def enlarged(self) -> frozenset[str]:
        """The names of weights that it enlarges to the fine-tuned model's shape, new part included."""
        return _enlarged(self.places)

    def whole_key(self, family: Family, name: str) -> str | None:
        """The key of a weight that is set as a whole; None where it is not loaded."""
        key = self.format.whole_key(family, name)
        return key if _whole_is_loaded(self.loads, name, key) else None

    def may_enlarge(self, family: Family, name: str) -> bool:
        """Whether it can enlarge a weight."""
        loaded = self.loads is None or self.loads.reshape
        return loaded and self.format.reshape_key(family, name) is not None

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what was chosen and the format has no place for."""
        return self._left_out_as(LeaveOutReason.NOT_IN_FORMAT)

    @property
    def not_loaded(self) -> tuple[str, ...]:
        """The names of what was chosen and the program does not load."""
        return self._left_out_as(LeaveOutReason.NOT_LOADED)

    def _left_out_as(self, reason: LeaveOutReason) -> tuple[str, ...]:
        return tuple(item.name for item in self.left_out if item.reason is reason)


def plan_outputs(
    pairing: Pairing,
    selection: Selection,
    chosen: Sequence[ExtractionSettings],
    hardware: HardwareSettings,
    method: LayerMethod,
    output_dir: Path,
) -> tuple[Output, ...]:
    """Plan the files of a run: one for each of the settings, see `_output`, under names that differ and one number.

    Raises:
        EngineError: as `_output`; ``nothing_selected``, ``output_unwritable`` where a folder takes no file, or
            ``disk_full`` where the files cannot fit.
    """
    for program in {
        settings.program: program_named(settings.program) for settings in chosen if settings.program
    }.values():
        if program.loads(pairing.family) is None:
            raise unsuitable_program(program, pairing.family, "family")
    targets = _targets(chosen, hardware, output_dir)
    counter = first_free(targets)
    outputs = tuple(
        _output(pairing, selection, settings, hardware, method, target, counter)
        for settings, target in zip(chosen, targets, strict=True)
    )
    if not selection.extracted:
        raise EngineError(ErrorCode.NOTHING_SELECTED, matched=len(pairing.weights))
    _check_folders(outputs, exact=method.exact_size)
    return outputs


def _targets(chosen: Sequence[ExtractionSettings], hardware: HardwareSettings, output_dir: Path) -> tuple[Target, ...]:
    """Where each file goes: with its program and its cap in the name where that is another file's without them.

    Raises:
        EngineError: ``output_escapes`` or ``format_unknown``.
    """
    rows = [format_named(settings.key_format) for settings in chosen]
    places = [
        output_folder_and_stem(output_dir, settings, hardware, row.stem)
        for settings, row in zip(chosen, rows, strict=True)
    ]
    programs: dict[tuple[Path, str], set[str]] = {}
    caps: dict[tuple[Path, str], set[int]] = {}
    for place, settings in zip(places, chosen, strict=True):
        programs.setdefault(place, set()).add(settings.program)
        caps.setdefault(place, set()).add(settings.rank)
    targets: list[Target] = []
    for place, settings, row in zip(places, chosen, rows, strict=True):
        words = [settings.program] if settings.program and len(programs[place]) > 1 else []
        words += [f"cap_{settings.rank}"] if len(caps[place]) > 1 else []
        if words:
            stem_of = partial(_with_words, row, words)
            place = output_folder_and_stem(output_dir, settings, hardware, stem_of)
        copy = sum((target.folder, target.stem) == place for target in targets)
        targets.append(Target(*place, copy, row.ending))
    return tuple(targets)


def _with_words(row: LoraFormat, words: Sequence[str], prefix: str) -> str:
    return "_".join((row.stem(prefix), *words))


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
    target: Target,
    counter: int,
) -> Output:
    """Plan one file.

    Args:
        pairing: the two models.
        selection: what is chosen of them.
        settings: what to write; of these the format, the file name, and how layers are stored.
        hardware: how the machine is used, which stands in the name and the header.
        method: how layers are decomposed, the same for all files of a run.
        target: where it goes.
        counter: the number that is free now for all files of the run.

    Raises:
        EngineError: ``program_unknown``, ``format_unsuitable`` where the format cannot be written for these models, or
            at this type, or holds nothing of what is chosen, and ``program_unsuitable`` where the program loads
            nothing of it, and ``dtype_unsuitable`` for a precision that these files cannot have.
    """
    family, program = pairing.family, program_named(settings.program) if settings.program else None
    row = format_named(settings.key_format).for_pair(pairing)
    loads = _loads(program, row, family)
    _check_suits(row, program, family, method)
    _check_dtype(row, program, loads, family, settings, method)
    goal = _goal(settings, row, loads)
    kept_known = {weight.name: row.kept_whole(family, weight.name) for weight in selection.extracted}
    kept_known = {name: keys for name, keys in kept_known.items() if keys}
    kept = {
        weight.name: kept_known[weight.name]
        for weight in selection.extracted
        if weight.name in kept_known and (loads is None or loads.takes(weight.name, weight.kind, factors=True))
    }
    rest = [weight for weight in selection.extracted if weight.name not in kept_known]
    known = {weight.name: _places(row, family, weight, method, settings, loads) for weight in rest}
    found = {weight.name: _loaded_places(known[weight.name], weight, method, loads) for weight in rest}
    taken = {key: name for name, places in reversed(found.items()) for key in _keys(places)}  # by the first weight
    held_places = {name: places for name, places in found.items() if places and _owner(taken, places) == name}
    if selection.extracted and not held_places:
        if program is not None and any(known.values()):
            raise unsuitable_program(program, family, "nothing")
        raise unsuitable(row, family, "nothing")
    whole_known = {name: row.whole_key(family, name) for name in selection.new}
    whole = {name: key for name, key in whole_known.items() if _whole_is_loaded(loads, name, key)}
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
    not_in_file = _left_out({name: details[name] for name in names}, ignored, selection)
    held = [weight for weight in selection.extracted if weight.name in held_places]
    cap = settings.rank_cap if goal is None else goal.cap
    largest_rank = _largest_rank(held, method, cap)
    _check_program(program, loads, family, settings, largest_rank)
    rule = StoringRule.of(
        settings,
        one_alpha=float(largest_rank) if row.one_alpha and held else None,
        rank=None if method.full or cap == method.policy.rank else cap,
        baked=row.scale_baked and not (row.names_alpha and settings.alpha not in ("auto", "rank")),
    )
    if row.names_alpha or (loads is not None and loads.one_scale):
        rule = replace(rule, alpha_is_rank=True, alpha_at=None if rule.alpha is None else largest_rank)
    all_keys = [key for places in held_places.values() for key in _keys(places)]
    enlarged = _enlarged(held_places)
    unsaid = _unsaid(selection) | settings.newer_defaults
    further = row.metadata_bytes(all_keys)
    all_keys += [*whole_keys.values(), *(key for keys in kept.values() for key in keys)]
    # what a size says of itself has room beside: a file of as many bytes as one of a rank can hold the same ranks
    texts = _texts(settings, hardware, unsaid | {"target_size", "size_by"})
    header_bytes = header_room(all_keys, texts, further)
    base = _LENGTH_BYTES + header_bytes + sum(selection.new[name].value_bytes for name in whole_keys)
    kept_bytes = _kept_bytes(selection, kept)
    size = (
        base
        + sum(kept_bytes.values())
        + sum(stored_bytes(weight, method, rule, held_places[weight.name]) for weight in held)
    )
    size += sum(enlarging_bytes(weight, method, rule) for weight in held if weight.name in enlarged)
    return Output(
        made_with=settings.model_dump(mode="json", exclude=set(settings.newer_defaults)),
        made_with_text=settings.model_dump_json(exclude={"resume", *unsaid}),
        title=Path(settings.filename_prefix).name,
        rank=settings.rank if settings.lora_type == "standard" and goal is None else None,
        largest_rank=largest_rank,
        rank_label=rank_label(settings),
        format=row,
        program=program,
        loads=loads,
        storing=rule,
        places=held_places,
        whole_keys=whole_keys,
        kept_whole=kept,
        left_out=(*_outside(selection, {*enlarged, *kept}), *not_in_file),
        target=target,
        counter=counter,
        header_bytes=header_bytes,
        base_bytes=base,
        kept_bytes=kept_bytes,
        output_bytes=size if goal is None else min(size, goal.target),
        identity=_identity(settings, hardware, target.stem, header_bytes, unsaid),
        coverage=cover(pairing, settings.components, {*whole_keys, *enlarged, *kept}),
        goal=goal,
    )


def _goal(settings: ExtractionSettings, row: LoraFormat, loads: Loads | None) -> SizeGoal | None:
    """The size that a file is to have; a limit of the program caps ranks that were not given.

    Raises:
        EngineError: ``size_unsuitable`` where the type leaves no rank to choose.
    """
    if settings.target_size is None:
        return None
    if settings.lora_type != "standard":
        raise EngineError(ErrorCode.SIZE_UNSUITABLE, lora_type=settings.lora_type)
    one_alpha = row.one_alpha and settings.alpha in ("auto", "rank")
    cap, limit = settings.rank_cap, None if loads is None else loads.rank_limit
    if limit is not None and "rank" not in settings.model_fields_set:
        cap = min(cap, limit)
    return SizeGoal(int(settings.target_size), settings.size_by, cap, one_alpha)


def _kept_bytes(selection: Selection, kept: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """The largest size of each weight that is written as the fine-tuned model has it."""
    weights = (weight for weight in selection.extracted if weight.name in kept)
    return {weight.name: weight.finetuned.value_bytes * len(kept[weight.name]) for weight in weights}


def _outside(selection: Selection, enlarged: Collection[str]) -> list[LeftOut]:
    """What is left out whatever the format, without the new parts of the weights that are enlarged."""
    return [
        item for item in selection.left_out if item.reason is not LeaveOutReason.GROWN_PART or item.name not in enlarged
    ]


def _left_out(details: Mapping[str, str], ignored: Collection[str], selection: Selection) -> list[LeftOut]:
    """What the format has no place for and what the program ignores, by name with what there is to say about it."""
    reasons = {True: LeaveOutReason.NOT_LOADED, False: LeaveOutReason.NOT_IN_FORMAT}
    sizes = {name: (math.prod(view.shape), view.component) for name, view in selection.new.items()}
    sizes |= {weight.name: (weight.numel, weight.component) for weight in selection.extracted}
    return [
        LeftOut(name, reasons[name in ignored], detail, numel=sizes[name][0], component=sizes[name][1])
        for name, detail in details.items()
    ]


def output_notices(output: Output, family: Family) -> tuple[Notice, ...]:
    """Remarks on a file before the start: what its format makes of this family, and what is not in it."""
    notices = list(output.format.notices(family))
    if output.program is not None:
        notices = [notice for notice in notices if notice.code not in _OF_OTHER_PROGRAMS]
    if output.missing:
        data = {"layers": len(output.missing), "format": output.format.title}
        notices.append(Notice(NoticeCode.NOT_IN_FORMAT, output.missing[0], data))
    if output.not_loaded and output.program is not None:
        data = {"layers": len(output.not_loaded), "program": output.program.title}
        notices.append(Notice(NoticeCode.NOT_LOADED, output.not_loaded[0], data))
    if output.storing.fp8 and output.rank is not None:
        notices.append(Notice(NoticeCode.FP8_HALVES, data={"rank": output.rank, "double": 2 * output.rank}))
    return (*notices, *_rank_notices(output))


def _rank_notices(output: Output) -> tuple[Notice, ...]:
    """That a program has to be told of the rank, with the number that it takes."""
    program, rank = output.program, output.largest_rank
    if program is None or rank <= program.rank_default:
        return ()
    enough = next((step for step in program.rank_steps if step >= rank), None)
    if enough is None:
        return ()
    data = {"program": program.title, "option": f"{program.rank_option} {enough}", "limit": program.rank_default}
    return (Notice(NoticeCode.RANK_OPTION, None, data),)


def _check_suits(row: LoraFormat, program: Program | None, family: Family, method: LayerMethod) -> None:
    problem = row.problem(family)
    if problem is not None:
        raise unsuitable(row, family, problem)
    if method.full and not row.holds_differences:
        raise unsuitable(row, family, "full") if program is None else unsuitable_program(program, family, "full")


def _check_dtype(
    row: LoraFormat,
    program: Program | None,
    loads: Loads | None,
    family: Family,
    settings: ExtractionSettings,
    method: LayerMethod,
) -> None:
    """Whether there are factors in fp8, with an alpha that can hold their scale, and what reads the format loads them.

    A program that is named and does not load them is left to `_check_program`.
    """
    if settings.output_dtype != "fp8_e4m3" or (program is not None and loads is not None and not loads.fp8):
        return
    loaded = (loads is None or loads.fp8) and not (row.one_alpha or row.scale_baked)
    reason = "full" if method.full else "alpha" if settings.alpha != "auto" else "" if loaded else "format"
    if reason:
        known = {other.title: limits(other.key, family) for other in formats_for(family)}
        able = [title for title, limit in known.items() if limit is not None and limit.fp8]
        reason = reason if able or reason != "format" else "no_format"
        raise EngineError(
            ErrorCode.DTYPE_UNSUITABLE, reason=reason, dtype=settings.output_dtype, format=row.title, available=able
        )


def unsuitable(row: LoraFormat, family: Family, reason: str) -> EngineError:
    """The error for a format that cannot be used, with the other formats that these models have."""
    by_contents = reason in ("full", "nothing", "nothing_changed")  # which formats of factors alone do not hold
    others = [
        other.title
        for other in formats_for(family)
        if other.key != row.key and (other.holds_differences or not by_contents)
    ]
    names = {"format": row.title, "family": family.title}
    return EngineError(ErrorCode.FORMAT_UNSUITABLE, reason=reason, available=others, **names)


def _loads(program: Program | None, row: LoraFormat, family: Family) -> Loads | None:
    """What is loaded of the file; None where nothing is known of it.

    Raises:
        EngineError: ``program_unsuitable`` where its format cannot be written for such models.
    """
    if program is None:
        return limits(row.key, family)
    if row.problem(family) is not None:
        raise unsuitable_program(program, family, "family")
    return program.loads(family)


def _check_program(
    program: Program | None, loads: Loads | None, family: Family, settings: ExtractionSettings, largest_rank: int
) -> None:
    if program is None or loads is None:
        return
    if loads.rank_limit is not None and largest_rank > loads.rank_limit:
        raise unsuitable_program(program, family, "rank", limit=loads.rank_limit)
    if settings.output_dtype.startswith("fp8") and not loads.fp8:
        raise unsuitable_program(program, family, "fp8")
    if loads.equal_ranks and (settings.lora_type.startswith("adaptive") or settings.target_size is not None):
        raise unsuitable_program(program, family, "equal_ranks")


def nothing_changed(output: Output, family: Family) -> EngineError:
    """The error for a run in which all that changed is what a file does not hold."""
    if output.program is not None and output.not_loaded:
        return unsuitable_program(output.program, family, "nothing_changed")
    return unsuitable(output.format, family, "nothing_changed")


def unsuitable_program(program: Program, family: Family, reason: str, **data: Any) -> EngineError:
    """The error for a program that a file cannot be written for, with the others that load LoRAs of these models."""
    others = [row.title for row in programs_that_load(family) if row.key != program.key]
    names = {"program": program.title, "family": family.title}
    return EngineError(ErrorCode.PROGRAM_UNSUITABLE, reason=reason, available=others, **names, **data)


def _whole_is_loaded(loads: Loads | None, name: str, key: str | None) -> bool:
    """Whether a weight that is set as a whole is loaded; true of one that the format has no key for."""
    return loads is None or key is None or loads.takes_whole(name, key)


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


def _keys(places: Iterable[Place]) -> list[str]:
    return [key for place in places for key in place.keys.values()]


def _enlarged(places: Mapping[str, tuple[Place, ...]]) -> frozenset[str]:
    return frozenset(name for name, found in places.items() if any("reshape" in place.keys for place in found))


def _owner(taken: Mapping[str, str], places: Iterable[Place]) -> str:
    """The first weight that has one of a weight's keys; the weight itself where there is no other."""
    return next(iter(dict.fromkeys(taken[key] for key in _keys(places))))


def _largest_rank(weights: list[PairedWeight], method: LayerMethod, cap: int) -> int:
    """The largest rank that a layer of a file can have; 0 where none has factors."""
    factors = (weight for weight in weights if method.stores_factors(weight.kind))
    return max((min(cap, *matrix_shape(weight.shape)) for weight in factors), default=0)


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
