"""Runs within a memory budget below their largest layer: said before the work begins, and the same LoRA in the end."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import PREFIX, random_tensor, save_model
from safetensors.torch import load_file

from app.text.estimates import problem_text
from app.text.notices import notice_text
from engine.cancel import CancelToken
from engine.devices.memory_rules import Need
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, LayerStarted, Notice, NoticeCode
from engine.planning.costs import need, need_within
from engine.planning.estimates import FreeSpace, ProblemCode, estimate
from engine.planning.memory_estimate import DeviceMemory, Limits, task_need
from engine.planning.plan import Plan
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

MIB = 2**20
LONG = (8192, 64)  # far longer than wide, as embeddings are
SETTINGS = {"filename_prefix": "lora", "rank": 8}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that does not grow with a layer is smaller, so that small layers are long ones."""
    monkeypatch.setattr("engine.decompose.delta._CHUNK", 1 << 10)
    for module in ("engine.streamed_delta", "engine.planning.costs"):
        monkeypatch.setattr(f"{module}.PART_VALUES", 1 << 14)
    for module in ("decompose.workspace", "decompose.delta", "streamed_delta", "planning.costs"):
        monkeypatch.setattr(f"engine.{module}.CHUNK_BYTES", 1 << 16)
    monkeypatch.setattr("engine.decompose.workspace._LARGE", LONG[0] * LONG[1])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """An embedding of another vocabulary, a long layer, square ones, and a bias."""
    shapes = {"layers.0.long": LONG, "layers.1.wide": (96, 700), "layers.2.square": (128, 128)}
    base = {f"{PREFIX}{name}.weight": random_tensor(*shape, seed=n) for n, (name, shape) in enumerate(shapes.items())}
    base[PREFIX + "layers.2.square.bias"] = random_tensor(5000, seed=8)
    tuned = {name: tensor + 0.1 * random_tensor(*tensor.shape, seed=9) for name, tensor in base.items()}
    paths = tmp_path / "tuned.safetensors", tmp_path / "base.safetensors"
    for path, side in zip(paths, (tuned, base), strict=True):
        save_model(path, {name: tensor.bfloat16() for name, tensor in side.items()})
    return paths


@dataclass(frozen=True)
class Ran:
    plan: Plan
    events: list[Event]

    @property
    def result(self) -> ExtractionResult:
        assert isinstance(self.events[-1], Finished)
        return self.events[-1].result

    @property
    def notices(self) -> dict[NoticeCode, Notice]:
        return {event.code: event for event in self.events if isinstance(event, Notice)}

    @property
    def tensors(self) -> bytes:
        data = self.result.outputs[0].path.read_bytes()
        return data[8 + int.from_bytes(data[:8], "little") :]


def hardware(budget: int | None) -> HardwareSettings:
    return HardwareSettings(device="cpu", memory_budget=budget, batch_size=2)  # type: ignore[arg-type]


def extracted(
    pair: tuple[Path, Path], folder: Path, budget: int | None, store: DecompositionStore | None = None, **chosen: Any
) -> Ran:
    with Session(*pair, store) as session:
        plan = session.plan(ExtractionSettings(**(SETTINGS | chosen)), hardware(budget), folder)
        return Ran(plan, list(session.extract(plan, CancelToken())))


def limits_of(budget: int) -> Limits:
    return Limits.of(hardware(budget), DeviceMemory(host=True, total_bytes=budget, cores=2))


def budget_for(plan: Plan, way: str) -> int:
    """The largest budget at which the long layer is worked on so."""
    long = next(weight for weight in plan.layers if "long" in weight.name)
    budget = 64 * MIB
    while need_within(long, plan.method, limits_of(budget).ceiling, measured=False).way != way:
        budget = int(budget * 0.97)
        assert budget > 1000, way
    return budget


@pytest.mark.parametrize("lora_type", ["standard", "adaptive_energy", "adaptive_quantile", "full"])
@pytest.mark.parametrize("way", ["filled", "pieces"])
def test_a_budget_below_the_largest_layer_gives_the_same_bytes(
    pair: tuple[Path, Path], tmp_path: Path, way: str, lora_type: str
) -> None:
    chosen = {"lora_type": lora_type, "adaptive_param": 0.4, "rank": 12}
    free = extracted(pair, tmp_path / "free", None, **chosen)
    wanted = "filled" if lora_type == "full" else way
    budget = budget_for(free.plan, wanted)
    short = extracted(pair, tmp_path / "short", budget, **chosen)
    assert short.tensors == free.tensors
    assert [row.relative_error for row in short.result.rows] == [row.relative_error for row in free.result.rows]
    told = short.notices[NoticeCode.READ_IN_PARTS]
    assert told.name == f"{PREFIX.removeprefix('model.')}layers.0.long.weight"
    assert "part by part" in notice_text(told)
    assert NoticeCode.READ_IN_PARTS not in free.notices
    if wanted == "pieces":
        assert short.result.read_bytes > free.result.read_bytes


