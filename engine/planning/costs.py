"""What one layer costs: bytes in memory, in the file and in the journal. Headers only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.checkpoints import Piece, WeightView
from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.encodings import decoded_bytes, encoding_of, piece_of, read_by_rows, scratch_bytes, steps_bytes
from engine.checkpoints.encodings.encoding import CASTING_BYTES
from engine.checkpoints.rounding import dtype_of
from engine.checkpoints.stored import RAW
from engine.decompose.method import LayerMethod, StoringRule
from engine.decompose.workspace import (
    CHUNK_BYTES,
    CUT_VALUES,
    cut_bytes,
    gram_bytes,
    piece_length,
    piecewise_bytes,
    worked_in_pieces,
    workspace_bytes,
)
from engine.devices.memory_rules import PART_VALUES, Need, pooled_bytes
from engine.formats.lora_format import Place
from engine.models.pairing import PairedWeight
from engine.settings import SAFETENSORS_DTYPES

_STORING = 5  # float32 copies of both factors at most, while they are split, clamped, scaled, rounded and judged
_FITTING, _FITTED_SQUARES = 3, 6  # the same while fp8 factors are fitted, and float64 matrices of the rank squared
_JUDGED = 2 * 4 * 32  # bytes for each column: two copies of the rows by which clamping is judged at first
_SAMPLED, _SAMPLE = 28, 1 << 18  # bytes for each number that rounding noise is told from, and how many at most
MEASURED_VALUES = 1 << 20
"""Values of sides in memory whose steps are formed at once, as rounding noise is measured."""
_RECORD = 4096  # a journal's record beside its numbers


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(out, in) of a weight; a convolution's kernel counts to its inputs."""
    return shape[0], math.prod(shape[1:])


def stored_bytes(weight: PairedWeight, method: LayerMethod, rule: StoringRule, places: Sequence[Place] = ()) -> int:
    """Largest size of what is stored for a weight by one of a method's rules.

    Args:
        weight: the weight.
        method: how it is decomposed.
        rule: how it is stored.
        places: where it stands in a file; none for once as a whole, with an alpha.
    """
    factors = method.stores_factors(weight.kind)
    size = DTYPES[SAFETENSORS_DTYPES[rule.output_dtype if factors else rule.difference_dtype]].bits // 8
    rows, columns = matrix_shape(weight.shape) if weight.shape else (1, 1)
    parts = [place.rows or (0, rows) for place in places] or [(0, rows)]
    if not factors:
        return sum((end - start) * columns for start, end in parts) * size
    rank = min(rule.limit(weight.name, method.policy.rank), rows, columns)
    alphas = sum("alpha" in place.keys for place in places) if places else 1
    zeros = sum(rank * rows * place.zeros for place in places)
    return (sum(rank * (end - start + columns) for start, end in parts) + zeros) * size + 4 * alphas


def enlarging_bytes(weight: PairedWeight, method: LayerMethod, rule: StoringRule) -> int:
    """What is added to that where the weight is enlarged: its new part, an identity, and zeros beside the factors."""
    size = DTYPES[SAFETENSORS_DTYPES[rule.difference_dtype]].bits // 8
    (rows, columns), (more_rows, more_columns) = matrix_shape(weight.shape), matrix_shape(weight.finetuned.shape)
    rank = min(rule.limit(weight.name, method.policy.rank), rows, columns)
    new = min(more_rows - rows or more_rows, more_columns - columns or more_columns)
    whole = (rank + new) * (more_rows + more_columns) * size + 8 * len(weight.shape)
    return whole - rank * (rows + columns) * DTYPES[SAFETENSORS_DTYPES[rule.output_dtype]].bits // 8


def journal_bytes(weight: PairedWeight, method: LayerMethod) -> int:
    """Largest size of a weight's record in the journal; the file itself is the journal of ``full``."""
    if method.full:
        return _RECORD
    if not method.stores_factors(weight.kind):
        return 4 * weight.numel + _RECORD
    rows, columns = matrix_shape(weight.shape)
    return 4 * method.policy_for(weight.name).cap((rows, columns)) * (rows + columns) + 8 * min(rows, columns) + _RECORD


