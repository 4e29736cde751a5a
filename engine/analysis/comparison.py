"""Which weights of two models differ, from their bytes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint
from engine.checkpoints.rounded import compared
from engine.checkpoints.tensors import read_encoded
from engine.models.pairing import PairedWeight
from engine.steps import ThreadWork, check, stoppable


def compare_weights(
    finetuned: Checkpoint, original: Checkpoint, weights: tuple[PairedWeight, ...], cancel: CancelToken
) -> Iterator[tuple[PairedWeight, bool]]:
    """Compare the two models weight by weight, by value, whatever their dtypes are.

    Yields:
        The weight, and True where it differs. NaN differs from everything; a weight that is the other one rounded as
        it is stored does not differ.
    """
    for weight in weights:
        with stoppable(ThreadWork(lambda: cancel.cancelled, weight.name)):
            check()
            sides = read_encoded(finetuned, weight.finetuned), read_encoded(original, weight.original)
            values = compared(sides, weight.rounding)
        yield weight, values is not None and not torch.equal(values[0].float(), values[1].float())
