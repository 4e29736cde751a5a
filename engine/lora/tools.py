"""Tools on LoRA files: a module each, and a row here. The command line makes a command of every row. No torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from engine.cancel import CancelToken

if TYPE_CHECKING:
    from engine.lora.lora_file import LoraFile


class NoOptions(BaseModel):
    """For tools that have none."""


@dataclass(frozen=True)
class ToolProgress:
    """One more step of a tool is done; `name` is what it worked on."""

    done: int
    total: int
    name: str


@dataclass(frozen=True)
class ToolResult:
    """What came of it.

    Attributes:
        outputs: the files that were written.
        figures: what was found, JSON values.
        lines: the same for people, in plain sentences.
    """

    outputs: tuple[Path, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


class Tool(ABC):
    """Something to do with LoRA files.

    Attributes:
        key: stable identifier, and the name of its command.
        help: one line for the list of commands.
        options: a pydantic model whose fields are its options: defaults, ranges and help.
    """

    key: ClassVar[str]
    help: ClassVar[str]
    options: ClassVar[type[BaseModel]] = NoOptions

    @abstractmethod
    def run(
        self, files: Sequence[LoraFile], options: BaseModel, output_dir: Path, cancel: CancelToken
    ) -> Iterator[ToolProgress | ToolResult]:
        """Do it.

        Args:
            files: open; at least one. They are closed by the caller.
            options: an instance of `options`.
            output_dir: where files go; see `engine.lora.lora_file.LoraWriter`.
            cancel: asked between two steps.

        Yields:
            `ToolProgress` per step, and one `ToolResult` at the end.

        Raises:
            EngineError: with the file, the tensor and the remedy, before long work begins where that is possible.
            Cancelled: where `cancel` was used; nothing half written remains.
        """


TOOLS: list[Tool] = []
"""In the order in which they are offered."""
