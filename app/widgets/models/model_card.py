"""The card of one model: choose it, see what it is, read what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QFont, QIcon, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QVBoxLayout

from app.look.icons import icon
from app.text.models import link_text, model_facts, short_link_text
from app.text.notices import notice_text
from app.text.translation import plural, whole
from app.text.window_text import breakable, short_error_text
from app.widgets.basics.basics import ElidedLabel, icon_size, push_button, scaled, set_look, wrapped_label
from app.widgets.basics.drops import accept_copy, dropped_paths
from engine.checkpoints.containers import model_endings
from engine.checkpoints.names_of_files import MODEL_INDEX, model_name
from engine.errors import EngineError
from engine.planning.inspection import ModelSummary

LEAST_HEIGHT = 70  # with usual text; larger text takes what it needs
CAPTION_WIDTH = 80  # which of the two cards it is can be read in this
ARROW = "\u25be"
INDEX_FILES = ("*.index.json", "*.index.*.json", MODEL_INDEX)
"""Patterns of the files that stand for a model in several."""


class ModelCard(QFrame):
    """One of the two model cards.

    Attributes:
        chosen: emitted with the path that the person chose, or None when the card was cleared.
        dropped: emitted with the list of paths that were dropped on the card.
        find_clicked: the model of this card is to be searched for.
    """

    chosen = Signal(object)
    dropped = Signal(object)
    find_clicked = Signal()

    def __init__(self, caption: str, hint: str, *, findable: bool = False) -> None:
        super().__init__()
        self.setProperty("panel", "plain")
        self.setAcceptDrops(True)
        self.setAccessibleName(caption)
        self.path: Path | None = None
        self._caption, self._hint, self._findable = caption, hint, findable
        self._recent: list[str] = []
        label = ElidedLabel(caption, "caption", mode=Qt.TextElideMode.ElideRight)
        font = QFont(label.font())
        font.setCapitalization(QFont.Capitalization.AllUppercase)
        font.setLetterSpacing(QFont.SpacingType.PercentageSpacing, 104)
        label.setFont(font)
        label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)  # whole where there is room
        label.setMinimumWidth(scaled(CAPTION_WIDTH))
        self.browse = push_button(self.tr("Browse\u2026"), small=True)
        self.browse.setAccessibleName(self.tr("Browse: {model}").format(model=caption))
        self.browse.clicked.connect(self.ask_for_file)
        self._find_title = self.tr("Find\u2026")
        self.find_button = push_button(self._find_title, kind="quiet", small=True)
        self.find_button.setIconSize(icon_size(14))
        self.find_button.setAccessibleName(self.tr("Find: {model}").format(model=caption))
        self.find_button.setToolTip(self.tr("Look for it in folders: which of their models this one was made from"))
        self.find_button.clicked.connect(self.find_clicked)
        self.find_button.setParent(self)
        self.find_button.setVisible(findable)
        self._recent_title = self.tr("Recent") + f" {ARROW}"
        self.recent = push_button(self._recent_title, kind="quiet", small=True)
        self.recent.setAccessibleName(self.tr("Recent files: {model}").format(model=caption))
        self.recent.setToolTip(self.tr("Recent files"))
        self._menu = QMenu(self)
        self._menu.setAccessibleName(self.tr("Recent files"))
        self._menu.setToolTipsVisible(True)
        self._menu.triggered.connect(self._recent_chosen)
        self.recent.setMenu(self._menu)
        self.clear = QToolButton()
        self.clear.setAccessibleName(self.tr("Clear: {model}").format(model=caption))
        self.clear.setToolTip(self.tr("Clear"))
        self.clear.setIconSize(icon_size(16))
        keeps_place = self.clear.sizePolicy()
        keeps_place.setRetainSizeWhenHidden(True)
        self.clear.setSizePolicy(keeps_place)
        self.clear.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.clear.clicked.connect(self._clear_clicked)
        self.name = ElidedLabel("", "name")
        self.detail = wrapped_label("", "small")
        self.detail.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        top = QHBoxLayout()
        top.setSpacing(6)
        top.addWidget(label, 1)
        for button in (self.browse, self.find_button, self.recent, self.clear):
            if button is not self.find_button or findable:
                top.addWidget(button)
        column = QVBoxLayout()
        column.setSpacing(3)
        whole_card = QHBoxLayout(self)
        whole_card.setContentsMargins(16, 7, 12, 7)
        whole_card.addStrut(LEAST_HEIGHT)
        whole_card.addLayout(column)
        column.addLayout(top)
        column.addWidget(self.name)
        column.addWidget(self.detail, 1)
        self._recolour()
        self.show_empty()
        self.set_recent([])

    def sizeHint(self) -> QSize:
        """As wide as its caption and all words of its buttons."""
        hint = super().sizeHint()
        return QSize(hint.width() + (0 if self._recent_in_words() else self._saved()), hint.height())

    def minimumSizeHint(self) -> QSize:
        """As wide as a part of the caption, with an arrow and an icon instead of words."""
        hint = super().minimumSizeHint()
        return QSize(hint.width() - (self._saved() if self._recent_in_words() else 0), hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say in words what the buttons do where the caption is whole beside them."""
        super().resizeEvent(event)
        in_words = self.width() >= self.sizeHint().width()
        self.recent.setText(self._recent_title if in_words else ARROW)
        if self._findable:
            self.find_button.setText(self._find_title if in_words else "")
            self._recolour()

    def _recent_in_words(self) -> bool:
        return self.recent.text() == self._recent_title

    def _saved(self) -> int:
        """The width that the arrow and the icon save."""
        text = self.recent.fontMetrics().horizontalAdvance
        saved = text(self._recent_title) - text(ARROW)
        if self._findable:
            saved += max(0, text(self._find_title) - self.find_button.iconSize().width())
        return saved

    def set_recent(self, recent: Sequence[str]) -> None:
        """Offer recently used files."""
        self._recent = list(recent)
        self._menu.clear()
        for text in self._recent:
            path = Path(text)
            action = self._menu.addAction(f"{path.name}    \u2014  {path.parent.name}")
            action.setData(text)
            action.setToolTip(text)
        self.recent.setEnabled(bool(self._recent))

    def show_empty(self) -> None:
        """No model is chosen."""
        self.path = None
        self._show(self.tr("Drop a file here"), self._hint)
        set_look(self.name, "role", "name-empty")

    def show_reading(self, path: Path) -> None:
        """A model is chosen and its header is being read."""
        self.path = path
        self._show(model_name(path), self.tr("Reading\u2026"))

    def show_summary(self, summary: ModelSummary) -> None:
        """Say what the model is."""
        facts = " \u00b7 ".join(model_facts(summary))
        tensors = plural("ModelCard", "{count} tensor", "{count} tensors", summary.tensors)
        remarks = [notice_text(notice) for notice in summary.notices]
        remark = remarks[0] if remarks else short_link_text(summary)
        self._show(summary.name, breakable(f"{facts}\n{remark}") if remark else facts)
        lines = (str(summary.path), link_text(summary), tensors.format(count=whole(summary.tensors)), *remarks)
        self.setToolTip("\n".join(line for line in lines if line))

    def show_error(self, error: EngineError) -> None:
        """Say what is wrong with the model and what to do."""
        message, remedy = short_error_text(error)
        name = model_name(self.path) if self.path else ""
        self._show(name, breakable(f"\u26a0 {message} {remedy}".strip()))
        set_look(self.detail, "tone", "bad")
        set_look(self, "trouble", True)
        self.detail.setToolTip(f"{message}\n{remedy}".strip())

    @Slot()
    def ask_for_file(self) -> None:
        """Let the person pick a file."""
        start = self.path or (Path(self._recent[0]) if self._recent else None)
        models, every = self.tr("Models"), self.tr("All files")
        endings = " ".join((*(f"*{ending}" for ending in model_endings()), *INDEX_FILES))
        file, _ = QFileDialog.getOpenFileName(
            self, self._caption, str(start.parent) if start else "", f"{models} ({endings});;{every} (*)"
        )
        if file:
            self.chosen.emit(Path(file))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files."""
        if dropped_paths(event) and accept_copy(event):
            set_look(self, "dropping", True)

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        """Back to the usual look."""
        set_look(self, "dropping", False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Pass the files on."""
        set_look(self, "dropping", False)
        if accept_copy(event):
            self.dropped.emit(dropped_paths(event))

    def changeEvent(self, event: QEvent) -> None:
        """Redraw the icon in the new theme's colour."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "clear"):
            self._recolour()

    @Slot()
    def _clear_clicked(self) -> None:
        self.chosen.emit(None)

    @Slot(QAction)
    def _recent_chosen(self, action: QAction) -> None:
        self.chosen.emit(Path(action.data()))

    def _show(self, name: str, detail: str) -> None:
        self.name.setText(name)
        self.detail.setText(detail)
        self.detail.setToolTip("")
        self.setToolTip(str(self.path) if self.path else "")
        self.clear.setVisible(self.path is not None)
        self.setAccessibleDescription(f"{name}. {detail}")
        set_look(self.name, "role", "name")
        set_look(self.detail, "tone", "")
        set_look(self, "trouble", False)

    def _recolour(self) -> None:
        colour = self.palette().color(self.palette().ColorRole.PlaceholderText).name()
        self.clear.setIcon(icon("close", colour, self.clear.iconSize().width()))
        without_word = self._findable and not self.find_button.text()
        size = self.find_button.iconSize().width()
        self.find_button.setIcon(icon("search", colour, size) if without_word else QIcon())
