"""What is known of rounding noise stays with a layer's record, and is measured where a record does not say it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import torch
from model_files import PREFIX, save_model

import engine.resume.journal as journal
from engine.cancel import CancelToken
from engine.events import Finished
from engine.results import ExtractionResult, NoiseFigures
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    generator = torch.Generator().manual_seed(3)
    base, tuned = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    for block in range(3):
        name = f"{PREFIX}blocks.{block}.attn.weight"
        weights = 0.02 * torch.randn(96, 64, generator=generator, dtype=torch.float64)
        change = 0.003 * 0.02 * torch.randn(96, 64, generator=generator, dtype=torch.float64)
        base[name] = weights.to(torch.bfloat16)
        tuned[name] = (base[name].to(torch.float64) + change).to(torch.bfloat16)
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def run(session: Session, folder: Path, rank: int) -> ExtractionResult:
    settings = ExtractionSettings(rank=rank, filename_prefix="lora")
    with closing(
        session.extract(session.plan(settings, HardwareSettings(device="cpu"), folder), CancelToken())
    ) as news:
        *_, last = news
    assert isinstance(last, Finished)
    return last.result


def noise_of(result: ExtractionResult) -> NoiseFigures:
    noise = result.outputs[0].noise
    assert noise is not None
    return noise


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make records as the last version did."""
    make = journal.make_record

    def without(*given: object) -> object:
        record = make(*given)  # type: ignore[arg-type]
        record.fields.pop("noise", None)
        return record

    monkeypatch.setattr(journal, "make_record", without)


def test_a_later_run_has_the_figures_from_the_records(pair: tuple[Path, Path], tmp_path: Path) -> None:
    store = DecompositionStore(tmp_path / "store")
    with Session(*pair, store) as session:
        first = run(session, tmp_path, 8)
    with Session(*pair, store) as session:
        again = run(session, tmp_path, 8)
    assert (again.layers_reused, again.read_bytes) == (3, 0)
    assert noise_of(again) == noise_of(first)


def test_records_that_say_nothing_are_filled_in_by_one_subtraction(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DecompositionStore(tmp_path / "store")
    with Session(*pair, DecompositionStore(tmp_path / "other")) as session:
        fresh = run(session, tmp_path, 4)
    with monkeypatch.context() as last_version:
        forget(last_version)
        with Session(*pair, store) as session:
            run(session, tmp_path, 8)
    with Session(*pair, store) as session:
        filled = run(session, tmp_path, 4)
    assert filled.layers_reused == 3
    assert filled.read_bytes > 0
    assert noise_of(filled).noise_share == pytest.approx(noise_of(fresh).noise_share)
    assert noise_of(filled).real_energy_retained == pytest.approx(noise_of(fresh).real_energy_retained, abs=0.01)
    with Session(*pair, store) as session:
        assert run(session, tmp_path, 4).read_bytes == 0  # it was journaled


def test_without_the_models_old_records_stay_not_measured(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DecompositionStore(tmp_path / "store")
    forget(monkeypatch)
    with Session(*pair, store) as session:
        run(session, tmp_path, 8)
    (kept,) = (tmp_path / "store").glob("*/models.json")
    with Session.from_cache(store, kept.parent.name) as session:
        result = run(session, tmp_path, 4)
    assert result.outputs[0].noise is None
    assert all(row.noise is None for row in result.rows)
