"""The panel that says what LoRA to make: only what matters to the chosen type, the rest one click away."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QCoreApplication, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QWidget

from app.text.notices import format_bytes
from app.text.outputs import files_counted
from app.text.programs import Target
from app.text.translation import short_number
from app.widgets.basics.basics import Panel, link_button, set_look, wrapped_label
from app.widgets.basics.fields import ChoiceEditor, TargetEditor, TypeEditor, help_of
from app.widgets.basics.form import SettingsForm
from app.widgets.basics.sliders import NumberSlider
from app.widgets.settings.further_files import FurtherFiles
from engine.models.families import Family
from engine.planning.sizing import SizeRange
from engine.presets import PRESET_WORDS, PRESETS, PURPOSE_PRESETS, QUALITY_PRESETS, recommended_rank
from engine.settings import NO_PARAMETER, RECOMMENDED_ADAPTIVE_PARAM, ExtractionSettings

NOT_FOR_FULL = ("rank", "algorithm", "lowrank_iters", "seed", "clamp_quantile", "clamp_max_loss", "alpha")
FP8 = "fp8_e4m3"
USUAL_SIZE = 100_000_000


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


class RankButton(QWidget):
    """Offers the rank that suits the family of the open pair; nothing sets it but a click.

    Attributes:
        use: emitted with that rank.
    """

    use = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._rank = 0
        self.link = link_button("")
        self.link.setAccessibleName(self.tr("Use the recommended rank"))
        self.link.setToolTip(
            self.tr("A rank to begin with, usual for LoRAs of these models. Nothing changes the rank by itself.")
        )
        self.link.clicked.connect(self._clicked)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 2)
        row.addStretch(1)
        row.addWidget(self.link)
        self.hide()

    def show_for(self, family: Family | None, rank: object) -> None:
        """Offer what suits a family; hidden where nothing is recommended, and where the rank is that already."""
        recommended = recommended_rank(family.key) if family is not None else None
        self.setVisible(recommended is not None and recommended != rank)
        if family is None or recommended is None:
            return
        self._rank = recommended
        text = self.tr("recommended for {family}: {rank}")
        self.link.setText(text.format(family=family.title.partition(" (")[0], rank=recommended))
        self.link.setAccessibleName(self.link.text())

    @Slot()
    def _clicked(self) -> None:
        self.use.emit(self._rank)


class OptionsPanel(Panel):
    """Every field of `ExtractionSettings`, and what else a run writes.

    Attributes:
        changed: emitted after the person changed anything.
        shown: emitted after the program showed other settings.
        form: the rows.
        further: the further files of a run.
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
        self.further = FurtherFiles()
        self.form.put_first(self.further)
        self._family: Family | None = None
        self._usual_size = USUAL_SIZE
        self.note = RecommendedNote()
        self.note.use.connect(self._use_recommended)
        self.recommended = RankButton()
        self.recommended.use.connect(self._use_rank)
        self.sizes = wrapped_label("", "small")
        self.hint = wrapped_label(self.tr("Style LoRAs: rank 16 to 64. Characters: 32 to 128."), "small")
        self.trouble = wrapped_label("", "small")
        set_look(self.trouble, "tone", "bad")
        self.trouble.hide()
        plain = self.form.plain
        plain.insertWidget(plain.indexOf(self.form.rows["adaptive_param"]) + 1, self.note)
        plain.insertWidget(plain.indexOf(self.form.rows["rank"]) + 1, self.form.rows["target_size"])
        plain.insertWidget(plain.indexOf(self.form.rows["target_size"]) + 1, self.sizes)
        plain.insertWidget(plain.indexOf(self.form.rows["rank"]) + 1, self.recommended)
        self.body.addWidget(self.form.widget)
        self.body.addWidget(self.form.advanced)
        self.body.addWidget(self.hint)
        self.body.addWidget(self.trouble)
        self.form.changed.connect(self._changed)
        self.further.changed.connect(self._further_changed)
        self._order_tabs()
        self.show_settings(ExtractionSettings())

    def settings(self) -> ExtractionSettings | None:
        """The settings of the first file, which is the largest; None while something in them cannot be used."""
        return next(iter(self.files()), None)

    def also(self) -> tuple[ExtractionSettings, ...]:
        """The settings of each further file of a run."""
        return self.files()[1:]

    def files(self) -> tuple[ExtractionSettings, ...]:
        """The settings of all files of a run; none while something in them cannot be used."""
        settings = self.form.check()[0]
        if settings is None or (self.further.trouble() and not self.further.isHidden()):
            return ()
        if self._type.by_size:  # without a rank, which would be the largest that a layer may have
            settings = ExtractionSettings.model_validate(settings.model_dump(exclude={"rank"}))
        return self.further.files(settings)

    def troubles(self) -> tuple[str, ...]:
        """Titles of the fields that cannot be used."""
        titles, further = self.form.check()[1], self.further.trouble()
        return (*titles, further) if further and not self.further.isHidden() else titles

    def show_settings(self, settings: ExtractionSettings, also: Sequence[ExtractionSettings] = ()) -> None:
        """Show the settings of a run; `changed` is not emitted."""
        self.form.show_settings(settings)
        self._target.show_target(Target.of(settings))
        self.further.show_also(settings, also)
        if settings.target_size is not None and settings.lora_type == "standard":
            self._type.show_by_size()
        self._refresh()
        self.shown.emit()

    def show_pair(self, family: Family | None, size_bytes: int | None = None, sizes: SizeRange | None = None) -> None:
        """Say what programs will not load of a family of models, and which rank is recommended for it.

        Args:
            family: of the two models; None where that is not known.
            size_bytes: of the planned file, which a wanted size begins with; None where there is none.
            sizes: that the file can have, from rank 1 to all ranks; None where they are not known.
        """
        text = self.tr("Possible: {least} to {most}")
        self.sizes.setText(
            text.format(least=format_bytes(sizes.least), most=format_bytes(sizes.most)) if sizes is not None else ""
        )
        self.sizes.setVisible(bool(self.sizes.text()) and self._type.by_size)
        self._family = family
        self._target.show_family(family)
        self.further.show_family(family)
        if size_bytes:
            self._usual_size = size_bytes
        self._forbid_fp8()
        self._recommend_rank()

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
        menu.setToolTipsVisible(True)
        for group in (QUALITY_PRESETS, PURPOSE_PRESETS):
            for name in group:
                title, words = (QCoreApplication.translate("settings", text) for text in (name, PRESET_WORDS[name]))
                action = menu.addAction(f"{title}\t{words}")  # the words stand in a column of their own
                action.setToolTip(words)
                action.setData(name)
            menu.addSeparator()
        action = menu.addAction(self.tr("Defaults"))
        action.setData("")
        menu.triggered.connect(self._preset_chosen)
        return menu

    @Slot(QAction)
    def _preset_chosen(self, action: QAction) -> None:
        values = PRESETS.get(action.data())
        if values is None:
            self.reset()
            return
        self.form.show_values({**_of_presets(), **values})
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

    @Slot(int)
    def _use_rank(self, rank: int) -> None:
        self.form.show_values({"rank": rank})
        self._refresh()
        self.changed.emit()

    def _recommend_rank(self) -> None:
        """Offer the family's rank where one rank is asked for."""
        values = self.form.values()
        if values["lora_type"] == "standard" and not self._type.by_size:
            self.recommended.show_for(self._family, values["rank"])
        else:
            self.recommended.hide()

    @Slot(str)
    def _changed(self, name: str) -> None:
        if name == "program":
            self.form.show_values({"key_format": self._target.target.key_format})
        elif name == "key_format":  # chosen by hand, so that it is for whatever reads it
            self._target.show_target(Target("", self.form.editor("key_format").value()))
        elif name == "lora_type":
            self._follow_type()
        self._refresh()
        self.changed.emit()

    @Slot()
    def _further_changed(self) -> None:
        self._refresh()
        self.changed.emit()

    @property
    def _type(self) -> TypeEditor:
        editor = self.form.editor("lora_type")
        assert isinstance(editor, TypeEditor)
        return editor

    @property
    def _target(self) -> TargetEditor:
        editor = self.form.editor("program")
        assert isinstance(editor, TargetEditor)
        return editor

    def _order_tabs(self) -> None:
        """Let Tab go through the rows as they are seen, where that is not the order of the settings."""
        rank = self.form.editor("rank").control
        assert isinstance(rank, NumberSlider)
        size, precision, program, names = (
            self.form.editor(name).control for name in ("target_size", "output_dtype", "program", "key_format")
        )
        QWidget.setTabOrder(rank.number, size)
        in_order = (precision, program, self.further.ranks, self.further.programs, names)
        for one, next_one in pairwise(in_order):
            QWidget.setTabOrder(one, next_one)

    def _follow_type(self) -> None:
        """A size begins with that of the planned file; with any other type there is none."""
        size = self.form.editor("target_size")
        if not self._type.by_size:
            size.set_value(None)
        elif size.value() == "":
            size.set_value(_round_size(self._usual_size))

    def _forbid_fp8(self) -> None:
        """Refuse fp8 where a chosen program cannot load it."""
        editor = self.form.editor("output_dtype")
        assert isinstance(editor, ChoiceEditor)
        reason, family = "", self._family
        for target in self.further.all_targets() if family is not None else ():
            assert family is not None
            loads = target.loads(family)
            if loads is not None and not loads.fp8:
                reason = self.tr("{program} does not load fp8.").format(program=target.title)
                break
        editor.forbid(FP8, reason)

    def _show_hint(self, *, styles: bool) -> None:
        """Name the further files, or else the ranks that are usual where a rank is chosen."""
        files = self.files()
        text = self.tr("Style LoRAs: rank 16 to 64. Characters: 32 to 128.") if styles else ""
        if len(files) > 1:
            text = self.tr("{files}: {what}").format(files=files_counted(len(files)), what=self._named(files))
        self.hint.setText(text)
        self.hint.setVisible(bool(text))

    def _named(self, files: Sequence[ExtractionSettings]) -> str:
        """Ranks or sizes, and programs, of all files."""
        smallest_first = sorted(files, key=lambda item: item.target_size or item.rank)
        values = [item.rank if item.target_size is None else format_bytes(item.target_size) for item in smallest_first]
        names = ", ".join(dict.fromkeys(Target.of(item).title for item in files))
        figures = ", ".join(dict.fromkeys(map(str, values)))
        text = self.tr("{sizes}, for {programs}") if self._type.by_size else self.tr("rank {ranks}, for {programs}")
        return text.format(ranks=figures, sizes=figures, programs=names)

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
        full, by_size = values["lora_type"] == "full", self._type.by_size
        adaptive = str(values["lora_type"]).startswith("adaptive")
        for name in NOT_FOR_FULL:
            rows[name].setVisible(not full)
        rows["rank"].setVisible(not full and not by_size)
        rows["target_size"].setVisible(by_size)
        rows["size_by"].setVisible(by_size)
        self.sizes.setVisible(by_size and bool(self.sizes.text()))
        self.further.set_by_size(by_size)
        self.further.set_own(self._target.target)
        self.further.setVisible(not full)
        self._forbid_fp8()
        rows["adaptive_param"].setVisible(values["lora_type"] not in NO_PARAMETER)
        rows["lowrank_iters"].setVisible(not full and values["algorithm"] == "svd_lowrank")
        rows["clamp_max_loss"].setVisible(not full and values["clamp_quantile"])
        rows["rank"].label.setText(self.tr("Rank, at most") if adaptive else self.tr("Rank"))
        self._show_hint(styles=not full and not adaptive and not by_size)
        self.note.show_for(values["lora_type"], values["adaptive_param"])
        self._recommend_rank()
        self._show_end_of_name()
        troubles = self.troubles()
        self.trouble.setVisible(bool(troubles))
        self.trouble.setText(self.tr("Cannot be used: {titles}.").format(titles=", ".join(troubles)))


def _of_presets() -> dict[str, object]:
    """The defaults of every field that any preset sets, and no size: what another one switched is not left behind."""
    defaults = ExtractionSettings().model_dump()
    names = {name for values in PRESETS.values() for name in values} | {"target_size", "size_by"}
    return {name: defaults[name] for name in names}


def _round_size(size: int) -> int:
    """A size with two digits that is not smaller."""
    unit: int = 10 ** max(0, len(str(size)) - 2)
    return -(-size // unit) * unit
