"""A tool: the same LoRA at another strength, which every layer's alpha, or its difference, is multiplied by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, Field

from engine.cancel import CancelToken
from engine.decompose.stored_layer import Difference, Factors
from engine.lora.lora_file import LoraFile, LoraWriter
from engine.lora.tools import Tool, ToolProgress, ToolResult


class Options(BaseModel):
    """Its one option."""

    strength: float = Field(0.5, ge=-10.0, le=10.0, title="Strength", description="What the change is multiplied by.")


class Strength(Tool):
    """Reads any format and writes the same one."""

    key = "toy-strength"
    help = "write a LoRA at another strength"
    options = Options

    def run(
        self, files: Sequence[LoraFile], options: BaseModel, output_dir: Path, cancel: CancelToken
    ) -> Iterator[ToolProgress | ToolResult]:
        """See `Tool.run`."""
        assert isinstance(options, Options)
        outputs: list[Path] = []
        for file in files:
            stem, layers = f"{file.path.stem}_strength_", list(file.layers.values())
            whole = (*file.whole, *file.unknown)
            with LoraWriter(output_dir, stem, file.format, layers, file.metadata, whole) as writer:
                for number, (name, keys) in enumerate(file.layers.items()):
                    cancel.check()
                    layer = file.read(name)
                    if isinstance(layer, Factors):
                        layer = replace(layer, alpha=layer.alpha * options.strength)
                    elif isinstance(layer, Difference):
                        layer = Difference(layer.values * options.strength)
                    writer.add(keys, layer)
                    yield ToolProgress(number + 1, len(layers), name)
                for key in whole:
                    writer.add_whole(key, file.read_whole(key))
                outputs.append(writer.publish({"tool": self.key, "strength": options.strength}))
        yield ToolResult(tuple(outputs), {"strength": options.strength}, (f"Strength {options.strength:g}.",))
