"""A layer as the threads of a run take it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.models.pairing import PairedWeight


@dataclass(frozen=True)
class Task:
    """One layer to work on.

    Attributes:
        index: its place in the order of the results.
        weight: the layer.
        position: number of its block in that order.
        measured: only its change is measured.
    """

    index: int
    weight: PairedWeight
    position: int
    measured: bool = False
