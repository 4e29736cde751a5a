"""One extraction from plan to files, as a generator of events.

The work runs on a thread of its own, so that news and memory samples keep coming while a layer takes its time.
The thread lives inside the generator: closing the generator stops it after the layer at hand and waits for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace

import torch

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint
from engine.deltas import read_view
from engine.device import Device, exact_float32
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import (
    BatchDone,
    Event,
    Finished,
    LayerDone,
    LayerSkipped,
    LayerStarted,
    MemorySample,
    Notice,
    NoticeCode,
    Planned,
    Progress,
)
from engine.exporters.comfyui import set_weight_key
from engine.exporters.file_names import rank_label
from engine.exporters.safetensors_writer import SafetensorsWriter
from engine.layer_pool import LayerPool
from engine.layer_work import LayerOutcome
from engine.naming import TensorView
from engine.pairing import new_weights
from engine.planning import Plan, weight_key
from engine.report import metadata, quality, report
from engine.results import ExtractionResult, LayerResult, LeaveOutReason, LeftOut, OutputFile

_SAMPLE_SECONDS = 0.25
_DEVICE_SECONDS = 0.02  # until the device is chosen there is nothing to sample
_LARGE_CHANGE = 0.5
_ENOUGH_LAYERS = 16


def extract(
    plan: Plan, finetuned: Checkpoint, original: Checkpoint, cancel: CancelToken
) -> Generator[Event, None, None]:
    """Run a plan.

    Yields:
        Events, `Planned` first and `Finished` last; `MemorySample` and `Progress` four times a second.

    Raises:
        EngineError: what went wrong; no file is left behind.
        Cancelled: where `cancel` was used; no file is left behind.
    """
    stop = CancelToken()
    run = _Run(plan, finetuned, original, cancel, stop)
    thread = threading.Thread(target=run.work, name="extraction", daemon=True)
    thread.start()
    try:
        yield from run.news()
    finally:
        stop.cancel()
        try:
            thread.join()
        except BaseException:  # a person who cannot wait for the layer at hand
            run.discard()
            raise


class _Run:
    """The state of one extraction: written by its thread, read by the generator."""

    def __init__(
        self, plan: Plan, finetuned: Checkpoint, original: Checkpoint, cancel: CancelToken, stop: CancelToken
    ) -> None:
        self.plan, self.finetuned, self.original = plan, finetuned, original
        self.tokens = (cancel, stop)
        self.queue: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        self.started = time.perf_counter()
        self.device: Device | None = None
        self.writer: SafetensorsWriter | None = None
        self.rows: list[LayerResult] = []
        self.left_out: list[LeftOut] = list(plan.left_out)
        self.lost_energy = 0.0
        self.done = 0
        self.cost_done = 0.0
        self.broken: dict[str, str] = {}
        self.set_weights: list[str] = []
        self.warned_large = False

    def news(self) -> Iterator[Event]:
        """Events of the thread as they come, and samples between them."""
        due = time.perf_counter()
        while True:
            try:
                event: Event | BaseException | None = self.queue.get(timeout=max(0.0, due - time.perf_counter()))
            except queue.Empty:
                event = None
            if isinstance(event, BaseException):
                raise event
            ends = isinstance(event, Finished)
            if event is not None and not ends:
                yield event
            if self.device is not None and (ends or time.perf_counter() >= due):
                due = time.perf_counter() + _SAMPLE_SECONDS
                yield self.sample(self.device)
                yield self.progress()
            elif isinstance(event, (LayerDone, LayerSkipped)):
                yield self.progress()
            elif event is None:
                due = time.perf_counter() + _DEVICE_SECONDS
            if isinstance(event, Finished):
                yield event
                return

    def work(self) -> None:
        """The thread: everything, and any exception, goes into the queue."""
        try:
            with exact_float32():
                self.queue.put(Finished(self.run()))
        except BaseException as error:
            self.queue.put(error)
        finally:
            if self.device is not None:
                self.device.release()

    def discard(self) -> None:
        """Remove the unfinished file although the thread may still be at work."""
        if self.writer is not None:
            self.writer.abort()

    def run(self) -> ExtractionResult:
        """From the device to the published files."""
        plan = self.plan
        device = self.device = Device(plan.hardware)
        writer = self.writer = SafetensorsWriter(plan.folder, plan.header_bytes)
        try:
            self.queue.put(self._planned(device))
            for notice in plan.notices:
                self.queue.put(notice)
            pool = LayerPool(plan, self.finetuned, self.original, device, check=self._check, begun=self._begun)
            pool.hash_meanwhile()
            for index, outcome in pool.outcomes():
                self._check()
                self._finish(index, outcome, device, writer)
            for index, change in pool.changes():
                self._check()
                self.lost_energy += change
                self.cost_done += plan.costs[len(plan.layers) + index]
            for name, view in new_weights(plan.pairing, plan.settings).items():
                self._check()
                self._whole(name, view, writer)
            self._check()
            self._judge()
            return self._publish(writer, device)
        except BaseException:
            writer.abort()
            raise

    def _begun(self, index: int, name: str) -> None:
        self.queue.put(LayerStarted(index, name))

    def _finish(self, index: int, outcome: LayerOutcome, device: Device, writer: SafetensorsWriter) -> None:
        weight, started = self.plan.layers[index], time.perf_counter()
        for ending, tensor in outcome.tensors.items():
            writer.add(weight_key(self.plan.pairing, weight, ending), tensor)
        seconds = replace(outcome.seconds, write=time.perf_counter() - started)
        self.done, self.cost_done = index + 1, self.cost_done + self.plan.costs[index]
        if outcome.left_out is not None:
            self._skipped(index, outcome)
        elif outcome.row is not None:
            row = replace(outcome.row, seconds=seconds)
            self.rows.append(row)
            self.queue.put(LayerDone(index, row))
            self._remarks(row, outcome)
        memory = device.memory()
        self.queue.put(BatchDone(index, (weight.name,), seconds, memory.run, memory.device_used))

    def _whole(self, name: str, view: TensorView, writer: SafetensorsWriter) -> None:
        """Write a weight that only the fine-tuned model has."""
        tensor = read_view(self.finetuned, view)
        if bool(torch.isfinite(tensor.to(torch.float32)).all()):
            writer.add(set_weight_key(self.plan.pairing.family, name), tensor)
            self.set_weights.append(name)
            return
        left_out = LeftOut(name, LeaveOutReason.NON_FINITE, f"in {self.finetuned.path.name}")
        self.left_out.append(left_out)
        self._broken(left_out, str(self.finetuned.path))

    def _broken(self, left_out: LeftOut, file: str) -> None:
        self.broken[left_out.name] = file
        skips = self.plan.settings.skip_nonfinite
        code = NoticeCode.NON_FINITE_SKIPPED if skips else NoticeCode.NON_FINITE_FOUND
        if skips or len(self.broken) == 1:
            self.queue.put(Notice(code, left_out.name, {"detail": left_out.detail}))

    def _skipped(self, index: int, outcome: LayerOutcome) -> None:
        assert outcome.left_out is not None
        self.left_out.append(outcome.left_out)
        self.lost_energy += outcome.delta_energy
        if outcome.left_out.reason is LeaveOutReason.NON_FINITE:
            self._broken(outcome.left_out, str(outcome.broken_file or self.finetuned.path))
        self.queue.put(LayerSkipped(index, outcome.left_out))

    def _remarks(self, row: LayerResult, outcome: LayerOutcome) -> None:
        if outcome.fallback:
            self.queue.put(Notice(NoticeCode.STORED_FP32, row.name, {"dtype": self.plan.settings.output_dtype}))
        if outcome.on_cpu:
            self.queue.put(Notice(NoticeCode.LAYER_ON_CPU, row.name))
        if not self.warned_large and len(self.rows) >= _ENOUGH_LAYERS:
            self._warn_large()

    def _warn_large(self) -> None:
        factored = [row for row in self.rows if row.rank is not None] or self.rows
        large = sum(row.relative_change > _LARGE_CHANGE for row in factored)
        if 2 * large > len(factored):
            self.warned_large = True
            self.queue.put(Notice(NoticeCode.LARGE_CHANGE, data={"layers": large, "of": len(factored)}))

    def _judge(self) -> None:
        """Say at the end what only the end shows; stop where nothing may be written."""
        if self.broken and not self.plan.settings.skip_nonfinite:
            name, file = next(iter(self.broken.items()))
            raise EngineError(ErrorCode.NON_FINITE, file=file, tensor=name, layers=list(self.broken))
        if not self.rows:
            raise EngineError(ErrorCode.NO_DIFFERENCE, file=self.finetuned.path, layers=len(self.plan.layers))
        self.finetuned.check_unchanged()
        self.original.check_unchanged()
        if not self.warned_large:
            self._warn_large()
        counts = {
            NoticeCode.LAYERS_CAPPED: sum(row.capped for row in self.rows),
            NoticeCode.CLAMP_KEPT: sum(row.clamp == "kept" for row in self.rows),
        }
        for code, count in counts.items():
            if count:
                self.queue.put(Notice(code, data={"layers": count, "rank": self.plan.settings.rank}))

    def _publish(self, writer: SafetensorsWriter, device: Device) -> ExtractionResult:
        plan = self.plan
        figures = quality(self.rows, self.lost_energy)
        texts = metadata(plan, self.finetuned, self.original, self.rows, figures)
        device.memory()
        seconds = time.perf_counter() - self.started
        run = {
            "seconds": seconds,
            "device": str(device.torch_device),
            "device_title": device.title,
            "peak_device_bytes": device.peak_run_bytes,
            "peak_rss_bytes": device.peak_rss_bytes,
            "set_weights": self.set_weights,
        }
        path, report_file = writer.publish(
            plan.stem,
            texts,
            lambda path, size: report(
                plan, self.finetuned, self.original, self.rows, self.left_out, figures, run, path, size
            ),
        )
        output = OutputFile(
            path=path,
            report=report_file,
            rank=rank_label(plan.settings),
            key_format=plan.settings.key_format,
            size_bytes=path.stat().st_size,
            mean_energy_retained=figures.mean,
            worst_energy_retained=figures.worst,
        )
        return ExtractionResult(
            outputs=(output,),
            rows=tuple(self.rows),
            left_out=tuple(self.left_out),
            seconds=time.perf_counter() - self.started,
            peak_device_bytes=device.peak_run_bytes,
            peak_rss_bytes=device.peak_rss_bytes,
        )

    def _planned(self, device: Device) -> Planned:
        return Planned(
            layers=len(self.plan.layers),
            left_out=self.plan.left_out,
            output_name=self.plan.output_name,
            output_bytes=self.plan.output_bytes,
            device=str(device.torch_device),
            device_title=device.title,
            device_total_bytes=device.total_bytes,
            ceiling_bytes=device.ceiling_bytes,
            threshold_bytes=device.threshold_bytes,
            device_used_bytes=device.memory().device_used,
        )

    def sample(self, device: Device) -> MemorySample:
        """Memory now."""
        memory = device.memory()
        return MemorySample(
            time.perf_counter() - self.started, memory.run, memory.device_used, device.total_bytes, memory.rss
        )

    def progress(self) -> Progress:
        """How far the run is now."""
        elapsed = time.perf_counter() - self.started
        share = self.cost_done / sum(self.plan.costs)
        rows = self.rows.copy()
        return Progress(
            layers_done=self.done,
            layers_total=len(self.plan.layers),
            share=share,
            elapsed=elapsed,
            remaining=elapsed * (1 - share) / share if share > 0.01 else None,
            energy_so_far=quality(rows, self.lost_energy).mean if rows else None,
        )

    def _check(self) -> None:
        for token in self.tokens:
            if token.cancelled:
                raise Cancelled
