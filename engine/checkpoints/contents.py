"""What a folder holds of models, by names alone: single files, models in several parts, components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.checkpoints.containers import CONTAINERS, model_endings
from engine.checkpoints.names_of_files import COMPONENTS, MODEL_INDEX, fault_of_name, index_of, shard_name
from engine.checkpoints.sharded import names_of
from engine.checkpoints.strict_json import parse_json

_VARIANTS = ("", "fp32", "bf16", "fp16", "fp8", "int8", "ema", "non_ema")  # the first of those that are there is taken
_USUAL = ("diffusion_pytorch_model", "model", "pytorch_model")  # what diffusers and transformers call their files
_MAX_PIPELINE_BYTES = 1 << 20


@dataclass(frozen=True)
class WeightFiles:
    """One model of a folder, as its files' names tell.

    Attributes:
        path: what opens it: its file, its index, or its first part.
        files: that hold its tensors.
        base: its name without variant, number and ending.
        variant: ``fp16`` of ``model.fp16.safetensors``; empty for none.
        rank: of its container, the lower the better.
    """

    path: Path
    files: tuple[Path, ...]
    base: str
    variant: str
    rank: int

    @property
    def in_parts(self) -> bool:
        """Whether it has several files."""
        return len(self.files) > 1 or self.path not in self.files

    @property
    def size_bytes(self) -> int:
        """Of the files that are there."""
        return sum(file.stat().st_size for file in self.files if file.is_file())


def models_in(folder: Path) -> tuple[WeightFiles, ...]:
    """The models of a folder itself, in alphabetical order; a model in several parts is one of them.

    Raises:
        OSError: the folder cannot be listed.
    """
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    endings = model_endings()
    left = {path.name: path for path in entries if path.name.casefold().endswith(endings) and path.is_file()}
    found: list[WeightFiles] = []
    for index in entries:
        whole = index_of(index.name)
        if whole is None or not whole.casefold().endswith(endings) or not index.is_file():
            continue
        names = names_of(index)
        if not names:  # it cannot be read: opening it says why
            names = tuple(name for name in left if (shard := shard_name(name)) and shard.start + shard.end == whole)
        if len(names) > 1:
            found.append(_model(index, tuple(folder / name for name in names), whole))
    for model in found:
        for file in model.files:
            left.pop(file.name, None)
    groups: dict[str, list[Path]] = {}
    for name, path in left.items():
        shard = shard_name(name)
        groups.setdefault(f"{shard.start}{shard.end}/{shard.count}" if shard else name, []).append(path)
    for group in groups.values():
        shard = shard_name(group[0].name)
        found.append(_model(group[0], tuple(group), shard.start + shard.end if shard else group[0].name))
    return tuple(sorted(found, key=lambda model: model.path.name))


def _model(path: Path, files: tuple[Path, ...], whole: str) -> WeightFiles:
    """A model from the name that it would have as one file."""
    stem, _, ending = whole.rpartition(".")
    base, _, variant = stem.rpartition(".")
    if not base or not (variant.casefold() in _VARIANTS or base in _USUAL):
        base, variant = stem, ""
    ranks = (rank for rank, container in enumerate(CONTAINERS) if f".{ending}".casefold() in container.endings)
    return WeightFiles(path, files, base, variant.casefold(), next(ranks, len(CONTAINERS)))


def preferred(models: Sequence[WeightFiles]) -> WeightFiles | None:
    """The one to take of a folder's models: of the best container, then the plainest variant; None for several."""
    if not models:
        return None
    rank = min(model.rank for model in models)
    best = [model for model in models if model.rank == rank]
    whole, parts = ([model for model in best if model.in_parts is in_parts] for in_parts in (False, True))
    if len(whole) == 1 and parts:  # all of it in one file beside its parts, or something small of another kind
        enough = 2 * whole[0].size_bytes >= max(model.size_bytes for model in parts)
        foreign = whole[0].base not in _USUAL and any(model.base in _USUAL for model in parts)  # under other names too
        best = whole if enough and not foreign else parts
    if len({model.base for model in best}) > 1:
        return None
    return min(best, key=_plainness)


def component_model(folder: Path) -> WeightFiles | None:
    """The model in a component's folder; None where it has none, or more than one can be.

    Raises:
        OSError: the folder cannot be listed.
    """
    models = models_in(folder)
    return preferred([model for model in models if model.base in _USUAL] or models)


def component_folders(folder: Path) -> tuple[Path, ...]:
    """The folders of components that lie in a folder and have weights; none where it is no model in diffusers' folders.

    Raises:
        OSError: the folder cannot be listed.
    """
    listed = listed_components(folder)
    if listed is None:
        if not any(folder.glob("*/diffusion_pytorch_model*")):
            return ()
        listed = COMPONENTS
    return tuple(place for name in listed if (place := folder / name).is_dir() and models_in(place))


def listed_components(folder: Path) -> tuple[str, ...] | None:
    """The components that a folder's ``model_index.json`` names, with those that a pipeline has before all others.

    None without such a file; one that cannot be read names nothing but what folders are usually called.
    """
    index = folder / MODEL_INDEX
    if not index.is_file():
        return None
    try:
        table = parse_json(index.read_bytes()) if index.stat().st_size <= _MAX_PIPELINE_BYTES else {}
    except (OSError, ValueError):
        table = {}
    entries = table.items() if isinstance(table, dict) else ()
    named = [name for name, entry in entries if isinstance(entry, list) and any(entry) and not fault_of_name(name)]
    known = [name for name in COMPONENTS if name in named or not named]
    return tuple(dict.fromkeys((*known, *named)))


def _plainness(model: WeightFiles) -> tuple[int, bool, str]:
    order = _VARIANTS.index(model.variant) if model.variant in _VARIANTS else len(_VARIANTS)
    return order, model.in_parts, model.path.name
