"""A model in several files of one container: an index says which tensor lies where, or the files are numbered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.encodings.comfy_layers import METADATA, merged_tables
from engine.checkpoints.names_of_files import fault_of_name, index_of, shard_name
from engine.checkpoints.stored import StoredTensor
from engine.checkpoints.strict_json import RepeatedNameError, parse_json
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode

MAX_INDEX_BYTES = 64 << 20
SHARDED_ENDINGS = (".safetensors", ".sft", ".bin", ".pt", ".pth", ".ckpt")
"""Of files whose parts know nothing of each other; other containers know their own."""

OpenPart = Callable[[Path], Checkpoint]
"""Opens one file."""


def read_index(path: Path) -> dict[str, str]:
    """Which file each tensor lies in, by the index of a model: its names are plain and lead out of no folder.

    Raises:
        EngineError: ``index_invalid``, or ``file_unreadable``.
    """
    try:
        size = path.stat().st_size
        text = path.read_bytes() if path.is_file() and size <= MAX_INDEX_BYTES else b""
    except OSError as error:
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    try:
        table = parse_json(text)
    except RepeatedNameError as error:
        raise EngineError(ErrorCode.INDEX_INVALID, file=path, tensor=error.name, reason="named_twice") from error
    except ValueError as error:
        raise EngineError(ErrorCode.INDEX_INVALID, file=path, reason="not_json") from error
    names = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(names, dict) or not names:
        raise EngineError(ErrorCode.INDEX_INVALID, file=path, reason="no_table")
    for tensor, name in names.items():
        if fault := fault_of_name(name):
            data = {"reason": "part_name", "part": str(name), "detail": fault}
            raise EngineError(ErrorCode.INDEX_INVALID, file=path, tensor=tensor, **data)
    return names


def index_beside(path: Path) -> Path | None:
    """The index that says that a file is one of several of a model; None where there is none.

    Raises:
        OSError: the folder cannot be listed.
        EngineError: see `read_index`, where an index names the file and is wrong.
    """
    if path.suffix.casefold() not in SHARDED_ENDINGS:
        return None
    shard = shard_name(path.name)
    whole = shard.start + shard.end if shard else None
    named = None
    for index in sorted(other for other in path.parent.iterdir() if index_of(other.name) and other.is_file()):
        names = names_of(index)
        if index_of(index.name) == whole and (not names or path.name in names):
            return index
        if named is None and path.name in names and len(names) > 1:
            named = index
    return named


def names_of(index: Path) -> tuple[str, ...]:
    """The files that an index names, in order; none where it cannot be read."""
    try:
        return tuple(sorted(set(read_index(index).values())))
    except EngineError:
        return ()


def open_index(path: Path, open_part: OpenPart, chosen: Path | None = None) -> Checkpoint:
    """Open the model of an index, and hold it to what the index says.

    Args:
        path: the index.
        open_part: see `OpenPart`.
        chosen: the part that was chosen, to say that all were opened; None where the index was.

    Raises:
        EngineError: ``index_invalid``, ``shard_missing``, and what opening a part raises.
    """
    index = read_index(path)
    names = sorted(set(index.values()))
    _check_all_there(path.parent, names, path.name)
    with ExitStack() as opened:
        parts = _opened([path.parent / name for name in names], open_part, opened)
        stored, owners = _stored(parts, path)
        for tensor, name in owners.items():
            said = index.get(tensor)
            if said is None:
                raise EngineError(ErrorCode.INDEX_INVALID, file=path, tensor=tensor, reason="unnamed", part=name)
            if said != name:
                data = {"reason": "elsewhere", "part": name, "other": said}
                raise EngineError(ErrorCode.INDEX_INVALID, file=path, tensor=tensor, **data)
        absent = next((tensor for tensor in index if tensor not in stored), None)
        if absent is not None:
            data = {"reason": "absent", "part": index[absent]}
            raise EngineError(ErrorCode.INDEX_INVALID, file=path, tensor=absent, **data)
        notices = () if chosen is None else (_all_opened(NoticeCode.PARTS_OPENED, chosen, len(names)),)
        whole = _whole(path, parts, stored, notices)
        opened.pop_all()
        return whole


def open_numbered(path: Path, open_part: OpenPart) -> Checkpoint:
    """Open a model of which one numbered part was chosen and that has no index.

    Raises:
        EngineError: ``shard_missing``, ``index_invalid`` for a tensor in two parts, and what opening a part raises.
    """
    shard = shard_name(path.name)
    assert shard is not None, "the caller looked at the name"
    names = shard.siblings()
    _check_all_there(path.parent, names, "")
    with ExitStack() as opened:
        parts = _opened([path.parent / name for name in names], open_part, opened)
        notice = _all_opened(NoticeCode.PARTS_WITHOUT_INDEX, path, len(names))
        whole = _whole(path.parent / names[0], parts, _stored(parts, None)[0], (notice,))
        opened.pop_all()
        return whole


def _opened(paths: Iterable[Path], open_part: OpenPart, opened: ExitStack) -> list[Checkpoint]:
    """The parts, closed with the stack."""
    return [opened.enter_context(open_part(path)) for path in paths]


def _check_all_there(folder: Path, names: Sequence[str], index: str) -> None:
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        reason = "index" if index else "numbered"
        file, count = folder / missing[0], len(names)
        raise EngineError(ErrorCode.SHARD_MISSING, file=file, reason=reason, index=index, names=missing, count=count)


def _stored(parts: Sequence[Checkpoint], index: Path | None) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """What all parts store, and the name of the part that each tensor lies in."""
    stored: dict[str, StoredTensor] = {}
    owners: dict[str, str] = {}
    files = 0
    for part in parts:
        for name, tensor in part.stored.items():
            if name in stored:
                data = {"reason": "twice", "part": part.path.name, "other": owners[name]}
                raise EngineError(ErrorCode.INDEX_INVALID, file=index or part.path, tensor=name, **data)
            stored[name], owners[name] = replace(tensor, file=files + tensor.file), part.path.name
        files += len(part.files)
    return stored, owners


def _whole(
    path: Path, parts: Sequence[Checkpoint], stored: Mapping[str, StoredTensor], notices: Sequence[Notice]
) -> Checkpoint:
    metadata: dict[str, str] = {}
    for part in reversed(parts):  # the first part's texts count where they differ
        metadata |= part.metadata
    tables = [part.metadata[METADATA] for part in parts if METADATA in part.metadata]
    if len(set(tables)) > 1:
        metadata[METADATA] = merged_tables(tables)
    files = [file for part in parts for file in part.files]
    remarks = [*notices]
    remarks += [notice for part in parts for notice in part.notices if notice not in remarks]
    return Checkpoint(path, parts[0].container, files, stored, metadata, remarks)


def _all_opened(code: NoticeCode, chosen: Path, count: int) -> Notice:
    return Notice(code, chosen.name, {"files": count})
