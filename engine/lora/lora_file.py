"""LoRA files read and written layer by layer, in any registered format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from engine import __version__
from engine.checkpoints import Checkpoint, open_checkpoint
from engine.checkpoints.tensors import read_stored
from engine.decompose.stored_layer import Difference, Factors, StoredLayer
from engine.errors import EngineError, ErrorCode
from engine.formats.header_room import header_room
from engine.formats.lora_format import LayerKeys, LoraFormat
from engine.formats.registry import formats_of
from engine.formats.safetensors_writer import SafetensorsWriter


class LoraFile:
    """A LoRA opened read-only.

    Attributes:
        path: the file.
        format: the registered format that knows most of its keys.
        layers: keys by part, by the format's own name of a layer, in the order of the file.
        unknown: keys that the format does not have.
        metadata: the file's texts.
    """

    def __init__(self, path: Path) -> None:
        """Open it; reads the header only.

        Raises:
            EngineError: ``not_a_lora`` where no format knows a key; what `open_checkpoint` may raise.
        """
        self._file: Checkpoint = open_checkpoint(path)
        found = formats_of(self._file.stored.keys())
        if not found:
            self._file.close()
            raise EngineError(ErrorCode.NOT_A_LORA, file=path)
        self.format: LoraFormat
        self.format, index = min(found, key=lambda one: len(one[1].unknown))
        self.path, self.metadata = path, self._file.metadata
        self.layers: Mapping[str, LayerKeys] = index.layers
        self.unknown: tuple[str, ...] = (*index.unknown, *index.whole)

    def read(self, layer: str) -> StoredLayer:
        """A layer's tensors; of factors without an alpha the one that changes nothing, the rank.

        Raises:
            EngineError: ``lora_mismatch`` where half of a pair is missing or the two do not fit; see
                `Checkpoint.read_into`.
        """
        keys = self.layers[layer]
        tensors = {part: read_stored(self._file, self._file.stored[key]) for part, key in keys.items()}
        if "difference" in tensors:
            return Difference(tensors["difference"])
        if "up" not in tensors or "down" not in tensors:
            raise EngineError(ErrorCode.LORA_MISMATCH, file=self.path, tensor=next(iter(keys.values())), reason="half")
        up, down = tensors["up"].flatten(1), tensors["down"]
        if up.shape[1] != len(down):
            raise EngineError(ErrorCode.LORA_MISMATCH, file=self.path, tensor=keys["up"], reason="half")
        alpha = tensors.get("alpha", torch.tensor(float(len(down))))
        return Factors(up, down.flatten(1), alpha, tuple(down.shape[2:]))

    def close(self) -> None:
        """Give the file back to the system."""
        self._file.close()

    def __enter__(self) -> LoraFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LoraWriter:
    """A LoRA that a tool writes layer by layer; leaving the context without `publish` leaves no file.

    Args:
        folder: made if it does not exist.
        stem: the file's name up to the counter.
        row: the format.
        layers: keys of every layer that will be written.
        metadata: texts of the file that it is made from, which are kept.
    """

    def __init__(
        self, folder: Path, stem: str, row: LoraFormat, layers: Sequence[LayerKeys], metadata: Mapping[str, str]
    ) -> None:
        """Create the temporary file.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        self._stem, self._format = stem, row
        self._metadata = dict(metadata) | {"lora_extractor.version": __version__}
        keys = [key for parts in layers for key in parts.values()]
        self._writer: SafetensorsWriter | None = SafetensorsWriter(
            folder, header_room(keys, json.dumps(self._metadata))
        )

    def add(self, keys: LayerKeys, layer: StoredLayer) -> None:
        """Write a layer.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        assert self._writer is not None, "not published yet"
        for key, tensor in self._format.tensors(keys, layer.parts).items():
            self._writer.add(key, tensor)

    def publish(self, report: Mapping[str, Any]) -> Path:
        """Give the file, and a report in JSON beside it, the first free name; returns the file's path.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        writer, self._writer = self._writer, None
        assert writer is not None, "published once"

        def text(path: Path, size: int) -> str:
            document = {"output": path.name, "size_bytes": size, "key_format": self._format.key, **report}
            return json.dumps(document, indent=1, allow_nan=False) + "\n"

        path, _report = writer.publish(self._stem, self._metadata, text)
        return path

    def __enter__(self) -> LoraWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.abort()
