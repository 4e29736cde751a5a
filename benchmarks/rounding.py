"""``python -m benchmarks.rounding``: what rounding one side takes, beside subtracting and beside a whole layer.

The sides are in memory. Each figure is the least of several times on one core, of one layer; ratios are to the same
layer with both sides subtracted as they are stored.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import machine
from engine.checkpoints.rounded import Sides, compared
from engine.checkpoints.rounding import rounding_between
from engine.checkpoints.stored import RAW, StoredTensor, WeightSource, WeightView
from engine.checkpoints.tensors import EncodedWeight
from engine.decompose.delta import subtract
from engine.decompose.method import LayerMethod
from engine.layer import work_on
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.settings import ExtractionSettings, RoundOriginal

DTYPES = {"fp32": ("F32", torch.float32), "bf16": ("BF16", torch.bfloat16), "fp8": ("F8_E4M3", torch.float8_e4m3fn)}
SCALED = "scaled fp8"
CASES: tuple[tuple[str, str, RoundOriginal], ...] = (
    ("bf16", "bf16", "auto"),
    ("bf16", "fp32", "off"),
    ("bf16", "fp32", "auto"),
    ("fp8", "bf16", "off"),
    ("fp8", "bf16", "auto"),
    (SCALED, "bf16", "off"),
    (SCALED, "bf16", "auto"),
    ("bf16", "fp8", "auto"),
)
_TIMES = 5


@dataclass(frozen=True)
class RoundingRow:
    """Seconds of a layer whose sides are in these forms: of the delta alone, and with its decomposition."""

    finetuned: str
    original: str
    setting: RoundOriginal
    delta_seconds: float
    plain_seconds: float
    layer_seconds: float


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rounding", description=__doc__)
    parser.add_argument("--shape", default="3072x3072")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--json", type=Path, default=Path("benchmark-rounding.json"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows, columns = map(int, chosen.shape.split("x"))
    found = [_measured(*case, (rows, columns), chosen.rank) for case in CASES]
    chosen.json.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in found]}, indent=1))
    table = Table("fine-tuned", "original", "round_original", "delta, ms", "delta / as stored", "whole layer, ms")
    for row in found:
        times = f"{1e3 * row.delta_seconds:.1f}", f"{row.delta_seconds / row.plain_seconds:.2f}"
        table.add_row(row.finetuned, row.original, row.setting, *times, f"{1e3 * row.layer_seconds:.0f}")
    Console().print(table)


def _measured(tuned: str, base: str, setting: RoundOriginal, shape: tuple[int, int], rank: int) -> RoundingRow:
    numbers = 0.05 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    change = torch.randn(shape[0], 4) @ torch.randn(4, shape[1])
    changed = numbers + change * (0.02 * numbers.norm() / change.norm())
    sides = _side(changed, tuned), _side(numbers, base)
    views = sides[0].view, sides[1].view
    rounding = rounding_between(*views)
    weight = PairedWeight("layer.weight", "matrix", "denoiser", shape, *views, Block(), rounding=rounding)
    weight = weight.rounded(setting)
    method = LayerMethod.of(ExtractionSettings(rank=rank))

    def layer() -> object:
        both = compared(sides, weight.rounding)
        assert both is not None, "the sides differ"
        return work_on(weight, subtract(*both), method)

    return RoundingRow(
        tuned,
        base,
        setting,
        _least(lambda: _delta(sides, weight)),
        _least(lambda: _delta(sides, replace(weight, rounding=None))),
        _least(layer),
    )


def _delta(sides: Sides, weight: PairedWeight) -> object:
    both = compared(sides, weight.rounding)
    assert both is not None, "the sides differ"
    return subtract(*both)


def _least(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _side(numbers: torch.Tensor, form: str) -> EncodedWeight:
    if form != SCALED:
        name, dtype = DTYPES[form]
        stored = numbers.to(dtype)
        part = StoredTensor("layer.weight", name, tuple(stored.shape), stored.nbytes)
        source = WeightSource("layer.weight", part.shape, name, RAW, (part,))
        return EncodedWeight(WeightView.of(source, "denoiser"), (stored,), Path("layer"))
    scale = numbers.abs().max() / 448
    codes = (numbers / scale).to(torch.float8_e4m3fn)
    parts = (
        StoredTensor("layer.weight", "F8_E4M3", tuple(codes.shape), codes.nbytes),
        StoredTensor("layer.scale_weight", "F32", (), 4),
    )
    source = WeightSource("layer.weight", parts[0].shape, "F32", "scaled_fp8", parts)
    return EncodedWeight(WeightView.of(source, "denoiser"), (codes, scale), Path("layer"))


if __name__ == "__main__":
    main()
