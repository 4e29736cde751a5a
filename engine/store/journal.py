"""One journal: a file that grows by a record per finished layer and survives whatever ends its process.

It is a sequence of frames (`engine.store.frames`), the first of which is the head, with what the run says of itself.
A record counts when `JournalWriter.sync` has returned. Reading ends at the first frame that is not whole: what
precedes it stands under checksums of its own and is used. Nothing behind it is searched for, as a layer that is lost
costs one decomposition, and one that is misread a wrong LoRA.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from engine.disk import disk_errors, sync_data, sync_folder, write_all
from engine.errors import EngineError, ErrorCode
from engine.store.frames import (
    HEAD,
    LAYER,
    VERSION,
    BrokenFrameError,
    Frame,
    OtherVersionError,
    make_frame,
    read_arrays,
    read_frame,
)


@dataclass(frozen=True)
class Record:
    """One layer's decomposition: its arrays, and figures that JSON can hold (tuples come back as lists)."""

    name: str
    fields: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Entry:
    """A record in a journal, known by its header; its arrays are on disk until `load`."""

    path: Path
    frame: Frame

    @property
    def name(self) -> str:
        """The layer's canonical name."""
        return self.frame.name

    @property
    def fields(self) -> dict[str, Any]:
        """The record's figures."""
        return self.frame.fields

    @property
    def offset(self) -> int:
        """Where its arrays begin in the file."""
        return self.frame.offset

    @property
    def payload_bytes(self) -> int:
        """Bytes of its arrays."""
        return self.frame.payload_bytes

    def load(self) -> Record:
        """Read the arrays into new memory.

        Raises:
            EngineError: ``journal_invalid`` if they are not those that were written, or the file is gone. Another
                run may have removed it at any time; the layer is then worked out anew.
        """
        try:
            with self.path.open("rb", buffering=0) as stream:
                return Record(self.name, self.fields, read_arrays(stream, self.frame))
        except BrokenFrameError as error:
            raise _invalid(self.path, str(error), tensor=self.name) from error
        except (OSError, ValueError) as error:  # ValueError: a shape that numpy cannot make
            reason = getattr(error, "strerror", None) or str(error)
            raise _invalid(self.path, reason, tensor=self.name) from error


@dataclass(frozen=True)
class Journal:
    """What a journal holds.

    Attributes:
        path: its file.
        head: what the run said of itself, and ``format_version``.
        entries: its whole records, in the order of writing.
        lost_bytes: behind the last whole record: cut short, damaged, or being written at this moment.
    """

    path: Path
    head: dict[str, Any]
    entries: tuple[Entry, ...]
    lost_bytes: int

    @property
    def finished(self) -> bool:
        """Whether its run came to its end, or a later one took over from it and did."""
        return done_mark(self.path).exists()


class JournalWriter:
    """A journal being written, by one thread at a time."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        """Create the file, which must not exist, with its head.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``; there is no file then.
        """
        self.path = path
        self.size_bytes = 0
        self._usable = True
        with disk_errors(path):
            self._stream = path.open("xb", buffering=0)
        try:
            self._write(make_frame(HEAD, "", {**head, "format_version": VERSION}, {}))
            self.sync()
            sync_folder(path.parent)
        except BaseException:
            self._stream.close()
            with suppress(OSError):
                path.unlink()
            raise

    def append(self, record: Record) -> None:
        """Write a record behind the others. It is safe after the next `sync`.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``; the journal is as it was before the call, and takes
                further records unless the disk refused even to remove what was begun.
            TypeError: a field is no JSON value, or an array has a dtype that no journal stores.
        """
        self._write(make_frame(LAYER, record.name, record.fields, record.arrays))

    def _write(self, pieces: list[memoryview]) -> None:
        self._refuse_if_unusable()
        try:
            with disk_errors(self.path):
                for piece in pieces:
                    write_all(self._stream.write, piece)
        except BaseException:
            self._cut_back()
            raise
        self.size_bytes += sum(len(piece) for piece in pieces)

    def _cut_back(self) -> None:
        """Remove what a failed write left: a reader stops there and would never see what came after it."""
        try:
            self._stream.truncate(self.size_bytes)
            self._stream.seek(self.size_bytes)
        except OSError:
            self._usable = False

    def sync(self) -> None:
        """Have all records on the disk before this returns.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``. The journal takes no more records then: a system may
                forget the bytes that it failed to write, and call the next attempt a success.
        """
        self._refuse_if_unusable()
        try:
            with disk_errors(self.path):
                sync_data(self._stream.fileno())
        except BaseException:
            self._usable = False
            raise

    def _refuse_if_unusable(self) -> None:
        if not self._usable:
            raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=self.path, reason="an earlier write to it failed")

    def close(self) -> None:
        """Close the file; what was synced stays."""
        self._stream.close()

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> Journal:
    """Index a journal by its headers, whether or not it is whole to the end.

    Raises:
        EngineError: ``journal_invalid`` if it is none or its head is damaged; the same with ``other_version=True`` if
            it is whole but of a version not known here; ``file_unreadable`` if the system would not read it.
    """
    try:
        with path.open("rb", buffering=0) as stream:
            file_bytes = os.fstat(stream.fileno()).st_size
            head = read_frame(stream, 0, file_bytes)
            if head.kind != HEAD:
                raise BrokenFrameError("it has no head")
            frames = [head]
            with suppress(BrokenFrameError, OSError):  # what precedes the trouble is good
                while frames[-1].end < file_bytes:
                    frame = read_frame(stream, frames[-1].end, file_bytes)
                    if frame.kind != LAYER:
                        break
                    frames.append(frame)
    except OtherVersionError as error:
        raise _invalid(path, str(error), other_version=True) from error
    except BrokenFrameError as error:
        raise _invalid(path, str(error)) from error
    except OSError as error:
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    entries = tuple(Entry(path, frame) for frame in frames[1:])
    return Journal(path, head.fields, entries, file_bytes - frames[-1].end)


def done_mark(path: Path) -> Path:
    """The empty file whose presence says that a journal is finished: there or not, and never half."""
    return path.with_suffix(".done")


def _invalid(path: Path, reason: str, **data: Any) -> EngineError:
    return EngineError(ErrorCode.JOURNAL_INVALID, file=path, reason=reason, **data)
