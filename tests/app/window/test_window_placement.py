"""The window stays on its screen, wherever it was left."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QMargins, QRect, QSize, Qt
from PySide6.QtWidgets import QDialog
from pytestqt.qtbot import QtBot

from app.widgets.basics import window_placement
from app.widgets.basics.window_placement import fit_screen, resize_on_screen
from app.window.main_window import MainWindow

SMALL = QRect(0, 0, 1280, 720)


@pytest.fixture
def small_screen(monkeypatch: pytest.MonkeyPatch) -> QRect:
    """Believe in a small screen; windows that are drawn into memory have no bounds of their own."""
    monkeypatch.setattr(window_placement, "free_part", lambda _window: SMALL)
    return SMALL


@pytest.mark.parametrize(
    "left_at",
    [
        QRect(2600, 300, 1100, 640),  # on a second screen that is gone
        QRect(-1500, 40, 1100, 640),
        QRect(200, 100, 1900, 1000),  # larger than the screen
        QRect(300, 600, 1100, 640),  # half below it
    ],
)
def test_a_window_off_the_screen_is_brought_back_whole(window: MainWindow, small_screen: QRect, left_at: QRect) -> None:
    window.setGeometry(left_at)
    fit_screen(window)
    assert small_screen.contains(window.frameGeometry())


def test_a_window_that_is_on_the_screen_stays_as_it_is(window: MainWindow, small_screen: QRect) -> None:
    place = QRect(60, 50, 1100, 610)
    window.setGeometry(place)
    fit_screen(window)
    assert window.geometry() == place


def test_a_session_from_a_screen_that_is_gone_is_shown_on_the_one_that_is_there(
    qtbot: QtBot, make_window: Callable[..., MainWindow], small_screen: QRect
) -> None:
    first = make_window()
    first.setGeometry(2600, 300, 1900, 1000)
    first.session_control.save()
    second = make_window()
    qtbot.waitUntil(lambda: small_screen.contains(second.frameGeometry()))


def test_a_window_is_fitted_again_once_its_frame_is_known(
    qtbot: QtBot, window: MainWindow, small_screen: QRect, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.setGeometry(0, 0, 1280, 720)
    monkeypatch.setattr(window_placement, "frame_of", lambda _window: QMargins(1, 90, 1, 5))
    qtbot.waitUntil(lambda: window.height() <= 720 - 95)
    assert window.y() >= 0


def test_a_window_that_fills_the_screen_no_longer_is_fitted(
    qtbot: QtBot, window: MainWindow, small_screen: QRect
) -> None:
    window.setWindowState(Qt.WindowState.WindowMaximized)
    fit_screen(window)
    window.setWindowState(Qt.WindowState.WindowNoState)
    window.setGeometry(100, 100, 1900, 1000)
    qtbot.waitUntil(lambda: small_screen.contains(window.frameGeometry()))


def test_a_person_s_move_is_not_taken_back(qtbot: QtBot, window: MainWindow, small_screen: QRect) -> None:
    qtbot.waitUntil(lambda: small_screen.contains(window.frameGeometry()))
    window.move(900, 400)
    qtbot.wait(5 * window_placement.LOOK_MS)
    assert (window.x(), window.y()) == (900, 400)


def test_a_dialog_is_no_larger_than_the_screen(qtbot: QtBot, small_screen: QRect) -> None:
    dialog = QDialog()
    qtbot.addWidget(dialog)
    resize_on_screen(dialog, QSize(1140, 900))
    assert dialog.width() == 1140
    assert 600 < dialog.height() <= 720
