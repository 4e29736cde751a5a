import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine, FakeSession
from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot

from app.work.requests import Extracted, ExtractionFailed, RunAnswer
from app.work.workers import ExtractionWorker
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, Progress
from engine.settings import ExtractionSettings, HardwareSettings


class Recorder:
    """Runs a worker in the test's own thread and writes down what it says."""

    def __init__(self, extractor: Any, plan: Any = None, cancel: CancelToken | None = None) -> None:
        self.events: list[Event] = []
        self.finished: list[Any] = []
        self.failed: list[Any] = []
        worker = ExtractionWorker(extractor, plan, cancel or CancelToken())
        worker.answered.connect(self.take)
        worker.run()

    def take(self, answer: RunAnswer) -> None:
        match answer:
            case Extracted(result):
                self.finished.append(result)
            case ExtractionFailed(error):
                self.failed.append(error)
            case _:
                self.events.append(answer)


def fake_run(engine: FakeEngine, cancel: CancelToken | None = None) -> Recorder:
    session = FakeSession(engine)
    return Recorder(session, session.plan(ExtractionSettings(), HardwareSettings(), Path("loras")), cancel)


class Scripted:
    def __init__(self, *script: Any, pause: float = 0.0) -> None:
        self.script, self.pause, self.closed = script, pause, False

    def extract(self, plan: Any, cancel: CancelToken) -> Iterator[Any]:
        try:
            for item in self.script:
                time.sleep(self.pause)
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.closed = True


def test_a_run_that_ends_well_is_finished_once(qtbot: QtBot) -> None:
    record = fake_run(FakeEngine())
    assert (len(record.finished), len(record.failed)) == (1, 0)
    assert isinstance(record.events[-1], Finished)
    assert sum(isinstance(event, LayerDone) for event in record.events) == 12


@pytest.mark.parametrize("error", [ValueError("boom"), MemoryError(), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_is_raised_becomes_one_failure_with_its_traceback(qtbot: QtBot, error: BaseException) -> None:
    record = fake_run(FakeEngine(run_error=error))
    assert (len(record.finished), len(record.failed)) == (0, 1)
    assert record.failed[0].code is ErrorCode.INTERNAL
    assert type(error).__name__ in record.failed[0].data["traceback"]
    assert record.failed[0].__traceback__ is None


def test_an_engine_error_arrives_as_it_is(qtbot: QtBot) -> None:
    error = EngineError(ErrorCode.DISK_FULL, file="/x")
    assert fake_run(FakeEngine(run_error=error)).failed == [error]


def test_a_cancelled_run_fails_with_cancelled_and_closes_the_generator(qtbot: QtBot) -> None:
    cancel = CancelToken()
    cancel.cancel()
    engine = FakeEngine()
    record = fake_run(engine, cancel)
    assert [type(error) for error in record.failed] == [Cancelled]
    assert record.finished == []
    assert engine.closed_runs == 1


def test_a_run_without_a_result_is_a_failure(qtbot: QtBot) -> None:
    record = Recorder(Scripted())
    assert [error.code for error in record.failed] == [ErrorCode.INTERNAL]


def test_progress_comes_at_most_twenty_times_a_second_and_the_last_is_not_lost(qtbot: QtBot) -> None:
    script = [Progress(n, 200, n / 200, 0.0, None, None) for n in range(1, 201)]
    result: Any = object()
    record = Recorder(Scripted(*script, Finished(result), pause=0.001))
    shares = [event.layers_done for event in record.events if isinstance(event, Progress)]
    assert len(shares) <= 30
    assert shares[-1] == 200


def test_cancelling_from_the_gui_thread_stops_a_run_on_its_thread(qtbot: QtBot) -> None:
    engine = FakeEngine()
    engine.hold_run.clear()
    session = FakeSession(engine)
    plan = session.plan(ExtractionSettings(), HardwareSettings(), Path("loras"))
    cancel = CancelToken()
    worker, thread = ExtractionWorker(session, plan, cancel), QThread()
    worker.moveToThread(thread)
    thread.started.connect(worker.run)
    with qtbot.waitSignal(worker.answered):
        thread.start()
    with qtbot.waitSignal(worker.answered, check_params_cb=lambda answer: isinstance(answer, ExtractionFailed)):
        cancel.cancel()
    thread.quit()
    assert thread.wait(5000)
