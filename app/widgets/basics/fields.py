"""One editor per kind of parameter, made from its description in `engine/settings.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QCoreApplication, Qt, Signal, Slot
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QHBoxLayout, QWidget

from app.parameters import FieldSpec
from app.storage.preferences import parse_size, size_text
from app.text.choices import BY_SIZE, choice_meaning
from app.text.programs import Target, targets
from app.text.translation import short_number, shown_number, typed_number
from app.widgets.basics.basics import let_shrink, set_look
from app.widgets.basics.drops import TextField
from app.widgets.basics.sliders import NumberSlider, StopSlider
from engine.models.families import Family
from engine.presets import RANK_STOPS
from engine.settings import ExtractionSettings

DEVICES = ("auto", "all", "cpu", "cuda:0", "mps", "xpu")


def title_of(spec: FieldSpec) -> str:
    """The parameter's title in the person's language."""
    return QCoreApplication.translate("settings", spec.title)


def help_of(spec: FieldSpec) -> str:
    """The parameter's help text in the person's language, with its range and default."""
    text = QCoreApplication.translate("settings", spec.help)
    if spec.minimum is None or spec.maximum is None:
        return text
    ends = (spec.minimum, spec.maximum, spec.default)
    low, high, default = (f"{short_number(end * 100)} %" if spec.percent else short_number(end) for end in ends)
    bounds = QCoreApplication.translate("settings", "From {low} to {high}; {default} unless changed.")
    return f"{text}\n{bounds.format(low=low, high=high, default=default)}"


def choice_title(spec: FieldSpec, choice: str) -> str:
    """A choice in the person's language."""
    title = spec.choice_titles[spec.choices.index(choice)]
    return title if title == choice else QCoreApplication.translate("settings", title)


def component_title(component: str) -> str:
    """A part of a model in the person's language."""
    titles = {
        "denoiser": QCoreApplication.translate("settings", "denoiser"),
        "text_encoders": QCoreApplication.translate("settings", "text encoders"),
        "vae": QCoreApplication.translate("settings", "VAE"),
        "other": QCoreApplication.translate("settings", "other parts"),
    }
    return titles.get(component, component)


class FieldEditor(QWidget):
    """Shows one parameter. `value` may be something the settings refuse; `set_trouble` marks it then."""

    changed = Signal()

    def __init__(self, spec: FieldSpec, control: QWidget) -> None:
        super().__init__()
        self.spec = spec
        self.control = control
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(control)
        self.setFocusProxy(control)
        control.setToolTip(help_of(spec))
        control.setAccessibleName(title_of(spec))
        control.setAccessibleDescription(help_of(spec))

    def value(self) -> Any:
        """The value as the settings model takes it."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value without emitting a signal."""
        raise NotImplementedError

    def set_trouble(self, present: bool) -> None:
        """Mark the value as one that cannot be used."""
        set_look(self.control, "trouble", present)

    @Slot()
    def _emit_changed(self) -> None:
        self.changed.emit()


class NumberEditor(FieldEditor):
    """Slider and number."""

    def __init__(self, spec: FieldSpec) -> None:
        assert spec.minimum is not None
        assert spec.maximum is not None
        self._slider = NumberSlider(
            spec.minimum,
            spec.maximum,
            step=spec.step or (1.0 if spec.kind == "int" else 0.01),
            stops=[stop for stop in RANK_STOPS if stop <= spec.maximum] if spec.log_scale else (),
            percent=spec.percent,
        )
        super().__init__(spec, self._slider)
        self._slider.set_names(title_of(spec), help_of(spec))
        self._slider.changed.connect(self._emit_changed)

    def value(self) -> Any:
        """The number."""
        return self._slider.value()

    def set_value(self, value: Any) -> None:
        """Show a number."""
        self._slider.set_value(value)


class SwitchEditor(FieldEditor):
    """A check box that carries the parameter's title itself."""

    def __init__(self, spec: FieldSpec) -> None:
        self._box = QCheckBox(title_of(spec))
        super().__init__(spec, self._box)
        self._box.toggled.connect(self._emit_changed)

    def value(self) -> Any:
        """Whether it is on."""
        return self._box.isChecked()

    def set_value(self, value: Any) -> None:
        """Show on or off."""
        self._box.blockSignals(True)
        self._box.setChecked(value)
        self._box.blockSignals(False)


