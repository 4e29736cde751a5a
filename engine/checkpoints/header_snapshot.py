"""A model that is known by its header only: enough to name, match and plan, but not a weight can be read.

With it a pair whose layers are all in the cache can be exported again when its files are gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.checkpoints.checkpoint import Checkpoint, TensorInfo
from engine.errors import EngineError, ErrorCode


class HeaderSnapshot(Checkpoint):
    """A checkpoint made from what `remember` wrote down."""

    container = "cache"

    def __init__(self, words: Mapping[str, Any]) -> None:
        """Take the words.

        Raises:
            KeyError, TypeError, ValueError: they are not those of `remember`.
        """
        self.path = Path(str(words["path"]))
        self.size_bytes = int(words["size_bytes"])
        self.header_sha256 = str(words["header_sha256"])
        self.metadata = {str(name): str(text) for name, text in words["metadata"].items()}
        self.tensors = {
            str(name): TensorInfo(str(name), str(dtype), tuple(map(int, shape)), int(nbytes))
            for name, dtype, shape, nbytes in words["tensors"]
        }
        self._fingerprint = str(words["fingerprint"])

    def read_into(self, name: str, buffer: memoryview) -> None:
        """Refuse: `EngineError` ``file_missing``."""
        raise EngineError(ErrorCode.FILE_MISSING, file=self.path, tensor=name)

    def read_part(self, name: str, start: int, buffer: memoryview) -> None:
        """Refuse: `EngineError` ``file_missing``."""
        raise EngineError(ErrorCode.FILE_MISSING, file=self.path, tensor=name)

    def fingerprint(self) -> str:
        """See `Checkpoint.fingerprint`."""
        return self._fingerprint

    def check_unchanged(self) -> None:
        """See `Checkpoint.check_unchanged`; there is nothing that could change."""

    def close(self) -> None:
        """See `Checkpoint.close`."""


def remember(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's header as JSON values, for `HeaderSnapshot`."""
    return {
        "path": str(checkpoint.path.absolute()),
        "size_bytes": checkpoint.size_bytes,
        "header_sha256": checkpoint.header_sha256,
        "metadata": dict(checkpoint.metadata),
        "tensors": [[info.name, info.dtype, info.shape, info.nbytes] for info in checkpoint.tensors.values()],
        "fingerprint": checkpoint.fingerprint(),
    }
