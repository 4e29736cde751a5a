"""The first row of the window: fine-tuned model, swap, original model, and what they give together."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from app.look.icons import icon
from app.widgets.basics.basics import icon_size
from app.widgets.models.model_card import ModelCard
from app.widgets.models.pair_card import PairCard


class ModelsRow(QWidget):
    """Holds the cards and keeps track of the two chosen files.

    Attributes:
        changed: emitted after either file changed, by whatever way.
        files_dropped: several files, without a side for each.
    """

    changed = Signal()
    files_dropped = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.finetuned = ModelCard(
            self.tr("Fine-tuned model"), self.tr("The model that was trained: its file or its folder.")
        )
        hint = self.tr("The model it was trained from.")
        self.original = ModelCard(self.tr("Original model"), hint, findable=True)
        self.pair = PairCard()
        self.pair.swap_wanted.connect(self.swap_models)
        self.swap = QToolButton()
        self.swap.setProperty("kind", "round")
        self.swap.setFixedSize(32, 32)
        self.swap.setIconSize(icon_size(18).boundedTo(QSize(24, 24)))
        self.swap.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.swap.setAccessibleName(self.tr("Swap the two models"))
        self.swap.setToolTip(self.tr("Swap the two models"))
        self.swap.clicked.connect(self.swap_models)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.finetuned, 1)
        row.addWidget(self.swap)
        row.addWidget(self.original, 1)
        row.addWidget(self.pair)
        self.finetuned.chosen.connect(self._finetuned_chosen)
        self.original.chosen.connect(self._original_chosen)
        self.finetuned.dropped.connect(self._dropped_on_finetuned)
        self.original.dropped.connect(self._dropped_on_original)
        self._locked = False
        self._recolour()
        self._update_buttons()

    def models(self) -> tuple[Path | None, Path | None]:
        """The fine-tuned and the original file."""
        return self.finetuned.path, self.original.path

    def set_models(self, finetuned: Path | None, original: Path | None) -> None:
        """Choose both files."""
        for card, path in ((self.finetuned, finetuned), (self.original, original)):
            if path is None:
                card.show_empty()
            elif path != card.path:
                card.show_reading(path)
        self._update_buttons()
        self.changed.emit()

    def set_locked(self, locked: bool) -> None:
        """Refuse changes while a run works with the files."""
        for card in (self.finetuned, self.original):
            card.browse.setEnabled(not locked)
            card.clear.setEnabled(not locked)
            card.recent.setEnabled(not locked and bool(card.recent.menu().actions()))
            card.setAcceptDrops(not locked)
        self._locked = locked
        self.pair.swap.setEnabled(not locked)
        self._update_buttons()

    @Slot()
    def swap_models(self) -> None:
        """Exchange the two files."""
        finetuned, original = self.models()
        self.set_models(original, finetuned)

    @Slot(object)
    def _finetuned_chosen(self, path: Path | None) -> None:
        self.set_models(path, self.original.path)

    @Slot(object)
    def _original_chosen(self, path: Path | None) -> None:
        self.set_models(self.finetuned.path, path)

    @Slot(object)
    def _dropped_on_finetuned(self, paths: list[Path]) -> None:
        if len(paths) == 1:
            self._finetuned_chosen(paths[0])
        else:
            self.files_dropped.emit(paths)

    @Slot(object)
    def _dropped_on_original(self, paths: list[Path]) -> None:
        if len(paths) == 1:
            self._original_chosen(paths[0])
        else:
            self.files_dropped.emit(paths)

    def changeEvent(self, event: QEvent) -> None:
        """Redraw the icon in the new theme's colour."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "swap"):
            self._recolour()

    def _update_buttons(self) -> None:
        self.swap.setEnabled(not self._locked and any(self.models()))
        self.original.find_button.setEnabled(not self._locked and self.finetuned.path is not None)

    def _recolour(self) -> None:
        colour = self.palette().color(self.palette().ColorRole.PlaceholderText).name()
        self.swap.setIcon(icon("swap", colour, self.swap.iconSize().width()))
