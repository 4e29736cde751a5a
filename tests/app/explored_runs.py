"""Finished runs for the tests of the result's cards: real singular values, by LAPACK in float64."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from engine.analysis.exploration import Exploration
from engine.decompose.rank_rules import RankPolicy
from engine.results import ExtractionResult, LayerResult, LeftOut, OutputFile, StageSeconds
from engine.settings import ExtractionSettings

SHAPE = (64, 48)
OTHER_BYTES = 5000  # of a file, beside its layers


def deltas(count: int, slope: float) -> list[np.ndarray]:
    """Matrices whose values fall by a power; every fifth is nearly flat."""
    made = []
    for index in range(count):
        rng = np.random.default_rng(index)
        left, _ = np.linalg.qr(rng.standard_normal((SHAPE[0], SHAPE[1])))
        right, _ = np.linalg.qr(rng.standard_normal((SHAPE[1], SHAPE[1])))
        values = np.arange(1, SHAPE[1] + 1) ** -(0.3 if index % 5 == 4 else slope)
        made.append((left * values) @ right.T)
    return made


@cache
def spectra(count: int, slope: float) -> list[np.ndarray]:
    return [np.linalg.svd(delta, compute_uv=False) for delta in deltas(count, slope)]


def name(index: int) -> str:
    return f"diffusion_model.double_blocks.{index}.img_attn.qkv.weight"


def finished(
    *,
    count: int = 10,
    slope: float = 1.0,
    lost: float = 0.0,
    left_out: tuple[LeftOut, ...] = (),
    changes: dict[int, dict[str, Any]] | None = None,
    **settings: Any,
) -> tuple[ExtractionSettings, ExtractionResult, Exploration]:
    """A run on these deltas, `lost` being the share of the change that is not in its file.

    `changes` replaces fields of single layers.
    """
    chosen = ExtractionSettings(**{"rank": 8, **settings})
    policy = RankPolicy(chosen.lora_type, chosen.rank, chosen.adaptive_param)
    rows = []
    for index, values in enumerate(spectra(count, slope)):
        energy = float(np.sum(values**2))
        rank, capped = policy.choose(values, SHAPE, energy=energy, value_sum=float(values.sum()))
        kept = float(np.sum(values[:rank] ** 2)) / energy
        known: dict[str, Any] = {
            "name": name(index),
            "kind": "matrix",
            "shape": SHAPE,
            "rank": rank,
            "energy_retained": kept,
            "energy_before": kept,
            "relative_error": (1 - kept) ** 0.5,
            "relative_change": 0.02,
            "delta_energy": energy,
            "singular_values": tuple(values[:rank].tolist()),
            "capped": capped,
            "clamp": "clamped",
            "stored_dtype": "F16",
            "solver": "gram",
            "seconds": StageSeconds(),
        }
        rows.append(LayerResult(**(known | (changes or {}).get(index, {}))))
    total = sum(row.delta_energy for row in rows) / (1.0 - lost)
    mean = sum(row.energy_retained * row.delta_energy for row in rows) / total
    size = OTHER_BYTES + sum(file_bytes(row.rank or 0, row.stored_dtype) for row in rows)
    worst = min(row.energy_retained for row in rows)
    output = OutputFile(Path("lora.safetensors"), Path("lora.json"), "8", "comfyui", size, mean, worst)
    result = ExtractionResult((output,), tuple(rows), left_out, 1.0, 0, 0)
    return chosen, result, Exploration.of_result(chosen, result)


def file_bytes(rank: int, dtype: str = "F16") -> int:
    return rank * sum(SHAPE) * {"F16": 2, "F32": 4}[dtype] + 4
