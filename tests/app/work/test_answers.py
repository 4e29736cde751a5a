"""Each question has exactly one answer, a result or an error; answers to questions that were replaced are dropped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine
from pytestqt.qtbot import QtBot
from window_steps import Pair

from app.work.cache_worker import CacheFailed, CacheUse, DecompositionCache
from app.work.controller import Controller, State
from app.work.requests import (
    DeviceFound,
    DeviceInfo,
    DeviceMissing,
    Extracted,
    ExtractionFailed,
    Forecast,
    Inspected,
    MemoryFreed,
    Prepared,
    VerificationFailed,
    Verified,
)
from engine.errors import EngineError, ErrorCode
from engine.events import Progress, VerifyProgress
from engine.settings import ExtractionSettings, HardwareSettings

BROKEN = EngineError(ErrorCode.FILE_MISSING, file="x")
LORA = Path("lora.safetensors")


@dataclass
class SlowEngine(FakeEngine):
    """Opens pairs when the test lets it, and may lack its device."""

    lacks_device: bool = False
    hold_opening: threading.Event = field(default_factory=threading.Event)
    opening: list[Path] = field(default_factory=list)

    def let_go(self) -> None:
        super().let_go()
        self.hold_opening.set()

    def open_pair(self, finetuned: Path, original: Path) -> Any:
        self.opening.append(finetuned)
        self.hold_opening.wait(10)
        return super().open_pair(finetuned, original)

    def describe_device(self, hardware: HardwareSettings) -> DeviceInfo:
        if self.lacks_device:
            raise EngineError(ErrorCode.DEVICE_UNAVAILABLE, device=hardware.device, available=["cpu"])
        return super().describe_device(hardware)


@dataclass
class Heard:
    """A controller, and what it emitted."""

    controller: Controller
    answers: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        for signal in (self.controller.answered, self.controller.run_event, self.controller.verify_event):
            signal.connect(self.answers.append)

    def of(self, *kinds: type) -> list[Any]:
        return [answer for answer in self.answers if isinstance(answer, kinds)]


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


@pytest.fixture
def heard(qtbot: QtBot, engine: SlowEngine) -> Iterator[Heard]:
    controller = Controller(engine)
    yield Heard(controller)
    engine.let_go()
    controller.shut_down()


def prepare(heard: Heard, pair: Pair, folder: Path, rank: int = 8) -> None:
    heard.controller.prepare(pair, ExtractionSettings(rank=rank), HardwareSettings(), folder)


def planned(qtbot: QtBot, heard: Heard, pair: Pair, folder: Path) -> None:
    prepare(heard, pair, folder)
    qtbot.waitUntil(lambda: heard.controller.state is State.READY)


def settled(qtbot: QtBot, heard: Heard, pair: Pair, folder: Path) -> None:
    """Ask both background threads something more: what they had to say before has arrived then."""
    heard.controller.inspect("original", pair[1])
    heard.controller.describe_device(HardwareSettings(device="cpu"))
    wanted = [(Inspected, "original"), (DeviceFound, "cpu"), (DeviceMissing, "cpu")]

    def key(answer: Any) -> Any:
        return answer.request.side if isinstance(answer, Inspected) else answer.hardware.device

    def arrived() -> int:
        return sum((type(a), key(a)) in wanted for a in heard.of(Inspected, DeviceFound, DeviceMissing))

    qtbot.waitUntil(lambda: arrived() == 2)


@pytest.mark.parametrize("broken", [False, True])
def test_an_inspection_has_one_answer(
    qtbot: QtBot, heard: Heard, engine: SlowEngine, pair: Pair, tmp_path: Path, broken: bool
) -> None:
    engine.inspect_error = BROKEN if broken else None
    heard.controller.inspect("finetuned", pair[0])
    settled(qtbot, heard, pair, tmp_path)
    (answer,) = [answer for answer in heard.of(Inspected) if answer.request.side == "finetuned"]
    assert (answer.error is None, answer.summary is None) == (not broken, broken)


@pytest.mark.parametrize("broken", ["", "pair_error", "plan_error"])
def test_a_plan_has_one_answer(
    qtbot: QtBot, heard: Heard, engine: SlowEngine, pair: Pair, tmp_path: Path, broken: str
) -> None:
    if broken:
        setattr(engine, broken, BROKEN)
    prepare(heard, pair, tmp_path)
    settled(qtbot, heard, pair, tmp_path)
    (answer,) = heard.of(Prepared)
    assert (answer.error is None, answer.plan is None) == (not broken, bool(broken))


@pytest.mark.parametrize("lacks", [False, True])
def test_a_question_for_the_device_has_one_answer(qtbot: QtBot, heard: Heard, engine: SlowEngine, lacks: bool) -> None:
    engine.lacks_device = lacks
    for device in ("cuda:0", "cpu"):
        heard.controller.describe_device(HardwareSettings(device=device))
    qtbot.waitUntil(lambda: len(heard.answers) == 2)
    kind = DeviceMissing if lacks else DeviceFound
    assert [(type(answer), answer.hardware.device) for answer in heard.answers] == [(kind, "cuda:0"), (kind, "cpu")]


@pytest.mark.parametrize("broken", [False, True])
def test_freeing_memory_has_one_answer(
    qtbot: QtBot, heard: Heard, engine: SlowEngine, pair: Pair, tmp_path: Path, broken: bool
) -> None:
    planned(qtbot, heard, pair, tmp_path)
    engine.sessions[0].resident_bytes = 5
    engine.free_error = RuntimeError("the driver is gone") if broken else None
    heard.controller.free_memory()
    settled(qtbot, heard, pair, tmp_path)
    assert heard.of(MemoryFreed) == [MemoryFreed(0 if broken else 5)]


@pytest.mark.parametrize("end", ["well", "error", "stop"])
def test_a_run_ends_with_its_result_or_its_error_and_nothing_after_a_stop(
    qtbot: QtBot, heard: Heard, engine: SlowEngine, pair: Pair, tmp_path: Path, end: str
) -> None:
    planned(qtbot, heard, pair, tmp_path)
    engine.run_error = BROKEN if end == "error" else None
    if end == "stop":
        engine.hold_run.clear()
    assert heard.controller.extract()
    qtbot.waitUntil(lambda: bool(heard.of(Progress)))
    if end == "stop":
        heard.controller.stop()
    qtbot.waitUntil(lambda: not heard.controller.busy)
    settled(qtbot, heard, pair, tmp_path)
    outcomes = [type(answer) for answer in heard.of(Extracted, ExtractionFailed)]
    assert outcomes == {"well": [Extracted], "error": [ExtractionFailed], "stop": []}[end]


@pytest.mark.parametrize("end", ["well", "error", "stop"])
def test_a_verification_ends_with_its_result_or_its_error_and_nothing_after_a_stop(
    qtbot: QtBot, heard: Heard, engine: SlowEngine, pair: Pair, tmp_path: Path, end: str
) -> None:
    planned(qtbot, heard, pair, tmp_path)
    engine.verify_error = BROKEN if end == "error" else None
    if end == "stop":
        engine.hold_verification.clear()
    assert heard.controller.verify(LORA)
    qtbot.waitUntil(lambda: bool(heard.of(VerifyProgress)))
    if end == "stop":
        heard.controller.stop()
    qtbot.waitUntil(lambda: not heard.controller.busy)
    outcomes = [(type(answer), answer.lora) for answer in heard.of(Verified, VerificationFailed)]
    assert outcomes == {"well": [(Verified, LORA)], "error": [(VerificationFailed, LORA)], "stop": []}[end]


@pytest.mark.parametrize("broken", [False, True])
def test_each_question_to_the_cache_has_one_answer(qtbot: QtBot, home: Path, broken: bool) -> None:
    if broken:
        home.mkdir(parents=True)
        (home / "cache").write_text("a file where the folder should be")
    cache, answers = DecompositionCache(), list[Any]()
    cache.answered.connect(answers.append)
    questions: tuple[Callable[[], None], ...] = (lambda: cache.set_limit(1000), lambda: cache.set_limit(2000))
    for question in questions:
        question()
    qtbot.waitUntil(lambda: len(answers) == 2)
    cache.shut_down()
    qtbot.wait(20)
    assert [type(answer) for answer in answers] == [CacheFailed if broken else CacheUse] * 2


def test_an_inspection_that_was_replaced_while_it_was_made_is_dropped(
    qtbot: QtBot, heard: Heard, engine: SlowEngine, pair: Pair, tmp_path: Path
) -> None:
    engine.hold_inspection.clear()
    heard.controller.inspect("finetuned", pair[0])
    qtbot.waitUntil(lambda: engine.inspections == [pair[0]])
    heard.controller.inspect("finetuned", pair[1])
    engine.let_go()
    settled(qtbot, heard, pair, tmp_path)
    answers = [answer.request.path for answer in heard.of(Inspected) if answer.request.side == "finetuned"]
    assert answers == [pair[1]]


def test_a_plan_that_was_replaced_while_it_was_made_is_dropped(
    qtbot: QtBot, heard: Heard, engine: SlowEngine, pair: Pair, tmp_path: Path
) -> None:
    engine.hold_opening.clear()
    prepare(heard, pair, tmp_path, rank=8)
    qtbot.waitUntil(lambda: engine.opening == [pair[0]])
    prepare(heard, pair, tmp_path, rank=16)
    prepare(heard, pair, tmp_path, rank=32)
    engine.let_go()
    qtbot.waitUntil(lambda: heard.controller.state is State.READY)
    settled(qtbot, heard, pair, tmp_path)
    assert [answer.request.extraction.rank for answer in heard.of(Prepared)] == [32]
    assert [extraction.rank for extraction, *_ in engine.plans] == [8, 32], "what has not begun is skipped"


def test_an_estimate_of_a_plan_that_was_replaced_is_dropped(
    qtbot: QtBot, heard: Heard, pair: Pair, tmp_path: Path
) -> None:
    planned(qtbot, heard, pair, tmp_path)
    qtbot.waitUntil(lambda: bool(heard.of(Forecast)))
    old = heard.of(Forecast)[-1]
    prepare(heard, pair, tmp_path, rank=16)
    qtbot.waitUntil(lambda: heard.of(Forecast)[-1].number != old.number)
    before, estimate = len(heard.of(Forecast)), heard.controller.estimate
    heard.controller._background.answered.emit(old)
    assert len(heard.of(Forecast)) == before
    assert heard.controller.estimate is estimate
