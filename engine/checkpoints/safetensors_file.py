"""One ``.safetensors`` file as a `Checkpoint`: a length, a JSON header, raw tensor bytes.

The header is checked completely before anything is read by it: headers lie. Tensors are read
with plain positioned reads into the caller's buffer, so that opening a file costs no memory
and reading one tensor costs that tensor. Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from engine.checkpoints.checkpoint import Checkpoint, TensorInfo
from engine.checkpoints.dtypes import DTYPES
from engine.errors import EngineError, ErrorCode
from engine.steps import check

MAX_HEADER_BYTES = 100_000_000  # the reference library's own limit
_PIECES, _PIECE_BYTES = 256, 64 * 1024
_READ_CHUNK = 1 << 25  # a run that is to stop stops between two of them


class SafetensorsFile(Checkpoint):
    """A single safetensors file, opened read-only."""

    container = "safetensors"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._reads, self._closed = 0, False
        self._hashing = threading.Lock()
        self._fingerprint: str | None = None
        try:
            self._stream: BinaryIO = path.open("rb", buffering=0)
        except OSError as error:
            raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
        try:
            status = os.fstat(self._stream.fileno())
            self.size_bytes = status.st_size
            self._mtime_ns = status.st_mtime_ns
            header = self._read_header()
            self.header_sha256 = hashlib.sha256(header).hexdigest()
            self._data_start = 8 + len(header)
            self.metadata, self.tensors, self._offsets = parse_header(path, header, self.size_bytes - self._data_start)
        except BaseException:
            self._stream.close()
            raise

    def _read_header(self) -> bytes:
        prefix = self._read_at(0, min(8, self.size_bytes))
        if len(prefix) < 8:
            raise EngineError(ErrorCode.FILE_TRUNCATED, file=self.path, expected=8, actual=self.size_bytes)
        length = int.from_bytes(prefix, "little")
        first = self._read_at(8, 1) if self.size_bytes > 8 else b""
        if length < 2 or first != b"{":
            raise EngineError(ErrorCode.NOT_A_MODEL, file=self.path, reason="no_header")
        if length > MAX_HEADER_BYTES:
            raise EngineError(ErrorCode.HEADER_INVALID, file=self.path, reason=f"its header claims {length:,} bytes")
        if 8 + length > self.size_bytes:
            raise EngineError(ErrorCode.FILE_TRUNCATED, file=self.path, expected=8 + length, actual=self.size_bytes)
        return self._read_at(8, length)

    def _read_at(self, offset: int, length: int) -> bytes:
        buffer = bytearray(length)
        self._fill(memoryview(buffer), offset, None)
        return bytes(buffer)

    def _fill(self, buffer: memoryview, offset: int, tensor: str | None) -> None:
        position = 0
        with self._counting:
            if self._closed:
                raise EngineError(ErrorCode.FILE_UNREADABLE, file=self.path, tensor=tensor, reason="it was closed")
            self._reads += 1
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

    def read_into(self, name: str, buffer: memoryview) -> None:
        """See `Checkpoint.read_into`."""
        begin, end = self._offsets[name]
        if len(buffer) != end - begin:
            raise ValueError(f"{name}: buffer of {len(buffer)} bytes for {end - begin}")
        self._fill(buffer, self._data_start + begin, name)

    def read_part(self, name: str, start: int, buffer: memoryview) -> None:
        """See `Checkpoint.read_part`."""
        begin, end = self._offsets[name]
        if not 0 <= start <= end - begin - len(buffer):
            raise ValueError(f"{name}: bytes {start} to {start + len(buffer)} of {end - begin}")
        self._fill(buffer, self._data_start + begin + start, name)

    def fingerprint(self) -> str:
        """See `Checkpoint.fingerprint`."""
        with self._hashing:
            if self._fingerprint is None:
                self._fingerprint = self._hashed()
            return self._fingerprint

    def _hashed(self) -> str:
        digest = hashlib.sha256(f"{self.size_bytes} {self.header_sha256} ".encode())
        last = max(self._data_start, self.size_bytes - _PIECE_BYTES)
        for index in range(_PIECES):
            offset = self._data_start + (last - self._data_start) * index // (_PIECES - 1)
            digest.update(self._read_at(offset, min(_PIECE_BYTES, self.size_bytes - offset)))
        return digest.hexdigest()

    def check_unchanged(self) -> None:
        """See `Checkpoint.check_unchanged`."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise EngineError(ErrorCode.INPUT_CHANGED, file=self.path) from error
        if (status.st_size, status.st_mtime_ns) != (self.size_bytes, self._mtime_ns):
            raise EngineError(ErrorCode.INPUT_CHANGED, file=self.path)

    def close(self) -> None:
        """See `Checkpoint.close`. A read that a drive holds up keeps the file's number from being given to another."""
        with self._counting:
            self._closed = True
            self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._closed and not self._reads:
            self._stream.close()


