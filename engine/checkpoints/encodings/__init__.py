"""Encodings of weights: a module each, and a row here. What no row claims is recognised and refused by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.checkpoints.encodings.bitsandbytes import Bitsandbytes4, Bitsandbytes8
from engine.checkpoints.encodings.comfy_quant import ComfyQuant
from engine.checkpoints.encodings.comfy_w4 import ComfyW4
from engine.checkpoints.encodings.compressed_tensors import CompressedTensors
from engine.checkpoints.encodings.encoding import Claim, Encoding, Unclaimed
from engine.checkpoints.encodings.gguf import GGUF_ENCODINGS
from engine.checkpoints.encodings.raw import Raw
from engine.checkpoints.encodings.scaled_fp8 import ScaledFp8
from engine.checkpoints.encodings.strided import StridedNumbers
from engine.checkpoints.encodings.weight_scale import BlockFp8, ModelOptNvfp4, WeightScale
from engine.checkpoints.quantisation import Quantisation, quantisation_of
from engine.checkpoints.stored import RAW, Piece, WeightSource, WeightView

__all__ = [
    "ENCODINGS",
    "Claim",
    "ClaimedWeights",
    "Encoding",
    "Unclaimed",
    "claim_weights",
    "cut_to",
    "decoded_bytes",
    "encoding_of",
    "has_own_steps",
    "piece_of",
    "read_by_rows",
    "scratch_bytes",
    "steps_bytes",
]

ENCODINGS: list[Encoding] = [
    ComfyQuant(),
    ComfyW4(),
    ScaledFp8(),
    Bitsandbytes4(),
    Bitsandbytes8(),
    CompressedTensors(),
    ModelOptNvfp4(),
    BlockFp8(),
    WeightScale(),
    *GGUF_ENCODINGS,
    StridedNumbers(),
    Raw(),
]
"""In the order in which they are asked; the last one takes everything that is left."""


@dataclass(frozen=True)
class ClaimedWeights:
    """All weights of a model, and what of it cannot be read.

    Attributes:
        weights: by name, in the order of the files.
        unreadable: the scheme of quantised tensors that no encoding has claimed.
    """

    weights: Mapping[str, WeightSource]
    unreadable: Quantisation | None


def claim_weights(left: Unclaimed, metadata: Mapping[str, str]) -> ClaimedWeights:
    """Divide what a model stores among the encodings.

    Args:
        left: everything that is stored; what is claimed is taken out.
        metadata: the container's texts.

    Raises:
        EngineError: see `Encoding.claim`.
    """
    place = {name: index for index, name in enumerate(left)}
    weights = list[WeightSource]()
    unreadable = None
    for encoding in ENCODINGS:
        if encoding.key == RAW:
            unreadable = unreadable or quantisation_of(left)
        claim = encoding.claim(left, metadata)
        unreadable = unreadable or claim.unreadable
        weights += claim.weights
        left.remove((*claim.beside, *(part.name for weight in claim.weights for part in weight.parts)))
    weights.sort(key=lambda weight: place[weight.parts[0].name])
    return ClaimedWeights({weight.name: weight for weight in weights}, unreadable)


def encoding_of(source: WeightSource) -> Encoding:
    """The encoding of a weight."""
    return next(encoding for encoding in ENCODINGS if encoding.key == source.encoding)


def cut_to(view: WeightView, shape: tuple[int, ...]) -> WeightView | None:
    """A view whose numbers were padded, in the shape of the other side of a pair; None where that cannot be its own."""
    piece = view.pieces[0]
    if len(view.pieces) > 1 or piece.rows is not None or piece.transposed:
        return None
    source = encoding_of(piece.source).cut(piece.source, shape)
    return None if source is None else replace(view, shape=shape, pieces=(Piece(source),))


def piece_of(source: WeightSource, start: int, stop: int, *, transposed: bool = False) -> Piece:
    """The piece of a weight's rows: read by themselves where the encoding can do that."""
    rows = encoding_of(source).rows(source, start, stop)
    return Piece(source, (start, stop), transposed) if rows is None else Piece(rows, None, transposed)


def read_by_rows(piece: Piece) -> bool:
    """Whether some rows of a piece can be read and decoded without the others."""
    source = piece.source
    first = piece_of(source, 0, 1) if source.shape and source.shape[0] else piece
    return first.rows is None and piece.rows is None and not (piece.transposed or piece.single)


def decoded_bytes(view: WeightView) -> int:
    """Memory that the numbers of a view take beside what was read: nothing where that is the numbers already."""
    pieces = view.pieces
    size = sum(encoding_of(piece.source).decoded_bytes(piece.source) for piece in pieces)
    size += sum(piece.value_bytes for piece in pieces if piece.transposed)
    if len(pieces) == 1:
        return size
    if len({piece.source.dtype for piece in pieces}) == 1:
        return size + sum(piece.value_bytes for piece in pieces)
    return size + 2 * 4 * math.prod(view.shape)  # each as float32, and joined


def has_own_steps(view: WeightView) -> bool:
    """Whether the steps of a weight, see `engine.checkpoints.steps`, are not those of the dtype of its numbers."""
    dtypes = {piece.source.dtype for piece in view.pieces}
    return len(dtypes) > 1 or not all(encoding_of(piece.source).plain for piece in view.pieces)


def steps_bytes(view: WeightView, values: int) -> int:
    """Memory that the steps of a weight take at most where they are formed for so many numbers at a time.

    Nothing where it has no steps of its own. What decoding a part takes beside its result counts for its steps, too.
    """
    if not has_own_steps(view):
        return 0
    kept, most = 0, 0
    for piece in view.pieces:
        source = piece.source
        rows = max(1, source.shape[0] if source.shape else 1)
        if not read_by_rows(piece):
            kept += 4 * source.numel * (2 if piece.transposed else 1)
            most = max(most, encoding_of(source).scratch_bytes(source))
            continue
        some = piece_of(source, 0, min(rows, 1 + values * rows // max(1, source.numel))).source
        joined = 2 if len(view.pieces) > 1 else 1
        most = max(most, 4 * some.numel * joined + encoding_of(some).scratch_bytes(some))
    return kept + most


def scratch_bytes(view: WeightView) -> int:
    """The most that decoding one of its pieces takes beside that."""
    return max(encoding_of(piece.source).scratch_bytes(piece.source) for piece in view.pieces)
