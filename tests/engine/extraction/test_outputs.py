"""One decomposition serves all files of a run; each file is the one that a run of its own would have written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from extraction_runs import verified
from model_files import random_tensor, save_model, save_pair
from safetensors.torch import load_file
from toys import format as toy_format

from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone
from engine.planning.costs import need
from engine.results import ExtractionResult, OutputFile
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

HARDWARE = HardwareSettings(device="cpu", batch_size=1)
COMFYUI = ExtractionSettings(filename_prefix="lora", rank=4)
SHAPES = {
    **{f"blocks.{index}.self_attn.{part}.weight": (24, 16) for index in range(3) for part in "qk"},
    "blocks.0.self_attn.q.bias": (24,),
    "head.modulation": (1, 2, 24),
}


def changed(**values: Any) -> ExtractionSettings:
    return COMFYUI.model_copy(update=values)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_format.register(monkeypatch)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    base = {name: random_tensor(*shape, seed=number) for number, (name, shape) in enumerate(SHAPES.items())}
    tuned = {name: value + 0.1 * random_tensor(*value.shape, seed=50) for name, value in base.items()}
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def extracted(session: Session, folder: Path, *settings: ExtractionSettings) -> ExtractionResult:
    plan = session.plan(settings[0], HARDWARE, folder, settings[1:])
    *_, last = session.extract(plan, CancelToken())
    assert isinstance(last, Finished)
    return last.result


def assert_same_file(one: OutputFile, other: OutputFile) -> None:
    ours, theirs = load_file(one.path), load_file(other.path)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    reports = [json.loads(output.report.read_text()) for output in (one, other)]
    for name in ("rank", "key_format", "settings", "left_out"):
        assert reports[0][name] == reports[1][name], name
    for name in ("layers", "mean_energy_retained", "worst_energy_retained", "stored_fp32"):
        assert reports[0]["totals"][name] == reports[1]["totals"][name], name
    dtypes = [[row["stored_dtype"] for row in report["layers"]] for report in reports]
    assert dtypes[0] == dtypes[1]


FURTHER = [
    changed(key_format="toy", output_dtype="bf16"),
    changed(key_format="kohya"),
    changed(output_dtype="fp32", clamp_quantile=False, filename_prefix="exact"),
]


def test_each_file_of_a_run_is_that_of_a_run_of_its_own(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session:
        together = extracted(session, tmp_path / "all", COMFYUI, *FURTHER)
        alone = [extracted(session, tmp_path / f"{n}", one) for n, one in enumerate((COMFYUI, *FURTHER))]
    assert [output.key_format for output in together.outputs] == ["comfyui", "toy", "kohya", "comfyui"]
    for output, single in zip(together.outputs, alone, strict=True):
        assert_same_file(output, single.outputs[0])
        assert output.path.name == single.outputs[0].path.name
    assert together.read_bytes == alone[0].read_bytes
    assert {row.name for row in together.rows} == {row.name for row in alone[0].rows}


def test_every_file_of_a_run_holds_what_verify_finds_in_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session:
        result = extracted(session, tmp_path, COMFYUI, *FURTHER)
    for output in result.outputs:
        found = verified(pair, output.path)
        assert found.key_format == output.key_format
        assert found.mean_energy_retained == pytest.approx(output.mean_energy_retained, abs=1e-5)


def test_a_file_that_holds_less_comes_first_and_the_others_still_get_everything(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    with Session(*pair) as session:
        plan = session.plan(changed(key_format="kohya"), HARDWARE, tmp_path, [COMFYUI])
        events = list(session.extract(plan, CancelToken()))
    assert isinstance(events[-1], Finished)
    kohya, comfyui = (load_file(output.path) for output in events[-1].result.outputs)
    assert (len(kohya), len(comfyui)) == (18, 20)
    done = [event.row.name for event in events if isinstance(event, LayerDone)]
    assert len(done) == len(SHAPES)
    assert events[-1].result.layers == 6
    assert events[-1].result.outputs[0].mean_energy_retained < events[-1].result.outputs[1].mean_energy_retained


def test_all_files_of_a_run_come_from_the_cache_again(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair, DecompositionStore(tmp_path / "store")) as session:
        first = extracted(session, tmp_path / "a", COMFYUI, *FURTHER)
        second = extracted(session, tmp_path / "b", COMFYUI, *FURTHER)
        single = extracted(session, tmp_path / "c", FURTHER[1])
    assert (first.layers_reused, second.layers_reused, single.layers_reused) == (0, len(SHAPES), 6)
    for one, other in zip(first.outputs, second.outputs, strict=True):
        assert_same_file(one, other)
    assert_same_file(first.outputs[2], single.outputs[0])


def test_a_stopped_run_leaves_none_of_its_files(pair: tuple[Path, Path], tmp_path: Path) -> None:
    cancel = CancelToken()

    def stop_after_the_first_layer(events: Iterator[Event]) -> None:
        for event in events:
            if isinstance(event, LayerDone):
                cancel.cancel()

    with Session(*pair) as session:
        plan = session.plan(COMFYUI, HARDWARE, tmp_path / "out", FURTHER)
        with pytest.raises(Cancelled):
            stop_after_the_first_layer(session.extract(plan, cancel))
    assert not (tmp_path / "out").exists()


def test_where_one_file_cannot_be_put_in_place_there_is_none(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(*pair) as session:
        plan = session.plan(COMFYUI, HARDWARE, tmp_path / "out", [changed(key_format="toy")])
        placed: list[str] = []

        def place(part: Path, path: Path) -> bool:
            placed.append(path.name)
            if "toy" in path.name:
                raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=path, reason="the disk was taken out")
            part.rename(path)
            return True

        monkeypatch.setattr("engine.formats.safetensors_writer._place", place)
        with pytest.raises(EngineError):
            list(session.extract(plan, CancelToken()))
    assert len(placed) == 2
    assert list((tmp_path / "out").rglob("*.*")) == []


def test_files_of_one_run_have_one_rule_of_ranks_and_full_has_one_file(tmp_path: Path) -> None:
    with Session(*save_pair(tmp_path)) as session:
        for other in ({"lora_type": "adaptive_fro"}, {"algorithm": "svd_lowrank"}, {"seed": 1}, {"bias_diff": False}):
            with pytest.raises(ValueError, match="clamp_max_loss, clamp_quantile, filename_prefix, key_format"):
                session.plan(COMFYUI, HARDWARE, tmp_path, [changed(**other)])
        with pytest.raises(ValueError, match="full"):
            session.plan(changed(lora_type="full"), HARDWARE, tmp_path, [changed(lora_type="full", key_format="toy")])


def test_what_the_format_of_one_file_cannot_hold_is_not_called_no_difference(tmp_path: Path) -> None:
    base = {name: random_tensor(*shape, seed=number) for number, (name, shape) in enumerate(SHAPES.items())}
    tuned = base | {"blocks.0.self_attn.q.bias": random_tensor(24, seed=70)}
    pair = save_model(tmp_path / "t.safetensors", tuned), save_model(tmp_path / "b.safetensors", base)
    with Session(*pair) as session:
        for chosen in ([changed(key_format="kohya")], [COMFYUI, changed(key_format="kohya")]):
            with pytest.raises(EngineError) as caught:
                extracted(session, tmp_path / "out", *chosen)
            data = caught.value.data
            assert (caught.value.code, data["reason"]) == (ErrorCode.FORMAT_UNSUITABLE, "nothing_changed")
            assert (data["format"], "ComfyUI" in data["available"]) == ("Kohya", True)
        assert not (tmp_path / "out").exists()
        assert extracted(session, tmp_path / "out", COMFYUI).layers == 1


def test_the_same_models_have_no_difference_in_any_format(pair: tuple[Path, Path], tmp_path: Path) -> None:
    copy = save_model(tmp_path / "copy.safetensors", load_file(pair[1]))
    with Session(copy, pair[1]) as session, pytest.raises(EngineError) as caught:
        extracted(session, tmp_path / "out", changed(key_format="kohya"))
    assert caught.value.code is ErrorCode.NO_DIFFERENCE


def test_two_files_of_one_name_are_planned_and_written_under_different_names(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    further = changed(clamp_quantile=not COMFYUI.clamp_quantile)
    with Session(*pair) as session:
        plan = session.plan(COMFYUI, HARDWARE, tmp_path / "out", [further])
        result = extracted(session, tmp_path / "out", COMFYUI, further)
    names = [output.name for output in plan.outputs]
    assert len(set(names)) == 2
    assert [output.path.name for output in result.outputs] == names


def test_files_in_two_folders_of_one_disk_need_room_for_both(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = changed(filename_prefix="a/x"), changed(filename_prefix="b/x")
    with Session(*pair) as session:
        size = session.plan(one, HARDWARE, tmp_path).output_bytes
        monkeypatch.setattr("engine.planning.output.free_bytes", lambda folder: int(1.5 * size))
        with pytest.raises(EngineError) as caught:
            session.plan(one, HARDWARE, tmp_path, [other])
        assert caught.value.code is ErrorCode.DISK_FULL
        monkeypatch.setattr("engine.planning.output.same_disk", lambda one, other: one == other)
        assert len(session.plan(one, HARDWARE, tmp_path, [other]).outputs) == 2


def test_what_further_rules_store_counts_to_what_a_layer_needs_on_the_processor(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.planning.costs.solver_bytes", lambda *_args, **_more: 0)  # so that storing takes most
    with Session(*pair) as session:
        plan = session.plan(COMFYUI, HARDWARE, tmp_path, [changed(output_dtype="fp32")])
    weight = next(weight for weight in plan.layers if weight.kind == "matrix")
    wide = replace(weight, shape=(4096, 8192))
    one = replace(plan.method, policy=replace(plan.method.policy, rank=2048), storing=plan.method.storing[:1])
    three = replace(one, storing=(plan.method.storing[0], *plan.method.storing))
    fp32 = 4 * 2048 * (4096 + 8192) + 4
    more = need(wide, replace(three, storing=(*three.storing[:2], plan.method.storing[1])), host=True)
    assert more.total - need(wide, one, host=True).total == 2 * fp32
    assert need(wide, three, host=False) == need(wide, one, host=False)
