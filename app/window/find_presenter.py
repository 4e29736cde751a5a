"""The search for the original: opens its dialog, searches for it, and takes the candidate that was chosen."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from app.widgets.models.find_dialog import FindOriginalDialog
from app.widgets.models.models_row import ModelsRow
from app.window.model import WindowModel
from app.work.original_finder import OriginalFinder, SearchAnswer, SearchFailed
from engine.analysis.candidates import OriginalSearch, SearchProgress

MOST_FOLDERS = 16  # that are remembered


class WindowFind(QObject):
    """Searches for the original of the fine-tuned model that is chosen.

    Attributes:
        folders_changed: the folders to look through are others, and are to be remembered.
    """

    folders_changed = Signal()

    def __init__(self, window: QWidget, model: WindowModel, models: ModelsRow) -> None:
        super().__init__(window)
        self._window, self._model = window, model
        self._finder = OriginalFinder(self)
        self._finder.answered.connect(self._on_answer)
        self._dialog: FindOriginalDialog | None = None
        self._tuned: Path | None = None
        models.original.find_clicked.connect(self.open)
        model.locked_changed.connect(self._on_locked)

    @property
    def dialog(self) -> FindOriginalDialog | None:
        """The dialog, while it is open."""
        return self._dialog

    def shut_down(self) -> None:
        """End the search and its thread."""
        self._finder.shut_down()

    @Slot()
    def open(self) -> None:
        """Open the dialog for the fine-tuned model."""
        finetuned, _original = self._model.request.models
        if finetuned is None or self._model.locked or self._dialog is not None:
            return
        self._tuned = finetuned
        folders = [Path(text) for text in self._model.session.search_folders]
        beside = finetuned if finetuned.is_dir() else finetuned.parent
        dialog = self._dialog = FindOriginalDialog(finetuned, folders or [beside], self._window)
        dialog.search_clicked.connect(self._search)
        dialog.stop_clicked.connect(self._finder.stop)
        dialog.folders_changed.connect(self._remember)
        dialog.chosen.connect(self._use)
        dialog.finished.connect(self._on_closed)
        dialog.open()

    @Slot(object)
    def _search(self, folders: list[Path]) -> None:
        if self._dialog is not None and self._tuned is not None:
            self._remember(folders)
            self._dialog.show_searching()
            self._finder.start(self._tuned, folders)

    @Slot(object)
    def _remember(self, folders: list[Path]) -> None:
        self._model.session.search_folders = [str(folder) for folder in folders][-MOST_FOLDERS:]
        self.folders_changed.emit()

    @Slot(object)
    def _use(self, original: Path) -> None:
        finetuned, _original = self._model.request.models
        self._model.set_models(finetuned, original)

    @Slot()
    def _on_closed(self) -> None:
        self._finder.stop()
        if self._dialog is not None:
            self._dialog.deleteLater()
            self._dialog = None

    @Slot(bool)
    def _on_locked(self, locked: bool) -> None:
        """A run that begins meanwhile, such as of the queue, works with the models as they are."""
        if locked and self._dialog is not None:
            self._dialog.reject()

    @Slot(object)
    def _on_answer(self, answer: SearchAnswer) -> None:
        if self._dialog is None:
            return
        match answer:
            case SearchProgress():
                self._dialog.show_progress(answer)
            case OriginalSearch():
                self._dialog.show_found(answer)
            case SearchFailed(error):
                self._dialog.show_failed(error)
