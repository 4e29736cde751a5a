"""The work on one layer whose two sides are at hand: subtract, decompose, store. What comes out is data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.delta import Delta
from engine.decompose.factors import Stored, store_difference, store_factors
from engine.decompose.seed import layer_seed
from engine.decompose.truncated_svd import truncated_svd
from engine.models.pairing import PairedWeight
from engine.planning.costs import matrix_shape, policy_of, stores_factors
from engine.results import LayerResult, LeaveOutReason, LeftOut, StageSeconds
from engine.settings import ExtractionSettings
from engine.streamed_delta import MeasuredDelta


@dataclass(frozen=True)
class LayerOutcome:
    """What came of one layer: tensors to write and a row for the report, or the reason why it is left out.

    Attributes:
        tensors: by part, see `Stored`; empty where the layer is left out.
        row: None where the layer is left out, or only measured.
        left_out: None where the layer is extracted.
        delta_energy: |delta|^2; 0 where it is not finite.
        original_energy: |original|^2.
        seconds: time by stage, without the writing.
        broken_file: the side with the non-finite value, where that is the reason.
        svd: the decomposition on the host, for the journal; None where there is none.
        difference: the delta on the host, float32, where it is what is stored and goes to the journal.
        stored: what was decided on storing; None where the layer is left out.
        span: when the work began and ended, `time.perf_counter`.
        on_cpu: the device could not, for want of room or of an operation, so the processor did the work.
        kept: nothing was computed: an earlier run left this.
        bound: the energies are lower bounds, as there was no delta to measure clamped factors with.
    """

    tensors: dict[str, torch.Tensor]
    row: LayerResult | None
    left_out: LeftOut | None
    delta_energy: float
    original_energy: float = 0.0
    seconds: StageSeconds = field(default_factory=StageSeconds)
    broken_file: Path | None = None
    svd: TruncatedSvd | None = None
    difference: torch.Tensor | None = None
    stored: Stored | None = None
    span: tuple[float, float] = (0.0, 0.0)
    on_cpu: bool = False
    kept: bool = False
    bound: bool = False

    @property
    def nbytes(self) -> int:
        """Host memory that it holds."""
        parts = [*self.tensors.values()]
        parts += [self.svd.u, self.svd.vh] if self.svd else []
        parts += [self.difference] if self.difference is not None else []
        return sum(part.numel() * part.element_size() for part in parts)


def work_on(
    weight: PairedWeight,
    delta: Delta | MeasuredDelta,
    settings: ExtractionSettings,
    *,
    reserve: Callable[[int], None] | None = None,
) -> LayerOutcome:
    """Decompose and store one layer, on the device of its delta.

    Args:
        weight: the layer.
        delta: its difference.
        settings: what to extract.
        reserve: told how many bytes more than planned the solver needs, before it takes them; may raise.

    Raises:
        EngineError: ``dtype_overflow``.
    """
    total, norm = delta.energy, math.sqrt(delta.original_energy) if delta.original_energy > 0.0 else 0.0
    reason = _left_out(delta, settings, norm)
    if reason is not None:
        energy = total if math.isfinite(total) else 0.0
        return LayerOutcome({}, None, LeftOut(weight.name, reason), energy, delta.original_energy)
    svd, stored = _decomposed(weight, delta, settings, reserve)
    row = layer_row(weight, svd, stored, total=total, original=delta.original_energy)
    difference = None
    if svd is None and settings.lora_type != "full" and isinstance(delta, Delta):
        difference = delta.values.cpu()
    host = None if svd is None else replace(svd, u=svd.u.cpu(), vh=svd.vh.cpu())
    return LayerOutcome(
        stored.tensors, row, None, total, delta.original_energy, svd=host, difference=difference, stored=stored
    )


def measure(delta: Delta | MeasuredDelta) -> LayerOutcome:
    """Only |delta|^2, of a weight that is not extracted; 0 where it is not finite."""
    return LayerOutcome({}, None, None, delta.energy if math.isfinite(delta.energy) else 0.0, delta.original_energy)


def layer_row(
    weight: PairedWeight, svd: TruncatedSvd | None, stored: Stored, *, total: float, original: float
) -> LayerResult:
    """A layer's row of the report; its seconds are filled in later."""
    how = stored.how
    return LayerResult(
        name=weight.name,
        kind=weight.kind,
        shape=weight.shape,
        rank=svd.rank if svd else None,
        energy_retained=how.energy_retained,
        energy_before=how.energy_before,
        relative_error=how.relative_error,
        relative_change=math.sqrt(total / original) if original > 0.0 else math.inf,
        delta_energy=total,
        singular_values=tuple(svd.s.tolist()) if svd else (),
        capped=svd.capped if svd else False,
        clamp=how.clamp,
        stored_dtype=how.dtype,
        solver=svd.solver if svd else "",
        seconds=StageSeconds(),
    )


def _left_out(delta: Delta | MeasuredDelta, settings: ExtractionSettings, norm: float) -> LeaveOutReason | None:
    if not math.isfinite(delta.energy):
        return LeaveOutReason.NON_FINITE
    if delta.energy == 0.0:
        return LeaveOutReason.UNCHANGED
    small = math.sqrt(delta.energy) <= settings.min_change * norm
    return LeaveOutReason.BELOW_MIN_CHANGE if small else None


def _decomposed(
    weight: PairedWeight,
    delta: Delta | MeasuredDelta,
    settings: ExtractionSettings,
    reserve: Callable[[int], None] | None,
) -> tuple[TruncatedSvd | None, Stored]:
    if not stores_factors(weight, settings):
        assert isinstance(delta, Delta), "a difference that is stored is held"
        return None, store_difference(delta.values, settings, total=delta.energy, layer=weight.name)
    flat = delta.values.reshape(matrix_shape(weight.shape)) if isinstance(delta, Delta) else delta.pieces
    svd = truncated_svd(
        flat,
        policy_of(settings),
        algorithm=settings.algorithm,
        iterations=settings.lowrank_iters,
        seed=layer_seed(settings.seed, weight.name),
        total=delta.energy,
        reserve=reserve,
    )
    stored = store_factors(flat, svd, weight.shape[2:], settings, total=delta.energy, layer=weight.name)
    return svd, stored
