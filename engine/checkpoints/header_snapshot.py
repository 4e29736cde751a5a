"""A model that is known by its headers only: enough to name, match and plan, but not a weight can be read.

With it a pair whose layers are all in the cache can be exported again when its files are gone.
"""

from __future__ import annotations

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
            str(name): StoredTensor(str(name), str(dtype), tuple(map(int, shape)), int(nbytes), view=_view(*more))
            for name, dtype, shape, nbytes, *more in words["tensors"]
        }
        metadata = {str(name): str(text) for name, text in words["metadata"].items()}
        components = {str(start): dict(texts) for start, texts in dict(words.get("components", {})).items()}
        super().__init__(Path(str(words["path"])), "cache", (), stored, metadata, components=components)
        self.size_bytes = int(words["size_bytes"])
        self.header_sha256 = str(words["header_sha256"])
        self._fingerprint = str(words["fingerprint"])

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

    def fingerprint(self) -> str:
        """See `Checkpoint.fingerprint`."""
        return self._fingerprint


def remember(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's headers as JSON values, for `HeaderSnapshot`."""
    return {
        "path": str(checkpoint.path.absolute()),
        "size_bytes": checkpoint.size_bytes,
        "header_sha256": checkpoint.header_sha256,
        "metadata": dict(checkpoint.metadata),
        "components": {start: dict(texts) for start, texts in checkpoint.components.items()},
        "tensors": [_words(part) for part in checkpoint.stored.values()],
        "fingerprint": checkpoint.fingerprint(),
    }


def _words(part: StoredTensor) -> list[Any]:
    view = [] if part.view is None else [part.view.shape, part.view.strides]
    return [part.name, part.dtype, part.shape, part.nbytes, *view]


def _view(*sizes: Sequence[int]) -> Strided | None:
    return Strided(*(tuple(map(int, values)) for values in sizes)) if sizes else None
