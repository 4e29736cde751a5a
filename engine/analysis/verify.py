"""Judge a LoRA file against the two models: how much of their difference it gives back.

The factors are read from the file, multiplied in float64 the way programs apply them, and compared with the
difference. Nothing that a run computed is used; reading, the pairing of the models and the formats' key names are the
extraction's own. Works on any LoRA of plain factors and differences, see `engine.analysis.lora_keys`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from engine.analysis.lora_keys import read_keys
from engine.analysis.lora_noise import AddedFactors, figures_of, rounding_in
from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint
from engine.checkpoints.rounded import compared
from engine.checkpoints.tensors import read_encoded, read_stored
from engine.decompose.delta import energy_of_parts, grown_parts
from engine.decompose.real_change import Counted, total_figures
from engine.errors import EngineError, ErrorCode
from engine.events import VerifyProgress
from engine.extraction.block_cache import BlockCache, Weights
from engine.formats.lora_format import Place
from engine.formats.peft_reading import open_lora, unknown_keys
from engine.formats.registry import own_rounding, own_settings
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
    with open_lora(lora) as file:
        settings, choice = own_settings(file.metadata), own_rounding(file.metadata)
        components, strength = _components(settings), _strength(settings)
        weights = [_compared(weight, choice) for weight in pairing.weights if weight.component in components]
        keys = read_keys(file, pairing, weights)
        if not keys.of_weights:
            example = next(iter(file.stored))
            raise EngineError(ErrorCode.LORA_MISMATCH, file=lora, tensor=example, reason="foreign")
        layers: list[VerifiedLayer] = []
        left_out: list[LeftOut] = []
        sums, plain_sums, another = _Sums(), _Sums(), False
        counted, beyond, own = list[Counted](), 0.0, "lora_extractor.version" in file.metadata
        for index, weight in enumerate(weights):
            cancel.check()
            enlarged, places = weight.name in keys.enlarged, keys.places[weight.name]
            kept = keys.kept.get(weight.name)
            with stoppable(ThreadWork(lambda: cancel.cancelled, weight.name)):
                sides = _read(weight, finetuned, original, None if enlarged or kept else residents)
                if kept is not None:
                    found = _measure_kept(file, kept, sides, strength)
                    figures = figures_of(rounding_in(weight, sides), found.total, found.lost, (), fitted=True)
                    layers.append(VerifiedLayer(weight.name, None, *_share(found), noise=figures))
                    counted.append(Counted(found.total, figures))
                    sums.add(found, 0.0)
                    plain_sums.add(found, 0.0)
                    yield VerifyProgress(index + 1, len(weights), weight.name)
                    continue
                delta = _delta_rows(weight, sides, enlarged=enlarged)
                changes = [_Change(file, place, delta.shape, keys.scale, strength) for place in places]
                found, plain = _measure(changes, delta)
                grown = 0.0 if enlarged else _grown_energy(weight, sides)
                added = [change.added for change in changes]
                figures = figures_of(rounding_in(weight, sides), found.total, found.lost, added, fitted=own)
            counted.append(Counted(found.total, figures, kept=bool(changes)))
            beyond += grown
            if changes:
                layers.append(replace(_judged(weight, changes, found, plain), noise=figures))
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
            unknown_keys=unknown_keys(file, keys.known),
            mean_energy_retained=sums.mean,
            worst_energy_retained=min((layer.energy_retained for layer in layers), default=0.0),
            key_format=keys.format.key if keys.format else "",
            format_title=keys.format.title if keys.format else "",
            coverage=cover(pairing, components, {*keys.whole, *keys.enlarged, *keys.kept}),
            round_original=choice,
            program=str(settings.get("program", "")),
            strength=strength,
            noise=total_figures([layer for layer in counted if math.isfinite(layer.energy)], beyond),
            **(_plain_figures(layers, plain_sums) if another else {}),
        )


def _strength(settings: dict[str, Any]) -> float:
    """By what the LoRA says that it was multiplied as a whole."""
    value = settings.get("strength", 1.0)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) and value else 1.0


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


def _plain_figures(layers: list[VerifiedLayer], sums: _Sums) -> dict[str, Any]:
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


def _read(weight: PairedWeight, finetuned: Checkpoint, original: Checkpoint, residents: BlockCache | None) -> Weights:
    """A weight's two sides, or their difference: from a device where they are, else from the files."""
    found = residents.look(block_name(weight), weight.name) if residents is not None else None
    if found is None or (found.delta is not None and (weight.rounding is not None or not found.serve(None))):
        return Weights(sides=(read_encoded(finetuned, weight.finetuned), read_encoded(original, weight.original)))
    if found.delta is not None and found.delta.values.device.type == "mps":  # no float64 there
        return Weights(delta=replace(found.delta, values=found.delta.values.cpu()))
    return found


