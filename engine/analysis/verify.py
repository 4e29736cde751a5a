"""Judge a LoRA file against the two models: how much of their difference it gives back.

The factors are read from the file, multiplied in float64 the way programs apply them, and compared with the
difference. Nothing that a run computed is used; reading, the pairing of the models and the formats' key names are the
extraction's own. Works on any LoRA of a format that has a row in `engine.formats.registry`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint, open_checkpoint
from engine.checkpoints.rounded import compared
from engine.checkpoints.tensors import read_encoded, read_stored
from engine.decompose.delta import energy_of_parts, grown_parts
from engine.errors import EngineError, ErrorCode
from engine.events import VerifyProgress
from engine.extraction.block_cache import BlockCache, Weights
from engine.formats.lora_format import LoraFormat, LoraIndex
from engine.formats.registry import formats_of, likeliest, own_rounding, own_settings
from engine.models.pairing import PairedWeight, Pairing
from engine.planning.coverage import cover
from engine.planning.residency import block_name
from engine.results import LeaveOutReason, LeftOut, Verification, VerifiedLayer
from engine.settings import ExtractionSettings, RoundOriginal
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
        components, choice = _components(own_settings(file.metadata)), own_rounding(file.metadata)
        weights = [_compared(weight, choice) for weight in pairing.weights if weight.component in components]
        read = _read_keys(file, pairing, weights)
        keys, known = read.keys, read.known
        if not known:
            example = next(iter(file.stored))
            raise EngineError(ErrorCode.LORA_MISMATCH, file=lora, tensor=example, reason="foreign")
        known |= set(read.index.whole)
        layers: list[VerifiedLayer] = []
        left_out: list[LeftOut] = []
        sums, plain_sums, another = _Sums(), _Sums(), False
        for index, weight in enumerate(weights):
            cancel.check()
            enlarged = weight.name in read.enlarged
            with stoppable(ThreadWork(lambda: cancel.cancelled, weight.name)):
                sides = _read(weight, finetuned, original, None if enlarged else residents)
                found, plain = _measure(file, keys[weight.name], weight, sides, enlarged=enlarged)
                grown = 0.0 if enlarged else _grown_energy(weight, sides)
            if keys[weight.name]:
                layers.append(_judged(file, weight, keys[weight.name], found, plain))
            elif found.total > 0.0:
                detail = "not in the LoRA"
                left_out.append(
                    LeftOut(
                        weight.name, LeaveOutReason.EXCLUDED, detail, numel=weight.numel, component=weight.component
                    )
                )
            sums.add(found, grown)
            plain_sums.add(plain or found, grown)
            another = another or plain not in (None, found)
            yield VerifyProgress(index + 1, len(weights), weight.name)
        yield Verification(
            layers=tuple(layers),
            left_out=tuple(left_out),
            unknown_keys=tuple(name for name in file.stored if name not in known),
            mean_energy_retained=sums.mean,
            worst_energy_retained=min((layer.energy_retained for layer in layers), default=0.0),
            key_format=read.format.key,
            format_title=read.format.title,
            coverage=cover(pairing, components, _whole(read, pairing)),
            round_original=choice,
            program=str(own_settings(file.metadata).get("program", "")),
            **(_plain_figures(layers, plain_sums) if another else {}),
        )


def _whole(read: _ReadKeys, pairing: Pairing) -> set[str]:
    """The weights that only the fine-tuned model has and that the LoRA holds as they are."""
    keys = set(read.index.whole)
    names = {name for name in pairing.only_finetuned if read.format.whole_key(pairing.family, name) in keys}
    return names | {*read.enlarged}


@dataclass(frozen=True)
class _Measured:
    """|delta|^2 of a weight, and |delta - what the LoRA adds|^2."""

    total: float
    lost: float


@dataclass
class _Sums:
    """The same over all weights."""

    total: float = 0.0
    lost: float = 0.0

    def add(self, measured: _Measured, grown: float) -> None:
        """Count a weight and what it has grown by; one that is broken in the models has no change to keep."""
        if math.isfinite(measured.total):
            self.total, self.lost = self.total + measured.total + grown, self.lost + measured.lost + grown

    @property
    def mean(self) -> float:
        """The share that is kept."""
        return 1.0 - self.lost / self.total if self.total else 0.0


def _plain_figures(layers: list[VerifiedLayer], sums: _Sums) -> dict[str, float]:
    shares = (
        layer.energy_retained if layer.plain_energy_retained is None else layer.plain_energy_retained
        for layer in layers
    )
    return {"plain_mean_energy_retained": sums.mean, "plain_worst_energy_retained": min(shares, default=0.0)}


def _compared(weight: PairedWeight, choice: RoundOriginal | None) -> PairedWeight:
    """The weight, its sides compared as for the LoRA: as they are stored where it does not say."""
    return replace(weight, rounding=None) if choice is None else weight.rounded(choice)


def _components(settings: dict[str, Any]) -> tuple[str, ...]:
    """The parts of the model that the LoRA was extracted from; the default ones where it does not say."""
    try:
        return tuple(settings["components"])
    except (KeyError, TypeError):
        return tuple(ExtractionSettings().components)


@dataclass(frozen=True)
class _ReadKeys:
    """A LoRA's keys as one format reads them: of each weight up, down and perhaps alpha, the difference, or none.

    Of weights that are enlarged to the fine-tuned model's shape, `enlarged` has the key that says so; `respelled` are
    the keys under which a layer stands once more.
    """

    format: LoraFormat
    index: LoraIndex
    keys: dict[str, tuple[str, ...]]
    enlarged: Mapping[str, str] = field(default_factory=dict)
    respelled: frozenset[str] = frozenset()

    @property
    def known(self) -> set[str]:
        return {key for found in self.keys.values() for key in found} | {*self.enlarged.values()} | self.respelled


def _read_keys(file: Checkpoint, pairing: Pairing, weights: list[PairedWeight]) -> _ReadKeys:
    """Read the keys in the format that knows most of these weights by them, see `likeliest` for equals.

    Raises:
        EngineError: ``not_a_lora`` where no format knows a key.
    """
    found = formats_of(file.stored.keys())
    if not found:
        raise EngineError(ErrorCode.NOT_A_LORA, file=file.path)
    readings = [_read_as(row.for_pair(pairing), index, pairing, weights) for row, index in found]
    chosen = likeliest({reading.format: len(reading.known) for reading in readings}, file.metadata)
    return next(reading for reading in readings if reading.format is chosen)


def _read_as(row: LoraFormat, index: LoraIndex, pairing: Pairing, weights: list[PairedWeight]) -> _ReadKeys:
    """The keys of each weight that are in the file; keys that two weights have in a format are the first one's."""
    taken: set[str] = set()
    found: dict[str, tuple[str, ...]] = {}
    respelled: set[str] = set()
    for weight in weights:
        keys, *others = _keys(row, index, pairing, weight) or [()]
        found[weight.name] = () if taken & set(keys) else keys
        taken |= set(keys)
        respelled.update(*others)
    return _ReadKeys(row, index, found, _enlarged(row, index, pairing, weights), frozenset(respelled))