class ChoiceEditor(FieldEditor):
    """A drop-down list; tooltips say what each choice means, and why one cannot be chosen now."""

    def __init__(self, spec: FieldSpec) -> None:
        self._combo = QComboBox()
        for choice in spec.choices:
            self.add_choice(choice_title(spec, choice), choice, choice_meaning(spec.name, choice))
        let_shrink(self._combo, 96)
        super().__init__(spec, self._combo)
        self._combo.currentIndexChanged.connect(self._chosen)
        self._explain()

    def add_choice(self, title: str, choice: str, meaning: str, place: int | None = None) -> None:
        """Offer one more, behind the others where there is no other place for it."""
        place = self._combo.count() if place is None else place
        self._combo.insertItem(place, title, choice)
        self._combo.setItemData(place, meaning, Qt.ItemDataRole.ToolTipRole)

    def value(self) -> Any:
        """The chosen one."""
        return self._combo.currentData()

    def set_value(self, value: Any) -> None:
        """Show a choice."""
        self._combo.blockSignals(True)
        self._combo.setCurrentIndex(self._combo.findData(value))
        self._combo.blockSignals(False)
        self._explain()

    def forbid(self, choice: str, reason: str) -> None:
        """Refuse a choice for a reason, which its tooltip says; an empty one allows it again."""
        place = self._combo.findData(choice)
        model = self._combo.model()
        if place < 0 or not isinstance(model, QStandardItemModel):
            return
        model.item(place).setEnabled(not reason)
        meaning = choice_meaning(self.spec.name, choice)
        self._combo.setItemData(place, f"{reason}\n{meaning}".strip(), Qt.ItemDataRole.ToolTipRole)

    def _explain(self) -> None:
        """Say in the tooltip what is chosen, before what can be."""
        meaning = self._combo.currentData(Qt.ItemDataRole.ToolTipRole)
        self._combo.setToolTip("\n\n".join(text for text in (meaning, help_of(self.spec)) if text))

    @Slot()
    def _chosen(self) -> None:
        self._explain()
        self._emit_changed()


class TypeEditor(ChoiceEditor):
    """The types, and among them that of a file with a size in the place of a rank, which is no type of its own."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        title = QCoreApplication.translate("settings", "Standard, a file size")
        self._combo.blockSignals(True)
        self.add_choice(title, BY_SIZE, choice_meaning(spec.name, BY_SIZE), 1)
        self._combo.blockSignals(False)

    @property
    def by_size(self) -> bool:
        """Whether the file's size is given."""
        return bool(self._combo.currentData() == BY_SIZE)

    def value(self) -> Any:
        """The type."""
        return "standard" if self.by_size else super().value()

    def show_by_size(self) -> None:
        """Show that the file's size is given, without emitting a signal."""
        super().set_value(BY_SIZE)


class TargetEditor(FieldEditor):
    """The programs that a file can be for, and formats that no program has the name of."""

    def __init__(self, spec: FieldSpec) -> None:
        self._combo = QComboBox()
        self._family: Family | None = None
        for target in targets():
            self._combo.addItem(target.title, target)
        let_shrink(self._combo, 96)
        super().__init__(spec, self._combo)
        self._combo.currentIndexChanged.connect(self._chosen)
        self.show_family(None)

    @property
    def target(self) -> Target:
        """The chosen one."""
        chosen: Target = self._combo.currentData()
        return chosen

    def value(self) -> Any:
        """The program; empty for a format."""
        return self.target.program

    def set_value(self, value: Any) -> None:
        """Show a program, or without one the format that is shown."""
        self.show_target(Target.of(ExtractionSettings(program=value, key_format=self.target.key_format)))

    def show_target(self, target: Target) -> None:
        """Show what a file is for, without emitting a signal; what is not in the list is put into it."""
        self._combo.blockSignals(True)
        place = next((place for place in range(self._combo.count()) if self._combo.itemData(place) == target), -1)
        if place < 0:
            place = self._combo.count()
            self._combo.addItem(target.title, target)
        self._combo.setCurrentIndex(place)
        self._combo.blockSignals(False)
        self._explain()

    def show_family(self, family: Family | None) -> None:
        """Say in the tooltips what each will not load of a family of models."""
        self._family = family
        for place in range(self._combo.count()):
            words = self._combo.itemData(place).words(family)
            self._combo.setItemData(place, words, Qt.ItemDataRole.ToolTipRole)
        self._explain()

    def _explain(self) -> None:
        self._combo.setToolTip(
            "\n\n".join(text for text in (self.target.words(self._family), help_of(self.spec)) if text)
        )

    @Slot()
    def _chosen(self) -> None:
        self._explain()
        self._emit_changed()


class StopEditor(FieldEditor):
    """A choice as a slider with named stops."""

    def __init__(self, spec: FieldSpec) -> None:
        self._slider = StopSlider(spec.choices, [choice_title(spec, choice) for choice in spec.choices])
        super().__init__(spec, self._slider)
        self._slider.set_names(title_of(spec), help_of(spec))
        self._slider.changed.connect(self._emit_changed)

    def value(self) -> Any:
        """The chosen one."""
        return self._slider.value()

    def set_value(self, value: Any) -> None:
        """Show a choice."""
        self._slider.set_value(value)


class TextEditor(FieldEditor):
    """A line of text; also lists separated by commas, sizes such as 8GiB, and numbers too small for a slider."""

    def __init__(self, spec: FieldSpec, placeholder: str = "") -> None:
        self._line = TextField()
        self._line.setPlaceholderText(placeholder)
        super().__init__(spec, self._line)
        self._line.textEdited.connect(self._emit_changed)

    def value(self) -> Any:
        """The text; a number with a point, however it was typed."""
        text = self._line.text().strip()
        if self.spec.kind == "size":
            return parse_size(text) or text
        return typed_number(text) if self.spec.kind == "float" else text

    def set_value(self, value: Any) -> None:
        """Show a value as text."""
        self._line.setText(_as_text(self.spec, value))
        self._line.setCursorPosition(0)


