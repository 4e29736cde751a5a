"""The state that the presenters of the window share: the request, whether something works, and the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.storage.session import SessionState
from app.text.log_lines import Level
from app.work.controller import Controller
from app.work.requests import Models
from engine.settings import ExtractionSettings, HardwareSettings

SETTLE_MS = 150


@dataclass(frozen=True)
class Request:
    """The extraction that the window describes.

    Attributes:
        models: those chosen.
        extraction, hardware: the settings; None while a field of their form holds a value that cannot be used.
        also: the settings of each further file of the same run.
        troubles: the titles of those fields.
        output_dir: the folder that LoRAs are written to.
    """

    output_dir: Path
    models: Models = (None, None)
    extraction: ExtractionSettings | None = None
    hardware: HardwareSettings | None = None
    troubles: tuple[str, ...] = ()
    also: tuple[ExtractionSettings, ...] = ()


class WindowModel(QObject):
    """What the window asks for and what works in it. Presenters read it, change it here, and follow its signals.

    Attributes:
        session: what comes back at the next start, as far as it is not in the request.
        models_changed: models were chosen, by whatever way; also the same ones again.
        extraction_wanted: the `ExtractionSettings` that the form shall show, and a tuple of those of further files.
        hardware_wanted: values by field name that the form of the hardware shall show.
        request_changed: the request is another one and settled, so that it can be planned.
        locked_changed: whether the request must not be changed from now on.
        written: a `Level` and a line for the log.
    """

    models_changed = Signal()
    extraction_wanted = Signal(object, object)
    hardware_wanted = Signal(object)
    request_changed = Signal()
    locked_changed = Signal(bool)
    written = Signal(object, str)

    def __init__(self, controller: Controller, session: SessionState, parent: QObject) -> None:
        """Follow what works.

        Args:
            controller: knows what works.
            session: what came back from the last start.
            parent: owns the model.
        """
        super().__init__(parent)
        self.session = session
        self._controller = controller
        self._request = Request(session.output_folder())
        self._edits = QTimer(self)
        self._edits.setSingleShot(True)
        self._edits.setInterval(SETTLE_MS)
        self._edits.timeout.connect(self._announce)
        controller.busy_changed.connect(self.locked_changed)

    @property
    def request(self) -> Request:
        """What cards, forms and the output folder say now."""
        return self._request

    @property
    def locked(self) -> bool:
        """Whether a run, a verification or the queue works: nothing may be planned, and the request stays as it is."""
        return self._controller.busy

    @property
    def queue_running(self) -> bool:
        """Whether the queue works, or is between two of its jobs."""
        return self._controller.reserved

    @property
    def working(self) -> bool:
        """Whether closing has to wait: `locked`, except by a stopped verification whose drive does not answer."""
        return self._controller.busy and not self._controller.held_up

    def set_models(self, finetuned: Path | None, original: Path | None) -> None:
        """Choose both models; either may be None."""
        self._request = replace(self._request, models=(finetuned, original))
        self.models_changed.emit()
        self._announce()

    def set_output_dir(self, folder: Path) -> None:
        """Write LoRAs to another folder from now on."""
        self._request = replace(self._request, output_dir=folder)
        self._announce()

    def show_extraction(self, settings: ExtractionSettings, also: Sequence[ExtractionSettings] = ()) -> None:
        """Let the form show the settings of a run; it notes what it makes of them."""
        self.extraction_wanted.emit(settings, tuple(also))

    def show_hardware(self, values: Mapping[str, Any]) -> None:
        """Let the form of the hardware show the values of some fields; it notes what it makes of them."""
        self.hardware_wanted.emit(values)

    def note_settings(
        self,
        extraction: ExtractionSettings | None,
        hardware: HardwareSettings | None,
        troubles: tuple[str, ...],
        also: tuple[ExtractionSettings, ...] = (),
    ) -> None:
        """Keep what the forms say now; announced `SETTLE_MS` after the last of several edits, or by `settle`."""
        self._request = replace(self._request, extraction=extraction, hardware=hardware, troubles=troubles, also=also)
        self._edits.start()

    def settle(self) -> None:
        """Announce edits of the last moment at once, where there are any."""
        if self._edits.isActive():
            self._announce()

    def write(self, level: Level, text: str) -> None:
        """Write a line into the log."""
        self.written.emit(level, text)

    @Slot()
    def _announce(self) -> None:
        self._edits.stop()
        self.request_changed.emit()
