"""Several ranks of one run: one decomposition at the largest, and a file for each that is the best of its rank."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from extraction_runs import verified
from model_files import random_tensor, save_model
from safetensors import safe_open
from safetensors.torch import load_file

from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Event, Finished, LayerDone, Notice, NoticeCode, Planned, Progress
from engine.formats.safetensors_writer import SafetensorsWriter
from engine.planning.variants import variants
from engine.results import ExtractionResult, OutputFile
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

HARDWARE = HardwareSettings(device="cpu", batch_size=1)
EXACT = ExtractionSettings(filename_prefix="lora", output_dtype="fp32", clamp_quantile=False)
RANKS = (2, 4, 12)
SHAPES = {
    **{f"blocks.{index}.self_attn.{part}.weight": (24, 16) for index in range(3) for part in "qk"},
    "blocks.0.conv.weight": (10, 6, 3, 3),
    "blocks.0.self_attn.q.bias": (24,),
    "head.modulation": (1, 2, 24),
}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    base = {name: random_tensor(*shape, seed=number) for number, (name, shape) in enumerate(SHAPES.items())}
    tuned = {name: value + 0.1 * random_tensor(*value.shape, seed=50) for name, value in base.items()}
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def events_of(session: Session, folder: Path, *settings: ExtractionSettings) -> list[Event]:
    plan = session.plan(settings[0], HARDWARE, folder, settings[1:])
    return list(session.extract(plan, CancelToken()))


def extracted(session: Session, folder: Path, *settings: ExtractionSettings) -> ExtractionResult:
    last = events_of(session, folder, *settings)[-1]
    assert isinstance(last, Finished)
    return last.result


def report_of(output: OutputFile) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(output.report.read_text())
    return document


def relative_error(pair: tuple[Path, Path], output: OutputFile, name: str, strength: float = 1.0) -> float:
    """Of a layer's product as it stands in a ComfyUI or Kohya file, divided by the strength; float64."""
    tuned, base, lora = load_file(pair[0]), load_file(pair[1]), load_file(output.path)
    delta = (tuned[name].double() - base[name].double()).flatten(1)
    module = name.removesuffix(".weight")
    key = next(
        key
        for key in lora
        if key.endswith(".lora_up.weight")
        and key.removesuffix(".lora_up.weight").replace("_", ".").endswith(module.replace("_", "."))
    )
    up, down = lora[key].double().flatten(1), lora[key.replace("up", "down")].double().flatten(1)
    alpha = float(lora[key.replace("lora_up.weight", "alpha")])
    return float((delta - alpha / len(down) / strength * up @ down).norm() / delta.norm())


