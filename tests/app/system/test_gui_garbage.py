"""Garbage in cycles is destroyed on the GUI thread, whatever the other threads allocate."""

from __future__ import annotations

import gc
import threading

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.system.gui_gc import GuiThreadCollector


class Noted:
    """Notes the thread that destroys it."""

    def __init__(self, threads: list[str]) -> None:
        self.threads = threads
        self.itself = self

    def __del__(self) -> None:
        self.threads.append(threading.current_thread().name)


def test_cycles_are_collected_on_the_gui_thread_only(qtbot: QtBot, qapp: QApplication) -> None:
    parent = QObject()
    threads: list[str] = []
    collector = GuiThreadCollector(parent)
    Noted(threads)
    rubbish: list[list[object]] = []

    def allocate() -> None:
        rubbish.extend([[] for _ in range(50_000)])

    worker = threading.Thread(target=allocate, name="worker")
    worker.start()
    worker.join()
    assert threads == []
    qtbot.waitUntil(lambda: threads == ["MainThread"])
    assert not gc.isenabled()
    del collector, parent