class _Change:
    """What a place of the file adds to some rows of a weight."""

    def __init__(
        self,
        file: Checkpoint,
        place: Place,
        shape: torch.Size,
        scale: Callable[[str, int], float],
        strength: float,
    ) -> None:
        """Read it.

        Args:
            file: the LoRA.
            place: with the keys that are in the file.
            shape: of the weight.
            scale: see `LoraKeys`.
            strength: by which the whole file is multiplied; it is divided out.

        Raises:
            EngineError: ``lora_mismatch`` where a tensor has not the shape of the weight's rows, or is not finite.
        """
        first, end = place.rows or (0, shape[0] if shape else 1)
        self.rows, columns = (first, end), math.prod(shape[1:])
        tensors = {part: read_stored(file, file.stored[key]) for part, key in place.keys.items() if part != "reshape"}
        main = place.keys["difference" if "difference" in tensors else "up"]
        self.down: torch.Tensor | None = None
        if "difference" in tensors:
            fits, self.scale = tensors["difference"].numel() == (end - first) * columns, 1.0 / strength
            self.up, self.rank = tensors["difference"], None
        else:
            up, down = tensors["up"], tensors["down"]
            if place.transposed and up.dim() == down.dim() == 2:
                up, down = down.T, up.T
            rank = down.shape[0] if down.dim() else 0
            fits = rank > 0 and up.numel() == (end - first) * rank and down.numel() == rank * columns
            fits = fits and ("alpha" not in tensors or tensors["alpha"].numel() == 1)
            self.up, self.down, self.rank = up, down, rank
        if not fits or end > (shape[0] if shape else 1):
            raise EngineError(ErrorCode.LORA_MISMATCH, file=file.path, tensor=main, reason="shape")
        for part, tensor in tensors.items():
            if not bool(torch.isfinite(tensor.to(torch.float32)).all()):
                key = place.keys[part]
                raise EngineError(ErrorCode.LORA_MISMATCH, file=file.path, tensor=key, reason="non_finite")
        if self.down is not None:
            alpha, rank = tensors.get("alpha"), self.down.shape[0]
            own = scale(place.keys["down"], rank) if alpha is None else float(alpha) / rank
            self.scale, self.down = own / strength, self.down.reshape(rank, -1).to(torch.float64)
        elif place.transposed and self.up.dim() == 2:
            self.up = self.up.T
        self.up = self.up.reshape(end - first, -1)
        if place.swapped:
            half = len(self.up) // 2
            self.up = torch.cat((self.up[half:], self.up[:half]))

    @property
    def added(self) -> AddedFactors:
        """The same for `engine.analysis.lora_noise`."""
        return AddedFactors(self.rows, self.up, self.down, self.scale)

    def subtract_from(self, delta: torch.Tensor, start: int) -> None:
        """Subtract it from rows of the weight's change, (rows, columns) float64, the first of which is `start`."""
        first, end = max(start, self.rows[0]), min(start + len(delta), self.rows[1])
        if first >= end:
            return
        up = self.up[first - self.rows[0] : end - self.rows[0]].to(delta.device, torch.float64)
        added = up if self.down is None else up @ self.down.to(delta.device)
        delta[first - start : end - start] -= self.scale * added


