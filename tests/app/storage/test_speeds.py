"""What finished runs teach about the machine, and what becomes of the file that keeps it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import GB, FakeEngine, FakeSession, layer_result
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot
from window_steps import Pair

from app.storage.json_store import StoreTrouble
from app.storage.speeds import Method, SpeedStore, blended, method_of, workload_done
from app.text.estimates import about_seconds, estimate_lines, estimate_text, problem_text
from app.work.controller import Controller, State
from app.work.requests import BackgroundAnswer, Forecast
from engine.checkpoints import StoredTensor, WeightSource, WeightView
from engine.checkpoints.stored import RAW
from engine.decompose.method import LayerMethod
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.planning.estimates import Amount, Estimate, Problem, ProblemCode, Speed, Workload, seconds_for, workload
from engine.planning.plan import Plan
from engine.planning.work import work
from engine.results import ExtractionResult, StageSeconds
from engine.settings import ExtractionSettings, HardwareSettings

CARD = "NVIDIA RTX 4090"


@pytest.fixture
def plan() -> Plan:
    return FakeSession(FakeEngine()).plan(ExtractionSettings(rank=32), HardwareSettings(), Path("loras"))


def result_of(plan: Plan, seconds: float, **known: object) -> ExtractionResult:
    rows = tuple(replace(layer_result(weight.name), seconds=StageSeconds(read=0.01)) for weight in plan.layers)
    return replace(ExtractionResult((), rows, (), seconds, 0, 0), **known)  # type: ignore[arg-type]


def made_up_layer(shape: tuple[int, int], rank: int) -> float:
    stored = StoredTensor("made_up", "BF16", shape, 2 * shape[0] * shape[1])
    view = WeightView.of(WeightSource("made_up", shape, "BF16", RAW, (stored,)), "denoiser")
    weight = PairedWeight("made_up.weight", "matrix", "denoiser", shape, view, view, Block())
    return work(weight, LayerMethod.of(ExtractionSettings(rank=rank)))


def told(store: SpeedStore, plan: Plan) -> float:
    speed = store.find(CARD, method_of(plan.settings))
    assert speed is not None
    return seconds_for(workload(plan), speed)


def test_after_one_run_the_same_run_is_estimated_at_what_it_took(plan: Plan) -> None:
    store = SpeedStore()
    store.learn(CARD, plan, result_of(plan, 40.0))
    assert told(store, plan) == pytest.approx(40.0, rel=0.05)


def test_later_runs_pull_the_estimate_towards_them_but_one_alone_does_not_decide(plan: Plan) -> None:
    store = SpeedStore()
    for seconds in (40.0, 10.0):
        store.learn(CARD, plan, result_of(plan, seconds))
    assert 15.0 < told(store, plan) < 30.0
    for _ in range(8):
        store.learn(CARD, plan, result_of(plan, 10.0))
    assert told(store, plan) == pytest.approx(10.0, rel=0.05)


def test_a_run_replaces_what_was_only_calibrated(plan: Plan) -> None:
    store = SpeedStore()
    store.calibrated(CARD, method_of(plan.settings), Speed(1e6, 1e9, 1.0))
    store.learn(CARD, plan, result_of(plan, 40.0))
    assert told(store, plan) == pytest.approx(40.0, rel=0.05)
    store.calibrated(CARD, method_of(plan.settings), Speed(1e6, 1e9, 1.0))
    assert told(store, plan) == pytest.approx(40.0, rel=0.05), "and no calibration replaces a run"


def test_many_small_layers_correct_the_time_around_a_layer_and_large_ones_the_work() -> None:
    before = Speed(1e12, 1e9, 0.01)
    small, large = Workload(1000, 1e10, 0), Workload(2, 1e14, 0)
    for done, twice in ((small, 20.02), (large, 200.04)):
        after = blended(before, done, ExtractionResult((), (), (), twice, 0, 0), 1.0)
        assert seconds_for(done, after) == pytest.approx(twice, rel=0.01)
    many = blended(before, small, ExtractionResult((), (), (), 20.0, 0, 0), 1.0)
    few = blended(before, large, ExtractionResult((), (), (), 200.0, 0, 0), 1.0)
    assert many.work_per_second == pytest.approx(before.work_per_second, rel=0.01)
    assert few.layer_seconds == pytest.approx(before.layer_seconds, rel=0.01)


def test_time_in_which_the_device_waited_for_the_disk_does_not_make_it_slower(plan: Plan) -> None:
    store = SpeedStore()
    waited = result_of(plan, 40.0, waited_share=0.75, read_bytes=4 * GB)
    store.learn(CARD, plan, waited)
    speed = store.find(CARD, method_of(plan.settings))
    assert speed is not None
    assert seconds_for(replace(workload(plan), read_bytes=0), speed) == pytest.approx(10.0, rel=0.05)
    assert speed.read_per_second == pytest.approx(4 * GB / 0.12, rel=0.01), "12 rows of 0.01 s"


def test_layers_that_did_not_change_count_as_read_only(plan: Plan) -> None:
    half = result_of(plan, 40.0)
    half = replace(half, rows=half.rows[:6])
    done = workload_done(plan, half)
    assert sum(plan.costs[:6]) < done.work < sum(plan.costs) * 0.75


@pytest.mark.parametrize("known", [{"seconds": 0.2}, {"layers_reused": 3}])
def test_short_runs_and_those_that_used_earlier_layers_teach_nothing(plan: Plan, known: dict[str, float]) -> None:
    store = SpeedStore()
    store.learn(CARD, plan, replace(result_of(plan, 40.0), **known))
    assert store.find(CARD, method_of(plan.settings)) is None
    assert not store.path.exists()


def test_what_was_learnt_is_kept_for_each_device_and_method(plan: Plan) -> None:
    SpeedStore().learn(CARD, plan, result_of(plan, 40.0))
    again = SpeedStore()
    assert told(again, plan) == pytest.approx(40.0, rel=0.05)
    assert again.find("CPU, 2 cores", method_of(plan.settings)) is None
    assert again.find(CARD, Method("svd_lowrank", 1)) is None
    assert again.find(CARD, Method("svd_linalg", 3)) is not None, "the nearest ranks are better than nothing"
    assert again.knows(CARD, Method("svd_linalg", 3)), "a calibration would tell less than a run"
    assert not again.knows(CARD, Method("svd_lowrank", 1))
    content = json.loads(again.path.read_text())
    assert content["version"] == 2
    assert [entry["device"] for entry in content["speeds"]] == [CARD]


@pytest.mark.parametrize(
    ("rank", "ranks"), [(1, 0), (16, 0), (17, 1), (64, 1), (65, 2), (256, 2), (1024, 3), (4096, 4)]
)
def test_methods_are_told_apart_by_solver_and_by_how_many_ranks(rank: int, ranks: int) -> None:
    assert method_of(ExtractionSettings(rank=rank)) == Method("svd_linalg", ranks)
    adaptive = ExtractionSettings(rank=rank, lora_type="adaptive_fro", algorithm="svd_lowrank")
    assert method_of(adaptive) == Method("svd_lowrank adaptive", ranks)
    assert method_of(ExtractionSettings(rank=rank, lora_type="full")) == Method("full", 0)


def test_what_the_last_version_learnt_is_read_in_the_unit_of_today(plan: Plan) -> None:
    entry = {"device": CARD, "solver": "svd_linalg", "ranks": 1, "work_per_second": 2e11}
    entry |= {"read_per_second": 1e9, "layer_seconds": 0.002, "runs": 1}
    store = SpeedStore()
    store.path.parent.mkdir(parents=True, exist_ok=True)
    store.path.write_text(json.dumps({"version": 1, "speeds": [entry]}))
    speed = store.find(CARD, Method("svd_linalg", 1))
    assert speed is not None
    flops = 2048 * 1280 * (200 + 8 * 64 + 2 * 1280) + 12 * 1280**3
    layer = made_up_layer((2048, 1280), rank=64)
    assert layer / speed.work_per_second == pytest.approx(flops / 2e11, rel=0.05)


def test_a_run_with_another_solver_tells_the_speed_of_a_processor_but_not_of_a_card(plan: Plan) -> None:
    store = SpeedStore()
    for device in (CARD, "CPU, 2 cores"):
        store.learn(device, plan, result_of(plan, 40.0))
    assert store.find(CARD, Method("svd_lowrank", 1)) is None
    assert store.find("CPU, 2 cores", Method("svd_lowrank", 1)) == store.find("CPU, 2 cores", Method("svd_linalg", 1))
    assert store.find("CPU, 2 cores", Method("full", 0)) is None


@pytest.mark.parametrize("text", ["{", '{"version": 1, "speeds": [{"device": "x"}]}', '{"version": 1, "speeds": 7}'])
def test_a_damaged_file_is_set_aside_and_learning_begins_anew(plan: Plan, text: str) -> None:
    path = SpeedStore().path
    path.parent.mkdir(parents=True)
    path.write_text(text)
    store = SpeedStore()
    assert store.find(CARD, method_of(plan.settings)) is None
    assert store.problem is not None
    assert store.problem.trouble is StoreTrouble.CORRUPT
    assert path.with_name("speeds.json.broken-1").read_text() == text
    store.learn(CARD, plan, result_of(plan, 40.0))
    assert told(SpeedStore(), plan) == pytest.approx(40.0, rel=0.05)


def test_the_file_of_a_newer_version_is_left_alone(plan: Plan) -> None:
    path = SpeedStore().path
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 99}')
    store = SpeedStore()
    store.learn(CARD, plan, result_of(plan, 40.0))
    assert path.read_text() == '{"version": 99}'
    assert told(store, plan) == pytest.approx(40.0, rel=0.05), "known until the program ends"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "under 5 s"),
        (4.99, "under 5 s"),
        (6, "about 5 s"),
        (23, "about 25 s"),
        (52, "about 50 s"),
        (58, "about 1 min"),
        (200, "about 3 min"),
        (1000, "about 15 min"),
        (3500, "about 1 h"),
        (4700, "about 1 h 20 min"),
        (7100, "about 2 h"),
        (86_000, "about 24 h"),
    ],
)
def test_times_are_told_no_more_exactly_than_they_are_known(seconds: float, words: str) -> None:
    assert about_seconds(seconds) == words


def an_estimate(**known: object) -> Estimate:
    usual = Estimate(
        seconds=52.0,
        workload=Workload(304, 1e14, 10**10),
        device=Amount(18 * GB, 24 * GB),
        device_limit=18 * GB,
        host=Amount(2 * GB, 30 * GB),
        output=Amount(310_000_000, 10**12),
        journal=Amount(620_000_000, None),
        one_disk=True,
        problems=(),
    )
    return replace(usual, **known)  # type: ignore[arg-type]


def test_an_estimate_is_one_line_and_its_tooltip_has_everything() -> None:
    assert (
        estimate_text(an_estimate(), 310_000_000) == "About 50 s \u00b7 fits: 18 of 24 GB \u00b7 file: at most 310 MB"
    )
    assert estimate_text(an_estimate(seconds=None, device=None), 310_000_000) == "File: at most 310 MB"
    lines = estimate_lines(an_estimate())
    assert lines[0] == "Time: about 50 s, for 304 layers"
    assert lines[2] == "Main memory: at most 2.0 GB, 30 GB free"
    assert "an unknown amount" in lines[-1]


@pytest.mark.parametrize("code", list(ProblemCode))
def test_every_problem_has_words_and_a_remedy(code: ProblemCode) -> None:
    data = {"name": "diffusion_model.a.weight", "needed": 9 * GB, "available": 6 * GB, "budget": GB, "exact": True}
    message, remedy = problem_text(Problem(code, data))
    assert "9.0 GB" in message
    assert remedy
    assert "{" not in message + remedy


class Listener(QObject):
    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.estimates: list[Estimate] = []
        controller.answered.connect(self.take)

    def take(self, answer: BackgroundAnswer) -> None:
        if isinstance(answer, Forecast):
            self.estimates.append(answer.estimate)


@pytest.fixture
def controller(qtbot: QtBot, engine: FakeEngine) -> Iterator[Controller]:
    made = Controller(engine)
    yield made
    engine.let_go()
    made.shut_down()


def prepare(qtbot: QtBot, controller: Controller, pair: Pair, folder: Path, rank: int = 8) -> None:
    controller.prepare(pair, ExtractionSettings(rank=rank), HardwareSettings(), folder)
    qtbot.waitUntil(lambda: controller.state is State.READY)


def test_an_estimate_follows_the_plan_and_gets_better_once_the_device_is_known(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    listener = Listener(controller)
    prepare(qtbot, controller, pair, tmp_path)
    qtbot.waitUntil(lambda: len(listener.estimates) == 1)
    assert (listener.estimates[0].device, listener.estimates[0].seconds) == (None, None)
    assert listener.estimates[0].output.needed == 310_000_000
    controller.describe_device(HardwareSettings())
    qtbot.waitUntil(lambda: controller.estimate is not None and controller.estimate.seconds is not None)
    newest = listener.estimates[-1]
    plan = controller.current.plan  # type: ignore[union-attr]
    assert newest is controller.estimate
    assert newest.seconds == pytest.approx(seconds_for(workload(plan), engine.speed))  # type: ignore[arg-type]
    assert newest.device.available == 24 * 1024**3  # type: ignore[union-attr]


def test_a_device_is_tried_out_once_for_each_method(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    controller.describe_device(HardwareSettings())
    for rank in (8, 16, 8, 128):
        prepare(qtbot, controller, pair, tmp_path, rank)
        qtbot.waitUntil(lambda: controller.estimate is not None and controller.estimate.seconds is not None)
    qtbot.waitUntil(lambda: len(engine.calibrations) == 2)
    assert [settings.rank for settings in engine.calibrations] == [8, 128]


def test_a_finished_run_teaches_and_the_next_estimate_knows(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    controller.describe_device(HardwareSettings())
    prepare(qtbot, controller, pair, tmp_path)
    qtbot.waitUntil(lambda: controller.estimate is not None and controller.estimate.seconds is not None)
    assert controller.extract()
    qtbot.waitUntil(lambda: controller.state is State.DONE and controller.estimate is not None)
    qtbot.waitUntil(lambda: abs((controller.estimate.seconds or 0) - 41.0) < 2.0)  # type: ignore[union-attr]


def test_a_calibration_that_fails_leaves_the_time_unknown_and_the_rest_told(
    qtbot: QtBot, controller: Controller, engine: FakeEngine, pair: Pair, tmp_path: Path
) -> None:
    engine.speed = None
    controller.describe_device(HardwareSettings())
    prepare(qtbot, controller, pair, tmp_path)
    qtbot.waitUntil(lambda: controller.estimate is not None and controller.estimate.device is not None)
    assert controller.estimate is not None
    assert controller.estimate.seconds is None
