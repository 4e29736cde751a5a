"""Assigns files to the two sides: dropped ones, and those of a later start."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QBoxLayout, QWidget

from app.look.theme import Theme
from app.text.log_lines import Level
from app.text.window_text import ignored_text
from app.widgets.basics.dialogs import ask_whose_place
from app.widgets.basics.notice_bar import NoticeBar
from app.widgets.models.models_row import ModelsRow
from app.window.model import WindowModel
from app.work.model_placement import in_place_of, place
from engine.checkpoints.containers import model_endings

# Endings that may belong to a model, beside those of the containers: refused with its reason, not for its name.
FOREIGN = (".json",)


class WindowFiles(QObject):
    """Assigns files to sides, asks where both are taken, and reports which were too many."""

    def __init__(
        self, window: QWidget, model: WindowModel, cards: ModelsRow, notices: QBoxLayout, theme: Theme
    ) -> None:
        """Take the files that are dropped on the cards.

        Args:
            window: the parent of questions.
            model: gets the models.
            cards: where several files may be dropped at once.
            notices: where a bar says what became of files.
            theme: the colours of that bar.
        """
        super().__init__(window)
        self._window, self._model, self._notices, self._theme = window, model, notices, theme
        self._waiting: list[list[Path]] = []
        self._notice: NoticeBar | None = None
        cards.files_dropped.connect(self.take_later)

    @Slot(object)
    def take_later(self, files: list[Path]) -> None:
        """The same as `take` behind the current event: the source of a drag waits until the drop has its answer."""
        self._waiting.append(files)
        QTimer.singleShot(0, self, self._take_waiting)

    def take(self, files: list[Path]) -> None:
        """Fill the cards; not while something works with other files."""
        if not files:
            return
        if self._model.working:
            text = self.tr("Not opened while a run goes on: {names}")
            self._model.write(Level.WARNING, text.format(names=", ".join(file.name for file in files)))
            return
        self._forget_notice()
        endings = (*model_endings(), *FOREIGN)
        no_models = [file for file in files if file.suffix and file.suffix.casefold() not in endings and file.is_file()]
        if no_models:
            text = self.tr("No model files: {names}")
            self._say(text.format(names=", ".join(file.name for file in no_models)))
        files = [file for file in files if file not in no_models]
        present = self._model.request.models
        placement = place(files, present)
        models = placement.models
        if placement.undecided is not None:
            side = ask_whose_place(self._window, placement.undecided)
            models = in_place_of(side, placement.undecided, present) if side else present
        if models != present:
            self._model.set_models(*models)
        if placement.ignored:
            self._say(ignored_text(placement.ignored))

    def _say(self, text: str) -> None:
        """Say what became of files in the log and above everything, until the next files come."""
        self._forget_notice()
        self._model.write(Level.WARNING, text)
        self._notice = NoticeBar(self._theme, text)
        self._notices.addWidget(self._notice)

    def _forget_notice(self) -> None:
        notice, self._notice = self._notice, None
        if notice is not None:
            notice.hide()
            notice.deleteLater()

    @Slot()
    def _take_waiting(self) -> None:
        self.take(self._waiting.pop(0))
