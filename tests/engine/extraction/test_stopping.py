"""Stop is heard inside a long layer, between its many steps; a step that has to end is named with its bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from extraction_runs import run
from model_files import PREFIX, random_tensor, save_model

from engine import steps
from engine.cancel import CancelToken
from engine.decompose import lapack, workspace
from engine.errors import Cancelled
from engine.events import Event, FinishingStep
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.steps import SLACK, Speeds, Step

NAME = "diffusion_model.only.weight"
KINDS: dict[str, dict[str, Any]] = {
    "krylov": {"shape": (900, 1100), "rank": 32},
    "gram": {"shape": (400, 500), "rank": 300},
    "tall": {"shape": (12000, 300), "rank": 16},
    "lowrank": {"shape": (900, 1100), "rank": 32, "algorithm": "svd_lowrank"},
    "full": {"shape": (3000, 2000), "lora_type": "full"},
    "budget": {"shape": (900, 1100), "rank": 32, "budget": 1},
}


def pair_of(folder: Path, shape: tuple[int, int]) -> tuple[Path, Path]:
    sides = ({f"{PREFIX}only.weight": random_tensor(*shape, seed=seed).half()} for seed in (1, 2))
    tuned, base = (save_model(folder / f"{name}.safetensors", side) for name, side in zip("ab", sides, strict=True))
    return tuned, base


@contextmanager
def running(pair: tuple[Path, Path], folder: Path, cancel: CancelToken, **settings: Any) -> Iterator[Iterator[Event]]:
    hardware = HardwareSettings(device="cpu", memory_budget=settings.pop("budget", None))
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(resume=False, **settings), hardware, folder)
        yield session.extract(plan, cancel)


class Checks:
    """Counts how often work asked whether it is to stop, and cancels at one of these times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.cancel_at, self.cancel = 0, -1, CancelToken()
        self._real = steps.ThreadWork.check
        monkeypatch.setattr(steps.ThreadWork, "check", lambda work: self._note(work))

    def _note(self, work: steps.ThreadWork) -> None:
        if work.layer == NAME:
            self.count += 1
            if self.count == self.cancel_at:
                self.cancel.cancel()
        self._real(work)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    """With pieces as small beside these layers as the real ones are beside layers that take minutes."""
    monkeypatch.setattr("engine.decompose.products._PIECE_OPERATIONS", 2.0**22)
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 1 << 18)
    for module in ("gram", "delta", "factor_error"):
        monkeypatch.setattr(f"engine.decompose.{module}.CHUNK_BYTES", 1 << 18, raising=False)
    monkeypatch.setattr("engine.decompose.delta._CHECKED", 1 << 18)
    return Checks(monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_layer_asks_often_and_stops_wherever_it_is(kind: str, checks: Checks, tmp_path: Path) -> None:
    settings = dict(KINDS[kind])
    pair = pair_of(tmp_path, settings.pop("shape"))
    with running(pair, tmp_path / "whole", CancelToken(), **settings) as events:
        assert len(list(events)) > 1
    asked = checks.count
    assert asked >= 10
    for moment in sorted({1, 2, asked // 4, asked // 2, 3 * asked // 4, asked - 1}):
        checks.count, checks.cancel_at, checks.cancel = 0, moment, CancelToken()
        with running(pair, tmp_path / "out", checks.cancel, **settings) as events, pytest.raises(Cancelled):
            list(events)
        assert checks.count <= moment + 3, "nothing goes on after it has been heard"
        assert not (tmp_path / "out").exists()


def held_back(real: Callable[..., Any], began: threading.Event, go_on: threading.Event) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        began.set()
        assert go_on.wait(60)
        return real(*arguments, **named)

    return call


def test_a_step_that_cannot_be_broken_off_is_named_with_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, cancel = threading.Event(), threading.Event(), CancelToken()
    monkeypatch.setattr(torch.linalg, "eigh", held_back(torch.linalg.eigh, began, go_on))
    monkeypatch.setattr(lapack, "SPEEDS", Speeds())
    monkeypatch.setattr(steps, "SPEEDS", Speeds())
    steps.SPEEDS.note("eigh", 1e9, 10.0)  # a slow machine: 9 x 700^3 operations take half a minute
    pair = pair_of(tmp_path, (700, 800))
    threading.Thread(target=lambda: began.wait(60) and cancel.cancel(), daemon=True).start()
    with running(pair, tmp_path / "out", cancel, rank=600) as events:
        event = next(event for event in events if isinstance(event, FinishingStep))
        assert (event.name, event.step, event.size) == (NAME, "eigh", (700, 700))
        assert event.most_seconds == pytest.approx(SLACK * 9 * 700**3 * 1e-8, abs=5)
        go_on.set()
        with pytest.raises(Cancelled):
            list(events)


def test_how_long_a_call_takes_is_known_from_the_slowest_of_its_kind() -> None:
    speeds = Speeds()
    assert not speeds.known("eigh")
    assert speeds.most_seconds("eigh", 1e12) == 0.0
    speeds.note("eigh", 1e6, 100.0)
    assert not speeds.known("eigh"), "small calls say nothing of large ones"
    speeds.note("eigh", 1e10, 1.0)
    speeds.note("eigh", 1e10, 3.0)
    assert speeds.most_seconds("eigh", 1e11) == pytest.approx(SLACK * 30)
    speeds.note("eigh", 1e12, 50.0)
    assert speeds.most_seconds("eigh", 1e12) == pytest.approx(SLACK * 50), "a larger call takes the small ones' place"


def test_what_remains_of_a_step_is_never_negative() -> None:
    step = Step("a", "svd", (3, 3), 5.0, time.monotonic())
    assert 0 < step.remaining() <= 5.0
    assert step.remaining(step.since + 60) == 0.0


def test_verifying_stops_inside_a_long_layer(checks: Checks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.analysis.verify._CHUNK_BYTES", 1 << 18)
    pair = pair_of(tmp_path, (900, 1100))
    lora = run(pair, tmp_path / "out", rank=8, resume=False).lora
    with Session(*pair) as session:
        checks.count = 0
        list(session.verify(lora, CancelToken()))
        asked = checks.count
        assert asked >= 10
        checks.count, checks.cancel_at = 0, asked // 2
        with pytest.raises(Cancelled):
            list(session.verify(lora, checks.cancel))
        assert checks.count == asked // 2
