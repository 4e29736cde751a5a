"""An encoding that only the tests know: three parts a weight, another shape than the stored one, and scratch memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import PREFIX, random_tensor, save_model
from session_runs import shrink_limits, simulated_run, taken_in_parts, tensors_of
from simulated_device import Memory, largest_share
from toys.container import TOY_CONTAINER, save_toy
from toys.encoding import Nibbles, WholeNibbles, encoded, reference

from engine.cancel import CancelToken
from engine.checkpoints import open_checkpoint
from engine.checkpoints.containers import CONTAINERS
from engine.checkpoints.encodings import ENCODINGS, Encoding
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, Notice, NoticeCode, Offloaded
from engine.extraction.block_cache import BlockCache
from engine.planning.costs import need, need_within
from engine.planning.plan import Plan
from engine.resume.reuse import find_measured, sides_key
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

SHAPES = {"layers.0.long": (2048, 64), "layers.1.wide": (48, 700), "layers.2.square": (128, 128)}
SETTINGS = ExtractionSettings(filename_prefix="lora", rank=8)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_limits(monkeypatch)


@pytest.fixture(params=[Nibbles, WholeNibbles])
def encoding(request: pytest.FixtureRequest) -> Iterator[Encoding]:
    toy: Encoding = request.param()
    ENCODINGS.insert(0, toy)
    yield toy
    ENCODINGS.remove(toy)


@pytest.fixture
def nibbles() -> Iterator[None]:
    toy = Nibbles()
    ENCODINGS.insert(0, toy)
    yield
    ENCODINGS.remove(toy)


@pytest.fixture
def container() -> Iterator[None]:
    CONTAINERS.append(TOY_CONTAINER)
    yield
    CONTAINERS.remove(TOY_CONTAINER)


def sides() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The fine-tuned model and the original, encoded."""
    models: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
    for number, (name, shape) in enumerate(SHAPES.items()):
        base = random_tensor(*shape, seed=number)
        models[1].update(encoded(PREFIX + name, base))
        models[0].update(encoded(PREFIX + name, base + 0.3 * random_tensor(*shape, seed=number + 50)))
    return models


def encoded_pair(folder: Path) -> tuple[Path, Path]:
    tuned, base = sides()
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def plain_pair(folder: Path) -> tuple[Path, Path]:
    """The same numbers in float32, decoded by numpy."""
    paths = []
    for title, model in zip(("tuned", "base"), sides(), strict=True):
        weights = {f"{PREFIX}{name}.weight": reference(model, PREFIX + name) for name in SHAPES}
        paths.append(save_model(folder / f"plain-{title}.safetensors", weights))
    return paths[0], paths[1]


def extracted(
    pair: tuple[Path, Path], folder: Path, budget: int | None = None, store: DecompositionStore | None = None
) -> tuple[Plan, list[Event]]:
    hardware = HardwareSettings(device="cpu", memory_budget=budget, batch_size=2)  # type: ignore[arg-type]
    with Session(*pair, store) as session:
        plan = session.plan(SETTINGS, hardware, folder)
        return plan, list(session.extract(plan, CancelToken()))


def test_it_gives_the_bytes_of_the_same_numbers_in_float32(encoding: Encoding, tmp_path: Path) -> None:
    _, expected = extracted(plain_pair(tmp_path), tmp_path / "plain")
    _, events = extracted(encoded_pair(tmp_path), tmp_path / "encoded")
    assert tensors_of(events) == tensors_of(expected)