def _measure(changes: list[_Change], delta: _Delta) -> tuple[_Measured, _Measured | None]:
    """What the LoRA keeps of a weight's change, and of the plain difference where that is another one.

    In float64, a few rows at a time, where the weights are.
    """
    rows, columns = (delta.shape[0], math.prod(delta.shape[1:])) if delta.shape else (1, 1)
    step = max(1, _CHUNK_BYTES // (8 * max(1, columns)))
    sums = [[0.0, 0.0] for _ in ((delta.rows, delta.plain) if delta.plain else (delta.rows,))]
    for start in range(0, rows, step):
        check()
        for rows_of, sum_of in zip((delta.rows, delta.plain), sums, strict=False):
            assert rows_of is not None
            piece = rows_of(slice(start, start + step))
            sum_of[0] += float(piece.square().sum())
            for change in changes:
                change.subtract_from(piece, start)
            sum_of[1] += float(piece.square().sum())
    return _Measured(*sums[0]), _Measured(*sums[1]) if delta.plain else None


def _measure_kept(file: Checkpoint, key: str, weights: Weights, strength: float) -> _Measured:
    """What the LoRA keeps of a weight's change that it holds as it is, new rows included; in float64, in pieces.

    Raises:
        EngineError: ``lora_mismatch`` where the tensor has neither model's shape, or is not finite.
    """
    assert weights.sides is not None, "read from the files"
    tuned, base = (side.decoded() for side in weights.sides)
    stored = read_stored(file, file.stored[key])
    if stored.shape not in (tuned.shape, base.shape) or tuned.shape[1:] != base.shape[1:]:
        raise EngineError(ErrorCode.LORA_MISMATCH, file=file.path, tensor=key, reason="shape")
    if not bool(torch.isfinite(stored.to(torch.float32)).all()):
        raise EngineError(ErrorCode.LORA_MISMATCH, file=file.path, tensor=key, reason="non_finite")
    tuned, base, stored = (side.reshape(side.shape[0] if side.dim() else 1, -1) for side in (tuned, base, stored))
    step = max(1, _CHUNK_BYTES // (8 * max(1, tuned.shape[1])))
    total = lost = 0.0
    for start in range(0, len(tuned), step):
        check()
        ours, theirs, given = (side[start : start + step].to(torch.float64) for side in (tuned, base, stored))
        old, new = torch.zeros_like(ours), torch.zeros_like(ours)
        old[: len(theirs)] = theirs[: len(ours)]
        new[: len(given)] = given[: len(ours)]
        total += float((ours - old).square().sum())
        lost += float((ours - old - (new - old) / strength).square().sum())
    return _Measured(total, lost)


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


@dataclass(frozen=True)
class _Delta:
    """Functions that give rows of a weight's difference in float64, (rows, columns), and the weight's shape.

    `rows` is of the difference that was extracted; `plain` of the plain one, where that may be another. Of a weight
    that is enlarged the delta is in the shape of the fine-tuned side, against zero where that is larger.
    """

    rows: _Rows
    plain: _Rows | None
    shape: torch.Size


def _delta_rows(weight: PairedWeight, weights: Weights, *, enlarged: bool) -> _Delta:
    if weights.delta is not None:
        values = weights.delta.values
        flat = values.reshape(values.shape[0] if values.dim() else 1, -1)
        return _Delta(lambda piece: flat[piece].to(torch.float64, copy=True), None, values.shape)
    assert weights.sides is not None
    plain = compared(weights.sides, None)
    assert plain is not None, "nothing is rounded"
    plain_rows, shape = _difference_rows(*plain, enlarged=enlarged), plain[0 if enlarged else 1].shape
    if weight.rounding is None:
        return _Delta(plain_rows, None, shape)
    both = compared(weights.sides, weight.rounding)
    if both is None:  # the same but for rounding
        tuned, base = plain
        common = tuple(map(slice, map(min, tuned.shape, base.shape)))
        both = (tuned, tuned[common]) if enlarged else (base, base)
    return _Delta(_difference_rows(*both, enlarged=enlarged), plain_rows, shape)


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


def _judged(weight: PairedWeight, changes: list[_Change], found: _Measured, plain: _Measured | None) -> VerifiedLayer:
    ranks = [change.rank for change in changes if change.rank is not None]
    share, error = _share(found)
    of_plain = None if plain is None else _share(plain)[0]
    return VerifiedLayer(weight.name, max(ranks, default=None), share, error, of_plain)


def _share(measured: _Measured) -> tuple[float, float]:
    """The energy retained, and the relative error."""
    total, lost = measured.total, measured.lost
    if total > 0.0:
        return 1.0 - lost / total, math.sqrt(lost / total)
    # The models agree here: a LoRA that adds nothing keeps everything, one that adds something is all error.
    return (1.0, 0.0) if lost == 0.0 else (0.0, 1.0)
