"""The plan of a run, as data: which layers in which order, what they may cost, what will be written. Headers only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.checkpoints import WeightView
from engine.checkpoints.lora_keys import FACTORS
from engine.decompose.method import LayerMethod
from engine.disk import free_bytes
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.formats.comfyui import difference_key, factor_key, has_loader, set_weight_key
from engine.formats.output_path import check_writable, first_free, numbered, output_folder_and_stem
from engine.models.pairing import PairedWeight, Pairing, Selection, select
from engine.planning.costs import journal_bytes, measuring_work, stored_bytes, work
from engine.planning.residency import batches, block_positions
from engine.planning.task import Task
from engine.results import LeftOut
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM, ExtractionSettings, HardwareSettings

_LENGTH_BYTES = 8  # the format's own first field
_ENTRY_BYTES = 160  # dtype, shape of up to five sizes, two offsets, punctuation
_TEXTS_BYTES = 12 * 1024  # two file names three times, hashes, figures, dates


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        method: how each layer is decomposed and stored, resolved from `settings`.
        layers: weights to extract, in the order of work.
        measured: matched weights that are not wanted; their change is measured, for the share kept.
        new: weights that only the fine-tuned model has and that are written whole, by canonical name.
        costs: estimated work per entry of `layers` and then of `measured`, in arbitrary units.
        output_name: the file name that is free now.
        keys: every key that may be written.
        header_bytes: room to reserve for the file's header.
        output_bytes: largest size of the file.
        journal_bytes: largest size of the run's journal.
        batches: which of `layers` are worked on together.
        notices: remarks that can be made before the start.
    """

    pairing: Pairing
    settings: ExtractionSettings
    hardware: HardwareSettings
    method: LayerMethod
    layers: tuple[PairedWeight, ...]
    measured: tuple[PairedWeight, ...]
    new: dict[str, WeightView]
    costs: tuple[float, ...]
    left_out: tuple[LeftOut, ...]
    folder: Path
    stem: str
    output_name: str
    keys: tuple[str, ...]
    header_bytes: int
    output_bytes: int
    journal_bytes: int
    batches: tuple[tuple[int, ...], ...]
    notices: tuple[Notice, ...]

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The layers and then the measured weights, as the run's threads take them."""
        weights = (*self.layers, *self.measured)
        positions = block_positions(weights)
        return tuple(
            Task(index, weight, positions[index], measured=index >= len(self.layers))
            for index, weight in enumerate(weights)
        )


def make_plan(pairing: Pairing, settings: ExtractionSettings, hardware: HardwareSettings, output_dir: Path) -> Plan:
    """Plan an extraction.

    Raises:
        EngineError: ``output_escapes``, ``nothing_selected``, ``output_unwritable`` where the folder takes no file,
            or ``disk_full`` where the file cannot fit.
    """
    folder, stem = output_folder_and_stem(output_dir, settings, hardware)
    selection = select(pairing, settings)
    if not selection.extracted:
        raise EngineError(ErrorCode.NOTHING_SELECTED, matched=len(pairing.weights))
    layers, method = selection.extracted, LayerMethod.of(settings)
    notices = _notices(pairing, settings, layers)
    keys = _keys(pairing, selection, method)
    header_bytes = _header_bytes(keys, settings, hardware)
    output_bytes = _LENGTH_BYTES + header_bytes + sum(stored_bytes(weight, method) for weight in layers)
    output_bytes += sum(view.value_bytes for view in selection.new.values())
    check_writable(folder)
    _check_space(folder, output_bytes, exact=method.exact_size)
    return Plan(
        pairing=pairing,
        settings=settings,
        hardware=hardware,
        method=method,
        layers=layers,
        measured=selection.measured,
        new=selection.new,
        costs=(
            *(work(weight, method) for weight in layers),
            *map(measuring_work, selection.measured),
        ),
        left_out=selection.left_out,
        folder=folder,
        stem=stem,
        output_name=numbered(stem, first_free(folder, stem)),
        keys=keys,
        header_bytes=header_bytes,
        output_bytes=output_bytes,
        journal_bytes=sum(journal_bytes(weight, method) for weight in layers),
        batches=batches(layers, hardware.batch_size, hardware.prefetch_ahead),
        notices=notices,
    )


def weight_key(pairing: Pairing, weight: PairedWeight, part: str) -> str:
    """Key in the file of a part of a weight: ``up``, ``down`` or ``alpha``, or its ``difference``."""
    if part in FACTORS:
        return factor_key(pairing.family, weight.name, part)
    return difference_key(pairing.family, weight.name, weight.kind)


def _keys(pairing: Pairing, selection: Selection, method: LayerMethod) -> tuple[str, ...]:
    keys = [
        weight_key(pairing, weight, part)
        for weight in selection.extracted
        for part in (FACTORS if method.stores_factors(weight.kind) else ("difference",))
    ]
    return (*keys, *(set_weight_key(pairing.family, name) for name in selection.new))


def _header_bytes(keys: tuple[str, ...], settings: ExtractionSettings, hardware: HardwareSettings) -> int:
    """At least the size of the header's JSON: names, an entry each, the settings, and room for the other texts."""
    texts = settings.model_dump_json(exclude={"resume"}), hardware.model_dump_json(exclude={"debug_mode"})
    known = json.dumps([*texts, settings.filename_prefix])
    room = _TEXTS_BYTES + len(known) + sum(len(json.dumps(key)) + _ENTRY_BYTES for key in keys)
    return -(-room // 8) * 8


def _check_space(folder: Path, needed: int, *, exact: bool) -> None:
    free = free_bytes(folder)
    if exact and free is not None and needed > free:
        raise EngineError(ErrorCode.DISK_FULL, file=folder, needed=needed, free=free)


def _notices(pairing: Pairing, settings: ExtractionSettings, layers: tuple[PairedWeight, ...]) -> tuple[Notice, ...]:
    notices = []
    recommended = RECOMMENDED_ADAPTIVE_PARAM.get(settings.lora_type)
    if recommended and not recommended[0] <= settings.adaptive_param <= recommended[1]:
        data = {
            "lora_type": settings.lora_type,
            "value": settings.adaptive_param,
            "low": recommended[0],
            "high": recommended[1],
        }
        notices.append(Notice(NoticeCode.ADAPTIVE_PARAM_UNUSUAL, data=data))
    if not has_loader(pairing.family):
        notices.append(Notice(NoticeCode.NO_COMFYUI_LOADER, pairing.family.title))
    for weight in layers:
        if weight.common_rows is not None:
            rows = {"common": weight.common_rows, "original": weight.shape[0]}
            notices.append(Notice(NoticeCode.COMMON_ROWS_PAIRED, weight.name, rows))
    return tuple(notices)