def test_a_budget_below_its_largest_layer_gives_the_same_bytes(encoding: Encoding, tmp_path: Path) -> None:
    pair = encoded_pair(tmp_path)
    plan, free = extracted(pair, tmp_path / "free")
    layers = plan.layers
    whole = max(need(weight, plan.method, host=True).total for weight in layers)
    met = set()
    for budget in (2 * whole, whole, whole // 3):
        short_plan, short = extracted(pair, tmp_path / str(budget), budget)
        ceiling = int(0.75 * budget) - int(0.75 * budget) // 16
        met |= {need_within(weight, short_plan.method, ceiling, measured=False).way for weight in layers}
        assert tensors_of(short) == tensors_of(free)
    if isinstance(encoding, WholeNibbles):  # what cannot be read by rows takes more in parts than as a whole
        assert met == {"whole"}
        return
    assert met == {"whole", "pieces", "filled"}
    assert any(isinstance(event, Notice) and event.code is NoticeCode.READ_IN_PARTS for event in short)


def test_it_crosses_the_bus_and_stays_resident_as_it_is_stored(nibbles: None, tmp_path: Path) -> None:
    pair, residents, memory = encoded_pair(tmp_path), BlockCache(), Memory(4_000_000_000)
    with Session(*pair) as session:
        stored = sum(part.nbytes for model in (session.finetuned, session.original) for part in model.stored.values())
        first = simulated_run(session, SETTINGS, tmp_path, memory, residents, blocks_in_gpu=40)
        assert isinstance(first[-1], Finished)
        assert first[-1].result.copied_bytes == first[-1].result.read_bytes == stored
        assert residents.nbytes == memory.used == stored < sum(4 * math.prod(shape) for shape in SHAPES.values())
        again = simulated_run(session, SETTINGS, tmp_path, memory, residents, blocks_in_gpu=40)
        assert isinstance(again[-1], Finished)
        assert (again[-1].result.copied_bytes, again[-1].result.read_bytes) == (0, 0)
    assert tensors_of(again) == tensors_of(first)


def test_a_device_never_holds_more_than_the_books_say_decoding_and_scratch_included(
    encoding: Encoding, tmp_path: Path
) -> None:
    with Session(*encoded_pair(tmp_path)) as session:
        plan = session.plan(SETTINGS, HardwareSettings(), tmp_path)
        largest = max(need(weight, plan.method, host=False).total for weight in plan.layers)
        for share in (1.05, 1.6, 4.0):
            hardware = {"batch_size": 4, "blocks_in_gpu": 40, "vram_usage_mode": "aggressive"}
            memory = Memory(int(share * largest / largest_share(HardwareSettings(**hardware))))  # type: ignore[arg-type]
            events = simulated_run(session, SETTINGS, tmp_path, memory, BlockCache(), **hardware)
            assert memory.failures == 0
            assert memory.peak <= share * largest
            assert sum(isinstance(event, LayerDone) for event in events) == len(SHAPES)


@pytest.mark.parametrize("way", ["filled", "pieces"])
def test_what_is_read_in_parts_takes_no_more_than_the_books_say(
    encoding: Encoding, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(*encoded_pair(tmp_path)) as session:
        plan = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path)
        for weight in plan.layers:
            taken = taken_in_parts(session, plan, weight, way)
            if taken is None:  # held whole where no rows can be read by themselves: no way takes less
                assert encoding.rows is not Nibbles.rows
                continue
            assert taken[0] <= taken[1]


def test_its_resident_blocks_are_evicted_for_the_work_of_the_next_run(nibbles: None, tmp_path: Path) -> None:
    with Session(*encoded_pair(tmp_path)) as session:
        residents = BlockCache()
        first = simulated_run(session, SETTINGS, tmp_path, Memory(4_000_000_000), residents, blocks_in_gpu=40)
        plan = session.plan(SETTINGS, HardwareSettings(), tmp_path)
        largest = max(need(weight, plan.method, host=False).total for weight in plan.layers)
        tight = Memory(int((residents.nbytes + 0.9 * largest) / 0.75))
        second = simulated_run(session, SETTINGS, tmp_path, tight, residents, blocks_in_gpu=40)
    assert any(isinstance(event, Offloaded) and event.what == "resident" for event in second)
    assert tensors_of(second) == tensors_of(first)


def test_a_stopped_run_goes_on_with_the_same_bytes(encoding: Encoding, tmp_path: Path) -> None:
    pair, store, cancel = encoded_pair(tmp_path), DecompositionStore(tmp_path / "store"), CancelToken()
    _, free = extracted(pair, tmp_path / "free")
    with Session(*pair, store) as session, suppress(Cancelled):
        hardware = HardwareSettings(device="cpu", batch_size=1)
        for event in session.extract(session.plan(SETTINGS, hardware, tmp_path / "out"), cancel):
            if isinstance(event, LayerDone):
                cancel.cancel()
    _, rest = extracted(pair, tmp_path / "out", store=store)
    assert any(isinstance(event, Notice) and event.code is NoticeCode.RESUMED for event in rest)
    assert tensors_of(rest) == tensors_of(free)


def test_records_answer_only_for_the_encoding_they_were_made_with(tmp_path: Path) -> None:
    pair, store = encoded_pair(tmp_path), DecompositionStore(tmp_path / "store")
    for toy, reused in ((Nibbles(), 0), (WholeNibbles(), 0), (Nibbles(), len(SHAPES))):
        ENCODINGS.insert(0, toy)
        try:
            with Session(*pair, store) as session:
                plan = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path)
                assert session.kept(plan).layers == reused
                list(session.extract(plan, CancelToken()))
        finally:
            ENCODINGS.remove(toy)


