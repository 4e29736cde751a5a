"""A run that is stopped within a long layer ends at its next check; what cannot be broken off is named and bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from model_files import PREFIX, random_tensor, save_model

from app.text.notices import finishing_text
from engine import steps
from engine.analysis.comparison import compare_weights
from engine.analysis.verify import verify
from engine.cancel import CancelToken
from engine.decompose import lapack
from engine.errors import Cancelled
from engine.events import Event, FinishingStep
from engine.planning.costs import need_within
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.steps import SLACK, Speeds, Step, ThreadWork, announced, check, stoppable

LAYER = PREFIX + "layers.0.weight"
HANG = 60.0  # seconds; far beyond what any of these takes on a busy machine


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    base = {LAYER: random_tensor(2400, 300, seed=0)}
    tuned = {LAYER: base[LAYER] + 0.1 * random_tensor(2400, 300, seed=1)}
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


@pytest.fixture(autouse=True)
def many_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops of a small layer have as many rounds as those of a long one."""
    monkeypatch.setattr("engine.checkpoints.model_file._READ_CHUNK", 1 << 14)
    monkeypatch.setattr("engine.decompose.delta._CHUNK", 1 << 10)
    monkeypatch.setattr("engine.decompose.delta._CHECKED", 1 << 12)
    for module in ("workspace", "delta", "gram", "decomposition"):
        monkeypatch.setattr(f"engine.decompose.{module}.CHUNK_BYTES", 1 << 14)
    for module in ("engine.streamed_delta", "engine.planning.costs"):
        monkeypatch.setattr(f"{module}.PART_VALUES", 1 << 14)


class Stopper:
    """Asks to stop at one of a module's checks, and counts how many followed that did not end the work."""

    def __init__(self, cancel: CancelToken, at: int, threads: tuple[str, ...] = ("reader", "worker")) -> None:
        self.calls = self.after = 0
        self._cancel, self._at, self._threads = cancel, at, threads

    def __call__(self) -> None:
        if not threading.current_thread().name.startswith(self._threads):
            return  # opening the files, and their fingerprints, for which nothing waits
        self.calls += 1
        if self.calls == self._at:
            self._cancel.cancel()
        check()
        self.after += self._cancel.cancelled


def extracted(pair: tuple[Path, Path], folder: Path, cancel: CancelToken, **chosen: object) -> list[Event]:
    """The events of a run that is stopped, within a bounded time."""
    budget, settings = chosen.pop("budget", None), ExtractionSettings(**{"rank": 16, **chosen})  # type: ignore[arg-type]
    hardware = HardwareSettings(device="cpu", memory_budget=budget)  # type: ignore[arg-type]
    events: list[Event] = []
    with Session(*pair) as session:
        plan = session.plan(settings, hardware, folder)
        if budget is not None:
            assert need_within(plan.layers[0], plan.method, int(budget * 0.7), measured=False).way == "pieces"  # type: ignore[call-overload]
        started = time.monotonic()
        with suppress(Cancelled):
            for event in session.extract(plan, cancel):
                events.append(event)
        assert time.monotonic() - started < HANG
    assert cancel.cancelled
    assert not list(folder.rglob("*"))
    return events


PLACES: dict[str, tuple[str, dict[str, object]]] = {
    "reading": ("engine.checkpoints.model_file", {}),
    "subtracting": ("engine.decompose.delta", {}),
    "iterating": ("engine.decompose.products", {}),
    "refining": ("engine.decompose.refine", {}),
    "summing the Gram matrix": ("engine.decompose.gram", {"rank": 290}),
    "going over pieces": ("engine.decompose.pieces", {"budget": 4_000_000}),
    "reading in parts": ("engine.streamed_delta", {"budget": 4_000_000}),
}


@pytest.mark.parametrize(
    ("place", "at"), [*((place, 1) for place in PLACES), ("reading", 9), ("going over pieces", 20)]
)
def test_a_run_stops_at_the_next_check_within_a_layer(
    place: str, at: int, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, chosen = PLACES[place]
    cancel = CancelToken()
    stopper = Stopper(cancel, at)
    monkeypatch.setattr(f"{module}.check", stopper)
    extracted(pair, tmp_path / "out", cancel, **chosen)
    assert stopper.calls >= at
    assert stopper.after == 0, "work went on behind a check"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("reader", "worker"))]