class DeviceEditor(FieldEditor):
    """The usual devices to choose from; any other can be typed."""

    def __init__(self, spec: FieldSpec) -> None:
        self._combo = QComboBox()
        self._combo.setLineEdit(TextField())
        self._combo.addItems(DEVICES)
        super().__init__(spec, self._combo)
        line = self._combo.lineEdit()
        assert line is not None
        line.setAccessibleName(title_of(spec))
        self._combo.currentTextChanged.connect(self._emit_changed)

    def value(self) -> Any:
        """The device's name."""
        return self._combo.currentText().strip()

    def set_value(self, value: Any) -> None:
        """Show a device."""
        self._combo.blockSignals(True)
        self._combo.setCurrentText(value)
        self._combo.blockSignals(False)


class AlphaEditor(FieldEditor):
    """The usual ways to choose an alpha; any number can be typed."""

    def __init__(self, spec: FieldSpec) -> None:
        self._combo = QComboBox()
        self._combo.setLineEdit(TextField())
        self._titles = {
            "auto": QCoreApplication.translate("settings", "Automatic"),
            "rank": QCoreApplication.translate("settings", "The rank"),
        }
        self._combo.addItems(list(self._titles.values()))
        super().__init__(spec, self._combo)
        line = self._combo.lineEdit()
        assert line is not None
        line.setAccessibleName(title_of(spec))
        self._combo.currentTextChanged.connect(self._emit_changed)

    def value(self) -> Any:
        """A word of the settings or a number."""
        text = self._combo.currentText().strip()
        words = {title.casefold(): word for word, title in self._titles.items()}
        return words.get(text.casefold(), typed_number(text))

    def set_value(self, value: Any) -> None:
        """Show an alpha."""
        self._combo.blockSignals(True)
        self._combo.setCurrentText(self._titles.get(value) or shown_number(str(value)))
        self._combo.blockSignals(False)


class PartsEditor(FieldEditor):
    """Check boxes for a list that takes its values from few choices."""

    def __init__(self, spec: FieldSpec) -> None:
        frame = QWidget()
        super().__init__(spec, frame)
        grid = QGridLayout(frame)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        self._boxes: dict[str, QCheckBox] = {}
        for index, choice in enumerate(spec.choices):
            box = QCheckBox(component_title(choice))
            box.setAccessibleName(f"{title_of(spec)}: {box.text()}")
            box.setToolTip(help_of(spec))
            box.toggled.connect(self._emit_changed)
            grid.addWidget(box, index // 2, index % 2, Qt.AlignmentFlag.AlignLeft)
            self._boxes[choice] = box

    def value(self) -> Any:
        """The chosen ones, in their usual order."""
        return tuple(choice for choice, box in self._boxes.items() if box.isChecked())

    def set_value(self, value: Any) -> None:
        """Show which are chosen."""
        for choice, box in self._boxes.items():
            box.blockSignals(True)
            box.setChecked(choice in value)
            box.blockSignals(False)


def editor_for(spec: FieldSpec) -> FieldEditor:
    """The editor that suits a parameter."""
    if spec.kind == "float" and (spec.step is None or spec.step < 0.01):
        return TextEditor(spec)
    if spec.kind == "list" and spec.choices:
        return PartsEditor(spec)
    if spec.name in _OF_FIELDS:
        return _OF_FIELDS[spec.name](spec)
    if spec.kind == "int" and spec.maximum is not None and spec.maximum > 100_000:
        return TextEditor(spec)
    makers: dict[str, Callable[[FieldSpec], FieldEditor]] = {
        "bool": SwitchEditor,
        "int": NumberEditor,
        "float": NumberEditor,
        "choice": ChoiceEditor,
        "text": TextEditor,
        "list": _pattern_editor,
        "size": _size_editor,
    }
    return makers[spec.kind](spec)


_OF_FIELDS: dict[str, Callable[[FieldSpec], FieldEditor]] = {
    "device": DeviceEditor,
    "vram_usage_mode": StopEditor,
    "lora_type": TypeEditor,
    "program": TargetEditor,
    "alpha": AlphaEditor,
    "strength": TextEditor,
}


def _pattern_editor(spec: FieldSpec) -> FieldEditor:
    return TextEditor(spec, QCoreApplication.translate("settings", "such as *attn*, *mlp.0*"))


def _size_editor(spec: FieldSpec) -> FieldEditor:
    if spec.name == "target_size":
        return TextEditor(spec, QCoreApplication.translate("settings", "such as 150 MB"))
    return TextEditor(spec, QCoreApplication.translate("settings", "automatic, or 8GiB"))


def _as_text(spec: FieldSpec, value: Any) -> str:
    if value is None:
        return ""
    if spec.kind == "list":
        return ", ".join(value)
    if spec.kind == "size":
        return size_text(int(value)) if spec.name == "target_size" else _size_text(int(value))
    if spec.kind == "float":
        return short_number(value)
    return str(value)


def _size_text(size: int) -> str:
    for unit, factor in (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)
