"""Collects the outcomes of a run into the output file and its report: rows, tensors left out, remarks, totals."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.checkpoints import Checkpoint
from engine.devices.device import MemoryUse
from engine.errors import EngineError, ErrorCode
from engine.events import BatchDone, Event, LayerDone, LayerSkipped, Notice, NoticeCode
from engine.extraction.report import metadata, quality, report
from engine.formats.output_path import rank_label
from engine.formats.safetensors_writer import Added, SafetensorsWriter
from engine.layer import LayerOutcome
from engine.planning.plan import Plan, weight_key
from engine.results import LayerResult, LeaveOutReason, LeftOut, OutputFile, StageSeconds

_LARGE_CHANGE = 0.5
_ENOUGH_LAYERS = 16


class OutputCollector:
    """Takes the outcomes in the order of the plan and writes them.

    Attributes:
        rows: of the report.
        left_out: tensors that are not in the file, with the reasons.
        lost_energy: |delta|^2 of what is not in the file.
        done: layers taken so far.
        kept: of them, those that an earlier run left.
    """

    def __init__(self, plan: Plan, checkpoints: tuple[Checkpoint, Checkpoint], emit: Callable[[Event], None]) -> None:
        self._plan, self._emit = plan, emit
        self._finetuned, self._original = checkpoints
        self.rows: list[LayerResult] = []
        self.left_out: list[LeftOut] = list(plan.left_out)
        self.lost_energy = self._energy = self._energy_kept = 0.0
        self.done = self.kept = self._bounds = 0
        self._broken: dict[str, str] = {}
        self._warned_large = False
        self._layers_by_kind = {True: [0, 0], False: [0, 0]}  # factors, differences: all, and those changed by much
        self._batch_of = {index: number for number, batch in enumerate(plan.batches) for index in batch}
        self._batch_seconds = StageSeconds()
        self._batch_span = (float("inf"), 0.0)

    def write(self, index: int, outcome: LayerOutcome, writer: SafetensorsWriter) -> LayerOutcome:
        """Add a layer's tensors to the file; returns the outcome with the seconds that took."""
        started, weight = time.perf_counter(), self._plan.layers[index]
        for part, tensor in outcome.tensors.items():
            writer.add(weight_key(self._plan.pairing, weight, part), tensor)
        return replace(outcome, seconds=replace(outcome.seconds, write=time.perf_counter() - started))

    def added(self, index: int, outcome: LayerOutcome, writer: SafetensorsWriter) -> list[Added]:
        """The records of a layer's tensors that were just added to the file."""
        weight = self._plan.layers[index]
        keys = {weight_key(self._plan.pairing, weight, part): tensor for part, tensor in outcome.tensors.items()}
        return [writer.added(key, tensor) for key, tensor in keys.items()]

    def finish(self, index: int, outcome: LayerOutcome, memory: Callable[[], MemoryUse]) -> None:
        """Count a layer that is in the file or left out; emits its events, and at the end of a batch `BatchDone`."""
        self.done, self.kept, self._bounds = index + 1, self.kept + outcome.kept, self._bounds + outcome.bound
        if outcome.left_out is not None:
            self._skipped(index, outcome)
        elif outcome.row is not None:
            row = replace(outcome.row, seconds=outcome.seconds)
            self.rows.append(row)
            count = self._layers_by_kind[row.rank is not None]
            count[0], count[1] = count[0] + 1, count[1] + (row.relative_change > _LARGE_CHANGE)
            self._energy += row.delta_energy
            self._energy_kept += row.energy_retained * row.delta_energy
            self._emit(LayerDone(index, row))
            self._remarks(row, outcome)
        self._note_batch(index, outcome, memory)

    def measured(self, energy: float) -> None:
        """Add |delta|^2 of a weight that is measured only."""
        self.lost_energy += energy

    def leave_out(self, left_out: LeftOut, file: str) -> None:
        """Leave out a tensor that is not finite; emits a notice, of the first only where the run will fail."""
        self.left_out.append(left_out)
        self._broken[left_out.name] = file
        skips = self._plan.settings.skip_nonfinite
        code = NoticeCode.NON_FINITE_SKIPPED if skips else NoticeCode.NON_FINITE_FOUND
        if skips or len(self._broken) == 1:
            self._emit(Notice(code, left_out.name, {"detail": left_out.detail}))

    def judge(self) -> None:
        """Emit the remarks on the whole run; refuses to go on where no file may be written.

        Raises:
            EngineError: ``non_finite``, ``no_difference``, or ``input_changed``.
        """
        if self._broken and not self._plan.settings.skip_nonfinite:
            name, file = next(iter(self._broken.items()))
            raise EngineError(ErrorCode.NON_FINITE, file=file, tensor=name, layers=list(self._broken))
        if not self.rows:
            raise EngineError(ErrorCode.NO_DIFFERENCE, file=self._finetuned.path, layers=len(self._plan.layers))
        self._finetuned.check_unchanged()
        self._original.check_unchanged()
        if not self._warned_large:
            self._warn_large()
        counts = {
            NoticeCode.ENERGY_BOUNDS: self._bounds,
            NoticeCode.LAYERS_CAPPED: sum(row.capped for row in self.rows),
            NoticeCode.CLAMP_KEPT: sum(row.clamp == "kept" for row in self.rows),
        }
        for code, count in counts.items():
            if count:
                self._emit(Notice(code, data={"layers": count, "rank": self._plan.settings.rank}))

    def publish(self, writer: SafetensorsWriter, started: str, run: dict[str, Any]) -> OutputFile:
        """Put the file and its report in place.

        Args:
            writer: the temporary file.
            started: date for the header.
            run: further totals of the report.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        plan, pair = self._plan, (self._finetuned, self._original)
        figures = quality(self.rows, self.lost_energy)
        path, report_file = writer.publish(
            plan.stem,
            metadata(plan, *pair, self.rows, figures, started),
            lambda path, size: report(plan, *pair, self.rows, self.left_out, figures, run, path, size),
        )
        return OutputFile(
            path=path,
            report=report_file,
            rank=rank_label(plan.settings),
            key_format=plan.settings.key_format,
            size_bytes=path.stat().st_size,
            mean_energy_retained=figures.mean,
            worst_energy_retained=figures.worst,
        )

    def energy_so_far(self) -> float | None:
        """Share of the change kept over the layers done."""
        total = self._energy + self.lost_energy
        return self._energy_kept / total if self.rows and total else None

    def _note_batch(self, index: int, outcome: LayerOutcome, memory: Callable[[], MemoryUse]) -> None:
        both = zip(vars(self._batch_seconds).values(), vars(outcome.seconds).values(), strict=True)
        self._batch_seconds = StageSeconds(*(one + other for one, other in both))
        if not outcome.kept:
            begin, end = self._batch_span
            self._batch_span = (min(begin, outcome.span[0]), max(end, outcome.span[1]))
        number = self._batch_of[index]
        batch = self._plan.batches[number]
        if index == batch[-1]:
            names = tuple(self._plan.layers[member].name for member in batch)
            wall = max(0.0, self._batch_span[1] - self._batch_span[0])
            use = memory()
            self._emit(BatchDone(number, names, self._batch_seconds, use.run, use.device_used, wall))
            self._batch_seconds, self._batch_span = StageSeconds(), (float("inf"), 0.0)

    def _skipped(self, index: int, outcome: LayerOutcome) -> None:
        assert outcome.left_out is not None
        self.lost_energy += outcome.delta_energy
        if outcome.left_out.reason is LeaveOutReason.NON_FINITE:
            self.leave_out(outcome.left_out, str(outcome.broken_file or self._finetuned.path))
        else:
            self.left_out.append(outcome.left_out)
        self._emit(LayerSkipped(index, outcome.left_out))

    def _remarks(self, row: LayerResult, outcome: LayerOutcome) -> None:
        if outcome.stored is not None and outcome.stored.how.fallback:
            self._emit(Notice(NoticeCode.STORED_FP32, row.name, {"dtype": self._plan.settings.output_dtype}))
        if outcome.on_cpu:
            self._emit(Notice(NoticeCode.LAYER_ON_CPU, row.name))
        if not self._warned_large and len(self.rows) >= _ENOUGH_LAYERS:
            self._warn_large()

    def _warn_large(self) -> None:
        kind = any(self._layers_by_kind[True])  # factors, where there are any
        of, large = self._layers_by_kind[kind]
        if 2 * large > of:
            self._warned_large = True
            self._emit(Notice(NoticeCode.LARGE_CHANGE, data={"layers": large, "of": of}))
