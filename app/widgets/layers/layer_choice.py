"""Which layers are chosen, shared by everything that shows layers: the table, the change map, the spectrum."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject, Signal


class LayerChoice(QObject):
    """The layers chosen, by name, so that a choice outlives sorting, filtering and the next run of the same models.

    Attributes:
        changed: emitted after other layers are chosen; not where the same ones are chosen again.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Canonical names, each once, in the order in which they were chosen."""
        return self._names

    def choose(self, names: Iterable[str]) -> None:
        """Choose these layers and no others."""
        chosen = tuple(dict.fromkeys(names))
        if chosen != self._names:
            self._names = chosen
            self.changed.emit()

    def clear(self) -> None:
        """Choose nothing."""
        self.choose(())
