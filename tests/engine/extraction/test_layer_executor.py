"""A run knows its executor by the protocol alone, so that another one can do the work."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import PREFIX, matrices, random_tensor, save_model
from toys.executor import ToyExecutor
from watched_processor import Watch, watched_by

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerStarted, Notice, NoticeCode
from engine.extraction.executor import LocalExecutor
from engine.extraction.extraction import extract
from engine.extraction.layer_executor import ExecutorChoice, LayerExecutor, RunContext, RunInputs
from engine.layer import LayerOutcome
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

HARDWARE = HardwareSettings(device="cpu", batch_size=2)
OF_THE_MACHINE = ("seconds", "device_title", "peak_device_bytes", "peak_rss_bytes", "waited_share")
LAYERS = 8
FRAME_MAGIC = b"\x93LORAJ"


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One core for each layer, so that sums have one order; and one date."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def sides() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    base = matrices(LAYERS, seed=50, shape=(60, 40))
    base |= {f"{PREFIX}layers.{index}.bias": random_tensor(60, seed=index) for index in range(2)}
    tuned = {name: tensor + 0.1 * random_tensor(*tensor.shape, seed=5) for name, tensor in base.items()}
    tuned[f"{PREFIX}layers.5.weight"] = base[f"{PREFIX}layers.5.weight"]
    return tuned, base


@pytest.fixture
def pair(sides: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]], tmp_path: Path) -> tuple[Path, Path]:
    tuned, base = sides
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def events_of(
    executor: ExecutorChoice,
    pair: tuple[Path, Path],
    folder: Path,
    store: DecompositionStore | None = None,
    *,
    stop_after: int | None = None,
    **settings: Any,
) -> list[Event]:
    """One run; its events until it was stopped, if it was: when so many results had been written."""
    cancel, events, written = CancelToken(), [], 0

    def stopping(inputs: RunInputs, context: RunContext) -> LayerExecutor:
        made = executor(inputs, context)
        release = made.release

        def counted(index: int) -> None:
            nonlocal written
            release(index)
            written += 1
            if written == stop_after:
                cancel.cancel()

        made.release = counted  # type: ignore[method-assign]
        return made

    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(**{"filename_prefix": "lora", "rank": 3, **settings}), HARDWARE, folder)
        models = session.finetuned, session.original
        with closing(extract(plan, *models, cancel, store=store, executor=stopping)) as run:
            try:
                events.extend(run)
            except Cancelled:
                assert stop_after is not None
    return events


def result_of(events: list[Event]) -> ExtractionResult:
    assert isinstance(events[-1], Finished)
    return events[-1].result


def written(result: ExtractionResult) -> tuple[bytes, dict[str, Any]]:
    """The file, and the report without what depends on the machine and the time."""
    report = json.loads(result.outputs[0].report.read_text())
    for name in OF_THE_MACHINE:
        del report["totals"][name]
    for row in report["layers"]:
        del row["seconds"], row["stage_seconds"]
    return result.outputs[0].path.read_bytes(), report


SETTINGS: list[dict[str, Any]] = [
    {},
    {"lora_type": "adaptive_energy", "adaptive_param": 0.6, "output_dtype": "bf16"},
    {"lora_type": "full"},
    {"exclude": "*layers.3*", "bias_diff": False},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_an_executor_without_threads_and_devices_gives_the_same_file_and_report(
    settings: dict[str, Any], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    local = result_of(events_of(LocalExecutor, pair, tmp_path / "local", **settings))
    toy = result_of(events_of(ToyExecutor, pair, tmp_path / "toy", **settings))
    assert written(toy) == written(local)
    assert toy.read_bytes == local.read_bytes > 0


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(
    "executors", [(ToyExecutor, ToyExecutor), (ToyExecutor, LocalExecutor), (LocalExecutor, ToyExecutor)]
)
def test_what_one_executor_was_stopped_in_another_goes_on_with_to_the_same_bytes(
    executors: tuple[ExecutorChoice, ExecutorChoice],
    settings: dict[str, Any],
    pair: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    whole = result_of(events_of(LocalExecutor, pair, tmp_path / "whole", **settings))
    store, first, second = DecompositionStore(tmp_path / "store"), *executors
    stopped = events_of(first, pair, tmp_path / "out", store, stop_after=3, **settings)
    assert not isinstance(stopped[-1], Finished)
    result = result_of(events_of(second, pair, tmp_path / "out", store, **settings))
    assert result.layers_reused >= 3
    assert written(result)[0] == written(whole)[0]


@pytest.mark.parametrize("executor", [LocalExecutor, ToyExecutor])
def test_a_layer_whose_record_is_lost_is_submitted_during_the_run(
    executor: ExecutorChoice, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    store = DecompositionStore(tmp_path / "store")
    first = result_of(events_of(LocalExecutor, pair, tmp_path / "out", store))
    (journal,) = store.folder.rglob("*.journal")
    data = bytearray(journal.read_bytes())
    for layer in ("layers.2.weight", "layers.6.weight"):
        end = data.find(FRAME_MAGIC, data.index(layer.encode()))
        data[end - 1] ^= 0xFF  # the last byte of its payload; the end of the file where no record follows
    journal.write_bytes(data)
    events = events_of(executor, pair, tmp_path / "out", store)
    lost = [event.name for event in events if isinstance(event, Notice) and event.code is NoticeCode.RECORD_DAMAGED]
    assert [name.rpartition("model.")[2] for name in lost] == ["layers.2.weight", "layers.6.weight"]
    assert [event.name for event in events if isinstance(event, LayerStarted)] == lost
    assert written(result_of(events))[0] == written(first)[0]


@pytest.mark.parametrize("side", [0, 1])
def test_a_value_that_is_no_number_is_blamed_on_the_same_file(
    side: int, sides: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    sides[side][f"{PREFIX}layers.2.weight"][7, 7] = math.nan
    names = ("tuned.safetensors", "base.safetensors")
    tuned, base = (save_model(tmp_path / name, tensors) for name, tensors in zip(names, sides, strict=True))
    for executor in (LocalExecutor, ToyExecutor):
        with pytest.raises(EngineError) as caught:
            events_of(executor, (tuned, base), tmp_path / "out")
        assert (caught.value.code, caught.value.file) == (ErrorCode.NON_FINITE, str((tuned, base)[side]))
    results = [
        result_of(events_of(executor, (tuned, base), tmp_path / "out", skip_nonfinite=True, filename_prefix=name))
        for name, executor in (("local", LocalExecutor), ("toy", ToyExecutor))
    ]
    assert results[0].left_out == results[1].left_out


@pytest.mark.parametrize("executor", [LocalExecutor, ToyExecutor])
def test_an_error_of_the_solver_and_one_of_a_file_end_the_run_with_their_names(
    executor: ExecutorChoice, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **named: object) -> None:
        raise RuntimeError("the solver gave up")

    with monkeypatch.context() as broken:
        broken.setattr("engine.layer.truncated_svd", fails)
        with pytest.raises(EngineError) as caught:
            events_of(executor, pair, tmp_path / "out")
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.DECOMPOSITION_FAILED, "the solver gave up")
    assert caught.value.tensor is not None

    def choose(inputs: RunInputs, context: RunContext) -> Any:
        with pair[1].open("r+b") as stream:
            stream.truncate(4000)  # behind the back of the open model
        return executor(inputs, context)

    monkeypatch.setattr(Checkpoint, "check_unchanged", lambda self: None)
    with pytest.raises(EngineError) as caught:
        events_of(choose, pair, tmp_path / "out")
    assert (caught.value.code, caught.value.file) == (ErrorCode.INPUT_CHANGED, str(pair[1]))
    assert not (tmp_path / "out").exists()


class Driven:
    """A local executor without a run, by the protocol alone."""

    def __init__(self, session: Session, folder: Path, executor: ExecutorChoice = LocalExecutor) -> None:
        self.plan = session.plan(ExtractionSettings(rank=3), HARDWARE, folder)
        self.events: list[Event] = []
        self.taken: list[tuple[int, LayerOutcome]] = []
        self.cancel = CancelToken()
        weights = [task.weight for task in self.plan.tasks]
        context = RunContext((session.finetuned, session.original), self.events.append, lambda: self.cancel.cancelled)
        self.executor = executor(RunInputs(weights, self.plan.method, HARDWARE), context)
        self.executor.submit(self.plan.tasks)

    def take(self, count: int) -> list[tuple[int, LayerOutcome]]:
        """So many results, or more; within a minute."""
        until = time.monotonic() + 60
        while len(self.taken) < count:
            self.taken += self.executor.take(0.05)
            assert time.monotonic() < until
        return self.taken


def test_a_result_counts_as_held_until_it_is_released(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session:
        driven = Driven(session, tmp_path)
        with driven.executor as executor:
            taken = driven.take(len(driven.plan.tasks))
            held = [executor.sample().run_bytes]
            for index, _ in taken:
                executor.release(index)
                held.append(executor.sample().run_bytes)
    assert held[-1] == 0
    assert [before - after for before, after in pairwise(held)] == [outcome.nbytes for _, outcome in taken]
    assert executor.sample().peak_bytes >= held[0] > 0


def test_after_leaving_results_can_be_taken_at_once_and_figures_stay_those_of_the_end(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    def fails_at_the_end() -> None:
        if watch.begun == len(driven.plan.tasks):
            raise RuntimeError("broken")

    watch = Watch(fails_at_the_end)
    with Session(*pair) as session:
        driven = Driven(session, tmp_path, watched_by(watch))
        with driven.executor as executor:
            until = time.monotonic() + 60
            while watch.done < len(driven.plan.tasks) - 1 and time.monotonic() < until:
                time.sleep(0.01)
        left, end = executor.take(60.0), executor.sample()
    assert len(left) == len(driven.plan.tasks) - 1, "what was finished before the error is not lost"
    assert executor.take(60.0) == []
    assert executor.sample() == end
    assert end.read_bytes > 0


def test_take_raises_what_ended_the_work_after_all_results_were_taken(pair: tuple[Path, Path], tmp_path: Path) -> None:
    def third_fails() -> None:
        if watch.begun == 3:
            raise RuntimeError("broken")

    watch = Watch(third_fails)
    with Session(*pair) as session:
        driven = Driven(session, tmp_path, watched_by(watch))
        with driven.executor, pytest.raises(EngineError) as caught:
            driven.take(LAYERS + 2)
    assert caught.value.code is ErrorCode.DECOMPOSITION_FAILED
    assert len(driven.taken) == watch.done


@pytest.mark.parametrize("executor", [LocalExecutor, ToyExecutor])
def test_a_run_that_goes_on_works_with_the_threads_of_the_one_that_was_stopped(
    executor: ExecutorChoice, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    store, watch = DecompositionStore(tmp_path / "store"), Watch()
    torch.set_num_threads(6)
    events_of(watched_by(watch), pair, tmp_path / "out", store, stop_after=3)
    assert watch.threads == {3}, "two layers at once on six cores"
    torch.set_num_threads(1)
    result = result_of(events_of(executor, pair, tmp_path / "out", store))
    assert written(result)[1]["totals"]["threads_per_layer"] == 3
    assert torch.get_num_threads() == 1
