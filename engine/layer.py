"""The unit of work: one delta to factors or a stored difference, and a row of the report. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.delta import Delta
from engine.decompose.factors import Stored, Storing, store_difference, store_factors
from engine.decompose.method import LayerMethod, StoringRule
from engine.decompose.noise_model import NoiseModel
from engine.decompose.real_change import Kept, LayerNoise, fitted_noise, noise_figures
from engine.decompose.stored_layer import Factors
from engine.decompose.truncated_svd import truncated_svd
from engine.models.layer_blocks import block_of
from engine.models.pairing import PairedWeight
from engine.planning.costs import matrix_shape
from engine.results import LayerResult, LeaveOutReason, LeftOut, StageSeconds
from engine.streamed_delta import MeasuredDelta


@dataclass(frozen=True)
class LayerOutcome:
    """The result of one layer: what is stored of it and a row for the report, or the reason why it is left out.

    Attributes:
        row: as the first of `stored` is, but with the rank of the whole decomposition, see `stored_row`; None where
            the layer is left out, or only measured.
        left_out: None where the layer is extracted.
        delta_energy: |delta|^2; 0 where it is not finite.
        original_energy: |original|^2.
        grown_energy: of what the fine-tuned side has beyond the original's shape, see `Delta`; 0 if it is not finite.
        seconds: time by stage, without the writing.
        broken_file: the side with the non-finite value, where that is the reason.
        svd: the decomposition on the host, for the journal; None where there is none.
        difference: the delta on the host, float32, where it is what is stored and goes to the journal.
        stored: the layer as each `LayerMethod.storing` stores it; empty where it is left out or only measured.
        span: when the work began and ended, `time.perf_counter`.
        on_cpu: the processor did the work, as the device lacks the memory or an operation.
        kept: nothing was computed: this is from a record of an earlier run.
        bound: the energies are lower bounds, as there was no delta to measure clamped factors with.
        noise: the rounding errors in the delta; None where they were not measured.
        noise_cut: the largest singular value that rounding alone may give the delta; None where no noise was drawn.
        noise_model: the same as it was measured, where there is nothing yet that could have fitted them.
    """

    row: LayerResult | None
    left_out: LeftOut | None
    delta_energy: float
    original_energy: float = 0.0
    seconds: StageSeconds = field(default_factory=StageSeconds)
    broken_file: Path | None = None
    svd: TruncatedSvd | None = None
    difference: torch.Tensor | None = None
    stored: tuple[Stored, ...] = ()
    span: tuple[float, float] = (0.0, 0.0)
    on_cpu: bool = False
    kept: bool = False
    bound: bool = False
    grown_energy: float = 0.0
    noise: LayerNoise | None = None
    noise_model: NoiseModel | None = None
    noise_cut: float | None = None

    @property
    def nbytes(self) -> int:
        """Host memory that it holds."""
        parts = [self.svd.u, self.svd.vh] if self.svd else []
        parts += [self.difference] if self.difference is not None else []
        layers = {id(item.layer): item.layer for item in self.stored if item.layer is not None}
        return sum(part.numel() * part.element_size() for part in parts) + sum(
            layer.nbytes for layer in layers.values()
        )

    def moved(self, move: Callable[[torch.Tensor], torch.Tensor]) -> LayerOutcome:
        """The same outcome with each of its tensors replaced by what `move` makes of it, such as a copy on the host."""
        layers = {id(item.layer): item.layer.moved(move) for item in self.stored if item.layer is not None}
        return replace(
            self,
            stored=tuple(Stored(layers.get(id(item.layer)), item.how) for item in self.stored),
            svd=None if self.svd is None else replace(self.svd, u=move(self.svd.u), vh=move(self.svd.vh)),
            difference=None if self.difference is None else move(self.difference),
        )


def work_on(
    weight: PairedWeight,
    delta: Delta | MeasuredDelta,
    method: LayerMethod,
    *,
    reserve: Callable[[int], None] | None = None,
) -> LayerOutcome:
    """Decompose and store one layer, on the device of its delta.

    Args:
        weight: the layer.
        delta: its difference.
        method: how to decompose and store it.
        reserve: called with the bytes beyond the plan before the solver allocates them; may raise.

    Raises:
        EngineError: ``dtype_overflow``.
    """
    total, norm = delta.energy, math.sqrt(delta.original_energy) if delta.original_energy > 0.0 else 0.0
    reason, grown = _left_out(delta, method, norm), _finite(delta.grown_energy)
    if reason is not None:
        left_out = left_out_of(weight, reason)
        noise = _noise(delta) if math.isfinite(total) else None
        return LayerOutcome(None, left_out, _finite(total), delta.original_energy, grown_energy=grown, noise=noise)
    svd, stored = _decomposed(weight, delta, method, reserve)
    if svd is not None and not stored:
        left_out = left_out_of(weight, LeaveOutReason.ONLY_NOISE)
        return LayerOutcome(
            None,
            left_out,
            total,
            delta.original_energy,
            grown_energy=grown,
            noise=_noise(delta),
            noise_cut=delta.noise_cut,
        )
    row = layer_row(weight, svd, stored[0].how, total=total, original=delta.original_energy, grown=grown)
    if svd is not None:
        row = replace(row, noise_cut=delta.noise_cut)
    difference = None
    if svd is None and not method.full and isinstance(delta, Delta):
        difference = delta.values.cpu()
    host = None if svd is None else replace(svd, u=svd.u.cpu(), vh=svd.vh.cpu())
    measured = LayerOutcome(row, None, total, delta.original_energy, grown_energy=grown)
    measured = replace(measured, svd=host, difference=difference, stored=stored, noise=_noise(delta, svd))
    return replace(measured, noise_cut=delta.noise_cut)


def only_rounded(weight: PairedWeight, *, measured: bool) -> LayerOutcome:
    """The outcome of a weight whose sides differ by rounding alone, which is no change; see `compared`."""
    return LayerOutcome(None, None if measured else left_out_of(weight, LeaveOutReason.UNCHANGED), 0.0)


def left_out_of(weight: PairedWeight, reason: LeaveOutReason) -> LeftOut:
    """The entry of a layer that turned out to be one that is left out."""
    rounded = weight.rounding.coarser_form if reason is LeaveOutReason.UNCHANGED and weight.rounding else ""
    detail = f"rounded to {rounded}" if rounded else ""
    return LeftOut(weight.name, reason, detail, numel=weight.numel, component=weight.component, rounded_to=rounded)


def measure(delta: Delta | MeasuredDelta) -> LayerOutcome:
    """Only |delta|^2, of a weight that is not extracted; 0 where it is not finite."""
    grown = _finite(delta.grown_energy)
    finite = math.isfinite(delta.energy)
    return LayerOutcome(
        None,
        None,
        _finite(delta.energy),
        delta.original_energy,
        grown_energy=grown,
        noise=_noise(delta) if finite else None,
        noise_model=delta.noise if finite else None,
    )


def _noise(delta: Delta | MeasuredDelta, svd: TruncatedSvd | None = None) -> LayerNoise | None:
    if delta.noise is None:
        return None
    return fitted_noise(delta.noise) if svd is None else fitted_noise(delta.noise, svd.u, svd.vh)


def with_noise(outcome: LayerOutcome, model: NoiseModel | None) -> LayerOutcome:
    """An outcome from a record that says nothing of rounding, with what was measured of it since."""
    if model is None:
        return outcome
    layer = next((item.layer for item in outcome.stored if isinstance(item.layer, Factors)), None)
    noise = fitted_noise(model) if layer is None else fitted_noise(model, layer.up, layer.down)
    return replace(outcome, noise=noise)


def layer_row(
    weight: PairedWeight, svd: TruncatedSvd | None, how: Storing, *, total: float, original: float, grown: float = 0.0
) -> LayerResult:
    """A layer's row of the report; its seconds are filled in later."""
    return LayerResult(
        name=weight.name,
        kind=weight.kind,
        block=block_of(weight.name),
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
        grown_energy=grown,
        rounded=(weight.rounding and weight.rounding.rounded) or "",
        below_normal=how.below_normal,
    )


