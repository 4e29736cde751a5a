"""One setting of the settings dialog: its name, its control, what it means, and what is wrong with it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.widgets.basics.basics import scaled, set_look, text_label, wrapped_label

TITLE_WIDTH = 136


class SettingRow(QWidget):
    """A title on the left; the control, an explanation and a trouble on the right.

    Attributes:
        control: what the person changes.
        hint: the explanation under the control.
        trouble: what is wrong; hidden while nothing is.
    """

    def __init__(self, title: str, control: QWidget, hint: str = "", beside: tuple[QWidget, ...] = ()) -> None:
        """Put a control into a row.

        Args:
            title: the setting's name; empty for a control that carries its own.
            control: what the person changes.
            hint: what the setting means, in a sentence.
            beside: buttons on the right of the control.
        """
        super().__init__()
        self.control = control
        self.hint = wrapped_label(hint, "small")
        self.hint.setVisible(bool(hint))
        self.trouble = wrapped_label("", "small")
        set_look(self.trouble, "tone", "bad")
        self.trouble.hide()
        name = text_label(title, "muted")
        name.setFixedWidth(scaled(TITLE_WIDTH))
        name.setBuddy(control)
        if title:
            control.setAccessibleName(title)
        control.setAccessibleDescription(hint)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(control, 1)
        for widget in beside:
            line.addWidget(widget)
        self._column = QVBoxLayout()
        self._column.setSpacing(4)
        self._column.addLayout(line)
        self._column.addWidget(self.trouble)
        self._column.addWidget(self.hint)
        name.setMinimumHeight(max(widget.sizeHint().height() for widget in (control, *beside)))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 4, 0, 4)
        row.setSpacing(12)
        row.addWidget(name, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(self._column, 1)

    def add_below(self, widget: QWidget) -> None:
        """Put something between the control and its explanation."""
        self._column.insertWidget(self._column.count() - 2, widget)

    def set_hint(self, hint: str) -> None:
        """Say something else under the control."""
        self.hint.setText(hint)
        self.hint.setVisible(bool(hint))

    def set_trouble(self, trouble: str) -> None:
        """Say what is wrong with the value; an empty text takes it back."""
        self.trouble.setText(f"\u26a0 {trouble}" if trouble else "")
        self.trouble.setVisible(bool(trouble))
        set_look(self.control, "trouble", bool(trouble))
        self.control.setAccessibleDescription(trouble or self.hint.text())
