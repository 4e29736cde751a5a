"""Containers of models: a module each, and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.containers import gguf, pickles, safetensors

HEAD_BYTES = 64
"""How much of a file's beginning `Container.recognises` sees."""


@dataclass(frozen=True)
class Container:
    """One kind of file that models come in.

    Attributes:
        title: what people call it.
        endings: of file names, with the dot, in small letters: what is offered for choosing and looked at in folders.
        recognises: whether a file is one, from its path and its first `HEAD_BYTES` bytes; never raises.
        open: reads the headers alone. Raises `EngineError`, and leaves nothing open then.
    """

    title: str
    endings: tuple[str, ...]
    recognises: Callable[[Path, bytes], bool]
    open: Callable[[Path], Checkpoint]


CONTAINERS: list[Container] = [
    Container("safetensors", (".safetensors", ".sft"), safetensors.recognises, safetensors.open_file),
    Container("GGUF", (".gguf",), gguf.recognises, gguf.open_file),
    Container("PyTorch pickle", (".ckpt", ".pt", ".pth", ".bin"), pickles.recognises, pickles.open_file),
]
"""In the order in which they are asked."""


def model_endings() -> tuple[str, ...]:
    """Endings of all containers' files."""
    return tuple(dict.fromkeys(ending for container in CONTAINERS for ending in container.endings))
