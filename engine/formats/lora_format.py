"""What a format of LoRA files is: names for stored layers, and the way back from the keys of a file. No torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.decompose.method import StoredPart
from engine.events import Notice
from engine.models.families import Family
from engine.models.pairing import Pairing

LayerKeys = Mapping[StoredPart, str]
"""The key of each part of a stored layer; empty where the format has no place for it."""


@dataclass(frozen=True)
class Place:
    """Where a stored layer, or some of its rows, stands in a file.

    Several places of one layer hold different rows of it, such as the q, k and v of a fused weight, or the same ones
    under two spellings of a name.

    Attributes:
        keys: of each part.
        rows: the first of the layer's rows (output channels) that stand there, and the one after the last; None for
            all. Factors have these rows of up, and all of down.
        swapped: the two halves of these rows are exchanged in the file.
        transposed: the file's weight is (in, out), so that up and down change their roles. Matrices only.
        zeros: how often the size of its up stands there again as zeros, where it is joined with others.
    """

    keys: LayerKeys
    rows: tuple[int, int] | None = None
    swapped: bool = False
    transposed: bool = False
    zeros: int = 0

    def parts(self, parts: Mapping[StoredPart, Any]) -> dict[StoredPart, Any]:
        """The tensors that stand there, of those of the whole layer; see `StoredLayer.parts`."""
        placed = {part: self._rows_of(part, tensor) for part, tensor in parts.items()}
        if self.transposed:
            matrices = {part: tensor.transpose(0, 1) for part, tensor in placed.items() if part in _OTHER_SIDE}
            placed |= {_OTHER_SIDE[part]: tensor for part, tensor in matrices.items()}
        return {part: tensor for part, tensor in placed.items() if part in self.keys}

    def _rows_of(self, part: StoredPart, tensor: Any) -> Any:
        if part not in ("up", "difference"):
            return tensor
        rows = tensor if self.rows is None else tensor[slice(*self.rows)]
        return rows.roll(len(rows) // 2, 0) if self.swapped else rows


_OTHER_SIDE: dict[StoredPart, StoredPart] = {"up": "down", "down": "up", "difference": "difference"}


@dataclass(frozen=True)
class LoraFacts:
    """What a format may say of a finished file in its metadata.

    Attributes:
        family: of the models.
        rank: the one rank of all layers, or None where a rule chose one for each.
        largest_rank: of the layers in the file; 0 where none has factors.
        alpha: of all layers; None where each has its own.
        ranks: of the factors in the file, by the key of their down.
    """

    family: Family
    rank: int | None
    largest_rank: int
    alpha: float | None
    ranks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LoraIndex:
    """The keys of a LoRA file, sorted by what a format makes of them.

    Attributes:
        layers: by the format's own name of a layer, the key of each of its parts.
        whole: keys of weights that are set as a whole.
        unknown: keys that the format does not have.
        endings: of the keys of factors, by part: behind a layer's name.
        earlier: keys that the format writes now -> those of the file, which an earlier version wrote instead.
    """

    layers: Mapping[str, LayerKeys]
    whole: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    endings: Mapping[StoredPart, str] = field(default_factory=dict)
    earlier: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_factors(self) -> bool:
        """Whether there is at least one half of a pair of factors, which no model has."""
        return any("up" in parts or "down" in parts for parts in self.layers.values())

    @property
    def known(self) -> int:
        """How many keys the format has."""
        return len(self._known) + len(self.whole)

    def written(self, layer: str) -> LayerKeys:
        """The keys under which a layer is written: its own, and for factors without an alpha the one it would have."""
        keys = self.layers[layer]
        if "difference" in keys or "alpha" not in self.endings:
            return keys
        return {"alpha": layer + self.endings["alpha"], **keys}

    def found(self, keys: LayerKeys) -> dict[StoredPart, str]:
        """Those of a layer's keys that are in the file, or what an earlier version wrote in their stead."""
        present = {part: key if key in self._known else self.earlier.get(key, key) for part, key in keys.items()}
        return {part: key for part, key in present.items() if key in self._known}

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(key for parts in self.layers.values() for key in parts.values())


