"""What can be said about a model, or a pair, from headers alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from engine.checkpoints import Checkpoint
from engine.checkpoints.encodings import encoding_of
from engine.checkpoints.folder import open_chosen
from engine.checkpoints.names_of_files import model_name
from engine.errors import EngineError, ErrorCode
from engine.events import Notice
from engine.formats.peft_reading import base_model_of, factors_in, keys_in_file, open_lora
from engine.formats.registry import formats_of, is_lora, likeliest, own_settings, programs_that_load
from engine.models.blocks import find_blocks
from engine.models.names import name_tensors
from engine.models.pairing import Pairing, select
from engine.planning.coverage import cover
from engine.planning.pair_order import PairOrder
from engine.results import Coverage, LeftOut
from engine.settings import ExtractionSettings


@dataclass(frozen=True)
class ModelSummary:
    """One model, from its header.

    Attributes:
        path: the file; of a chosen folder the one in it; of several files their index, first part or folder.
        dtypes: safetensors dtype names with how many tensors have them, most frequent first.
        components: tensors per component.
        blocks: number of numbered blocks of the denoiser.
        encodings: in words, of weights that are not plain numbers, with how many there are, most frequent first.
        quantisation: the scheme of weights that cannot be read, in words; None where all can.
        notices: remarks on the file and its names.
        files: how many it has.
        link: where `path`, or the first of its files, leads as a link; None where it is none.
        by_names_only: the family's names are known from other programs' sources alone, see `Family.by_names_only`.
        layouts: whose names its components have, in words, where those are not the native ones.
        programs: the keys of those that load LoRAs of such models.
    """

    path: Path
    size_bytes: int
    container: str
    tensors: int
    parameters: int
    dtypes: tuple[tuple[str, int], ...]
    family: str
    family_title: str
    components: dict[str, int]
    blocks: int
    encodings: tuple[tuple[str, int], ...]
    quantisation: str | None
    notices: tuple[Notice, ...] = ()
    files: int = 1
    link: Path | None = None
    layouts: tuple[str, ...] = ()
    by_names_only: bool = False
    programs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call the model, see `model_name`."""
        return model_name(self.path)


@dataclass(frozen=True)
class LoraSummary:
    """One LoRA, from its header and what lies beside it.

    Attributes:
        path: of the file, or of PEFT's folder.
        format: the key of the format that it is in.
        format_title: what people call that.
        layers: how many of its layers are factors.
        ranks: their ranks with how many layers have them, smallest first.
        other: how many keys there are beside factors and their scales: differences, whole weights, or unknown ones.
        dtypes: safetensors dtype names with how many tensors have them, most frequent first.
        base: the model that it is for, as it says itself; empty where it does not.
        program: the key of the program that it is for; empty where it names none.
    """

    path: Path
    size_bytes: int
    format: str
    format_title: str
    layers: int
    ranks: tuple[tuple[int, int], ...]
    other: int
    dtypes: tuple[tuple[str, int], ...]
    base: str
    program: str = ""


@dataclass(frozen=True)
class PairSummary:
    """A pair, from its headers: what would be extracted under the settings, what is left out, and what loads it.

    `order` is what speaks for either of the two being the original.
    """

    matched: int
    left_out: tuple[LeftOut, ...]
    family: str
    family_title: str
    components: dict[str, int]
    blocks: int
    coverage: Coverage = field(default_factory=Coverage)
    programs: tuple[str, ...] = ()
    order: PairOrder = field(default_factory=PairOrder)


def open_model(path: Path) -> Checkpoint:
    """Open what must be a model whose weights can be read: a file, all files of an index, or the model of a folder.

    Raises:
        EngineError: as `open_chosen`; ``not_a_model`` for a LoRA; ``quantised``, naming the scheme.
    """
    return readable(open_chosen(path, is_lora))


def readable(checkpoint: Checkpoint) -> Checkpoint:
    """The same model, whose weights can be read; it is closed where they cannot.

    Raises:
        EngineError: ``not_a_model`` for a LoRA; ``quantised``, naming the scheme.
    """
    try:
        _refuse_lora(checkpoint)
        quantisation = checkpoint.quantisation
        if quantisation is not None:
            data = {"scheme": quantisation.title, "reason": quantisation.remedy}
            raise EngineError(ErrorCode.QUANTISED, file=checkpoint.path, tensor=quantisation.example, **data)
    except EngineError:
        checkpoint.close()
        raise
    return checkpoint


