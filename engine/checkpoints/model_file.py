"""One file of a model, opened read-only: positioned reads, its fingerprint, and whether it was changed meanwhile.

Files are read with plain positioned reads into the caller's buffer, so that opening one costs no memory and reading a
tensor costs that tensor. A model may have more files than a process may hold open: those that were not read for the
longest time are closed, and opened again when they are read.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO

from engine.errors import EngineError, ErrorCode
from engine.steps import check

_PIECES, _PIECE_BYTES = 256, 64 * 1024
_HASHED_AT_ONCE = 1 << 20
_LEAST_PIECES = 4  # of each file of a model in many files
_READ_CHUNK = 1 << 25  # a run that is to stop stops between two of them
_MOST_OPEN = 64  # of all models; macOS gives a process 256 files


class ModelFile:
    """One file. The container that reads its header says with `note_header` what was the header.

    Attributes:
        path: where it is.
        size_bytes: its size.
        header_sha256: hash of the header, hexadecimal.
    """

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            EngineError: ``file_unreadable``.
        """
        self.path = path
        self.header_sha256 = ""
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._reads, self._closed = 0, False
        self._hashing = threading.Lock()
        self._fingerprint: str | None = None
        self._data_start = 0
        try:
            self._stream: BinaryIO = path.open("rb", buffering=0)
        except OSError as error:
            raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
        status = os.fstat(self._stream.fileno())
        self.size_bytes, self._mtime_ns = status.st_size, status.st_mtime_ns
        self._identity = status.st_dev, status.st_ino
        _OPEN_FILES.note(self)

    def note_header(self, header: bytes, data_start: int) -> None:
        """Set what identifies the file beside samples of its data.

        Args:
            header: its bytes.
            data_start: offset of the first byte behind it.
        """
        self.header_sha256 = hashlib.sha256(header).hexdigest()
        self._data_start = data_start

    def note_header_before(self, data_start: int) -> None:
        """The same where the header is all that lies before `data_start`; it is hashed without being held.

        Raises:
            EngineError: see `read`.
        """
        digest = hashlib.sha256()
        for start in range(0, data_start, _HASHED_AT_ONCE):
            digest.update(self.bytes_at(start, min(_HASHED_AT_ONCE, data_start - start)))
        self.header_sha256, self._data_start = digest.hexdigest(), data_start

    def bytes_at(self, offset: int, length: int) -> bytes:
        """A few bytes; see `read`."""
        buffer = bytearray(length)
        self.read(memoryview(buffer), offset)
        return bytes(buffer)

    def read(self, buffer: memoryview, offset: int, tensor: str | None = None) -> None:
        """Fill a buffer from an offset on.

        Args:
            buffer: filled whole.
            offset: in the file.
            tensor: for errors.

        Raises:
            EngineError: ``input_changed`` where the file shrank, ``file_unreadable`` on a disk error.
        """
        position = 0
        with self._counting:
            if self._closed:
                raise EngineError(ErrorCode.FILE_UNREADABLE, file=self.path, tensor=tensor, reason="it was closed")
            if self._stream.closed:
                self._stream = self._opened_again(tensor)
            self._reads += 1
        _OPEN_FILES.note(self)
        try:
            while position < len(buffer):
                check()
                piece = buffer[position : position + _READ_CHUNK]
                if hasattr(os, "preadv"):
                    count = os.preadv(self._stream.fileno(), [piece], offset + position)
                else:  # Windows has no positioned reads on file descriptors
                    with self._lock:
                        self._stream.seek(offset + position)
                        count = self._stream.readinto(piece) or 0  # type: ignore[attr-defined]
                if count == 0:
                    raise EngineError(ErrorCode.INPUT_CHANGED, file=self.path, tensor=tensor)
                position += count
        except (OSError, ValueError) as error:
            raise EngineError(ErrorCode.FILE_UNREADABLE, file=self.path, tensor=tensor, reason=str(error)) from error
        finally:
            with self._counting:
                self._reads -= 1
                self._close_if_idle()

    def fingerprint(self, files: int = 1) -> str:
        """Identify the contents: hash of the size, the header and evenly spaced pieces of 64 KiB. Made once.

        Args:
            files: of the model, which share 256 pieces; each has at least 4.

        Raises:
            EngineError: see `read`.
        """
        with self._hashing:
            if self._fingerprint is None:
                self._fingerprint = self._hashed(max(_LEAST_PIECES, _PIECES // files))
            return self._fingerprint

    def _hashed(self, pieces: int) -> str:
        digest = hashlib.sha256(f"{self.size_bytes} {self.header_sha256} ".encode())
        last = max(self._data_start, self.size_bytes - _PIECE_BYTES)
        for index in range(pieces):
            offset = self._data_start + (last - self._data_start) * index // (pieces - 1)
            digest.update(self.bytes_at(offset, min(_PIECE_BYTES, self.size_bytes - offset)))
        return digest.hexdigest()

    def check_unchanged(self) -> None:
        """Raise `EngineError` ``input_changed`` if the file is not the one that was opened."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise EngineError(ErrorCode.INPUT_CHANGED, file=self.path) from error
        if (status.st_size, status.st_mtime_ns) != (self.size_bytes, self._mtime_ns):
            raise EngineError(ErrorCode.INPUT_CHANGED, file=self.path)

    def close(self) -> None:
        """Give the file back to the system; a read that a drive holds up keeps its number from another file."""
        with self._counting:
            self._closed = True
            self._close_if_idle()
        _OPEN_FILES.forget(self)

    def rest(self) -> bool:
        """Close the file until it is read again; False where a read is on its way."""
        with self._counting:
            if self._reads:
                return False
            self._stream.close()
            return True

    def _close_if_idle(self) -> None:
        if self._closed and not self._reads:
            self._stream.close()

    def _opened_again(self, tensor: str | None) -> BinaryIO:
        """The file that was opened first, and no other that has its name by now."""
        try:
            stream = self.path.open("rb", buffering=0)
        except OSError as error:
            raise EngineError(ErrorCode.INPUT_CHANGED, file=self.path, tensor=tensor) from error
        status = os.fstat(stream.fileno())
        before = (self.size_bytes, self._mtime_ns, *self._identity)
        if (status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino) != before:
            stream.close()
            raise EngineError(ErrorCode.INPUT_CHANGED, file=self.path, tensor=tensor)
        return stream


class _OpenFiles:
    """The files that are open at the moment, in the order of their last use, so that they do not become too many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[int, weakref.ref[ModelFile]] = OrderedDict()  # by id; those that are gone drop out

    def note(self, file: ModelFile) -> None:
        """A file was opened or read."""
        with self._lock:
            self._files[id(file)] = weakref.ref(file)
            self._files.move_to_end(id(file))
            oldest = list(self._files.items())[:-_MOST_OPEN] if len(self._files) > _MOST_OPEN else []
        for key, reference in oldest:  # without the lock: a file's own may be held by a reader who waits for it
            other = reference()
            if other is None or other.rest():
                self._drop(key, reference)

    def forget(self, file: ModelFile) -> None:
        """A file was closed."""
        with self._lock:
            self._files.pop(id(file), None)

    def _drop(self, key: int, reference: weakref.ref[ModelFile]) -> None:
        with self._lock:
            if self._files.get(key) is reference:
                del self._files[key]


_OPEN_FILES = _OpenFiles()
