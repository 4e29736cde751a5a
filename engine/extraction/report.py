"""What is said about a run beside its tensors: the header's metadata and the JSON report."""

from __future__ import annotations

import json
import math
import platform
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from engine import __version__
from engine.checkpoints import Checkpoint, pair_fingerprint
from engine.checkpoints.stored import RAW
from engine.decompose.method import LayerMethod
from engine.decompose.seed import SOLVER_VERSION
from engine.formats.lora_format import LoraFacts
from engine.planning.output import Output
from engine.planning.plan import Plan
from engine.results import LayerResult, LeftOut, NoiseFigures, RankSpread, count_large_changes, noise_document


@dataclass(frozen=True)
class Quality:
    """How much of the change a file keeps.

    Attributes:
        mean: share of the whole change kept, weighted by |delta|^2; layers left out count as 0.
        worst: the smallest share over the layers in the file.
        noise: what of the change is rounding noise, and what the file keeps of the rest; None where that of a layer was
            not measured.
    """

    mean: float
    worst: float
    noise: NoiseFigures | None = None


def quality(
    rows: list[LayerResult], lost_energy: float, whole_energy: float = 0.0, enlarged: Collection[str] = ()
) -> Quality:
    """Sum up the layers.

    Args:
        rows: of the file.
        lost_energy: |delta|^2 of what is not in the file: of matched weights, and of grown parts against zero.
        whole_energy: of grown parts that the file holds as they are.
        enlarged: the names of the weights whose grown parts these are.
    """

    def share(row: LayerResult) -> float:
        grown = row.grown_energy if row.name in enlarged else 0.0
        total = row.delta_energy + grown
        return (row.energy_retained * row.delta_energy + grown) / total if grown else row.energy_retained

    total = sum(row.delta_energy for row in rows) + lost_energy + whole_energy
    kept = sum(row.energy_retained * row.delta_energy for row in rows) + whole_energy
    return Quality(mean=kept / total if total else 0.0, worst=min(map(share, rows), default=0.0))


@dataclass(frozen=True)
class Sources:
    """The two models that a file was made from."""

    finetuned: Checkpoint
    original: Checkpoint


def chosen_ranks(output: Output, rows: list[LayerResult]) -> RankSpread | None:
    """The ranks of a file's layers, where they were chosen for its size."""
    return None if output.goal is None else RankSpread.of(row.rank for row in rows if row.rank is not None)


def metadata(
    plan: Plan,
    output: Output,
    sources: Sources,
    rows: list[LayerResult],
    figures: Quality,
    started: str,
) -> dict[str, str]:
    """Texts for the LoRA's header; `started` is the date of the run that began it, ISO 8601."""
    finetuned, original = sources.finetuned, sources.original
    facts = LoraFacts(
        family=plan.pairing.family,
        rank=output.rank,
        largest_rank=max((row.rank for row in rows if row.rank is not None), default=0),
        alpha=output.storing.alpha,
        ranks={
            place.keys["down"]: row.rank for row in rows if row.rank is not None for place in output.places[row.name]
        },
    )
    texts = {
        "format": "pt",
        "lora_extractor.version": __version__,
        "lora_extractor.settings": output.made_with_text,
        "lora_extractor.hardware": plan.hardware.model_dump_json(exclude={"debug_mode"}),
        "lora_extractor.finetuned_model": finetuned.name,
        "lora_extractor.finetuned_header_sha256": finetuned.header_sha256,
        "lora_extractor.original_model": original.name,
        "lora_extractor.original_header_sha256": original.header_sha256,
        "lora_extractor.family": plan.pairing.family.key,
        "lora_extractor.layers": str(len(rows)),
        "lora_extractor.mean_energy_retained": f"{figures.mean:.8f}",
        "lora_extractor.worst_energy_retained": f"{figures.worst:.8f}",
        "lora_extractor.coverage": f"{output.coverage.share:.8f}",
        "lora_extractor.unmatched_blocks": str(len(output.coverage.unmatched_blocks)),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.title": output.title,
        "modelspec.date": started,
        "modelspec.description": f"LoRA extracted from {finetuned.name} minus {original.name}",
    }
    if figures.noise is not None:
        texts["lora_extractor.mean_noise_share"] = f"{figures.noise.noise_share:.8f}"
        if figures.noise.real_energy_retained is not None:
            texts["lora_extractor.mean_real_energy_retained"] = f"{figures.noise.real_energy_retained:.8f}"
    ranks = chosen_ranks(output, rows)
    if ranks is not None:
        texts["lora_extractor.ranks"] = json.dumps(asdict(ranks))
    if any(task.weight.rounding is not None for task in plan.tasks):
        texts["lora_extractor.round_original"] = plan.settings.round_original
        texts["lora_extractor.rounded_layers"] = str(sum(bool(row.rounded) for row in rows))
    if output.storing.strength != 1.0:
        texts["lora_extractor.strength"] = str(output.storing.strength)
    if plan.pairing.family.architecture:
        texts["modelspec.architecture"] = plan.pairing.family.architecture
    return texts | output.format.metadata(facts)