def inspect_model(path: Path) -> ModelSummary:
    """Describe one model, or the one in a folder. Quantised models are described too, with the scheme named.

    Raises:
        EngineError: where the file is not a model, or the folder does not hold exactly one.
    """
    with open_chosen(path, is_lora) as checkpoint:
        _refuse_lora(checkpoint)
        named = name_tensors(checkpoint)
        quantisation = checkpoint.quantisation
        dtypes = Counter(part.dtype for part in checkpoint.stored.values())
        encoded = ((encoding_of(source), source) for source in checkpoint.weights.values())
        encodings = Counter(encoding.title_of(source) for encoding, source in encoded if not encoding.plain)
        blocks = {block.name for block in find_blocks(named.family, set(named.views)).values()}
        return ModelSummary(
            path=checkpoint.path,
            size_bytes=checkpoint.size_bytes,
            container=checkpoint.container,
            tensors=len(checkpoint.stored),
            parameters=sum(source.numel for source in checkpoint.weights.values() if source.is_weight),
            dtypes=tuple(dtypes.most_common()),
            family=named.family.key,
            family_title=named.family.title,
            components=dict(Counter(view.component for view in named.views.values())),
            blocks=len(blocks),
            encodings=tuple(encodings.most_common()),
            quantisation=quantisation.title if quantisation else None,
            notices=(*checkpoint.notices, *named.notices),
            files=len(checkpoint.files),
            link=_link(checkpoint),
            layouts=tuple(dict.fromkeys(layout.title for layout in named.layouts if layout.family)),
            by_names_only=named.family.by_names_only,
            programs=tuple(row.key for row in programs_that_load(named.family)),
        )


def inspect_lora(path: Path) -> LoraSummary:
    """Describe a LoRA: a file, or PEFT's folder.

    Raises:
        EngineError: ``not_a_lora``; see `open_lora`.
    """
    with open_lora(path) as file:
        found = {row: index for row, index in formats_of(file.stored) if index.has_factors}
        if not found:
            raise EngineError(ErrorCode.NOT_A_LORA, file=file.path)
        row = likeliest({row: index.known for row, index in found.items()}, file.metadata)
        factors = factors_in(file, found[row])
        own = {key for parts in found[row].layers.values() if "down" in parts for key in parts.values()}
        real = keys_in_file(file)
        return LoraSummary(
            path=path,
            size_bytes=file.size_bytes,
            format=row.key,
            format_title=row.title,
            layers=len(factors),
            ranks=tuple(sorted(Counter(factors.values()).items())),
            other=len([key for key in real if key not in own]),
            dtypes=tuple(Counter(file.stored[key].dtype for key in real).most_common()),
            base=base_model_of(file),
            program=str(own_settings(file.metadata).get("program", "")),
        )


def summarise_pair(pairing: Pairing, settings: ExtractionSettings, order: PairOrder) -> PairSummary:
    """Describe a pair under some settings, with what is known of its order."""
    selection = select(pairing, settings)
    return PairSummary(
        matched=len(selection.extracted),
        left_out=selection.left_out,
        family=pairing.family.key,
        family_title=pairing.family.title,
        components=dict(Counter(weight.component for weight in selection.extracted)),
        blocks=len({weight.block.name for weight in selection.extracted if weight.block.name}),
        coverage=cover(pairing, settings.components, selection.new),
        programs=tuple(row.key for row in programs_that_load(pairing.family)),
        order=order,
    )


def _link(checkpoint: Checkpoint) -> Path | None:
    """Where the model really lies, if its path or that of its first file is a link."""
    for path in (checkpoint.path, *checkpoint.paths[:1]):
        if path.is_symlink():
            return path.resolve()
    return None


def _refuse_lora(checkpoint: Checkpoint) -> None:
    if is_lora(checkpoint.stored.keys()):
        raise EngineError(ErrorCode.NOT_A_MODEL, file=checkpoint.path, reason="is_lora")
