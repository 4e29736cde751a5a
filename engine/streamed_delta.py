"""Both sides of a weight left in their files: read in parts, subtracted part by part, and read again when needed.

Where a layer's memory is short its sides are never held whole: either the delta is filled part by part (`filled`), or
not even that is held, and a solver goes over it in `Pieces` (`measured`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from engine.checkpoints import Checkpoint
from engine.checkpoints.rounded import one_dtype
from engine.checkpoints.rounding import grid_of
from engine.checkpoints.sides import AnySide, RoundedSide, Side, as_matrix
from engine.decompose.delta import (
    SAFE_SQUARES,
    Delta,
    SquaresInCache,
    energy,
    energy_of_parts,
    grown_parts,
    row_energies,
    subtract_in_cache,
    total_of_rows,
)
from engine.decompose.drawn_noise import noise_cut
from engine.decompose.noise_model import NoiseModel, model_noise
from engine.decompose.pieces import Pieces
from engine.decompose.rounding_noise import Grids, RoundingMeter, RoundingSums, ulp_of
from engine.decompose.workspace import CHUNK_BYTES
from engine.devices.buffer_pool import HostBuffer
from engine.devices.memory_rules import PART_VALUES
from engine.models.pairing import PairedWeight
from engine.steps import check

_Part = TypeVar("_Part", torch.Tensor, torch.Tensor | None)


@dataclass(frozen=True)
class MeasuredDelta:
    """A difference that is not held, and what was measured in going over it once; see `delta.Delta`."""

    pieces: UnreadPair
    energy: float
    original_energy: float
    grown_energy: float = 0.0
    noise: NoiseModel | None = None
    noise_cut: float | None = None


def meter_of(weight: PairedWeight, shape: tuple[int, int]) -> RoundingMeter:
    """What measures the rounding of a weight's sides as they are subtracted.

    Args:
        weight: with the way in which its sides are compared.
        shape: rows and columns of what both have.
    """
    grids = Grids(grid_of(weight.finetuned, weight.original, weight.rounding))
    tuned, base = one_dtype(weight.finetuned), one_dtype(weight.original)
    finer = 1.0
    if grids is Grids.BOTH and tuned is not None and base is not None:  # the numbers are no longer in their dtype
        finer = torch.finfo(base).eps / torch.finfo(tuned).eps
    return RoundingMeter(shape, grids, finer=finer)


class UnreadPair(Pieces):
    """A weight's delta, formed from its two files whenever a piece of it is wanted. For one thread.

    Attributes:
        read_seconds: time spent reading so far.
    """

    def __init__(
        self, checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight, note: Callable[[int], None]
    ) -> None:
        """Nothing is read yet.

        Args:
            checkpoints: the fine-tuned model and the original.
            weight: the weight.
            note: told the bytes of every read.
        """
        columns = math.prod(weight.shape[1:])
        self.shape = math.prod(weight.shape) // max(1, columns), columns
        self.read_seconds = 0.0
        self._weight, self._checkpoints = weight, checkpoints
        tuned, base = (
            Side(checkpoint, view, note, PART_VALUES)
            for checkpoint, view in zip(checkpoints, (weight.finetuned, weight.original), strict=True)
        )
        self._stored = tuned, base
        rounded = None if weight.rounding is None else weight.rounding.rounded
        self._sides: tuple[AnySide, AnySide] = (
            RoundedSide(tuned, base) if rounded == "finetuned" else tuned,
            RoundedSide(base, tuned) if rounded == "original" else base,
        )
        self._common = self.shape if weight.common is None else as_matrix(weight.common)
        self._values: torch.Tensor | None = None
        self._meter: RoundingMeter | None = None
        self._rounding: RoundingSums | None = None

    def piece(self, start: int, stop: int) -> torch.Tensor:
        """See `Pieces.piece`."""
        if self.tall:
            return self._block((start, stop), (0, self.shape[1]))
        return self._block((0, self.shape[0]), (start, stop))

    def steps(self, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The steps of a part of both sides, float32, as `engine.checkpoints.steps.steps_of_sides` says.

        Of the part that was read last they are formed without reading again, but for few forms.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        if self._weight.rounding is not None and self._weight.rounding.rounded == "finetuned":
            found = self._timed(self._stored[1].steps, rows, columns)
            return found, found
        tuned, base = self._sides
        return self._timed(tuned.steps, rows, columns), self._timed(base.steps, rows, columns)

    def sides(self, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and columns that both sides have, as they are to be subtracted, in any floating dtypes.

        Valid until the next call. No more than these is read where the containers and encodings can do that.

        Returns:
            The fine-tuned side and the original, (rows, columns).

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        return self._read(0, rows, columns), self._read(1, rows, columns)

    def noise_cut(self, seed: int, *, hold: bool) -> float:
        """The largest singular value that rounding alone may give the delta, see `engine.decompose.drawn_noise`.

        Args:
            seed: of the layer.
            hold: there is memory for the noise, so that the sides are read once for it; else in every round.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        columns = 0, self._common[1]

        def steps(start: int, stop: int) -> torch.Tensor:
            tuned = self.sides((start, stop), columns)[0]
            own = self.steps((start, stop), columns)[0]
            return ulp_of(tuned) if own is None else own.reshape(tuned.shape)

        both = grid_of(self._weight.finetuned, self._weight.original, self._weight.rounding) == Grids.BOTH.value
        return noise_cut(self._common, steps, seed=seed, both=both, hold=hold)

    def only_rounded(self) -> bool:
        """Whether the sides differ by rounding alone and none is rounded before they are subtracted.

        Reads no further than to the first value that says no.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        if self._weight.rounding is None or self._weight.finetuned.shape != self._weight.original.shape:
            return False
        tuned, base = self._stored
        pairs = {"finetuned": (tuned, base), "original": (base, tuned)}
        return any(self._same(RoundedSide(*pairs[side]), pairs[side][1]) for side in self._weight.rounding.tested)

    def _same(self, rounded: RoundedSide, other: Side) -> bool:
        rows, columns = self.shape
        step = max(1, PART_VALUES // max(1, columns))
        for start in range(0, rows, step):
            check()
            part = (start, min(rows, start + step)), (0, columns)
            ours = self._timed(rounded.block, *part).to(torch.float32)
            if not torch.equal(ours, self._timed(other.block, *part).to(torch.float32)):
                return False
        return True

    def measured(self) -> MeasuredDelta:
        """Go over the delta once, for its norm and the original's.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        return MeasuredDelta(self, *self._over(None), self._grown_energy(), self._noise())

    def filled(self, memory: HostBuffer) -> Delta:
        """The delta whole, in the shape of the original, with its norm: what `engine.decompose.delta.subtract` gives.

        Args:
            memory: for the result; it is valid until that is given back.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        count = self.shape[0] * self.shape[1]
        flat = memory.take(4 * count).view(torch.float32)
        return Delta(flat.view(self._weight.shape), *self._over(flat), self._grown_energy(), self._noise())

    def broken_file(self) -> Path:
        """The file with the first value that is NaN or infinite: one of the fine-tuned model's, else the original's."""
        for checkpoint, side in zip(self._checkpoints, self._stored, strict=True):
            part = side.broken_part()
            if part is not None:
                return checkpoint.file_of(part)
        return self._checkpoints[1].path

    def free(self) -> None:
        """Let go of the memory that pieces are made in."""
        self._values = None
        for side in (*self._sides, *self._stored):
            side.free()

    def _over(self, flat: torch.Tensor | None) -> tuple[float, float]:
        """The squared norms of the delta and of the original, as `subtract` measures them; `flat` is filled."""
        self._meter = meter = meter_of(self._weight, self._common)
        if self._weight.common is not None:
            total, original = self._over_rows(flat)
        elif not all(side.plain for side in self._sides):
            total, original = self._over_turned(flat)
        else:
            total, original = self._over_values(flat)
        self._meter, self._rounding = None, meter.sums()
        low, high = SAFE_SQUARES
        if not (low < total < high or math.isnan(total)) or not (low < original < high or math.isnan(original)):
            total, original = self._again(total, original)
        return total, original

    def _over_values(self, flat: torch.Tensor | None) -> tuple[float, float]:
        """In the order of the files, however the shape divides them."""
        count, total, original = self.shape[0] * self.shape[1], 0.0, 0.0
        for start in range(0, count, PART_VALUES):
            check()
            stop = min(count, start + PART_VALUES)
            tuned, base = (self._timed(side.values, start, stop) for side in self._sides)
            into = self._memory(stop - start) if flat is None else flat[start:stop]
            assert self._meter is not None, "the delta is gone over"
            self._meter.add(start, tuned, base)
            total, original = subtract_in_cache(tuned, base, into, total, original)
        return total, original

    def _over_rows(self, flat: torch.Tensor | None) -> tuple[float, float]:
        """By rows of the weight: where the sides differ in their shapes."""
        rows, columns = self.shape
        squares: tuple[list[torch.Tensor], ...] = ([], [])
        step = max(1, PART_VALUES // columns)
        for start in range(0, rows, step):
            check()
            stop = min(rows, start + step)
            part = self._block((start, stop), (0, columns))
            if flat is not None:
                flat.view(rows, columns)[start:stop] = part
            squares[0].append(row_energies(part))
            squares[1].append(row_energies(self._read(1, (start, stop), (0, columns)).to(torch.float32)))
        original, summed = torch.cat(squares[1]), max(1, CHUNK_BYTES // (4 * columns))  # as `subtract` sums them
        parts = range(0, rows, summed)
        return total_of_rows(torch.cat(squares[0])), sum(total_of_rows(original[at : at + summed]) for at in parts)

    def _over_turned(self, flat: torch.Tensor | None) -> tuple[float, float]:
        """By rows of the weight, where a side's bytes are not its values in their order; summed in that order."""
        rows, columns = self.shape
        sums = SquaresInCache(), SquaresInCache()
        step = max(1, PART_VALUES // columns)
        for start in range(0, rows, step):
            check()
            stop = min(rows, start + step)
            part = self._block((start, stop), (0, columns))
            if flat is not None:
                flat.view(rows, columns)[start:stop] = part
            sums[0].add(part.view(-1))
            sums[1].add(self._read(1, (start, stop), (0, columns)).to(torch.float32).reshape(-1))
        return sums[0].total(), sums[1].total()

    def _again(self, total: float, original: float) -> tuple[float, float]:
        """Norms so large or small that float32 may have lost them, in float64."""
        low, high = SAFE_SQUARES
        sums = [0.0, 0.0]
        step = max(1, PART_VALUES // max(1, self.shape[1]))
        for start in range(0, self.shape[0], step):
            check()
            rows, columns = (start, min(self.shape[0], start + step)), (0, self.shape[1])
            sums[0] += energy(self._block(rows, columns))
            sums[1] += energy(self._read(1, rows, columns).to(torch.float32))
        kept = (total if low < total < high else sums[0], original if low < original < high else sums[1])
        return kept

    def _block(self, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        """A part of the delta, in memory that is used again."""
        height, width = rows[1] - rows[0], columns[1] - columns[0]
        values = self._memory(height * width).view(height, width)
        common, breadth = (
            max(0, min(size, end - start))
            for size, end, start in zip((height, width), self._common, (rows[0], columns[0]), strict=True)
        )
        if common and breadth:  # the smaller side ends before rows and columns without a counterpart
            part = (rows[0], rows[0] + common), (columns[0], columns[0] + breadth)
            ours, theirs = self._read(0, *part), self._read(1, *part)
            if self._meter is not None:
                own, other = (None if found is None else found.reshape(-1) for found in self.steps(*part))
                self._meter.add(rows[0] * self._common[1], ours.reshape(-1), theirs.reshape(-1), own, other)
            if breadth == width:
                subtract_in_cache(ours.reshape(-1), theirs.reshape(-1), values[:common].view(-1))
            else:
                values[:common, :breadth].copy_(ours).sub_(theirs.to(torch.float32))
        values[common:] = 0.0
        values[:, breadth:] = 0.0
        return values

    def _noise(self) -> NoiseModel | None:
        """What of the delta that was gone over is rounding."""
        return None if self._rounding is None else model_noise(self._rounding)

    def _grown_energy(self) -> float:
        """What `subtract` measures of the fine-tuned side beyond the common part."""
        if not self._weight.grown_numel:
            return 0.0
        shape = as_matrix(self._weight.finetuned.shape)
        parts = grown_parts(shape, self._common, max(1, PART_VALUES // shape[1]))
        return energy_of_parts(self._read_grown(rows, columns) for rows, columns in parts)

    def _read_grown(self, rows: slice, columns: slice) -> torch.Tensor:
        check()
        return self._read(0, (rows.start, rows.stop), (columns.start, columns.stop)).to(torch.float32)

    def _read(self, side: int, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
        return self._timed(self._sides[side].block, rows, columns)

    def _timed(self, read: Callable[..., _Part], *where: object) -> _Part:
        started = time.perf_counter()
        part = read(*where)
        self.read_seconds += time.perf_counter() - started
        return part

    def _memory(self, count: int) -> torch.Tensor:
        if self._values is None or len(self._values) < count:
            self._values = None
            self._values = torch.empty(count, dtype=torch.float32)
        return self._values[:count]


def read_grown(checkpoint: Checkpoint, weight: PairedWeight) -> torch.Tensor:
    """The rows or the columns that the fine-tuned side of a weight has beyond the original, as a float32 matrix.

    Raises:
        EngineError: see `Checkpoint.read_into`.
    """
    rows, columns = as_matrix(weight.finetuned.shape)
    inside, breadth = as_matrix(weight.shape)
    side = Side(checkpoint, weight.finetuned, lambda count: None, PART_VALUES)
    start = (inside, 0) if inside < rows else (0, breadth)
    return side.block((start[0], rows), (start[1], columns)).to(torch.float32, copy=True)
