"""The small dialogs: questions before something is lost, the list of shortcuts, what this program is."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QMessageBox, QVBoxLayout, QWidget

from app.paths import APP_NAME
from app.shortcuts import SHORTCUTS
from app.widgets.basics import push_button, text_label, wrapped_label


def _tr(text: str) -> str:
    return QCoreApplication.translate("dialogs", text)


def ask_stop(parent: QWidget, *, closing: bool) -> bool:
    """Ask whether a run shall be stopped."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(_tr("Stop the extraction"))
    box.setText(_tr("Stop the extraction and quit?") if closing else _tr("Stop the extraction?"))
    box.setInformativeText(_tr("The layer being worked on is finished first. Nothing is written."))
    stop = box.addButton(_tr("Stop"), QMessageBox.ButtonRole.DestructiveRole)
    keep = box.addButton(_tr("Keep going"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.exec()
    return box.clickedButton() is stop


def show_about(parent: QWidget, version: str) -> None:
    """Say what this program is."""
    text = _tr("Makes a LoRA from a fine-tuned model and the model it was trained from, and says how good it is.")
    QMessageBox.about(
        parent, _tr("About {name}").format(name=APP_NAME), f"<b>{APP_NAME} {version}</b><p>{text}</p><p>Apache-2.0</p>"
    )


class ShortcutsDialog(QDialog):
    """All shortcuts, from the table that binds them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(8)
        for row, shortcut in enumerate(SHORTCUTS.values()):
            keys = text_label(shortcut.shown(), "key")
            grid.addWidget(keys, row, 0, Qt.AlignmentFlag.AlignLeft)
            grid.addWidget(text_label(shortcut.title), row, 1)
        close = push_button(self.tr("Close"), kind="primary")
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(close)
        hint = wrapped_label(
            self.tr("Tab moves through all controls; arrow keys move sliders and open lists."), "small"
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 16)
        column.setSpacing(16)
        column.addLayout(grid)
        column.addWidget(hint)
        column.addLayout(buttons)
