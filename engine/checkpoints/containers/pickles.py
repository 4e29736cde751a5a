"""Files of ``torch.save``: a pickle that says what the tensors are, and their bytes; a zip archive, or the older form.

The pickle is read by a machine that runs nothing (`pickle_machine`), and the bytes are only looked for: every storage
must lie inside the file, with the size that the pickle says.
Source of both forms: torch 2.13, ``torch/serialization.py``, ``_load`` and ``_legacy_load``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.containers.pickle_machine import PickleFormatError, read_pickle
from engine.checkpoints.containers.pickled_tensors import PickledTensor, PickleRefusal, Storage, torch_meaning
from engine.checkpoints.containers.stored_zip import Archive, Entry, read_archive
from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.model_file import ModelFile
from engine.checkpoints.stored import StoredTensor, Strided
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode

MOST_PICKLE_BYTES = 64 << 20
_PIECE = 1 << 16
_ZIP, _PROTOCOLS = b"PK\3\4", (b"\2", b"\3", b"\4", b"\5")
_MAGIC, _LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_MAGIC_BYTES = _MAGIC.to_bytes(10, "little")
_MOST_SPAN = 4  # a view that reaches over more than so many times its own size is refused: all of that would be read

_STATE = ("state_dict", "model_state_dict", "model", "module", "net", "params", "weights")
"""Under what trainers keep a model's weights, in the order of preference."""
_EMA = ("ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "ema", "params_ema")
"""Under what they keep the average of them over the last steps."""
_OPTIMISER = "optim"  # how the names of what only training needs begin
_DEPTH = 4

Places = Callable[[Storage], int]
"""Where the bytes of a storage begin in the file. Raises `EngineError`."""


def recognises(path: Path, head: bytes) -> bool:
    """Whether a file begins as a zip archive or a pickle does."""
    return head.startswith(_ZIP) or (head[:1] == b"\x80" and head[1:2] in _PROTOCOLS)


def open_file(path: Path) -> Checkpoint:
    """Open a file and find out what it holds.

    Raises:
        EngineError: ``not_a_model``, ``header_invalid``, ``pickle_refused`` with what it named,
            ``unsupported_container`` or ``file_unreadable``.
    """
    file = ModelFile(path)
    try:
        opened = _open_zip if file.bytes_at(0, min(4, file.size_bytes)) == _ZIP else _open_legacy
        value, place = opened(file)
        tensors, notices = weights_of(value, path.name)
        if not tensors:
            raise EngineError(ErrorCode.NOT_A_MODEL, file=path, reason="no_tensors")
        stored = {name: _stored(file, name, tensor, place) for name, tensor in tensors.items()}
        return Checkpoint(path, "PyTorch pickle", (file,), stored, {}, notices)
    except BaseException:
        file.close()
        raise


class _Window:
    """Instructions out of a part of a file, read in pieces as they are needed."""

    def __init__(self, file: ModelFile, start: int, end: int) -> None:
        self.file, self.position, self.end = file, start, min(end, start + MOST_PICKLE_BYTES)
        self._cut = end > self.end
        self._piece, self._place = b"", 0

    def read(self, length: int) -> bytes:
        left = len(self._piece) - self._place
        if length > left:
            if length > self.end - self.position:
                more = f"it is longer than {MOST_PICKLE_BYTES >> 20} MiB" if self._cut else "it is cut off"
                raise PickleFormatError(more)
            whole = self.file.bytes_at(self.position, min(max(length, _PIECE), self.end - self.position))
            self._piece, self._place = whole, 0
        self._place += length
        self.position += length
        return self._piece[self._place - length : self._place]

    def line(self, most: int) -> bytes:
        found = bytearray()
        while len(found) <= most:
            byte = self.read(1)
            if byte == b"\n":
                return bytes(found)
            found += byte
        raise PickleFormatError(f"a line in it is longer than {most} bytes")


def _open_zip(file: ModelFile) -> tuple[object, Places]:
    archive = read_archive(file)
    names = [name for name in archive.entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(names) != 1:
        raise EngineError(ErrorCode.NOT_A_MODEL, file=file.path, reason="plain_zip")
    folder = names[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in archive.entries:
        raise EngineError(ErrorCode.UNSUPPORTED_CONTAINER, file=file.path, container="TorchScript", reason="program")
    pickle = _uncompressed(file, archive.entries[names[0]])
    _check_byte_order(file, archive, folder)
    file.note_header(_pickle_bytes(file, pickle) + archive.directory, 0)
    storages: dict[str, Storage] = {}
    value = _read(file, _Window(file, pickle.offset, pickle.offset + pickle.size), storages)
    sizes = {key: _bytes_of(storage) for key, storage in storages.items()}

    def place(storage: Storage) -> int:
        entry = archive.entries.get(f"{folder}data/{storage.key}")
        if entry is None:
            raise _fault(file, f"storage {storage.key} is not in the archive")
        if _uncompressed(file, entry).size != sizes[storage.key]:
            raise _fault(file, f"storage {storage.key} has another size than the pickle says")
        return entry.offset

    return value, place


def _uncompressed(file: ModelFile, entry: Entry) -> Entry:
    if entry.method:
        data = {"container": "zip", "reason": "compressed"}
        raise EngineError(ErrorCode.UNSUPPORTED_CONTAINER, file=file.path, tensor=entry.name, **data)
    return entry


def _pickle_bytes(file: ModelFile, entry: Entry) -> bytes:
    if entry.size > MOST_PICKLE_BYTES:
        raise _fault(file, f"its pickle claims {entry.size:,} bytes")
    return file.bytes_at(entry.offset, entry.size)


def _check_byte_order(file: ModelFile, archive: Archive, folder: str) -> None:
    """Numbers are stored with their lowest byte first, unless the archive says otherwise; older ones say nothing."""
    entry = archive.entries.get(f"{folder}byteorder")
    if entry is None:
        return
    order = file.bytes_at(_uncompressed(file, entry).offset, min(entry.size, 16))
    if order != b"little":
        data = {"container": "PyTorch pickle", "reason": "byte_order"}
        raise EngineError(ErrorCode.UNSUPPORTED_CONTAINER, file=file.path, **data)


def _open_legacy(file: ModelFile) -> tuple[object, Places]:
    """The form before torch 1.6: five pickles one behind the other, then the storages in the order of the last."""
    window = _Window(file, 0, file.size_bytes)
    if _MAGIC_BYTES not in file.bytes_at(0, min(64, file.size_bytes)):
        raise EngineError(ErrorCode.NOT_A_MODEL, file=file.path, reason="plain_pickle")
    storages: dict[str, Storage] = {}
    if _read(file, window, storages) != _MAGIC or _read(file, window, storages) != _LEGACY_PROTOCOL:
        raise _fault(file, "it is of a version that is not known")
    system = _read(file, window, storages)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        data = {"container": "PyTorch pickle", "reason": "byte_order"}
        raise EngineError(ErrorCode.UNSUPPORTED_CONTAINER, file=file.path, **data)
    value = _read(file, window, storages)
    keys = _read(file, window, storages)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise _fault(file, "it does not say in which order its storages lie")
    file.note_header(file.bytes_at(0, window.position), window.position)
    places: dict[str, int] = {}
    position = window.position
    for key in keys:
        storage = storages.get(key)
        if storage is None:
            raise _fault(file, f"no tensor says what storage {key} is")
        if position + 8 > file.size_bytes or struct.unpack("<q", file.bytes_at(position, 8))[0] != storage.numel:
            raise _fault(file, f"storage {key} has another size than the pickle says")
        places[key] = position + 8
        position += 8 + _bytes_of(storage)
        if position > file.size_bytes:
            raise EngineError(ErrorCode.FILE_TRUNCATED, file=file.path, expected=position, actual=file.size_bytes)

    def place(storage: Storage) -> int:
        if storage.key not in places:
            raise _fault(file, f"storage {storage.key} is not in the file")
        return places[storage.key]

    return value, place


def _read(file: ModelFile, window: _Window, storages: dict[str, Storage]) -> object:
    try:
        return read_pickle(window, torch_meaning(storages))
    except PickleFormatError as fault:
        raise _fault(file, str(fault)) from None
    except PickleRefusal as refusal:
        data = {"name": refusal.name, "reason": refusal.reason}
        raise EngineError(ErrorCode.PICKLE_REFUSED, file=file.path, **data) from None


def weights_of(value: object, file: str) -> tuple[dict[str, PickledTensor], list[Notice]]:
    """The model's weights in what was saved: a table of tensors, or one inside the table of a trainer.

    Where a trainer kept several models, each keeps the name of its table in front of its own names.

    Args:
        value: of the pickle.
        file: for the notices.
    """
    notices: list[Notice] = []
    held: dict[int, bool] = {}
    for _ in range(_DEPTH):
        if not isinstance(value, dict):
            return {}, []
        inner = {name: table for name, table in value.items() if _is_model(name, table, held, _DEPTH)}
        chosen = _choice(value, inner)
        if chosen is None:
            break
        others = [name for name in inner if name != chosen]
        if chosen in _EMA:
            notices.append(Notice(NoticeCode.EMA_USED, chosen, {"file": file}))
        elif others:
            notices.append(Notice(NoticeCode.STATE_CHOSEN, chosen, {"file": file, "names": others}))
        value = inner[chosen]
    return _flat(value, held), notices


def _choice(value: dict[object, object], inner: dict[str, dict[object, object]]) -> str | None:
    """Which of a table's tables is the model; None where the table itself is, or all of them are."""
    known = next((name for name in _STATE if name in inner), None)
    if known is not None:
        return known
    if any(isinstance(entry, PickledTensor) and entry.shape for entry in value.values()):  # more than a count of steps
        return None
    return next(iter(inner)) if len(inner) == 1 else None


def _is_model(name: object, table: object, held: dict[int, bool], depth: int) -> bool:
    """Whether an entry of a table is a table with tensors in it, at most so deep. Each table is looked at once."""
    if not isinstance(name, str) or not isinstance(table, dict) or name.startswith(_OPTIMISER):
        return False
    if id(table) not in held:
        held[id(table)] = False
        held[id(table)] = any(
            isinstance(key, str)
            and (isinstance(entry, PickledTensor) or (depth and _is_model(key, entry, held, depth - 1)))
            for key, entry in table.items()
        )
    return held[id(table)]


def _flat(value: object, held: dict[int, bool]) -> dict[str, PickledTensor]:
    """All tensors of a table and of the tables in it, with the names on the way joined by dots; each table once."""
    found: dict[str, PickledTensor] = {}
    waiting: list[tuple[str, object]] = [("", value)]
    seen: set[int] = set()
    while waiting:
        start, table = waiting.pop(0)
        if not isinstance(table, dict) or id(table) in seen:
            continue
        seen.add(id(table))
        for name, entry in table.items():
            if not isinstance(name, str):
                continue
            if isinstance(entry, PickledTensor):
                found.setdefault(f"{start}{name}", entry)
            elif _is_model(name, entry, held, _DEPTH):
                waiting.append((f"{start}{name}.", entry))
    return found


def _stored(file: ModelFile, name: str, tensor: PickledTensor, place: Places) -> StoredTensor:
    """Where a tensor's bytes lie: its own, or for a view in another order those that it reaches over."""
    try:
        name.encode()
    except UnicodeError:
        raise _fault(file, "the name of a tensor in it is not valid") from None
    size, count = DTYPES[tensor.dtype].bits // 8, 1
    for length in tensor.shape:
        count *= length
    first = tensor.storage.start * DTYPES[tensor.storage.dtype].bits // 8 + tensor.start * size
    if (tensor.start + tensor.span) * size > _bytes_of(tensor.storage):
        raise _fault(file, "it reaches over the end of its storage", name)
    offset = place(tensor.storage) + first
    if tensor.contiguous or not count:
        return StoredTensor(name, tensor.dtype, tensor.shape, count * size, offset=offset)
    if not count <= tensor.span <= _MOST_SPAN * count:
        raise EngineError(ErrorCode.PICKLE_REFUSED, file=file.path, tensor=name, name=name, reason="view")
    view = Strided(tensor.shape, tensor.strides)
    return StoredTensor(name, tensor.dtype, (tensor.span,), tensor.span * size, offset=offset, view=view)


def _bytes_of(storage: Storage) -> int:
    return storage.numel * DTYPES[storage.dtype].bits // 8


def _fault(file: ModelFile, reason: str, tensor: str | None = None) -> EngineError:
    return EngineError(ErrorCode.HEADER_INVALID, file=file.path, tensor=tensor, reason=reason)
