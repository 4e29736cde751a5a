"""The queue's tab: what it shows, and what can be done with mouse and keys."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine
from PySide6.QtCore import QMimeData, QModelIndex, QPoint, Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtWidgets import QAbstractButton
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.storage.job_queue import Job, JobFailure, JobResult, JobState, QueueStore, new_job
from app.widgets.queue.panel import QueuePanel
from app.work.controller import Controller
from app.work.live_queue import LiveQueue
from app.work.queue_runner import QueueRunner
from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings, HardwareSettings

RESULT = JobResult(Path("/loras/krea_rank_32_00001_.safetensors"), 310_000_000, 0.938, 0.874, 41.0)
FAILURE = JobFailure("gone.safetensors does not exist.", "Check the path.", "file_missing, file=/models/gone")
Key = Qt.Key
ALT, NO = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.NoModifier


def job(name: str, state: JobState = JobState.WAITING, **changes: Any) -> Job:
    settings = ExtractionSettings(rank=32, filename_prefix="loras/krea")
    made = new_job(Path(f"/models/{name}.safetensors"), Path("/models/base.safetensors"), settings, HardwareSettings(),
                   Path("/loras"))  # fmt: skip
    return replace(made, id=name, state=state, **changes)


@dataclass
class Stage:
    engine: FakeEngine
    queue: LiveQueue
    runner: QueueRunner
    panel: QueuePanel

    def fill(self, *jobs: Job | str) -> None:
        for item in jobs:
            self.queue.add(job(item) if isinstance(item, str) else item)

    def order(self) -> str:
        return " ".join(item.id for item in self.queue.jobs)

    def shown(self) -> str:
        model = self.panel.model
        return " ".join(model.job(row).id for row in range(model.rowCount()))

    def chosen(self) -> str:
        return " ".join(item.id for item in self.panel.jobs.chosen())

    def notice(self) -> str:
        return self.panel.notice.text() if self.panel.notice.isVisible() else ""


@pytest.fixture
def stage(qtbot: QtBot, theme: Theme) -> Iterator[Stage]:
    engine = FakeEngine()
    controller = Controller(engine)
    queue = LiveQueue()
    runner = QueueRunner(controller, queue)
    panel = QueuePanel(theme, queue, runner)
    panel.resize(912, 560)
    qtbot.addWidget(panel)
    panel.show()
    yield Stage(engine, queue, runner, panel)
    engine.let_go()
    controller.shut_down()


def drag(stage: Stage, ids: tuple[str, ...], row: int) -> bool:
    model = stage.panel.model
    indexes = [model.index(place) for item in ids if (place := model.row_of(item)) is not None]
    data = model.mimeData(indexes)
    return model.dropMimeData(data, Qt.DropAction.CopyAction, row, 0, QModelIndex())


def test_an_empty_queue_explains_itself_and_offers_the_first_job(qtbot: QtBot, stage: Stage) -> None:
    panel = stage.panel
    assert not panel.jobs.isVisible()
    assert not panel.run.isVisible()
    assert panel.add_first.isVisible()
    assert not panel.add_first.isEnabled()
    assert "two models" in panel.add_first.toolTip()
    panel.set_addable(True)
    with qtbot.waitSignal(panel.add_clicked):
        panel.add_first.click()
    panel.add_job(job("a"))
    assert panel.jobs.isVisible()
    assert not panel.add_first.isVisible()
    assert stage.chosen() == "a"


def test_the_model_follows_every_change_of_the_queue(stage: Stage, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(stage.panel.model)
    stage.fill("a", "b", "c", "d", "e")
    stage.panel.jobs.choose("b", "d")
    steps = (
        lambda: stage.queue.move(("d", "e"), 0),
        lambda: stage.queue.remove(("a",)),
        lambda: stage.queue.step(("b",), up=True),
        lambda: stage.queue.replace(job("d", JobState.FAILED, failure=FAILURE)),
        lambda: stage.fill("f"),
    )
    for step in steps:
        step()
        assert stage.shown() == stage.order()
    assert stage.order() == "d b e c f"
    assert stage.chosen() == "d b", "what was chosen stays chosen"
    assert stage.panel.model.job(0).state is JobState.FAILED


def test_jobs_are_reordered_by_dragging(stage: Stage) -> None:
    stage.fill("a", "b", "c", "d")
    assert drag(stage, ("d",), 1)
    assert stage.order() == "a d b c"
    assert drag(stage, ("a", "d"), -1), "dropped below the last row"
    assert stage.order() == "b c a d"
    assert [item.id for item in QueueStore().load()] == ["b", "c", "a", "d"]


def test_only_jobs_of_this_queue_can_be_dropped(stage: Stage) -> None:
    stage.fill("a", "b")
    foreign = QMimeData()
    foreign.setData("application/x-lora-extractor-jobs", b"somebody-elses")
    files = QMimeData()
    files.setText("/models/a.safetensors")
    for data in (foreign, files):
        assert not stage.panel.model.dropMimeData(data, Qt.DropAction.CopyAction, 0, 0, QModelIndex())
    assert stage.order() == "a b"


def test_the_running_job_stays_put(stage: Stage) -> None:
    stage.fill(job("a", JobState.DONE, result=RESULT), job("b", JobState.RUNNING), "c", "d")
    flags = [bool(stage.panel.model.flags(stage.panel.model.index(row)) & Qt.ItemFlag.ItemIsDragEnabled)
             for row in range(4)]  # fmt: skip
    assert flags == [True, False, True, True]
    drag(stage, ("d",), 0)
    assert stage.order() == "a b d c"
    stage.panel.jobs.choose("b")
    actions = stage.panel.actions_
    assert not any(action.isEnabled() for action in (actions.up, actions.down, actions.remove, actions.load))


def test_a_line_shows_where_dragged_jobs_land(stage: Stage) -> None:
    stage.fill(job("a", JobState.RUNNING), "b", "c")
    jobs = stage.panel.jobs
    rows = [jobs.visualRect(stage.panel.model.index(row)) for row in range(3)]
    assert jobs.drop_row(rows[1].center() - QPoint(0, 5), ("c",)) == 1
    assert jobs.drop_row(rows[1].center() + QPoint(0, 5), ("c",)) == 2
    assert jobs.drop_row(rows[0].topLeft(), ("c",)) == 1, "below the running job at most"
    assert jobs.drop_row(QPoint(50, jobs.viewport().height() - 2), ("b",)) == 3
    jobs._show_drop_row(2)
    picture = jobs.viewport().grab().toImage()
    accent = QColor(jobs._theme.tokens.accent)
    assert picture.pixelColor(400, rows[2].top()) == accent
    jobs._show_drop_row(None)
    assert jobs.viewport().grab().toImage().pixelColor(400, rows[2].top()) != accent


def test_jobs_are_moved_removed_and_brought_back_by_keys(qtbot: QtBot, stage: Stage) -> None:
    stage.fill("a", "b", "c", "d")
    jobs = stage.panel.jobs
    stage.panel.activateWindow()
    qtbot.waitUntil(stage.panel.isActiveWindow)
    jobs.setFocus()
    jobs.choose("c")
    qtbot.keyClick(jobs, Key.Key_Up, ALT)
    assert stage.order() == "a c b d"
    qtbot.keyClick(jobs, Key.Key_Down, ALT)
    qtbot.keyClick(jobs, Key.Key_Down, ALT)
    assert stage.order() == "a b d c"
    jobs.choose("a", "d")
    qtbot.keyClick(jobs, Key.Key_Delete, NO)
    assert stage.order() == "b c"
    assert stage.notice() == "Removed 2 jobs."
    assert stage.chosen() == "b", "the focus goes on to what is next"
    qtbot.keyClick(jobs, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert stage.order() == "a b d c"
    assert stage.chosen() == "a d"
    assert stage.notice() == ""
    assert [item.id for item in QueueStore().load()] == ["a", "b", "d", "c"]


def test_finished_jobs_are_cleared_and_can_be_brought_back(stage: Stage) -> None:
    stage.fill(job("a", JobState.DONE, result=RESULT), "b", job("c", JobState.FAILED, failure=FAILURE))
    stage.panel.clear.click()
    assert stage.order() == "b c", "a failed job is not finished"
    assert stage.notice() == "Removed 1 job."
    stage.panel.undo.click()
    assert stage.order() == "a b c"
    assert stage.queue.jobs[0].result == RESULT


def test_each_row_says_what_became_of_its_job(stage: Stage) -> None:
    stage.fill(
        job("krea", JobState.DONE, result=RESULT),
        job("gone", JobState.FAILED, failure=FAILURE),
        job("half", JobState.STOPPED, layers_kept=(214, 304)),
        job("crashed", interrupted=True),
        "next",
    )
    model = stage.panel.model
    said = [str(model.data(model.index(row), Qt.ItemDataRole.AccessibleTextRole)) for row in range(5)]
    assert said[0].startswith("Done, krea.safetensors, Rank 32 \u00b7 fp16, Keeps 93.8 %, weakest layer 87.4 %")
    assert "310 MB \u00b7 41 s" in said[0]
    assert said[1].startswith("Failed, gone.safetensors")
    assert "does not exist. Check the path." in said[1].replace(".,", ".")
    assert "214 of 304 layers are kept, Goes on where it stopped" in said[2]
    assert "Was interrupted, Goes on where it stopped" in said[3]
    assert said[4].startswith("Waiting, next.safetensors")
    assert said[4].endswith("job 5 of 5")
    tooltip = str(model.data(model.index(0), Qt.ItemDataRole.ToolTipRole))
    for text in ("/models/krea.safetensors", "/models/base.safetensors", "/loras/krea_rank_32_00001_.safetensors"):
        assert str(Path(text)) in tooltip
    assert stage.panel.detail.text() == "5 jobs \u00b7 2 waiting \u00b7 1 stopped \u00b7 1 done \u00b7 1 failed"


@pytest.mark.parametrize("size", [(912, 560), (640, 300)])
def test_rows_are_drawn_in_both_themes_whatever_their_state(stage: Stage, theme: Theme, size: tuple[int, int]) -> None:
    states = (
        job("a", JobState.DONE, result=RESULT),
        job("b" * 300, JobState.FAILED, failure=replace(FAILURE, message="Too much of it. " * 30)),
        job("c", JobState.RUNNING),
        job("d", JobState.STOPPED),
    )
    stage.fill(*states)
    stage.panel.resize(*size)
    pictures = []
    for choice in ("light", "dark"):
        theme.set_choice(choice)  # type: ignore[arg-type]
        picture = stage.panel.jobs.viewport().grab().toImage()
        found = {picture.pixelColor(x, y).name() for x in range(16) for y in range(min(picture.height(), 200))}
        assert {theme.tokens.good, theme.tokens.bad, theme.tokens.accent} <= found
        pictures.append(picture)
    theme.set_choice("light")
    assert pictures[0] != pictures[1]
    assert stage.panel.jobs.horizontalScrollBar().maximum() == 0


def test_what_can_be_done_depends_on_the_chosen_jobs(stage: Stage) -> None:
    stage.fill(job("done", JobState.DONE, result=RESULT), job("failed", JobState.FAILED, failure=FAILURE), "waiting")
    actions, jobs = stage.panel.actions_, stage.panel.jobs

    def offered() -> list[str]:
        return [action.text() for action in actions.menu().actions() if action.isEnabled() and action.text()]

    jobs.choose("waiting")
    assert offered() == ["Load into the window", "Duplicate", "Open folder", "Move up", "Remove"]
    jobs.choose("failed")
    assert {"Run again", "Copy error details"} <= set(offered())
    assert "Copy path" not in offered()
    jobs.choose("done")
    assert {"Run again", "Copy path"} <= set(offered())
    jobs.choose("done", "failed", "waiting")
    assert "Load into the window" not in offered()
    assert "Remove" in offered()
    jobs.clearSelection()
    assert offered() == []


def test_actions_do_what_they_say(qtbot: QtBot, stage: Stage) -> None:
    stage.fill(job("done", JobState.DONE, result=RESULT), job("failed", JobState.FAILED, failure=FAILURE))
    actions, jobs, panel = stage.panel.actions_, stage.panel.jobs, stage.panel
    jobs.choose("done")
    actions.copy_path.trigger()
    assert QGuiApplication.clipboard().text() == str(RESULT.file)
    with qtbot.waitSignal(panel.open_folder_clicked) as folder:
        actions.open_folder.trigger()
    assert folder.args == [RESULT.file.parent]
    with qtbot.waitSignal(panel.load_clicked) as loaded:
        actions.load.trigger()
    assert loaded.args == [stage.queue.jobs[0]]
    actions.duplicate.trigger()
    copy = stage.queue.jobs[1]
    assert (copy.finetuned, copy.state) == (stage.queue.jobs[0].finetuned, JobState.WAITING)
    assert jobs.chosen() == (copy,)
    jobs.choose("failed")
    actions.copy_details.trigger()
    copied = QGuiApplication.clipboard().text()
    assert FAILURE.message in copied
    assert FAILURE.details in copied
    actions.run_again.trigger()
    assert (stage.queue.jobs[2].state, stage.queue.jobs[2].failure) == (JobState.WAITING, None)


def test_run_all_works_through_the_queue_and_says_how_it_ended(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.hold_run.clear()
    stage.fill("a", "b")
    panel = stage.panel
    assert panel.run.isVisible()
    panel.run.click()
    assert (panel.run.isVisible(), panel.stop.isVisible(), panel.skip.isVisible()) == (False, True, True)

    def half_way() -> bool:
        said = panel.model.data(panel.model.index(0), Qt.ItemDataRole.AccessibleTextRole)
        return "Layer" in str(said) and "of 12" in str(said)

    qtbot.waitUntil(half_way)
    stage.engine.let_go()
    qtbot.waitUntil(lambda: not stage.runner.running)
    assert stage.notice() == "The queue has ended: 2 done"
    assert panel.run.isVisible()
    assert not panel.run.isEnabled()
    assert "No job is waiting" in panel.run.toolTip()


@pytest.mark.parametrize("confirmed", [True, False])
def test_stop_asks_first(qtbot: QtBot, stage: Stage, monkeypatch: pytest.MonkeyPatch, confirmed: bool) -> None:
    monkeypatch.setattr(QueuePanel, "_confirmed", lambda _panel: confirmed)
    stage.engine.hold_run.clear()
    stage.fill("a", "b")
    stage.panel.run.click()
    qtbot.waitUntil(lambda: stage.runner.progress is not None)
    stage.panel.stop.click()
    assert stage.runner.stopping is confirmed
    assert stage.panel.stop.isEnabled() is not confirmed
    stage.engine.let_go()
    qtbot.waitUntil(lambda: not stage.runner.running)
    assert (stage.queue.jobs[1].state is JobState.WAITING) is confirmed


def test_a_failed_job_shows_its_error_in_words(qtbot: QtBot, stage: Stage) -> None:
    stage.engine.plan_error = EngineError(ErrorCode.DISK_FULL, file="/loras", needed=2 * 10**9, free=10**9)
    stage.fill("a")
    stage.panel.run.click()
    qtbot.waitUntil(lambda: not stage.runner.running)
    said = str(stage.panel.model.data(stage.panel.model.index(0), Qt.ItemDataRole.AccessibleTextRole))
    assert "needs up to 2.0 GB" in said
    assert stage.notice() == "The queue has ended: 0 done, 1 failed"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"version": 9}', "newer version"),
        ("{", "was damaged"),
        ('{"version": 1, "jobs": [{}]}', "1 saved job was damaged"),
    ],
)
def test_trouble_with_the_saved_queue_is_told(qtbot: QtBot, theme: Theme, home: Path, content: str, words: str) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "queue.json").write_text(content, encoding="utf-8")
    controller = Controller(FakeEngine())
    queue = LiveQueue()
    panel = QueuePanel(theme, queue, QueueRunner(controller, queue))
    qtbot.addWidget(panel)
    panel.show()
    assert words in panel.notice.text()
    assert panel.notice.isVisible()
    controller.shut_down()


def test_a_change_that_cannot_be_saved_is_told(stage: Stage, home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "config").write_text("in the way", encoding="utf-8")
    stage.fill("a")
    assert "could not be saved" in stage.notice()


def test_every_control_has_an_accessible_name(stage: Stage) -> None:
    stage.fill("a")
    buttons = [button for button in stage.panel.findChildren(QAbstractButton)]
    assert len(buttons) > 12
    assert [button for button in buttons if not button.accessibleName()] == []
    assert stage.panel.jobs.accessibleName()


def test_buttons_and_keys_of_an_action_are_one_thing(stage: Stage) -> None:
    stage.fill("a", "b")
    stage.panel.jobs.choose("b")
    up = next(b for b in stage.panel.findChildren(QAbstractButton) if b.accessibleName() == "Move up")
    assert up.isEnabled()
    assert stage.panel.actions_.up.shortcut().toString() in up.toolTip()
    up.click()
    assert stage.order() == "b a"
    assert not up.isEnabled()
