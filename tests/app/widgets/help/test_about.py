"""The box that says what the program is and what it is made of."""

from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.widgets.help.about_dialog import AboutDialog
from engine import __version__


def test_the_box_names_the_version_and_the_licences_of_what_is_used(qtbot: QtBot, theme: Theme) -> None:
    dialog = AboutDialog()
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: len(dialog.licences.toPlainText()) > 10_000)
    text = dialog.licences.toPlainText()
    for name in ("PySide6", "torch", "numpy", "safetensors", "pyqtgraph"):
        assert name.casefold() in text.casefold()
    assert any(__version__ in label.text() for label in dialog.findChildren(QLabel))
    dialog.accept()
    assert not dialog.isVisible()
