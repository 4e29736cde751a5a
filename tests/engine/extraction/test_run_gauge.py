"""The time that is left, by a clock of the test's own; and the remark about a budget below one layer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from extraction_runs import EXACT
from model_files import matrices, save_model, save_pair
from toys.executor import ToyExecutor

from engine.cancel import CancelToken
from engine.events import Event, Finished, Notice, NoticeCode
from engine.extraction.layer_executor import RunContext, RunInputs
from engine.extraction.progress import RunProgress
from engine.planning.costs import need, need_within
from engine.planning.plan import Plan
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def gauge_of(folder: Path, layers: int) -> tuple[RunProgress, Clock]:
    """A gauge on a run of layers that cost the same."""
    tuned, base = matrices(layers, seed=0), matrices(layers, seed=50)
    pair = save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)
    clock = Clock()
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(), HardwareSettings(), folder / "out")
        models = session.finetuned, session.original
    inputs = RunInputs(plan.layers, plan.method, plan.hardware)
    executor = ToyExecutor(inputs, RunContext(models, lambda event: None, lambda: False))
    return RunProgress(executor, costs=plan.costs, started=clock.now, clock=clock), clock


def test_kept_layers_say_nothing_of_the_time_that_the_others_take(tmp_path: Path) -> None:
    gauge, clock = gauge_of(tmp_path, 20)
    clock.now += 3  # loading torch, looking for earlier runs
    gauge.begin(range(15))
    clock.now += 0.1
    for index in range(15):
        gauge.settle(index)
    assert gauge.share == pytest.approx(15 / 20)
    assert gauge.remaining() is None, "nothing of the new work is done yet"
    clock.now += 3.9
    gauge.settle(15)
    assert gauge.seconds() == pytest.approx(7)
    assert gauge.remaining() == pytest.approx(4 * 4), "four seconds for one layer, four of which are left"


def test_a_record_that_cannot_be_used_is_work_again(tmp_path: Path) -> None:
    gauge, clock = gauge_of(tmp_path, 10)
    gauge.begin(range(8))
    gauge.lose(0)
    clock.now += 2
    gauge.settle(8)
    assert gauge.remaining() == pytest.approx(2 * 2), "the ninth and the lost one"


def test_a_run_that_computes_all_itself_is_judged_by_all(tmp_path: Path) -> None:
    gauge, clock = gauge_of(tmp_path, 10)
    gauge.begin(())
    for index in range(10):
        clock.now += 1.5
        gauge.settle(index)
        assert gauge.remaining() == pytest.approx(1.5 * (9 - index), abs=1e-9)


def test_where_nothing_is_to_be_computed_the_loading_counts(tmp_path: Path) -> None:
    gauge, clock = gauge_of(tmp_path, 10)
    gauge.begin(range(10))
    clock.now += 1
    gauge.settle(0)
    assert gauge.remaining() == pytest.approx(9)


def events_within(budget: int | None, folder: Path, **settings: Any) -> tuple[Plan, list[Event]]:
    hardware = HardwareSettings(device="cpu", memory_budget=budget)  # type: ignore[arg-type]
    with Session(*save_pair(folder)) as session:
        plan = session.plan(ExtractionSettings(**settings), hardware, folder / "out")
        return plan, list(session.extract(plan, CancelToken()))


def test_a_budget_below_some_layers_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    whole, _ = events_within(None, tmp_path, **EXACT)
    least = {layer.name: need_within(layer, whole.method, 0, measured=False).total for layer in whole.layers}
    *_, second, largest = sorted(least, key=lambda name: least[name])
    assert least[second] < least[largest]
    plan, events = events_within(least[second], tmp_path, **EXACT, resume=False)
    told = [event for event in events if isinstance(event, Notice) and event.code is NoticeCode.OVER_BUDGET]
    assert [(notice.name, notice.data["budget"]) for notice in told] == [(largest, least[second])]
    assert (
        least[largest]
        <= told[0].data["needed"]
        <= need(next(layer for layer in whole.layers if layer.name == largest), whole.method, host=True).total
    )
    assert isinstance(events[-1], Finished)
    assert len(events[-1].result.rows) == len(plan.layers)


def test_a_budget_that_every_layer_fits_is_no_news(tmp_path: Path) -> None:
    for budget in (None, 10**9):
        _, events = events_within(budget, tmp_path)
        assert not [event for event in events if isinstance(event, Notice) and event.code is NoticeCode.OVER_BUDGET]