@pytest.fixture
def slow_eigh(monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """LAPACK's call takes seconds, whatever the machine; returns whether one is under way."""
    real, began = lapack._eigh_in_place, threading.Event()

    def slow(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        began.set()
        time.sleep(1.5)
        return real(matrix)

    speeds = Speeds()
    speeds.note("eigh", 9.0 * 300**3, 5.0)
    monkeypatch.setattr(steps, "SPEEDS", speeds)
    monkeypatch.setattr(lapack, "SPEEDS", speeds)
    monkeypatch.setattr(lapack, "_eigh_in_place", slow)
    return lambda: began.wait(HANG)


def test_a_call_that_cannot_be_broken_off_is_named_with_its_bound(
    pair: tuple[Path, Path], tmp_path: Path, slow_eigh: Callable[[], bool]
) -> None:
    cancel = CancelToken()
    waiting = threading.Thread(target=lambda: slow_eigh() and cancel.cancel())
    waiting.start()
    events = extracted(pair, tmp_path / "out", cancel, rank=290)
    waiting.join()
    told = [event for event in events if isinstance(event, FinishingStep)]
    assert [(event.name, event.step, event.size) for event in told] == [(_name(), "eigh", (300, 300))]
    assert 1.5 < told[0].most_seconds <= SLACK * 5.0
    text = finishing_text(told[0])
    assert "layers.0" in text
    assert "up to" in text
    assert "300 x 300" in text


def _name() -> str:
    return LAYER.removeprefix("model.")


def test_a_step_says_how_long_it_still_takes_at_most() -> None:
    step = Step("layer", "qr", (10, 5), 4.0, since=100.0)
    assert step.remaining(101.0) == pytest.approx(3.0)
    assert step.remaining(200.0) == 0.0


def test_the_bound_is_the_slowest_recent_call_of_the_kind_by_its_operations() -> None:
    speeds = Speeds()
    assert speeds.most_seconds("svd", 1e12) == 0.0
    speeds.note("svd", 1e6, 1.0)  # too small to say anything
    assert not speeds.known("svd")
    speeds.note("svd", 1e9, 1.0)
    assert speeds.most_seconds("svd", 5e9) == pytest.approx(SLACK * 5.0)
    speeds.note("svd", 2e9, 1.0)
    assert speeds.most_seconds("svd", 5e9) == pytest.approx(SLACK * 5.0)
    speeds.note("svd", 1e11, 20.0)  # so much larger that the small ones no longer count
    assert speeds.most_seconds("svd", 5e9) == pytest.approx(SLACK * 1.0)
    assert not speeds.known("eigh")


def test_only_the_thread_whose_work_is_to_stop_is_stopped() -> None:
    check()  # nobody may stop this one
    with stoppable(ThreadWork(lambda: True)):
        with pytest.raises(Cancelled):
            check()
        other: list[str] = []
        thread = threading.Thread(target=lambda: (check(), other.append("went on")))
        thread.start()
        thread.join()
        assert other == ["went on"]
    check()


def test_an_announced_call_is_seen_by_others_while_it_lasts() -> None:
    work = ThreadWork(lambda: False, "layer")
    with stoppable(work):
        with announced("svdvals", (30, 20), 1e6):
            assert work.step is not None
            assert (work.step.layer, work.step.kind, work.step.size) == ("layer", "svdvals", (30, 20))
        assert work.step is None


@pytest.mark.parametrize("module", ["engine.analysis.verify", "engine.checkpoints.model_file"])
def test_verifying_stops_within_a_layer(
    module: str, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.analysis.verify._CHUNK_BYTES", 1 << 14)
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(rank=4), HardwareSettings(device="cpu"), tmp_path)
        *_, finished = session.extract(plan, CancelToken())
        lora, cancel = finished.result.outputs[0].path, CancelToken()  # type: ignore[union-attr]
        place: ModuleType = import_module(module)
        stopper = Stopper(cancel, 40, ("MainThread",))
        monkeypatch.setattr(place, "check", stopper)
        with pytest.raises(Cancelled):
            list(verify(lora, session.finetuned, session.original, session.pairing, cancel))
    assert (stopper.calls, stopper.after) == (40, 0)


def test_comparing_stops_within_a_layer(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = CancelToken()
    with Session(*pair) as session:
        weights = session.weights(ExtractionSettings())
        stopper = Stopper(cancel, 40, ("MainThread",))
        monkeypatch.setattr("engine.checkpoints.model_file.check", stopper)
        with pytest.raises(Cancelled):
            list(compare_weights(session.finetuned, session.original, weights, cancel))
    assert (stopper.calls, stopper.after) == (40, 0)
