import logging
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.system import notifications
from app.system.notifications import Notifier
from engine.errors import EngineError, ErrorCode
from engine.results import ExtractionResult, OutputFile


class Desk:
    """What the desktop was asked for."""

    def __init__(self) -> None:
        self.alerts: list[QWidget] = []
        self.messages: list[tuple[str, str, Any]] = []
        self.shown = 0
        self.fails = False


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()

    def show_message(_tray: QSystemTrayIcon, title: str, text: str, kind: Any, _ms: int) -> None:
        if desk.fails:
            raise RuntimeError("no bus")
        desk.messages.append((title, text, kind))

    def show(_tray: QSystemTrayIcon) -> None:
        desk.shown += 1

    def hide(_tray: QSystemTrayIcon) -> None:
        desk.shown -= 1

    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: True)
    monkeypatch.setattr(QSystemTrayIcon, "supportsMessages", lambda: True)
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", show_message)
    monkeypatch.setattr(QSystemTrayIcon, "show", show)
    monkeypatch.setattr(QSystemTrayIcon, "hide", hide)
    monkeypatch.setattr(QApplication, "alert", lambda window, _ms: desk.alerts.append(window))
    return desk


@pytest.fixture
def window(qtbot: QtBot, theme: Theme) -> QWidget:
    window = QWidget()
    qtbot.addWidget(window)
    return window


def result() -> ExtractionResult:
    output = OutputFile(Path("/loras/my_lora.safetensors"), None, "8", "comfyui", 310_000_000, 0.938, 0.874)
    return ExtractionResult((output,), (), (), 41.0, 9, 3)


def test_a_run_that_ended_well_is_told_with_its_file(window: QWidget, desk: Desk) -> None:
    Notifier(window).on_finished(result())
    title, text, kind = desk.messages[0]
    assert title == "The LoRA is ready"
    assert all(word in text for word in ("my_lora.safetensors", "310 MB", "93.8"))
    assert "/loras" not in text
    assert kind is QSystemTrayIcon.MessageIcon.Information
    assert desk.alerts == []


def test_a_failure_is_told_as_one(window: QWidget, desk: Desk) -> None:
    Notifier(window).on_failed(EngineError(ErrorCode.FILE_MISSING, file="/models/x.safetensors"))
    assert desk.messages == [
        ("The extraction failed", "x.safetensors does not exist.", QSystemTrayIcon.MessageIcon.Warning)
    ]


def test_nothing_is_told_while_the_person_looks_or_does_not_want_it(
    window: QWidget, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = Notifier(window)
    notifier.enabled = False
    notifier.notify("a", "b")
    notifier.enabled = True
    monkeypatch.setattr(window, "isActiveWindow", lambda: True)
    notifier.notify("a", "b")
    assert desk.messages == []
    assert desk.alerts == []


def test_without_a_tray_the_window_asks_for_attention(
    window: QWidget, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: False)
    Notifier(window).notify("a", "b")
    assert desk.alerts == [window]
    assert desk.shown == 0


def test_no_icon_stays_in_the_tray(qtbot: QtBot, window: QWidget, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "SHOWN_MS", 30)
    notifier = Notifier(window)
    notifier.notify("a", "b")
    notifier.notify("c", "d")
    assert desk.shown == 1
    qtbot.waitUntil(lambda: desk.shown == 0)
    qtbot.waitUntil(lambda: notifier.findChildren(QSystemTrayIcon) == [])
    notifier.notify("e", "f")
    QApplication.instance().aboutToQuit.emit()  # type: ignore[union-attr]
    assert desk.shown == 0


def test_clicking_it_brings_the_window(qtbot: QtBot, window: QWidget, desk: Desk) -> None:
    notifier = Notifier(window)
    window.showMinimized()
    notifier.notify("a", "b")
    trays: list[QObject] = list(notifier.findChildren(QSystemTrayIcon))
    trays[0].messageClicked.emit()  # type: ignore[attr-defined]
    assert not window.isMinimized()
    assert desk.shown == 0


def test_a_desktop_that_fails_is_written_down_and_costs_nothing(
    window: QWidget, desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("lora_extractor"), "propagate", True)
    desk.fails = True
    Notifier(window).on_finished(result())
    assert "no bus" in caplog.text