def optimum(pair: tuple[Path, Path], name: str, rank: int) -> float:
    tuned, base = load_file(pair[0]), load_file(pair[1])
    s = torch.linalg.svdvals((tuned[name].double() - base[name].double()).flatten(1))
    return float(s[rank:].norm() / s.norm())


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder without the date, which is another one when a second has passed between two runs."""
    date = re.compile(rb'"modelspec\.date":"[^"]*"')
    return {path.name: date.sub(b"", path.read_bytes()) for path in folder.rglob("*.safetensors")}


MATRICES = [name for name in SHAPES if name.endswith("weight")]


def test_every_file_is_the_best_of_its_rank_by_lapack(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session:
        result = extracted(session, tmp_path / "out", *variants(EXACT, ranks=RANKS))
    assert [output.rank for output in result.outputs] == ["2", "4", "12"]
    for output, rank in zip(result.outputs, RANKS, strict=True):
        for name in MATRICES:
            best = optimum(pair, name, rank)
            assert relative_error(pair, output, name) <= (1 + 1e-5) * best + 1e-6, (rank, name)


def test_every_file_has_its_own_rank_energies_report_and_metadata(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session:
        result = extracted(session, tmp_path / "out", *variants(EXACT, ranks=RANKS))
    kept = [output.mean_energy_retained for output in result.outputs]
    assert kept == sorted(kept)
    assert kept[0] < kept[1] < kept[2]
    for output, rank in zip(result.outputs, RANKS, strict=True):
        report = report_of(output)
        assert report["rank"] == str(rank)
        assert report["settings"]["rank"] == rank
        assert report["outputs"] == [other.path.name for other in result.outputs]
        rows = {row["name"]: row for row in report["layers"]}
        sides = {name: min(shape[0], math.prod(shape[1:])) for name, shape in SHAPES.items() if name in MATRICES}
        assert {name: row["rank"] for name, row in rows.items() if row["rank"]} == {
            f"diffusion_model.{name}": min(rank, side) for name, side in sides.items()
        }
        for row in output.rows:
            assert len(row.singular_values) == (row.rank or 0)
            assert row.relative_error == pytest.approx(rows[row.name]["relative_error"])
        with safe_open(output.path, "pt") as file:
            metadata = file.metadata()
        assert metadata["ss_network_dim"] == str(rank)
        assert json.loads(metadata["lora_extractor.settings"])["rank"] == rank
        found = verified(pair, output.path)
        assert found.mean_energy_retained == pytest.approx(output.mean_energy_retained, abs=1e-5)
    assert result.rows == result.outputs[0].rows


def test_ranks_by_formats_are_one_run_with_one_number(pair: tuple[Path, Path], tmp_path: Path) -> None:
    files = variants(EXACT, ranks=RANKS, formats=["comfyui", "kohya"])
    taken = tmp_path / "out" / "lora_kohya_rank_4_fp32_balanced_b10_bs1_00001_.json"
    taken.parent.mkdir()
    taken.write_text("somebody else's")
    with Session(*pair) as session:
        events = events_of(session, tmp_path / "out", *files)
    last = events[-1]
    assert isinstance(last, Finished)
    names = [output.path.name for output in last.result.outputs]
    assert names == [
        f"lora{word}_rank_{rank}_fp32_balanced_b10_bs1_00002_.safetensors" for word in ("", "_kohya") for rank in RANKS
    ]
    planned = next(event for event in events if isinstance(event, Planned))
    assert list(planned.output_names) == names
    progress = [event for event in events if isinstance(event, Progress)][-1]
    assert progress.energies_so_far == pytest.approx(
        tuple(output.mean_energy_retained for output in last.result.outputs), abs=1e-9
    )
    for output, settings in zip(last.result.outputs, files, strict=True):
        assert output.key_format == settings.key_format
        best = optimum(pair, MATRICES[0], settings.rank)
        assert relative_error(pair, output, MATRICES[0]) <= (1 + 1e-5) * best + 1e-6


def test_one_alpha_for_a_file_is_the_largest_rank_of_that_file(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session:
        result = extracted(session, tmp_path / "out", *variants(EXACT, ranks=RANKS, formats=["kohya"]))
    for output, rank in zip(result.outputs, RANKS, strict=True):
        alphas = {float(value) for key, value in load_file(output.path).items() if key.endswith(".alpha")}
        assert alphas == {float(rank)}
        with safe_open(output.path, "pt") as file:
            assert file.metadata()["ss_network_alpha"] == str(rank)


def test_caps_of_an_adaptive_type_stand_in_the_names_and_cut_each_file_by_itself(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    chosen = EXACT.model_copy(update={"lora_type": "adaptive_energy", "adaptive_param": 0.8})
    with Session(*pair) as session:
        events = events_of(session, tmp_path / "out", *variants(chosen, ranks=(3, 40)))
        alone = [extracted(session, tmp_path / str(rank), chosen.model_copy(update={"rank": rank})) for rank in (3, 40)]
    last = events[-1]
    assert isinstance(last, Finished)
    for output, single, rank in zip(last.result.outputs, alone, (3, 40), strict=True):
        assert output.path.name == f"lora_cap_{rank}_rank_adaptive_energy_0.8_fp32_balanced_b10_bs1_00001_.safetensors"
        ours, theirs = ([(row.name, row.rank, row.capped) for row in rows] for rows in (output.rows, single.rows))
        assert ours == theirs
    assert all(row.capped == (row.rank is not None) for row in last.result.outputs[0].rows)
    assert not any(row.capped for row in last.result.outputs[1].rows)
    capped = next(event for event in events if isinstance(event, Notice) and event.code is NoticeCode.LAYERS_CAPPED)
    assert capped.data["rank"] == 3


@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
def test_a_stopped_run_of_several_ranks_goes_on_to_the_same_files(
    pair: tuple[Path, Path], tmp_path: Path, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    chosen = ExtractionSettings(filename_prefix="lora", algorithm=algorithm, output_dtype="fp16")  # type: ignore[arg-type]
    files = variants(chosen, ranks=RANKS, formats=["comfyui", "kohya"])
    with Session(*pair) as session:
        extracted(session, tmp_path / "whole", *files)
    cancel = CancelToken()

    def stop_after_three(events: Iterator[Event]) -> None:
        done = 0
        for event in events:
            done += isinstance(event, LayerDone)
            if done == 3:
                cancel.cancel()

    with Session(*pair, DecompositionStore(tmp_path / "store")) as session:
        plan = session.plan(files[0], HARDWARE, tmp_path / "out", files[1:])
        with pytest.raises(Cancelled):
            stop_after_three(session.extract(plan, cancel))
        assert not (tmp_path / "out").exists()
        kept = session.kept(plan)
        events = events_of(session, tmp_path / "out", *files)
    assert kept.unfinished
    assert 3 <= kept.layers <= kept.of
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.result.layers_reused >= 3
    assert any(isinstance(event, Notice) and event.code is NoticeCode.RESUMED for event in events)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_finished_run_answers_any_smaller_rank_from_the_cache(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair, DecompositionStore(tmp_path / "store")) as session:
        first = extracted(session, tmp_path / "a", *variants(EXACT, ranks=RANKS))
        for rank in (1, 2, 3, 4, 11, 12):
            again = extracted(session, tmp_path / str(rank), EXACT.model_copy(update={"rank": rank}))
            assert again.layers_reused == len(SHAPES)
            for name in MATRICES:
                best = optimum(pair, name, rank)
                assert relative_error(pair, again.outputs[0], name) <= (1 + 1e-5) * best + 1e-6, (rank, name)
            if rank in RANKS:
                ours, theirs = load_file(first.outputs[RANKS.index(rank)].path), load_file(again.outputs[0].path)
                assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        assert extracted(session, tmp_path / "more", EXACT.model_copy(update={"rank": 13})).layers_reused < len(SHAPES)


def test_what_a_run_of_one_rank_left_answers_several_smaller_ones(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair, DecompositionStore(tmp_path / "store")) as session:
        extracted(session, tmp_path / "a", EXACT.model_copy(update={"rank": 12}))
        result = extracted(session, tmp_path / "b", *variants(EXACT, ranks=RANKS))
    assert result.layers_reused == len(SHAPES)
    for output, rank in zip(result.outputs, RANKS, strict=True):
        best = optimum(pair, MATRICES[0], rank)
        assert relative_error(pair, output, MATRICES[0]) <= (1 + 1e-5) * best + 1e-6


def test_an_alpha_and_a_strength_of_a_file_change_neither_the_others_nor_its_share(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    other = EXACT.model_copy(update={"strength": -0.5, "alpha": "3", "filename_prefix": "weaker"})
    with Session(*pair, DecompositionStore(tmp_path / "store")) as session:
        both = extracted(session, tmp_path / "both", EXACT, other)
        alone = extracted(session, tmp_path / "alone", EXACT)
        again = extracted(session, tmp_path / "again", other)
    assert contents(tmp_path / "alone").items() <= contents(tmp_path / "both").items()
    assert again.layers_reused == len(SHAPES)
    plain, weaker = both.outputs
    assert weaker.mean_energy_retained == pytest.approx(plain.mean_energy_retained, abs=1e-6)
    assert (plain.strength, weaker.strength) == (1.0, -0.5)
    for output in both.outputs:
        found = verified(pair, output.path)
        assert found.strength == output.strength
        assert found.mean_energy_retained == pytest.approx(output.mean_energy_retained, abs=1e-6)
        assert found.worst_energy_retained == pytest.approx(output.worst_energy_retained, abs=1e-6)
    ours, theirs = load_file(weaker.path), load_file(again.outputs[0].path)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    for name in MATRICES:
        best = optimum(pair, name, 8)
        assert relative_error(pair, weaker, name, strength=-0.5) <= (1 + 1e-5) * best + 2e-6
    bias = next(key for key in ours if key.endswith(".diff_b"))
    assert torch.allclose(ours[bias], -0.5 * load_file(plain.path)[bias])
    assert {float(value) for key, value in ours.items() if key.endswith(".alpha")} == {3.0}
    with safe_open(weaker.path, "pt") as file:
        assert file.metadata()["lora_extractor.strength"] == "-0.5"
    with safe_open(plain.path, "pt") as file:
        assert "lora_extractor.strength" not in file.metadata()
    assert (report_of(weaker)["strength"], report_of(plain).get("strength")) == (-0.5, None)
    assert alone.outputs[0].mean_energy_retained == plain.mean_energy_retained


def test_full_is_one_file_alone(pair: tuple[Path, Path]) -> None:
    full = EXACT.model_copy(update={"lora_type": "full"})
    assert variants(full, ranks=[8]) == (full,)
    for several in ({"ranks": [8, 16]}, {"formats": ["comfyui", "kohya"]}):
        with pytest.raises(EngineError) as caught:
            variants(full, **several)  # type: ignore[arg-type]
        assert caught.value.code is ErrorCode.SETTINGS_INVALID


def test_a_rank_or_a_format_that_is_named_twice_is_one_file() -> None:
    assert [one.rank for one in variants(EXACT, ranks=[32, 8, 8])] == [32, 8]
    assert variants(EXACT, formats=["kohya", "kohya"]) == (EXACT.model_copy(update={"key_format": "kohya"}),)
    assert variants(EXACT) == (EXACT,)


def test_the_alpha_of_an_adapter_multiplies_all_its_layers_by_the_same_number(tmp_path: Path) -> None:
    shapes = {
        "model.layers.0.self_attn.q_proj.weight": (32, 32),
        "model.layers.0.self_attn.k_proj.weight": (8, 32),
        "model.layers.0.self_attn.v_proj.weight": (8, 32),
        "model.layers.0.self_attn.o_proj.weight": (32, 32),
        "model.layers.0.mlp.gate_proj.weight": (48, 32),
        "model.layers.0.mlp.up_proj.weight": (48, 32),
        "model.layers.0.mlp.down_proj.weight": (32, 48),
        "model.embed_tokens.weight": (64, 32),
        "model.norm.weight": (32,),
    }
    base = {name: random_tensor(*shape, seed=number) for number, (name, shape) in enumerate(shapes.items())}
    matrices = [name for name in shapes if "_proj" in name]
    tuned = base | {name: base[name] + 0.1 * random_tensor(*shapes[name], seed=50) for name in matrices}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    chosen = EXACT.model_copy(update={"rank": 16, "alpha": "4", "key_format": "peft"})
    with Session(*pair) as session:
        (output,) = extracted(session, tmp_path / "out", chosen).outputs
    config = json.loads((output.path / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (16, 4)
    assert config["rank_pattern"]
    assert {config["alpha_pattern"][key] / rank for key, rank in config["rank_pattern"].items()} == {4 / 16}
    tensors = load_file(output.path / "adapter_model.safetensors")
    for name in matrices:
        module = f"base_model.model.{name.removesuffix('.weight')}"
        up, down = tensors[f"{module}.lora_B.weight"].double(), tensors[f"{module}.lora_A.weight"].double()
        delta = tuned[name].double() - base[name].double()
        error = float((delta - 4 / 16 * up @ down).norm() / delta.norm())
        assert error <= (1 + 1e-5) * optimum(pair, name, 16) + 1e-6


def test_a_disk_that_fills_up_under_one_of_the_files_leaves_none_and_costs_no_layer(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = variants(EXACT, ranks=RANKS)
    written = 0
    real = SafetensorsWriter.add

    def add(writer: SafetensorsWriter, name: str, tensor: torch.Tensor) -> None:
        nonlocal written
        written += 1
        if written > 30:
            raise EngineError(ErrorCode.DISK_FULL, file=writer.folder, reason="No space left on device")
        real(writer, name, tensor)

    with Session(*pair, DecompositionStore(tmp_path / "store")) as session:
        monkeypatch.setattr(SafetensorsWriter, "add", add)
        with pytest.raises(EngineError) as caught:
            extracted(session, tmp_path / "out", *files)
        assert caught.value.code is ErrorCode.DISK_FULL
        assert not (tmp_path / "out").exists()
        monkeypatch.undo()
        result = extracted(session, tmp_path / "out", *files)
    assert result.layers_reused >= 3
    assert len(result.outputs) == len(contents(tmp_path / "out")) == 3


def test_folders_and_files_of_a_run_share_the_number(tmp_path: Path) -> None:
    shapes = {f"model.layers.0.self_attn.{part}_proj.weight": (32, 32) for part in "qkvo"}
    shapes |= {"model.embed_tokens.weight": (64, 32), "model.norm.weight": (32,)}
    base = {name: random_tensor(*shape, seed=number) for number, (name, shape) in enumerate(shapes.items())}
    tuned = {name: value + 0.1 * random_tensor(*value.shape, seed=50) for name, value in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    (tmp_path / "out" / "lora_peft_rank_4_fp32_balanced_b10_bs1_00001_").mkdir(parents=True)
    with Session(*pair) as session:
        result = extracted(session, tmp_path / "out", *variants(EXACT, ranks=[4, 8], formats=["comfyui", "peft"]))
    names = [output.path.name.removesuffix(".safetensors") for output in result.outputs]
    assert names == [
        f"lora{word}_rank_{rank}_fp32_balanced_b10_bs1_00002_" for word in ("", "_peft") for rank in (4, 8)
    ]
    assert [output.path.is_dir() for output in result.outputs] == [False, False, True, True]
    for output, rank in zip(result.outputs[2:], (4, 8), strict=True):
        assert json.loads((output.path / "adapter_config.json").read_text())["r"] == rank
        assert report_of(output)["rank"] == str(rank)


def test_a_program_stands_in_the_name_where_another_programs_file_would_have_it(tmp_path: Path) -> None:
    block = "model.diffusion_model.double_blocks.0."
    shapes = {
        f"{block}img_attn.qkv.weight": (96, 32),
        f"{block}img_attn.norm.query_norm.scale": (32,),
        "model.diffusion_model.single_blocks.0.linear1.weight": (96, 32),
        "model.diffusion_model.vector_in.in_layer.weight": (32, 16),
        "model.diffusion_model.txt_in.weight": (32, 16),
    }
    base = {name: random_tensor(*shape, seed=number) for number, (name, shape) in enumerate(shapes.items())}
    tuned = {name: value + 0.1 * random_tensor(*value.shape, seed=50) for name, value in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)

    def names(**several: list[str]) -> list[str]:
        first, *also = variants(EXACT, **several)  # type: ignore[arg-type]
        outputs = session.plan(first, HARDWARE, tmp_path / "out", also).outputs
        return [output.name.partition("_rank_8_")[0] for output in outputs]

    with Session(*pair) as session:
        assert session.pairing.family.key == "flux"
        assert names(programs=["forge"]) == ["lora"]
        assert names(programs=["forge", "comfyui"]) == ["lora_forge", "lora_comfyui"]
        assert names(programs=["forge", "invokeai"], formats=["comfyui"]) == ["lora_forge", "lora_kohya", "lora"]
