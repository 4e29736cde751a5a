"""Drives that do not answer, files that change while a run reads them, and threads that must end all the same."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_files import save_pair

from engine.cancel import CancelToken
from engine.checkpoints import open_checkpoint
from engine.checkpoints.model_file import ModelFile
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

HARDWARE = HardwareSettings(device="cpu", batch_size=2, prefetch_ahead=2)


class Drive:
    """Holds up every read of a tensor, from the so many-th on, until it answers again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
        self.answer, self.stalled = threading.Event(), threading.Event()
        self._left, real = answers, ModelFile.read

        def held_up(file: ModelFile, buffer: memoryview, offset: int, tensor: str | None = None) -> None:
            if tensor is not None:
                self._left -= 1
                if self._left < 0:
                    self.stalled.set()
                    assert self.answer.wait(60)
            real(file, buffer, offset, tensor)

        monkeypatch.setattr(ModelFile, "read", held_up)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long in tests."""
    monkeypatch.setattr("engine.extraction.executor.STALLED_SECONDS", 0.1)
    monkeypatch.setattr("engine.extraction.extraction.STALLED_SECONDS", 0.1)


def threads() -> list[str]:
    kinds = ("extraction", "reader", "worker")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(kinds)]


def run_and_stop_when_stalled(session: Session, folder: Path, drive: Drive) -> float:
    """Start, press Stop while the drive is silent; seconds until the run was over."""
    cancel = CancelToken()
    events: Iterator[Any] = session.extract(session.plan(ExtractionSettings(), HARDWARE, folder), cancel)
    ended: list[float] = []

    def iterate() -> None:
        with pytest.raises(Cancelled):
            list(events)
        ended.append(time.monotonic())

    thread = threading.Thread(target=iterate)
    thread.start()
    assert drive.stalled.wait(30)
    stopped = time.monotonic()
    cancel.cancel()
    thread.join(30)
    assert ended, "Stop waited for the drive"
    return ended[0] - stopped


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("answers", [0, 5])
def test_a_drive_that_stalls_does_not_freeze_stop(
    answers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = save_pair(tmp_path)
    drive = Drive(monkeypatch, answers)
    with Session(*pair) as session:
        assert run_and_stop_when_stalled(session, tmp_path / "out", drive) < 10
        assert not (tmp_path / "out").exists()
    drive.answer.set()
    until = time.monotonic() + 30
    while threads() and time.monotonic() < until:
        time.sleep(0.02)
    assert not threads()


def test_a_file_that_is_closed_during_a_read_is_closed_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_pair(tmp_path)[0]
    model = open_checkpoint(path)
    file, part = model.files[0], next(part for part in model.stored.values() if part.nbytes > 16)
    reading, answer, results = threading.Event(), threading.Event(), []
    real = os.preadv

    def slow(*arguments: Any) -> int:
        reading.set()
        assert answer.wait(30)
        return real(*arguments)

    monkeypatch.setattr("engine.checkpoints.model_file.os.preadv", slow)
    thread = threading.Thread(target=lambda: results.append(model.read_into(part, memoryview(bytearray(part.nbytes)))))
    thread.start()
    assert reading.wait(30)
    model.close()
    assert not file._stream.closed
    answer.set()
    thread.join(30)
    assert results == [None]
    assert file._stream.closed
    with pytest.raises(EngineError) as caught:
        model.read_into(part, memoryview(bytearray(part.nbytes)))
    assert caught.value.code is ErrorCode.FILE_UNREADABLE


def test_a_file_that_is_cut_off_during_the_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = save_pair(tmp_path)
    drive = Drive(monkeypatch, 2)
    with Session(*pair) as session:
        events = session.extract(session.plan(ExtractionSettings(), HARDWARE, tmp_path / "out"), CancelToken())
        caught: list[EngineError] = []

        def iterate() -> None:
            with pytest.raises(EngineError) as raised:
                list(events)
            caught.append(raised.value)

        thread = threading.Thread(target=iterate)
        thread.start()
        assert drive.stalled.wait(30)
        with pair[0].open("r+b") as stream:
            stream.truncate(1000)
        drive.answer.set()
        thread.join(30)
    assert caught[0].code is ErrorCode.INPUT_CHANGED
    assert caught[0].file == str(pair[0])
    assert not (tmp_path / "out").exists()
