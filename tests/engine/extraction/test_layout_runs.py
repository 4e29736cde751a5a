"""Runs on a fine-tune in diffusers' names: joined and swapped weights give what the native ones give, in any memory."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import layout_models
import pytest
import torch
from model_files import random_tensor, save_model
from session_runs import simulated_run, tensors_of
from simulated_device import Memory, largest_share

from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, Notice, NoticeCode
from engine.extraction.block_cache import BlockCache
from engine.planning.costs import need, need_within
from engine.planning.plan import Plan
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

SETTINGS = ExtractionSettings(filename_prefix="lora", rank=4)
JOINED = "diffusion_model.single_blocks.0.linear1.weight"
SWAPPED = "diffusion_model.final_layer.adaLN_modulation.1.weight"


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that does not grow with a layer is smaller, so that small layers are large ones."""
    monkeypatch.setattr("engine.decompose.delta._CHUNK", 1 << 8)
    for module in ("engine.streamed_delta", "engine.planning.costs"):
        monkeypatch.setattr(f"{module}.PART_VALUES", 1 << 10)
    for module in ("decompose.workspace", "decompose.delta", "decompose.factors", "streamed_delta", "planning.costs"):
        monkeypatch.setattr(f"engine.{module}.CHUNK_BYTES", 1 << 12)
    monkeypatch.setattr("engine.decompose.workspace._LARGE", 1 << 8)
    monkeypatch.setattr("engine.decompose.workspace._MUCH_LONGER", 1)


def pair(folder: Path, *, converted: bool) -> tuple[Path, Path]:
    """A tiny Flux and its fine-tune in bf16; the fine-tune in diffusers' names, or both in Flux' own."""
    model = layout_models.flux()
    base = {name: tensor.bfloat16() for name, tensor in model.native(0).items()}
    tuned = {
        name: (tensor.float() + 0.1 * random_tensor(*tensor.shape, seed=at)).bfloat16()
        for at, (name, tensor) in enumerate(base.items())
    }
    folder.mkdir(exist_ok=True)
    named = model.converted(tuned) if converted else tuned
    return save_model(folder / "tuned.safetensors", named), save_model(folder / "base.safetensors", base)


def extracted(
    files: tuple[Path, Path], folder: Path, budget: int | None = None, store: DecompositionStore | None = None
) -> tuple[Plan, list[Event]]:
    hardware = HardwareSettings(device="cpu", memory_budget=budget, batch_size=2)  # type: ignore[arg-type]
    with Session(*files, store) as session:
        plan = session.plan(SETTINGS, hardware, folder)
        return plan, list(session.extract(plan, CancelToken()))


def test_it_gives_the_bytes_that_the_native_names_give(tmp_path: Path) -> None:
    _, expected = extracted(pair(tmp_path / "native", converted=False), tmp_path / "a")
    _, events = extracted(pair(tmp_path / "diffusers", converted=True), tmp_path / "b")
    assert tensors_of(events) == tensors_of(expected)


def test_a_budget_below_the_largest_layer_gives_the_same_bytes(tmp_path: Path) -> None:
    files = pair(tmp_path / "files", converted=True)
    plan, free = extracted(files, tmp_path / "free")
    layers = {weight.name: weight for weight in plan.layers}
    assert len(layers[JOINED].finetuned.pieces) == 4
    assert len(layers[SWAPPED].finetuned.pieces) == 2
    whole = need(layers[JOINED], plan.method, host=True).total
    met = set()
    for budget in (2 * whole, whole, whole // 3):
        short_plan, short = extracted(files, tmp_path / str(budget), budget)
        ceiling = int(0.75 * budget) - int(0.75 * budget) // 16
        met |= {(name, need_within(layers[name], short_plan.method, ceiling, measured=False).way)
                for name in (JOINED, SWAPPED)}  # fmt: skip
        assert tensors_of(short) == tensors_of(free)
    assert {(JOINED, "whole"), (JOINED, "filled"), (JOINED, "pieces"), (SWAPPED, "filled")} <= met
    assert any(isinstance(event, Notice) and event.code is NoticeCode.READ_IN_PARTS for event in short)


def test_a_device_never_holds_more_than_the_books_say(tmp_path: Path) -> None:
    with Session(*pair(tmp_path / "files", converted=True)) as session:
        plan = session.plan(SETTINGS, HardwareSettings(), tmp_path)
        largest = max(need(weight, plan.method, host=False).total for weight in plan.layers)
        for share in (1.05, 1.6):
            hardware: dict[str, Any] = {"batch_size": 4, "blocks_in_gpu": 40, "vram_usage_mode": "aggressive"}
            memory = Memory(int(share * largest / largest_share(HardwareSettings(**hardware))))
            events = simulated_run(session, SETTINGS, tmp_path / str(share), memory, BlockCache(), **hardware)
            assert memory.failures == 0
            assert memory.peak <= share * largest
            assert sum(isinstance(event, LayerDone) for event in events) == len(plan.layers)


def test_it_crosses_the_bus_once_and_stays_resident_as_it_is_stored(tmp_path: Path) -> None:
    residents, memory = BlockCache(), Memory(4_000_000_000)
    with Session(*pair(tmp_path / "files", converted=True)) as session:
        stored = sum(part.nbytes for model in (session.finetuned, session.original) for part in model.stored.values())
        first, again = (
            simulated_run(session, SETTINGS, tmp_path / name, memory, residents, blocks_in_gpu=40) for name in "ab"
        )
    assert isinstance(first[-1], Finished)
    assert isinstance(again[-1], Finished)
    assert first[-1].result.copied_bytes == first[-1].result.read_bytes == stored
    assert (again[-1].result.copied_bytes, again[-1].result.read_bytes) == (0, 0)
    assert tensors_of(again) == tensors_of(first)


def test_a_stopped_run_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    files = pair(tmp_path / "files", converted=True)
    store, cancel = DecompositionStore(tmp_path / "store"), CancelToken()
    _, free = extracted(files, tmp_path / "free")
    with Session(*files, store) as session, suppress(Cancelled):
        hardware = HardwareSettings(device="cpu", batch_size=1)
        for event in session.extract(session.plan(SETTINGS, hardware, tmp_path / "out"), cancel):
            if isinstance(event, LayerDone):
                cancel.cancel()
    _, rest = extracted(files, tmp_path / "out", store=store)
    assert any(isinstance(event, Notice) and event.code is NoticeCode.RESUMED for event in rest)
    assert tensors_of(rest) == tensors_of(free)


@pytest.mark.parametrize("budget", [None, "short"])
def test_a_broken_value_in_a_part_is_blamed_on_the_weight_and_the_file(tmp_path: Path, budget: str | None) -> None:
    files = pair(tmp_path / "files", converted=True)
    state: dict[str, Any] = layout_models.flux().converted(layout_models.flux().native(1))
    state["single_transformer_blocks.0.proj_mlp.weight"][3, 5] = math.nan
    save_model(files[0], {name: tensor.to(torch.bfloat16) for name, tensor in state.items()})
    limit = None
    if budget is not None:
        with Session(*files) as session:
            plan = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path)
            limit = max(need(weight, plan.method, host=True).total for weight in plan.layers)
    with pytest.raises(EngineError) as caught:
        extracted(files, tmp_path / "out", limit)
    assert caught.value.code is ErrorCode.NON_FINITE
    assert (caught.value.file, caught.value.tensor) == (str(files[0]), JOINED)
