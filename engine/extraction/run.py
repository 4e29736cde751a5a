"""The thread of a run: finds earlier runs, drives the executor, writes all results in plan order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import torch

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint, WeightView
from engine.checkpoints.header_snapshot import HeaderSnapshot
from engine.checkpoints.tensors import read_view
from engine.decompose.real_change import LayerNoise
from engine.errors import EngineError
from engine.events import Event, FinishingStep, Notice, NoticeCode, Planned, Progress
from engine.extraction.collector import OutputCollector
from engine.extraction.layer_events import LayerEvents
from engine.extraction.layer_executor import ExecutorChoice, LayerExecutor, RunContext, RunInputs
from engine.extraction.progress import RunProgress
from engine.extraction.survey import Survey
from engine.formats.publishing import publish
from engine.layer import LayerOutcome, with_noise
from engine.planning.estimates import promised_bytes
from engine.planning.memory_estimate import DeviceMemory
from engine.planning.plan import Plan
from engine.planning.sizing import dtype_named
from engine.planning.task import Task
from engine.results import ExtractionResult, LeaveOutReason, LeftOut
from engine.resume.journal import RunJournal
from engine.settings import OutputDtype
from engine.store import DecompositionStore

_WAIT_SECONDS = 0.05
_IN_RESULT = ("peak_device_bytes", "peak_rss_bytes", "read_bytes", "copied_bytes", "waited_share")
_AT_ONCE = 256 * 1024 * 1024  # bytes of ``full`` that go to the disk before they are journaled


class _TooLargeError(Exception):
    """Files take more than their size; see `Survey.again`."""

    def __init__(self, excess: dict[int, int], wide: list[tuple[int, str, OutputDtype]]) -> None:
        self.excess, self.wide = excess, wide


class ExtractionRun:
    """One extraction: `run` does it, on the thread that calls it; the other methods are for other threads."""

    def __init__(
        self,
        plan: Plan,
        checkpoints: tuple[Checkpoint, Checkpoint],
        tokens: tuple[CancelToken, ...],
        emit: Callable[[Event], None],
        *,
        store: DecompositionStore | None,
        executor: ExecutorChoice,
    ) -> None:
        self._plan, self._checkpoints, self._tokens = plan, checkpoints, tokens
        self._emit = _once(emit, {NoticeCode.JOURNAL_OFF})
        self._store, self._choose_executor = store, executor
        self._started = time.perf_counter()
        self._executor: LayerExecutor | None = None
        self._collectors: tuple[OutputCollector, ...] = ()
        self._survey: Survey | None = None
        self._disk_since: float | None = None
        self._unmeasured: set[int] = set()
        self._promised = 0

    def stalled(self, seconds: float) -> bool:
        """Whether a disk has kept the run waiting for longer than so many seconds."""
        since = self._disk_since
        return since is not None and time.monotonic() - since > seconds

    def finishing(self) -> FinishingStep | None:
        """What cannot be broken off now and may take longest; None where everything can."""
        return None if self._executor is None else self._executor.sample().finishing

    def discard(self) -> None:
        """Remove the unfinished files although the thread may still be at work."""
        for collector in reversed(self._collectors):  # the first one made the folder
            collector.writer.abort()

    def run(self) -> ExtractionResult:
        """From the executor to the published files.

        Raises:
            EngineError: what went wrong; no file is left behind but the journal.
            Cancelled: the run was stopped.
        """
        plan = self._plan
        executor = self._executor_for(plan)
        self._emit(_planned(plan, executor))
        if plan.sized:
            self._promised = _promised(plan, list(plan.tasks), executor)
        for notice in plan.notices:
            self._emit(notice)
        with self._at_disk():
            for checkpoint in self._checkpoints:
                checkpoint.check_unchanged()  # what is resident or recorded is of the files that were opened
            self._hash_meanwhile()
        if not plan.sized:
            return self._written(executor)
        self._survey = Survey(
            plan,
            self._checkpoints,
            store=self._store,
            executor_for=self._executor_for,
            emit=self._emit,
            check=self._check,
            started=self._started,
        )
        self._plan = self._survey.settle(executor)
        while True:
            try:
                return self._written(self._executor_for(self._plan))
            except _TooLargeError as found:
                self._plan = self._survey.again(found.excess, found.wide)

    def _executor_for(self, plan: Plan) -> LayerExecutor:
        """What works on the layers of a plan, from now on the run's executor."""
        self._executor = self._choose_executor(
            RunInputs([task.weight for task in plan.tasks], plan.method, plan.hardware),
            RunContext(self._checkpoints, self._emit, lambda: any(token.cancelled for token in self._tokens)),
        )
        return self._executor

    def _written(self, executor: LayerExecutor) -> ExtractionResult:
        """Work on the layers, or take them from their records, and write the files."""
        plan, survey = self._plan, self._survey
        self._layer_events = LayerEvents(plan, self._checkpoints, self._emit)
        before, samples = (0.0, ()) if survey is None else (survey.done, survey.samples)
        self._progress = RunProgress(
            executor, costs=plan.costs, started=self._started, before=before, part=1.0 - before, samples=samples
        )
        with self._at_disk():
            journal = RunJournal(self._store, plan, self._checkpoints, self._emit)
            if survey is None:
                journal.announce()
            self._collectors = tuple(
                OutputCollector(plan, output, self._checkpoints, writer)
                for output, writer in zip(plan.outputs, journal.open_outputs(), strict=True)
            )
        finished = False
        try:
            result = self._extract(executor, journal)
            finished = True
            return result
        except BaseException:
            for collector in reversed(self._collectors):
                if journal.on and journal.part is not None:
                    collector.writer.leave()
                else:
                    collector.writer.abort()
            raise
        finally:
            with self._at_disk():
                journal.close(finished=finished)

    def _hash_meanwhile(self) -> None:
        """Hash both files on a thread; `Checkpoint.fingerprint` waits for it and raises any error again."""

        def hash_both() -> None:
            with suppress(EngineError):
                for checkpoint in self._checkpoints:
                    checkpoint.fingerprint()

        threading.Thread(target=hash_both, name="fingerprints", daemon=True).start()

    def _extract(self, executor: LayerExecutor, journal: RunJournal) -> ExtractionResult:
        self._layers(executor, journal)
        for name, view in self._plan.new.items():
            self._check()
            with self._at_disk():
                self._write_new(name, view)
        self._check()
        with self._at_disk():
            self._layer_events.refuse_broken()
            for collector in self._collectors:
                collector.refuse_empty()  # where one of several files would be empty the run fails as a whole
            self._layer_events.judge([collector.rows for collector in self._collectors])
            return self._publish(journal)

    def _refuse_too_large(self, sizes: Sequence[int]) -> None:
        """Raise `_TooLargeError` where a file came out larger than it is to be, by what nobody could foresee."""
        excess: dict[int, int] = {}
        wide: list[tuple[int, str, OutputDtype]] = []
        for number, (output, size) in enumerate(zip(self._plan.outputs, sizes, strict=True)):
            if output.goal is not None and size > output.goal.target:
                excess[number] = size - output.goal.target
                rows, asked = self._collectors[number].rows, output.storing.output_dtype
                dtypes = [(row.name, dtype_named(row.stored_dtype)) for row in rows]
                wide += [(number, name, dtype) for name, dtype in dtypes if dtype != asked]
        if excess:
            raise _TooLargeError(excess, wide)

    def _layers(self, executor: LayerExecutor, journal: RunJournal) -> None:
        """All layers and measured weights, from earlier runs or from the executor."""
        plan, earlier = self._plan, journal.earlier
        available = earlier.layers.keys() | earlier.measured.keys()
        executor.threads = journal.threads or executor.threads
        missing = [task for task in plan.tasks if task.index not in available]
        self._unmeasured = self._without_noise(journal)
        if self._survey is not None and missing:
            self._survey.require_models(len(missing))
        self._promised = max(self._promised, _promised(plan, missing, executor))
        executor.submit([*missing, *(replace(plan.tasks[index], measured=True) for index in self._unmeasured)])
        self._progress.begin(available)
        with self._at_disk():
            journal.begin(threads=executor.threads, device=executor.device.name)
        ready: dict[int, LayerOutcome] = {}
        unwritten: list[tuple[int, LayerOutcome]] = []
        threads = torch.get_num_threads()
        try:
            journal.load_ahead(threads)
            torch.set_num_threads(1)  # this thread only writes; the executor gives its workers theirs
            with executor:
                position = 0
                while position < len(plan.tasks):
                    self._check()
                    self._sample()
                    position = self._write_ready(position, ready, journal)
                    if position < len(plan.tasks):
                        unwritten = executor.take(_WAIT_SECONDS)
                        for index, outcome in unwritten:
                            self._progress.settle(index, outcome.seconds.compute)
                        self._keep(unwritten, journal)
                        ready.update(unwritten)
                        unwritten = []
        finally:
            torch.set_num_threads(threads)
            self._keep([*unwritten, *executor.take(0)], journal)
        self._sample(now=True)
        self._emit(self._progress.blocks_resident())

    def _without_noise(self, journal: RunJournal) -> set[int]:
        """The layers whose records say nothing of rounding, which one subtraction tells where the models are there."""
        gone = any(isinstance(checkpoint, HeaderSnapshot) for checkpoint in self._checkpoints)
        return set() if gone else journal.without_noise()

    def _keep(self, finished: list[tuple[int, LayerOutcome]], journal: RunJournal) -> None:
        """Write finished layers to the journal; those of ``full`` are journaled in `_settle`, after the file."""
        if journal.part is None:
            with self._at_disk():
                journal.write([(index, outcome) for index, outcome in finished if index not in self._unmeasured])

    def _write_ready(self, position: int, ready: dict[int, LayerOutcome], journal: RunJournal) -> int:
        """Write everything whose turn it is; returns the index whose turn is next."""
        group: list[tuple[int, LayerOutcome]] = []
        while (outcome := self._available(position, ready, journal)) is not None:
            if outcome.stored or outcome.left_out is not None:  # of which a new part may be written all the same
                with self._at_disk():
                    for collector in self._collectors:
                        outcome = collector.write(position, outcome)
            group.append((position, outcome))
            position += 1
            if journal.part is None or sum(waiting.nbytes for _, waiting in group) > _AT_ONCE:
                self._settle(group, journal)
                group = []
                self._check()
                self._sample()
        self._settle(group, journal)
        return position

    def _available(self, position: int, ready: dict[int, LayerOutcome], journal: RunJournal) -> LayerOutcome | None:
        """The outcome of a task, from the executor or an earlier run; None while there is none."""
        if position in self._unmeasured:
            return self._measured_again(position, ready, journal)
        if position in ready:
            return ready.pop(position)
        if position in journal.earlier.measured:
            energy, grown = journal.earlier.measured[position]
            noise = LayerNoise.of(journal.earlier.noise.get(position))
            return LayerOutcome(None, None, energy, grown_energy=grown, kept=True, noise=noise)
        if position not in journal.earlier.layers:
            return None
        with self._at_disk():
            outcome = journal.load(position)
        if outcome is not None and self._survey is not None:
            outcome = self._survey.of_this_run(position, outcome)
        if outcome is None:
            assert self._executor is not None, "the layers have begun"
            self._progress.lose(position)
            self._executor.submit([self._plan.tasks[position]])
        return outcome

    def _measured_again(
        self, position: int, ready: dict[int, LayerOutcome], journal: RunJournal
    ) -> LayerOutcome | None:
        """A layer from its record, with its rounding, which was measured now; None while that is not done."""
        measured = ready.pop(position, None)
        if measured is None:
            return None
        self._unmeasured.discard(position)
        if position in journal.earlier.measured:
            with self._at_disk():
                journal.write([(position, measured)])
            return replace(measured, kept=True)
        outcome = self._available(position, ready, journal)
        if outcome is not None and measured.noise_model is not None:
            outcome = with_noise(outcome, measured.noise_model)
            with self._at_disk():
                journal.write([(position, replace(measured, noise=outcome.noise))])
        return outcome

    def _settle(self, group: list[tuple[int, LayerOutcome]], journal: RunJournal) -> None:
        """Count layers as done that are in the files; those of ``full``, which has one file, are journaled first."""
        if journal.part is not None and group:
            fresh = [(index, outcome) for index, outcome in group if not outcome.kept]
            (collector,) = self._collectors
            with self._at_disk():
                added = {index: collector.added(index, outcome) for index, outcome in fresh if outcome.row}
                collector.writer.sync()
                journal.write(fresh, added)
        assert self._executor is not None, "the layers have begun"
        for index, outcome in group:
            if self._plan.tasks[index].measured:
                name = self._plan.tasks[index].weight.name
                for collector in self._collectors:
                    collector.measured(name, outcome.delta_energy, outcome.noise, outcome.grown_energy)
            else:
                self._finish(index, outcome)
            self._progress.settle(index)
            self._executor.release(index)
            self._emit(self._progress_event())

    def _finish(self, index: int, outcome: LayerOutcome) -> None:
        """Count a layer in every file, and emit its events."""
        rows = [collector.finish(outcome) for collector in self._collectors]
        row = next((row for row in rows if row is not None), None)
        self._layer_events.finished(index, outcome, row, self._progress.memory)

    def _write_new(self, name: str, view: WeightView) -> None:
        """Write a weight that only the fine-tuned model has."""
        finetuned = self._checkpoints[0]
        tensor = read_view(finetuned, view)
        if bool(torch.isfinite(tensor.to(torch.float32)).all()):
            for collector in self._collectors:
                collector.write_whole(name, tensor)
            return
        detail = f"in {finetuned.name}"
        left_out = LeftOut(name, LeaveOutReason.NON_FINITE, detail, numel=tensor.numel(), component=view.component)
        for collector in self._collectors:
            collector.leave_out(left_out)
        self._layer_events.leave_out(left_out, str(finetuned.path))

    def _publish(self, journal: RunJournal) -> ExtractionResult:
        """Put all files in place, or none."""
        kept = self._layer_events.kept
        totals = self._progress.totals(kept)
        publications = [collector.seal(journal.started, totals) for collector in self._collectors]
        self._refuse_too_large([publication.size for publication in publications])
        outputs = [
            collector.output_file(path, report, publication.size)
            for collector, publication, (path, report) in zip(
                self._collectors, publications, publish(publications), strict=True
            )
        ]
        figures = {name: totals[name] for name in _IN_RESULT} | {"layers_reused": kept}
        figures |= {"layers_planned": len(self._plan.layers), "promised_device_bytes": self._promised}
        rows, left_out = tuple(self._collectors[0].rows), tuple(self._collectors[0].left_out)
        return ExtractionResult(tuple(outputs), rows, left_out, self._progress.seconds(), **figures)

    def _sample(self, *, now: bool = False) -> None:
        """Emits a memory sample and the progress where they are due."""
        sample = self._progress.sample(now=now)
        if sample is not None:
            self._emit(sample)
            self._emit(self._progress_event())

    def _progress_event(self) -> Progress:
        run = self._progress
        energies = tuple(collector.energy_so_far() for collector in self._collectors)
        return Progress(
            layers_done=self._layer_events.done,
            layers_total=len(self._plan.layers),
            share=run.share,
            elapsed=run.seconds(),
            remaining=run.remaining(),
            energy_so_far=energies[0],
            energies_so_far=energies,
            phase="extract" if self._survey is None else "write",
            kept_layers=max(self._layer_events.done, 0 if self._survey is None else self._survey.settled),
        )

    @contextmanager
    def _at_disk(self) -> Iterator[None]:
        """Mark code that may wait for a disk; see `stalled`."""
        self._disk_since = time.monotonic()
        try:
            yield
        finally:
            self._disk_since = None

    def _check(self) -> None:
        for token in self._tokens:
            token.check()