def need(weight: PairedWeight, method: LayerMethod, *, host: bool) -> Need:
    """Bytes that a weight holds on its device: both sides as stored, then at most what the work takes beside.

    Both sides are decoded, before there is a delta, and let go once they are subtracted: what decoding, subtracting
    and the solver take is never there together.

    Args:
        weight: the weight.
        method: decides the solver.
        host: the device is the processor, so that whole tensors are read into lent buffers.
    """
    views = weight.finetuned, weight.original
    source = sum(pooled_bytes(view.buffer_bytes) if host else view.stored_bytes for view in views)
    subtracting = _delta_bytes(weight, host=host) + _steps_bytes(weight, MEASURED_VALUES)
    subtracting = max(subtracting, _drawing_bytes(weight, method))
    return Need(
        source, max(_decoding_bytes(weight, method, host=host), subtracting, _delta_work(weight, method, host=host))
    )


def _delta_work(weight: PairedWeight, method: LayerMethod, *, host: bool) -> int:
    """The delta, and what decomposing and storing it take."""
    delta = _delta_bytes(weight, host=host)
    others = 0  # what the other rules stored, which stays on the processor until the layer is done
    if host and len(method.storing) > 1:
        others = (len(method.storing) - 1) * max(stored_bytes(weight, method, rule) for rule in method.storing)
    if not method.stores_factors(weight.kind):
        strong = any(rule.strength != 1.0 for rule in method.storing)
        return delta + 4 * weight.numel * (2 if strong else 1) + CHUNK_BYTES + others  # the rounded copy
    shape = matrix_shape(weight.shape)
    solver = solver_bytes(weight, method, host=host)
    storing = _storing_bytes(weight, method) + max(CHUNK_BYTES, _JUDGED * shape[1])
    return delta + max(solver, storing + others)


def _storing_bytes(weight: PairedWeight, method: LayerMethod) -> int:
    """What storing the factors of a decomposition takes; of several ranks the leading part is one more copy."""
    shape = matrix_shape(weight.shape)
    cap = method.policy_for(weight.name).cap(shape)
    factors = 4 * cap * sum(shape)
    several = len(method.ranks_for(weight.name, shape)) > 1
    if not any(rule.fp8 for rule in method.storing):
        return (_STORING + several) * factors
    fitting = (_FITTING + several) * factors + _FITTED_SQUARES * 8 * cap * cap + CHUNK_BYTES
    return max((_STORING + several) * factors, fitting)


def _delta_bytes(weight: PairedWeight, *, host: bool) -> int:
    return pooled_bytes(4 * weight.numel) if host else 4 * weight.numel


def need_within(weight: PairedWeight, method: LayerMethod, ceiling: int, *, measured: bool) -> Need:
    """The same on a processor, by the first way of working that fits; by the one that takes least where none does.

    A layer that does not fit with both sides and its delta in memory is read part by part. What is stored is the same,
    bit by bit, but for layers that are gone over in pieces and would not be otherwise, see `worked_in_pieces`: their
    numbers are as accurate, but others. So those are in pieces only where nothing else fits.

    Args:
        weight: the weight.
        method: decides the solver.
        ceiling: bytes that the run may hold.
        measured: only its change is measured.
    """
    whole = (measuring_need if measured else need)(weight, method, host=True)
    if whole.total <= ceiling:
        return whole
    part = min(PART_VALUES, weight.numel)
    reading = sum(_part_bytes(view, part) for view in (weight.finetuned, weight.original))
    reading += _rounded_part_bytes(weight, part)
    steps, kept = _steps_bytes(weight, part), _kept_steps_bytes(weight)
    ways = []
    if measured:
        ways.append(Need(0, reading + 8 * part + steps, "pieces"))
    else:
        filling = max(_delta_work(weight, method, host=True) + kept, _delta_bytes(weight, host=True) + steps)
        filling = max(filling, _drawing_bytes(weight, method) + kept)
        ways.append(Need(0, reading + filling, "filled"))
        if method.stores_factors(weight.kind):
            pieces = _in_pieces(weight, method).work + kept
            ways.append(Need(0, max(pieces, reading + 4 * part + steps), "pieces"))
    fitting = [way for way in ways if way.total <= ceiling]
    return fitting[0] if fitting else min((whole, *ways), key=lambda way: way.total)


