"""What else a run writes beside its first file: other ranks, or sizes, and other programs, from one decomposition."""

from __future__ import annotations

import re
from collections.abc import Sequence

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from app.storage.preferences import parse_size, size_text
from app.text.programs import Target, targets
from app.widgets.basics.basics import let_shrink, scaled, set_look, text_label
from app.widgets.basics.drops import TextField
from app.widgets.basics.form import LABEL_WIDTH
from engine.models.families import Family
from engine.settings import ExtractionSettings

MOST_FILES = 32
_BETWEEN = re.compile(r"[\s,;]+")
_BETWEEN_SIZES = re.compile(r"\s*[;]\s*|\s*,\s+|,(?=\d+\s*[A-Za-z])")
LEAST_RANK, LARGEST_RANK = 1, 4096


class MenuCombo(QComboBox):
    """Looks like a list to choose one of, and opens a menu in which several can be chosen.

    Attributes:
        menu: its entries.
    """

    def __init__(self) -> None:
        super().__init__()
        self.menu = QMenu(self)

    def show_text(self, text: str) -> None:
        """Say what is chosen."""
        self.clear()
        self.addItem(text)

    def showPopup(self) -> None:
        """Open the menu, as wide as the list would be."""
        self.menu.setMinimumWidth(self.width())
        self.menu.popup(self.mapToGlobal(self.rect().bottomLeft()))


class FurtherFiles(QWidget):
    """Two rows: ranks as typed, and a menu of programs.

    Attributes:
        changed: emitted after the person changed anything.
        ranks: the field of the ranks, or of the sizes where a size is given.
        programs: opens the menu.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("surface", "clear")
        self._by_size = False
        self._own = targets()[0]
        self._family: Family | None = None
        self._chosen: list[Target] = []
        self._texts = {True: "", False: ""}
        self.ranks = TextField()
        self.ranks.textEdited.connect(self.changed)
        self.programs = MenuCombo()
        let_shrink(self.programs, 96)
        self._menu = self.programs.menu
        self._menu.setAccessibleName(self.tr("Also for"))
        self._menu.setToolTipsVisible(True)
        self._menu.triggered.connect(self._toggle)
        self._ranks_label, self._programs_label = text_label("", "muted"), text_label(self.tr("Also for"), "muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        rows = ((self._ranks_label, self.ranks), (self._programs_label, self.programs))
        for label, control in rows:
            label.setFixedWidth(scaled(LABEL_WIDTH))
            label.setWordWrap(True)
            label.setBuddy(control)
            row = QHBoxLayout()
            row.setSpacing(0)
            row.addWidget(label)
            row.addWidget(control, 1)
            column.addLayout(row)
        help_text = self.tr("Further files of the same run: the models are read and worked on once.")
        self.programs.setToolTip(help_text)
        self._programs_label.setToolTip(help_text)
        self.set_by_size(False)
        self._fill_menu()

    def set_by_size(self, by_size: bool) -> None:
        """Ask for sizes in the place of ranks, or for ranks again."""
        if by_size != self._by_size:
            self._texts[self._by_size] = self.ranks.text()
            self._by_size = by_size
            self.ranks.setText(self._texts[by_size])
        title = self.tr("Also sizes") if by_size else self.tr("Also ranks")
        self._ranks_label.setText(title)
        self.ranks.setPlaceholderText(self.tr("such as 50 MB, 300 MB") if by_size else self.tr("such as 32, 128"))
        text = self.tr("A further file each, of the same run: the models are read and worked on once.")
        for widget in (self._ranks_label, self.ranks):
            widget.setToolTip(text)
        self.ranks.setAccessibleName(title)
        self.ranks.setAccessibleDescription(text)

    def set_own(self, target: Target) -> None:
        """What the first file is for: it is not offered once more."""
        if target != self._own:
            self._own = target
            self._fill_menu()

    def show_family(self, family: Family | None) -> None:
        """Offer only what loads LoRAs of a family of models."""
        self._family = family
        self._fill_menu()

    def show_also(self, settings: ExtractionSettings, also: Sequence[ExtractionSettings]) -> None:
        """Show the further files of a run; `changed` is not emitted."""
        self._own = Target.of(settings)
        self._chosen = [target for target in dict.fromkeys(map(Target.of, also)) if target != self._own]
        ranks = [item.rank for item in also if item.rank != settings.rank]
        sizes = [item.target_size for item in also if item.target_size not in (None, settings.target_size)]
        self._texts = {
            False: ", ".join(map(str, dict.fromkeys(ranks))) if settings.target_size is None else "",
            True: ", ".join(size_text(int(size)) for size in dict.fromkeys(sizes) if size is not None),
        }
        self.ranks.setText(self._texts[self._by_size])
        self._fill_menu()

    def all_targets(self) -> tuple[Target, ...]:
        """What the first file and the further ones are for."""
        return (self._own, *self._programs())

    def trouble(self) -> str:
        """The title of what cannot be used; empty where all can."""
        bad = self._values() is None
        set_look(self.ranks, "trouble", bad)
        return self._ranks_label.text() if bad else ""

    def files(self, own: ExtractionSettings) -> tuple[ExtractionSettings, ...]:
        """The settings of all files of a run: every rank, or size, for every program.

        The first is the largest one: a run shows the layers of its first file, whose decomposition answers for the
        others too.

        Args:
            own: what is chosen beside the further files.
        """
        values = self._values()
        if values is None or own.lora_type == "full":
            return (own,)
        name = "target_size" if self._by_size else "rank"
        largest_first = sorted({int(getattr(own, name) or 0), *values}, reverse=True)
        return tuple(
            own.model_copy(update={**target.changes, name: value} if values else target.changes)
            for target in (Target.of(own), *self._programs())
            for value in largest_first
        )

    def _programs(self) -> list[Target]:
        return [target for target in self._chosen if target != self._own]

    def _values(self) -> list[int] | None:
        """What was typed, as ranks or bytes; None where a part of it is neither."""
        text = self.ranks.text().strip().strip(",;")
        parts = [part for part in (_BETWEEN_SIZES if self._by_size else _BETWEEN).split(text) if part]
        values = [parse_size(part) if self._by_size else _rank(part) for part in parts]
        found = [value for value in values if value]
        return found if len(found) == len(values) and len(found) < MOST_FILES else None

    def _show_chosen(self) -> None:
        """Name the chosen programs."""
        names = ", ".join(target.title for target in self._programs())
        names = names or self.tr("nothing else")
        self.programs.show_text(names)
        self.programs.setAccessibleName(self.tr("Also for: {names}").format(names=names))

    def _fill_menu(self) -> None:
        """Offer all programs but the first file's own; never while one of the entries is being chosen."""
        self._show_chosen()
        chosen = self._programs()
        self._menu.clear()
        for target in dict.fromkeys((*targets(), *self._chosen)):
            if target == self._own:
                continue
            action = self._menu.addAction(target.title)
            action.setData(target)
            action.setCheckable(True)
            action.setChecked(target in chosen)
            action.setToolTip(target.words(self._family))
            action.setEnabled(target in chosen or self._family is None or target.suits(self._family))

    @Slot(QAction)
    def _toggle(self, action: QAction) -> None:
        target = action.data()
        if target in self._chosen:
            self._chosen.remove(target)
        else:
            self._chosen.append(target)
        self._show_chosen()
        self.changed.emit()


def _rank(text: str) -> int | None:
    return int(text) if text.isdecimal() and LEAST_RANK <= int(text) <= LARGEST_RANK else None
