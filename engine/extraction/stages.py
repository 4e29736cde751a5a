"""The stages of the work on one layer: read, upload, decode, subtract, decompose and store, result to the host."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engine.checkpoints import Checkpoint
from engine.checkpoints.rounded import compared
from engine.checkpoints.rounding import grid_of
from engine.checkpoints.steps import steps_of_sides
from engine.checkpoints.tensors import EncodedWeight, read_encoded
from engine.decompose.delta import Delta, subtract
from engine.decompose.drawn_noise import noise_cut
from engine.decompose.method import LayerMethod
from engine.decompose.noise_model import model_noise
from engine.decompose.rounding_noise import Grids, StepSource, common_shape, measure_rounding, ulp_of
from engine.devices.buffer_pool import BufferPool, HostBuffer
from engine.devices.device import Device
from engine.devices.memory_rules import Way
from engine.extraction.block_cache import Weights
from engine.layer import LayerOutcome, measure, only_rounded, work_on
from engine.models.pairing import PairedWeight
from engine.planning.task import Task
from engine.results import LeaveOutReason, StageSeconds
from engine.streamed_delta import MeasuredDelta, UnreadPair, meter_of


@dataclass(frozen=True)
class Prefetched:
    """A layer's weights, ready to be worked on.

    Attributes:
        weights: on the device, or on the host where the device is the processor or the layer waits there.
        read_seconds: time to read both sides.
        upload_seconds: time to copy them to the device.
    """

    weights: Weights
    read_seconds: float = 0.0
    upload_seconds: float = 0.0


class LayerReader:
    """Reads layers of one pair; any thread may call. Counts the bytes."""

    def __init__(self, finetuned: Checkpoint, original: Checkpoint) -> None:
        self._finetuned, self._original = finetuned, original
        self._lock = threading.Lock()
        self.read_bytes = 0

    def read(self, weight: PairedWeight, buffers: BufferPool) -> Prefetched:
        """Read both sides of a weight into host memory, as they are stored.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        started = time.perf_counter()
        lent: list[HostBuffer] = []
        sides: list[EncodedWeight] = []
        for checkpoint, view in ((self._finetuned, weight.finetuned), (self._original, weight.original)):
            lent.append(buffers.acquire(view.buffer_bytes))
            sides.append(read_encoded(checkpoint, view, lent[-1]))
            with self._lock:
                self.read_bytes += view.stored_bytes
        weights = Weights(sides=(sides[0], sides[1]), buffers=tuple(lent))
        return Prefetched(weights, read_seconds=time.perf_counter() - started)

    def leave(self, weight: PairedWeight, way: Way) -> Prefetched:
        """Leave both sides of a weight in their files, to be read in parts by the thread that works on it."""

        def note(count: int) -> None:
            with self._lock:
                self.read_bytes += count

        return Prefetched(Weights(unread=UnreadPair((self._finetuned, self._original), weight, note), way=way))


class MoreMemoryError(Exception):
    """The solver needs more memory than was planned and free; the layer is put back and begun again."""


def upload(prefetched: Prefetched, device: Device, buffers: BufferPool) -> Prefetched:
    """Copy a layer that waits on the host to a device that has memory of its own; gives the host's memory back."""
    if device.host or not prefetched.weights.buffers or prefetched.weights.sides is None:
        return prefetched
    started = time.perf_counter()
    tuned, base = prefetched.weights.sides
    there = Weights(sides=(tuned.mapped(device.upload), base.mapped(device.upload)))
    for buffer in prefetched.weights.buffers:
        buffers.release(buffer)
    return Prefetched(there, prefetched.read_seconds, time.perf_counter() - started)


@dataclass(frozen=True)
class Worked:
    """An outcome, and the two forms in which the layer could stay on the device: its sides and their difference."""

    outcome: LayerOutcome
    weights: Weights
    difference: Weights

    @property
    def smaller(self) -> Weights:
        """The form that takes less memory; the difference where both take the same, as it saves the subtraction."""
        return min(self.difference, self.weights, key=lambda form: form.nbytes)


