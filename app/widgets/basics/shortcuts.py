"""All keyboard shortcuts in one table, which binds them and is what F1 shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QKeySequence

from app.text.translation import marked

Command = Literal[
    "extract",
    "stop",
    "open_finetuned",
    "open_original",
    "swap",
    "output_folder",
    "find",
    "add_to_queue",
    "run_queue",
    "verify",
    "tab_memory",
    "tab_result",
    "tab_layers",
    "tab_queue",
    "tab_log",
    "settings",
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
    "extract": Shortcut("Ctrl+Return", marked("shortcuts", "Extract"), also="Ctrl+Enter"),
    "stop": Shortcut("Esc", marked("shortcuts", "Stop (asks first)")),
    "open_finetuned": Shortcut("Ctrl+O", marked("shortcuts", "Open the fine-tuned model")),
    "open_original": Shortcut("Ctrl+Shift+O", marked("shortcuts", "Open the original model")),
    "swap": Shortcut("Ctrl+T", marked("shortcuts", "Swap the two models")),
    "output_folder": Shortcut("Ctrl+D", marked("shortcuts", "Choose the output folder")),
    "add_to_queue": Shortcut("Ctrl+Shift+A", marked("shortcuts", "Add what is shown to the queue")),
    "run_queue": Shortcut("Ctrl+Shift+Return", marked("shortcuts", "Run the queue"), also="Ctrl+Shift+Enter"),
    "verify": Shortcut("Ctrl+Shift+V", marked("shortcuts", "Verify a LoRA")),
    "find": Shortcut("Ctrl+F", marked("shortcuts", "Find a layer")),
    "tab_memory": Shortcut("Ctrl+1", marked("shortcuts", "Show memory and time")),
    "tab_result": Shortcut("Ctrl+2", marked("shortcuts", "Show the result")),
    "tab_layers": Shortcut("Ctrl+3", marked("shortcuts", "Show the layers")),
    "tab_queue": Shortcut("Ctrl+4", marked("shortcuts", "Show the queue")),
    "tab_log": Shortcut("Ctrl+5", marked("shortcuts", "Show the log")),
    "settings": Shortcut("Ctrl+,", marked("shortcuts", "Settings")),
    "shortcuts": Shortcut("F1", marked("shortcuts", "Show this list")),
    "quit": Shortcut("Ctrl+Q", marked("shortcuts", "Quit")),
}
