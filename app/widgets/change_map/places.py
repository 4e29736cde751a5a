"""Where a layer stands in its model, by its name: its block, the block around that, its kind. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from app.widgets.layers.layer_model import natural_key
from engine.models.families import FAMILIES

Block = tuple[str, int]
BIASES, NORMS = "biases", "norms"
NO_BLOCK: Block = ("", 0)
_DENOISER = "diffusion_model."
_STACKS = tuple(dict.fromkeys(stack for family in FAMILIES for stack in family.stacks))
_UNNUMBERED = {
    stack for family in FAMILIES for stack, part in family.parts.items() if part == "middle" and stack in _STACKS
}
_INNER = re.compile(r"(^|_)blocks?$|^layers$|^resnets$|^attentions$|refiner$")
_SUBLAYERS = re.compile(r"(^|_)layer$")  # such as the ``layer.0`` and ``layer.1`` of a T5 block, which are no blocks
_NORM = re.compile(r"norm\d*$|^ln_?\w{0,2}$|_ln\d*$")


@dataclass(frozen=True)
class Place:
    """Where a layer stands.

    Attributes:
        block: the stack of its innermost block and its number there; an empty stack outside the blocks.
        outer: as `block`, for the outermost block; the same one where blocks are not nested.
        kind: what every block has one of, such as ``attn.qkv``; outside the blocks the first part of the name.
    """

    block: Block
    outer: Block
    kind: str

    @property
    def inside(self) -> bool:
        """Whether it belongs to a block."""
        return bool(self.block[0])

    @property
    def nested(self) -> bool:
        """Whether its block is part of another one."""
        return self.block != self.outer


@lru_cache(maxsize=65536)
def place_of(name: str) -> Place:
    """Where a layer stands, by its canonical name."""
    parts = name.removeprefix(_DENOISER).split(".")
    inside = parts[:-1] if parts[-1] in ("weight", "bias") else parts
    found = _find_outer(inside)
    if found is None:
        return Place(NO_BLOCK, NO_BLOCK, parts[0])
    outer, rest = found
    block, rest = _find_inner(outer, inside, len(inside) - len(rest))
    return Place(block, outer, _kind(rest, parts[-1]))


def depth(place: Place) -> tuple[int, int, str, int, str]:
    """Sort key of a block's place in the model: denoiser, text encoders, others; stacks as in their family."""
    stack, number = place.outer
    component = 1 if stack.startswith("text_encoders.") else 2 if stack.startswith("vae.") else 0
    order = _STACKS.index(stack) if stack in _STACKS else len(_STACKS)
    within = natural_key(f"{place.block[0]}.{place.block[1]}") if place.nested else ""
    return component, order, natural_key(stack), number, within


def block_title(stack: str, first: int, last: int) -> str:
    """The name of a block, or of neighbours in one stack."""
    if stack.rpartition(".")[2] in _UNNUMBERED:
        return stack
    return f"{stack}.{first}" if first == last else f"{stack}.{first}\u2013{last}"


def _find_outer(parts: list[str]) -> tuple[Block, list[str]] | None:
    """The outermost block and the parts behind it; None outside the blocks."""
    for index, part in enumerate(parts):
        stack = ".".join(parts[: index + 1])
        rest = parts[index + 1 :]
        if part in _UNNUMBERED and rest:
            return (stack, 0), rest
        if part.isdigit() or not rest or not rest[0].isdigit():
            continue
        behind = rest[1:]
        # ``label_emb.0.0`` is a list of modules, not a stack; ``input_blocks.0.0`` is a block.
        if any(not item.isdigit() for item in behind) or (behind and stack in _STACKS):
            return (stack, int(rest[0])), behind
    return None


def _find_inner(outer: Block, parts: list[str], begin: int) -> tuple[Block, list[str]]:
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
