"""One ``.safetensors`` file: a length, a JSON header, raw tensor bytes.

The header is checked completely before anything is read by it: headers lie.
Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.model_file import ModelFile
from engine.checkpoints.stored import StoredTensor
from engine.checkpoints.strict_json import RepeatedNameError, parse_json
from engine.errors import EngineError, ErrorCode

MAX_HEADER_BYTES = 100_000_000  # the reference library's own limit


def recognises(path: Path, head: bytes) -> bool:
    """Whether a file is one: a header's length, small enough, and the beginning of a JSON table."""
    return int.from_bytes(head[:8], "little") <= MAX_HEADER_BYTES and head[8:9] == b"{"


def open_file(path: Path) -> Checkpoint:
    """Open a file and check its header.

    Raises:
        EngineError: ``not_a_model``, ``header_invalid``, ``file_truncated``, ``unsupported_dtype`` or
            ``file_unreadable``.
    """
    file = ModelFile(path)
    try:
        header = _read_header(file)
        file.note_header(header, 8 + len(header))
        metadata, stored = parse_header(path, header, file.size_bytes - 8 - len(header))
        return Checkpoint(path, "safetensors", (file,), stored, metadata)
    except BaseException:
        file.close()
        raise


def _read_header(file: ModelFile) -> bytes:
    size = file.size_bytes
    prefix = file.bytes_at(0, min(8, size))
    if len(prefix) < 8:
        raise EngineError(ErrorCode.FILE_TRUNCATED, file=file.path, expected=8, actual=size)
    length = int.from_bytes(prefix, "little")
    first = file.bytes_at(8, 1) if size > 8 else b""
    if length < 2 or first != b"{":
        raise EngineError(ErrorCode.NOT_A_MODEL, file=file.path, reason="no_header")
    if length > MAX_HEADER_BYTES:
        raise EngineError(ErrorCode.HEADER_INVALID, file=file.path, reason=f"its header claims {length:,} bytes")
    if 8 + length > size:
        raise EngineError(ErrorCode.FILE_TRUNCATED, file=file.path, expected=8 + length, actual=size)
    return file.bytes_at(8, length)


def parse_header(path: Path, header: bytes, data_bytes: int) -> tuple[Mapping[str, str], Mapping[str, StoredTensor]]:
    """Check a header against the file it came from.

    Args:
        path: for the errors.
        header: the JSON bytes.
        data_bytes: how many bytes follow the header in the file.

    Returns:
        The metadata, and the tensors in the order of the file.

    Raises:
        EngineError: naming the tensor, where sizes, offsets, names or dtypes cannot be true.
    """
    try:
        entries = parse_json(header)
    except RepeatedNameError as error:
        reason = "the name stands there twice"
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, tensor=error.name, reason=reason) from error
    except ValueError as error:
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="it is not valid JSON") from error
    if not isinstance(entries, dict):
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="it is not a table of tensors")
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason="its metadata is not a table of texts")
    if not entries:
        raise EngineError(ErrorCode.NOT_A_MODEL, file=path, reason="no_tensors")

    parsed = sorted(
        (_parse_entry(path, name, entry, 8 + len(header)) for name, entry in entries.items()), key=lambda item: item[1]
    )
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
    return metadata, {info.name: info for info, _ in parsed}


def _parse_entry(path: Path, name: str, entry: object, start: int) -> tuple[StoredTensor, tuple[int, int]]:
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
    return StoredTensor(name, dtype, tuple(shape), end - begin, offset=start + begin), (begin, end)


def _is_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
