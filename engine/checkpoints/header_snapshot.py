"""A model that is known by its headers only: enough to name, match and plan, but not a weight can be read.

With it a pair whose layers are all in the cache can be exported again when its files are gone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.stored import StoredTensor, Strided
from engine.errors import EngineError, ErrorCode


class HeaderSnapshot(Checkpoint):
    """A checkpoint made from what `remember` wrote down."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        """Take the words.

        Raises:
            KeyError, TypeError, ValueError: they are not those of `remember`.
        """
        stored = {
            str(name): StoredTensor(
                str(name), str(dtype), tuple(map(int, shape)), int(nbytes), file=int(file), view=view
            )
            for name, dtype, shape, nbytes, file, view in map(_place_and_view, words["tensors"])
        }
        metadata = {str(name): str(text) for name, text in words["metadata"].items()}
        components = {str(start): dict(texts) for start, texts in dict(words.get("components", {})).items()}
        super().__init__(Path(str(words["path"])), "cache", (), stored, metadata, components=components)
        self.size_bytes = int(words["size_bytes"])
        self.header_sha256 = str(words["header_sha256"])
        self.part = str(words.get("part", ""))
        self._fingerprint = str(words["fingerprint"])
        self._small = {str(name): base64.b64decode(text) for name, text in dict(words.get("contents", {})).items()}
        self._configs = {int(file): dict(config) for file, config in dict(words.get("configs", {})).items()}

    @property
    def paths(self) -> tuple[Path, ...]:
        """See `Checkpoint.paths`: what stands for the model, as its files may be gone."""
        return (self.path,)

    def file_of(self, part: StoredTensor) -> Path:
        """See `Checkpoint.file_of`."""
        return self.path

    def read_into(self, part: StoredTensor, buffer: memoryview) -> None:
        """Refuse: `EngineError` ``file_missing``."""
        raise EngineError(ErrorCode.FILE_MISSING, file=self.path, tensor=part.name)

    def config_of(self, part: StoredTensor) -> Mapping[str, Any]:
        """See `Checkpoint.config_of`: what it was when the model was remembered."""
        return self._configs.get(part.file, {})

    def fingerprint(self) -> str:
        """See `Checkpoint.fingerprint`."""
        return self._fingerprint


def remember(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's headers, and what was read to understand them, as JSON values, for `HeaderSnapshot`."""
    _ = checkpoint.weights  # reads what describes them
    contents, configs = checkpoint.descriptions()
    return {
        "path": str(checkpoint.path.absolute()),
        "size_bytes": checkpoint.size_bytes,
        "header_sha256": checkpoint.header_sha256,
        "metadata": dict(checkpoint.metadata),
        "components": {start: dict(texts) for start, texts in checkpoint.components.items()},
        "tensors": [_words_of(part) for part in checkpoint.stored.values()],
        "contents": {name: base64.b64encode(content).decode() for name, content in contents.items()},
        "configs": {str(file): dict(config) for file, config in configs.items() if config},
        "part": checkpoint.part,
        "fingerprint": checkpoint.fingerprint(),
    }


def _words_of(part: StoredTensor) -> list[Any]:
    """A stored tensor without its place in the file; with the file's index and its strides where it has them."""
    words = [part.name, part.dtype, part.shape, part.nbytes]
    if part.view is not None:
        return [*words, part.file, part.view.shape, part.view.strides]
    return [*words, part.file] if part.file else words


def _place_and_view(words: Sequence[Any]) -> tuple[Any, Any, Any, Any, Any, Strided | None]:
    """What `_words_of` wrote down."""
    name, dtype, shape, nbytes, *more = words
    sizes = [tuple(map(int, values)) for values in more[1:]]
    return name, dtype, shape, nbytes, more[0] if more else 0, Strided(*sizes) if sizes else None
