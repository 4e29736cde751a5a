"""Judge a LoRA file against the two models: how much of their difference it gives back.

The factors are read from the file, multiplied in float64 the way programs apply them, and compared with the
difference. Nothing that a run computed is used; reading, the pairing of the models and the formats' key names are the
extraction's own. Works on any LoRA of a format that has a row in `engine.formats.registry`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint, open_checkpoint
from engine.checkpoints.tensors import read_encoded, read_stored
from engine.decompose.method import StoredPart
from engine.errors import EngineError, ErrorCode
from engine.events import VerifyProgress
from engine.extraction.block_cache import BlockCache, Weights
from engine.formats.lora_format import LoraFormat, LoraIndex
from engine.formats.registry import formats_of, likeliest, own_settings
from engine.models.pairing import PairedWeight, Pairing
from engine.planning.residency import block_name
from engine.results import LeaveOutReason, LeftOut, Verification, VerifiedLayer
from engine.settings import ExtractionSettings
from engine.steps import ThreadWork, check, stoppable

_CHUNK_BYTES = 32 * 1024 * 1024


def verify(
    lora: Path,
    finetuned: Checkpoint,
    original: Checkpoint,
    pairing: Pairing,
    cancel: CancelToken,
    *,
    residents: BlockCache | None = None,
) -> Iterator[VerifyProgress | Verification]:
    """Recompute every layer's energy retained and relative error.

    Args:
        lora: the file to judge.
        finetuned: the fine-tuned model.
        original: the original.
        pairing: their weights.
        cancel: stops it.
        residents: weights that are on a device already and need not be read.

    Yields:
        `VerifyProgress` per weight, then one `Verification`.

    Raises:
        EngineError: ``not_a_lora``, ``lora_mismatch`` where nothing in it belongs to this pair or a shape is wrong.
        Cancelled: where `cancel` was used.
    """
    with open_checkpoint(lora) as file:
        settings = own_settings(file.metadata)
        components = _components(settings)
        weights = [weight for weight in pairing.weights if weight.component in components]
        read = _read_keys(file, pairing, weights)
        keys, known = read.keys, read.known
        if not known:
            example = next(iter(file.stored))
            raise EngineError(ErrorCode.LORA_MISMATCH, file=lora, tensor=example, reason="foreign")
        known |= set(read.index.whole)
        layers: list[VerifiedLayer] = []
        left_out: list[LeftOut] = []
        total_energy = total_lost = 0.0
        for index, weight in enumerate(weights):
            cancel.check()
            with stoppable(ThreadWork(lambda: cancel.cancelled, weight.name)):
                total, lost = _measure(file, keys[weight.name], weight, _read(weight, finetuned, original, residents))
            if keys[weight.name]:
                layers.append(_judged(file, weight, keys[weight.name], total, lost))
            elif total > 0.0:
                left_out.append(LeftOut(weight.name, LeaveOutReason.EXCLUDED, "not in the LoRA"))
            if math.isfinite(total):  # a layer that is broken in the models has no change to keep
                total_energy, total_lost = total_energy + total, total_lost + lost
            yield VerifyProgress(index + 1, len(weights), weight.name)
        yield Verification(
            layers=tuple(layers),
            left_out=tuple(left_out),
            unknown_keys=tuple(name for name in file.stored if name not in known),
            mean_energy_retained=1.0 - total_lost / total_energy if total_energy else 0.0,
            worst_energy_retained=min((layer.energy_retained for layer in layers), default=0.0),
            key_format=read.format.key,
            format_title=read.format.title,
        )


def _components(settings: dict[str, Any]) -> tuple[str, ...]:
    """The parts of the model that the LoRA was extracted from; the default ones where it does not say."""
    try:
        return tuple(settings["components"])
    except (KeyError, TypeError):
        return tuple(ExtractionSettings().components)


@dataclass(frozen=True)
class _ReadKeys:
    """A LoRA's keys as one format reads them: of each weight up, down and perhaps alpha, the difference, or none."""

    format: LoraFormat
    index: LoraIndex
    keys: dict[str, tuple[str, ...]]

    @property
    def known(self) -> set[str]:
        return {key for found in self.keys.values() for key in found}


def _read_keys(file: Checkpoint, pairing: Pairing, weights: list[PairedWeight]) -> _ReadKeys:
    """Read the keys in the format that knows most of these weights by them, see `likeliest` for equals.

    Raises:
        EngineError: ``not_a_lora`` where no format knows a key.
    """
    found = formats_of(file.stored.keys())
    if not found:
        raise EngineError(ErrorCode.NOT_A_LORA, file=file.path)
    readings = [_ReadKeys(row, index, _keys_of_all(row, index, pairing, weights)) for row, index in found]
    chosen = likeliest({reading.format: len(reading.known) for reading in readings}, file.metadata)
    return next(reading for reading in readings if reading.format is chosen)


def _keys_of_all(
    row: LoraFormat, index: LoraIndex, pairing: Pairing, weights: list[PairedWeight]
) -> dict[str, tuple[str, ...]]:
    """The keys of each weight that are in the file; keys that two weights have in a format are the first one's."""
    row = row.for_model(pairing.family, pairing.names)
    taken: set[str] = set()
    found: dict[str, tuple[str, ...]] = {}
    for weight in weights:
        keys = _keys(row, index, pairing, weight)
        found[weight.name] = () if taken & set(keys) else keys
        taken |= set(keys)
    return found


