"""What the commands answer: JSON on stdout and nothing else there, words on stderr, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from calls import ROOT, Call
from model_files import PREFIX, matrices, save_model, save_pair
from safetensors import safe_open

from engine.presets import HARDWARE_PROFILES


def partly_changed(folder: Path) -> tuple[Path, Path]:
    """Three weights of which one changed, and one that only the fine-tune has."""
    base = matrices(3)
    tuned = {name: tensor + (0.1 if "1" in name else 0.0) for name, tensor in base.items()}
    tuned[f"{PREFIX}extra.weight"] = base[f"{PREFIX}layers.0.weight"]
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


MEAN_NOISE_KEYS = [
    "mean_noise_share", "mean_noise_share_both_sides", "mean_real_energy_retained", "mean_real_energy_interval",
    "mean_real_energy_retained_both_sides", "all_noise",
]  # fmt: skip


def test_extract_answers_with_the_documented_json(extract: Call, tmp_path: Path) -> None:
    answer = extract(save_pair(tmp_path), "--json").json
    assert list(answer) == [
        "output", "report", "outputs", "seconds", "layers", "skipped", "mean_energy_retained",
        "worst_energy_retained", *MEAN_NOISE_KEYS, "size_bytes", "peak_device_bytes", "peak_rss_bytes",
        "promised_device_bytes", "layers_planned", "layers_kept", "read_bytes", "copied_bytes", "waited_share",
        "large_changes", "advice", "order", "sample", "coverage",
        "compared_parameters", "whole_parameters", "parameters", "new_rows", "new_channels", "unmatched_weights",
        "missing_weights", "smaller_weights", "blocks", "unmatched_blocks", "absent_parts",
    ]  # fmt: skip
    assert list(answer["outputs"][0]) == [
        "path", "report", "rank", "key_format", "program", "strength", "layers", "size_bytes",
        "mean_energy_retained", "worst_energy_retained", *MEAN_NOISE_KEYS, "coverage",
    ]  # fmt: skip


def test_the_paths_in_the_answer_are_absolute_and_exist(extract: Call, tmp_path: Path) -> None:
    answer = extract(save_pair(tmp_path), "--json").json
    output, report = Path(answer["output"]), Path(answer["report"])
    assert (output.is_absolute(), output.parent) == (True, (tmp_path / "out").resolve())
    assert report == output.with_suffix(".json")
    assert answer["size_bytes"] == output.stat().st_size
    assert json.loads(report.read_text())["output"] == output.name


def test_the_figures_in_the_answer_are_those_of_the_report(extract: Call, tmp_path: Path) -> None:
    answer = extract(partly_changed(tmp_path), "--json").json
    totals = json.loads(Path(answer["report"]).read_text())["totals"]
    names = ("layers", "skipped", "mean_energy_retained", "worst_energy_retained")
    assert {name: answer[name] for name in names} == {name: totals[name] for name in names}
    assert (answer["layers"], answer["skipped"]) == (1, 3)


def test_without_json_stdout_stays_empty_and_the_words_go_to_stderr(extract: Call, tmp_path: Path) -> None:
    said = extract(save_pair(tmp_path))
    assert (said.code, said.out) == (0, "")
    assert "Wrote " in said.err
    assert "of the change" in said.err


def test_the_words_for_a_person_are_the_same_with_json(extract: Call, tmp_path: Path) -> None:
    assert "Wrote " in extract(save_pair(tmp_path), "--json").err


VERIFIED_LAYER_KEYS = [
    "name", "rank", "energy_retained", "relative_error", "plain_energy_retained",
    *(key.removeprefix("mean_") for key in MEAN_NOISE_KEYS),
]  # fmt: skip


def test_verify_answers_with_the_documented_json(extract: Call, call: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    extracted = extract(pair, "--rank", 2, "--json").json
    answer = call("verify", extracted["output"], *pair, "--json").json
    assert {"layers", "mean_energy_retained", "worst_energy_retained"} <= set(answer)
    assert all(list(layer) == VERIFIED_LAYER_KEYS for layer in answer["layers"])
    assert answer["mean_energy_retained"] == pytest.approx(extracted["mean_energy_retained"], abs=1e-6)
    assert answer["worst_energy_retained"] == pytest.approx(extracted["worst_energy_retained"], abs=1e-6)


def test_verify_refuses_a_model_as_a_lora(call: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    said = call("verify", pair[1], *pair, "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "not_a_lora")


def test_verify_refuses_a_lora_of_other_models(extract: Call, call: Call, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    lora = extract(partly_changed(tmp_path / "other"), "--json").json["output"]
    said = call("verify", lora, *save_pair(tmp_path), "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "lora_mismatch")


def test_inspecting_a_model_tells_what_it_holds(call: Call, tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.safetensors", matrices(3))
    answer = call("inspect", path, "--json").json
    assert answer["tensors"] == 3
    assert answer["parameters"] == 3 * 24 * 16
    assert answer["dtypes"] == {"F32": 3}
    assert answer["components"] == {"denoiser": 3}
    assert answer["size_bytes"] == path.stat().st_size
    assert answer["quantisation"] is None


def test_inspecting_a_pair_tells_what_matches_and_what_is_left_out(call: Call, tmp_path: Path) -> None:
    answer = call("inspect", *partly_changed(tmp_path), "--json").json
    assert {"matched", "left_out", "family", "components", "blocks"} <= set(answer)
    assert answer["matched"] == 3
    assert [(item["name"], item["reason"]) for item in answer["left_out"]] == [
        ("diffusion_model.extra.weight", "only_finetuned")
    ]
    assert answer["components"] == {"denoiser": 3}
    assert "differing" not in answer


def test_inspecting_deeply_tells_which_weights_differ(call: Call, tmp_path: Path) -> None:
    answer = call("inspect", *partly_changed(tmp_path), "--deep", "--json").json
    assert answer["differing"] == ["diffusion_model.layers.1.weight"]
    assert answer["identical"] == ["diffusion_model.layers.0.weight", "diffusion_model.layers.2.weight"]


def test_inspecting_describes_a_quantised_model_instead_of_refusing_it(call: Call, tmp_path: Path) -> None:
    import torch

    path = save_model(tmp_path / "model.safetensors", matrices(1) | {"scaled_fp8": torch.zeros(2)})
    assert call("inspect", path, "--json").json["quantisation"] == "scaled fp8 (ComfyUI)"


def test_inspecting_a_model_never_imports_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from app.cli.main import main; code = main(['inspect', *sys.argv[1:]]); "
        "print(code, [name for name in ('torch', 'PySide6') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, str(save_pair(tmp_path)[0])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "0 []\n", done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["extract"],
        ["extract", "only-one"],
        ["no-such-command"],
        ["extract", "a", "b", "--no-such-option"],
        ["extract", "a", "b", "--lora-type", "adaptive_magic"],
        ["extract", "a", "b", "--rank", "0"],
        ["extract", "a", "b", "--rank", "4097"],
        ["extract", "a", "b", "--rank", "eight"],
        ["extract", "a", "b", "--memory-threshold", "0.99"],
        ["extract", "a", "b", "--adaptive-param", "-0.1"],
        ["extract", "a", "b", "--adaptive-param", "nan"],
        ["extract", "a", "b", "--device", "toaster"],
        ["extract", "a", "b", "--memory-budget", "much"],
        ["extract", "a", "b", "--components", "soul"],
        ["extract", "a", "b", "--filename-prefix", ""],
    ],
    ids=" ".join,
)
def test_wrong_usage_has_exit_code_two_and_says_what_is_wrong(arguments: list[str], call: Call) -> None:
    said = call(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "error" in said.err.lower()
    assert "Traceback" not in said.err


def test_a_device_that_is_not_there_is_named_with_those_that_are(extract: Call, tmp_path: Path) -> None:
    said = extract(save_pair(tmp_path), "--device", "cuda:99", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "device_unavailable")
    assert "cpu" in said.json["error"]["remedy"]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["extract", "--help"], ["profiles", "list"]])
def test_asking_for_information_succeeds_on_stdout(arguments: list[str], call: Call) -> None:
    said = call(*arguments)
    assert said.code == 0
    assert said.out.strip()


def hardware_of(lora: str) -> dict[str, object]:
    with safe_open(lora, framework="pt") as file:
        values = json.loads(file.metadata()["lora_extractor.hardware"])
    assert isinstance(values, dict)
    return values


def test_single_options_override_the_profile(extract: Call, tmp_path: Path) -> None:
    answer = extract(save_pair(tmp_path), "--profile", "Safe (8 GB)", "--batch-size", 7, "--json").json
    hardware = hardware_of(answer["output"])
    assert (hardware["vram_usage_mode"], hardware["blocks_in_gpu"], hardware["batch_size"]) == ("conservative", 5, 7)
    assert "_conservative_b5_bs7_" in answer["output"]


@pytest.mark.parametrize("name", HARDWARE_PROFILES)
def test_a_profile_sets_every_hardware_value(name: str, extract: Call, tmp_path: Path) -> None:
    answer = extract(save_pair(tmp_path), "--profile", name, "--json").json
    profile = HARDWARE_PROFILES[name].model_dump(mode="json", exclude={"debug_mode"})  # which changes no file
    expected = {**profile, "device": "cpu"}
    assert hardware_of(answer["output"]) == expected


def test_a_profile_that_does_not_exist_is_refused_with_those_that_do(extract: Call, tmp_path: Path) -> None:
    said = extract(save_pair(tmp_path), "--profile", "Warp", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "profile_missing")
    assert "Safe (8 GB)" in said.json["error"]["remedy"]


def test_the_profiles_are_listed_with_the_shipped_ones_first(call: Call) -> None:
    call("profiles", "save", "A mine", "--batch-size", 3)
    listed = call("profiles", "list", "--json").json["profiles"]
    assert [profile["name"] for profile in listed] == [*HARDWARE_PROFILES, "A mine"]
    assert [profile["shipped"] for profile in listed] == [True] * len(HARDWARE_PROFILES) + [False]


def test_a_saved_profile_is_shown_with_its_values(call: Call) -> None:
    assert call("profiles", "save", "Mine", "--batch-size", 3, "--json").json == {"saved": "Mine"}
    shown = call("profiles", "show", "Mine", "--json").json
    assert (shown["name"], shown["shipped"], shown["values"]["batch_size"]) == ("Mine", False, 3)


def test_saving_again_changes_only_what_is_given(call: Call) -> None:
    call("profiles", "save", "Mine", "--batch-size", 3)
    call("profiles", "save", "Mine", "--blocks-in-gpu", 1)
    values = call("profiles", "show", "Mine", "--json").json["values"]
    assert (values["batch_size"], values["blocks_in_gpu"]) == (3, 1)


@pytest.mark.parametrize("action", ["save", "delete"])
def test_a_shipped_profile_cannot_be_changed(action: str, call: Call) -> None:
    said = call("profiles", action, "Safe (8 GB)", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "profile_read_only")


def test_an_exported_profile_comes_back_by_importing(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    call("profiles", "save", "Mine", "--prefetch-ahead", 9)
    assert call("profiles", "export", "Mine", file, "--json").code == 0
    call("profiles", "delete", "Mine")
    assert call("profiles", "import", file, "--json").json == {"imported": ["Mine"]}
    assert call("profiles", "show", "Mine", "--json").json["values"]["prefetch_ahead"] == 9
