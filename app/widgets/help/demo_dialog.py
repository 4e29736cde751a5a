"""What the demo shows in the end: pictures and losses of the three models, and what the LoRA recovers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QScrollArea,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.text.notices import format_share
from app.text.translation import decimal, translate
from app.text.window_text import short_error_text
from app.widgets.basics.basics import push_button, scaled, set_look, wrapped_label
from app.widgets.basics.window_placement import resize_on_screen
from engine.errors import EngineError

LEGIBLE = QSize(400, 390)  # a smaller picture is scrolled and not shrunk further
ROW_HEIGHT = 28
WORDS_WIDTH = 290


class FittedPicture(QWidget):
    """A picture as large as fits, never larger than it is."""

    def __init__(self) -> None:
        super().__init__()
        self._picture = QPixmap()
        self.setMinimumSize(LEGIBLE)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_picture(self, picture: QPixmap) -> None:
        """Show a picture."""
        self._picture = picture
        self.update()

    def loaded(self) -> bool:
        """Whether there is a picture."""
        return not self._picture.isNull()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw it in the middle of the room there is."""
        if self._picture.isNull():
            return
        room = self.size().boundedTo(self._picture.size())
        size = self._picture.size().scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect((self.width() - size.width()) // 2, (self.height() - size.height()) // 2, *size.toTuple())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(place, self._picture)


class DemoDialog(QDialog):
    """Stays beside the window; first says that it is being worked on, then shows the comparison.

    Attributes:
        folder_clicked: emitted with the folder that holds the picture.
    """

    folder_clicked = Signal(object)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        window.installEventFilter(self)
        self.setWindowTitle(self.tr("The demo: does the LoRA work?"))
        self.setModal(False)
        self._folder: Path | None = None
        self.headline = wrapped_label("", "name")
        self.detail = wrapped_label("", "muted")
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("Comparing"))
        self.losses = QTableWidget(0, 2)
        self.losses.setAccessibleName(self.tr("Losses of the three models"))
        self.losses.setHorizontalHeaderLabels([self.tr("Model"), self.tr("Loss")])
        self.losses.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.losses.horizontalHeader().setHighlightSections(False)
        self.losses.verticalHeader().hide()
        self.losses.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.losses.setShowGrid(False)
        self.losses.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.losses.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.losses.setTabKeyNavigation(False)
        self.losses.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.note = wrapped_label(
            self.tr("The loss is the mean error on held-out digits in the style of the fine-tune; smaller is better."),
            "small",
        )
        self.picture = FittedPicture()
        self.picture.setAccessibleName(self.tr("Digits drawn by the three models with the same seeds"))
        self.open_folder = push_button(self.tr("Open folder"))
        self.open_folder.clicked.connect(self._open_folder)
        close = push_button(self.tr("Close"), kind="primary")
        close.clicked.connect(self.close)
        self._area = QScrollArea()
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setProperty("surface", "clear")
        self._area.setWidgetResizable(True)
        self._area.setWidget(self.picture)
        self._area.viewport().setAutoFillBackground(False)
        self.picture.setAutoFillBackground(False)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.open_folder)
        buttons.addWidget(close)
        words = QVBoxLayout()
        words.setSpacing(12)
        for widget in (self.headline, self.detail, self.progress, self.losses, self.note):
            words.addWidget(widget)
        words.addStretch(1)
        words.addLayout(buttons)
        side = QWidget()
        side.setLayout(words)
        words.setContentsMargins(0, 0, 0, 0)
        side.setFixedWidth(scaled(WORDS_WIDTH))
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 16, 16, 16)
        row.setSpacing(20)
        row.addWidget(self._area, 1)
        row.addWidget(side)
        resize_on_screen(self, QSize(940, 620))

    def show_working(self) -> None:
        """The comparison is being made."""
        self._show(
            self.tr("The LoRA is written. Does it work?"),
            self.tr("Drawing digits with the original, the fine-tuned model, and the original with the LoRA\u2026"),
        )
        self.progress.show()

    def show_comparison(self, picture: Path, losses: Mapping[str, float], recovered: float) -> None:
        """Show how the three models compare."""
        headline = self.tr("The LoRA recovers {share} of what the fine-tune learned.")
        detail = self.tr("Left: digits drawn by the three models with the same seeds.")
        self._show(headline.format(share=format_share(recovered)), detail)
        self.losses.setRowCount(len(losses))
        for row, (title, loss) in enumerate(losses.items()):
            number = QTableWidgetItem(decimal(loss, 4))
            number.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.losses.setItem(row, 0, QTableWidgetItem(translate("demo", title)))
            self.losses.setItem(row, 1, number)
        self.losses.setFixedHeight(self.losses.horizontalHeader().sizeHint().height() + ROW_HEIGHT * len(losses) + 2)
        self.losses.show()
        self.note.show()
        self.picture.set_picture(QPixmap(str(picture)))
        self._folder = picture.parent
        self.open_folder.show()

    def show_error(self, error: EngineError) -> None:
        """The comparison failed; the LoRA itself is there."""
        message, remedy = short_error_text(error)
        self._show(self.tr("The LoRA is written, but it could not be compared."), f"{message} {remedy}".strip())
        set_look(self.detail, "tone", "bad")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Close together with the window."""
        if watched is self.parent() and event.type() == QEvent.Type.Hide and not event.spontaneous():
            self.close()
        return False

    def _show(self, headline: str, detail: str) -> None:
        self.headline.setText(headline)
        self.detail.setText(detail)
        set_look(self.detail, "tone", "")
        for widget in (self.progress, self.losses, self.note, self.open_folder):
            widget.hide()

    @Slot()
    def _open_folder(self) -> None:
        if self._folder is not None:
            self.folder_clicked.emit(self._folder)