def _enlarged(row: LoraFormat, index: LoraIndex, pairing: Pairing, weights: list[PairedWeight]) -> dict[str, str]:
    """The keys of the shapes that weights of a larger fine-tuned side are enlarged to."""
    keys = {weight.name: row.reshape_key(pairing.family, weight.name) for weight in weights if weight.may_be_enlarged}
    return {name: key for name, key in keys.items() if key is not None and index.found({"reshape": key})}


def _keys(row: LoraFormat, index: LoraIndex, pairing: Pairing, weight: PairedWeight) -> list[tuple[str, ...]]:
    """The keys of a weight that are in the file, for each spelling of its name there."""
    found: list[tuple[str, ...]] = []
    for factors in (True, False) if weight.kind in ("matrix", "conv") else (False,):
        for place in row.places(pairing.family, weight.name, weight.kind, weight.shape, factors=factors):
            parts = index.found(place.keys)
            if factors and "up" in parts and "down" in parts:
                found.append((parts["up"], parts["down"], *((parts["alpha"],) if "alpha" in parts else ())))
            elif not factors and parts:
                found.append((parts["difference"],))
        if found:
            break
    return found


def _read(weight: PairedWeight, finetuned: Checkpoint, original: Checkpoint, residents: BlockCache | None) -> Weights:
    """A weight's two sides, or their difference: from a device where they are, else from the files."""
    found = residents.look(block_name(weight), weight.name) if residents is not None else None
    if found is None or (found.delta is not None and (weight.rounding is not None or not found.serve(None))):
        return Weights(sides=(read_encoded(finetuned, weight.finetuned), read_encoded(original, weight.original)))
    if found.delta is not None and found.delta.values.device.type == "mps":  # no float64 there
        return Weights(delta=replace(found.delta, values=found.delta.values.cpu()))
    return found


