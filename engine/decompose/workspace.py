"""Which sizes a decomposition works with, and how much memory that takes beside the delta. Plans use it too.

The bytes are bounds for the largest basis that a solver lets grow, not typical figures: most layers take half.
"""

from __future__ import annotations

from engine.decompose.rank_rules import RankPolicy
from engine.settings import Algorithm

SMALL_SIDE = 256  # where the whole eigen-decomposition costs less than the iteration's many small steps
CHUNK_BYTES = 32 * 1024 * 1024  # of what is formed and used up piece by piece
_LARGEST_SHARE = 0.64  # of the short side: a basis beyond it costs more than the Gram matrix
_GRAM_SQUARES = 7  # float64 matrices of the short side: Gram matrix, eigenvectors, LAPACK's own, a copy
_BLOCK = 32
_LAPACK_SQUARES = 4  # the Gram matrix, which the eigenvectors take the place of, and the workspace of LAPACK
_MUCH_LONGER, _SHORT = 16, 1024  # sides' ratio from which, and short side up to which, the Gram matrix comes first
_LARGE = 1 << 25  # values of such a matrix from which it is worked on in pieces
_SMALL = 1 << 18  # bytes of everything that does not grow with the matrix
CUT_BLOCK, CUT_ROUNDS = 16, 8  # columns at once and rounds in which the largest value of drawn noise is found
CUT_VALUES = 1 << 18  # of noise that are drawn from one seed, or a whole row


def cut_bytes(shape: tuple[int, int], *, hold: bool) -> int:
    """Bytes that finding the largest value of drawn noise takes, without the parts of the sides that are read.

    Args:
        shape: rows and columns.
        hold: the noise is held, not drawn again in every round.
    """
    rows, columns = shape
    drawn = 4 * 4 * max(columns, min(CUT_VALUES, rows * columns))  # numbers, steps, errors and their product
    space = 4 * 4 * (CUT_ROUNDS + 2) * CUT_BLOCK * columns  # two bases, and each put together
    return (4 * rows * columns if hold else 0) + drawn + space + _SMALL


def gram_first(shape: tuple[int, int]) -> bool:
    """Whether one side is so much longer that the Gram matrix of the other costs no more than a few sketch rounds."""
    return max(shape) >= _MUCH_LONGER * min(shape) and min(shape) <= _SHORT


def worked_in_pieces(shape: tuple[int, int]) -> bool:
    """Whether a solver goes over a matrix in pieces even where it is in memory: so memory does not change the numbers.

    These are embeddings and heads, whose Gram matrix is one pass; others are in pieces only for want of memory.
    """
    return gram_first(shape) and shape[0] * shape[1] >= _LARGE


def piece_length(short: int) -> int:
    """How much of the long side a piece takes: in float64 `CHUNK_BYTES`."""
    return max(1, CHUNK_BYTES // (8 * short))


def piecewise_bytes(shape: tuple[int, int], cap: int) -> int:
    """Bytes of a decomposition in pieces at its peak, without the piece itself, results included."""
    short, long = min(shape), max(shape)
    factors = 4 * cap * (short + long)
    summing = 8 * _LAPACK_SQUARES * short * short + 8 * min(piece_length(short), long) * short
    forming = factors + 8 * short * short + 4 * short * cap + min(piece_length(short), long) * (4 * short + 16 * cap)
    return max(summing, forming) + 2 * 8 * short + _SMALL


def triangle_bytes(shape: tuple[int, int], cap: int) -> int:
    """The same where the Gram matrix is not accurate enough."""
    short, long = min(shape), max(shape)
    stacked = short + min(piece_length(short), long)
    return 8 * max(4 * stacked * short, 8 * short * short) + piecewise_bytes(shape, cap)


def largest_basis(side: int) -> int:
    """Size of a basis after which the iteration gives up, for a matrix with this short side."""
    return int(_LARGEST_SHARE * side)


def oversampled(cap: int) -> int:
    """Columns to iterate for a rank without a certificate: so many more that one draw hardly differs from another."""
    return cap + max(8, cap // 4)


def workspace_bytes(shape: tuple[int, int], policy: RankPolicy, algorithm: Algorithm) -> int:
    """Bytes that the solver of first choice holds at its peak, without the delta itself, results included.

    At most four times the delta for the iteration up to a tenth of the short side as rank, and ten times where the
    whole spectrum is worked out.

    Args:
        shape: (out, in) of the delta.
        policy: decides the rank.
        algorithm: the solver asked for.
    """
    if whole_spectrum(shape, policy, algorithm):
        return gram_bytes(shape, policy)
    side, length = min(shape), max(shape)
    cap = policy.cap(shape)
    low, basis, block = 2 * side * length, largest_basis(side) + _BLOCK, max(_BLOCK, cap // 2)
    # The small eigenproblem takes its matrix five times: itself, a copy, LAPACK's two, the vectors in order.
    small = max(2 * (side + basis) * basis, (side + 5 * basis) * basis)
    sketch = low + 4 * small + 12 * block * (side + length)
    kept = min(basis, 2 * cap + 4 * _BLOCK)
    measured = 4 * basis * side + 10 * kept * (length + side) + 4 * min(5 * kept * kept * 2, 4 * side * length)
    results = 4 * cap * (side + length)
    return max(sketch, measured) + results + _SMALL


def gram_bytes(shape: tuple[int, int], policy: RankPolicy) -> int:
    """The same for the float64 Gram matrix and its eigenvectors."""
    side, length = min(shape), max(shape)
    chunk = min(CHUNK_BYTES, 8 * side * length)
    return 8 * _GRAM_SQUARES * side * side + 2 * chunk + 8 * policy.cap(shape) * (side + length) + _SMALL


def whole_spectrum(shape: tuple[int, int], policy: RankPolicy, algorithm: Algorithm) -> bool:
    """Whether the Gram matrix is the solver of first choice."""
    side = min(shape)
    if side <= SMALL_SIDE or gram_first(shape) or policy.needs_all_values or policy.resolves_tiny_ratio:
        return True
    if algorithm == "svd_lowrank":
        return 2 * oversampled(policy.cap(shape)) > side
    return policy.lora_type == "standard" and 2 * policy.rank > largest_basis(side)
