"""The decomposition alone, per shape: ours and the references on the same delta, one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.measuring import excess, squared_tails, timed
from benchmarks.references import Decompose, Factors
from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.rank_rules import RankPolicy
from engine.decompose.truncated_svd import truncated_svd
from engine.settings import Algorithm, LoraType

ADAPTIVE: dict[LoraType, float] = {"adaptive_ratio": 0.15, "adaptive_energy": 0.4, "adaptive_fro": 0.6}
QUANTILE = 0.2
_CAP = 256


@dataclass(frozen=True)
class CoreRow:
    """One contender on one shape: seconds, the rank it ends with, its error over the optimum."""

    model: str
    spectrum: str
    shape: tuple[int, ...]
    layers: int
    contender: str
    rank: int
    seconds: float
    excess: float


def core_rows(
    model: str, spectrum: str, deltas: dict[str, Tensor], ranks: list[int], references: dict[str, Decompose]
) -> list[CoreRow]:
    """Rows of every contender on the first delta of each shape."""
    rows = []
    by_shape: dict[tuple[int, ...], list[Tensor]] = {}
    for delta in deltas.values():
        by_shape.setdefault(tuple(delta.shape), []).append(delta)
    for shape, same in by_shape.items():
        delta, tails = same[0], squared_tails(same[0])
        row = partial(CoreRow, model, spectrum, shape, len(same))

        def measure(
            name: str,
            work: Callable[[], TruncatedSvd],
            row: Callable[..., CoreRow] = row,
            delta: Tensor = delta,
            tails: Tensor = tails,
        ) -> int:
            svd, seconds, _ = timed(work)
            error = excess(delta, svd.u * svd.s.to(torch.float32), svd.vh, tails, svd.rank)
            rows.append(row(name, svd.rank, seconds, error))
            return svd.rank

        def refer(
            name: str,
            work: Callable[[], Factors],
            rank: int,
            row: Callable[..., CoreRow] = row,
            delta: Tensor = delta,
            tails: Tensor = tails,
        ) -> None:
            (up, down), seconds, _ = timed(work)
            rows.append(row(name, rank, seconds, excess(delta, up, down, tails, rank)))

        for rank in ranks:
            measure("ours, svd_linalg", partial(_ours, delta, "standard", rank, 0.0, "svd_linalg"))
            measure("ours, svd_lowrank", partial(_ours, delta, "standard", rank, 0.0, "svd_lowrank"))
        for lora_type, p in ADAPTIVE.items():
            rank = measure(lora_type, partial(_ours, delta, lora_type, _CAP, p, "svd_linalg"))
            measure(f"standard at the rank of {lora_type}", partial(_ours, delta, "standard", rank, p, "svd_linalg"))
        measure("adaptive_quantile", partial(_ours, delta, "adaptive_quantile", _CAP, QUANTILE, "svd_linalg"))
        for name, decompose in references.items():
            for rank in ranks if "lowrank" in name else ranks[:1]:
                refer(name, partial(decompose, delta, rank), rank)
    return rows


def _ours(delta: Tensor, lora_type: LoraType, rank: int, p: float, algorithm: Algorithm) -> TruncatedSvd:
    return truncated_svd(delta, RankPolicy(lora_type, rank, p), algorithm=algorithm)
