"""Verifying a LoRA from the window: threads, signals, stopping, and leaving although a drive does not answer."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeEngine, FakeSession, fake_verification
from pytestqt.qtbot import QtBot
from safetensors import safe_open
from safetensors.numpy import save_file
from window_steps import Pair

from app.system import abandoned_threads
from app.text.verification import ClaimedQuality, agrees, claimed_quality, verdict, verification_lines
from app.work.controller import Controller, State
from app.work.engine_port import LocalEngine
from app.work.requests import Extracted, VerificationFailed, Verified, VerifyAnswer
from app.work.workers import VerificationWorker
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import VerifyProgress
from engine.results import ExtractionResult, LeaveOutReason, LeftOut, Verification
from engine.settings import ExtractionSettings, HardwareSettings

LORA = Path("some.safetensors")


class News:
    """Writes down what a controller says of verifications."""

    def __init__(self, controller: Controller) -> None:
        self.progress: list[tuple[int, int]] = []
        self.verified: list[tuple[Any, Path, Any]] = []
        self.failed: list[EngineError] = []
        self.states: list[State] = []
        controller.verify_event.connect(self.take)
        controller.state_changed.connect(self.states.append)

    def take(self, event: VerifyAnswer) -> None:
        match event:
            case VerifyProgress():
                self.progress.append((event.done, event.total))
            case Verified(lora, verification, claimed):
                self.verified.append((verification, lora, claimed))
            case VerificationFailed(error=EngineError() as error):
                self.failed.append(error)


def note_results(controller: Controller, results: list[ExtractionResult]) -> None:
    controller.run_event.connect(lambda event: isinstance(event, Extracted) and results.append(event.result))


@pytest.fixture
def controller(qtbot: QtBot, engine: FakeEngine, pair: Pair, tmp_path: Path) -> Iterator[Controller]:
    made = Controller(engine)
    made.prepare(pair, ExtractionSettings(), HardwareSettings(), tmp_path)
    qtbot.waitUntil(lambda: made.state is State.READY)
    yield made
    engine.let_go()
    made.shut_down()


def wait_for(qtbot: QtBot, controller: Controller, state: State) -> None:
    qtbot.waitUntil(lambda: controller.state is state and not controller.busy)


def hold(qtbot: QtBot, controller: Controller, engine: FakeEngine) -> None:
    """Begin to verify, and wait in the middle of it."""
    engine.hold_verification.clear()
    assert controller.verify(LORA)
    qtbot.waitUntil(lambda: bool(engine.verify_threads))


def test_a_chosen_file_is_verified_on_a_thread_of_its_own(
    qtbot: QtBot, controller: Controller, engine: FakeEngine
) -> None:
    news = News(controller)
    assert controller.verify(LORA)
    assert controller.state is State.VERIFYING
    wait_for(qtbot, controller, State.READY)
    assert news.verified == [(engine.verification, LORA, None)]
    assert news.progress[-1] == (12, 12)
    assert news.states == [State.VERIFYING, State.READY]
    assert engine.verify_threads[0] is not threading.main_thread()
    assert controller.extract(), "the plan is still there"
    wait_for(qtbot, controller, State.DONE)


def test_the_output_of_a_run_is_verified_and_the_run_stays_the_last_word(
    qtbot: QtBot, controller: Controller, engine: FakeEngine
) -> None:
    results: list[ExtractionResult] = []
    note_results(controller, results)
    controller.extract()
    wait_for(qtbot, controller, State.DONE)
    assert controller.verify(results[0].outputs[0].path), "also while the next plan is still being made"
    qtbot.waitUntil(lambda: engine.verified == [results[0].outputs[0].path])
    wait_for(qtbot, controller, State.DONE)


def test_a_verification_asked_for_before_the_plan_is_there_follows_it_at_once(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    news = News(controller)
    controller.prepare(pair, ExtractionSettings(rank=64), HardwareSettings(), tmp_path)
    assert controller.verify(LORA)
    wait_for(qtbot, controller, State.READY)
    assert news.states == [State.PLANNING, State.VERIFYING, State.READY]
    assert engine.verified == [LORA]


def test_a_verification_asked_for_before_a_plan_that_fails_is_not_begun(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    pair[0].write_bytes(b"another file")
    engine.pair_error = EngineError(ErrorCode.FILE_EMPTY, file=pair[0])
    controller.prepare(pair, ExtractionSettings(), HardwareSettings(), tmp_path)
    assert controller.verify(LORA)
    wait_for(qtbot, controller, State.IDLE)
    assert engine.verified == []


def test_nothing_is_planned_extracted_or_verified_meanwhile(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    hold(qtbot, controller, engine)
    planned = len(engine.plans)
    assert controller.busy
    assert not controller.extract()
    assert not controller.verify(LORA)
    controller.prepare(pair, ExtractionSettings(rank=64), HardwareSettings(), tmp_path)
    controller.free_memory()
    assert controller.state is State.VERIFYING
    engine.let_go()
    wait_for(qtbot, controller, State.READY)
    assert len(engine.plans) == planned
    assert engine.free_threads == []


def test_a_stopped_verification_says_nothing_and_the_plan_is_still_there(
    qtbot: QtBot, controller: Controller, engine: FakeEngine
) -> None:
    news = News(controller)
    hold(qtbot, controller, engine)
    controller.stop()
    wait_for(qtbot, controller, State.READY)
    assert (news.verified, news.failed) == ([], [])
    assert not controller.held_up
    assert controller.current is not None


@pytest.mark.parametrize(
    ("error", "code"),
    [(EngineError(ErrorCode.NOT_A_LORA, file=LORA), ErrorCode.NOT_A_LORA), (ValueError("boom"), ErrorCode.INTERNAL)],
)
def test_what_goes_wrong_is_told_once(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, error: Exception, code: ErrorCode
) -> None:
    news = News(controller)
    engine.verify_error = error
    controller.verify(LORA)
    wait_for(qtbot, controller, State.READY)
    assert [failure.code for failure in news.failed] == [code]
    assert news.verified == []


def test_without_two_models_there_is_nothing_to_verify_against(
    qtbot: QtBot, controller: Controller, pair: Pair, tmp_path: Path
) -> None:
    controller.prepare((pair[0], None), ExtractionSettings(), HardwareSettings(), tmp_path)
    assert not controller.verify(LORA)
    assert controller.state is State.IDLE


def test_a_stopped_run_is_continued_without_a_question_only_as_it_was(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    engine.hold_run.clear()
    assert not controller.continues_stopped_run
    controller.extract()
    qtbot.waitUntil(lambda: engine.runs == 1)
    controller.stop()
    wait_for(qtbot, controller, State.STOPPED)
    engine.let_go()
    qtbot.waitUntil(lambda: controller.current is not None)
    assert controller.continues_stopped_run
    changes = {"rank": 64}, {"filename_prefix": "other/name"}
    for change, same in zip(changes, (False, True), strict=True):
        controller.prepare(pair, ExtractionSettings(**change), HardwareSettings(), tmp_path)  # type: ignore[arg-type]
        wait_for(qtbot, controller, State.READY)
        assert controller.continues_stopped_run == same
    controller.extract()
    wait_for(qtbot, controller, State.DONE)
    qtbot.waitUntil(lambda: controller.current is not None)
    assert not controller.continues_stopped_run


class Recorder:
    """Runs a worker in the test's own thread."""

    def __init__(self, verifier: Any, cancel: CancelToken | None = None) -> None:
        self.progress: list[int] = []
        self.finished: list[Any] = []
        self.failed: list[Any] = []
        worker = VerificationWorker(verifier, LORA, cancel or CancelToken())
        worker.answered.connect(self.take)
        worker.run()

    def take(self, answer: VerifyAnswer) -> None:
        match answer:
            case VerifyProgress():
                self.progress.append(answer.done)
            case Verified():
                self.finished.append(answer)
            case VerificationFailed(error=error):
                self.failed.append(error)


