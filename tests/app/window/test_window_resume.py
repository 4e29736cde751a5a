"""Layers of a run that was stopped: when the person is asked about them, and what the bar promises."""

import threading

import pytest
from fakes import FakeEngine
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot
from window_steps import Pair, wait_for

from app.widgets.basics.dialogs import ResumeAnswer, ask_resume, ask_stop
from app.window import run_presenter
from app.window.main_window import MainWindow
from app.work.controller import State
from engine.events import Notice, NoticeCode
from engine.results import Reusable
from engine.settings import ExtractionSettings

STOPPED = Reusable(5, 12, True, "2026-11-24T14:03:00")


class Answers:
    """Stands for the person who is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: ResumeAnswer) -> None:
        self.asked: list[Reusable] = []
        self._answer = answer
        monkeypatch.setattr(run_presenter, "ask_resume", self.ask)

    def ask(self, _window: MainWindow, kept: Reusable) -> ResumeAnswer:
        self.asked.append(kept)
        return self._answer


def extract(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    window.frame.bar.extract.click()


def stop_half_way(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_presenter, "ask_stop", lambda *_args, **_options: True)
    engine.hold_run.clear()
    extract(qtbot, window, pair)
    qtbot.waitUntil(lambda: window.frame.run.layers_done() == 6)
    window.ask_stop()
    wait_for(qtbot, window, State.STOPPED)
    qtbot.waitUntil(lambda: window.frame.bar.extract.isEnabled())


@pytest.mark.parametrize(("answer", "resume"), [(ResumeAnswer.GO_ON, True), (ResumeAnswer.START_OVER, False)])
def test_a_stopped_run_is_continued_or_begun_anew_as_the_person_wants(
    qtbot: QtBot,
    window: MainWindow,
    engine: FakeEngine,
    pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    answer: ResumeAnswer,
    resume: bool,
) -> None:
    engine.kept = STOPPED
    person = Answers(monkeypatch, answer)
    extract(qtbot, window, pair)
    wait_for(qtbot, window, State.DONE)
    assert person.asked == [STOPPED]
    assert [plan.resume for plan in engine.run_plans] == [resume]
    assert window.frame.options.settings() == ExtractionSettings(), "starting over is for this run only"
    assert all(settings.resume for settings, _, _ in engine.plans)


def test_cancelling_the_question_starts_nothing(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.kept = STOPPED
    Answers(monkeypatch, ResumeAnswer.CANCEL)
    extract(qtbot, window, pair)
    assert window.controller.state is State.READY
    assert engine.runs == 0
    assert window.frame.bar.extract.isEnabled()


def test_the_person_is_asked_also_where_extract_was_pressed_before_the_plan_was_there(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.kept = STOPPED
    person = Answers(monkeypatch, ResumeAnswer.GO_ON)
    window.set_models(*pair)
    window.extract()
    wait_for(qtbot, window, State.DONE)
    assert person.asked == [STOPPED]


def test_a_plan_that_changes_while_the_question_is_open_is_asked_about_again(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.kept = STOPPED
    asked: list[Reusable] = []

    def free_meanwhile(_window: MainWindow, kept: Reusable) -> ResumeAnswer:
        asked.append(kept)
        if len(asked) == 1:
            window.controller.free_memory()
        return ResumeAnswer.GO_ON

    monkeypatch.setattr(run_presenter, "ask_resume", free_meanwhile)
    extract(qtbot, window, pair)
    wait_for(qtbot, window, State.DONE)
    assert (len(asked), engine.runs) == (2, 1)


@pytest.mark.parametrize("kept", [None, Reusable(0, 12, True, ""), Reusable(5, 12, False, "2026-11-24T14:03:00")])
def test_nobody_is_asked_where_no_run_was_stopped(
    qtbot: QtBot,
    window: MainWindow,
    engine: FakeEngine,
    pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    kept: Reusable | None,
) -> None:
    engine.kept = kept
    person = Answers(monkeypatch, ResumeAnswer.CANCEL)
    extract(qtbot, window, pair)
    wait_for(qtbot, window, State.DONE)
    assert person.asked == []


def test_nobody_is_asked_where_the_settings_want_everything_anew(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.kept = STOPPED
    person = Answers(monkeypatch, ResumeAnswer.CANCEL)
    window.frame.options.show_settings(ExtractionSettings(resume=False))
    extract(qtbot, window, pair)
    wait_for(qtbot, window, State.DONE)
    assert person.asked == []
    assert engine.kept_threads == [], "nor is the store looked into"


def test_what_is_kept_is_looked_up_off_the_gui_thread(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    assert engine.kept_threads
    assert threading.main_thread() not in engine.kept_threads


def test_a_store_that_cannot_be_read_does_not_fail_the_plan(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    engine.kept = OSError("the disk is gone")
    extract(qtbot, window, pair)
    wait_for(qtbot, window, State.DONE)
    assert engine.runs == 1


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (Reusable(12, 12, False, "x"), "all layers are at hand: takes seconds"),
        (Reusable(5, 12, False, "x"), "5 of 12 layers are at hand"),
    ],
)
def test_the_bar_says_what_is_at_hand_before_the_start(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, kept: Reusable, words: str
) -> None:
    engine.kept = kept
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    assert words in window.frame.bar.detail.text()


def test_without_earlier_runs_the_bar_says_nothing_of_them(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    window.set_models(*pair)
    wait_for(qtbot, window, State.READY)
    assert "at hand" not in window.frame.bar.detail.text()


def test_after_a_stop_the_bar_says_what_is_kept_as_the_store_counts_it(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_half_way(qtbot, window, engine, pair, monkeypatch)
    assert "Stopped after 6 of 12 layers" in window.frame.bar.headline.text(), "this store kept nothing"
    engine.kept = Reusable(6, 12, True, "")
    window.controller.renew_plan()
    words = "Stopped: 6 of 12 layers are kept; Extract continues from there"
    qtbot.waitUntil(lambda: window.frame.bar.headline.text() == words)
    assert "the finished layers are kept" in window.frame.run.log.as_text()


def test_a_store_that_does_not_answer_after_a_stop_leaves_the_count_of_the_run(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.kept = OSError("busy")
    stop_half_way(qtbot, window, engine, pair, monkeypatch)
    assert window.frame.bar.headline.text() == "Stopped: 6 of 12 layers are kept; Extract continues from there"


def test_a_run_without_a_journal_promises_nothing_when_it_is_stopped(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.kept = OSError("no journal")
    engine.news = (Notice(NoticeCode.JOURNAL_OFF, data={"reason": "the disk is full"}),)
    stop_half_way(qtbot, window, engine, pair, monkeypatch)
    assert window.frame.bar.headline.text() == "Stopped after 6 of 12 layers"
    assert "starts again" in window.frame.bar.detail.text()
    assert "This run keeps no journal: the disk is full." in window.frame.run.log.as_text()


def test_a_run_whose_settings_want_everything_anew_promises_nothing(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.frame.options.show_settings(ExtractionSettings(resume=False))
    stop_half_way(qtbot, window, engine, pair, monkeypatch)
    assert window.frame.bar.headline.text() == "Stopped after 6 of 12 layers"


def press(text: str, seen: list[str]) -> None:
    """Press a button of the question that is about to open; an empty text presses the default one."""

    def now() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        seen.append(f"{box.text()} {box.informativeText()}")
        buttons = {button.text().replace("&", ""): button for button in box.buttons()}
        (buttons[text] if text else box.defaultButton()).click()

    QTimer.singleShot(50, now)


@pytest.mark.parametrize(
    ("button", "answer"),
    [
        ("", ResumeAnswer.GO_ON),
        ("Continue", ResumeAnswer.GO_ON),
        ("Start over", ResumeAnswer.START_OVER),
        ("Cancel", ResumeAnswer.CANCEL),
    ],
)
def test_the_question_offers_to_continue_first(
    qtbot: QtBot, window: MainWindow, button: str, answer: ResumeAnswer
) -> None:
    seen: list[str] = []
    press(button, seen)
    assert ask_resume(window, STOPPED) is answer
    assert "An earlier run of these two models was stopped: 5 of 12 layers are done." in seen[0]
    assert "24 Nov 2026, 14:03" in seen[0]


@pytest.mark.parametrize(("kept", "words"), [(True, "the finished layers are kept"), (False, "Nothing is written.")])
def test_the_question_before_a_stop_says_what_becomes_of_the_layers(
    qtbot: QtBot, window: MainWindow, kept: bool, words: str
) -> None:
    seen: list[str] = []
    press("Keep going", seen)
    assert not ask_stop(window, window.controller.busy_changed, closing=False, kept=kept)
    assert words in seen[0]
