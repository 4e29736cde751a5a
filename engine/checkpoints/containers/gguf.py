"""GGUF files: one, or a model split into several ``-00001-of-00003.gguf``, of which any may be chosen."""

from __future__ import annotations

from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.containers.gguf_header import MAGIC, GgufHeader, read_header
from engine.checkpoints.model_file import ModelFile
from engine.checkpoints.names_of_files import shard_name
from engine.checkpoints.stored import StoredTensor
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode


def recognises(path: Path, head: bytes) -> bool:
    """Whether a file is one, by its magic."""
    return head.startswith(MAGIC)


def open_file(path: Path) -> Checkpoint:
    """Open a file, and the other parts of its model where it is one of several; all headers are checked.

    Raises:
        EngineError: ``not_a_model``, ``header_invalid``, ``file_truncated``, ``shard_missing``, ``unsupported_dtype``,
            ``unsupported_container`` or ``file_unreadable``, with the part that it speaks of.
    """
    file = ModelFile(path)
    files = [file]
    try:
        header = read_header(file)
        headers = [header]
        if header.split is not None:
            paths = _part_paths(path, header)
            files += [ModelFile(other) for other in paths if other != path]
            files.sort(key=lambda part: paths.index(part.path))
            headers = [_part_header(part, number, len(files)) for number, part in enumerate(files)]
        for part, found in zip(files, headers, strict=True):
            part.note_header_before(min(found.data_start, part.size_bytes))
        stored = _joined(files, headers)
        _check_count(path, headers, stored)
        notices = (_all_opened(path, files),) if len(files) > 1 else ()
        return Checkpoint(files[0].path, "GGUF", files, stored, headers[0].texts, notices)
    except BaseException:
        for file in files:
            file.close()
        raise


def _part_paths(path: Path, header: GgufHeader) -> list[Path]:
    """All parts of the model that a part belongs to, by their numbers; they lie beside it."""
    assert header.split is not None
    number, count = header.split.number, header.split.count
    shard = shard_name(path.name)
    if shard is None or (shard.number, shard.count) != (number + 1, count):
        ending = f"-{number + 1:05}-of-{count:05}.gguf"
        reason = f"it is part {number + 1:,} of {count:,}, and its name does not end in {ending}"
        raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason=reason)
    names = shard.siblings()
    missing = [name for name in names if not path.with_name(name).is_file()]
    if missing:
        file = path.with_name(missing[0])
        raise EngineError(ErrorCode.SHARD_MISSING, file=file, reason="numbered", index="", names=missing, count=count)
    return [path.with_name(name) for name in names]


def _part_header(file: ModelFile, number: int, count: int) -> GgufHeader:
    """The header of a part, which must be the one that its name says."""
    if not recognises(file.path, file.bytes_at(0, min(len(MAGIC), file.size_bytes))):
        raise EngineError(ErrorCode.HEADER_INVALID, file=file.path, reason="it is no GGUF file")
    header = read_header(file, number)
    if header.split is None or (header.split.number, header.split.count) != (number, count):
        reason = f"by its name it is part {number + 1:,} of {count:,}, by its header it is not"
        raise EngineError(ErrorCode.HEADER_INVALID, file=file.path, reason=reason)
    return header


def _joined(files: list[ModelFile], headers: list[GgufHeader]) -> dict[str, StoredTensor]:
    stored: dict[str, StoredTensor] = {}
    for file, header in zip(files, headers, strict=True):
        for tensor in header.tensors:
            if tensor.name in stored:
                reason = f"{files[stored[tensor.name].file].path.name} has it too"
                raise EngineError(ErrorCode.HEADER_INVALID, file=file.path, tensor=tensor.name, reason=reason)
            stored[tensor.name] = tensor
    return stored


def _check_count(path: Path, headers: list[GgufHeader], stored: dict[str, StoredTensor]) -> None:
    if not stored:
        raise EngineError(ErrorCode.NOT_A_MODEL, file=path, reason="no_tensors")
    for header in headers:
        wanted = None if header.split is None else header.split.tensors
        if wanted not in (None, len(stored)):
            reason = f"its parts have {len(stored):,} tensors together and speak of {wanted:,}"
            raise EngineError(ErrorCode.HEADER_INVALID, file=path, reason=reason)


def _all_opened(path: Path, files: list[ModelFile]) -> Notice:
    """The remark that one part was chosen and the whole model is open."""
    return Notice(NoticeCode.PARTS_OPENED, path.name, {"files": len(files)})
