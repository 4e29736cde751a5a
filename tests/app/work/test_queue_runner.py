"""Jobs are run one after the other, whatever becomes of each of them."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine
from pytestqt.qtbot import QtBot

from app.storage.job_queue import Job, JobState, new_job
from app.work.controller import Controller, State
from app.work.live_queue import LiveQueue
from app.work.queue_runner import JobEnded, JobStarted, QueueRunner, QueueSummary
from app.work.requests import RunAnswer
from engine.cancel import CancelToken
from engine.errors import EngineError, ErrorCode
from engine.events import Event, LayerDone, Notice, NoticeCode
from engine.planning.plan import Plan
from engine.settings import ExtractionSettings, HardwareSettings


@dataclass
class QueueEngine(FakeEngine):
    """Fails where told: when a file of this name is opened, or when a plan of this rank is run."""

    missing: str = ""
    broken_rank: int = 0
    hold_opening: threading.Event = field(default_factory=threading.Event)
    at_work: int = 0
    most_at_work: int = 0

    def let_go(self) -> None:
        super().let_go()
        self.hold_opening.set()

    def open_pair(self, finetuned: Path, original: Path) -> Any:
        self.hold_opening.wait(10)
        if finetuned.name == self.missing:
            raise EngineError(ErrorCode.FILE_MISSING, file=finetuned)
        return super().open_pair(finetuned, original)

    def events(self, plan: Plan, cancel: CancelToken) -> Iterator[Event]:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            for number, event in enumerate(super().events(plan, cancel)):
                if plan.settings.rank == self.broken_rank and number == 5:
                    raise EngineError(ErrorCode.DECOMPOSITION_FAILED, tensor="blocks.3.weight", detail="it diverged")
                yield event
        finally:
            self.at_work -= 1


@dataclass
class Stage:
    engine: QueueEngine
    controller: Controller
    queue: LiveQueue
    runner: QueueRunner
    ended: list[QueueSummary]
    news: list[RunAnswer]

    def add(self, *ranks: int, **settings: Any) -> None:
        for rank in ranks:
            self.queue.add(make_job(rank, **settings))

    def states(self) -> list[str]:
        return [job.state.value for job in self.queue.jobs]

    def ranks_run(self) -> list[int]:
        return [plan.settings.rank for plan in self.engine.run_plans]


def make_job(rank: int, **settings: Any) -> Job:
    extraction = ExtractionSettings(rank=rank, **settings)
    tuned, base = Path(f"/models/tuned-{rank}.safetensors"), Path("/models/base.safetensors")
    return new_job(tuned, base, extraction, HardwareSettings(batch_size=rank % 8 + 1), Path(f"/loras/{rank}"))


def on_event(runner: QueueRunner, kind: type[Any], do: Callable[[Any], object]) -> None:
    """Call a function with each event of a type."""
    runner.queue_event.connect(lambda event: isinstance(event, kind) and do(event))


@pytest.fixture
def stage(qtbot: QtBot) -> Iterator[Stage]:
    engine = QueueEngine()
    controller = Controller(engine)
    queue = LiveQueue()
    runner = QueueRunner(controller, queue)
    ended: list[QueueSummary] = []
    on_event(runner, QueueSummary, ended.append)
    news: list[RunAnswer] = []
    controller.run_event.connect(news.append)
    yield Stage(engine, controller, queue, runner, ended, news)
    engine.let_go()
    controller.shut_down()


def run_all(qtbot: QtBot, stage: Stage) -> None:
    assert stage.runner.start()
    wait_for_end(qtbot, stage)


def wait_for_end(qtbot: QtBot, stage: Stage, runs: int = 1) -> None:
    qtbot.waitUntil(lambda: len(stage.ended) == runs)


def wait_until_held(qtbot: QtBot, stage: Stage) -> None:
    """The engine holds a run after the sixth of its twelve layers."""
    qtbot.waitUntil(lambda: sum(isinstance(event, LayerDone) for event in stage.news) == 6)


def test_all_jobs_are_run_in_their_order_each_with_its_own_settings(qtbot: QtBot, stage: Stage) -> None:
    stage.add(8, 16, 32)
    run_all(qtbot, stage)
    assert stage.states() == ["done", "done", "done"]
    ran = [(plan.settings, plan.hardware, plan.folder) for plan in stage.engine.run_plans]
    assert ran == [(job.extraction, job.hardware, job.output_dir) for job in stage.queue.jobs]
    assert stage.engine.most_at_work == 1
    assert stage.ended == [QueueSummary(done=3, failed=0, stopped=0, waiting=0)]


@pytest.mark.parametrize("at_planning", [True, False])
def test_a_failing_job_does_not_stop_the_others(qtbot: QtBot, stage: Stage, home: Path, at_planning: bool) -> None:
    if at_planning:
        stage.engine.missing = "tuned-16.safetensors"
    else:
        stage.engine.broken_rank = 16
    stage.add(8, 16, 32)
    run_all(qtbot, stage)
    assert stage.states() == ["done", "failed", "done"]
    assert stage.ended == [QueueSummary(done=2, failed=1, stopped=0, waiting=0)]
    failure = stage.queue.jobs[1].failure
    assert failure is not None
    assert "tuned-16.safetensors does not exist" in failure.message if at_planning else "diverged" in failure.message
    assert failure.remedy
    saved = json.loads((home / "config" / "queue.json").read_text(encoding="utf-8"))["jobs"]
    assert saved[1]["failure"]["message"] == failure.message
    assert [entry["result"] and entry["result"]["mean"] for entry in saved] == [0.938, None, 0.938]
    assert Path(saved[2]["result"]["file"]).parent == Path("/loras/32")


def test_signals_tell_of_each_job_with_its_plan(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.missing = "tuned-16.safetensors"
    stage.add(8, 16)
    told: list[tuple[str, int]] = []
    on_event(stage.runner, JobStarted, lambda event: told.append(("started", event.plan.settings.rank)))
    on_event(stage.runner, JobEnded, lambda event: told.append((event.job.state.value, event.job.extraction.rank)))
    stage.controller.busy_changed.connect(lambda busy: told.append(("busy", int(busy))))
    run_all(qtbot, stage)
    assert told == [("busy", 1), ("started", 8), ("done", 8), ("failed", 16), ("busy", 0)]


def test_two_equal_jobs_are_both_run(qtbot: QtBot, stage: Stage) -> None:
    stage.add(8, 8)
    run_all(qtbot, stage)
    assert stage.states() == ["done", "done"]
    assert len(stage.engine.sessions) == 1, "the pair stays open between them"


def test_stopping_keeps_the_layers_and_the_rest_waits(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.hold_run.clear()
    stage.add(8, 16)
    stage.runner.start()
    wait_until_held(qtbot, stage)
    stage.runner.stop()
    assert stage.runner.stopping
    wait_for_end(qtbot, stage)
    assert stage.states() == ["stopped", "waiting"]
    assert stage.queue.jobs[0].layers_kept == (6, 12)
    assert not stage.controller.busy
    assert stage.ended == [QueueSummary(done=0, failed=0, stopped=1, waiting=1)]
    stage.engine.let_go()
    stage.runner.start()
    wait_for_end(qtbot, stage, runs=2)
    assert stage.states() == ["done", "done"]
    assert stage.ranks_run() == [8, 8, 16]
    assert stage.queue.jobs[0].layers_kept is None


@pytest.mark.parametrize("why", ["resume is off", "no journal"])
def test_a_stopped_job_promises_no_layers_that_are_not_kept(qtbot: QtBot, stage: Stage, why: str) -> None:
    if why == "no journal":
        stage.engine.news = (Notice(NoticeCode.JOURNAL_OFF, data={"reason": "the disk is full"}),)
    stage.engine.hold_run.clear()
    stage.add(8, resume=why != "resume is off")
    stage.runner.start()
    wait_until_held(qtbot, stage)
    assert not stage.runner.keeps_layers
    stage.runner.stop()
    wait_for_end(qtbot, stage)
    assert stage.queue.jobs[0].layers_kept is None


def test_stopping_the_run_from_elsewhere_ends_the_queue_too(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.hold_run.clear()
    stage.add(8, 16)
    stage.runner.start()
    wait_until_held(qtbot, stage)
    stage.controller.stop()
    wait_for_end(qtbot, stage)
    assert stage.states() == ["stopped", "waiting"]


def test_skipping_goes_on_with_the_next_job(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.hold_run.clear()
    stage.add(8, 16)
    stage.runner.start()
    wait_until_held(qtbot, stage)
    stage.runner.skip()
    qtbot.waitUntil(lambda: stage.ranks_run() == [8, 16])
    stage.engine.let_go()
    wait_for_end(qtbot, stage)
    assert stage.states() == ["stopped", "done"]


@pytest.mark.parametrize(("act", "states"), [("stop", ["stopped", "waiting"]), ("skip", ["stopped", "done"])])
def test_a_job_can_be_left_while_it_is_planned(qtbot: QtBot, stage: Stage, act: str, states: list[str]) -> None:
    stage.engine.hold_opening.clear()
    stage.add(8, 16)
    stage.runner.start()
    getattr(stage.runner, act)()
    stage.engine.let_go()
    wait_for_end(qtbot, stage)
    assert stage.states() == states
    assert stage.ranks_run() == ([16] if act == "skip" else [])


def test_after_a_crash_the_running_job_waits_and_results_are_still_there(qtbot: QtBot, stage: Stage) -> None:
    stage.add(8, 16, 32)
    on_event(stage.runner, JobEnded, lambda _event: stage.engine.hold_run.clear())
    stage.runner.start()
    qtbot.waitUntil(lambda: stage.states() == ["done", "running", "waiting"])
    after_crash = LiveQueue()
    first, second, third = after_crash.jobs
    assert first == stage.queue.jobs[0]
    assert first.result is not None
    assert (second.state, second.interrupted) == (JobState.WAITING, True)
    assert (third.state, third.interrupted) == (JobState.WAITING, False)
    other = Controller(FakeEngine())
    runner = QueueRunner(other, after_crash)
    ended: list[object] = []
    on_event(runner, QueueSummary, ended.append)
    runner.start()
    qtbot.waitUntil(lambda: bool(ended))
    other.shut_down()
    assert [job.state for job in after_crash.jobs] == [JobState.DONE] * 3
    assert not any(job.interrupted for job in after_crash.jobs)


def test_a_job_added_or_moved_while_the_queue_runs_takes_its_turn(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.hold_run.clear()
    stage.add(8, 16)
    stage.runner.start()
    wait_until_held(qtbot, stage)
    stage.add(32)
    stage.queue.move((stage.queue.jobs[2].id,), 0)
    stage.engine.let_go()
    wait_for_end(qtbot, stage)
    assert stage.ranks_run() == [8, 32, 16]


def test_a_plan_that_somebody_else_asked_for_is_not_run(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.hold_opening.clear()
    stage.add(8)
    stage.runner.start()
    other = make_job(64)
    stage.controller.prepare((other.finetuned, other.original), other.extraction, other.hardware, other.output_dir)
    stage.engine.let_go()
    wait_for_end(qtbot, stage)
    assert stage.ranks_run() == [8]


def test_the_queue_does_not_start_without_jobs_or_beside_another_run(qtbot: QtBot, stage: Stage) -> None:
    assert not stage.runner.start()
    alone = make_job(64)
    stage.controller.prepare((alone.finetuned, alone.original), alone.extraction, alone.hardware, alone.output_dir)
    qtbot.waitUntil(lambda: stage.controller.state is State.READY)
    stage.engine.hold_run.clear()
    stage.controller.extract()
    stage.add(8)
    assert not stage.runner.start()
    stage.engine.let_go()
    qtbot.waitUntil(lambda: not stage.controller.busy)
    assert stage.states() == ["waiting"], "the other run is no job"
    run_all(qtbot, stage)
    assert stage.states() == ["done"]


def test_failed_and_finished_jobs_are_left_alone_until_they_shall_run_again(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.missing = "tuned-8.safetensors"
    stage.add(8, 16)
    run_all(qtbot, stage)
    assert not stage.runner.start()
    stage.engine.missing = ""
    stage.queue.run_again({stage.queue.jobs[0].id})
    stage.runner.start()
    wait_for_end(qtbot, stage, runs=2)
    assert stage.states() == ["done", "done"]
    assert stage.ended[1] == QueueSummary(done=1, failed=0, stopped=0, waiting=0)
    assert stage.ranks_run() == [16, 8]


def test_nothing_of_the_controller_is_touched_off_the_gui_thread(qtbot: QtBot, stage: Stage) -> None:
    threads: list[threading.Thread] = []
    note: Callable[..., None] = lambda *_: threads.append(threading.current_thread())  # noqa: E731
    stage.runner.queue_event.connect(note)
    stage.add(8)
    run_all(qtbot, stage)
    assert set(threads) == {threading.main_thread()}
    assert stage.engine.run_threads[0] is not threading.main_thread()