def report(
    plan: Plan,
    output: Output,
    sources: Sources,
    rows: list[LayerResult],
    left_out: list[LeftOut],
    figures: Quality,
    run: dict[str, Any],
    path: Path,
    size_bytes: int,
    names: tuple[str, ...],
) -> str:
    """The JSON report that goes beside the file at `path`; `names` are those of all files of the run."""
    document: dict[str, Any] = {
        "output": path.name,
        "size_bytes": size_bytes,
        "tool": {"name": "LoRA Extractor", "version": __version__, "solver_version": SOLVER_VERSION},
        "finetuned_model": _source(sources.finetuned),
        "original_model": _source(sources.original),
        "pair_fingerprint": pair_fingerprint(sources.finetuned, sources.original),
        "family": plan.pairing.family.title,
        "settings": output.made_with,
        "hardware": plan.hardware.model_dump(mode="json"),
        "rank": output.rank_label,
        "key_format": output.format.key,
        **_ranks(output, rows),
        **({} if output.program is None else {"program": output.program.key}),
        **({} if output.storing.strength == 1.0 else {"strength": output.storing.strength}),
        **({} if len(names) == 1 else {"outputs": list(names)}),
        "totals": {
            "layers": len(rows),
            "skipped": len({item.name for item in left_out}),
            "mean_energy_retained": figures.mean,
            "worst_energy_retained": figures.worst,
            **noise_document(figures.noise, "mean_"),
            "delta_energy": sum(row.delta_energy for row in rows),
            "capped": sum(row.capped for row in rows),
            "kept_unclamped": sum(row.clamp == "kept" for row in rows),
            "stored_fp32": sum(_is_fallback(row, output) for row in rows),
            **_fp8_totals(rows, output),
            "large_changes": asdict(count_large_changes(rows)),
            **output.coverage.document(),
            "rounded": sum(bool(row.rounded) for row in rows),
            "unchanged_but_rounded": sum(bool(item.rounded_to) for item in left_out),
            **run,
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "system": platform.platform()},
        "layers": [_row(row, plan.method) for row in rows],
        "left_out": [
            {"name": item.name, "reason": item.reason.value, "detail": item.detail, "parameters": item.numel}
            for item in left_out
        ],
        "left_out_by_reason": dict(Counter(item.reason.value for item in left_out)),
    }
    return json.dumps(document, indent=1, allow_nan=False, default=str) + "\n"


def _ranks(output: Output, rows: list[LayerResult]) -> dict[str, Any]:
    ranks = chosen_ranks(output, rows)
    return {} if ranks is None else {"ranks": asdict(ranks)}


def _row(row: LayerResult, method: LayerMethod) -> dict[str, Any]:
    entry = asdict(row)
    del entry["block"], entry["noise"]
    entry |= noise_document(row.noise)
    if not row.grown_energy:
        del entry["grown_energy"]
    if row.noise_cut is None:
        del entry["noise_cut"]
    if row.stored_dtype != "F8_E4M3":
        del entry["below_normal"]
    entry["seconds"] = row.seconds.total
    entry["stage_seconds"] = asdict(row.seconds)
    entry["shape"] = list(row.shape)
    entry["residual_energy"] = (1.0 - row.energy_before) * row.delta_energy
    entry["seed"] = method.layer_seed(row.name)
    if row.rank is not None:
        entry["algorithm"] = method.algorithm
        entry["iterations"] = method.iterations
        entry["solver_version"] = SOLVER_VERSION
    if row.relative_change == float("inf"):  # the original is all zero; JSON has no infinity
        entry["relative_change"] = None
    return entry


def _source(checkpoint: Checkpoint) -> dict[str, Any]:
    source: dict[str, Any] = {
        "name": checkpoint.name,
        "size_bytes": checkpoint.size_bytes,
        "header_sha256": checkpoint.header_sha256,
        "fingerprint": checkpoint.fingerprint(),
    }
    encodings = Counter(weight.encoding for weight in checkpoint.weights.values())
    if set(encodings) != {RAW}:
        source["encodings"] = dict(encodings)
    return source


def _fp8_totals(rows: list[LayerResult], output: Output) -> dict[str, Any]:
    """Of a file in fp8: layers whose factors that would damage, and the share of numbers below its normal ones."""
    if not output.storing.fp8:
        return {}
    factors = [row for row in rows if row.rank is not None]
    sizes = [(row.rank or 0) * (row.shape[0] + math.prod(row.shape[1:])) for row in factors]
    below = sum(row.below_normal * size for row, size in zip(factors, sizes, strict=True))
    return {
        "stored_fp16": sum(row.stored_dtype == "F16" for row in factors),
        "below_normal": below / max(1, sum(sizes)),
    }


def _is_fallback(row: LayerResult, output: Output) -> bool:
    return row.stored_dtype == "F32" and output.storing.output_dtype != "fp32"