def _measure(
    file: Checkpoint, keys: tuple[str, ...], weight: PairedWeight, weights: Weights, *, enlarged: bool
) -> tuple[_Measured, _Measured | None]:
    """What the LoRA keeps of a weight's change, and of the plain difference where that is another one.

    In float64, a few rows at a time, where the weights are. Of a weight that is enlarged the delta is in the shape of
    the fine-tuned side, against zero where that is larger.
    """
    delta_rows, plain_rows, shape = _delta_rows(weight, weights, enlarged=enlarged)
    rows = shape[0] if shape else 1
    columns = math.prod(shape[1:])
    stored = [read_stored(file, file.stored[key]) for key in keys]
    _check_shapes(file, keys, stored, tuple(shape))
    _check_finite(file, keys, stored)
    step = max(1, _CHUNK_BYTES // (8 * max(1, columns)))
    sums = [[0.0, 0.0] for _ in ((delta_rows, plain_rows) if plain_rows else (delta_rows,))]
    for start in range(0, rows, step):
        check()
        piece = slice(start, start + step)
        for rows_of, sum_of in zip((delta_rows, plain_rows), sums, strict=False):
            assert rows_of is not None
            delta = rows_of(piece)
            sum_of[0] += float(delta.square().sum())
            if len(stored) == 1:
                delta -= stored[0].reshape(rows, -1)[piece].to(delta.device, torch.float64)
            elif stored:
                rank = stored[1].shape[0]
                scale = float(stored[2]) / rank if len(stored) == 3 else 1.0
                up = stored[0].reshape(rows, rank)[piece].to(delta.device, torch.float64)
                delta -= scale * (up @ stored[1].reshape(rank, -1).to(delta.device, torch.float64))
            sum_of[1] += float(delta.square().sum())
    return _Measured(*sums[0]), _Measured(*sums[1]) if plain_rows else None


def _grown_energy(weight: PairedWeight, weights: Weights) -> float:
    """Energy of what the fine-tuned side has beyond the original's shape, against zero, in float64."""
    if weight.common is None or not weight.grown_numel:
        return 0.0
    if weights.delta is not None:
        return weights.delta.grown_energy
    assert weights.sides is not None
    tuned = weights.sides[0].decoded()
    tuned = tuned.reshape(tuned.shape[0], -1)
    common = weight.common[0], math.prod(weight.common[1:])
    step = max(1, _CHUNK_BYTES // (8 * max(1, tuned.shape[1])))
    shape = tuned.shape[0], tuned.shape[1]
    return energy_of_parts(tuned[part].to(torch.float32) for part in grown_parts(shape, common, step))


_Rows = Callable[[slice], torch.Tensor]


def _delta_rows(weight: PairedWeight, weights: Weights, *, enlarged: bool) -> tuple[_Rows, _Rows | None, torch.Size]:
    """Functions that give rows of the difference in float64, (rows, columns), and the weight's shape.

    The first is of the difference that was extracted; the second of the plain one, where that may be another.
    """
    if weights.delta is not None:
        values = weights.delta.values
        flat = values.reshape(values.shape[0] if values.dim() else 1, -1)
        return lambda piece: flat[piece].to(torch.float64), None, values.shape
    assert weights.sides is not None
    plain = compared(weights.sides, None)
    assert plain is not None, "nothing is rounded"
    plain_rows, shape = _difference_rows(*plain, enlarged=enlarged), plain[0 if enlarged else 1].shape
    if weight.rounding is None:
        return plain_rows, None, shape
    both = compared(weights.sides, weight.rounding)
    if both is None:  # the same but for rounding
        tuned, base = plain
        common = tuple(map(slice, map(min, tuned.shape, base.shape)))
        both = (tuned, tuned[common]) if enlarged else (base, base)
    return _difference_rows(*both, enlarged=enlarged), plain_rows, shape


def _difference_rows(tuned: torch.Tensor, base: torch.Tensor, *, enlarged: bool) -> _Rows:
    """A function that gives rows of the difference of two tensors in float64, (rows, columns).

    Of different shapes it is in the original's, or where that is enlarged in the fine-tuned side's.
    """
    tuned, base = (side.reshape(side.shape[0] if side.dim() else 1, -1) for side in (tuned, base))

    def rows(piece: slice) -> torch.Tensor:
        delta = torch.zeros_like((tuned if enlarged else base)[piece], dtype=torch.float64)
        if enlarged:
            delta.copy_(tuned[piece])
        height, breadth = (min(sizes) for sizes in zip(tuned.shape, base.shape, strict=True))
        common = max(0, min(len(delta), height - piece.start))
        ours, theirs = (side[piece][:common, :breadth].to(torch.float32) for side in (tuned, base))
        delta[:common, :breadth] = ours.to(torch.float64) - theirs.to(torch.float64)
        return delta

    return rows


def _check_shapes(file: Checkpoint, keys: tuple[str, ...], stored: list[torch.Tensor], shape: tuple[int, ...]) -> None:
    if not keys:
        return
    rows, columns = (shape[0], math.prod(shape[1:])) if shape else (1, 1)
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


def _judged(
    file: Checkpoint, weight: PairedWeight, keys: tuple[str, ...], found: _Measured, plain: _Measured | None
) -> VerifiedLayer:
    rank = file.stored[keys[1]].shape[0] if len(keys) > 1 else None
    share, error = _share(found)
    return VerifiedLayer(weight.name, rank, share, error, None if plain is None else _share(plain)[0])


def _share(measured: _Measured) -> tuple[float, float]:
    """The energy retained, and the relative error."""
    total, lost = measured.total, measured.lost
    if total > 0.0:
        return 1.0 - lost / total, math.sqrt(lost / total)
    # The models agree here: a LoRA that adds nothing keeps everything, one that adds something is all error.
    return (1.0, 0.0) if lost == 0.0 else (0.0, 1.0)