class LoraFormat(ABC):
    """One format of LoRA files. Its row in `engine.formats.registry.FORMATS` is all that the rest of the program needs.

    Attributes:
        key: stable identifier, in settings, files and reports.
        title: what people call it.
        holds_differences: whether a layer can be stored as its difference.
        one_alpha: whether all layers of a file have the same alpha, the largest rank that any of them can have.
        own_prefixes: whether its keys begin with prefixes that make it likelier than a format that takes any name.
        scale_baked: whether up @ down is the change itself, as a file has no alpha.
        names_alpha: whether such a file can name an alpha all the same: at the largest rank, in proportion at others.
        writer: the module whose ``open_writer(folder, header_bytes, format)`` makes what writes an output; not
            imported here, as it needs torch.
        ending: of an output's name behind its number; nothing where an output is a folder.
    """

    key: str
    title: str
    holds_differences: bool = True
    one_alpha: bool = False
    own_prefixes: bool = False
    scale_baked: bool = False
    names_alpha: bool = False
    writer: str = "engine.formats.safetensors_writer"
    ending: str = ".safetensors"

    def for_pair(self, pairing: Pairing) -> LoraFormat:
        """The format for one pair of models, where its keys depend on their other weights or the names in a file."""
        return self

    def places(self, family: Family, name: str, kind: str, shape: Sequence[int], *, factors: bool) -> tuple[Place, ...]:
        """Where a stored layer stands in a file; none where the format cannot hold it.

        Args:
            family: of the models.
            name: the weight's canonical name.
            kind: the weight's kind, see `PairedWeight`.
            shape: the weight's shape, (out, in, kernel sizes ...).
            factors: it is stored as factors rather than as its difference.
        """
        keys = self.keys(family, name, kind, factors=factors)
        return (Place(keys),) if keys else ()

    def keys(self, family: Family, name: str, kind: str, *, factors: bool) -> LayerKeys:
        """The keys of a stored layer that stands in one place as it is; none where the format cannot hold it.

        Formats whose places depend on more have none here and their own `places`.

        Args:
            family: of the models.
            name: the weight's canonical name.
            kind: the weight's kind, see `PairedWeight`.
            factors: it is stored as factors rather than as its difference.
        """
        return {}

    def tensors(self, places: Sequence[Place], parts: Mapping[StoredPart, Any]) -> dict[str, Any]:
        """The tensors of a stored layer by their keys, in the order in which they are written.

        Args:
            places: of the layer.
            parts: its tensors, see `StoredLayer.parts`.
        """
        return {place.keys[part]: tensor for place in places for part, tensor in place.parts(parts).items()}

    def kept_whole(self, family: Family, name: str) -> tuple[str, ...]:
        """The keys of a weight of both models that is stored as the fine-tuned model has it; none for all others.

        Such a weight is not decomposed, and written only where it changed, or another one that has a module in common
        with it, as the keys begin.
        """
        return ()

    def whole_keys_in_files(self, name: str) -> tuple[str, ...]:
        """The keys under which a weight of both models can be in a file as it is, whichever tool wrote that."""
        return ()

    def whole_key(self, family: Family, name: str) -> str | None:
        """The key of a weight that is set as a whole; None where the format has none."""
        return None

    def reshape_key(self, family: Family, name: str) -> str | None:
        """The key of the shape that a weight is enlarged to before its factors are added; None where it cannot be."""
        return None

    @abstractmethod
    def parse(self, keys: Iterable[str]) -> LoraIndex | None:
        """Sort the keys of a file; None where none of them is of this format. The inverse of `keys`."""

    def problem(self, family: Family) -> str | None:
        """Why no file of this format can be written for a family, as a stable word; None where it can."""
        return None

    def notices(self, family: Family) -> tuple[Notice, ...]:
        """Remarks on files of this format for a family, which are made before the start."""
        return ()

    def metadata(self, facts: LoraFacts) -> dict[str, str]:
        """Texts for the header beside those that every file has."""
        return {}

    def metadata_bytes(self, keys: Iterable[str]) -> int:
        """The largest size of those of these texts that grow with the file, as JSON; a few short ones count nothing.

        Args:
            keys: of all tensors that the file can have.
        """
        return 0

    def bytes_beside(self, ranks: Mapping[str, int | None], kept: Iterable[str]) -> int:
        """The largest size of what an output that is a folder holds beside its tensors and the report.

        Args:
            ranks: of the layers that are factors in it, by canonical name; None for any.
            kept: the keys of weights that are in it as they are.
        """
        return 0

    def stem(self, prefix: str) -> str:
        """The start of a file's name, from the one that was asked for."""
        return f"{prefix}_{self.key}"


def index_of(
    keys: Iterable[str], endings: Mapping[str, StoredPart], *, prefixes: tuple[str, ...] = ("",)
) -> LoraIndex | None:
    """The index of a format whose keys are a layer's name and an ending; None where no key is one.

    An alpha alone makes no layer: models have parameters of that name.

    Args:
        keys: of the file.
        endings: ending -> part.
        prefixes: with one of which a layer's name begins.
    """
    keys, layers = tuple(keys), dict[str, dict[StoredPart, str]]()
    for key in keys:
        ending = next((ending for ending in endings if key.endswith(ending)), None)
        if ending is not None and key.startswith(prefixes):
            layers.setdefault(key.removesuffix(ending), {})[endings[ending]] = key
    layers = {name: parts for name, parts in layers.items() if parts.keys() != {"alpha"}}
    known = {key for parts in layers.values() for key in parts.values()}
    unknown = tuple(key for key in keys if key not in known)
    by_part: dict[StoredPart, str] = {part: ending for ending, part in endings.items() if part != "difference"}
    return LoraIndex(layers, unknown=unknown, endings=by_part) if layers else None