def _in_pieces(weight: PairedWeight, method: LayerMethod) -> Need:
    """Neither side nor the delta is held: a piece of each, and what the decomposition and the storing take."""
    shape = matrix_shape(weight.shape)
    cap = method.policy_for(weight.name).cap(shape)
    values = min(piece_length(min(shape)) * min(shape), weight.numel)
    piece = 4 * values + sum(_part_bytes(view, values) for view in (weight.finetuned, weight.original))
    piece += _rounded_part_bytes(weight, values)
    left_over = 4 * values  # of a piece
    storing = _storing_bytes(weight, method) + max(left_over, _JUDGED * shape[1])
    drawing = 0
    if method.draws_noise:
        parts = sum(_part_bytes(view, CUT_VALUES) for view in (weight.finetuned, weight.original))
        drawing = parts + _rounded_part_bytes(weight, CUT_VALUES) + _drawing_bytes(weight, method, hold=False)
    return Need(0, max(drawing, piece + max(piecewise_bytes(shape, cap), storing)), "pieces")


def _part_bytes(view: WeightView, values: int) -> int:
    """What a side takes beside the delta where it is read in parts of so many values."""
    if view.plain:
        return values * DTYPES[view.source.dtype].bits // 8
    return sum(_piece_part_bytes(piece, values) for piece in view.pieces) + 4 * values  # and the part put together


def _rounded_part_bytes(weight: PairedWeight, values: int) -> int:
    """What rounding takes where the side that is rounded, or compared, is read in parts of so many values."""
    if weight.rounding is None:
        return 0
    most = 0
    for side in weight.rounding.alike:
        like = weight.finetuned if side == "original" else weight.original
        size = CASTING_BYTES + 2 * 4 * values  # a part that is rounded, and put together
        if dtype_of(like) is None:
            pieces = [piece for piece in like.pieces if piece.source.encoding != RAW]
            size += max((_piece_part_bytes(piece, values) for piece in pieces), default=0)
            size += max((encoding_of(piece.source).rounding_bytes(piece.source) for piece in pieces), default=0)
            size += sum(4 * 3 * piece.source.numel for piece in pieces if not read_by_rows(piece))
        most = max(most, size)
    return most


def _steps_bytes(weight: PairedWeight, values: int) -> int:
    """What measuring rounding noise takes: steps of both sides, formed for so many values at a time, and a sample."""
    sample = _SAMPLED * min(weight.numel, _SAMPLE)
    rounded = None if weight.rounding is None else weight.rounding.rounded
    tuned, base = (steps_bytes(view, values) for view in (weight.finetuned, weight.original))
    if rounded == "finetuned":
        return base + sample
    floats = 3 * 4 * values if rounded == "original" and tuned and not base else 0  # cast back to what they were
    return tuned + base + floats + sample


def _kept_steps_bytes(weight: PairedWeight) -> int:
    """What of it stays until a layer that is read in parts is done: steps of pieces that are held whole."""
    pieces = (*weight.finetuned.pieces, *weight.original.pieces)
    whole = [piece for piece in pieces if piece.source.encoding != RAW and not read_by_rows(piece)]
    return sum(4 * piece.source.numel * (2 if piece.transposed else 1) for piece in whole)


