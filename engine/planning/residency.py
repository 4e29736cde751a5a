"""Which blocks are worth keeping on the device after use, and in which order they leave again. Pure policy.

The order is the field's: the middle blocks first, then the output blocks, then the input blocks, then all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.models.pairing import PairedWeight

OUTSIDE = "outside the blocks"
ALL_BLOCKS = 40  # the highest setting keeps every block there is
_PARTS = ("middle", "output", "input", "other")


def block_name(weight: PairedWeight) -> str:
    """The block a weight belongs to, unique over the components."""
    return f"{weight.component}:{weight.block.name}" if weight.block.name else OUTSIDE


def blocks_to_keep(weights: Iterable[PairedWeight], count: int) -> tuple[str, ...]:
    """Up to `count` blocks, most worth keeping first; at 40 all of them, and what lies outside the blocks last."""
    weights = tuple(weights)
    blocks = {block_name(weight): weight.block for weight in weights if weight.block.name}
    order = sorted(blocks, key=lambda name: (_PARTS.index(blocks[name].part), blocks[name].order, name))
    if count < ALL_BLOCKS:
        return tuple(order[:count])
    return (*order, OUTSIDE) if any(not weight.block.name for weight in weights) else tuple(order)


def blocks_that_fit(order: Sequence[str], sizes: Mapping[str, int], room: int) -> tuple[str, ...]:
    """The first of `order` that fit together into so many bytes, and the next one, of which a part may."""
    chosen: list[str] = []
    for block in order:
        if room <= 0:
            break
        chosen.append(block)
        room -= sizes[block]
    return tuple(chosen)


def block_positions(weights: Iterable[PairedWeight]) -> tuple[int, ...]:
    """For each weight in the order of work, the number of its block in that order; what lies between is one block."""
    positions: list[int] = []
    last: tuple[str, str] | None = None
    for weight in weights:
        key = (weight.component, weight.block.name)
        positions.append((positions[-1] + (key != last)) if positions else 0)
        last = key
    return tuple(positions)


def batches(weights: Iterable[PairedWeight], batch_size: int, ahead: int) -> tuple[tuple[int, ...], ...]:
    """Split the order of work into batches of up to `batch_size`, each within 1 + `ahead` blocks."""
    positions = block_positions(weights)
    found: list[list[int]] = []
    for index, position in enumerate(positions):
        if found and len(found[-1]) < batch_size and position - positions[found[-1][0]] <= ahead:
            found[-1].append(index)
        else:
            found.append([index])
    return tuple(map(tuple, found))
