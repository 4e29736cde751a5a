"""An executor without threads, devices or lanes: the run's own thread works on a layer whenever it asks for results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from engine.checkpoints.tensors import read_view
from engine.decompose.delta import subtract
from engine.decompose.noise_model import model_noise
from engine.decompose.rounding_noise import common_shape, measure_rounding
from engine.errors import EngineError, ErrorCode
from engine.events import LayerStarted
from engine.extraction.layer_executor import DeviceFacts, ExecutorSample, RunContext, RunInputs
from engine.layer import LayerOutcome, measure, work_on
from engine.planning.task import Task
from engine.results import LeaveOutReason
from engine.streamed_delta import meter_of


class ToyExecutor:
    """Computes in `take`, one layer at a time, in the order of the tasks."""

    def __init__(self, inputs: RunInputs, context: RunContext) -> None:
        self.device, self.threads = DeviceFacts("cpu", "Toy"), 1
        self._inputs, self._context = inputs, context
        self._tasks: list[Task] = []
        self._read_bytes, self._left = 0, False

    def __enter__(self) -> ToyExecutor:
        torch.set_num_threads(self.threads)
        return self

    def __exit__(self, *error: object) -> None:
        self._left = True

    def submit(self, tasks: Sequence[Task]) -> None:
        self._tasks = sorted([*self._tasks, *tasks], key=lambda task: task.index)

    def take(self, timeout: float) -> list[tuple[int, LayerOutcome]]:
        if self._left or not self._tasks:
            return []
        task = self._tasks.pop(0)
        if not task.measured:
            self._context.emit(LayerStarted(task.index, task.weight.name))
        return [(task.index, self._outcome(task))]

    def release(self, index: int) -> None:
        pass  # what was taken is written before the next one is begun

    def sample(self) -> ExecutorSample:
        return ExecutorSample(read_bytes=self._read_bytes)

    def _outcome(self, task: Task) -> LayerOutcome:
        files, views = self._context.checkpoints, (task.weight.finetuned, task.weight.original)
        tuned, base = (read_view(file, view) for file, view in zip(files, views, strict=True))
        self._read_bytes += tuned.nbytes + base.nbytes
        meter = meter_of(task.weight, common_shape(tuned, base))
        noise = model_noise(measure_rounding(tuned, base, meter, (None, None)))
        delta = replace(subtract(tuned, base), noise=noise)
        if task.measured:
            return measure(delta)
        try:
            outcome = work_on(task.weight, delta, self._inputs.method)
        except RuntimeError as error:
            raise EngineError(ErrorCode.DECOMPOSITION_FAILED, tensor=task.weight.name, reason=str(error)) from error
        if outcome.left_out is not None and outcome.left_out.reason is LeaveOutReason.NON_FINITE:
            broken = files[1 if tuned.isfinite().all() else 0].path
            left_out = replace(outcome.left_out, detail=f"in {broken.name}")
            outcome = replace(outcome, left_out=left_out, broken_file=broken)
        return outcome
