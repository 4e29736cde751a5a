"""What the window does with files of which nobody says which is which: dropped ones, and those of a later start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from app.run_log import Level
from app.telling_apart import in_place_of, place
from app.widgets.dialogs import ask_whose_place
from app.widgets.notice_bar import NoticeBar
from app.wording import ignored_text

if TYPE_CHECKING:
    from app.widgets.main_window import MainWindow


class WindowFiles(QObject):
    """Finds the place of files, asks where there is none, and says which were too many."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._waiting: list[list[Path]] = []
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
        present = window.frame.models.models()
        placement = place(files, present)
        models = placement.models
        if placement.undecided is not None:
            side = ask_whose_place(window, placement.undecided)
            models = in_place_of(side, placement.undecided, present) if side else present
        if models != present:
            window.set_models(*models)
        if placement.ignored:
            text = ignored_text(placement.ignored)
            window.frame.run.write(Level.WARNING, text)
            window.frame.notices.addWidget(NoticeBar(window.theme, text))

    @Slot()
    def _take_waiting(self) -> None:
        self.take(self._waiting.pop(0))
