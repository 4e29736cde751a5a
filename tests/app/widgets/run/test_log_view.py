import time
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.text.log_lines import Level
from app.widgets.run.log_view import LINES_KEPT, LogPanel


@pytest.fixture
def log(qtbot: QtBot, theme: Theme) -> LogPanel:
    panel = LogPanel(theme)
    qtbot.addWidget(panel)
    panel.resize(720, 400)
    panel.show()
    for level, text in (
        (Level.DEBUG, "double_blocks.1.attn: rank 8"),
        (Level.INFO, "Wrote Straße.safetensors"),
        (Level.WARNING, "double_blocks.2.attn has NaN"),
        (Level.ERROR, "No space left"),
    ):
        panel.add((level, text))
    panel._flush()
    return panel


def texts(log: LogPanel) -> list[str]:
    return [line[19:] for line in log.text.toPlainText().splitlines()]


def choose(monkeypatch: pytest.MonkeyPatch, path: Path | None) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path) if path else "", ""))


def test_lines_are_found_by_a_part_of_them_in_any_case(qtbot: QtBot, log: LogPanel) -> None:
    log.level.setCurrentIndex(0)
    log.search.setText("DOUBLE_blocks")
    qtbot.waitUntil(lambda: texts(log) == ["double_blocks.1.attn: rank 8", "double_blocks.2.attn has NaN"])
    assert log.detail.text() == "2 of 4 lines"
    log.search.setText("STRASSE")
    qtbot.waitUntil(lambda: texts(log) == ["Wrote Straße.safetensors"])
    log.search.clear()
    qtbot.waitUntil(lambda: len(texts(log)) == 4)
    assert log.detail.text() == ""


def test_the_level_and_the_text_both_count(qtbot: QtBot, log: LogPanel) -> None:
    log.level.setCurrentIndex(2)
    log.search.setText("blocks")
    qtbot.waitUntil(lambda: texts(log) == ["double_blocks.2.attn has NaN"])
    log.add((Level.WARNING, "double_blocks.3"))
    log.add((Level.DEBUG, "double_blocks.4"))
    log.add((Level.WARNING, "something else"))
    qtbot.waitUntil(lambda: texts(log)[1:] == ["double_blocks.3"])


def test_copying_takes_what_is_shown(log: LogPanel) -> None:
    log.level.setCurrentIndex(2)
    log.copy.click()
    assert QGuiApplication.clipboard().text() == log.text.toPlainText() == log.as_text()
    assert log.detail.text() == "Copied"


def test_saving_writes_what_is_shown_and_says_so(
    log: LogPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.log"
    target.write_text("older")
    choose(monkeypatch, target)
    log.save.click()
    assert target.read_text(encoding="utf-8") == log.as_text() + "\n"
    assert log.detail.text() == "Saved as a.log"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.log"]


def test_a_log_that_cannot_be_saved_says_so_in_the_log(
    log: LogPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, tmp_path / "missing" / "a.log")
    log.save.click()
    log._flush()
    assert texts(log)[-1].startswith("The log could not be saved")


def test_nothing_is_saved_where_no_file_is_chosen(log: LogPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, None)
    log.save.click()
    assert log.detail.text() == ""


def test_clearing_empties_it_and_its_buttons_follow(log: LogPanel) -> None:
    log.clear.click()
    assert log.as_text() == log.text.toPlainText() == ""
    assert not any(button.isEnabled() for button in (log.copy, log.save, log.clear))
    log.add((Level.INFO, "again"))
    log._flush()
    assert texts(log) == ["again"]
    assert all(button.isEnabled() for button in (log.copy, log.save, log.clear))


def test_the_newest_lines_are_given_whatever_is_shown(log: LogPanel) -> None:
    log.level.setCurrentIndex(2)
    assert [line[19:] for line in log.newest(3)] == [
        "Wrote Straße.safetensors",
        "double_blocks.2.attn has NaN",
        "No space left",
    ]
    assert len(log.newest(100)) == 4
    assert log.newest(0) == ()


def test_a_report_is_asked_for_by_its_button(qtbot: QtBot, log: LogPanel) -> None:
    with qtbot.waitSignal(log.report_clicked):
        log.report.click()


def test_the_oldest_lines_go_from_memory_and_from_the_view(qtbot: QtBot, theme: Theme) -> None:
    log = LogPanel(theme)
    qtbot.addWidget(log)
    for number in range(LINES_KEPT + 7):
        log.add((Level.INFO, f"line {number}"))
    log._flush()
    assert log.text.blockCount() == LINES_KEPT
    assert texts(log)[0] == "line 7"
    assert log.text.toPlainText() == log.as_text()


def test_it_stays_quick_with_as_many_lines_as_are_kept(qtbot: QtBot, theme: Theme) -> None:
    log = LogPanel(theme)
    qtbot.addWidget(log)
    log.resize(720, 400)
    log.show()
    for number in range(LINES_KEPT):
        log.add((Level.DEBUG if number % 50 else Level.INFO, f"double_blocks.{number}.attn: rank 8, 93 % kept"))
    log._flush()

    def seconds(action: Any) -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    def one_more() -> None:
        log.add((Level.INFO, "one more"))
        log._flush()

    everything = seconds(lambda: log.level.setCurrentIndex(0))
    assert log.text.blockCount() == LINES_KEPT
    # A new line must not cost as much as all of them; generous, as the machine may be busy.
    assert min(seconds(one_more) for _ in range(5)) < everything / 10
    assert everything < 3


def test_reading_further_up_is_not_disturbed_by_new_lines(qtbot: QtBot, log: LogPanel) -> None:
    for number in range(200):
        log.add((Level.INFO, f"line {number}"))
    log._flush()
    bar = log.text.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.setValue(3)
    log.add((Level.INFO, "new"))
    log._flush()
    assert bar.value() == 3
