"""Runs on GGUF files: the bytes of the same numbers in float32, within a budget, resident, evicted, stopped."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from gguf_files import GgufModel, random_rows, save_gguf
from gguf_models import GgufPair, gguf_pair, native_side
from model_files import save_model
from safetensors import safe_open
from session_runs import shrink_limits, simulated_run, taken_in_parts, tensors_of
from simulated_device import Memory, largest_share

from engine.cancel import CancelToken
from engine.checkpoints.encodings import gguf, gguf_decode
from engine.decompose.workspace import worked_in_pieces
from engine.devices.memory_rules import Way
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, Notice, NoticeCode, Offloaded
from engine.extraction.block_cache import BlockCache
from engine.planning.costs import matrix_shape, need, need_within
from engine.planning.plan import Plan
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

SETTINGS = ExtractionSettings(filename_prefix="lora", rank=8)
KINDS = {"tuned": {}, "both": {"both": True}, "llama": {"llama": True}}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_limits(monkeypatch)
    for module in (gguf, gguf_decode):
        monkeypatch.setattr(module, "CHUNK_VALUES", 1 << 12)
    for name in ("_IN_CACHE", "_ON_DEVICE"):
        monkeypatch.setattr(f"engine.checkpoints.encodings.raw_round.{name}", 1 << 12)
    monkeypatch.setattr("engine.planning.costs.CASTING_BYTES", 1 << 17)


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> GgufPair:
    return gguf_pair(tmp_path, **KINDS[request.param])


def factors_of(events: list[Event], name: str) -> dict[str, bytes]:
    assert isinstance(events[-1], Finished)
    with safe_open(events[-1].result.outputs[0].path, "pt") as file:
        keys = [key for key in file.keys() if key.startswith(name.removesuffix("weight"))]  # noqa: SIM118 - no mapping
        assert keys
        return {key: file.get_tensor(key).numpy().tobytes() for key in keys}


def energy_of(events: list[Event], name: str) -> float | None:
    rows = [event.row for event in events if isinstance(event, LayerDone)]
    return next(row.energy_retained for row in rows if row.name == name)


def extracted(
    files: tuple[Path, Path],
    folder: Path,
    budget: int | None = None,
    store: DecompositionStore | None = None,
    settings: ExtractionSettings = SETTINGS,
) -> tuple[Plan, list[Event]]:
    hardware = HardwareSettings(device="cpu", memory_budget=budget, batch_size=2)  # type: ignore[arg-type]
    with Session(*files, store) as session:
        plan = session.plan(settings, hardware, folder)
        return plan, list(session.extract(plan, CancelToken()))


def test_it_gives_the_bytes_of_the_same_numbers_in_float32(pair: GgufPair, tmp_path: Path) -> None:
    as_stored = SETTINGS.model_copy(update={"round_original": "off"})
    plan, events = extracted(pair.files, tmp_path / "encoded", settings=as_stored)
    assert len(plan.layers) == len(pair.tuned)
    assert tensors_of(events) == tensors_of(extracted(pair.plain, tmp_path / "plain", settings=as_stored)[1])


def test_a_budget_below_its_largest_layer_gives_the_same_bytes(pair: GgufPair, tmp_path: Path) -> None:
    """But for layers that are gone over in pieces and would not be otherwise: theirs are others, and as good."""
    plan, free = extracted(pair.files, tmp_path / "free")
    whole = max(need(weight, plan.method, host=True).total for weight in plan.layers)
    met = set()
    for budget in (2 * whole, whole, whole // 2, whole // 3):
        short_plan, short = extracted(pair.files, tmp_path / str(budget), budget)
        ceiling = int(0.75 * budget) - int(0.75 * budget) // 16
        for weight in plan.layers:
            way = need_within(weight, short_plan.method, ceiling, measured=False).way
            met.add(way)
            if way != "pieces" or worked_in_pieces(matrix_shape(weight.shape)):
                assert factors_of(short, weight.name) == factors_of(free, weight.name)
            else:
                ours, theirs = (energy_of(events, weight.name) for events in (short, free))
                assert ours == pytest.approx(theirs, rel=1e-6)
    assert "pieces" in met
    assert any(isinstance(event, Notice) and event.code is NoticeCode.READ_IN_PARTS for event in short)


@pytest.mark.parametrize("way", ["filled", "pieces"])
def test_what_is_read_in_parts_takes_no_more_than_the_books_say(pair: GgufPair, way: Way, tmp_path: Path) -> None:
    met = 0
    with Session(*pair.files) as session:
        plan = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path)
        for weight in plan.layers:
            taken = taken_in_parts(session, plan, weight, way)
            if taken is None:
                continue
            met += 1
            assert taken[0] <= taken[1]
    assert met


def test_it_crosses_the_bus_and_stays_resident_as_it_is_stored(pair: GgufPair, tmp_path: Path) -> None:
    residents, memory = BlockCache(), Memory(4_000_000_000)
    with Session(*pair.files) as session:
        stored = sum(part.nbytes for model in (session.finetuned, session.original) for part in model.stored.values())
        first = simulated_run(session, SETTINGS, tmp_path, memory, residents, blocks_in_gpu=40)
        assert isinstance(first[-1], Finished)
        assert first[-1].result.copied_bytes == first[-1].result.read_bytes == stored
        again = simulated_run(session, SETTINGS, tmp_path, memory, residents, blocks_in_gpu=40)
        assert isinstance(again[-1], Finished)
        assert (again[-1].result.copied_bytes, again[-1].result.read_bytes) == (0, 0)
        values = sum(4 * tensor.numel() for tensor in pair.tuned.values())
        assert residents.nbytes == memory.used <= min(stored, values)
    assert tensors_of(again) == tensors_of(first)


def test_a_device_never_holds_more_than_the_books_say(pair: GgufPair, tmp_path: Path) -> None:
    with Session(*pair.files) as session:
        plan = session.plan(SETTINGS, HardwareSettings(), tmp_path)
        largest = max(need(weight, plan.method, host=False).total for weight in plan.layers)
        for share in (1.05, 1.6, 4.0):
            hardware = {"batch_size": 4, "blocks_in_gpu": 40, "vram_usage_mode": "aggressive"}
            memory = Memory(int(share * largest / largest_share(HardwareSettings(**hardware))))  # type: ignore[arg-type]
            events = simulated_run(session, SETTINGS, tmp_path, memory, BlockCache(), **hardware)
            assert memory.failures == 0
            assert memory.peak <= share * largest
            assert sum(isinstance(event, LayerDone) for event in events) == len(plan.layers)


def test_resident_blocks_are_evicted_for_the_work_of_the_next_run(tmp_path: Path) -> None:
    with Session(*gguf_pair(tmp_path).files) as session:
        residents = BlockCache()
        first = simulated_run(session, SETTINGS, tmp_path, Memory(4_000_000_000), residents, blocks_in_gpu=40)
        plan = session.plan(SETTINGS, HardwareSettings(), tmp_path)
        largest = max(need(weight, plan.method, host=False).total for weight in plan.layers)
        tight = Memory(int((residents.nbytes + 0.9 * largest) / 0.75))
        second = simulated_run(session, SETTINGS, tmp_path, tight, residents, blocks_in_gpu=40)
    assert any(isinstance(event, Offloaded) and event.what == "resident" for event in second)
    assert tensors_of(second) == tensors_of(first)


def test_a_stopped_run_goes_on_with_the_same_bytes(pair: GgufPair, tmp_path: Path) -> None:
    store, cancel = DecompositionStore(tmp_path / "store"), CancelToken()
    _, free = extracted(pair.files, tmp_path / "free")
    with Session(*pair.files, store) as session, suppress(Cancelled):
        hardware = HardwareSettings(device="cpu", batch_size=1)
        for event in session.extract(session.plan(SETTINGS, hardware, tmp_path / "out"), cancel):
            if isinstance(event, LayerDone):
                cancel.cancel()
    _, rest = extracted(pair.files, tmp_path / "out", store=store)
    assert any(isinstance(event, Notice) and event.code is NoticeCode.RESUMED for event in rest)
    assert tensors_of(rest) == tensors_of(free)


def test_a_lora_comes_from_the_cache_when_the_files_are_gone(pair: GgufPair, tmp_path: Path) -> None:
    store = DecompositionStore(tmp_path / "store")
    plan, first = extracted(pair.files, tmp_path / "first", store=store)
    for path in pair.files:
        path.unlink()
    with Session.from_cache(store, store.usage()[0].fingerprint) as session:
        again = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path / "again")
        assert session.kept(again).layers == len(plan.layers)
        assert tensors_of(list(session.extract(again, CancelToken()))) == tensors_of(first)


def test_a_scale_that_is_not_a_number_is_blamed_on_its_file(tmp_path: Path) -> None:
    pair = gguf_pair(tmp_path)
    model, _ = native_side(seed=1)
    model.blocks["layers.0.long.weight"][1][1500, :2] = 0xFF  # NaN as float16
    save_gguf(pair.files[0], model)
    with pytest.raises(EngineError) as caught:
        extracted(pair.files, tmp_path / "out")
    assert caught.value.code is ErrorCode.NON_FINITE
    assert caught.value.file == str(pair.files[0])


def test_a_type_without_a_decoder_is_refused_with_its_name_before_anything_starts(tmp_path: Path) -> None:
    model = GgufModel(blocks={"layers.0.weight": ("IQ1_S", random_rows("IQ1_S", 4, 256, seed=1))})
    files = save_gguf(tmp_path / "a.gguf", model), save_model(tmp_path / "b.safetensors", gguf_pair(tmp_path).base)
    with pytest.raises(EngineError) as caught:
        Session(*files)
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.QUANTISED, "layers.0.weight")
    assert caught.value.data["scheme"] == "GGUF IQ1_S"
