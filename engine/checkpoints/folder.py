"""Which model a chosen path means: a folder stands for the model in it, and what was chosen of several is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.contents import WeightFiles, component_folders, models_in, preferred
from engine.checkpoints.names_of_files import MODEL_INDEX, fault_of_name, index_of, split_part
from engine.checkpoints.opening import open_checkpoint
from engine.checkpoints.sharded import names_of
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode

IsLora = Callable[[Collection[str]], bool]
"""Whether the names of a file's tensors are those of a LoRA."""
_LOOKED_INTO = 32  # files whose headers are read; a folder with more is a collection, and nobody means all of it


def open_chosen(path: Path, is_lora: IsLora) -> Checkpoint:
    """Open the model that a path stands for: a file, an index, a part of a model, or a folder with one model in it.

    Args:
        path: a file or a folder; of a file with several models one of them, see `split_part`.
        is_lora: see `IsLora`.

    Raises:
        EngineError: ``is_directory`` for a folder with no model or more than one, naming them; ``file_unreadable`` for
            a folder that cannot be listed; see `open_checkpoint`.
    """
    try:
        path, part = split_part(path)
        place, notices = _meant(path, is_lora)
    except OSError as error:
        raise EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error)) from error
    checkpoint = open_checkpoint(place)
    checkpoint.notices = (*notices, *checkpoint.notices)
    checkpoint.part = part
    return checkpoint


def files_of_models(path: Path) -> tuple[Path, ...]:
    """All files that decide what a path stands for: those of a folder's models and components, or all parts of a model.

    Raises:
        OSError: a folder cannot be listed.
    """
    if path.is_dir():
        place = _snapshot(path)
        folders = (place, *component_folders(place))
        models = [model for folder in folders for model in models_in(folder)]
        index = (place / MODEL_INDEX,) if (place / MODEL_INDEX).is_file() else ()
        return tuple(dict.fromkeys((*index, *(file for model in models for file in (model.path, *model.files)))))
    if index_of(path.name):
        return tuple(path.parent / name for name in names_of(path))
    if path.name == MODEL_INDEX:
        return files_of_models(path.parent)
    beside = models_in(path.parent) if path.is_file() else ()
    return next((model.files for model in beside if path in model.files and model.in_parts), ())


def _meant(path: Path, is_lora: IsLora) -> tuple[Path, tuple[Notice, ...]]:
    """The path to open, and what is to be said of the choice."""
    if not path.is_dir():
        return _out_of_blobs(path), ()
    folder = _snapshot(path)
    models, pipeline = models_in(folder), component_folders(folder)
    usable = models
    if len(models) + bool(pipeline) > 1:
        usable = _without_loras(models, is_lora)
    chosen = preferred(usable)
    if pipeline and (chosen is None or len(usable) != 1):
        return folder, _said(f"{path.name}/", [model.path.name for model in usable])
    if chosen is not None:
        others = [model.path.name for model in usable if model is not chosen]
        others += [f"{place.name}/" for place in pipeline]
        return chosen.path, _said(chosen.path.name, others)
    names = [model.path.name for model in usable or models]
    reason = "several" if usable else "unusable" if models else "empty"
    raise EngineError(ErrorCode.IS_DIRECTORY, file=path, reason=reason, names=names)


def _snapshot(folder: Path) -> Path:
    """Of a model's folder in Hugging Face's cache the files of its newest state; any other folder itself.

    Such a folder, ``models--organisation--name``, has a folder for each state below ``snapshots``, and in ``refs/main``
    the name of the one that counts.
    """
    snapshots = folder / "snapshots"
    if not snapshots.is_dir() or models_in(folder):
        return folder
    states = [state for state in snapshots.iterdir() if state.is_dir()]
    try:
        main = (folder / "refs" / "main").read_bytes()[:256].decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    if not fault_of_name(main) and snapshots / main in states:
        return snapshots / main
    return max(states, key=lambda state: (state.stat().st_mtime_ns, state.name), default=folder)


def _out_of_blobs(path: Path) -> Path:
    """The name that a file of Hugging Face's cache has in one of the model's states; any other path itself.

    The cache keeps files under their hashes in ``blobs``, where one part of a model does not look like one.
    """
    snapshots = path.parent.parent / "snapshots"
    if path.parent.name != "blobs" or not snapshots.is_dir():
        return path
    links = (link for link in sorted(snapshots.glob("**/*")) if link.is_symlink())
    return next((link for link in links if Path(os.readlink(link)).name == path.name), path)


def _without_loras(models: tuple[WeightFiles, ...], is_lora: IsLora) -> tuple[WeightFiles, ...]:
    """Those that are models in several parts, or files that can be opened and are no LoRAs."""
    if len(models) > _LOOKED_INTO:
        return models
    return tuple(model for model in models if model.in_parts or _is_model(model.path, is_lora))


def _is_model(path: Path, is_lora: IsLora) -> bool:
    try:
        with open_checkpoint(path) as checkpoint:
            return not is_lora(checkpoint.stored.keys())
    except EngineError:
        return False


def _said(chosen: str, others: list[str]) -> tuple[Notice, ...]:
    return (Notice(NoticeCode.FILE_CHOSEN, chosen, {"names": others}),) if others else ()
