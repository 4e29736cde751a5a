"""All models in some folders and below them, by names alone; what cannot be looked at is named with the reason."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from engine.checkpoints.containers import model_endings
from engine.checkpoints.contents import component_folders, component_model, models_in
from engine.checkpoints.names_of_files import MODEL_INDEX

_CONFIG = "config.json"


class Trouble(str, Enum):
    """Why a place in a folder cannot be looked at. The values are part of the command line's JSON."""

    LINK_LOOP = "link_loop"
    DEAD_LINK = "dead_link"
    UNREADABLE = "file_unreadable"


@dataclass(frozen=True)
class FoundModel:
    """A model that was found.

    Attributes:
        path: what opens it: a file, an index, a first part, a folder of components or its ``model_index.json``.
        files: everything that its contents depend on.
    """

    path: Path
    files: tuple[Path, ...]

    def state(self) -> list[list[object]]:
        """Path, size and time of change of every file, as JSON values: they differ once one of the files changed.

        Raises:
            OSError: a file is gone.
        """
        found = ((file, file.stat()) for file in self.files)
        return [[str(file), status.st_size, status.st_mtime_ns] for file, status in found]

    def identity(self) -> frozenset[tuple[int, int]]:
        """Devices and numbers of its files, which are the same under every name they have.

        Raises:
            OSError: a file is gone.
        """
        statuses = [file.stat() for file in self.files if file.name not in (_CONFIG, MODEL_INDEX)]
        return frozenset((status.st_dev, status.st_ino) for status in statuses)


@dataclass(frozen=True)
class UnusablePlace:
    """A file or a folder that cannot be looked at.

    Attributes:
        path: it.
        trouble: why.
        detail: what the system says; empty where it says nothing.
    """

    path: Path
    trouble: Trouble
    detail: str = ""


def models_under(
    folders: Sequence[Path], entered: Callable[[Path], None] = lambda folder: None
) -> Iterator[FoundModel | UnusablePlace]:
    """Walk through folders and all that is below them, following links; every model comes once, whatever its names.

    Args:
        folders: to begin with; a file among them is taken as a model.
        entered: called with every folder before it is listed; what it raises ends the walk.
    """
    visited: set[tuple[int, int]] = set()
    seen: set[frozenset[tuple[int, int]]] = set()
    for folder in folders:
        single = FoundModel(folder, (folder,))
        for place in iter((single,)) if folder.is_file() else _walk(folder, visited, (), entered):
            if isinstance(place, UnusablePlace):
                yield place
                continue
            try:
                identity = place.identity()
            except OSError as error:
                yield _unusable(place.path, error)
                continue
            if identity not in seen:
                seen.add(identity)
                yield place


def _walk(
    folder: Path,
    visited: set[tuple[int, int]],
    above: tuple[tuple[int, int], ...],
    entered: Callable[[Path], None],
) -> Iterator[FoundModel | UnusablePlace]:
    """A folder's models, then those of the folders in it.

    Args:
        folder: to look at.
        visited: devices and numbers of the folders that were looked at.
        above: those of the folders on the way here: a link to one of them is a loop.
        entered: see `models_under`.
    """
    entered(folder)
    try:
        status = folder.stat()
        me = status.st_dev, status.st_ino
        if me in above:
            yield UnusablePlace(folder, Trouble.LINK_LOOP)
            return
        if me in visited:
            return
        visited.add(me)
        entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_symlink(), entry.name))
        found, components = _models_of(folder)
    except OSError as error:
        yield _unusable(folder, error)
        return
    yield from found
    endings = model_endings()
    for entry in entries:
        path = Path(entry.path)
        try:
            is_folder = entry.is_dir()
            if entry.is_symlink() and entry.name.casefold().endswith(endings):
                path.stat()
        except OSError as error:
            yield _unusable(path, error)
            continue
        if is_folder and path not in components:
            yield from _walk(path, visited, (*above, me), entered)


def _models_of(folder: Path) -> tuple[list[FoundModel], tuple[Path, ...]]:
    """The models of a folder itself, and the folders of components of a model in diffusers' folders.

    Raises:
        OSError: it cannot be listed.
    """
    found = []
    singles = models_in(folder)
    for model in singles:
        configs = tuple(path for path in (folder / _CONFIG,) if path.is_file())
        found.append(FoundModel(model.path, tuple(dict.fromkeys((model.path, *model.files, *configs)))))
    components = component_folders(folder)
    if components:
        files: list[Path] = []
        for place in components:
            chosen = component_model(place)
            files += [] if chosen is None else [chosen.path, *chosen.files]
            files += [path for path in (place / _CONFIG,) if path.is_file()]
        index = folder / MODEL_INDEX
        files += [index] if index.is_file() else []
        path = index if singles and index.is_file() else folder
        found.append(FoundModel(path, tuple(dict.fromkeys(files))))
    return found, components


def _unusable(path: Path, error: OSError) -> UnusablePlace:
    if error.errno == errno.ELOOP:
        return UnusablePlace(path, Trouble.LINK_LOOP)
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return UnusablePlace(path, Trouble.DEAD_LINK)
    return UnusablePlace(path, Trouble.UNREADABLE, error.strerror or str(error))
