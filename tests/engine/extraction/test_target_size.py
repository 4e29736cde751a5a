"""Files of a wanted size: as large as they may be, by ranks that are chosen once all layers are known."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from extraction_runs import run, verified
from model_files import PREFIX, random_tensor, save_model
from safetensors import safe_open
from safetensors.torch import load_file

from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, Notice, NoticeCode, Progress
from engine.results import ExtractionResult, OutputFile
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings, LoraType, SizeBy
from engine.store import DecompositionStore

WAYS: list[SizeBy] = ["uniform", "energy", "relative"]
SHAPES = [(48, 32), (32, 64), (96, 32), (16, 40)]
LARGEST_RANK = 2 * (96 + 32)  # bytes of a rank of the largest layer in fp16


@pytest.fixture(autouse=True)
def fixed_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")


def falling(rows: int, columns: int, *, seed: int, power: float) -> torch.Tensor:
    """A change whose singular values fall as a power."""
    u, s, vh = torch.linalg.svd(random_tensor(rows, columns, seed=seed), full_matrices=False)
    return u @ torch.diag(torch.arange(1.0, len(s) + 1) ** -power) @ vh


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Twelve matrices, of which two are unchanged, a convolution, norms and a bias whose change fp16 would damage."""
    base = {f"{PREFIX}blocks.{i}.weight": random_tensor(*SHAPES[i % 4], seed=i) for i in range(12)}
    tuned = {
        name: base[name] + (0.0 if i in (3, 5) else 0.05 * (i + 1)) * falling(*SHAPES[i % 4], seed=i, power=i % 3)
        for i, name in enumerate(base)
    }
    base |= {f"{PREFIX}norms.{i}.weight": random_tensor(48, seed=i) for i in range(3)}
    tuned |= {f"{PREFIX}norms.{i}.weight": base[f"{PREFIX}norms.{i}.weight"] + 0.01 for i in range(3)}
    base[f"{PREFIX}tiny.bias"], tuned[f"{PREFIX}tiny.bias"] = torch.zeros(30), 1e-9 * random_tensor(30, seed=9)
    base[f"{PREFIX}conv.weight"] = random_tensor(12, 8, 3, 3, seed=50)
    tuned[f"{PREFIX}conv.weight"] = base[f"{PREFIX}conv.weight"] + 0.1 * random_tensor(12, 8, 3, 3, seed=51)
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


@pytest.fixture
def store(tmp_path: Path) -> DecompositionStore:
    return DecompositionStore(tmp_path / "store")


def extract(
    pair: tuple[Path, Path],
    folder: Path,
    store: DecompositionStore | None = None,
    *,
    also: tuple[dict[str, Any], ...] = (),
    stop_at: float | None = None,
    **settings: Any,
) -> tuple[ExtractionResult | None, list[Event]]:
    """One run, stopped at a share of its work if that is given."""
    cancel, events = CancelToken(), []
    first, *more = (ExtractionSettings(**{"filename_prefix": "lora", **chosen}) for chosen in (settings, *also))
    with Session(*pair, store) as session:
        plan = session.plan(first, HardwareSettings(device="cpu", batch_size=2), folder, more)
        try:
            with closing(session.extract(plan, cancel)) as running:
                for event in running:
                    events.append(event)
                    if isinstance(event, Progress) and stop_at is not None and event.share >= stop_at:
                        cancel.cancel()
        except Cancelled:
            return None, events
    assert isinstance(events[-1], Finished)
    return events[-1].result, events


def output(*arguments: Any, **named: Any) -> OutputFile:
    result, _ = extract(*arguments, **named)
    assert result is not None
    return result.outputs[0]


def codes(events: list[Event]) -> list[NoticeCode]:
    return [event.code for event in events if isinstance(event, Notice)]


def ranks_in(lora: Path) -> dict[str, int]:
    return {
        key.removesuffix(".lora_down.weight"): len(tensor)
        for key, tensor in load_file(lora).items()
        if key.endswith(".lora_down.weight")
    }


