"""The panel that says what LoRA to make: only what matters to the chosen type, the rest one click away."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QWidget

from app.text.translation import short_number
from app.widgets.basics.basics import Panel, link_button, set_look, wrapped_label
from app.widgets.basics.fields import help_of
from app.widgets.basics.form import SettingsForm
from engine.presets import QUALITY_PRESETS
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM, ExtractionSettings

NOT_FOR_FULL = ("rank", "algorithm", "lowrank_iters", "seed", "clamp_quantile", "clamp_max_loss")


class RecommendedNote(QWidget):
    """Says which adaptive values suit the type, and sets the usual one with a click."""

    use = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self._recommended = 0.0
        self._text = wrapped_label("", "small")
        self._link = link_button("")
        self._link.setAccessibleName(self.tr("Use the recommended adaptive value"))
        self._link.clicked.connect(self._clicked)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 2)
        row.setSpacing(4)
        row.addWidget(self._text, 1)
        row.addWidget(self._link)

    def show_for(self, lora_type: str, value: float) -> None:
        """Compare a value with what suits the type; hidden for types that have none."""
        bounds = RECOMMENDED_ADAPTIVE_PARAM.get(lora_type)
        self.setVisible(bounds is not None)
        if bounds is None:
            return
        low, high, self._recommended = bounds
        far = not low <= value <= high
        wording = (
            self.tr("\u26a0 {value} is unusual for this type; {low} to {high} is usual.")
            if far
            else self.tr("Usual: {low} to {high}")
        )
        self._text.setText(wording.format(value=short_number(value), low=short_number(low), high=short_number(high)))
        set_look(self._text, "tone", "warning" if far else "")
        self._link.setText(self.tr("use {value}").format(value=short_number(self._recommended)))
        self._link.setVisible(abs(value - self._recommended) > 1e-9)

    @Slot()
    def _clicked(self) -> None:
        self.use.emit(self._recommended)


class OptionsPanel(Panel):
    """Every field of `ExtractionSettings`.

    Attributes:
        changed: emitted after the person changed anything.
        shown: emitted after the program showed other settings.
        form: the rows.
    """

    changed = Signal()
    shown = Signal()

    def __init__(self) -> None:
        super().__init__(QCoreApplication.translate("OptionsPanel", "LoRA"))
        self.presets = link_button(self.tr("presets"))
        self.presets.setToolTip(self.tr("Settings for a purpose, in one click"))
        self.presets.setMenu(self._preset_menu())
        self.more = link_button(self.tr("more options"))
        self.more.clicked.connect(self._toggle_more)
        self.header.addWidget(self.presets)
        self.header.addWidget(self.more)
        self.form = SettingsForm(ExtractionSettings, lambda spec: spec.advanced)
        self.note = RecommendedNote()
        self.note.use.connect(self._use_recommended)
        self.hint = wrapped_label(self.tr("Style LoRAs: rank 16 to 64. Characters: 32 to 128."), "small")
        self.trouble = wrapped_label("", "small")
        set_look(self.trouble, "tone", "bad")
        self.trouble.hide()
        plain = self.form.plain
        plain.insertWidget(plain.indexOf(self.form.rows["adaptive_param"]) + 1, self.note)
        self.body.addWidget(self.form.widget)
        self.body.addWidget(self.form.advanced)
        self.body.addWidget(self.hint)
        self.body.addWidget(self.trouble)
        self.form.changed.connect(self._changed)
        self.show_settings(ExtractionSettings())

    def settings(self) -> ExtractionSettings | None:
        """What the panel shows; None while something in it cannot be used."""
        return self.form.check()[0]

    def troubles(self) -> tuple[str, ...]:
        """Titles of the fields that cannot be used."""
        return self.form.check()[1]

    def show_settings(self, settings: ExtractionSettings) -> None:
        """Show settings; `changed` is not emitted."""
        self.form.show_settings(settings)
        self._refresh()
        self.shown.emit()

    def more_shown(self) -> bool:
        """Whether the further options are open."""
        return not self.form.advanced.isHidden()

    def show_more(self, shown: bool) -> None:
        """Open or close the further options."""
        self.form.advanced.setVisible(shown)
        self.more.setText(self.tr("fewer options") if shown else self.tr("more options"))
        self.more.setAccessibleName(self.more.text())
        self._refresh()

    def reset(self) -> None:
        """Back to the defaults."""
        self.show_settings(ExtractionSettings())
        self.changed.emit()

    def _preset_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAccessibleName(self.tr("Presets"))
        for name in QUALITY_PRESETS:
            action = menu.addAction(QCoreApplication.translate("settings", name))
            action.setData(name)
        menu.addSeparator()
        action = menu.addAction(self.tr("Defaults"))
        action.setData("")
        menu.triggered.connect(self._preset_chosen)
        return menu

    @Slot(QAction)
    def _preset_chosen(self, action: QAction) -> None:
        values = QUALITY_PRESETS.get(action.data())
        if values is None:
            self.reset()
            return
        self.form.show_values(values)
        self._refresh()
        self.changed.emit()

    @Slot()
    def _toggle_more(self) -> None:
        self.show_more(not self.more_shown())

    @Slot(float)
    def _use_recommended(self, value: float) -> None:
        self.form.show_values({"adaptive_param": value})
        self._refresh()
        self.changed.emit()

    @Slot(str)
    def _changed(self, _name: str) -> None:
        self._refresh()
        self.changed.emit()

    def _show_end_of_name(self) -> None:
        """Names differ at their end; the tooltip has the whole."""
        editor = self.form.editor("filename_prefix")
        line = editor.findChild(QLineEdit)
        if line is not None and not line.hasFocus():
            set_look(line, "narrow", True)
            line.setCursorPosition(len(line.text()))
            line.setToolTip(f"{line.text()}\n{help_of(editor.spec)}".strip())

    def _refresh(self) -> None:
        """Show what matters to the chosen type and method."""
        values = self.form.values()
        rows = self.form.rows
        full = values["lora_type"] == "full"
        adaptive = str(values["lora_type"]).startswith("adaptive")
        for name in NOT_FOR_FULL:
            rows[name].setVisible(not full)
        rows["adaptive_param"].setVisible(adaptive)
        rows["lowrank_iters"].setVisible(not full and values["algorithm"] == "svd_lowrank")
        rows["clamp_max_loss"].setVisible(not full and values["clamp_quantile"])
        rows["rank"].label.setText(self.tr("Rank, at most") if adaptive else self.tr("Rank"))
        self.hint.setVisible(not full and not adaptive)
        self.note.show_for(values["lora_type"], values["adaptive_param"])
        self._show_end_of_name()
        troubles = self.troubles()
        self.trouble.setVisible(bool(troubles))
        self.trouble.setText(self.tr("Cannot be used: {titles}.").format(titles=", ".join(troubles)))
