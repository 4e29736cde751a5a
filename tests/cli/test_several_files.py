"""Several ranks and formats on the command line are one run with a file each, and so is what ``export`` makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Call
from extraction_runs import verified
from model_files import random_tensor, save_model
from safetensors.torch import load_file

RANKS = ("--rank", 2, "--rank", 4, "--rank", 12)
FORMATS = ("--key-format", "comfyui", "--key-format", "kohya")
OPTIONS = ("--output-dtype", "fp32", "--no-clamp-quantile", "--batch-size", 1)
FILES = [
    f"lora{word}_rank_{rank}_fp32_balanced_b10_bs1_00001_.safetensors" for word in ("", "_kohya") for rank in (2, 4, 12)
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(tmp_path / "home"))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    shapes: dict[str, tuple[int, ...]] = {
        **{f"blocks.{index}.self_attn.{part}.weight": (24, 16) for index in range(3) for part in "qk"},
        "blocks.0.self_attn.q.bias": (24,),
        "head.modulation": (1, 2, 24),
    }
    base = {name: random_tensor(*shape, seed=number) for number, (name, shape) in enumerate(shapes.items())}
    tuned = {name: value + 0.1 * random_tensor(*value.shape, seed=50) for name, value in base.items()}
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def test_ranks_by_formats_are_written_at_once_and_each_is_listed_with_its_size_and_share(
    extract: Call, pair: tuple[Path, Path]
) -> None:
    said = extract(pair, *RANKS, *FORMATS, *OPTIONS, "--json")
    answer, outputs = said.json, said.json["outputs"]
    assert [Path(output["path"]).name for output in outputs] == FILES
    assert [output["rank"] for output in outputs] == ["2", "4", "12"] * 2
    assert [output["key_format"] for output in outputs] == ["comfyui"] * 3 + ["kohya"] * 3
    assert (answer["output"], answer["size_bytes"]) == (outputs[0]["path"], outputs[0]["size_bytes"])
    assert [output["layers"] for output in outputs] == [8] * 3 + [6] * 3
    assert "Wrote 6 files (" in said.err
    for output in outputs:
        (line,) = (line for line in said.err.splitlines() if output["path"] in line)
        assert f"{100 * output['mean_energy_retained']:.1f} %" in line
        assert f"{100 * output['worst_energy_retained']:.1f} %" in line
        assert Path(output["path"]).stat().st_size == output["size_bytes"]
        found = verified(pair, Path(output["path"]))
        assert found.mean_energy_retained == pytest.approx(output["mean_energy_retained"], abs=1e-5)


def test_export_makes_smaller_ranks_of_what_was_kept_and_several_at_once(
    extract: Call, call: Call, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    extract(pair, "--rank", 12, *OPTIONS)
    number = call("cache", "show", "--json").json["pairs"][0]["fingerprint"]
    for path in pair:
        path.rename(path.with_suffix(".gone"))
    folder = tmp_path / "exported"
    said = call(
        "export", number, *RANKS, *FORMATS, *OPTIONS, "--output-dir", folder, "--filename-prefix", "lora", "--json"
    )
    assert [Path(output["path"]).name for output in said.json["outputs"]] == FILES
    assert said.json["layers_kept"] == 8
    assert sorted(path.name for path in folder.glob("*.safetensors")) == sorted(FILES)


def test_strength_and_alpha_are_options_and_the_share_kept_is_the_same(extract: Call, pair: tuple[Path, Path]) -> None:
    plain = extract(pair, *OPTIONS, "--json").json
    other = extract(pair, *OPTIONS, "--strength=-0.5", "--alpha", "4", "--json").json
    assert other["mean_energy_retained"] == pytest.approx(plain["mean_energy_retained"], abs=1e-6)
    assert (plain["outputs"][0]["strength"], other["outputs"][0]["strength"]) == (1.0, -0.5)
    ours, theirs = load_file(other["output"]), load_file(plain["output"])
    for key in (key for key in ours if key.endswith(".lora_up.weight")):
        products = []
        for tensors in (ours, theirs):
            up, down = tensors[key].double(), tensors[key.replace("lora_up", "lora_down")].double()
            products.append(float(tensors[key.replace("lora_up.weight", "alpha")]) / len(down) * up @ down)
        assert float((products[0] + 0.5 * products[1]).norm()) <= 1e-6 * float(products[1].norm())
    assert {float(value) for key, value in ours.items() if key.endswith(".alpha")} == {4.0}


def test_full_takes_no_second_rank_and_no_second_format(extract: Call, pair: tuple[Path, Path]) -> None:
    for more in (RANKS, FORMATS):
        said = extract(pair, "--lora-type", "full", *more, "--json")
        assert (said.code, said.json["error"]["code"]) == (2, "settings_invalid")
        assert "full writes one file" in said.err


@pytest.mark.parametrize("wrong", [("--rank", 8, "--rank", 0), ("--strength", 0), ("--alpha", 0), ("--alpha", "no")])
def test_a_value_that_cannot_be_is_named_with_its_option(
    extract: Call, pair: tuple[Path, Path], wrong: tuple[object, ...]
) -> None:
    said = extract(pair, *wrong, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "settings_invalid")
    assert f"{wrong[-2]} '{wrong[-1]}': " in said.err
    assert "value error" not in said.err
