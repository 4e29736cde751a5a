"""Counts of layers are parts of what they are said to be parts of, whatever a run leaves out or takes from records."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from model_files import PREFIX, Tensors, matrices, random_tensor, save_model

from app.text.log_lines import result_lines
from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.events import Event, Finished, LayerDone, LayerSkipped, Notice, Progress
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store.store import DecompositionStore


def pair_of(folder: Path, dice: random.Random) -> tuple[Path, Path]:
    """Layers of which some did not change."""
    base: Tensors = matrices(10, seed=dice.randrange(1000))
    tuned = {
        name: value + (0.1 * random_tensor(*value.shape, seed=7) if dice.random() < 0.7 else 0.0)
        for name, value in base.items()
    }
    first = f"{PREFIX}layers.0.weight"
    tuned[first] = base[first] + 0.1 * random_tensor(*base[first].shape, seed=8)
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def events_of(
    pair: tuple[Path, Path], folder: Path, files: list[ExtractionSettings], stop_after: int | None = None
) -> list[Event]:
    token, seen = CancelToken(), list[Event]()
    with Session(*pair, DecompositionStore(folder / "store")) as session:
        plan = session.plan(files[0], HardwareSettings(device="cpu"), folder / "out", files[1:])
        kept = session.kept(plan)
        assert kept.at_hand is not None
        assert sum(index < len(plan.layers) for index in kept.at_hand) == kept.layers <= kept.of == len(plan.layers)
        try:
            for event in session.extract(plan, token):
                seen.append(event)
                if stop_after is not None and isinstance(event, Progress) and event.kept >= stop_after:
                    token.cancel()
        except Cancelled:
            pass
    return seen


def check(events: list[Event]) -> ExtractionResult | None:
    """All counts of a run; its result."""
    for event in events:
        if isinstance(event, Progress):
            assert 0 <= event.layers_done <= event.layers_total
            assert event.kept >= 0
        if isinstance(event, Notice) and "of" in event.data and "layers" in event.data:
            assert event.data["layers"] <= event.data["of"]
    result = events[-1].result if isinstance(events[-1], Finished) else None
    if result is None:
        return None
    told = {event.index for event in events if isinstance(event, (LayerDone, LayerSkipped))}
    assert len(told) == result.layers_planned
    assert result.layers_reused <= result.layers_looked_at == result.layers_planned
    skipped = {event.left_out.name for event in events if isinstance(event, LayerSkipped)}
    assert result.layers + len(skipped) == result.layers_planned
    for progress in (event for event in events if isinstance(event, Progress)):
        assert progress.kept <= result.layers_planned
    assert 0 < result.peak_device_bytes <= result.promised_device_bytes or result.layers_reused == result.layers_planned
    return result


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_parts_of_the_same_whole_in_a_stopped_a_resumed_and_a_cached_run(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    pair = pair_of(tmp_path, dice)
    files = [ExtractionSettings(rank=4, filename_prefix="lora")]
    if dice.random() < 0.5:
        files.append(ExtractionSettings(rank=2, filename_prefix="lora"))
    check(events_of(pair, tmp_path, files, stop_after=dice.randrange(1, 9)))
    check(events_of(pair, tmp_path, files))
    again = check(events_of(pair, tmp_path, files))
    assert again is not None
    assert again.layers_reused == again.layers_planned == 10
    assert any("10 of 10 layers came from earlier runs" in text for _, text in result_lines(again))


@pytest.mark.parametrize("seed", range(2))
def test_counts_are_parts_of_the_same_whole_where_ranks_are_chosen_for_a_size(tmp_path: Path, seed: int) -> None:
    pair = pair_of(tmp_path, random.Random(seed))
    files = [ExtractionSettings(rank=4, target_size=24_000, filename_prefix="lora")]
    check(events_of(pair, tmp_path, files, stop_after=3))
    check(events_of(pair, tmp_path, files))
    assert check(events_of(pair, tmp_path, files)) is not None
