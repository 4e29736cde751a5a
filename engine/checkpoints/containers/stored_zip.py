"""A zip archive whose entries are stored as they are: where the bytes of each lie, checked before they are read.

Source of the format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3 (zip64).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from engine.checkpoints.model_file import ModelFile
from engine.errors import EngineError, ErrorCode

_MOST_ENTRIES, _MOST_DIRECTORY_BYTES = 200_000, 64 << 20
_END, _END64, _LOCATOR64, _CENTRAL, _LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
_END_FORM, _END64_FORM = "<4sHHHHIIH", "<4sQHHIIQQQQ"
_CENTRAL_FORM, _LOCAL_FORM = "<4sHHHHHHIIIHHHHHII", "<4sHHHHHIIIHH"
_CENTRAL_BYTES, _LOCAL_BYTES = struct.calcsize(_CENTRAL_FORM), struct.calcsize(_LOCAL_FORM)
_ENCRYPTED, _STORED = 1, 0
_ONLY_IN_64 = 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    Attributes:
        name: with its folders.
        size: in bytes.
        method: how it is compressed; 0 for not.
        header: offset of its local header.
        offset: of its first byte.
    """

    name: str
    size: int
    method: int
    header: int
    offset: int = 0


@dataclass(frozen=True)
class Archive:
    """An archive's entries by name, and the bytes of its directory."""

    entries: dict[str, Entry]
    directory: bytes


def read_archive(file: ModelFile) -> Archive:
    """Find all entries: none is encrypted, none overlaps another, all lie before the directory.

    Raises:
        EngineError: ``header_invalid`` with the entry's name where it concerns one, ``unsupported_container`` for what
            is compressed.
    """
    start, count, directory = _directory(file)
    entries: dict[str, Entry] = {}
    position = 0
    for _ in range(count):
        entry, position = _central_entry(file, directory, position)
        if entry.name in entries:
            raise _fault(file, "an entry of it stands there twice", entry.name)
        entries[entry.name] = entry
    placed = [_placed(file, entry, start) for entry in sorted(entries.values(), key=lambda entry: entry.header)]
    end = 0
    for entry in placed:
        if entry.header < end:
            raise _fault(file, "its bytes overlap another entry's", entry.name)
        end = entry.offset + entry.size
    return Archive({entry.name: entry for entry in placed}, directory)


def _directory(file: ModelFile) -> tuple[int, int, bytes]:
    """Offset and number of entries of the central directory, and its bytes."""
    size = file.size_bytes
    length = min(size, struct.calcsize(_END_FORM) + 0xFFFF)
    tail = file.bytes_at(size - length, length)
    place = tail.rfind(_END)
    while place >= 0 and not _ends_there(tail, place):
        place = tail.rfind(_END, 0, place)
    if place < 0:
        raise EngineError(ErrorCode.HEADER_INVALID, file=file.path, reason="its archive has no end: it may be cut off")
    _, disk, disk_of_start, here, count, directory_size, start, _ = struct.unpack_from(_END_FORM, tail, place)
    end = size - length + place
    if _ONLY_IN_64 in (directory_size, start) or count == 0xFFFF:
        end, disk, disk_of_start, here, count, directory_size, start = _end_of_64(file, end)
    if disk or disk_of_start or here != count:
        raise _fault(file, "its archive is one of several")
    if count > _MOST_ENTRIES or directory_size > _MOST_DIRECTORY_BYTES:
        raise _fault(file, f"its archive claims {count:,} entries")
    if start + directory_size > end or directory_size < count * _CENTRAL_BYTES:
        raise _fault(file, "its archive's directory does not lie where it says")
    return start, count, file.bytes_at(start, directory_size)


def _ends_there(tail: bytes, place: int) -> bool:
    """Whether an end of an archive, with the comment behind it, is the end of the file."""
    size = struct.calcsize(_END_FORM)
    return place + size <= len(tail) and place + size + struct.unpack_from("<H", tail, place + 20)[0] == len(tail)


