"""Where a layer stands in its model, by its canonical name: its block, the block around that, its kind.

`engine.models.blocks.find_blocks` finds the blocks of one denoiser that stay or leave a device together; here every
numbered list of modules counts, nested ones and those of text encoders too, as people read a model.
"""

from __future__ import annotations

import re
from functools import lru_cache

from engine.models.families import FAMILIES
from engine.results import NO_BLOCK, BlockNumber, LayerBlock

BIASES, NORMS = "biases", "norms"
STACKS = tuple(dict.fromkeys(stack for family in FAMILIES for stack in family.stacks))
"""Stacks of all families, in the order of depth within each."""
UNNUMBERED = frozenset(
    stack for family in FAMILIES for stack, part in family.parts.items() if part == "middle" and stack in STACKS
)
"""Stacks of a single block, whose names bear no number."""
_DENOISER = "diffusion_model."
_INNER = re.compile(r"(^|_)blocks?$|^layers$|^resnets$|^attentions$|refiner$")
_SUBLAYERS = re.compile(r"(^|_)layer$")  # such as the ``layer.0`` and ``layer.1`` of a T5 block, which are no blocks
_NORM = re.compile(r"norm\d*$|^ln_?\w{0,2}$|_ln\d*$")


@lru_cache(maxsize=65536)
def block_of(name: str) -> LayerBlock:
    """Where a layer stands, by its canonical name such as ``diffusion_model.double_blocks.3.img_attn.qkv.weight``."""
    parts = name.removeprefix(_DENOISER).split(".")
    inside = parts[:-1] if parts[-1] in ("weight", "bias") else parts
    found = _find_outer(inside)
    if found is None:
        return LayerBlock(NO_BLOCK, NO_BLOCK, parts[0])
    outer, rest = found
    inner, rest = _find_inner(outer, inside, len(inside) - len(rest))
    return LayerBlock(inner, outer, _kind(rest, parts[-1]))


def _find_outer(parts: list[str]) -> tuple[BlockNumber, list[str]] | None:
    """The outermost block and the parts behind it; None outside the blocks."""
    for index, part in enumerate(parts):
        stack = ".".join(parts[: index + 1])
        rest = parts[index + 1 :]
        if part in UNNUMBERED and rest:
            return (stack, 0), rest
        if part.isdigit() or not rest or not rest[0].isdigit():
            continue
        behind = rest[1:]
        # ``label_emb.0.0`` is a list of modules, not a stack; ``input_blocks.0.0`` is a block.
        if any(not item.isdigit() for item in behind) or (behind and stack in STACKS):
            return (stack, int(rest[0])), behind
    return None


def _find_inner(outer: BlockNumber, parts: list[str], begin: int) -> tuple[BlockNumber, list[str]]:
    """The innermost block, looking from a part on, and the parts behind it."""
    block = outer
    for index in range(begin, len(parts) - 2):
        # ``in_layers.2`` is a module of its own: nothing but its parameters comes behind it.
        if _INNER.search(parts[index]) and parts[index + 1].isdigit() and not parts[index + 2].isdigit():
            block, begin = (".".join(parts[: index + 1]), int(parts[index + 1])), index + 2
    return block, parts[begin:]


def _kind(parts: list[str], parameter: str) -> str:
    if parameter == "bias":
        return BIASES
    if parameter in ("weight", "scale", "gamma"):
        module = parts[-2] if parts[-1] == parameter and len(parts) > 1 else parts[-1]
        if _NORM.search(module):
            return NORMS
    while len(parts) > 1:
        if parts[0].isdigit():
            parts = parts[1:]
        elif len(parts) > 2 and _SUBLAYERS.search(parts[0]) and parts[1].isdigit() and not parts[2].isdigit():
            parts = parts[2:]
        else:
            break
    return "conv" if parts[0].isdigit() else ".".join(parts)
