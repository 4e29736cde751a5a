from typing import Any

from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
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
from window_steps import Pair

from app.widgets.main_window import MainWindow


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
