"""Write a safetensors file tensor by tensor, so that a result never has to fit in memory.

The header comes first in the format but is known last. So room for it is reserved, tensors are appended as they
come, and the header is written into its room at the end, padded with the blanks that the format allows. Tensors
whose size is a multiple of 8 bytes go out at once; the few others wait and go last, widest first, so that every
tensor stays aligned as readers expect. Large ones of one byte a value, which lie anywhere, go out as soon as the sizes
of some of them make a multiple of 8 together. Until it is published the file has a temporary name in the same folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.checkpoints.dtypes import DTYPES
from engine.disk import disk_errors, sync_data, write_all
from engine.errors import EngineError, ErrorCode
from engine.formats.lora_format import LoraFormat
from engine.formats.output_path import Target
from engine.formats.publishing import Publication, publish

_NAMES = {
    getattr(torch, info.torch_name): (name, info.bits // 8)
    for name, info in DTYPES.items()
    if hasattr(torch, info.torch_name) and info.bits >= 8
}


_PIECE = 16 * 1024 * 1024
_LARGE = 1 << 20  # bytes of a tensor that is not to wait in memory for long


@dataclass(frozen=True)
class Added:
    """A tensor that was added to a file: where its bytes were appended their hash, else the tensor that waits."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    digest: str
    waiting: torch.Tensor | None


