"""What this program is, and the licences of everything that it is made of."""

from __future__ import annotations

from PySide6.QtCore import QSize, QThread, Slot
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from app.look.icons import app_icon
from app.storage.paths import APP_NAME
from app.support.licences import licence_text
from app.widgets.basics.basics import push_button, scaled, text_label, wrapped_label
from app.widgets.basics.window_placement import resize_on_screen
from engine import __version__

ICON = 48


class LicenceReader(QThread):
    """Collects the texts, which takes a moment where the program runs from its sources.

    Attributes:
        text: the licences, once the thread has finished; or why they cannot be read.
    """

    text = ""

    def run(self) -> None:
        """Read."""
        try:
            self.text = licence_text()
        except Exception as error:  # the dialog says it; nothing depends on the texts
            self.text = str(error)


class AboutDialog(QDialog):
    """Name, version and licence at once; the licences of the others as soon as they are read.

    Attributes:
        licences: their texts.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("About {name}").format(name=APP_NAME))
        picture = QLabel()
        picture.setPixmap(app_icon().pixmap(scaled(ICON), scaled(ICON)))
        name = text_label(self.tr("{name} {version}").format(name=APP_NAME, version=__version__), "name")
        what = wrapped_label(
            self.tr("Makes a LoRA from a fine-tuned model and the model it was trained from, and says how good it is.")
        )
        ours = wrapped_label(
            self.tr("Apache License 2.0. Nothing is ever sent anywhere. It is made with these programs:"), "muted"
        )
        self.licences = QPlainTextEdit()
        self.licences.setReadOnly(True)
        self.licences.setTabChangesFocus(True)
        self.licences.setProperty("framed", True)
        self.licences.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.licences.setAccessibleName(self.tr("Licences"))
        self.licences.setPlaceholderText(self.tr("Reading the licences\u2026"))
        close = push_button(self.tr("Close"), kind="primary")
        close.clicked.connect(self.accept)
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(name)
        words.addWidget(what)
        head = QHBoxLayout()
        head.setSpacing(16)
        head.addWidget(picture)
        head.addLayout(words, 1)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 16)
        column.setSpacing(16)
        column.addLayout(head)
        column.addWidget(ours)
        column.addWidget(self.licences, 1)
        column.addLayout(buttons)
        resize_on_screen(self, QSize(scaled(720), scaled(520)))
        close.setFocus()
        self._reader = LicenceReader(self)
        self._reader.finished.connect(self._show)
        self._reader.start()

    def done(self, result: int) -> None:
        """Close once the thread that reads for this dialog has ended."""
        self._reader.wait()
        super().done(result)

    @Slot()
    def _show(self) -> None:
        self.licences.setPlainText(self._reader.text)