def test_a_record_that_names_no_encoding_answers_for_plain_numbers_alone(nibbles: None, tmp_path: Path) -> None:
    before = {"what": "measured", "delta_energy": 2.0, "original_energy": 1.0, "common_rows": None}
    for pair, found in ((plain_pair(tmp_path), (2.0, 0.0)), (encoded_pair(tmp_path), None)):
        with Session(*pair) as session:
            weight = session.weights(SETTINGS)[0]
            entry: Any = type("Entry", (), {"fields": before | {"shape": list(weight.shape)}})
            assert find_measured([entry], weight) == found


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_change_of_any_file_while_a_run_lasts_is_found_at_its_end(
    nibbles: None, container: None, number: int, tmp_path: Path
) -> None:
    pair = tuple(save_toy(tmp_path / f"{title}.toy", side, 3) for title, side in zip("ab", sides(), strict=True))
    with Session(*pair) as session:
        plan = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path / "out")
        events = session.extract(plan, CancelToken())
        next(event for event in events if isinstance(event, LayerDone))
        os.utime(tmp_path / f"b.{number}.bin", (1, 1))
        with pytest.raises(EngineError) as caught:
            list(events)
    assert (caught.value.code, caught.value.file) == (ErrorCode.INPUT_CHANGED, str(tmp_path / f"b.{number}.bin"))
    assert not list((tmp_path / "out").rglob("*"))


def test_a_lora_comes_from_the_cache_when_the_encoded_models_are_gone(nibbles: None, tmp_path: Path) -> None:
    pair, store = encoded_pair(tmp_path), DecompositionStore(tmp_path / "store")
    _, first = extracted(pair, tmp_path / "first", store=store)
    for path in pair:
        path.unlink()
    with Session.from_cache(store, store.usage()[0].fingerprint) as session:
        plan = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path / "again")
        assert session.kept(plan).layers == len(SHAPES)
        assert tensors_of(list(session.extract(plan, CancelToken()))) == tensors_of(first)


@pytest.mark.parametrize("budget", [None, "short"])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("part", [1, 2])
def test_of_several_files_the_one_with_the_broken_part_is_blamed(
    encoding: Encoding, container: None, side: int, part: int, budget: str | None, tmp_path: Path
) -> None:
    models = sides()
    name = f"{PREFIX}layers.0.long" + (".row_scale", ".row_zero")[part - 1]
    models[side][name][1500] = math.nan
    pair = save_toy(tmp_path / "tuned.toy", models[0], 3), save_toy(tmp_path / "base.toy", models[1], 3)
    limit = None
    if budget is not None:
        with Session(*pair) as session:
            plan = session.plan(SETTINGS, HardwareSettings(device="cpu"), tmp_path)
            limit = max(need(weight, plan.method, host=True).total for weight in plan.layers)
    with pytest.raises(EngineError) as caught:
        extracted(pair, tmp_path / "out", limit)
    assert caught.value.code is ErrorCode.NON_FINITE
    assert caught.value.file == str(tmp_path / f"{('tuned', 'base')[side]}.{part}.bin")
    assert caught.value.tensor == "diffusion_model.layers.0.long.weight"


def test_an_encoding_that_cannot_decode_is_named_with_its_tensor_and_file(
    nibbles: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: Any, parts: Any) -> torch.Tensor:
        raise RuntimeError("codes out of range")

    pair = encoded_pair(tmp_path)
    monkeypatch.setattr("toys.encoding_decode.decode", broken)
    with pytest.raises(EngineError) as caught:
        extracted(pair, tmp_path / "out")
    assert caught.value.code is ErrorCode.DECODING_FAILED
    assert (caught.value.file, caught.value.data["encoding"]) == (str(pair[0]), "toy nibbles")
    assert caught.value.tensor in {f"{PREFIX}{name}.weight" for name in SHAPES}


def test_records_answer_only_for_the_layout_they_were_made_with(tmp_path: Path) -> None:
    with Session(*plain_pair(tmp_path)) as session:
        weight = session.weights(SETTINGS)[0]
    other = replace(weight, finetuned=replace(weight.finetuned, layout="another"))
    known = {"what": "measured", "delta_energy": 2.0, "common_rows": None, "shape": list(weight.shape)}
    new: Any = type("Entry", (), {"fields": known | {"sides": sides_key(weight)}})
    of_before: Any = type("Entry", (), {"fields": known})
    assert [find_measured([entry], weight) for entry in (new, of_before)] == [(2.0, 0.0), (2.0, 0.0)]
    assert [find_measured([entry], other) for entry in (new, of_before)] == [None, None]


def test_a_fingerprint_is_of_all_files_of_a_model(container: None, tmp_path: Path) -> None:
    models = []
    for changed in (None, 0, 1, 2):
        folder = tmp_path / str(changed)
        folder.mkdir()
        path = save_toy(folder / "model.toy", sides()[0], 3)
        if changed is not None:
            data = bytearray((folder / f"model.{changed}.bin").read_bytes())
            data[-1] ^= 1
            (folder / f"model.{changed}.bin").write_bytes(data)
        with open_checkpoint(path) as model:
            models.append(model.fingerprint())
    assert len(set(models)) == 4
