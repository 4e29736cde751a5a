"""Somebody at the keyboard: clicks real widgets of a window, answers its dialogs, waits, and takes pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QDialog, QFileDialog, QLineEdit, QMessageBox, QWidget

from app.window.main_window import MainWindow

PATIENCE = 90.0
SETTLE = 0.35
LOOK_MS = 20
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


class StuckError(AssertionError):
    """What was waited for did not come."""


class Person:
    """Uses a window as a person does."""

    def __init__(self, window: MainWindow, pictures: Path) -> None:
        self.window = window
        self._pictures = pictures

    def wait(self, reached: Callable[[], object], what: str) -> None:
        """Let the window live until something is there.

        Raises:
            StuckError: it did not come.
        """
        end = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > end:
                raise StuckError(f"waited in vain for: {what}; the bar says: {self.window.frame.bar.headline.text()}")
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, LOOK_MS)
            time.sleep(0.002)

    def rest(self, seconds: float = SETTLE) -> None:
        """Let the window draw what is waiting."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end, "a moment")

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Click into a widget that can be seen and used."""
        assert widget.isVisible(), f"{widget.accessibleName()!r} is not there to be clicked"
        assert widget.isEnabled(), f"{widget.accessibleName()!r} cannot be clicked"
        QTest.mouseClick(
            widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at or widget.rect().center()
        )

    def press(self, key: Qt.Key, *modifiers: Qt.KeyboardModifier) -> None:
        """Press a key in the window."""
        self.window.activateWindow()  # without a window manager nobody gives the focus back after a dialog
        self.wait(self.window.isActiveWindow, "the focus")
        held = Qt.KeyboardModifier.NoModifier
        for modifier in modifiers:
            held |= modifier
        QTest.keyClick(self.window, key, held)

    def show_tab(self, widget: QWidget) -> None:
        """Click on the tab that shows a widget."""
        tabs = self.window.frame.tabs
        number = next(index for index in range(tabs.count()) if tabs.widget(index).isAncestorOf(widget))
        self.click(tabs.tabBar(), tabs.tabBar().tabRect(number).center())

    def choose_file(self, button: QWidget, file: Path) -> None:
        """Click a button that opens a file dialog, type a path into it, and press Enter."""

        def answer(dialog: QDialog) -> None:
            assert isinstance(dialog, QFileDialog), dialog
            line = dialog.findChild(QLineEdit, "fileNameEdit")
            assert line is not None
            line.setText(str(file))
            QTest.keyClick(line, Qt.Key.Key_Return)

        with_dialog(self, lambda: self.click(button), answer)

    def choose_in_message(self, ask: Callable[[], None], words: str, picture: str = "") -> None:
        """Do something that asks a question, and answer with the button of these words."""

        def answer(dialog: QDialog) -> None:
            assert isinstance(dialog, QMessageBox), dialog
            if picture:
                self.picture_of(dialog, picture)
            texts = {button.text().replace("&", ""): button for button in dialog.buttons()}
            assert words in texts, f"no button {words!r} among {sorted(texts)}"
            self.click(texts[words])

        with_dialog(self, ask, answer)

    def picture(self, name: str) -> None:
        """Take a picture of the window in both themes, as the X server shows it."""
        for theme in THEMES:
            self.window.theme.set_choice(theme)
            self.rest()
            self._grab(f"{name}-{theme}")
        self.window.theme.set_choice(THEMES[0])
        self.rest(0.1)

    def picture_of(self, dialog: QWidget, name: str) -> None:
        """Take a picture of a dialog in the present theme."""
        QCoreApplication.processEvents()
        self._save(dialog.grab(), name)

    def _grab(self, name: str) -> None:
        handle = self.window.windowHandle()
        assert handle is not None
        self._save(handle.screen().grabWindow(int(self.window.winId())), name)

    def _save(self, picture: object, name: str) -> None:
        self._pictures.mkdir(parents=True, exist_ok=True)
        assert picture.save(str(self._pictures / f"{name}.png"))  # type: ignore[attr-defined]


class _Answering(QObject):
    """Watches for a dialog that opens, and answers it once."""

    def __init__(self, answer: Callable[[QDialog], None]) -> None:
        super().__init__()
        self._answer = answer
        self.answered = False
        self.error: BaseException | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(LOOK_MS)

    def _look(self) -> None:
        dialog = QApplication.activeModalWidget()
        if self.answered or not isinstance(dialog, QDialog) or not dialog.isVisible():
            return
        self.answered = True
        self._timer.stop()
        try:
            self._answer(dialog)
        except BaseException as error:  # raised again where the person stands, outside of Qt's slots
            self.error = error
            dialog.reject()


def with_dialog(person: Person, act: Callable[[], None], answer: Callable[[QDialog], None]) -> None:
    """Do something that opens a modal dialog, and answer it."""
    answering = _Answering(answer)
    act()
    person.wait(lambda: answering.answered, "a dialog")
    if answering.error is not None:
        raise answering.error


def button_of(parent: QWidget, name: str) -> QAbstractButton:
    """The visible button with an accessible name."""
    found = [
        item for item in parent.findChildren(QAbstractButton) if item.accessibleName() == name and item.isVisible()
    ]
    assert found, f"no button {name!r}"
    return found[0]


def finish_deletions() -> None:
    """Delete here and now what waits for it."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
