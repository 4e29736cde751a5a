"""Open an adapter of PEFT, whoever wrote it, as one LoRA file: its configuration becomes alphas beside the factors.

The scale of every pair of factors stands in ``adapter_config.json``, and the factors of all experts of a layer are one
tensor. Here each has a key of its own, as `engine.formats.peft.Peft` names them. Sources: PEFT 0.21,
utils/other.py (``get_pattern_key``), tuners/lora/layer.py (``scaling``; ``ParamWrapper``).
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.checkpoints import Checkpoint, open_checkpoint
from engine.checkpoints.stored import StoredTensor
from engine.errors import EngineError, ErrorCode
from engine.formats.lora_format import LoraIndex
from engine.formats.peft_config import ALPHA, DOWN, EMBEDDING_DOWN, PREFIX, UP, expert_key

WEIGHTS, CONFIG = ("adapter_model.safetensors", "adapter_model.bin"), "adapter_config.json"
_GATE_UP, _DOWN_PROJ = "gate_up_proj", "down_proj"
_LARGEST_CONFIG = 16 << 20
_Number = float | int


def open_lora(path: Path) -> Checkpoint:
    """Open a LoRA: a file, or PEFT's folder, given as such or by the weights in it.

    Raises:
        EngineError: see `open_checkpoint`; ``header_invalid`` where the configuration beside the weights is none.
    """
    try:
        inner = next((path / name for name in WEIGHTS if path.is_dir() and (path / name).is_file()), path)
        beside = inner.parent / CONFIG
        adapter = inner.name in WEIGHTS and beside.is_file()
    except OSError as error:
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    file = open_checkpoint(inner)
    if not adapter:
        return file
    try:
        return AdapterFile(file, read_config(beside))
    except BaseException:
        file.close()
        raise


def read_config(path: Path) -> dict[str, Any]:
    """The table in an ``adapter_config.json``.

    Raises:
        EngineError: ``file_unreadable`` or ``header_invalid``.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(_LARGEST_CONFIG + 1)
        config = json.loads(text) if len(text) <= _LARGEST_CONFIG else None
    except OSError as error:
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="it is not valid JSON") from error
    if not isinstance(config, dict):
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="it is not a table")
    return config


