"""``adaptive_noise`` in runs: the same ranks in every way of working, records that answer, and those that must not."""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path

import pytest
import torch
from model_files import save_model

import engine.resume.records as records
import engine.resume.reuse as reuse
from engine.cancel import CancelToken
from engine.events import Finished, Notice, NoticeCode
from engine.planning.variants import variants
from engine.results import ExtractionResult, LeaveOutReason, OutputFile, Verification
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

RANK = 6
NOISY = "diffusion_model.layers.0.weight"
CHANGED = [f"diffusion_model.layers.{number}.weight" for number in (1, 2)]
ABOVE_NOISE = ExtractionSettings(lora_type="adaptive_noise", rank=32, filename_prefix="lora")
Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """In bf16, rows spread over 1 : 30: a layer of changes that rounding hides, and two with a change of rank 6."""
    generator = torch.Generator().manual_seed(5)
    base, tuned = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    for name in (NOISY, *CHANGED):
        rows = torch.exp(torch.rand(320, 1, generator=generator) * math.log(30.0))
        weight = (0.01 * rows * torch.randn(320, 256, generator=generator)).bfloat16()
        change = 4e-4 * rows * 0.01 * torch.randn(320, 256, generator=generator)
        if name in CHANGED:
            left, right = torch.randn(320, RANK, generator=generator), torch.randn(RANK, 256, generator=generator)
            change += 2e-3 * left @ right
        base[name], tuned[name] = weight, (weight.double() + change.double()).bfloat16()
    folder = tmp_path_factory.mktemp("noisy")
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def run(
    pair: Pair, folder: Path, *settings: ExtractionSettings, store: Path | None = None, budget: int | None = None
) -> tuple[ExtractionResult, set[NoticeCode]]:
    hardware = HardwareSettings(device="cpu", batch_size=1, memory_budget=budget)
    with Session(*pair, DecompositionStore(store) if store else None) as session:
        plan = session.plan(settings[0], hardware, folder, settings[1:])
        with closing(session.extract(plan, CancelToken())) as events:
            *before, last = events
    assert isinstance(last, Finished)
    return last.result, {event.code for event in before if isinstance(event, Notice)}


def ranks(output: ExtractionResult | OutputFile) -> dict[str, int | None]:
    return {row.name: row.rank for row in output.rows}


def test_what_stands_out_of_rounding_is_kept_and_the_rest_is_named(pair: Pair, tmp_path: Path) -> None:
    result, _ = run(pair, tmp_path, ABOVE_NOISE)
    (output,) = result.outputs
    assert ranks(output) == dict.fromkeys(CHANGED, RANK)
    assert [(item.name, item.reason) for item in output.left_out] == [(NOISY, LeaveOutReason.ONLY_NOISE)]
    assert output.path.name.startswith("lora_rank_adaptive_noise_")
    totals = json.loads(output.report.read_text())["totals"]
    assert (totals["layers"], totals["skipped"]) == (2, 1)
    with Session(*pair) as session:
        *_, found = session.verify(output.path, CancelToken())
    assert isinstance(found, Verification)
    assert [item.name for item in found.left_out] == [NOISY]
    assert found.mean_energy_retained == pytest.approx(output.mean_energy_retained, abs=1e-6)


def test_a_small_budget_gives_the_same_ranks_and_cuts(pair: Pair, tmp_path: Path) -> None:
    whole, _ = run(pair, tmp_path / "whole", ABOVE_NOISE)
    parts, notices = run(pair, tmp_path / "parts", ABOVE_NOISE, budget=2_000_000)
    assert NoticeCode.READ_IN_PARTS in notices
    assert ranks(parts) == ranks(whole)
    assert [row.noise_cut for row in parts.rows] == [row.noise_cut for row in whole.rows]


def test_records_answer_the_same_rule_without_reading(pair: Pair, tmp_path: Path) -> None:
    first, _ = run(pair, tmp_path / "first", ABOVE_NOISE, store=tmp_path / "store")
    again, _ = run(pair, tmp_path / "again", ABOVE_NOISE, store=tmp_path / "store")
    other, _ = run(pair, tmp_path / "other", ABOVE_NOISE.model_copy(update={"rank": 4}), store=tmp_path / "store")
    assert (first.layers_reused, again.layers_reused, again.read_bytes) == (0, 3, 0)
    assert ranks(again) == ranks(first)
    assert ranks(other) == dict.fromkeys(CHANGED, 4)
    assert (other.capped, other.read_bytes) == (2, 0)


def test_a_record_without_a_cut_does_not_answer(pair: Pair, tmp_path: Path) -> None:
    run(pair, tmp_path / "first", ABOVE_NOISE.model_copy(update={"lora_type": "standard"}), store=tmp_path / "store")
    result, _ = run(pair, tmp_path / "again", ABOVE_NOISE, store=tmp_path / "store")
    assert result.layers_reused == 0
    assert ranks(result) == dict.fromkeys(CHANGED, RANK)


def test_a_record_of_another_version_of_the_cut_does_not_answer(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        for module in (records, reuse):
            earlier.setattr(module, "CUT_VERSION", 0)
        run(pair, tmp_path / "first", ABOVE_NOISE, store=tmp_path / "store")
    for settings in (ABOVE_NOISE, ABOVE_NOISE.model_copy(update={"rank": 4})):
        result, _ = run(pair, tmp_path / f"again{settings.rank}", settings, store=tmp_path / "store")
        assert result.layers_reused == (0 if settings is ABOVE_NOISE else 3)


def test_files_of_several_ranks_are_cut_from_one_decomposition(pair: Pair, tmp_path: Path) -> None:
    result, _ = run(pair, tmp_path, *variants(ABOVE_NOISE, ranks=(2, 32)))
    assert [ranks(output) for output in result.outputs] == [dict.fromkeys(CHANGED, 2), dict.fromkeys(CHANGED, RANK)]
    assert [row.capped for output in result.outputs for row in output.rows] == [True, True, False, False]
