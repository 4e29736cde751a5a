"""LoRA files read and written layer by layer, in any registered format."""

from __future__ import annotations

import json
import math
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
from engine.formats.lora_format import LayerKeys, LoraFormat, Place
from engine.formats.registry import formats_of, likeliest
from engine.formats.safetensors_writer import SafetensorsWriter


class LoraFile:
    """A LoRA opened read-only.

    Attributes:
        path: the file.
        format: the registered format that knows most of its keys, see `likeliest`.
        layers: keys by part, by the format's own name of a layer, in the order of the file; of factors without an
            alpha also the key that it would have, under which it is written.
        whole: keys of weights that are set as a whole.
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
        self.format = likeliest({row: index.known for row, index in found}, self._file.metadata)
        index = dict(found)[self.format]
        self.path, self.metadata = path, self._file.metadata
        self.layers: Mapping[str, LayerKeys] = {name: index.written(name) for name in index.layers}
        self.whole: tuple[str, ...] = index.whole
        self.unknown: tuple[str, ...] = index.unknown
        self._beside = {key.removesuffix(".weight").rpartition(".")[0]: key for key in index.unknown}

    def read(self, layer: str) -> StoredLayer:
        """A layer's tensors; of factors without an alpha the one that changes nothing, the rank.

        Raises:
            EngineError: ``lora_mismatch`` where half of a pair is missing or the two do not fit, where a shape is none
                of a factor or an alpha, where the layer is stored in two forms, or where it has a part that the format
                does not know, all before anything is read; see `Checkpoint.read_into`.
        """
        keys = {part: key for part, key in self.layers[layer].items() if key in self._file.stored}
        self._check(layer, keys)
        tensors = {part: read_stored(self._file, self._file.stored[key]) for part, key in keys.items()}
        if "difference" in tensors:
            return Difference(tensors["difference"])
        up, down = tensors["up"].flatten(1), tensors["down"]
        alpha = tensors.get("alpha", torch.tensor(float(len(down)))).reshape(())
        enlarged = tuple(map(int, tensors["reshape"].tolist())) if "reshape" in tensors else ()
        return Factors(up, down.flatten(1), alpha, tuple(down.shape[2:]), enlarged)

    def read_whole(self, key: str) -> torch.Tensor:
        """A tensor of `whole` or `unknown` as it is, for a tool that passes it on.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        return read_stored(self._file, self._file.stored[key])

    def _check(self, layer: str, keys: LayerKeys) -> None:
        """Whether a layer can be read, by the header alone."""
        shapes = {part: self._file.stored[key].shape for part, key in keys.items()}
        if layer in self._beside:
            raise self._mismatch(self._beside[layer], "unknown_part")
        if "difference" in keys:
            if len(keys) > 1:
                raise self._mismatch(keys["difference"], "two_forms")
            return
        if "up" not in keys or "down" not in keys:
            raise self._mismatch(next(key for part, key in keys.items() if part != "alpha"), "half")
        for part in ("up", "down"):
            if len(shapes[part]) < 2 or 0 in shapes[part]:
                raise self._mismatch(keys[part], "malformed")
        if math.prod(shapes.get("alpha", ())) != 1:
            raise self._mismatch(keys["alpha"], "malformed")
        if len(shapes.get("reshape", (1,))) != 1:
            raise self._mismatch(keys["reshape"], "malformed")
        if math.prod(shapes["up"][1:]) != shapes["down"][0]:
            raise self._mismatch(keys["up"], "half")

    def _mismatch(self, key: str, reason: str) -> EngineError:
        return EngineError(ErrorCode.LORA_MISMATCH, file=self.path, tensor=key, reason=reason)

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
        whole: keys of the tensors that will be passed on as they are.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        row: LoraFormat,
        layers: Sequence[LayerKeys],
        metadata: Mapping[str, str],
        whole: Sequence[str] = (),
    ) -> None:
        """Create the temporary file.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        self._stem, self._format = stem, row
        self._metadata = dict(metadata) | {"lora_extractor.version": __version__}
        keys = [*(key for parts in layers for key in parts.values()), *whole]
        self._writer: SafetensorsWriter | None = SafetensorsWriter(
            folder, header_room(keys, json.dumps(self._metadata))
        )

    def add(self, keys: LayerKeys, layer: StoredLayer) -> None:
        """Write a layer.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        assert self._writer is not None, "not published yet"
        for key, tensor in self._format.tensors((Place(keys),), layer.parts).items():
            self._writer.add(key, tensor)

    def add_whole(self, key: str, tensor: torch.Tensor) -> None:
        """Write a tensor as it is.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        assert self._writer is not None, "not published yet"
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