def test_a_run_in_parts_that_is_stopped_goes_on_with_the_same_bytes(pair: tuple[Path, Path], tmp_path: Path) -> None:
    free = extracted(pair, tmp_path / "free", None)
    budget, store, cancel = budget_for(free.plan, "pieces"), DecompositionStore(tmp_path / "store"), CancelToken()
    with Session(*pair, store) as session:
        plan = session.plan(ExtractionSettings(**SETTINGS), hardware(budget), tmp_path / "out")
        with suppress(Cancelled):
            for event in session.extract(plan, cancel):
                assert not isinstance(event, Finished)
                if isinstance(event, LayerDone):
                    cancel.cancel()
    assert not list((tmp_path / "out").glob("*"))
    for again in (budget, None):  # with and without the budget
        rest = extracted(pair, tmp_path / "out", again, store)
        assert rest.result.layers_reused > 0
        assert rest.tensors == free.tensors


def test_the_remarks_on_memory_come_before_any_layer(pair: tuple[Path, Path], tmp_path: Path) -> None:
    tiny = extracted(pair, tmp_path, 200_000)
    codes = [event.code if isinstance(event, Notice) else type(event) for event in tiny.events]
    first = codes.index(LayerStarted)
    assert codes.index(NoticeCode.OVER_BUDGET) < first
    assert codes.index(NoticeCode.READ_IN_PARTS) < first
    assert len(tiny.result.rows) == len(tiny.plan.layers)


def test_the_estimate_says_beforehand_what_cannot_fit_and_names_a_budget_that_is_enough(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    ran = extracted(pair, tmp_path, 200_000)
    run_says = ran.notices[NoticeCode.OVER_BUDGET]
    device, room = (
        DeviceMemory(host=True, total_bytes=200_000, cores=2),
        FreeSpace(10**12, 10**12, 10**12, one_disk=False),
    )
    problem = estimate(ran.plan, None, device, None, room).problems[0]
    assert problem.code is ProblemCode.LAYER_EXCEEDS_BUDGET
    assert problem.data == {"name": run_says.name, "needed": run_says.data["needed"], "budget": 200_000}
    assert "layers.0.long needs" in problem_text(problem)[0]
    enough = problem.data["needed"]
    again = extracted(pair, tmp_path, enough)
    assert NoticeCode.OVER_BUDGET not in again.notices
    codes = {
        item.code
        for item in estimate(
            again.plan, None, DeviceMemory(host=True, total_bytes=enough, cores=2), None, room
        ).problems
    }
    assert ProblemCode.LAYER_EXCEEDS_BUDGET not in codes


def test_the_plan_reckons_with_the_way_in_which_each_layer_will_be_worked_on(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(**SETTINGS), hardware(None), tmp_path)
    for weight, task in zip(plan.layers, plan.tasks, strict=False):
        whole = need(weight, plan.method, host=True)
        assert need_within(weight, plan.method, whole.total, measured=False) == whole
        ways: list[Need] = [
            need_within(weight, plan.method, ceiling, measured=False)
            for ceiling in range(whole.total, 0, -max(1, whole.total // 40))
        ]
        totals = [way.total for way in ways]
        assert totals == sorted(totals, reverse=True), "less memory never takes more"
        assert all(way.source == 0 for way in ways if way.way != "whole")
        assert task_need(plan, task, host=True, ceiling=0) == ways[-1]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("way", ["whole", "filled", "pieces"])
def test_a_broken_value_is_blamed_on_its_file_however_the_layer_is_read(
    pair: tuple[Path, Path], tmp_path: Path, side: int, way: str
) -> None:
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(**SETTINGS), hardware(None), tmp_path)
    budget = None if way == "whole" else budget_for(plan, way)
    tensors = load_file(pair[side])
    tensors[PREFIX + "layers.0.long.weight"][4000, 3] = math.nan
    save_model(pair[side], tensors)
    with pytest.raises(EngineError) as caught:
        extracted(pair, tmp_path / "out", budget)
    assert (caught.value.code, caught.value.file) == (ErrorCode.NON_FINITE, str(pair[side]))
    left = extracted(pair, tmp_path / "out", budget, skip_nonfinite=True).result.left_out
    assert [item.detail for item in left if "long" in item.name] == [f"in {pair[side].name}"]


def test_a_vocabulary_that_was_cut_is_extracted_within_the_budget_too(tmp_path: Path) -> None:
    name = PREFIX + "embed_tokens.weight"
    base, tuned = random_tensor(*LONG, seed=0), random_tensor(LONG[0] // 2, LONG[1], seed=1)
    pair = (
        save_model(tmp_path / "tuned.safetensors", {name: tuned.to(torch.float16)}),
        save_model(tmp_path / "base.safetensors", {name: base.to(torch.bfloat16)}),
    )
    free = extracted(pair, tmp_path / "free", None)
    assert free.plan.layers[0].common == tuned.shape
    for budget in (600_000, 900_000, 2_000_000):
        assert extracted(pair, tmp_path / str(budget), budget).tensors == free.tensors
