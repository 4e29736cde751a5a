"""Saves layers as CSV beside the window's work: a drive may take seconds to answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.text.layer_csv import write_layers
from engine.errors import EngineError, ErrorCode
from engine.results import LayerResult


class LayerExport(QObject):
    """Writes one file at a time.

    Attributes:
        saved: emitted with the file's path and how many layers are in it.
        failed: emitted with the `EngineError` that says why there is no file.
    """

    saved = Signal(object, int)
    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a file is being written."""
        return self._thread is not None and self._thread.is_alive()

    def save(self, path: Path, rows: Sequence[LayerResult]) -> None:
        """Begin to write; one of the signals follows. Call it while not `busy`."""
        self._thread = threading.Thread(target=self._write, args=(path, tuple(rows)), name="layers as CSV")
        self._thread.start()

    def _write(self, path: Path, rows: tuple[LayerResult, ...]) -> None:
        error: EngineError | None = None
        try:
            write_layers(path, rows)
        except EngineError as problem:
            error = problem
        except Exception as problem:
            error = EngineError(ErrorCode.INTERNAL, detail=str(problem))
        # The window may be gone by now; the file is written all the same.
        with suppress(RuntimeError):
            if error is None:
                self.saved.emit(path, len(rows))
            else:
                self.failed.emit(error)
