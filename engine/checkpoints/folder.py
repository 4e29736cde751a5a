"""Which file of a folder is the model: a folder with one model in it may be chosen instead of the file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from pathlib import Path

from engine.checkpoints.containers import model_endings
from engine.checkpoints.opening import open_checkpoint
from engine.errors import EngineError, ErrorCode

_SHARD = re.compile(r"-\d{5}-of-(?!00001)\d{5}\.safetensors$")
_LOOKED_INTO = 32  # files whose headers are read; a folder with more is a collection, and nobody means all of it
_MAX_INDEX_BYTES = 64 << 20


def files_of_models(folder: Path) -> tuple[Path, ...]:
    """The files of a folder that may hold a model each, by their names, in alphabetical order.

    Raises:
        OSError: the folder cannot be listed.
    """
    files = sorted(path for path in folder.iterdir() if _may_be_model(path))
    parts = {name for index in folder.glob("*.safetensors.index.json") for name in _parts(index)}
    return tuple(path for path in files if path.name not in parts and not _SHARD.search(path.name))


def model_file(path: Path, is_lora: Callable[[Collection[str]], bool]) -> Path:
    """The file of a model: the path itself, or of a folder the one file in it that is a model and no LoRA.

    Args:
        path: a file or a folder.
        is_lora: whether the names of a file's tensors are those of a LoRA.

    Raises:
        EngineError: ``is_directory`` for a folder with no such file or more than one, naming them, and for models in
            several parts or in diffusers folders; ``file_unreadable`` for a folder that cannot be listed.
    """
    try:
        if not path.is_dir():
            return path
        candidates = files_of_models(path)
        found = candidates
        if 1 < len(candidates) <= _LOOKED_INTO:
            found = tuple(file for file in candidates if _is_model(file, is_lora))
        if len(found) == 1:
            return found[0]
        reason = _why_none(path) if not candidates else "several" if found else "unusable"
    except OSError as error:
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    names = [file.name for file in found or candidates]
    raise EngineError(ErrorCode.IS_DIRECTORY, file=path, reason=reason, names=names)


def _may_be_model(path: Path) -> bool:
    return path.name.casefold().endswith(model_endings()) and not path.name.startswith(".") and path.is_file()


def _is_model(path: Path, is_lora: Callable[[Collection[str]], bool]) -> bool:
    try:
        with open_checkpoint(path) as checkpoint:
            return not is_lora(checkpoint.stored.keys())
    except EngineError:
        return False


def _parts(index: Path) -> set[str]:
    """The files that an index says a model is spread over; none where that is one file, which is then the model."""
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            return set()
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return set()
    return names if len(names) > 1 else set()


def _why_none(folder: Path) -> str:
    """Why a folder without a whole model in one file has none."""
    names = [path.name for path in folder.iterdir()]
    if any(name.endswith(".safetensors.index.json") or _SHARD.search(name) for name in names):
        return "sharded"
    if "model_index.json" in names or any(folder.glob("*/diffusion_pytorch_model*.safetensors*")):
        return "diffusers"
    return "empty"
