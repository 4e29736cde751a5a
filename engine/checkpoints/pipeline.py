"""A model in diffusers' folders: each component is a model of its own, and their names are kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.contents import component_folders, component_model, listed_components, models_in
from engine.checkpoints.model_file import ModelFile
from engine.checkpoints.names_of_files import COMPONENTS, model_name
from engine.checkpoints.sharded import OpenPart
from engine.checkpoints.stored import StoredTensor
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode

CONTAINER = "diffusers"


def open_pipeline(folder: Path, open_model: OpenPart) -> Checkpoint:
    """Open all components of a folder; what they store is named ``transformer/`` and the name in its file.

    Args:
        folder: with at least one component, see `component_folders`.
        open_model: opens a file, or all that its index names.

    Raises:
        EngineError: ``is_directory`` where a component has several models, ``file_unreadable``; what opening raises.
    """
    with ExitStack() as opened:
        notices: list[Notice] = []
        files: list[ModelFile] = []
        stored: dict[str, StoredTensor] = {}
        components: dict[str, Mapping[str, str]] = {}
        try:
            places = component_folders(folder)
            for place in places:
                chosen = component_model(place)
                if chosen is None:
                    names = [model.path.name for model in models_in(place)]
                    raise EngineError(ErrorCode.IS_DIRECTORY, file=place, reason="several", names=names)
                component = opened.enter_context(open_model(chosen.path))
                start = f"{place.name}/"
                components[start] = component.metadata
                for name, part in component.stored.items():
                    stored[start + name] = replace(part, name=start + name, file=part.file + len(files))
                files += component.files
                notices += [notice for notice in component.notices if notice not in notices]
                notices += _others(place, chosen.path.name)
            absent = _absent(folder, places)
        except OSError as error:
            raise EngineError(ErrorCode.FILE_UNREADABLE, file=folder, reason=error.strerror or str(error)) from error
        if absent:
            notices.append(Notice(NoticeCode.COMPONENTS_ABSENT, model_name(folder), {"names": absent}))
        checkpoint = Checkpoint(folder, CONTAINER, files, stored, {}, notices, components)
        opened.pop_all()
        return checkpoint


def _others(place: Path, chosen: str) -> list[Notice]:
    """That a component has other models too, such as variants of the one that is opened."""
    others = [f"{place.name}/{model.path.name}" for model in models_in(place) if model.path.name != chosen]
    data = {"names": others}
    return [Notice(NoticeCode.FILE_CHOSEN, f"{place.name}/{chosen}", data)] if others else []


def _absent(folder: Path, places: tuple[Path, ...]) -> list[str]:
    """Components with weights that the folder's index names and that are not there."""
    there = {place.name for place in places}
    return [name for name in listed_components(folder) or () if name in COMPONENTS and name not in there]