def parse_header(
    path: Path, header: bytes, data_bytes: int
) -> tuple[Mapping[str, str], Mapping[str, TensorInfo], Mapping[str, tuple[int, int]]]:
    """Check a header against the file it came from.

    Args:
        path: for the errors.
        header: the JSON bytes.
        data_bytes: how many bytes follow the header in the file.

    Returns:
        The metadata, the tensors in the order of the file, and their byte ranges in the data.

    Raises:
        EngineError: naming the tensor, where sizes, offsets, names or dtypes cannot be true.
    """

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) != len(pairs):
            seen: set[str] = set()
            twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise EngineError(ErrorCode.HEADER_INVALID, file=path, tensor=twice, reason="the name stands there twice")
        return entries

    try:
        entries = json.loads(header.decode("utf-8"), object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError) as error:
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="it is not valid JSON") from error
    if not isinstance(entries, dict):
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="it is not a table of tensors")
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="its metadata is not a table of texts")
    if not entries:
        raise EngineError(ErrorCode.NOT_A_MODEL, file=path, reason="no_tensors")

    parsed = sorted((_parse_entry(path, name, entry) for name, entry in entries.items()), key=lambda item: item[1])
    position = 0
    for info, (begin, end) in parsed:
        if begin != position:
            reason = "its bytes overlap another tensor's" if begin < position else "there is a hole before its bytes"
            raise EngineError(ErrorCode.HEADER_INVALID, file=path, tensor=info.name, reason=reason)
        position = end
    if position > data_bytes:
        broken = next(info.name for info, (_, end) in parsed if end > data_bytes)
        sizes = {"expected": 8 + len(header) + position, "actual": 8 + len(header) + data_bytes}  # of the whole file
        raise EngineError(ErrorCode.FILE_TRUNCATED, file=path, tensor=broken, **sizes)
    if position < data_bytes:
        reason = f"{data_bytes - position:,} bytes follow the last tensor"
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason=reason)
    return metadata, {info.name: info for info, _ in parsed}, {info.name: span for info, span in parsed}


def _parse_entry(path: Path, name: str, entry: object) -> tuple[TensorInfo, tuple[int, int]]:
    def refuse(reason: str, code: ErrorCode = ErrorCode.HEADER_INVALID, **data: str) -> EngineError:
        return EngineError(code, file=path, tensor=name, reason=reason, **data)

    if not isinstance(entry, dict):
        raise refuse("its entry is not a table")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not _is_sizes(shape) or not _is_sizes(offsets) or len(offsets) != 2:
        raise refuse("its shape or its offsets are not whole numbers")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise refuse(f"dtype {dtype}", ErrorCode.UNSUPPORTED_DTYPE, dtype=str(dtype))
    begin, end = offsets
    bits = math.prod(shape) * DTYPES[dtype].bits
    if begin > end or (end - begin) * 8 != bits:
        raise refuse(f"its shape {tuple(shape)} in {dtype} does not fill bytes {begin:,} to {end:,}")
    return TensorInfo(name, dtype, tuple(shape), end - begin), (begin, end)


def _is_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