class LayerStages:
    """The work of one device.

    Args:
        device: where.
        method: how to decompose and store layers.
        checkpoints: the fine-tuned model and the original, to name the broken file.
        buffers: host memory.
    """

    def __init__(
        self, device: Device, method: LayerMethod, checkpoints: tuple[Checkpoint, Checkpoint], buffers: BufferPool
    ) -> None:
        self._device, self._method, self._checkpoints, self._buffers = device, method, checkpoints, buffers

    def do(self, task: Task, prefetched: Prefetched, reserve: Callable[[int], None], *, on_cpu: bool) -> Worked:
        """Subtract, decompose and store one layer.

        Args:
            task: the layer.
            prefetched: its weights.
            reserve: told the bytes beyond the plan that the solver needs; raises `MoreMemoryError`.
            on_cpu: the processor does it, whatever the device is; the weights are on the host.

        Raises:
            EngineError: ``dtype_overflow``.
        """
        if on_cpu:
            return self._worked(task, prefetched, reserve, on_cpu=True)
        prefetched = upload(prefetched, self._device, self._buffers)
        with self._device.computing():
            return self._worked(task, prefetched, reserve, on_cpu=False)

    def release(self, worked: Worked, kept: Weights | None) -> None:
        """Return the host memory of everything that does not stay."""
        for form in {id(form): form for form in (worked.weights, worked.difference)}.values():
            for buffer in form.buffers if form is not kept else ():
                self._buffers.release(buffer)

    def _worked(self, task: Task, prefetched: Prefetched, reserve: Callable[[int], None], *, on_cpu: bool) -> Worked:
        began = time.perf_counter()
        unread = prefetched.weights.unread
        delta: Delta | MeasuredDelta | None
        if unread is not None and unread.only_rounded():
            delta, difference = None, Weights()
        elif unread is not None and prefetched.weights.way == "pieces":
            delta, difference = unread.measured(), Weights()
            if self._draws(task):
                delta = replace(delta, noise_cut=unread.noise_cut(self._seed(task), hold=False))
        else:
            delta, difference = self._subtract(task, prefetched.weights, on_host=on_cpu or self._device.host)
        if delta is None:
            outcome = only_rounded(task.weight, measured=task.measured)
        else:
            outcome = measure(delta) if task.measured else work_on(task.weight, delta, self._method, reserve=reserve)
        self._device.wait()
        ended = time.perf_counter()
        reading = 0.0 if unread is None else unread.read_seconds
        seconds = StageSeconds(
            read=prefetched.read_seconds + reading, upload=prefetched.upload_seconds, compute=ended - began - reading
        )
        outcome = replace(self._outside(outcome, difference), seconds=seconds, span=(began, ended), on_cpu=on_cpu)
        if outcome.left_out is not None and outcome.left_out.reason is LeaveOutReason.NON_FINITE:
            outcome = self._blamed(outcome, prefetched.weights)
        if unread is not None:
            unread.free()
        return Worked(outcome, prefetched.weights, difference)

    def _draws(self, task: Task) -> bool:
        return self._method.draws_noise and not task.measured and self._method.stores_factors(task.weight.kind)

    def _seed(self, task: Task) -> int:
        return self._method.layer_seed(task.weight.name)

    def _subtract(self, task: Task, weights: Weights, *, on_host: bool) -> tuple[Delta | None, Weights]:
        """The difference, and the form in which it could stay; none where the sides differ by rounding alone."""
        weight, draws, seed = task.weight, self._draws(task), self._seed(task)
        if weights.delta is not None:
            self._device.adopt(weights.delta.values)
            if not draws or weights.cut_seed == seed:
                return weights.delta, weights
            # The sides are no longer here: they are read again, for the noise alone.
            sides = UnreadPair(self._checkpoints, weight, lambda count: None)
            again = sides.noise_cut(seed, hold=False)
            sides.free()
            held = replace(weights, delta=replace(weights.delta, noise_cut=again), cut_seed=seed)
            return held.delta, held
        if weights.unread is not None:
            cut = weights.unread.noise_cut(seed, hold=True) if draws else None
            whole = self._buffers.acquire(4 * weights.unread.shape[0] * weights.unread.shape[1])
            delta = replace(weights.unread.filled(whole), noise_cut=cut)
            return delta, Weights(delta=delta, buffers=(whole,), rounding=weight.rounding)
        assert weights.sides is not None
        for part in (*weights.sides[0].parts, *weights.sides[1].parts):
            self._device.adopt(part)
        numbers = compared(weights.sides, weight.rounding)
        if numbers is None:
            return None, Weights()
        tuned, base = numbers
        steps = steps_of_sides(weights.sides, weight.rounding, numbers)
        cut = _noise_cut(weight, tuned, base, steps[0], seed) if draws else None
        memory = self._buffers.acquire(4 * base.numel()) if on_host else None
        meter = meter_of(weight, common_shape(tuned, base))
        rounding = measure_rounding(tuned, base, meter, steps)
        delta = replace(subtract(tuned, base, memory), noise=model_noise(rounding), noise_cut=cut)
        buffers = (memory,) if memory else ()
        cut_seed = seed if draws else None
        return delta, Weights(delta=delta, buffers=buffers, rounding=weight.rounding, cut_seed=cut_seed)

    def _outside(self, outcome: LayerOutcome, difference: Weights) -> LayerOutcome:
        """The outcome on the host, with nothing in it that lies in memory which will be used again."""

        def kept(tensor: torch.Tensor) -> torch.Tensor:
            held = difference.delta is not None and _same_memory(tensor, difference.delta.values)
            return self._device.on_host(tensor.clone() if held else tensor)

        return outcome.moved(kept)

    def _blamed(self, outcome: LayerOutcome, weights: Weights) -> LayerOutcome:
        """Name the file whose tensor holds the NaN or the infinity."""
        assert outcome.left_out is not None
        broken = self._broken_file(weights)
        left_out = replace(outcome.left_out, detail=f"in {broken.name}")
        return replace(outcome, left_out=left_out, broken_file=broken)

    def _broken_file(self, weights: Weights) -> Path:
        """Of several files of a model the one with the broken tensor."""
        if weights.unread is not None:
            return weights.unread.broken_file()
        assert weights.sides is not None, "what is not finite is never resident"
        tuned, base = weights.sides
        part = tuned.broken_part()
        if part is not None:
            return self._checkpoints[0].file_of(part)
        return self._checkpoints[1].file_of(base.broken_part() or base.view.parts[0])


def _noise_cut(
    weight: PairedWeight, tuned: torch.Tensor, base: torch.Tensor, source: StepSource | None, seed: int
) -> float:
    """The largest singular value that rounding alone may give the difference of two sides that are held."""
    width = math.prod(tuned.shape[1:])
    inner = tuple(slice(0, size) for size in map(min, tuned.shape[1:], base.shape[1:]))

    def steps(start: int, stop: int) -> torch.Tensor:
        if source is None:
            return ulp_of(tuned[(slice(start, stop), *inner)].reshape(stop - start, -1))
        found = source.values(start * width, stop * width).view(stop - start, *tuned.shape[1:])
        return found[(slice(None), *inner)].reshape(stop - start, -1)

    both = grid_of(weight.finetuned, weight.original, weight.rounding) == Grids.BOTH.value
    return noise_cut(common_shape(tuned, base), steps, seed=seed, both=both, hold=True)


def _same_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
