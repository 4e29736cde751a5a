"""The first phases of a run whose ranks are chosen for a size: decompose all layers, share the ranks between them.

What is decomposed goes to the journal, from which the files are written afterwards. Where there is none only the
singular values are held, and layers are decomposed again at their ranks: so a run needs no more memory than another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from engine.checkpoints import Checkpoint
from engine.checkpoints.header_snapshot import HeaderSnapshot
from engine.decompose.method import LayerMethod
from engine.errors import EngineError, ErrorCode
from engine.events import Event, Notice, NoticeCode, Phase, Progress
from engine.extraction.layer_executor import ExecutorSample, LayerExecutor
from engine.extraction.progress import RunProgress
from engine.layer import LayerOutcome
from engine.planning.costs import matrix_shape
from engine.planning.plan import Plan
from engine.planning.sizing import FoundLayer, Sizing, dtype_named
from engine.planning.task import Task
from engine.results import LeaveOutReason, RankSpread
from engine.resume.journal import RunJournal
from engine.resume.known_layers import found_layer
from engine.resume.records import restore
from engine.resume.reuse import left_out_reason
from engine.settings import OutputDtype
from engine.store import DecompositionStore

_WAIT_SECONDS = 0.05
_WRITING = 0.1  # of the work on a layer, what writing it from its record takes


class Survey:
    """Finds the ranks of a run.

    Attributes:
        reused: the layers that earlier runs left and that were not decomposed again.
        worked: the outcomes of the others, without their tensors: seconds, span and device.
        samples: the executors' last figures.
        done: share of the whole run's work that is done.
    """

    def __init__(
        self,
        plan: Plan,
        checkpoints: tuple[Checkpoint, Checkpoint],
        *,
        store: DecompositionStore | None,
        executor_for: Callable[[Plan], LayerExecutor],
        emit: Callable[[Event], None],
        check: Callable[[], None],
        started: float,
    ) -> None:
        self._plan, self._checkpoints, self._store = plan, checkpoints, store
        self._executor_for, self._emit, self._check, self._started = executor_for, emit, check, started
        self._sizing = Sizing(plan.method, plan.outputs, plan.layers)
        self._found: dict[str, FoundLayer] = {}
        self._keeps = store is not None
        self.reused: set[int] = set()
        self.worked: dict[int, LayerOutcome] = {}
        self.samples: list[ExecutorSample] = []
        self.done = 0.0

    @property
    def settled(self) -> int:
        """How many of the run's layers need no work any more, should it stop now, where there is a journal."""
        return len(self.reused) + len(self.worked)

    def settle(self, executor: LayerExecutor) -> Plan:
        """Decompose until the ranks are decided; returns the plan with them.

        Args:
            executor: for the plan as it is.

        Raises:
            EngineError: ``size_too_small`` where rank 1 of every layer that changed does not fit, ``not_cached`` where
                the models themselves would be needed and are gone, and what ends the work on a layer.
            Cancelled: the run was stopped.
        """
        plan = self._plan
        journal = RunJournal(self._store, plan, self._checkpoints, self._emit)
        journal.announce()
        self._recall(journal)
        of_use = {name for output in plan.outputs if output.goal for name in output.kept_bytes} - self._found.keys()
        missing = [
            task
            for task in plan.tasks
            if (task.weight.name in of_use if task.measured else task.index not in self.reused)
        ]
        if missing and self._sizing.doubtful:
            self._measure(missing)
        if missing:
            self.require_models(len(missing))
            layers = sum(not task.measured for task in missing)
            if layers:
                self._emit(Notice(NoticeCode.SIZE_SURVEYED, data={"layers": layers, "again": not self._keeps}))
            self._decompose(plan, missing, executor, journal)
        while more := self._sizing.wanted(self._found):
            self.require_models(len(more))
            self._emit(Notice(NoticeCode.SIZE_CONTINUED, data={"layers": len(more), "rank": max(more.values())}))
            further = plan.decomposed_by(self._sizing.further(more))
            tasks = [task for task in plan.tasks if task.weight.name in more and not task.measured]
            again = RunJournal(self._store, further, self._checkpoints, self._emit)
            self._decompose(further, tasks, self._executor_for(further), again)
        return self._shared()

    def again(self, excess: Mapping[int, int], wide: Sequence[tuple[int, str, OutputDtype]]) -> Plan:
        """The plan once more, after files turned out larger than they are to be.

        Layers count with the dtype that a file stored them in from now on; what else makes it too large is left free.

        Args:
            excess: bytes too many, by the file's place in the plan.
            wide: of each layer that a file stores in another dtype than its own: the file's place, the layer's name
                and the dtype.

        Raises:
            EngineError: ``size_too_small`` where no ranks fit any more.
        """
        explained, reserved = set[int](), dict(self._sizing.reserved)
        for number, name, dtype in wide:
            layer = self._found[name]
            if number in excess and layer.wide.get(number) != dtype:
                self._found[name] = replace(layer, wide={**layer.wide, number: dtype})
                explained.add(number)
        for number in excess.keys() - explained:
            reserved[number] = reserved.get(number, 0) + excess[number]
        self._sizing = replace(self._sizing, reserved=reserved)
        return self._shared()

    def of_this_run(self, index: int, outcome: LayerOutcome) -> LayerOutcome:
        """A layer's outcome from its record, as one of this run where it was decomposed in an earlier phase."""
        worked = self.worked.get(index)
        if worked is None:
            return outcome
        return replace(outcome, kept=False, seconds=worked.seconds, span=worked.span, on_cpu=worked.on_cpu)

    def _shared(self) -> Plan:
        method, outputs = self._sizing.shared(self._found)
        for output in outputs:
            ranks = RankSpread.of((output.storing.ranks or {}).values())
            if output.goal is not None and ranks is not None:
                self._emit(Notice(NoticeCode.RANKS_SHARED, output.name, asdict(ranks)))
        return self._plan.decomposed_by(method, outputs)

    def _recall(self, journal: RunJournal) -> None:
        """Take what earlier runs left; differences are stored once more, to see in which dtype."""
        plan = self._plan
        for index, (energy, _) in journal.earlier.measured.items():
            found = FoundLayer(np.zeros(0), energy, 0.0, left_out=energy == 0.0)
            self._found[plan.tasks[index].weight.name] = found
        for index, entry in journal.earlier.layers.items():
            weight = plan.layers[index]
            left_out = left_out_reason(entry.fields, plan.method) is not None
            if left_out or plan.method.stores_factors(weight.kind):
                known = found_layer(entry.fields, weight, plan.method, plan.outputs)
                self.reused.add(index)
                if known is not None:
                    self._found[weight.name] = known
                continue
            try:
                outcome = restore(entry, weight, plan.method, (self._checkpoints[0].paths, self._checkpoints[1].paths))
            except EngineError as error:
                if error.code is not ErrorCode.JOURNAL_INVALID:
                    raise
                continue
            self.reused.add(index)
            self._note(index, outcome, plan.method)

    def _measure(self, missing: Sequence[Task]) -> None:
        """Read which layers changed at all, before they are decomposed for a size that they may not fit into."""
        tasks = [replace(task, measured=self._plan.method.stores_factors(task.weight.kind)) for task in missing]
        self._emit(Notice(NoticeCode.SIZE_DOUBTFUL, data={"layers": sum(not task.measured for task in missing)}))
        found, worked = dict(self._found), dict(self.worked)
        self._work(self._plan, tasks, self._executor_for(self._plan), None, phase="measure", part=0.1)
        self._sizing.check_least(self._found)
        self._found, self.worked = found, worked

    def _decompose(self, plan: Plan, tasks: Sequence[Task], executor: LayerExecutor, journal: RunJournal) -> None:
        cost = sum(plan.costs[task.index] for task in tasks)
        writing = (_WRITING if self._keeps else 1.0) * sum(plan.costs)
        self._work(plan, tasks, executor, journal, phase="decompose", part=cost / (cost + writing))

    def _work(
        self,
        plan: Plan,
        tasks: Sequence[Task],
        executor: LayerExecutor,
        journal: RunJournal | None,
        *,
        phase: Phase,
        part: float,
    ) -> None:
        """Have some layers worked on, and note what came of them.

        Args:
            plan: decides how they are decomposed.
            tasks: the layers.
            executor: works on them.
            journal: keeps them; None for those that are measured only.
            phase: what progress calls this.
            part: of the work that is left, by estimate.
        """
        mine = {task.index for task in tasks}
        layers = {index for index in mine if index < len(plan.layers)}  # the others are only measured
        costs = [cost if index in mine else 0.0 for index, cost in enumerate(plan.costs)]
        part *= 1.0 - self.done
        progress = RunProgress(executor, costs=costs, started=self._started, before=self.done, part=part)
        if journal is not None:
            executor.threads = journal.threads or executor.threads
        executor.submit(tasks)
        progress.begin(())
        if journal is not None:
            journal.begin(threads=executor.threads, device=executor.device.name)
        finished: list[tuple[int, LayerOutcome]] = []
        try:
            with executor:
                left = set(mine)
                while left:
                    self._check()
                    finished = executor.take(_WAIT_SECONDS)
                    if journal is not None:
                        journal.write(finished)
                    for index, outcome in finished:
                        self._note(index, outcome, plan.method)
                        left.discard(index)
                        progress.settle(index, outcome.seconds.compute)
                        executor.release(index)
                    now, finished = bool(finished), []
                    sample = progress.sample()
                    if sample is not None:
                        self._emit(sample)
                    if sample is not None or now:
                        done, kept = len(layers - left), self.settled if journal is not None and self._keeps else 0
                        self._emit(_event(progress, done, len(layers), phase, kept))
        finally:
            if journal is not None:
                journal.write([*finished, *executor.take(0)])
                self._keeps = journal.on
                journal.close(finished=False)
        self.samples.append(executor.sample())
        self.done += part

    def _note(self, index: int, outcome: LayerOutcome, method: LayerMethod) -> None:
        """Keep of an outcome what ranks are chosen by."""
        weight, plan = self._plan.tasks[index].weight, self._plan
        if not outcome.kept and not plan.tasks[index].measured:
            self.reused.discard(index)
            self.worked[index] = replace(outcome, svd=None, difference=None, stored=(), row=None, left_out=None)
        reason = None if outcome.left_out is None else outcome.left_out.reason
        if reason is LeaveOutReason.NON_FINITE:
            self._found.pop(weight.name, None)
            return
        values = np.zeros(0)
        if outcome.svd is not None:
            values = np.asarray(outcome.svd.values, np.float64)
            values = values if len(values) == min(matrix_shape(weight.shape)) else outcome.svd.s.numpy()
        rules = [plan.method.storing.index(output.storing) for output in plan.outputs]
        how = [outcome.stored[rule].how for rule in rules] if outcome.stored else []
        wide = {number: dtype_named(item.dtype) for number, item in enumerate(how) if item.fallback}
        only_measured = outcome.row is None and reason is None
        unchanged = only_measured and outcome.delta_energy <= method.min_change**2 * outcome.original_energy
        self._found[weight.name] = FoundLayer(
            values,
            outcome.delta_energy,
            outcome.original_energy,
            left_out=reason is not None or unchanged,
            wide=wide,
        )

    def require_models(self, missing: int) -> None:
        """Refuse work on models of which nothing but the headers is left.

        Raises:
            EngineError: ``not_cached``.
        """
        if any(isinstance(checkpoint, HeaderSnapshot) for checkpoint in self._checkpoints):
            raise EngineError(ErrorCode.NOT_CACHED, missing=missing, of=len(self._plan.tasks), reason="layers")


def _event(progress: RunProgress, done: int, of: int, phase: Phase, kept: int) -> Progress:
    return Progress(
        layers_done=done,
        layers_total=of,
        share=progress.share,
        elapsed=progress.seconds(),
        remaining=progress.remaining(),
        energy_so_far=None,
        phase=phase,
        kept_layers=kept,
    )