def _piece_part_bytes(piece: Piece, values: int) -> int:
    source = piece.source
    if source.encoding == RAW:
        return values * DTYPES[source.dtype].bits // 8
    rows = min(source.shape[0], max(1, values * source.shape[0] // max(1, source.numel)))
    part = piece_of(source, 0, rows)
    if piece.transposed or piece.single or part.rows is not None:  # held decoded while the layer is at work
        part = piece
    own = part.source
    return sum(stored.nbytes for stored in own.parts) + own.value_bytes + encoding_of(own).scratch_bytes(own)


def resident_bytes(weight: PairedWeight) -> int:
    """What a weight holds on a device where it stays: its two sides or their difference, whichever is smaller."""
    return min(sum(view.stored_bytes for view in (weight.finetuned, weight.original)), 4 * weight.numel)


def measuring_need(weight: PairedWeight, method: LayerMethod, *, host: bool) -> Need:
    """The same for a weight whose change is only measured."""
    source = need(weight, method, host=host).source
    subtracting = max(CHUNK_BYTES, _steps_bytes(weight, MEASURED_VALUES))
    return Need(source, max(_decoding_bytes(weight, host=host), _delta_bytes(weight, host=host) + subtracting))


def solver_bytes(weight: PairedWeight, method: LayerMethod, *, host: bool = False) -> int:
    """What the decomposition itself takes beside the delta."""
    shape, policy = matrix_shape(weight.shape), method.policy_for(weight.name)
    if host and worked_in_pieces(shape):
        values = min(piece_length(min(shape)) * min(shape), weight.numel)
        return piecewise_bytes(shape, policy.cap(shape)) + 8 * values  # a copy of a piece, what is left over of it
    solver = workspace_bytes(shape, policy, method.algorithm)
    if policy.lora_type != "standard":  # a rule that wants much falls to the whole spectrum
        solver = max(solver, gram_bytes(shape, policy))
    return solver


def _decoding_bytes(weight: PairedWeight, method: LayerMethod | None = None, *, host: bool) -> int:
    """What decoding both sides and then subtracting them take beside what was read; nothing for plain numbers."""
    views = weight.finetuned, weight.original
    scratch, decoded = max(map(scratch_bytes, views)), sum(map(decoded_bytes, views))
    rounding, rounded = rounding_bytes(weight)
    if not (decoded or scratch or rounding):
        return 0
    subtracting = max(CHUNK_BYTES, _steps_bytes(weight, MEASURED_VALUES))  # rounding noise is measured before
    whole = max(_delta_bytes(weight, host=host) + subtracting, 0 if method is None else _drawing_bytes(weight, method))
    return decoded + max(scratch, rounded + max(rounding, whole))


def _drawing_bytes(weight: PairedWeight, method: LayerMethod, *, hold: bool = True) -> int:
    """What finding the largest value of drawn noise takes, before there is a delta."""
    if not method.draws_noise or not method.stores_factors(weight.kind):
        return 0
    return cut_bytes(matrix_shape(weight.shape), hold=hold) + _steps_bytes(weight, CUT_VALUES)


def rounding_bytes(weight: PairedWeight) -> tuple[int, int]:
    """What rounding one side as the other is stored takes: while it is at work, and what it makes.

    Also where neither is rounded before they are subtracted: whether they differ by rounding alone is asked first.
    """
    if weight.rounding is None:
        return 0, 0
    works, makes = 0, 0
    for side in weight.rounding.alike:
        like = weight.finetuned if side == "original" else weight.original
        dtype = dtype_of(like)
        if dtype is not None:  # where it is only compared that is done piece by piece
            made = weight.numel * DTYPES[dtype].bits // 8 if side == weight.rounding.rounded else 0
            work = CASTING_BYTES
        else:
            made = 4 * weight.numel * (1 if len(like.pieces) == 1 else 2)  # and joined
            work = max(encoding_of(piece.source).rounding_bytes(piece.source) for piece in like.pieces)
            work += max((4 * 2 * piece.source.numel for piece in like.pieces if _turned(piece)), default=0)
            work += 4 * weight.numel if side != weight.rounding.rounded else 0  # the other side, to be compared with
        works, makes = max(works, work), max(makes, made)
    return works, makes


def _turned(piece: Piece) -> bool:
    """Whether a piece lies otherwise in its source than in its view, so that what is rounded is copied."""
    return piece.transposed or piece.rows is not None
