"""Samples of models that were looked at: a small file each, so that the next look reads no model.

<folder>/<32 digits>.sample      one frame, see `engine.store.frames`
        set-aside/               what was found damaged or of another version; at most a few
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from engine.disk import write_all
from engine.store.frames import BrokenFrameError, OtherVersionError, make_frame, read_arrays, read_frame

VERSION = 1
LIMIT_BYTES = 512_000_000
_KIND, _ENDING, _SET_ASIDE, _MOST_SET_ASIDE = "sample", ".sample", "set-aside", 8


@dataclass(frozen=True)
class Sample:
    """What is kept under a key: figures, and arrays of numbers."""

    fields: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class SampleIndex:
    """Samples by key, each with the state of what it was taken of. Several processes may use one folder.

    Nothing here is an error: what cannot be read is taken again, and what cannot be written is not kept.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        """Name an index; the folder need not exist.

        Args:
            folder: of the index alone.
            limit_bytes: `make_room` keeps the whole below this.
        """
        self.folder, self.limit_bytes = folder, limit_bytes

    def load(self, key: str, state: Any) -> Sample | None:
        """The sample of a key; None where there is none, or it was taken in another state.

        Args:
            key: any text.
            state: JSON values, compared with those of `save`.
        """
        path = self._path(key)
        try:
            with path.open("rb") as stream:
                frame = read_frame(stream, 0, os.fstat(stream.fileno()).st_size)
                fields = frame.fields
                if frame.kind != _KIND or frame.name != key or fields.get("version") != VERSION:
                    raise OtherVersionError("it is of another version")
                if fields.get("state") != state:
                    return None
                arrays = read_arrays(stream, frame)
        except OSError:
            return None
        except BrokenFrameError:
            self._set_aside(path)
            return None
        with suppress(OSError):
            os.utime(path)  # the last use
        return Sample(fields, arrays)

    def save(self, key: str, state: Any, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a sample in one step, instead of an older one of its key."""
        if self.limit_bytes <= 0:
            return
        path = self._path(key)
        part = path.with_name(f"{path.name}.{os.urandom(8).hex()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb", buffering=0) as stream:
                for piece in make_frame(_KIND, key, {**fields, "version": VERSION, "state": state}, arrays):
                    write_all(stream.write, piece)
            os.replace(part, path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    @property
    def size_bytes(self) -> int:
        """What the index takes on the disk."""
        return sum(size for _, size, _ in self._files())

    def make_room(self) -> int:
        """Remove the samples that were not used for the longest time, until the rest is below the limit.

        Returns:
            Bytes freed.
        """
        files, freed = self._files(), 0
        excess = sum(size for _, size, _ in files) - self.limit_bytes
        for _, size, path in sorted(files, key=lambda item: item[0]):
            if freed < excess:
                freed += _removed(path, size)
        return freed

    def clear(self) -> int:
        """Remove everything; returns bytes freed."""
        return sum(_removed(path, size) for _, size, path in self._files())

    def _path(self, key: str) -> Path:
        return self.folder / (hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32] + _ENDING)

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of the last use, size and path of all files."""
        found = []
        for folder in (self.folder, self.folder / _SET_ASIDE):
            with suppress(OSError):
                for path in folder.iterdir():
                    if _ENDING in path.suffixes:  # also what a process that was killed has left
                        with suppress(OSError):
                            status = path.stat()
                            found.append((status.st_mtime_ns, status.st_size, path))
        return found

    def _set_aside(self, path: Path) -> None:
        """Keep a damaged sample for whoever wants to know what happened to it, out of the way."""
        place = self.folder / _SET_ASIDE
        with suppress(OSError):
            place.mkdir(exist_ok=True)
            if len(list(place.iterdir())) < _MOST_SET_ASIDE:
                os.replace(path, place / path.name)
            else:
                path.unlink(missing_ok=True)


def _removed(path: Path, size: int) -> int:
    with suppress(OSError):
        path.unlink()
        return size
    return 0
