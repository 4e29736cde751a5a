"""The plan of a run, as data: which layers in which order, what they may cost, what will be written. Headers only."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.decompose.rank_rules import RankPolicy
from engine.decompose.workspace import gram_bytes, workspace_bytes
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.exporters.comfyui import FACTOR_ENDINGS, difference_key, factor_key, has_loader, set_weight_key
from engine.exporters.file_names import first_free, numbered, output_folder_and_stem
from engine.pairing import PairedWeight, Pairing, new_weights, select
from engine.results import LeftOut
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM, ExtractionSettings, HardwareSettings

_LENGTH_BYTES = 8  # the format's own first field
_ENTRY_BYTES = 160  # dtype, shape of up to five sizes, two offsets, punctuation
_TEXTS_BYTES = 12 * 1024  # two file names three times, hashes, figures, dates
_READING = 200.0  # floating point operations that take as long as reading and subtracting one value
_DTYPE_BYTES = {"fp16": 2, "bf16": 2, "fp32": 4}


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        layers: weights to extract, in the order of work.
        measured: matched weights that are not wanted; their change is measured, for the share kept.
        costs: estimated work per entry of `layers` and then of `measured`, in arbitrary units.
        output_name: the file name that is free now.
        keys: every key that may be written.
        header_bytes: room to reserve for the file's header.
        output_bytes: largest size of the file.
        notices: remarks that can be made before the start.
    """

    pairing: Pairing
    settings: ExtractionSettings
    hardware: HardwareSettings
    layers: tuple[PairedWeight, ...]
    measured: tuple[PairedWeight, ...]
    costs: tuple[float, ...]
    left_out: tuple[LeftOut, ...]
    folder: Path
    stem: str
    output_name: str
    keys: tuple[str, ...]
    header_bytes: int
    output_bytes: int
    notices: tuple[Notice, ...]

    def working_bytes(self, weight: PairedWeight) -> int:
        """Memory that the work on a weight may need at its peak: both sides as stored, the delta, the solver's."""
        return working_bytes(weight, self.settings)


def make_plan(pairing: Pairing, settings: ExtractionSettings, hardware: HardwareSettings, output_dir: Path) -> Plan:
    """Plan an extraction.

    Raises:
        EngineError: ``output_escapes``, ``nothing_selected``, or ``disk_full`` where the file cannot fit.
    """
    folder, stem = output_folder_and_stem(output_dir, settings, hardware)
    selection = select(pairing, settings)
    if not selection.extracted:
        raise EngineError(ErrorCode.NOTHING_SELECTED, matched=len(pairing.weights))
    layers = selection.extracted
    keys = _keys(pairing, settings, layers)
    header_bytes = _header_bytes(keys, settings, hardware)
    output_bytes = _LENGTH_BYTES + header_bytes + sum(stored_bytes(weight, settings) for weight in layers)
    output_bytes += sum(view.info.nbytes for view in new_weights(pairing, settings).values())
    _check_space(folder, output_bytes, exact=settings.lora_type in ("standard", "full"))
    return Plan(
        pairing=pairing,
        settings=settings,
        hardware=hardware,
        layers=layers,
        measured=selection.measured,
        costs=(
            *(work(weight, settings) for weight in layers),
            *(_READING * weight.numel for weight in selection.measured),
        ),
        left_out=selection.left_out,
        folder=folder,
        stem=stem,
        output_name=numbered(stem, first_free(folder, stem)),
        keys=keys,
        header_bytes=header_bytes,
        output_bytes=output_bytes,
        notices=_notices(pairing, settings, layers),
    )


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(out, in) of a weight; a convolution's kernel counts to its inputs."""
    return shape[0], math.prod(shape[1:])


def stores_factors(weight: PairedWeight, settings: ExtractionSettings) -> bool:
    """Whether a weight is stored as two factors rather than as its difference."""
    return weight.kind in ("matrix", "conv") and settings.lora_type != "full"


def stored_bytes(weight: PairedWeight, settings: ExtractionSettings) -> int:
    """Largest size of what is stored for a weight."""
    size = _DTYPE_BYTES[settings.output_dtype]
    if not stores_factors(weight, settings):
        return weight.numel * size
    rows, columns = matrix_shape(weight.shape)
    return min(settings.rank, rows, columns) * (rows + columns) * size + 4


def working_bytes(weight: PairedWeight, settings: ExtractionSettings) -> int:
    """Memory that the work on a weight may need at its peak: both sides as stored, the delta, the solver's."""
    held = weight.finetuned.info.nbytes + weight.original.info.nbytes + 4 * weight.numel
    if not stores_factors(weight, settings):
        return held + 4 * weight.numel  # the rounded copy
    shape, policy = matrix_shape(weight.shape), RankPolicy(settings.lora_type, settings.rank, settings.adaptive_param)
    solver = workspace_bytes(shape, policy, settings.algorithm)
    if settings.lora_type != "standard":  # a rule that wants much falls to the whole spectrum
        solver = max(solver, gram_bytes(shape, policy))
    return held + solver


def work(weight: PairedWeight, settings: ExtractionSettings) -> float:
    """Estimated work on a weight: floating point operations of its decomposition, and the reading in the same unit."""
    reading = _READING * weight.numel
    if not stores_factors(weight, settings):
        return reading
    rows, columns = matrix_shape(weight.shape)
    short, long = min(rows, columns), max(rows, columns)
    rank = min(settings.rank, short)
    factors = 8.0 * rank * short * long
    if settings.algorithm == "svd_lowrank":
        return reading + factors + 4.0 * (settings.lowrank_iters + 1) * (rank + 16) * short * long
    return reading + factors + 2.0 * short * short * long + 12.0 * short**3


def weight_key(pairing: Pairing, weight: PairedWeight, ending: str) -> str:
    """Key in the file of a factor or the alpha of a weight, or, for an empty ending, of its difference."""
    if ending:
        return factor_key(pairing.family, weight.name, ending)
    return difference_key(pairing.family, weight.name, weight.kind)


def _keys(pairing: Pairing, settings: ExtractionSettings, layers: tuple[PairedWeight, ...]) -> tuple[str, ...]:
    keys = [
        weight_key(pairing, weight, ending)
        for weight in layers
        for ending in (FACTOR_ENDINGS if stores_factors(weight, settings) else ("",))
    ]
    return (*keys, *(set_weight_key(pairing.family, name) for name in new_weights(pairing, settings)))


def _header_bytes(keys: tuple[str, ...], settings: ExtractionSettings, hardware: HardwareSettings) -> int:
    """At least the size of the header's JSON: names, an entry each, the settings, and room for the other texts."""
    known = json.dumps([settings.model_dump_json(), hardware.model_dump_json(), settings.filename_prefix])
    room = _TEXTS_BYTES + len(known) + sum(len(json.dumps(key)) + _ENTRY_BYTES for key in keys)
    return -(-room // 8) * 8


def _check_space(folder: Path, needed: int, *, exact: bool) -> None:
    at = folder
    while not at.exists() and at != at.parent:
        at = at.parent
    try:
        usage = shutil.disk_usage(at)
    except OSError:
        return
    if exact and usage.total and needed > usage.free:  # some file systems do not tell their size
        raise EngineError(ErrorCode.DISK_FULL, file=folder, needed=needed, free=usage.free)


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
