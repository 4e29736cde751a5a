"""The bytes of a record: how a frame is laid out, made, and recognised with every length checked before it is used.

    magic 8 | version u32 | header length u32 | blake2b-128 of these and of the header | header JSON | payload

The header names the record, its figures, its arrays and the checksum of the payload, which is the arrays' bytes one
after the other. So an index needs the headers only, and every byte stands under a checksum. The prefix stays as it is
in every version to come, so that the file of a newer program is told from a damaged one.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

VERSION = 1
HEAD, LAYER = "head", "layer"
_MAGIC = b"\x93LORAJ\r\n"  # not text, and broken by a transfer that takes it for text
_LENGTHS = struct.Struct("<8sII")
_DIGEST_BYTES = 16
_PREFIX_BYTES = _LENGTHS.size + _DIGEST_BYTES
_MAX_HEADER_BYTES = 1 << 26  # far above any; a lying length allocates no more
_READ_CHUNK = 1 << 30
_DTYPES = {  # the only ones that are stored, and always little-endian
    name: np.dtype(name).newbyteorder("<")
    for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "bool")
}


class BrokenFrameError(Exception):
    """There is no whole frame where one was looked for. The text says why, as the end of a sentence."""


class OtherVersionError(BrokenFrameError):
    """The frame is whole, and of a version that is not known here."""


@dataclass(frozen=True)
class ArrayInfo:
    """What the header says of one array."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Its size in the payload."""
        return math.prod(self.shape) * _DTYPES[self.dtype].itemsize


@dataclass(frozen=True)
class Frame:
    """One frame as its header describes it; `offset` is where its payload begins in the file."""

    kind: str
    name: str
    fields: dict[str, Any]
    arrays: tuple[ArrayInfo, ...]
    digest: str
    offset: int

    @property
    def payload_bytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(info.nbytes for info in self.arrays)

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.offset + self.payload_bytes


def make_frame(kind: str, name: str, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> list[memoryview]:
    """The pieces of a frame in the order of the file; contiguous little-endian arrays are not copied.

    Raises:
        TypeError: a field is no JSON value, or an array's dtype is none of those that are stored.
    """
    infos = [ArrayInfo(key, array.dtype.name, array.shape) for key, array in arrays.items()]
    for info in infos:
        if info.dtype not in _DTYPES:
            raise TypeError(f"{name}: {info.name} is {info.dtype}, which no journal stores")
    payload = [
        _bytes_of(np.ascontiguousarray(array, _DTYPES[info.dtype]))
        for info, array in zip(infos, arrays.values(), strict=True)
    ]
    table = {
        "kind": kind,
        "name": name,
        "fields": fields,
        "arrays": [[info.name, info.dtype, info.shape] for info in infos],
        "digest": _digest(*payload),
    }
    header = json.dumps(table, separators=(",", ":")).encode()
    if len(header) > _MAX_HEADER_BYTES:
        raise TypeError(f"{name}: fields of {len(header)} bytes")
    lengths = _LENGTHS.pack(_MAGIC, VERSION, len(header))
    return [memoryview(lengths + bytes.fromhex(_digest(lengths, header)) + header), *payload]


def read_frame(stream: BinaryIO, start: int, file_bytes: int) -> Frame:
    """Read the header of the frame at `start`, and see that its payload lies within the file.

    Raises:
        BrokenFrameError: it is none, it is damaged, or the file ends before it does.
        OtherVersionError: it is one of another version.
        OSError: the file cannot be read.
    """
    stream.seek(start)
    prefix = read_exactly(stream, min(_PREFIX_BYTES, file_bytes - start))
    if not prefix.startswith(_MAGIC):
        raise BrokenFrameError("it is not a journal of an extraction")
    if len(prefix) < _PREFIX_BYTES:
        raise BrokenFrameError("it is cut short")
    lengths, digest = prefix[: _LENGTHS.size], prefix[_LENGTHS.size :]
    _, version, header_bytes = _LENGTHS.unpack(lengths)
    offset = start + _PREFIX_BYTES + header_bytes
    if header_bytes > _MAX_HEADER_BYTES or offset > file_bytes:
        raise BrokenFrameError("it is cut short or damaged")
    header = read_exactly(stream, header_bytes)
    if _digest(lengths, header) != digest.hex():
        raise BrokenFrameError("its checksum is wrong")
    if version != VERSION:
        raise OtherVersionError(f"its format has version {version}, and {VERSION} is known here")
    try:
        frame = _parsed(json.loads(header), offset)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BrokenFrameError("its header makes no sense") from error
    if frame.end > file_bytes:
        raise BrokenFrameError("it is cut short")
    return frame


def read_arrays(stream: BinaryIO, frame: Frame) -> dict[str, NDArray[Any]]:
    """Read a frame's arrays into new memory, and see that they are those that were written.

    Raises:
        BrokenFrameError: the file is cut short, or the checksum is wrong.
        OSError: the file cannot be read.
    """
    stream.seek(0, 2)
    if stream.tell() < frame.end:  # before memory is taken for it
        raise BrokenFrameError("it is cut short")
    stream.seek(frame.offset)
    arrays = {info.name: np.empty(info.shape, _DTYPES[info.dtype]) for info in frame.arrays}
    views = [_bytes_of(array) for array in arrays.values()]
    for view in views:
        _fill(stream, view)
    if _digest(*views) != frame.digest:
        raise BrokenFrameError("its checksum is wrong")
    return arrays


def read_exactly(stream: BinaryIO, count: int) -> bytes:
    """So many bytes from where the stream stands."""
    buffer = bytearray(count)
    _fill(stream, memoryview(buffer))
    return bytes(buffer)


def _fill(stream: BinaryIO, view: memoryview) -> None:
    while len(view):
        count = stream.readinto(view[:_READ_CHUNK])  # type: ignore[attr-defined]
        if not count:
            raise BrokenFrameError("it is cut short")
        view = view[count:]


def _parsed(table: dict[str, Any], offset: int) -> Frame:
    kind, name, fields, digest = table["kind"], table["name"], table["fields"], table["digest"]
    arrays = tuple(ArrayInfo(key, dtype, tuple(shape)) for key, dtype, shape in table["arrays"])
    texts = (kind, name, digest, *(info.name for info in arrays), *(info.dtype for info in arrays))
    if not all(isinstance(text, str) for text in texts) or not isinstance(fields, dict):
        raise TypeError("a name that is no text")
    if len({info.name for info in arrays}) != len(arrays):
        raise ValueError("two arrays of one name")
    for info in arrays:
        if info.dtype not in _DTYPES or not all(type(size) is int and 0 <= size < 1 << 48 for size in info.shape):
            raise ValueError("an array that cannot be")
    return Frame(kind, name, fields, arrays, digest, offset)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """The memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data


def _digest(*parts: bytes | memoryview) -> str:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
