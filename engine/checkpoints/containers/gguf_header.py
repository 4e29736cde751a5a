"""The header of a GGUF file: metadata, and where each tensor lies. Nothing is believed before it is checked.

Counts, lengths and offsets are compared with what the file can hold before anything is made of their size. Values that
nobody needs, tokenizers above all, are walked over without being built.
Format: ggml, docs/gguf.md; versions 2 and 3, little endian.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from engine.checkpoints.gguf_types import GGUF_TYPES, VERSION_KEY
from engine.checkpoints.model_file import ModelFile
from engine.checkpoints.stored import StoredTensor
from engine.errors import EngineError, ErrorCode

MAGIC = b"GGUF"
MAX_HEADER_BYTES = 1 << 27
MAX_ENTRIES = 1 << 17  # metadata values, and tensors: a hundred times what the largest models have
_VERSIONS = (2, 3)
_MAX_NAME = 65535  # the format's own limit of keys
_MAX_DIMENSIONS = 8
_MAX_STRINGS = 1 << 24  # in all arrays together: a tenth of a second for each million
_MAX_ARRAYS, _MAX_DEPTH = 1 << 16, 4  # in arrays
_KEPT_TEXT, _KEPT_TEXTS, _KEPT_ITEMS = 4096, 1 << 22, 512
_WINDOW = 1 << 18
_ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
_TOKENIZER = "tokenizer."
_DECIDING = ("general.alignment", "split.no", "split.count", "split.tensors.count")

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _INT32 = 8, 9, 5
_FORMATS = {kind: struct.Struct("<" + code) for kind, code in _SCALARS.items()}
_U32, _U64 = _FORMATS[4], _FORMATS[10]


@dataclass(frozen=True)
class Split:
    """Which part of a model in several files a file is.

    Attributes:
        number: counts from 0.
        count: of all files.
        tensors: in all files together; None where the file does not say it.
    """

    number: int
    count: int
    tensors: int | None


@dataclass(frozen=True)
class GgufHeader:
    """What a header says.

    Attributes:
        texts: scalars, short texts and short lists of whole numbers (as JSON), those of the tokenizer left out.
        tensors: in the order in which they lie in the file.
        data_start: offset of the first byte behind the header.
        split: None for a model in one file.
    """

    texts: Mapping[str, str]
    tensors: tuple[StoredTensor, ...]
    data_start: int
    split: Split | None


def read_header(file: ModelFile, number: int = 0) -> GgufHeader:
    """Read and check a header.

    Args:
        file: at its beginning stands `MAGIC`.
        number: of the file in its model, see `StoredTensor.file`.

    Raises:
        EngineError: ``unsupported_container``, ``header_invalid``, ``file_truncated`` or ``unsupported_dtype``, with
            the tensor where it is one's fault.
    """
    return _HeaderReader(file, number).read()


@dataclass
class _Values:
    """What is kept of the metadata."""

    texts: dict[str, str] = field(default_factory=dict)
    text_bytes: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


class _HeaderReader:
    """Goes over a file from its beginning, through a window of its bytes."""

    def __init__(self, file: ModelFile, number: int) -> None:
        self._file, self._number, self._size = file, number, file.size_bytes
        self._position, self._start, self._bytes = len(MAGIC), 0, b""
        self._walked = {_STRING: 0, _ARRAY: 0}

    def read(self) -> GgufHeader:
        version = int(self._scalar(_U32))
        if version not in _VERSIONS:
            self._refuse_version(version)
        tensors, entries = int(self._scalar(_U64)), int(self._scalar(_U64))
        for count, least, what in ((entries, 13, "entries of metadata"), (tensors, 24, "tensors")):
            if count > MAX_ENTRIES or count * least > self._size:
                self._refuse(f"it claims {count:,} {what}")
        values = _Values({VERSION_KEY: str(version)})
        seen: set[str] = set()
        for _ in range(entries):
            key = self._name("a key of the metadata")
            if key in seen:
                self._refuse(f"the key {_shown(key)} stands there twice")
            seen.add(key)
            self._entry(key, values)
        for key in _DECIDING:
            if key in seen and key not in values.numbers:
                self._refuse(f"{key} is no whole number")
        alignment = values.numbers.get("general.alignment", 32)
        if alignment < 1 or alignment & (alignment - 1):
            self._refuse(f"it aligns tensors to {alignment:,} bytes, which is no power of 2")
        found = [self._tensor(alignment) for _ in range(tensors)]
        data_start = -(-self._position // alignment) * alignment
        placed = self._placed(found, data_start, values.shapes)
        return GgufHeader(values.texts, placed, data_start, self._split(values.numbers))

    def _refuse_version(self, version: int) -> NoReturn:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        title = "big-endian GGUF" if 0 < swapped <= max(_VERSIONS) else f"GGUF version {version:,}"
        raise EngineError(ErrorCode.UNSUPPORTED_CONTAINER, file=self._file.path, container=title)

    # Metadata

    def _entry(self, key: str, values: _Values) -> None:
        kind = int(self._scalar(_U32))
        if kind in _FORMATS:
            value = self._scalar(_FORMATS[kind])
            if type(value) is int:
                values.numbers[key] = value
            if not key.startswith(_TOKENIZER):
                values.texts.setdefault(key, str(value))
        elif kind == _STRING:
            length = self._length(key)
            if key.startswith(_TOKENIZER) or length > _KEPT_TEXT or values.text_bytes + length > _KEPT_TEXTS:
                self._skip(length)
            else:
                values.texts.setdefault(key, self._take(length).decode("utf-8", "replace"))
                values.text_bytes += length
        elif kind == _ARRAY:
            self._array(key, values)
        else:
            self._refuse(f"{_shown(key)} is of an unknown type, {kind:,}")

    def _array(self, key: str, values: _Values) -> None:
        kind, count = int(self._scalar(_U32)), int(self._scalar(_U64))
        wanted = kind in _FORMATS and _SCALARS[kind] not in "fd?" and not key.startswith(_TOKENIZER)
        if key.startswith(_ORIGINAL_SHAPE):
            if kind != _INT32 or not 1 <= count <= _MAX_DIMENSIONS:
                self._refuse(f"{_shown(key)} is no list of up to {_MAX_DIMENSIONS} sizes")
            shape = self._items(kind, count)
            if min(shape) < 0:
                self._refuse(f"{_shown(key)} has a negative size")
            values.shapes[key.removeprefix(_ORIGINAL_SHAPE)] = shape
        elif wanted and count <= _KEPT_ITEMS:
            values.texts.setdefault(key, json.dumps(self._items(kind, count)))
        else:
            self._skip_items(key, kind, count, depth=1)

    def _items(self, kind: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}{_SCALARS[kind]}", self._take(count * _FORMATS[kind].size))

    def _skip_items(self, key: str, kind: int, count: int, *, depth: int) -> None:
        """Go over the items of an array, whose type and number were read."""
        if kind in _FORMATS:
            self._skip(count * _FORMATS[kind].size)
            return
        if kind not in (_STRING, _ARRAY):
            self._refuse(f"{_shown(key)} has items of an unknown type, {kind:,}")
        self._walked[kind] += count
        if self._walked[kind] > (_MAX_STRINGS if kind == _STRING else _MAX_ARRAYS) or count * 8 > self._size:
            self._refuse(f"{_shown(key)} claims {count:,} items")
        if kind == _STRING:
            self._skip_strings(count)
            return
        if depth >= _MAX_DEPTH:
            self._refuse(f"{_shown(key)} has arrays more than {_MAX_DEPTH} deep")
        for _ in range(count):
            inner, items = int(self._scalar(_U32)), int(self._scalar(_U64))
            self._skip_items(key, inner, items, depth=depth + 1)

    def _skip_strings(self, count: int) -> None:
        """Go from length to length, a window of the file at a time."""
        length_at = _U64.unpack_from
        while count:
            window = self._window(_U64.size)
            at, last = self._position - self._start, len(window) - _U64.size
            while count and at <= last:
                at += _U64.size + length_at(window, at)[0]
                count -= 1
            self._go_to(self._start + at)

    def _split(self, numbers: Mapping[str, int]) -> Split | None:
        number, count = numbers.get("split.no", 0), numbers.get("split.count", 0)
        if count <= 1:
            return None
        if not 0 <= number < count:
            self._refuse(f"it calls itself part {number + 1:,} of {count:,}")
        return Split(number, count, numbers.get("split.tensors.count"))

    # Tensors

    def _tensor(self, alignment: int) -> StoredTensor:
        """A tensor as the header has it: its offset counts from the end of the header yet."""
        name = self._name("the name of a tensor")
        dimensions = int(self._scalar(_U32))
        if dimensions > _MAX_DIMENSIONS:
            self._refuse(f"it claims {dimensions:,} dimensions", name)
        sizes = tuple(int(self._scalar(_U64)) for _ in range(dimensions))
        if 0 in sizes:  # the others could be anything
            self._refuse("one of its sizes is 0", name)
        number, offset = int(self._scalar(_U32)), int(self._scalar(_U64))
        kind = GGUF_TYPES.get(number)
        if kind is None:
            dtype = f"GGUF type {number:,}"
            raise EngineError(ErrorCode.UNSUPPORTED_DTYPE, file=self._file.path, tensor=name, dtype=dtype)
        if (sizes[0] if sizes else 1) % kind.values:
            self._refuse(f"its rows of {sizes[0] if sizes else 1:,} are no whole blocks of {kind.name}", name)
        nbytes = math.prod(sizes) // kind.values * kind.nbytes
        if nbytes > self._size:
            self._refuse(f"its shape {list(sizes[::-1])} in {kind.name} takes more bytes than the file has", name)
        if offset % alignment:
            self._refuse(f"it begins at {offset:,}, which is no multiple of {alignment:,}", name)
        return StoredTensor(name, kind.name, sizes[::-1], nbytes, self._number, offset)

    def _placed(
        self, found: list[StoredTensor], data_start: int, shapes: Mapping[str, tuple[int, ...]]
    ) -> tuple[StoredTensor, ...]:
        """The tensors at their places in the file, in their original shapes."""
        placed: list[StoredTensor] = []
        names: set[str] = set()
        end = data_start
        for tensor in sorted(found, key=lambda item: (item.offset, item.nbytes)):
            name, offset, shape = tensor.name, data_start + tensor.offset, tensor.shape
            if name in names:
                self._refuse("the name stands there twice", name)
            names.add(name)
            if offset < end:
                self._refuse("its bytes overlap another tensor's", name)
            end = offset + tensor.nbytes
            if end > self._size:
                sizes = {"expected": end, "actual": self._size}
                raise EngineError(ErrorCode.FILE_TRUNCATED, file=self._file.path, tensor=name, **sizes)
            original = shapes.get(name, shape)
            if math.prod(original) != math.prod(shape):
                self._refuse(f"its shape {list(shape)} cannot have been {list(original)}", name)
            placed.append(StoredTensor(name, tensor.dtype, original, tensor.nbytes, self._number, offset))
        return tuple(placed)

    # Bytes

    def _name(self, what: str) -> str:
        length = int(self._scalar(_U64))
        if length > _MAX_NAME:
            self._refuse(f"{what} claims {length:,} bytes")
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError:
            self._refuse(f"{what} is no text")

    def _length(self, key: str) -> int:
        length = int(self._scalar(_U64))
        if length > self._size:
            self._refuse(f"{_shown(key)} claims {length:,} bytes")
        return length

    def _scalar(self, form: struct.Struct) -> int | float | bool:
        window = self._window(form.size)
        value: int | float | bool = form.unpack_from(window, self._position - self._start)[0]
        self._position += form.size
        return value

    def _take(self, count: int) -> bytes:
        window = self._window(count)
        at = self._position - self._start
        self._position += count
        return window[at : at + count]

    def _skip(self, count: int) -> None:
        self._go_to(self._position + count)

    def _go_to(self, position: int) -> None:
        if position > min(self._size, MAX_HEADER_BYTES):
            self._end(position)
        self._position = position

    def _window(self, count: int) -> bytes:
        """Bytes of the file among which `count` from the position on are."""
        end = self._position + count
        if end > min(self._size, MAX_HEADER_BYTES):
            self._end(end)
        if not self._start <= self._position <= end <= self._start + len(self._bytes):
            self._start = self._position
            self._bytes = self._file.bytes_at(self._start, min(max(count, _WINDOW), self._size - self._start))
        return self._bytes

    def _end(self, position: int) -> NoReturn:
        if position > MAX_HEADER_BYTES:
            self._refuse(f"it is longer than {MAX_HEADER_BYTES:,} bytes")
        raise EngineError(ErrorCode.FILE_TRUNCATED, file=self._file.path, expected=position, actual=self._size)

    def _refuse(self, reason: str, tensor: str | None = None) -> NoReturn:
        raise EngineError(ErrorCode.HEADER_INVALID, file=self._file.path, tensor=tensor, reason=reason)


def _shown(key: str) -> str:
    """A key as a message shows it: not the whole of one that somebody made long."""
    return key if len(key) <= 80 else key[:77] + "..."
