"""Every test of the application runs without a screen and in a home of its own."""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import FakeEngine
from patience import PatientBot
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from unattended import Unattended

from app.look.theme import Theme
from app.storage.session import SessionStore
from app.system.pyside_refcounts import protect_constants
from app.text.translation import speak, spoken
from app.window.main_window import MainWindow

protect_constants()
WindowMaker = Callable[..., MainWindow]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def language_of_this_test() -> Iterator[None]:
    """What one test speaks, the others do not."""
    before = spoken()
    yield
    speak(before)


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    qapp.setStyle("Fusion")
    return Theme(qapp, "light")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    """Waits as long as a busy machine may need."""
    return PatientBot(request)


@pytest.fixture
def make_window(qtbot: QtBot, theme: Theme, engine: FakeEngine) -> Iterator[WindowMaker]:
    windows: list[MainWindow] = []

    def end_work(window: QWidget) -> None:
        """After a test that failed in the middle of a run: end it, so that closing asks nothing."""
        assert isinstance(window, MainWindow)
        engine.let_go()
        window.controller.shut_down()

    def make(**options: object) -> MainWindow:
        window = MainWindow(SessionStore(), **{"engine": engine, "theme": theme, **options})  # type: ignore[arg-type]
        qtbot.addWidget(window, before_close_func=end_work)
        window.show()
        windows.append(window)
        return window

    yield make
    engine.let_go()
    for window in windows:
        window.controller.shut_down()


@pytest.fixture
def window(make_window: WindowMaker) -> MainWindow:
    return make_window()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    finetuned, original = tmp_path / "tuned.safetensors", tmp_path / "base.safetensors"
    finetuned.write_bytes(b"tuned")
    original.write_bytes(b"base")
    return finetuned, original


@pytest.fixture(scope="session")
def unattended(qapp: QApplication) -> Unattended:
    """Closes dialogs that nobody answers."""
    return Unattended(qapp)


@pytest.fixture(autouse=True)
def nothing_waits_for_a_person(unattended: Unattended) -> Iterator[None]:
    """Fail a test, its teardown included, in which a dialog or a menu had to be closed for it."""
    unattended.closed.clear()
    yield
    assert not unattended.closed, f"nobody answered: {', '.join(unattended.closed)}"
