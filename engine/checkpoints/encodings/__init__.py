"""Encodings of weights: a module each, and a row here. What no row claims is recognised and refused by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from engine.checkpoints.encodings.encoding import Claim, Encoding, Unclaimed
from engine.checkpoints.encodings.gguf import GGUF_ENCODINGS
from engine.checkpoints.encodings.raw import Raw
from engine.checkpoints.encodings.scaled_fp8 import ScaledFp8
from engine.checkpoints.quantisation import Quantisation, quantisation_of
from engine.checkpoints.stored import RAW, Piece, WeightSource, WeightView

__all__ = [
    "ENCODINGS",
    "Claim",
    "ClaimedWeights",
    "Encoding",
    "Unclaimed",
    "claim_weights",
    "decoded_bytes",
    "encoding_of",
    "piece_of",
    "scratch_bytes",
]

ENCODINGS: list[Encoding] = [ScaledFp8(), *GGUF_ENCODINGS, Raw()]
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
            unreadable = quantisation_of(left, metadata)
        claim = encoding.claim(left, metadata)
        weights += claim.weights
        left.remove((*claim.beside, *(part.name for weight in claim.weights for part in weight.parts)))
    weights.sort(key=lambda weight: place[weight.parts[0].name])
    return ClaimedWeights({weight.name: weight for weight in weights}, unreadable)


def encoding_of(source: WeightSource) -> Encoding:
    """The encoding of a weight."""
    return next(encoding for encoding in ENCODINGS if encoding.key == source.encoding)


def piece_of(source: WeightSource, start: int, stop: int, *, transposed: bool = False) -> Piece:
    """The piece of a weight's rows: read by themselves where the encoding can do that."""
    rows = encoding_of(source).rows(source, start, stop)
    return Piece(source, (start, stop), transposed) if rows is None else Piece(rows, None, transposed)


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


def scratch_bytes(view: WeightView) -> int:
    """The most that decoding one of its pieces takes beside that."""
    return max(encoding_of(piece.source).scratch_bytes(piece.source) for piece in view.pieces)
