"""Layers that a memory budget does not hold: the same LoRA, in parts; and it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from extraction_runs import EXACT, verified
from model_files import PREFIX, Tensors, random_tensor, save_model
from safetensors.torch import load_file

from engine import streamed_delta
from engine.cancel import CancelToken
from engine.decompose import workspace
from engine.decompose.method import LayerMethod
from engine.events import Event, Finished, LayerDone, Notice, NoticeCode
from engine.planning.costs import need, need_within
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store.store import DecompositionStore

LARGEST = f"{PREFIX}embed.weight"
SETTINGS = {"rank": 8, "filename_prefix": "lora"}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terms of embeddings of gigabytes, for one of half a megabyte."""
    monkeypatch.setattr(streamed_delta, "PART_VALUES", 4096)
    for module in (workspace, __import__("engine.planning.costs", fromlist=["costs"])):
        monkeypatch.setattr(module, "CHUNK_BYTES", 1 << 16)
    monkeypatch.setattr("engine.planning.costs.PART_VALUES", 4096)
    monkeypatch.setattr(workspace, "_LARGE", 4000 * 32)
    monkeypatch.setattr(workspace, "_SMALL", 0)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A tall layer that is always in pieces, a square one that is so only for want of memory, and a bias."""
    shapes = {LARGEST: (4000, 32), f"{PREFIX}proj.weight": (300, 290), f"{PREFIX}proj.bias": (300,)}
    base = {name: random_tensor(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    tuned: Tensors = {}
    for seed, (name, tensor) in enumerate(base.items()):
        tuned[name] = tensor + 0.1 * random_tensor(*tensor.shape, seed=50 + seed)
    halves = ({name: tensor.half() for name, tensor in side.items()} for side in (tuned, base))
    return tuple(save_model(tmp_path / f"{name}.safetensors", side) for name, side in zip("ab", halves, strict=True))  # type: ignore[return-value]


def extracted(
    pair: tuple[Path, Path], folder: Path, budget: int | None, store: DecompositionStore | None = None, **settings: Any
) -> tuple[ExtractionResult, list[Event]]:
    hardware = HardwareSettings(device="cpu", memory_budget=budget, batch_size=1)
    with Session(*pair, store) as session:
        plan = session.plan(ExtractionSettings(**SETTINGS | settings), hardware, folder)
        events = list(session.extract(plan, CancelToken()))
    assert isinstance(events[-1], Finished)
    return events[-1].result, events


def needs(pair: tuple[Path, Path], folder: Path, ceiling: int, **settings: Any) -> dict[str, str]:
    """How each layer is worked on under a ceiling."""
    chosen = ExtractionSettings(**SETTINGS | settings)
    with Session(*pair) as session:
        layers = session.plan(chosen, HardwareSettings(device="cpu"), folder).layers
        return {layer.name: need_within(layer, LayerMethod.of(chosen), ceiling, measured=False).way for layer in layers}


def whole_need(pair: tuple[Path, Path], folder: Path, name: str) -> int:
    chosen = ExtractionSettings(**SETTINGS)
    with Session(*pair) as session:
        layers = session.plan(chosen, HardwareSettings(device="cpu"), folder).layers
        return next(need(layer, LayerMethod.of(chosen), host=True).total for layer in layers if layer.name == name)


def canonical(name: str) -> str:
    return name.replace(PREFIX, "diffusion_model.")


def notices(events: list[Event], code: NoticeCode) -> list[Notice]:
    return [event for event in events if isinstance(event, Notice) and event.code is code]


def test_the_first_way_that_fits_is_taken_and_the_smallest_where_none_does(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    name = canonical(LARGEST)
    enough = whole_need(pair, tmp_path, name)
    assert needs(pair, tmp_path, enough)[name] == "whole"
    assert needs(pair, tmp_path, enough - 1)[name] == "filled"
    assert set(needs(pair, tmp_path, 0).values()) <= {"pieces", "filled"}
    ways = [needs(pair, tmp_path, ceiling)[name] for ceiling in range(enough, 0, -enough // 40)]
    assert ways == sorted(ways, key=["whole", "filled", "pieces"].index), "less memory never needs more"


def test_an_embedding_is_the_same_to_the_byte_whatever_the_budget(pair: tuple[Path, Path], tmp_path: Path) -> None:
    only = {"include": [canonical(LARGEST)]}
    enough = whole_need(pair, tmp_path, canonical(LARGEST))
    _, first = extracted(pair, tmp_path / "whole", None, resume=False, **only)
    assert not notices(first, NoticeCode.READ_IN_PARTS)
    files = []
    for number, budget in enumerate((None, enough * 15 // 16, enough // 2, 1)):
        result, _ = extracted(pair, tmp_path / str(number), budget, resume=False, **only)
        files.append(load_file(result.outputs[0].path))
    for other in files[1:]:
        assert other.keys() == files[0].keys()
        for key, tensor in files[0].items():
            assert torch.equal(other[key], tensor), key


def test_layers_in_pieces_for_want_of_memory_are_as_accurate(pair: tuple[Path, Path], tmp_path: Path) -> None:
    free, _ = extracted(pair, tmp_path / "free", None, resume=False)
    tight, events = extracted(pair, tmp_path / "tight", 1, resume=False)
    assert {row.name for row in tight.rows} == {row.name for row in free.rows}
    for ours, theirs in zip(tight.rows, free.rows, strict=True):
        assert ours.relative_error == pytest.approx(theirs.relative_error, rel=1e-5)
    (told,) = notices(events, NoticeCode.READ_IN_PARTS)
    assert told.name == canonical(LARGEST)
    assert verified(pair, tight.outputs[0].path).mean_energy_retained == pytest.approx(
        verified(pair, free.outputs[0].path).mean_energy_retained, rel=1e-5
    )


def test_with_everything_kept_the_pieces_give_back_the_fine_tune(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result, _ = extracted(pair, tmp_path / "out", 1, resume=False, **EXACT)
    assert verified(pair, result.outputs[0].path).mean_energy_retained > 1 - 1e-9


def test_a_run_stopped_under_a_budget_goes_on_and_ends_with_the_same_bytes(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    store = DecompositionStore(tmp_path / "store")
    whole, _ = extracted(pair, tmp_path / "whole", 1, resume=False)
    hardware = HardwareSettings(device="cpu", memory_budget=1, batch_size=1)
    with Session(*pair, store) as session:
        plan = session.plan(ExtractionSettings(**SETTINGS), hardware, tmp_path / "out")
        run = session.extract(plan, CancelToken())
        for event in run:
            if isinstance(event, LayerDone):
                break
        run.close()
    result, _ = extracted(pair, tmp_path / "out", 1, store)
    assert result.layers_reused >= 1
    ours, theirs = (load_file(item.outputs[0].path) for item in (result, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("broken", [0, 1])
def test_the_file_that_is_not_finite_is_blamed_in_parts_too(
    broken: int, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    tensors = load_file(pair[broken])
    tensors[LARGEST][3999, 31] = float("inf")
    save_model(pair[broken], tensors)
    for budget in (None, 1):
        result, _ = extracted(pair, tmp_path / f"{budget}", budget, resume=False, skip_nonfinite=True)
        (left,) = [item for item in result.left_out if item.name == canonical(LARGEST)]
        assert left.detail == f"in {pair[broken].name}"