def stored_row(
    row: LayerResult, method: LayerMethod, rule: StoringRule, how: Storing, noise: LayerNoise | None = None
) -> LayerResult:
    """The row of a layer as one file holds it.

    Args:
        row: of the layer's outcome.
        method: by which it was decomposed.
        rule: of the file, one of the method's.
        how: its storing by that rule.
        noise: the rounding errors in it; None where they were not measured.
    """
    rank, capped = row.rank, row.capped
    if rank is not None:
        rank, capped = method.kept(rule, row.name, rank, capped=capped)
    return replace(
        row,
        rank=rank,
        singular_values=row.singular_values[:rank],
        capped=capped,
        energy_retained=how.energy_retained,
        energy_before=how.energy_before,
        relative_error=how.relative_error,
        clamp=how.clamp,
        stored_dtype=how.dtype,
        below_normal=how.below_normal,
        noise=None if noise is None else noise_figures(noise, _kept(row, rank, how)),
    )


def _kept(row: LayerResult, rank: int | None, how: Storing) -> Kept:
    values = None if rank is None else row.singular_values[:rank]
    shape = matrix_shape(row.shape) if row.shape else (1, 1)
    return Kept(row.delta_energy, how.energy_before, how.energy_retained, shape, values)


def _left_out(delta: Delta | MeasuredDelta, method: LayerMethod, norm: float) -> LeaveOutReason | None:
    if not math.isfinite(delta.energy + delta.grown_energy):
        return LeaveOutReason.NON_FINITE
    if delta.energy == 0.0:
        return LeaveOutReason.UNCHANGED
    small = math.sqrt(delta.energy) <= method.min_change * norm
    return LeaveOutReason.BELOW_MIN_CHANGE if small else None