def least_of(pair: tuple[Path, Path], folder: Path, **settings: Any) -> int:
    """The least possible size, as the error names it."""
    with pytest.raises(EngineError) as caught:
        extract(pair, folder, target_size=1, **settings)
    assert caught.value.code is ErrorCode.SIZE_TOO_SMALL
    return int(caught.value.data["least"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kept", [False, True], ids=["without a journal", "with a journal"])
def test_the_file_has_at_most_its_size_and_lacks_less_than_a_rank_of_the_largest_layer(
    way: SizeBy, kept: bool, pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    for extra in (3000, 20_011):
        target = least_of(pair, tmp_path) + extra
        made = output(pair, tmp_path, store if kept else None, target_size=target, size_by=way)
        assert made.size_bytes == made.path.stat().st_size
        assert target - max(target // 100, LARGEST_RANK) <= made.size_bytes <= target
        assert made.path.name.startswith(f"lora_rank_size_{target / 1e6:g}MB_fp16_")


@pytest.mark.parametrize("way", WAYS)
def test_a_size_beyond_all_ranks_gives_a_file_of_all_ranks(
    way: SizeBy, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    made = output(pair, tmp_path, target_size="10MB", size_by=way)
    with safe_open(made.path, "pt") as lora:
        assert json.loads(lora.metadata()["lora_extractor.ranks"]) == {"lowest": 12, "median": 32, "largest": 32}
    everything = run(pair, tmp_path, rank=4096)
    assert ranks_in(made.path) == ranks_in(everything.lora)
    assert made.mean_energy_retained == pytest.approx(everything.result.outputs[0].mean_energy_retained, abs=1e-6)


def test_unchanged_layers_leave_their_bytes_to_the_others(pair: tuple[Path, Path], tmp_path: Path) -> None:
    uniform = run(pair, tmp_path, rank=4).result.outputs[0]
    made = output(pair, tmp_path, target_size=uniform.size_bytes, size_by="uniform")
    assert 0 <= uniform.size_bytes - made.size_bytes <= max(uniform.size_bytes // 100, LARGEST_RANK)
    assert min(ranks_in(made.path).values()) >= 4


@pytest.mark.parametrize("way", WAYS)
def test_every_changed_layer_has_at_least_rank_two_where_that_fits(
    way: SizeBy, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    at_two = run(pair, tmp_path, rank=2).result.outputs[0].size_bytes
    assert min(ranks_in(output(pair, tmp_path, target_size=at_two + 3000, size_by=way).path).values()) >= 2
    assert set(ranks_in(output(pair, tmp_path, target_size=at_two - 1000, size_by=way).path).values()) <= {1, 2}


def test_energy_keeps_more_than_uniform_at_the_same_size(pair: tuple[Path, Path], tmp_path: Path) -> None:
    kept = {
        way: output(pair, tmp_path, target_size=least_of(pair, tmp_path) + 9000, size_by=way).mean_energy_retained
        for way in WAYS
    }
    assert kept["energy"] > kept["uniform"] + 0.02


def test_the_energies_are_those_of_the_stored_bytes(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    for kept in (None, store):
        made = output(pair, tmp_path, kept, target_size=least_of(pair, tmp_path) + 9000, size_by="energy")
        measured = verified(pair, made.path)
        assert made.mean_energy_retained == pytest.approx(measured.mean_energy_retained, abs=1e-6)
        assert made.worst_energy_retained == pytest.approx(measured.worst_energy_retained, abs=1e-6)


def test_a_size_that_no_ranks_fit_is_refused_with_one_that_is_possible(pair: tuple[Path, Path], tmp_path: Path) -> None:
    least = least_of(pair, tmp_path / "out")
    assert output(pair, tmp_path / "out", target_size=least).size_bytes <= least
    with pytest.raises(EngineError) as caught:
        extract(pair, tmp_path / "other", target_size=least - 2000)
    assert caught.value.code is ErrorCode.SIZE_TOO_SMALL
    exact = caught.value.data["least"]
    assert exact <= least
    assert output(pair, tmp_path / "other", target_size=exact).ranks is not None
    with pytest.raises(EngineError) as caught:
        extract(pair, tmp_path / "none", target_size=exact - 1)
    assert caught.value.data["least"] == exact
    assert not (tmp_path / "none").exists()


def test_a_size_below_the_header_is_refused_before_the_start(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session, pytest.raises(EngineError) as caught:
        session.plan(ExtractionSettings(target_size=2000), HardwareSettings(), tmp_path)
    assert caught.value.code is ErrorCode.SIZE_TOO_SMALL


@pytest.mark.parametrize("lora_type", sorted({*get_args(LoraType)} - {"standard"}))
def test_a_type_that_chooses_ranks_itself_is_refused_beside_a_size(
    lora_type: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    chosen = ExtractionSettings.model_validate({"target_size": "1MB", "lora_type": lora_type})
    with Session(*pair) as session, pytest.raises(EngineError) as caught:
        session.plan(chosen, HardwareSettings(), tmp_path)
    assert caught.value.code is ErrorCode.SIZE_UNSUITABLE


def test_a_rank_that_is_given_is_the_largest_and_one_that_is_not_says_nothing(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    target = least_of(pair, tmp_path) + 20_000
    assert max(ranks_in(output(pair, tmp_path, target_size=target, size_by="energy").path).values()) > 8
    capped = output(pair, tmp_path, target_size=target, size_by="energy", rank=5)
    assert set(ranks_in(capped.path).values()) == {5}


def test_whether_a_rank_was_given_survives_every_way_in_which_settings_are_kept() -> None:
    free, capped = ExtractionSettings(target_size="150MB"), ExtractionSettings(target_size="150MB", rank=8)
    for settings in (free, capped):
        for again in (
            ExtractionSettings.model_validate(settings.model_dump()),
            ExtractionSettings.model_validate_json(settings.model_dump_json()),
            settings.model_copy(update={"seed": 3}),
        ):
            assert again.rank_cap == settings.rank_cap
    assert (free.rank_cap, capped.rank_cap, free.target_size) == (4096, 8, 150 * 10**6)
    assert ExtractionSettings().model_dump()["rank"] == 8


@pytest.mark.parametrize("stop_at", [0.3, 0.93])
def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(
    stop_at: float, pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    chosen = {"target_size": least_of(pair, tmp_path) + 9000, "size_by": "energy"}
    whole = output(pair, tmp_path / "whole", DecompositionStore(tmp_path / "other"), **chosen)
    stopped, events = extract(pair, tmp_path / "out", store, stop_at=stop_at, **chosen)
    assert stopped is None
    result, events = extract(pair, tmp_path / "out", store, **chosen)
    assert result is not None
    assert NoticeCode.RESUMED in codes(events)
    assert 0 < result.layers_reused <= len(result.rows) + 2
    assert result.outputs[0].path.read_bytes() == whole.path.read_bytes()


def test_a_fresh_run_reuses_nothing_and_another_size_reads_no_model_again(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    target = least_of(pair, tmp_path) + 15_000
    result, events = extract(pair, tmp_path, store, target_size=target, size_by="uniform")
    assert result is not None
    assert (result.layers_reused, {NoticeCode.RESUMED, NoticeCode.FROM_CACHE} & set(codes(events))) == (0, set())
    result, events = extract(pair, tmp_path, store, target_size=target - 4000, size_by="uniform")
    assert result is not None
    assert result.read_bytes == 0
    assert NoticeCode.FROM_CACHE in codes(events)
    assert NoticeCode.SIZE_SURVEYED not in codes(events)


def test_what_layers_want_beyond_the_first_decomposition_is_computed(tmp_path: Path) -> None:
    """One layer has a flat and large change, fifteen hardly any: it wants far more than twice the uniform rank."""
    base = {f"{PREFIX}layers.{i}.weight": random_tensor(320, 300, seed=i) for i in range(16)}
    tuned = {
        name: tensor + (1.0 if i == 0 else 1e-3) * random_tensor(320, 300, seed=i + 99)
        for i, (name, tensor) in enumerate(base.items())
    }
    pair = save_model(tmp_path / "t.safetensors", tuned), save_model(tmp_path / "b.safetensors", base)
    at_five = run(pair, tmp_path, rank=5).result.outputs[0].size_bytes
    store = DecompositionStore(tmp_path / "store")
    for kept in (None, store):
        result, events = extract(pair, tmp_path, kept, target_size=at_five, size_by="energy")
        assert result is not None
        assert NoticeCode.SIZE_CONTINUED in codes(events)
        assert sorted(ranks_in(result.outputs[0].path).values()) == [2] * 15 + [5 * 16 - 2 * 15]
        assert result.layers_reused == 0
    result, _ = extract(pair, tmp_path, store, target_size=at_five, size_by="energy")
    assert result is not None
    assert result.read_bytes == 0


def test_progress_never_falls_and_says_what_is_done(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    target = least_of(pair, tmp_path) + 9000
    for kept in (None, store):
        _, events = extract(pair, tmp_path, kept, target_size=target)
        told = [event for event in events if isinstance(event, Progress)]
        assert [event.share for event in told] == sorted(event.share for event in told)
        assert told[-1].share == pytest.approx(1.0)
        phases = list(dict.fromkeys(event.phase for event in told))
        assert phases == ["decompose", "write"]
        assert all(event.layers_done <= event.layers_total for event in told)
        assert {event.row.rank for event in events if isinstance(event, LayerDone)} - {None}


@pytest.mark.parametrize(
    "settings", [{"alpha": "rank"}, {"alpha": 1}, {"output_dtype": "bf16"}, {"output_dtype": "fp32"}]
)
def test_every_alpha_and_strength_has_its_size(
    settings: dict[str, Any], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    target = least_of(pair, tmp_path, **settings) + 9000
    made = output(pair, tmp_path, target_size=target, size_by="energy", **settings)
    assert target - max(target // 100, LARGEST_RANK) <= made.size_bytes <= target
    assert made.mean_energy_retained == pytest.approx(verified(pair, made.path).mean_energy_retained, abs=1e-6)


def test_several_files_have_a_size_or_a_rank_each(
    pair: tuple[Path, Path], store: DecompositionStore, tmp_path: Path
) -> None:
    least = least_of(pair, tmp_path)
    sizes = {"target_size": least + 3000}, {"target_size": least + 12_000, "size_by": "energy"}
    result, _ = extract(pair, tmp_path, store, also=({"rank": 6}, sizes[1]), **sizes[0])
    assert result is not None
    small, plain, large = result.outputs
    assert 0 <= least + 3000 - small.size_bytes < LARGEST_RANK
    assert 0 <= least + 12_000 - large.size_bytes < LARGEST_RANK
    assert set(ranks_in(plain.path).values()) == {6}
    assert (small.rank, plain.rank) == (f"size_{(least + 3000) / 1e6:g}MB", "6")
    alone = output(pair, tmp_path, **sizes[1])
    assert ranks_in(alone.path) == ranks_in(large.path)


def test_the_sizes_that_a_file_can_have_are_known_from_headers(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(filename_prefix="lora"), HardwareSettings(), tmp_path)
        (sizes,) = session.sizes(plan)
    assert sizes.least < run(pair, tmp_path, rank=2).result.outputs[0].size_bytes
    least = run(pair, tmp_path, rank=1).result.outputs[0].size_bytes
    most = run(pair, tmp_path, rank=4096).result.outputs[0].size_bytes
    unchanged = 2 * (SHAPES[3][0] + SHAPES[3][1]) + 2 * (SHAPES[1][0] + SHAPES[1][1]) + 8
    tiny = 2 * 30  # which fp16 would damage
    assert sizes.least == pytest.approx(least + unchanged - tiny, abs=4096)
    assert sizes.most > most > sizes.least
