"""A device that is not there keeps a plan on it from being started, in words; and no plan on another."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes import FakeEngine
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_steps import Pair

from app.text.window_text import short_error_text, why_not
from app.work.controller import Controller, State
from app.work.requests import (
    BackgroundAnswer,
    DeviceFound,
    DeviceInfo,
    DeviceMissing,
    ExtractionFailed,
    Prepared,
    RunAnswer,
    Verified,
    VerifyAnswer,
)
from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings, HardwareSettings

NO_DEVICE = EngineError(ErrorCode.DEVICE_UNAVAILABLE, device="cuda:3", available=["cpu", "cuda:0"])
THIRD, FIRST = HardwareSettings(device="cuda:3"), HardwareSettings(device="cuda:0")


@dataclass
class OneCard(FakeEngine):
    """An engine whose machine lacks a card, until it is put in."""

    missing: dict[str, EngineError] = field(default_factory=lambda: {"cuda:3": NO_DEVICE})

    def describe_device(self, hardware: HardwareSettings) -> DeviceInfo:
        if hardware.device in self.missing:
            raise self.missing[hardware.device]
        return self.device


@pytest.fixture
def engine() -> FakeEngine:
    return OneCard()


@pytest.fixture
def controller(qapp: QApplication, engine: OneCard) -> Iterator[Controller]:
    controller = Controller(engine)
    yield controller
    engine.let_go()
    controller.shut_down()


def is_plan(answer: BackgroundAnswer) -> bool:
    return isinstance(answer, Prepared)


def is_of_device(answer: BackgroundAnswer) -> bool:
    return isinstance(answer, (DeviceFound, DeviceMissing))


def is_verified(event: VerifyAnswer) -> bool:
    return isinstance(event, Verified)


def is_failure(event: RunAnswer) -> bool:
    return isinstance(event, ExtractionFailed)


def plan(qtbot: QtBot, controller: Controller, pair: Pair, hardware: HardwareSettings, folder: Path) -> Prepared:
    with qtbot.waitSignal(controller.answered, check_params_cb=is_plan) as told:
        controller.prepare(pair, ExtractionSettings(), hardware, folder)
    answer = told.args[0]
    assert isinstance(answer, Prepared)
    return answer


def ask(qtbot: QtBot, controller: Controller, hardware: HardwareSettings) -> None:
    with qtbot.waitSignal(controller.answered, check_params_cb=is_of_device):
        controller.describe_device(hardware)


def test_a_plan_is_taken_back_when_its_device_turns_out_to_be_missing(
    qtbot: QtBot, controller: Controller, pair: Pair, tmp_path: Path
) -> None:
    assert plan(qtbot, controller, pair, THIRD, tmp_path).plan is not None
    with qtbot.waitSignal(controller.answered, check_params_cb=is_plan) as told:
        controller.describe_device(THIRD)
    answer = told.args[0]
    assert (answer.plan, answer.error.code, controller.state) == (None, ErrorCode.DEVICE_UNAVAILABLE, State.IDLE)
    assert controller.current is answer
    assert controller.estimate is None
    assert not controller.extract()
    blocked = why_not(pair, (), answer.error)
    assert blocked is not None
    assert (blocked.reason, blocked.bad) == ("There is no device cuda:3 here.", True)
    assert blocked.remedy == "Available: cpu, cuda:0."


def test_what_is_planned_afterwards_is_blocked_at_once_and_only_on_that_device(
    qtbot: QtBot, controller: Controller, pair: Pair, tmp_path: Path
) -> None:
    ask(qtbot, controller, THIRD)
    answer = plan(qtbot, controller, pair, THIRD, tmp_path)
    assert answer.plan is None
    assert answer.error is not None
    assert "cuda:3" in short_error_text(answer.error)[0]
    assert plan(qtbot, controller, pair, FIRST, tmp_path).plan is not None
    assert controller.state is State.READY


def test_the_models_can_be_verified_without_the_device(
    qtbot: QtBot, controller: Controller, pair: Pair, tmp_path: Path
) -> None:
    ask(qtbot, controller, THIRD)
    plan(qtbot, controller, pair, THIRD, tmp_path)
    with qtbot.waitSignal(controller.verify_event, check_params_cb=is_verified):
        assert controller.verify(tmp_path / "lora.safetensors")


def test_a_device_that_is_put_in_is_planned_for_again(
    qtbot: QtBot, controller: Controller, engine: OneCard, pair: Pair, tmp_path: Path
) -> None:
    plan(qtbot, controller, pair, THIRD, tmp_path)
    ask(qtbot, controller, THIRD)
    assert controller.state is State.IDLE
    engine.missing.clear()
    controller.describe_device(THIRD)
    qtbot.waitUntil(lambda: controller.state is State.READY)
    assert controller.current is not None
    assert controller.current.plan is not None


def test_a_device_that_vanishes_during_a_verification_is_told_behind_it(
    qtbot: QtBot, controller: Controller, engine: OneCard, pair: Pair, tmp_path: Path
) -> None:
    plan(qtbot, controller, pair, THIRD, tmp_path)
    engine.hold_verification.clear()
    assert controller.verify(tmp_path / "lora.safetensors")
    ask(qtbot, controller, THIRD)
    assert controller.state is State.VERIFYING
    engine.let_go()
    qtbot.waitUntil(lambda: controller.state is State.IDLE)
    assert not controller.extract()


def test_other_failures_of_describing_a_device_do_not_block(
    qtbot: QtBot, controller: Controller, engine: OneCard, pair: Pair, tmp_path: Path
) -> None:
    engine.missing["cuda:3"] = EngineError(ErrorCode.INTERNAL, detail="driver hiccup")
    plan(qtbot, controller, pair, THIRD, tmp_path)
    ask(qtbot, controller, THIRD)
    assert controller.state is State.READY


def test_a_run_that_found_its_device_missing_blocks_the_next_one(
    qtbot: QtBot, controller: Controller, engine: OneCard, pair: Pair, tmp_path: Path
) -> None:
    engine.run_error = NO_DEVICE
    plan(qtbot, controller, pair, THIRD, tmp_path)
    checks = [is_failure, is_plan]
    with qtbot.waitSignals([controller.run_event, controller.answered], check_params_cbs=checks):
        assert controller.extract()
    assert controller.state is State.FAILED
    assert controller.current is not None
    assert controller.current.error is NO_DEVICE
