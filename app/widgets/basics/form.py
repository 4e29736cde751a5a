"""A form for one settings model: a row per parameter, nothing typed in by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QAbstractSpinBox, QBoxLayout, QComboBox, QSlider, QVBoxLayout, QWidget

from app.parameters import FieldSpec, field_specs
from app.widgets.basics.basics import WheelGuard, scaled, text_label
from app.widgets.basics.fields import FieldEditor, PartsEditor, StopEditor, SwitchEditor, editor_for, help_of, title_of

Model = TypeVar("Model", bound=BaseModel)
LABEL_WIDTH = 104


class FormRow(QWidget):
    """Label and editor of one parameter."""

    def __init__(self, spec: FieldSpec, editor: FieldEditor) -> None:
        super().__init__()
        self.editor = editor
        self.label = text_label(title_of(spec), "muted")
        self.label.setFixedWidth(scaled(LABEL_WIDTH))
        self.label.setWordWrap(True)  # other languages have longer titles
        self.label.setToolTip(help_of(spec))
        self.label.setBuddy(editor)
        row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self.setMinimumHeight(27)
        if isinstance(editor, PartsEditor):
            row.setDirection(QBoxLayout.Direction.TopToBottom)
        # Named stops and check boxes speak for themselves.
        self.label.setVisible(not isinstance(editor, (StopEditor, SwitchEditor)))
        row.addWidget(self.label, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(editor, 1)


class FormSignals(QObject):
    """The form's signal, apart from the generic class."""

    changed = Signal(str)

    @Slot()
    def relay(self) -> None:
        """Pass on which editor changed."""
        editor = self.sender()
        assert isinstance(editor, FieldEditor)
        self.changed.emit(editor.spec.name)


class SettingsForm(Generic[Model]):
    """Rows for the fields of a settings model.

    Attributes:
        rows: by field name.
        changed: emitted with the name of a field that the person changed.
        plain: the layout of the fields that everybody needs.
        advanced: the widget with the others.
    """

    def __init__(self, model: type[Model], advanced: Callable[[FieldSpec], bool]) -> None:
        self._model = model
        self._signals = FormSignals()
        self.changed = self._signals.changed
        self._guard = WheelGuard()
        self.rows: dict[str, FormRow] = {}
        self._plain_widget = QWidget()
        self._plain_widget.setProperty("surface", "clear")
        self.plain = _column(self._plain_widget)
        self.advanced = QWidget()
        self.advanced.setProperty("surface", "clear")
        self._advanced_layout = _column(self.advanced)
        for spec in field_specs(model):
            editor = editor_for(spec)
            editor.changed.connect(self._signals.relay)
            row = FormRow(spec, editor)
            self.rows[spec.name] = row
            (self._advanced_layout if advanced(spec) else self.plain).addWidget(row)
            for kind in (QComboBox, QAbstractSpinBox, QSlider):
                for control in editor.findChildren(kind):
                    control.installEventFilter(self._guard)
                    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.advanced.hide()

    def put_first(self, widget: QWidget) -> None:
        """Put a widget before the rows that not everybody needs."""
        self._advanced_layout.insertWidget(0, widget)

    @property
    def widget(self) -> QWidget:
        """The rows that everybody needs."""
        return self._plain_widget

    def editor(self, name: str) -> FieldEditor:
        """The editor of a field."""
        return self.rows[name].editor

    def values(self) -> dict[str, Any]:
        """What the editors show, valid or not."""
        return {name: row.editor.value() for name, row in self.rows.items()}

    def show_settings(self, settings: Model) -> None:
        """Show settings without emitting a signal."""
        self.show_values(settings.model_dump())

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show the values of some fields without emitting a signal."""
        for name, value in values.items():
            self.rows[name].editor.set_value(value)
        self.check()

    def check(self) -> tuple[Model | None, tuple[str, ...]]:
        """The settings the form shows, or the titles of the fields that cannot be used; those are marked."""
        settings, bad = None, set()
        try:
            settings = self._model.model_validate(self.values())
        except ValidationError as error:
            bad = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
        for name, row in self.rows.items():
            row.editor.set_trouble(name in bad)
        titles = tuple(title_of(row.editor.spec) for name, row in self.rows.items() if name in bad)
        return settings, titles


def _column(widget: QWidget) -> QVBoxLayout:
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(2)
    return column
