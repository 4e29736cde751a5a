"""Which weights of two models differ, from their bytes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint
from engine.checkpoints.tensors import read_view
from engine.models.pairing import PairedWeight
from engine.steps import ThreadWork, check, stoppable


def compare_weights(
    finetuned: Checkpoint, original: Checkpoint, weights: tuple[PairedWeight, ...], cancel: CancelToken
) -> Iterator[tuple[PairedWeight, bool]]:
    """Compare the two models weight by weight, by value, whatever their dtypes are.

    Yields:
        The weight, and True where it differs. NaN differs from everything.
    """
    for weight in weights:
        with stoppable(ThreadWork(lambda: cancel.cancelled, weight.name)):
            check()
            tuned, base = read_view(finetuned, weight.finetuned), read_view(original, weight.original)
        yield weight, not torch.equal(tuned.float(), base.float())