def _promised(plan: Plan, tasks: list[Task], executor: LayerExecutor) -> int:
    """What a run may hold of its device by the plan's estimate; of several devices what it may hold of all of them."""
    device = executor.device
    if "," in device.name:
        return device.ceiling_bytes
    host = device.name == "cpu"
    others = 0 if host else executor.sample().device_used_bytes
    memory = DeviceMemory(host, device.total_bytes, others, torch.get_num_threads())
    return promised_bytes(plan, tasks, memory)


def _once(emit: Callable[[Event], None], codes: set[NoticeCode]) -> Callable[[Event], None]:
    """Emits notices of some codes only the first time."""
    emitted: set[NoticeCode] = set()

    def pass_on(event: Event) -> None:
        if isinstance(event, Notice) and event.code in codes:
            if event.code in emitted:
                return
            emitted.add(event.code)
        emit(event)

    return pass_on


def _planned(plan: Plan, executor: LayerExecutor) -> Planned:
    """The event that begins a run: the plan on the devices that were found for it."""
    device = executor.device
    return Planned(
        layers=len(plan.layers),
        left_out=plan.left_out,
        output_name=plan.output_name,
        output_bytes=plan.output_bytes,
        device=device.name,
        device_title=device.title,
        device_total_bytes=device.total_bytes,
        ceiling_bytes=device.ceiling_bytes,
        threshold_bytes=device.threshold_bytes,
        device_used_bytes=executor.sample().device_used_bytes,
        settings=plan.settings,
        hardware=plan.hardware,
        coverage=plan.coverage,
        output_names=tuple(output.name for output in plan.outputs),
    )
