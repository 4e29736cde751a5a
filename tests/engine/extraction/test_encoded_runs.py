"""Runs on encoded models: read whole, in parts and on a device they agree, and encoded bytes are what is held."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from encoded_weights import KINDS, save_encoded, weight_of
from model_files import PREFIX, save_model
from session_runs import shrink_limits, simulated_run, taken_in_parts, tensors_of
from simulated_device import Memory, largest_share

from engine.cancel import CancelToken
from engine.checkpoints.tensors import read_view
from engine.decompose.delta import subtract
from engine.devices.buffer_pool import BufferPool
from engine.devices.memory_rules import Way
from engine.events import Event, Finished, LayerDone
from engine.extraction.block_cache import BlockCache
from engine.planning.costs import need
from engine.resume.reuse import sides_key
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.streamed_delta import UnreadPair

SHAPES = {"layers.0.long": (1200, 192), "layers.1.wide": (130, 960), "layers.2.square": (257, 192)}
SETTINGS = ExtractionSettings(filename_prefix="lora", rank=8)
SOME = ["comfy int8 rotated", "comfy nvfp4", "comfy awq", "block fp8", "int4 in groups, shifted", "nf4 nested"]


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_limits(monkeypatch, part_values=1 << 13)
    for module in ("grouped", "grouped_decode", "bitsandbytes", "comfy_w4"):
        monkeypatch.setattr(f"engine.checkpoints.encodings.{module}.CHUNK_VALUES", 1 << 13, raising=False)
        monkeypatch.setattr(f"engine.checkpoints.encodings.{module}.ROTATED_VALUES", 1 << 12, raising=False)


def encoded_pair(folder: Path, kind: str) -> tuple[Path, Path]:
    """A fine-tune that is encoded, and its original: plain, in fp16."""
    tuned, base = {}, {}
    for number, (name, shape) in enumerate(SHAPES.items()):
        original = weight_of(shape, seed=number)
        changed = original + 0.3 * weight_of(shape, seed=number + 50)
        tuned[PREFIX + name] = KINDS[kind].encode(PREFIX + name, changed)
        base[f"{PREFIX}{name}.weight"] = original.half()
    return save_encoded(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def extracted(pair: tuple[Path, Path], folder: Path, budget: int | None = None) -> list[Event]:
    hardware = HardwareSettings(device="cpu", memory_budget=budget, batch_size=2)  # type: ignore[arg-type]
    with Session(*pair) as session:
        return list(session.extract(session.plan(SETTINGS, hardware, folder), CancelToken()))


@pytest.mark.parametrize("kind", KINDS)
def test_read_in_parts_it_gives_the_same_difference_to_the_bit(kind: str, tmp_path: Path) -> None:
    with Session(*encoded_pair(tmp_path, kind)) as session:
        for matched in session.weights(SETTINGS):
            weight = replace(matched, rounding=None)  # rounding an original alike is tested where that is done
            models = session.finetuned, session.original
            sides = (weight.finetuned, weight.original)
            tuned, base = (read_view(model, view) for model, view in zip(models, sides, strict=True))
            whole = subtract(tuned, base)
            unread = UnreadPair(models, weight, lambda count: None)
            filled = unread.filled(BufferPool(0).acquire(4 * weight.numel))
            assert torch.equal(filled.values, whole.values)
            assert torch.equal(unread.piece(3, 77), whole.values[3:77] if unread.tall else whole.values[:, 3:77])


@pytest.mark.parametrize("kind", SOME)
def test_it_crosses_the_bus_and_stays_resident_as_it_is_stored(kind: str, tmp_path: Path) -> None:
    pair, residents, memory = encoded_pair(tmp_path, kind), BlockCache(), Memory(4_000_000_000)
    with Session(*pair) as session:
        views = [view for weight in session.weights(SETTINGS) for view in (weight.finetuned, weight.original)]
        stored, decoded = (sum(getattr(view, size) for view in views) for size in ("stored_bytes", "value_bytes"))
        first = simulated_run(session, SETTINGS, tmp_path, memory, residents, blocks_in_gpu=40)
        assert isinstance(first[-1], Finished)
        assert first[-1].result.copied_bytes == first[-1].result.read_bytes == stored
        assert residents.nbytes == memory.used == stored < 0.75 * decoded
        again = simulated_run(session, SETTINGS, tmp_path, memory, residents, blocks_in_gpu=40)
        assert isinstance(again[-1], Finished)
        assert (again[-1].result.copied_bytes, again[-1].result.read_bytes) == (0, 0)
    assert tensors_of(again) == tensors_of(first) == tensors_of(extracted(pair, tmp_path / "processor"))


@pytest.mark.parametrize("kind", SOME)
def test_a_device_never_holds_more_than_the_books_say(kind: str, tmp_path: Path) -> None:
    with Session(*encoded_pair(tmp_path, kind)) as session:
        plan = session.plan(SETTINGS, HardwareSettings(), tmp_path)
        largest = max(need(weight, plan.method, host=False).total for weight in plan.layers)
        hardware = {"batch_size": 4, "blocks_in_gpu": 40, "vram_usage_mode": "aggressive"}
        memory = Memory(int(1.05 * largest / largest_share(HardwareSettings(**hardware))))  # type: ignore[arg-type]
        events = simulated_run(session, SETTINGS, tmp_path, memory, BlockCache(), **hardware)
        assert memory.failures == 0
        assert memory.peak <= 1.05 * largest
        assert sum(isinstance(event, LayerDone) for event in events) == len(SHAPES)


@pytest.mark.parametrize("way", ["filled", "pieces"])
@pytest.mark.parametrize("kind", SOME)
def test_what_is_read_in_parts_takes_no_more_than_the_books_say(kind: str, way: Way, tmp_path: Path) -> None:
    with Session(*encoded_pair(tmp_path, kind)) as session:
        plan = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path)
        for weight in plan.layers:
            taken = taken_in_parts(session, plan, weight, way)
            assert taken is None or taken[0] <= taken[1]


def test_what_a_config_decides_is_part_of_a_records_key(tmp_path: Path) -> None:
    """Blocks of another size make other numbers of the same file."""
    name, keys = f"{PREFIX}a.weight", []
    scale = torch.arange(1.0, 5.0).reshape(2, 2)
    tuned = {name: torch.ones(128, 128).to(torch.float8_e4m3fn), f"{name}_scale_inv": scale}
    pair = (
        save_model(tmp_path / "a.safetensors", tuned),
        save_model(tmp_path / "b.safetensors", {name: torch.ones(128, 128)}),
    )
    for block in (64, 100):
        config = {"quantization_config": {"weight_block_size": [block, block]}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        with Session(*pair) as session:
            (weight,) = session.weights(SETTINGS)
            assert float(read_view(session.finetuned, weight.finetuned)[90, 90]) == (4.0 if block == 64 else 1.0)
            keys.append(sides_key(weight))
            assert json.loads(json.dumps(keys[-1])) == keys[-1]
    assert keys[0] != keys[1]