class AdapterFile(Checkpoint):
    """An adapter's weights with the keys that our format gives them; those that stand for others are made when read.

    Attributes:
        keys_in_file: those of the tensors in it.
        config: its configuration.
        experts: how many experts share a tensor, by the key of their ``lora_A``.
        parts_of: the keys of the experts' factors, by that of the tensor which they are taken from.
    """

    def __init__(self, file: Checkpoint, config: Mapping[str, Any]) -> None:
        self._file, self._made = file, dict[str, Callable[[], bytes]]()
        self.parts_of: dict[str, list[str]] = {}
        self.experts: dict[str, int] = {}
        self.config = config
        self._last: tuple[str, np.ndarray[Any, Any]] | None = None
        stored = dict(_named(file.stored))
        self.keys_in_file = tuple(stored)
        for key in [*stored]:
            if key.endswith((DOWN, EMBEDDING_DOWN)):
                self._add(stored, key, _Scales(config))
        super().__init__(file.path, file.container, file.files, stored, file.metadata, file.notices)

    def _add(self, stored: dict[str, StoredTensor], key: str, scales: _Scales) -> None:
        """Add the alpha of a pair of factors, or the factors of every expert that it holds."""
        base, down = key.removesuffix(DOWN).removesuffix(EMBEDDING_DOWN), stored[key]
        module = base.removeprefix(PREFIX)
        parameter = scales.stacked(module)
        if parameter is None or len(down.shape) != 2:
            rank = down.shape[0] if down.shape else 0
            self._add_alpha(stored, f"{base}{ALPHA}", rank * scales.of(module, rank) if rank else 0.0)
            return
        rank, up = scales.rank(parameter), stored.get(base + UP)
        if up is None or rank < 1 or down.shape[0] % rank or up.shape[1:] != down.shape[:1]:
            return
        alpha = rank * scales.of(parameter, rank)
        self.experts[key] = down.shape[0] // rank
        swapped, halves = ".feed_forward." in parameter, 2 if parameter.endswith(_GATE_UP) else 1
        for expert in range(down.shape[0] // rank):
            rows = down.rows(expert * rank, (expert + 1) * rank)
            for half in range(-1, halves if halves > 1 and not swapped else 0):
                name = expert_key(base, expert, max(half, 0), halves if half >= 0 else 1)
                self._add_expert(stored, name, (rows, up), rank, expert, half, halves, swapped=swapped)
                self._add_alpha(stored, f"{name}alpha", alpha)

    def _add_expert(
        self,
        stored: dict[str, StoredTensor],
        name: str,
        pair: tuple[StoredTensor, StoredTensor],
        rank: int,
        expert: int,
        half: int,
        halves: int,
        *,
        swapped: bool,
    ) -> None:
        rows, up = pair
        size = up.nbytes // max(1, math.prod(up.shape))
        share = up.shape[0] // halves
        first, end = (0, up.shape[0]) if half < 0 else (half * share, (half + 1) * share)

        def column_block() -> np.ndarray[Any, Any]:  # (rows of lora_B, rank, bytes)
            return self._bytes(up).reshape(up.shape[0], rank, -1, size)[first:end, :, expert]

        def transposed(rows: StoredTensor = rows) -> bytes:
            content = bytearray(rows.nbytes)
            self._file.read_into(rows, memoryview(content))
            return np.frombuffer(content, np.uint8).reshape(*rows.shape, size).transpose(1, 0, 2).tobytes()

        count = (end - first) * rank * size
        self.parts_of.setdefault(rows.name, []).append(f"{name}down")
        self.parts_of.setdefault(up.name, []).append(f"{name}up")
        made = replace(up, shape=(end - first, rank), nbytes=count)
        if not swapped:
            stored[f"{name}down"] = replace(rows, name=f"{name}down")
            stored[f"{name}up"] = replace(made, name=f"{name}up")
            self._made[f"{name}up"] = lambda: column_block().tobytes()
            return
        stored[f"{name}down"] = replace(made, name=f"{name}down", shape=(rank, end - first))
        stored[f"{name}up"] = replace(rows, name=f"{name}up", shape=rows.shape[::-1])
        self._made[f"{name}down"] = lambda: column_block().transpose(1, 0, 2).tobytes()
        self._made[f"{name}up"] = transposed

    def _add_alpha(self, stored: dict[str, StoredTensor], name: str, value: float) -> None:
        if name not in stored:
            stored[name] = StoredTensor(name, "F32", (), 4)
            self._made[name] = lambda: struct.pack("<f", value)

    def _bytes(self, part: StoredTensor) -> np.ndarray[Any, Any]:
        """A whole tensor; the last one is kept, as the experts in it are asked for one after the other."""
        if self._last is None or self._last[0] != part.name:
            content = bytearray(part.nbytes)
            self._file.read_into(part, memoryview(content))
            self._last = part.name, np.frombuffer(content, np.uint8)
        return self._last[1]

    def read_into(self, part: StoredTensor, buffer: memoryview) -> None:
        """See `Checkpoint.read_into`."""
        make = self._made.get(part.name)
        if make is None:
            self._file.read_into(part, buffer)
        else:
            buffer[:] = make()


def unknown_keys(file: Checkpoint, known: Collection[str]) -> tuple[str, ...]:
    """The keys of a LoRA that nothing is known of, as they stand in it.

    Args:
        file: the LoRA.
        known: keys of `Checkpoint.stored`.
    """
    if not isinstance(file, AdapterFile):
        return tuple(key for key in file.stored if key not in known)
    own = ((key, file.parts_of.get(key, [key])) for key in file.keys_in_file)
    return tuple(key for key, parts in own if not any(part in known for part in parts))


def keys_in_file(file: Checkpoint) -> tuple[str, ...]:
    """The keys of the tensors in a LoRA's file, without those that stand for parts of them."""
    return file.keys_in_file if isinstance(file, AdapterFile) else tuple(file.stored)


def factors_in(file: Checkpoint, index: LoraIndex) -> dict[str, int]:
    """The layers of a LoRA that are factors, with their ranks; the experts in one tensor are one layer."""
    real = {*keys_in_file(file)}
    downs = {name: parts["down"] for name, parts in index.layers.items() if "down" in parts and parts["down"] in real}
    shapes = {name: file.stored[key].shape for name, key in downs.items()}
    experts = file.experts if isinstance(file, AdapterFile) else {}
    return {name: shape[0] // experts.get(downs[name], 1) for name, shape in shapes.items() if shape}


def base_model_of(file: Checkpoint) -> str:
    """The model that a LoRA is for, as it says itself; empty where it does not."""
    said = file.config.get("base_model_name_or_path") if isinstance(file, AdapterFile) else None
    name = said or file.metadata.get("lora_extractor.original_model") or file.metadata.get("ss_sd_model_name") or ""
    return str(name)


def _named(stored: Mapping[str, StoredTensor]) -> Iterator[tuple[str, StoredTensor]]:
    """The tensors by their keys; those of programs that leave PEFT's prefix or the adapter's name in get the usual."""
    for key, part in stored.items():
        name = re.sub(r"\.(lora_(?:embedding_)?[AB])\.default(?=\.weight$|$)", r".\1", key)
        yield name, replace(part, name=name) if name != key else part


class _Scales:
    """What PEFT multiplies pairs of factors by, and their ranks, as a configuration says."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        named = config.get("target_parameters")
        self._parameters = [str(name) for name in named] if isinstance(named, list) else []

    def stacked(self, module: str) -> str | None:
        """The parameter of experts that factors under a module's name belong to; None for any other.

        PEFT wraps a module for each of its parameters, the first one innermost: its keys have ``base_layer`` in them.
        """
        place = module
        while place.endswith(".base_layer"):
            place = place.removesuffix(".base_layer")
        if not place.endswith("experts"):
            return None
        targeted = [
            leaf
            for leaf in (_GATE_UP, _DOWN_PROJ)
            if any(f".{place}.{leaf}".endswith(f".{name}") for name in self._parameters)
        ]
        depth = module.count(".base_layer")
        return f"{place}.{targeted[len(targeted) - 1 - depth]}" if depth < len(targeted) else None

    def rank(self, path: str) -> int:
        """Of a target, by its full name."""
        return int(self._pattern("rank_pattern", "r", path, 0))

    def of(self, path: str, rank: int) -> float:
        """The scale of a target."""
        parameter = f"{path}.weight"
        if any(f".{parameter}".endswith(f".{name}") for name in self._parameters):
            path = parameter
        alpha = self._pattern("alpha_pattern", "lora_alpha", path, rank)
        return alpha / (math.sqrt(rank) if self._config.get("use_rslora") is True else rank)

    def _pattern(self, patterns: str, default: str, path: str, otherwise: float) -> float:
        table = self._config.get(patterns)
        for pattern, value in table.items() if isinstance(table, dict) else ():
            try:
                if re.match(rf"(.*\.)?({pattern})$", path) and isinstance(value, _Number):
                    return float(value)
            except re.error:
                continue
        value = self._config.get(default, otherwise)
        return float(value) if isinstance(value, _Number) else otherwise