def _finite(energy: float) -> float:
    return energy if math.isfinite(energy) else 0.0


def _decomposed(
    weight: PairedWeight,
    delta: Delta | MeasuredDelta,
    method: LayerMethod,
    reserve: Callable[[int], None] | None,
) -> tuple[TruncatedSvd | None, tuple[Stored, ...]]:
    if not method.stores_factors(weight.kind):
        assert isinstance(delta, Delta), "a difference that is stored is held"
        return None, stored_differences(delta.values, method, total=delta.energy, layer=weight.name)
    flat = delta.values.reshape(matrix_shape(weight.shape)) if isinstance(delta, Delta) else delta.pieces
    policy = method.policy_for(weight.name)
    if method.draws_noise:
        assert delta.noise_cut is not None, "noise was drawn beside the subtraction"
        policy = replace(policy, noise_cut=delta.noise_cut)
    svd = truncated_svd(
        flat,
        policy,
        algorithm=method.algorithm,
        iterations=method.iterations,
        seed=method.layer_seed(weight.name),
        total=delta.energy,
        smaller=method.ranks_for(weight.name, matrix_shape(weight.shape))[1:],
        reserve=reserve,
    )
    if policy.only_noise(svd.values):
        return svd, ()
    kernel, total = weight.shape[2:], delta.energy
    return svd, tuple(
        store_factors(flat, leading_part(svd, method, rule, weight.name), kernel, rule, total=total, layer=weight.name)
        for rule in method.storing
    )


def leading_part(svd: TruncatedSvd, method: LayerMethod, rule: StoringRule, name: str) -> TruncatedSvd:
    """What a file keeps of the decomposition of a layer."""
    rank, capped = method.kept(rule, name, svd.rank, capped=svd.capped)
    return svd.leading(rank, capped=capped)


def stored_differences(delta: torch.Tensor, method: LayerMethod, *, total: float, layer: str) -> tuple[Stored, ...]:
    """A difference as each rule of a method stores it; rules that differ in their factors alone share one.

    Raises:
        EngineError: ``dtype_overflow``.
    """
    keys = [(rule.output_dtype, rule.strength) for rule in method.storing]
    rules = dict(zip(keys, method.storing, strict=True))
    stored = {key: store_difference(delta, rule, total=total, layer=layer) for key, rule in rules.items()}
    return tuple(stored[key] for key in keys)