class SafetensorsWriter:
    """One file being written. Close it with `seal` and put it in place, or with `abort`, or with `leave`."""

    def __init__(self, folder: Path, header_bytes: int, part: Path | None = None) -> None:
        """Create the temporary file.

        Args:
            folder: made if it does not exist, and removed again by `abort` if it was.
            header_bytes: room for the header's JSON, a multiple of 8.
            part: the temporary file, replaced if it exists; None takes a new name in the folder.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        self._header_bytes = header_bytes
        self.folder = folder
        self._entries: dict[str, tuple[str, tuple[int, ...], int]] = {}
        self._waiting: dict[str, torch.Tensor] = {}
        self._made = _make_folders(folder)
        self._noted = part is not None  # with `added`, in which order tensors come and which of them wait
        self._part = part or folder / f".lora-{secrets.token_hex(8)}.part"
        try:
            with disk_errors(folder):
                self._stream = self._part.open("xb" if part is None else "w+b", buffering=0)
                self._stream.seek(8 + self._header_bytes)
        except BaseException:
            self._remove()
            raise

    @classmethod
    def continued(cls, folder: Path, header_bytes: int, part: Path, added: Sequence[Added]) -> SafetensorsWriter:
        """Go on with the temporary file that an earlier run left, behind the tensors that it is known to hold.

        Args:
            folder: where it lies.
            header_bytes: as when it was begun.
            part: the file.
            added: what was added to it, in this order; its bytes are compared with their hashes.

        Raises:
            EngineError: ``output_unwritable``, or ``journal_invalid`` where the file does not hold what it should.
        """
        writer = cls.__new__(cls)
        writer._noted = True
        writer._header_bytes, writer.folder, writer._part = header_bytes, folder, part
        writer._entries, writer._waiting, writer._made = {}, {}, []
        with disk_errors(folder):
            writer._stream = part.open("r+b", buffering=0)
            try:
                writer._stream.seek(8 + header_bytes)
                for item in added:
                    writer._recognise(item)
                writer._stream.truncate()
            except BaseException:
                writer._stream.close()
                raise
        return writer

    def _recognise(self, item: Added) -> None:
        if item.waiting is not None:
            self._waiting[item.name] = item.waiting
            return
        digest, left = hashlib.blake2b(digest_size=16), item.nbytes
        while left and (piece := self._stream.read(min(left, _PIECE))):
            digest.update(piece)
            left -= len(piece)
        if left or digest.hexdigest() != item.digest:
            raise EngineError(ErrorCode.JOURNAL_INVALID, file=self._part, tensor=item.name)
        self._entries[item.name] = (item.dtype, item.shape, item.nbytes)

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Append a tensor, or keep it for the end where its size would break the next one's alignment.

        Raises:
            ValueError: for a name that was added before.
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        if name in self._entries or name in self._waiting:
            raise ValueError(f"{name} is in the file already")
        tensor = tensor.detach().cpu().contiguous()
        if tensor.numel() * tensor.element_size() % 8:
            self._waiting[name] = tensor.clone()  # the caller may use its memory again
            if not self._noted:
                self._append_together()
        else:
            self._append(name, tensor)

    def _append_together(self) -> None:
        """Append the last of the large tensors of one byte a value that wait, if their sizes make a multiple of 8.

        Of eight some in a row do, so that never more than seven wait.
        """
        large = [name for name, item in self._waiting.items() if item.element_size() == 1 and item.numel() >= _LARGE]
        size = 0
        for start in reversed(range(len(large))):
            size += self._waiting[large[start]].numel()
            if size % 8 == 0:
                for name in large[start:]:
                    self._append(name, self._waiting.pop(name))
                return

    def added(self, name: str, tensor: torch.Tensor) -> Added:
        """What `continued` needs to know of a tensor that was just added."""
        dtype, _ = _NAMES[tensor.dtype]
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
        waiting = self._waiting.get(name)
        digest = "" if waiting is not None else hashlib.blake2b(data, digest_size=16).hexdigest()
        return Added(name, dtype, tuple(tensor.shape), len(data), digest, waiting)

    def sync(self) -> None:
        """Have everything that was appended on the disk before this returns."""
        with disk_errors(self.folder):
            sync_data(self._stream.fileno())

    def leave(self) -> None:
        """Close the temporary file and let it lie, for `continued`."""
        self._stream.close()

    def _append(self, name: str, tensor: torch.Tensor) -> None:
        dtype, _ = _NAMES[tensor.dtype]
        data = tensor.reshape(-1).view(torch.uint8).numpy().data
        with disk_errors(self.folder):
            write_all(self._stream.write, data)
        self._entries[name] = (dtype, tuple(tensor.shape), len(data))

    @property
    def part(self) -> Path:
        """The temporary file."""
        return self._part

    @property
    def data_bytes(self) -> int:
        """Bytes of tensors added so far."""
        waiting = sum(tensor.numel() * tensor.element_size() for tensor in self._waiting.values())
        return waiting + sum(size for _, _, size in self._entries.values())

    def seal(self, metadata: Mapping[str, str]) -> int:
        """Finish the file, with texts for its header, and have it on the disk; returns its size in bytes.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        for name in sorted(self._waiting, key=lambda name: -self._waiting[name].element_size()):
            self._append(name, self._waiting[name])
        with disk_errors(self.folder):
            self._write_header(metadata)
            size = os.fstat(self._stream.fileno()).st_size
            self._stream.close()
        return size

    def place(self, path: Path) -> bool:
        """Give the sealed file its name unless the name is taken; one atomic step, never replacing anything.

        Raises:
            OSError: it has its temporary name still.
        """
        return _place(self._part, path)

    def withdraw(self, path: Path) -> None:
        """Give the file its temporary name back.

        Raises:
            OSError: that is not possible; the file stays where it is.
        """
        os.replace(path, self._part)

    def publish(
        self, stem: str, metadata: Mapping[str, str], make_report: Callable[[Path, int], str]
    ) -> tuple[Path, Path]:
        """Finish the file and give it, with its report, the first free numbered name, atomically.

        Args:
            stem: file name up to the counter.
            metadata: texts for the header.
            make_report: the report's text, from the file's final path and its size in bytes.

        Returns:
            Paths of the file and its report. On any error neither exists, nor the temporary file.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        try:
            size = self.seal(metadata)
            alone = Publication(
                Target(self.folder, stem), self, size, lambda path, size, _names: make_report(path, size)
            )
            (placed,) = publish([alone])
        except BaseException:
            self.abort()
            raise
        return placed

    def _write_header(self, metadata: Mapping[str, str]) -> None:
        table: dict[str, object] = {"__metadata__": dict(metadata)}
        offset = 0
        for name, (dtype, shape, size) in self._entries.items():
            table[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
            offset += size
        header = json.dumps(table, separators=(",", ":")).encode()
        if len(header) > self._header_bytes:
            raise EngineError(ErrorCode.INTERNAL, file=self.folder, reason=f"header of {len(header)} bytes")
        self._stream.seek(0)
        write_all(
            self._stream.write,
            memoryview(self._header_bytes.to_bytes(8, "little") + header.ljust(self._header_bytes)),
        )
        os.fsync(self._stream.fileno())

    def abort(self) -> None:
        """Remove the temporary file, and the folders that were made for it."""
        self._stream.close()
        self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            self._part.unlink(missing_ok=True)
        _remove_folders(self._made)


def open_writer(folder: Path, header_bytes: int, lora_format: LoraFormat) -> SafetensorsWriter:
    """What `LoraFormat.writer` names: a new file in a folder."""
    return SafetensorsWriter(folder, header_bytes)


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder with its parents; returns those that were made, innermost first."""
    missing = []
    at = folder
    while not at.exists() and at != at.parent:
        missing.append(at)
        at = at.parent
    try:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except EngineError:
        _remove_folders(missing)
        raise
    return missing


def _remove_folders(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # never made, or somebody else's file is in it by now
            folder.rmdir()


def _place(part: Path, path: Path) -> bool:
    """Give a finished file its name unless the name is taken; one atomic step, never replacing anything."""
    try:
        if os.name == "nt":
            part.rename(path)  # refuses an existing target on Windows
        else:
            os.link(part, path)
            part.unlink()
    except FileExistsError:
        return False
    except OSError:
        return _place_without_links(part, path)
    return True


def _place_without_links(part: Path, path: Path) -> bool:
    """For file systems without hard links: take the name with an empty file, then move over it."""
    try:
        path.open("xb").close()
    except FileExistsError:
        return False
    try:
        part.replace(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True
