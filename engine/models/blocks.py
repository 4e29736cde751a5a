"""The blocks of a model: which one each weight stands in, and how deep."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from engine.models.families import Family
from engine.models.names import DENOISER


@dataclass(frozen=True)
class Block:
    """Where in the model a weight stands.

    Attributes:
        name: such as ``double_blocks.3``; empty outside the blocks.
        part: ``input``, ``middle``, ``output`` or ``other``.
        order: position in the order of depth; weights outside the blocks come first.
    """

    name: str = ""
    part: str = "other"
    order: int = -1


def find_blocks(family: Family, names: set[str]) -> dict[str, Block]:
    """Each name's block. Stacks follow one another in depth; thirds decide the part where names do not."""
    stacks = family.stacks or _find_stacks(names)
    found: dict[tuple[int, int], list[str]] = {}
    pattern = re.compile(r"^[^.]+\.(?:.*?\.)??(" + "|".join(map(re.escape, stacks)) + r")(?:\.?(\d+))?\.")
    if not stacks:
        return {}
    for name in names:
        match = pattern.match(name) if name.startswith(DENOISER) or family.text_encoder else None
        if match:
            found.setdefault((stacks.index(match[1]), int(match[2] or 0)), []).append(name)
    blocks: dict[str, Block] = {}
    for order, key in enumerate(sorted(found)):
        stack = stacks[key[0]]
        part = family.parts.get(stack) or ("input", "middle", "output")[min(2, 3 * order // len(found))]
        title = stack if family.parts.get(stack) == "middle" else f"{stack}.{key[1]}"
        blocks.update(dict.fromkeys(found[key], Block(title, part, order)))
    return blocks


def _find_stacks(names: set[str]) -> tuple[str, ...]:
    """Names of numbered lists that look like stacks of blocks: at least two numbers, four weights each."""
    counts: dict[str, Counter[int]] = {}
    for name in names:
        match = re.match(r"^diffusion_model\.((?:[A-Za-z_]\w*\.)*?[A-Za-z_]\w*)\.(\d+)\.", name)
        if match:
            counts.setdefault(match[1], Counter())[int(match[2])] += 1
    stacks = [name for name, numbers in counts.items() if len(numbers) >= 2 and min(numbers.values()) >= 4]
    return tuple(sorted(stacks))
