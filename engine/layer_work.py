"""The work on one layer: read both sides, upload, subtract, decompose, store. One pair in memory at a time."""

from __future__ import annotations

import hashlib
import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engine.checkpoints import Checkpoint
from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.factors import Stored, store_difference, store_factors
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd
from engine.deltas import Delta, PairBuffers, read_pair, subtract
from engine.device import Device
from engine.errors import EngineError, ErrorCode
from engine.pairing import PairedWeight
from engine.planning import matrix_shape, stores_factors
from engine.results import LayerResult, LeaveOutReason, LeftOut, StageSeconds
from engine.settings import ExtractionSettings
from engine.tensors import HostBuffer


@dataclass(frozen=True)
class LayerOutcome:
    """What came of one layer: tensors to write and a row for the report, or the reason why it is left out.

    Attributes:
        tensors: by ending, see `Stored`; empty where the layer is left out.
        row: None where the layer is left out.
        left_out: None where the layer is extracted.
        delta_energy: |delta|^2; 0 where it is not finite.
        seconds: time by stage, without the writing.
        broken_file: the side with the non-finite value, where that is the reason.
        fallback: stored wider than asked, because rounding would have lost too much.
        on_cpu: the device could not, for want of room or of an operation, so the layer was worked on by the CPU.
    """

    tensors: dict[str, torch.Tensor]
    row: LayerResult | None
    left_out: LeftOut | None
    delta_energy: float
    seconds: StageSeconds
    broken_file: Path | None = None
    fallback: bool = False
    on_cpu: bool = False


def extract_layer(
    finetuned: Checkpoint,
    original: Checkpoint,
    weight: PairedWeight,
    settings: ExtractionSettings,
    device: Device,
    buffers: PairBuffers,
) -> LayerOutcome:
    """Do everything for one layer but write it. Its tensors may lie in `buffers`, see `PairBuffers.kept`.

    Raises:
        EngineError: ``dtype_overflow``, ``decomposition_failed``, ``out_of_memory``, or on reading.
    """
    started = time.perf_counter()
    try:
        tuned, base = read_pair(finetuned, original, weight, buffers)
        read = time.perf_counter() - started
        outcome = None
        with suppress(torch.OutOfMemoryError, NotImplementedError):  # no room, or no such operation on this device
            outcome = _work(weight, tuned, base, settings, device, device.torch_device, read, buffers.delta)
        if outcome is None:
            device.release()  # out here, where no traceback keeps the device's tensors alive any more
            outcome = _work(weight, tuned, base, settings, device, torch.device("cpu"), read, buffers.delta)
        if outcome.left_out is not None and outcome.left_out.reason is LeaveOutReason.NON_FINITE:
            broken = _broken_side(tuned, finetuned, original)
            left_out = replace(outcome.left_out, detail=f"in {broken.name}")
            return replace(outcome, left_out=left_out, broken_file=broken)
        return outcome
    except MemoryError as error:
        raise EngineError(ErrorCode.OUT_OF_MEMORY, tensor=weight.name) from error
    except RuntimeError as error:
        if "not enough memory" in str(error):  # torch's host allocator has no exception of its own
            raise EngineError(ErrorCode.OUT_OF_MEMORY, tensor=weight.name) from error
        raise EngineError(ErrorCode.DECOMPOSITION_FAILED, tensor=weight.name, reason=str(error)) from error


def measure_change(finetuned: Checkpoint, original: Checkpoint, weight: PairedWeight, buffers: PairBuffers) -> float:
    """|delta|^2 of a weight that is not extracted; 0 where it is not finite."""
    change = subtract(*read_pair(finetuned, original, weight, buffers), buffers.delta).energy
    return change if math.isfinite(change) else 0.0


def layer_seed(seed: int, name: str) -> int:
    """A seed of the layer's own, so that order and company never change a result."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def _work(
    weight: PairedWeight,
    tuned: torch.Tensor,
    base: torch.Tensor,
    settings: ExtractionSettings,
    device: Device,
    place: torch.device,
    read: float,
    buffer: HostBuffer,
) -> LayerOutcome:
    started = time.perf_counter()
    tuned, base = tuned.to(place), base.to(place)
    device.wait()
    uploaded = time.perf_counter()
    delta = subtract(tuned, base, buffer)
    total, norm = delta.energy, math.sqrt(delta.original_energy)
    del tuned, base
    svd, stored = None, None
    if math.isfinite(total) and total > 0.0 and math.sqrt(total) > settings.min_change * norm:
        svd, stored = _decomposed(weight, delta, settings)
    device.wait()
    seconds = StageSeconds(read=read, upload=uploaded - started, compute=time.perf_counter() - uploaded)
    on_cpu = place.type != device.torch_device.type
    if stored is None:
        reason = LeaveOutReason.UNCHANGED if total == 0.0 else LeaveOutReason.BELOW_MIN_CHANGE
        reason = reason if math.isfinite(total) else LeaveOutReason.NON_FINITE
        energy_lost = total if math.isfinite(total) else 0.0
        return LayerOutcome({}, None, LeftOut(weight.name, reason), energy_lost, seconds, on_cpu=on_cpu)
    row = LayerResult(
        name=weight.name,
        kind=weight.kind,
        shape=weight.shape,
        rank=svd.rank if svd else None,
        energy_retained=stored.energy_retained,
        energy_before=stored.energy_before,
        relative_error=stored.relative_error,
        relative_change=math.sqrt(total) / norm if norm else math.inf,
        delta_energy=total,
        singular_values=tuple(svd.s.tolist()) if svd else (),
        capped=svd.capped if svd else False,
        clamp=stored.clamp,
        stored_dtype=stored.dtype,
        solver=svd.solver if svd else "",
        seconds=seconds,
    )
    return LayerOutcome(stored.tensors, row, None, total, seconds, fallback=stored.fallback, on_cpu=on_cpu)


def _decomposed(weight: PairedWeight, delta: Delta, settings: ExtractionSettings) -> tuple[TruncatedSvd | None, Stored]:
    if not stores_factors(weight, settings):
        return None, store_difference(delta.values, settings, total=delta.energy, layer=weight.name)
    flat = delta.values.reshape(matrix_shape(weight.shape))
    svd = truncated_svd(
        flat,
        RankPolicy(settings.lora_type, settings.rank, settings.adaptive_param),
        algorithm=settings.algorithm,
        iterations=settings.lowrank_iters,
        seed=layer_seed(settings.seed, weight.name),
        total=delta.energy,
    )
    stored = store_factors(flat, svd, weight.shape[2:], settings, total=delta.energy, layer=weight.name)
    return svd, stored


def _broken_side(tuned: torch.Tensor, finetuned: Checkpoint, original: Checkpoint) -> Path:
    """The file whose tensor holds the NaN or the infinity."""
    finite = bool(torch.isfinite(tuned.to(torch.float32)).all())
    return original.path if finite else finetuned.path