def _end_of_64(file: ModelFile, end: int) -> tuple[int, int, int, int, int, int, int]:
    """The same of an archive with more entries or bytes than 32 bits count."""
    size = struct.calcsize(_END64_FORM)
    if end < 20 + size:
        raise _fault(file, "its archive's directory does not lie where it says")
    mark, _, at, _ = struct.unpack("<4sIQI", file.bytes_at(end - 20, 20))
    if mark != _LOCATOR64 or at > end - 20 - size:
        raise _fault(file, "its archive's directory does not lie where it says")
    mark, _, _, _, disk, disk_of_start, here, count, directory_size, start = struct.unpack(
        _END64_FORM, file.bytes_at(at, size)
    )
    if mark != _END64:
        raise _fault(file, "its archive's directory does not lie where it says")
    return at, disk, disk_of_start, here, count, directory_size, start


def _central_entry(file: ModelFile, directory: bytes, position: int) -> tuple[Entry, int]:
    if position + _CENTRAL_BYTES > len(directory):
        raise _fault(file, "its archive's directory is shorter than it says")
    mark, _, _, flags, method, _, _, _, packed, size, name_size, extra_size, comment_size, disk, _, _, header = (
        struct.unpack_from(_CENTRAL_FORM, directory, position)
    )
    begin = position + _CENTRAL_BYTES
    end = begin + name_size + extra_size + comment_size
    if mark != _CENTRAL or end > len(directory):
        raise _fault(file, "its archive's directory is shorter than it says")
    name = directory[begin : begin + name_size].decode("utf-8", "replace")
    extra = directory[begin + name_size : begin + name_size + extra_size]
    size, packed, header, disk = _of_64(extra, [size, packed, header], disk)
    if flags & _ENCRYPTED or disk:
        raise _fault(file, "it is encrypted, or lies in another file", name)
    if method == _STORED and packed != size:
        raise _fault(file, "its two sizes differ", name)
    return Entry(name, size, method, header), end


def _of_64(extra: bytes, values: list[int], disk: int) -> tuple[int, int, int, int]:
    """Size, packed size, offset and disk, each in 64 bits where the 32 hold only the largest number."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        field = extra[position + 4 : position + 4 + length]
        if kind == 1:
            for index, value in enumerate(values):
                if value == _ONLY_IN_64 and len(field) >= 8:
                    values[index], field = struct.unpack_from("<Q", field)[0], field[8:]
            if disk == 0xFFFF and len(field) >= 4:
                disk = struct.unpack_from("<I", field)[0]
        position += 4 + length
    return values[0], values[1], values[2], disk


def _placed(file: ModelFile, entry: Entry, directory: int) -> Entry:
    """An entry with the place of its bytes, which its local header decides."""
    if entry.header + _LOCAL_BYTES > directory:
        raise _fault(file, "it lies outside the archive", entry.name)
    fields = struct.unpack(_LOCAL_FORM, file.bytes_at(entry.header, _LOCAL_BYTES))
    mark, _, flags, method, *_, name_size, extra_size = fields
    offset = entry.header + _LOCAL_BYTES + name_size + extra_size
    if mark != _LOCAL or method != entry.method or flags & _ENCRYPTED or offset > directory:
        raise _fault(file, "the archive's directory says something else of it than its own header", entry.name)
    name = file.bytes_at(entry.header + _LOCAL_BYTES, name_size).decode("utf-8", "replace")
    if name != entry.name:
        raise _fault(file, "the archive's directory says something else of it than its own header", entry.name)
    if entry.method == _STORED and offset + entry.size > directory:
        raise _fault(file, "it lies outside the archive", entry.name)
    size = entry.size if entry.method == _STORED else 0
    return Entry(entry.name, size, entry.method, entry.header, offset)


def _fault(file: ModelFile, reason: str, entry: str | None = None) -> EngineError:
    return EngineError(ErrorCode.HEADER_INVALID, file=file.path, tensor=entry, reason=reason)
