"""The events of a run's layers, whatever files they go to: done, left out, batches, and remarks on all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.checkpoints import Checkpoint
from engine.devices.device import MemoryUse
from engine.errors import EngineError, ErrorCode
from engine.events import BatchDone, Event, LayerDone, LayerSkipped, Notice, NoticeCode
from engine.layer import LayerOutcome
from engine.planning.plan import Plan
from engine.results import LARGE_CHANGE, LargeChange, LayerResult, LeaveOutReason, LeftOut, StageSeconds

_ENOUGH_LAYERS = 16


class LayerEvents:
    """Counts the layers in the order of the plan and emits what there is to say of them.

    Attributes:
        done: layers finished so far.
        kept: of them, those that an earlier run left.
    """

    def __init__(self, plan: Plan, checkpoints: tuple[Checkpoint, Checkpoint], emit: Callable[[Event], None]) -> None:
        self._plan, self._emit = plan, emit
        self._finetuned, self._original = checkpoints
        self.done = self.kept = self._bounds = self._rows = self._rounded = 0
        self._reasons: set[LeaveOutReason] = set()
        self._broken: dict[str, str] = {}
        self._warned_large = False
        self._says_unclamped = plan.settings.own_clamp_limit
        self._layers_by_kind = {True: [0, 0], False: [0, 0]}  # factors, differences: all, and those changed by much
        self._batch_of = {index: number for number, batch in enumerate(plan.batches) for index in batch}
        self._batch_seconds = StageSeconds()
        self._batch_span = (float("inf"), 0.0)

    def finished(
        self, index: int, outcome: LayerOutcome, row: LayerResult | None, memory: Callable[[], MemoryUse]
    ) -> None:
        """Count a layer that is written or left out; emits its events, and at the end of a batch `BatchDone`.

        Args:
            index: of the layer.
            outcome: its result.
            row: as it stands in the first file that holds it; None where it is left out.
            memory: in use now.
        """
        self.done, self.kept, self._bounds = index + 1, self.kept + outcome.kept, self._bounds + outcome.bound
        if row is not None:
            self._rows += 1
            count = self._layers_by_kind[row.rank is not None]
            count[0], count[1] = count[0] + 1, count[1] + (row.relative_change > LARGE_CHANGE)
            self._emit(LayerDone(index, row))
            self._remarks(row, outcome)
        elif outcome.left_out is not None:
            if outcome.left_out.reason is LeaveOutReason.NON_FINITE:
                self.leave_out(outcome.left_out, str(outcome.broken_file or self._finetuned.path))
            self._rounded += bool(outcome.left_out.rounded_to)
            self._reasons.add(outcome.left_out.reason)
            self._emit(LayerSkipped(index, outcome.left_out))
        self._note_batch(index, outcome, memory)

    def leave_out(self, left_out: LeftOut, file: str) -> None:
        """Note a tensor that is not finite; emits a notice, of the first only where the run will fail."""
        self._broken[left_out.name] = file
        skips = self._plan.skip_nonfinite
        code = NoticeCode.NON_FINITE_SKIPPED if skips else NoticeCode.NON_FINITE_FOUND
        if skips or len(self._broken) == 1:
            self._emit(Notice(code, left_out.name, {"detail": left_out.detail}))

    def refuse_broken(self) -> None:
        """Raise `EngineError` ``non_finite`` for layers that are not finite, unless these are to be left out."""
        if self._broken and not self._plan.skip_nonfinite:
            name, file = next(iter(self._broken.items()))
            raise EngineError(ErrorCode.NON_FINITE, file=file, tensor=name, layers=list(self._broken))

    def judge(self, files: Sequence[Sequence[LayerResult]]) -> None:
        """Emit the remarks on the whole run; refuses to go on where no file may be written.

        Args:
            files: the rows of each file.

        Raises:
            EngineError: ``no_difference`` or ``input_changed``.
        """
        if not all(files):
            data: dict[str, Any] = {"rounded": self._rounded, "reason": "rounding"} if self._rounded else {}
            grown = next((weight.name for weight in self._plan.layers if weight.grown_numel), None)
            if grown is not None:
                data = {"tensor": grown, "reason": "grown"}
            if self._reasons - {LeaveOutReason.UNCHANGED} == {LeaveOutReason.ONLY_NOISE}:
                data = {"reason": "only_noise"}
            raise EngineError(ErrorCode.NO_DIFFERENCE, file=self._finetuned.path, layers=len(self._plan.layers), **data)
        self._finetuned.check_unchanged()
        self._original.check_unchanged()
        if not self._warned_large:
            self._warn_large()
        counts = {
            NoticeCode.ENERGY_BOUNDS: self._bounds,
            NoticeCode.LAYERS_CAPPED: sum(row.capped for row in files[0]),
            NoticeCode.CLAMP_KEPT: sum(row.clamp == "kept" for row in files[0]) if self._says_unclamped else 0,
        }
        rank = self._plan.outputs[0].storing.rank or self._plan.method.policy.rank
        for code, count in counts.items():
            if count:
                self._emit(Notice(code, data={"layers": count, "rank": rank}))

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

    def _remarks(self, row: LayerResult, outcome: LayerOutcome) -> None:
        rules = zip(self._plan.method.storing, outcome.stored, strict=True)
        wider = next(((rule, item.how.dtype) for rule, item in rules if item.how.fallback), None)
        if wider is not None and wider[1] == "F32":
            self._emit(Notice(NoticeCode.STORED_FP32, row.name, {"dtype": wider[0].difference_dtype}))
        elif wider is not None:
            self._emit(Notice(NoticeCode.STORED_FP16, row.name, {"dtype": wider[0].output_dtype}))
        if outcome.on_cpu:
            self._emit(Notice(NoticeCode.LAYER_ON_CPU, row.name))
        if not self._warned_large and self._rows >= _ENOUGH_LAYERS:
            self._warn_large()

    def _warn_large(self) -> None:
        kind = any(self._layers_by_kind[True])  # factors, where there are any
        of, large = self._layers_by_kind[kind]
        if LargeChange(large, of).unrelated:
            self._warned_large = True
            self._emit(Notice(NoticeCode.LARGE_CHANGE, data={"layers": large, "of": of}))
