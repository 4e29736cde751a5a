"""What somebody needs who cannot see the window or has no mouse: names, keys, and a way through with Tab."""

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMenu,
    QMenuBar,
    QPlainTextEdit,
    QProgressBar,
    QScrollBar,
    QWidget,
)
from pytestqt.qtbot import QtBot
from window_steps import Pair, run_to_end, wait_for

from app.window.frame import Tab
from app.window.main_window import MainWindow
from app.work.controller import State


def needs_name(widget: QWidget) -> bool:
    if isinstance(widget, QScrollBar) or widget.objectName().startswith("qt_"):
        return False
    if isinstance(widget, QMenu) and isinstance(widget.parentWidget(), QMenuBar) and not widget.title():
        return False  # Qt's own menu for entries that do not fit into the bar
    kinds = (
        QAbstractButton,
        QAbstractItemView,
        QAbstractSlider,
        QAbstractSpinBox,
        QComboBox,
        QLineEdit,
        QMenu,
        QPlainTextEdit,
        QProgressBar,
    )
    inside = (QComboBox, QAbstractSpinBox, QLineEdit, QAbstractItemView)
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, inside):
            return False
        parent = parent.parentWidget()
    return isinstance(widget, kinds) and not type(widget).__name__.startswith("QComboBox")


def test_every_control_has_an_accessible_name(qtbot: QtBot, window: MainWindow, pair: Pair) -> None:
    window.set_models(*pair)
    window.frame.options.show_more(True)
    window.frame.hardware.show_more(True)
    controls = [widget for widget in window.findChildren(QWidget) if needs_name(widget)]
    nameless = [f"{type(widget).__name__} in {widget.parentWidget()}" for widget in controls if not _name(widget)]
    assert nameless == []
    assert len(controls) > 40


def _name(widget: Any) -> str:
    return str(widget.accessibleName() or (widget.title() if isinstance(widget, QMenu) else ""))


def test_every_shortcut_is_bound_once(window: MainWindow) -> None:
    sequences = [keys.toString() for action in window.menus.actions.values() for keys in action.shortcuts()]
    assert len(sequences) == len(set(sequences))
    assert "Ctrl+Return" in sequences
    assert "F1" in sequences


def walk(key: Qt.Key = Qt.Key.Key_Tab) -> list[QWidget]:
    """Press a key until it comes back to where it began; a text with several links is one stop."""
    start = QApplication.focusWidget()
    assert start is not None
    stops = [start]
    for _ in range(400):
        QTest.keyClick(stops[-1], key)
        focused = QApplication.focusWidget()
        assert focused is not None, f"after {describe(stops[-1])} nothing has the focus"
        if focused is start:
            return stops
        if focused is not stops[-1]:
            assert focused not in stops, f"{describe(stops[-1])} leads back to {describe(focused)}"
            stops.append(focused)
    raise AssertionError("Tab never came back to where it began")


def to_reach(window: MainWindow) -> set[QWidget]:
    """What somebody without a mouse must be able to use; a field inside another control belongs to that."""
    return {
        widget
        for widget in window.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.isVisible()
        and widget.isEnabled()
        and widget.focusProxy() is None
        and not isinstance(widget.parentWidget(), (QComboBox, QAbstractSpinBox))
    }


def describe(widget: QWidget) -> str:
    return f"{type(widget).__name__} \u201c{widget.accessibleName()}\u201d"


def explore(window: MainWindow, title: str) -> None:
    by = window.frame.run.result.explore.by
    by.setCurrentIndex(by.findText(title))


@pytest.mark.parametrize("state", ["empty", "ready", "done", "other ways"])
@pytest.mark.parametrize("tab", list(Tab))
def test_tab_reaches_every_control_once_and_comes_back(
    qtbot: QtBot, window: MainWindow, pair: Pair, tab: Tab, state: str
) -> None:
    window.welcome_control.end()
    if state == "ready":
        window.set_models(*pair)
        wait_for(qtbot, window, State.READY)
    elif state != "empty":
        run_to_end(qtbot, window, pair)
    if state == "other ways":
        for title in ("Ratio", "File size", "Kept per layer", "Rank"):
            explore(window, title)
    window.frame.tabs.show_tab(tab)
    window.activateWindow()
    QApplication.processEvents()
    window.frame.models.finetuned.browse.setFocus()
    stops = walk()
    missed = to_reach(window) - set(stops)
    assert not missed, [describe(widget) for widget in missed]
    assert len(stops) > 15
    assert set(walk(Qt.Key.Key_Backtab)) == set(stops)
