"""The order and the titles of the blocks in the change map. Pure."""

from __future__ import annotations

from app.widgets.layers.layer_model import natural_key
from engine.models.layer_blocks import STACKS, UNNUMBERED
from engine.results import LayerBlock


def depth(block: LayerBlock) -> tuple[int, int, str, int, str]:
    """Sort key of a block's place in the model: denoiser, text encoders, others; stacks as in their family."""
    stack, number = block.outer
    component = 1 if stack.startswith("text_encoders.") else 2 if stack.startswith("vae.") else 0
    order = STACKS.index(stack) if stack in STACKS else len(STACKS)
    within = natural_key(f"{block.inner[0]}.{block.inner[1]}") if block.nested else ""
    return component, order, natural_key(stack), number, within


def block_title(stack: str, first: int, last: int) -> str:
    """The name of a block, or of neighbours in one stack."""
    if stack.rpartition(".")[2] in UNNUMBERED:
        return stack
    return f"{stack}.{first}" if first == last else f"{stack}.{first}\u2013{last}"
