"""What the window does with files of which nobody says which is which: dropped ones, and those of a later start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from app.text.log_lines import Level
from app.text.window_text import ignored_text
from app.widgets.basics.dialogs import ask_whose_place
from app.widgets.basics.notice_bar import NoticeBar
from app.work.model_placement import in_place_of, place

if TYPE_CHECKING:
    from app.window.main_window import MainWindow


# What may hold a model, also where it is refused with its reason.
MODELS = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".json")


class WindowFiles(QObject):
    """Finds the place of files, asks where there is none, and says which were too many."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._waiting: list[list[Path]] = []
        self._notice: NoticeBar | None = None
        window.frame.models.files_dropped.connect(self.take_later)

    @Slot(object)
    def take_later(self, files: list[Path]) -> None:
        """The same as `take` behind the event at hand: whoever drags waits until the drop has its answer."""
        self._waiting.append(files)
        QTimer.singleShot(0, self, self._take_waiting)

    def take(self, files: list[Path]) -> None:
        """Fill the cards; not while something works with other files."""
        window = self._window
        if not files:
            return
        if window.closing.working():
            text = self.tr("Not opened while a run goes on: {names}")
            window.frame.run.write(Level.WARNING, text.format(names=", ".join(file.name for file in files)))
            return
        self._forget_notice()
        no_models = [file for file in files if file.suffix and file.suffix.casefold() not in MODELS and file.is_file()]
        if no_models:
            text = self.tr("No model files: {names}")
            self._tell(text.format(names=", ".join(file.name for file in no_models)))
        files = [file for file in files if file not in no_models]
        present = window.frame.models.models()
        placement = place(files, present)
        models = placement.models
        if placement.undecided is not None:
            side = ask_whose_place(window, placement.undecided)
            models = in_place_of(side, placement.undecided, present) if side else present
        if models != present:
            window.set_models(*models)
        if placement.ignored:
            self._tell(ignored_text(placement.ignored))

    def _tell(self, text: str) -> None:
        """Say what became of files in the log and above everything, until the next files come."""
        self._forget_notice()
        self._window.frame.run.write(Level.WARNING, text)
        self._notice = NoticeBar(self._window.theme, text)
        self._window.frame.notices.addWidget(self._notice)

    def _forget_notice(self) -> None:
        notice, self._notice = self._notice, None
        if notice is not None:
            notice.hide()
            notice.deleteLater()

    @Slot()
    def _take_waiting(self) -> None:
        self.take(self._waiting.pop(0))
