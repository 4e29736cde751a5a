"""All keyboard shortcuts in one table, which binds them and is what F1 shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QKeySequence

Command = Literal[
    "extract",
    "stop",
    "open_finetuned",
    "open_original",
    "swap",
    "output_folder",
    "find",
    "tab_memory",
    "tab_layers",
    "tab_log",
    "shortcuts",
    "quit",
]


@dataclass(frozen=True)
class Shortcut:
    """Keys of a command and what it does; `also` are further keys for the same."""

    keys: str
    text: str
    also: str = ""

    @property
    def title(self) -> str:
        """What it does, in the person's language."""
        return QCoreApplication.translate("shortcuts", self.text)

    def sequences(self) -> list[QKeySequence]:
        """The keys as Qt takes them."""
        return [QKeySequence(keys) for keys in (self.keys, self.also) if keys]

    def shown(self) -> str:
        """The keys as this system writes them."""
        return QKeySequence(self.keys).toString(QKeySequence.SequenceFormat.NativeText)


SHORTCUTS: dict[Command, Shortcut] = {
    "extract": Shortcut("Ctrl+Return", "Extract", also="Ctrl+Enter"),
    "stop": Shortcut("Esc", "Stop the extraction (asks first)"),
    "open_finetuned": Shortcut("Ctrl+O", "Open the fine-tuned model"),
    "open_original": Shortcut("Ctrl+Shift+O", "Open the original model"),
    "swap": Shortcut("Ctrl+T", "Swap the two models"),
    "output_folder": Shortcut("Ctrl+D", "Choose the output folder"),
    "find": Shortcut("Ctrl+F", "Find a layer"),
    "tab_memory": Shortcut("Ctrl+1", "Show memory and time"),
    "tab_layers": Shortcut("Ctrl+2", "Show the layers"),
    "tab_log": Shortcut("Ctrl+3", "Show the log"),
    "shortcuts": Shortcut("F1", "Show this list"),
    "quit": Shortcut("Ctrl+Q", "Quit"),
}
