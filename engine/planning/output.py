"""The files that a run will write: format, how layers are stored, keys, name and largest size of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
from engine.formats.programs import Loads, Program, program_named
from engine.formats.registry import format_named
from engine.models.families import Family
from engine.models.pairing import PairedWeight, Pairing, Selection
from engine.planning.contents import contents, whole_is_loaded
from engine.planning.costs import enlarging_bytes, matrix_shape, stored_bytes
from engine.planning.coverage import cover
from engine.planning.suitability import (
    check_dtype,
    check_program,
    check_suits,
    unsuitable,
    unsuitable_program,
    what_is_loaded,
)
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
        base_bytes: what is in it beside its layers: the header, what a folder holds beside it, and weights that only
            the fine-tuned model has.
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
        return key if whole_is_loaded(self.loads, name, key) else None

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
    loads = what_is_loaded(program, row, family)
    check_suits(row, program, family, method)
    goal = _goal(settings, row, loads)
    check_dtype(row, program, loads, family, settings, method)
    held_contents = contents(row, program, loads, family, selection, settings, method)
    held_places, whole_keys, kept = held_contents.places, held_contents.whole_keys, held_contents.kept_whole
    held = [weight for weight in selection.extracted if weight.name in held_places]
    cap = settings.rank_cap if goal is None else goal.cap
    largest_rank = _largest_rank(held, method, cap)
    check_program(program, loads, family, settings, largest_rank)
    rule = StoringRule.of(
        settings,
        one_alpha=float(largest_rank) if row.one_alpha and held else None,
        rank=None if method.full or cap == method.policy.rank else cap,
        baked=row.scale_baked and not (row.names_alpha and settings.alpha not in ("auto", "rank")),
    )
    if row.names_alpha or (loads is not None and loads.one_scale):
        rule = replace(rule, alpha_is_rank=True, alpha_at=None if rule.alpha is None else largest_rank)
    all_keys = held_contents.keys
    enlarged = _enlarged(held_places)
    unsaid = _unsaid(selection) | settings.newer_defaults
    further = row.metadata_bytes(all_keys)
    all_keys += [*whole_keys.values(), *(key for keys in kept.values() for key in keys)]
    # what a size says of itself has room beside: a file of as many bytes as one of a rank can hold the same ranks
    texts = _texts(settings, hardware, unsaid | {"target_size", "size_by"})
    header_bytes = header_room(all_keys, texts, further)
    exact = method.exact_size and goal is None
    ranks = {
        weight.name: min(rule.limit(weight.name, method.policy.rank), *matrix_shape(weight.shape)) if exact else None
        for weight in held
        if method.stores_factors(weight.kind)
    }
    beside = row.bytes_beside(ranks, [key for keys in kept.values() for key in keys])
    base = _LENGTH_BYTES + header_bytes + beside + sum(selection.new[name].value_bytes for name in whole_keys)
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
        left_out=(*_outside(selection, {*enlarged, *kept}), *held_contents.left_out),
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


def nothing_changed(output: Output, family: Family) -> EngineError:
    """The error for a run in which all that changed is what a file does not hold."""
    if output.program is not None and output.not_loaded:
        return unsuitable_program(output.program, family, "nothing_changed")
    return unsuitable(output.format, family, "nothing_changed")


def _enlarged(places: Mapping[str, tuple[Place, ...]]) -> frozenset[str]:
    return frozenset(name for name, found in places.items() if any("reshape" in place.keys for place in found))


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