def _keys(row: LoraFormat, index: LoraIndex, pairing: Pairing, weight: PairedWeight) -> tuple[str, ...]:
    """The keys of a weight that are in the file."""
    parts: dict[StoredPart, str] = {}
    if weight.kind in ("matrix", "conv"):
        parts = index.found(row.keys(pairing.family, weight.name, weight.kind, factors=True))
    if "up" in parts and "down" in parts:
        alpha = (parts["alpha"],) if "alpha" in parts else ()
        return parts["up"], parts["down"], *alpha
    return tuple(index.found(row.keys(pairing.family, weight.name, weight.kind, factors=False)).values())


def _read(weight: PairedWeight, finetuned: Checkpoint, original: Checkpoint, residents: BlockCache | None) -> Weights:
    """A weight's two sides, or their difference: from a device where they are, else from the files."""
    found = residents.look(block_name(weight), weight.name) if residents is not None else None
    if found is None:
        return Weights(sides=(read_encoded(finetuned, weight.finetuned), read_encoded(original, weight.original)))
    if found.delta is not None and found.delta.values.device.type == "mps":  # no float64 there
        return Weights(delta=replace(found.delta, values=found.delta.values.cpu()))
    return found


def _measure(file: Checkpoint, keys: tuple[str, ...], weight: PairedWeight, weights: Weights) -> tuple[float, float]:
    """|delta|^2 and |delta - what the LoRA adds|^2, in float64, a few rows at a time, where the weights are."""
    delta_rows, shape = _delta_rows(weights)
    rows = shape[0] if shape else 1
    columns = math.prod(shape[1:])
    stored = [read_stored(file, file.stored[key]) for key in keys]
    _check_shapes(file, keys, stored, weight)
    _check_finite(file, keys, stored)
    step = max(1, _CHUNK_BYTES // (8 * max(1, columns)))
    total = lost = 0.0
    for start in range(0, rows, step):
        check()
        piece = slice(start, start + step)
        delta = delta_rows(piece)
        total += float(delta.square().sum())
        if len(stored) == 1:
            delta -= stored[0].reshape(rows, -1)[piece].to(delta.device, torch.float64)
        elif stored:
            rank = stored[1].shape[0]
            scale = float(stored[2]) / rank if len(stored) == 3 else 1.0
            up = stored[0].reshape(rows, rank)[piece].to(delta.device, torch.float64)
            delta -= scale * (up @ stored[1].reshape(rank, -1).to(delta.device, torch.float64))
        lost += float(delta.square().sum())
    return total, lost


def _delta_rows(weights: Weights) -> tuple[Callable[[slice], torch.Tensor], torch.Size]:
    """A function that gives rows of the difference in float64, (rows, columns), and the weight's shape."""
    if weights.delta is not None:
        values = weights.delta.values
        flat = values.reshape(values.shape[0] if values.dim() else 1, -1)
        return lambda piece: flat[piece].to(torch.float64), values.shape
    assert weights.sides is not None
    both = [side.decoded() for side in weights.sides]
    tuned, base = (side.reshape(side.shape[0] if side.dim() else 1, -1) for side in both)

    def rows(piece: slice) -> torch.Tensor:
        delta = torch.zeros_like(base[piece], dtype=torch.float64)
        common, breadth = max(0, min(delta.shape[0], tuned.shape[0] - piece.start)), min(tuned.shape[1], base.shape[1])
        ours, theirs = (side[piece][:common, :breadth].to(torch.float32) for side in (tuned, base))
        delta[:common, :breadth] = ours.to(torch.float64) - theirs.to(torch.float64)
        return delta

    return rows, both[1].shape


def _check_shapes(file: Checkpoint, keys: tuple[str, ...], stored: list[torch.Tensor], weight: PairedWeight) -> None:
    if not keys:
        return
    rows, columns = (weight.shape[0], math.prod(weight.shape[1:])) if weight.shape else (1, 1)
    if len(stored) == 1:
        fits = stored[0].numel() == rows * columns
    else:
        rank = stored[1].shape[0] if stored[1].dim() else 0
        fits = rank > 0 and stored[0].numel() == rows * rank and stored[1].numel() == rank * columns
        fits = fits and all(alpha.numel() == 1 for alpha in stored[2:])
    if not fits:
        raise EngineError(ErrorCode.LORA_MISMATCH, file=file.path, tensor=keys[0], reason="shape")


def _check_finite(file: Checkpoint, keys: tuple[str, ...], stored: list[torch.Tensor]) -> None:
    for key, tensor in zip(keys, stored, strict=True):
        if not bool(torch.isfinite(tensor.to(torch.float32)).all()):
            raise EngineError(ErrorCode.LORA_MISMATCH, file=file.path, tensor=key, reason="non_finite")


def _judged(file: Checkpoint, weight: PairedWeight, keys: tuple[str, ...], total: float, lost: float) -> VerifiedLayer:
    rank = file.stored[keys[1]].shape[0] if len(keys) > 1 else None
    if total > 0.0:
        return VerifiedLayer(weight.name, rank, 1.0 - lost / total, math.sqrt(lost / total))
    # The models agree here: a LoRA that adds nothing keeps everything, one that adds something is all error.
    return VerifiedLayer(weight.name, rank, 1.0 if lost == 0.0 else 0.0, 0.0 if lost == 0.0 else 1.0)