class Scripted:
    def __init__(self, *items: Any) -> None:
        self.items, self.closed = items, False

    def verify(self, lora: Path, cancel: CancelToken) -> Iterator[Any]:
        try:
            for item in self.items:
                if isinstance(item, BaseException):
                    raise item
                time.sleep(0.001)
                yield item
        finally:
            self.closed = True


def test_progress_comes_at_most_twenty_times_a_second_and_the_last_is_not_lost(qtbot: QtBot) -> None:
    script = Scripted(*(VerifyProgress(n, 300, "x") for n in range(1, 301)), fake_verification())
    record = Recorder(script)
    assert len(record.progress) <= 40
    assert record.progress[-1] == 300
    assert script.closed


@pytest.mark.parametrize("error", [ValueError("boom"), MemoryError(), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_is_raised_becomes_one_failure(qtbot: QtBot, error: BaseException) -> None:
    record = Recorder(Scripted(error))
    assert record.finished == []
    assert [failure.code for failure in record.failed] == [ErrorCode.INTERNAL]
    assert record.failed[0].__traceback__ is None


def test_a_cancelled_verification_fails_with_cancelled(qtbot: QtBot) -> None:
    cancel = CancelToken()
    cancel.cancel()
    record = Recorder(FakeSession(FakeEngine()), cancel)
    assert [type(failure) for failure in record.failed] == [Cancelled]


def test_a_verification_without_a_judgement_is_a_failure(qtbot: QtBot) -> None:
    assert [failure.code for failure in Recorder(Scripted()).failed] == [ErrorCode.INTERNAL]


def test_a_real_lora_is_verified_and_agrees_with_what_numpy_finds(qtbot: QtBot, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = [f"diffusion_model.blocks.{block}.attn.qkv.weight" for block in range(3)]
    base = {name: random.normal(size=(48, 32)).astype(np.float32) for name in names}
    tuned = {name: base[name] + 0.01 * random.normal(size=(48, 32)).astype(np.float32) for name in names}
    pair = tmp_path / "tuned.safetensors", tmp_path / "base.safetensors"
    save_file(tuned, pair[0])
    save_file(base, pair[1])
    controller = Controller(LocalEngine())
    news, results = News(controller), []
    note_results(controller, results)
    controller.prepare(pair, ExtractionSettings(rank=4), HardwareSettings(device="cpu"), tmp_path)
    qtbot.waitUntil(lambda: controller.state is State.READY)
    controller.extract()
    qtbot.waitUntil(lambda: controller.state is State.DONE and not controller.busy)
    lora = results[0].outputs[0].path
    controller.verify(lora)
    qtbot.waitUntil(lambda: bool(news.verified))
    verification, path, claimed = news.verified[0]
    lost = total = 0.0
    with safe_open(lora, "np") as file:
        for name in names:
            key = name.removesuffix(".weight")
            up, down = (file.get_tensor(f"{key}.lora_{end}.weight").astype(np.float64) for end in ("up", "down"))
            delta = tuned[name].astype(np.float64) - base[name]
            scale = float(file.get_tensor(f"{key}.alpha")) / down.shape[0]
            lost += np.square(delta - scale * up @ down).sum()
            total += np.square(delta).sum()
    assert path == lora
    assert verification.mean_energy_retained == pytest.approx(1 - lost / total, abs=1e-6)
    assert claimed.mean == pytest.approx(1 - lost / total, abs=1e-4)
    assert verdict(verification, claimed) == "verified"
    assert claimed_quality(pair[0]) is None
    controller.shut_down()


def test_the_words_say_whether_the_file_keeps_what_it_says() -> None:
    found = fake_verification(mean=0.90, worst=0.80)
    assert verdict(found, ClaimedQuality(0.90004, 0.80)) == "verified"
    assert verdict(found, ClaimedQuality(0.938, 0.81)) == "verified: keeps 3.8 percentage points less than reported"
    assert verdict(found, ClaimedQuality(0.90, 0.798)) == "verified: keeps 0.20 percentage points more than reported"
    assert agrees(found, None)
    lines = verification_lines(LORA, found, ClaimedQuality(0.938, 0.81))
    assert lines[0] == "some.safetensors: keeps 90.0 % of the change, 80.0 % in the weakest of 12 layers."
    assert "93.8 % and 81.0 %" in lines[1]
    assert "3.8 percentage points apart" in lines[1]


def test_the_words_name_what_the_lora_leaves_out_and_what_belongs_to_nothing() -> None:
    left_out = tuple(LeftOut(f"layer {number}", LeaveOutReason.EXCLUDED) for number in range(5))
    found = Verification((), left_out, ("alien.lora_up.weight",), 0.5, 0.4, "comfyui", "ComfyUI")
    lines = verification_lines(LORA, found, None)
    assert "nothing of its own quality" in lines[1]
    assert lines[2] == "5 layers that changed are not in the LoRA: layer 0, layer 1, layer 2 and 2 more."
    assert lines[3] == "1 key belongs to no weight of these models: alien.lora_up.weight."


# Drives that do not answer


def test_an_inspection_that_hangs_is_not_waited_for(qtbot: QtBot, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abandoned_threads, "GIVE_UP_MS", 200)
    engine = FakeEngine()
    engine.hold_inspection.clear()
    controller = Controller(engine)
    controller.inspect("finetuned", pair[0])
    qtbot.waitUntil(lambda: bool(engine.inspections))
    started = time.monotonic()
    assert not controller.shut_down()
    assert time.monotonic() - started < 5
    assert abandoned_threads.left_behind()
    engine.let_go()
    qtbot.waitUntil(lambda: not abandoned_threads.left_behind())


def test_a_verification_that_hangs_is_told_after_two_seconds_and_its_files_stay_open(
    qtbot: QtBot, controller: Controller, engine: FakeEngine
) -> None:
    engine.stalled = True
    hold(qtbot, controller, engine)
    controller.stop()
    assert not controller.held_up, "it may still end by itself"
    qtbot.waitUntil(lambda: controller.held_up)
    assert not controller.shut_down()
    assert not any(session.closed for session in engine.sessions), "the thread still reads them"
    engine.let_go()
    qtbot.waitUntil(lambda: not abandoned_threads.left_behind())


def test_a_shut_down_in_time_closes_the_files(qtbot: QtBot, controller: Controller, engine: FakeEngine) -> None:
    assert controller.shut_down()
    assert engine.sessions
    assert all(session.closed for session in engine.sessions)
    assert not abandoned_threads.left_behind()


def test_the_process_ends_with_its_status_although_a_thread_hangs(tmp_path: Path) -> None:
    script = """
        import logging, sys, threading, time
        sys.path[:0] = [{root!r}, {here!r}]
        from pathlib import Path
        from PySide6.QtCore import QCoreApplication, QTimer
        from fakes import FakeEngine
        from app.system import abandoned_threads
        from app.work.controller import Controller

        class Hanging(FakeEngine):
            def inspect(self, path):
                self.inspections.append(path)
                threading.Event().wait()

        application = QCoreApplication([])
        engine = Hanging()
        controller = Controller(engine)
        controller.inspect("finetuned", Path("x"))
        while not engine.inspections:
            application.processEvents()
        ended = controller.shut_down()
        Path({saved!r}).write_text("saved")
        print("ended", ended)
        if abandoned_threads.left_behind():
            abandoned_threads.leave_process(7)
    """
    root = str(Path(abandoned_threads.__file__).parents[2])
    here, saved = str(Path(__file__).parents[1]), str(tmp_path / "saved")
    code = textwrap.dedent(script).format(root=root, here=here, saved=saved)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "ended False\n"
    assert (tmp_path / "saved").read_text() == "saved"
