"""``--target-size``: a file of at most so many bytes, from the models or from the cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Call, assert_refused
from model_files import PREFIX, random_tensor, save_model

SIZE = "0.04MB"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Large enough that the iteration decomposes it, so that values behind the computed ranks stay unknown."""
    base = {f"{PREFIX}layers.{i}.weight": random_tensor(300, 280, seed=i) for i in range(4)}
    tuned = {
        name: tensor + 0.1 * (1 + i) * random_tensor(300, 280, seed=50 + i)
        for i, (name, tensor) in enumerate(base.items())
    }
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def extract(call: Call, pair: tuple[Path, Path], folder: Path, *options: str) -> dict[str, object]:
    answer = call("extract", *pair, "--filename-prefix", "lora", *options, "--output-dir", folder, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_the_answer_says_the_ranks_that_the_size_came_to(call: Call, pair: tuple[Path, Path], tmp_path: Path) -> None:
    said = call("extract", *pair, "--target-size", SIZE, "--size-by", "energy", "--output-dir", tmp_path, "--json")
    assert said.code == 0
    (output,) = said.json["outputs"]
    assert output["size_bytes"] <= 40_000
    assert 40_000 - output["size_bytes"] <= 2 * (300 + 280)
    assert output["rank"] == "size_0.04MB"
    assert output["ranks"]["lowest"] <= output["ranks"]["median"] < output["ranks"]["largest"]
    assert "are decomposed, then ranks are chosen for the size" in said.err
    assert f"Ranks from {output['ranks']['lowest']} to {output['ranks']['largest']} fit the size" in said.err


def test_a_rank_beside_the_size_is_the_largest(call: Call, pair: tuple[Path, Path], tmp_path: Path) -> None:
    (output,) = extract(call, pair, tmp_path, "--target-size", SIZE, "--rank", "3")["outputs"]  # type: ignore[misc]
    assert output["ranks"] == {"lowest": 3, "median": 3, "largest": 3}


def test_a_size_that_is_too_small_is_answered_with_one_that_is_enough(
    call: Call, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    said = call("extract", *pair, "--target-size", "2kB", "--output-dir", tmp_path / "out", "--json")
    assert_refused(said, "size_too_small", names="lora")
    enough = said.json["error"]["remedy"].split(" or more")[0].rpartition("of ")[2]
    (output,) = extract(call, pair, tmp_path, "--target-size", enough)["outputs"]  # type: ignore[misc]
    assert output["ranks"] == {"lowest": 1, "median": 1, "largest": 1}


def test_a_type_that_chooses_ranks_is_refused_beside_a_size(
    call: Call, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    said = call("extract", *pair, "--target-size", SIZE, "--lora-type", "adaptive_energy", "--output-dir", tmp_path)
    assert said.code == 1
    assert "either for a size or by the type adaptive_energy" in said.err


def test_a_size_from_the_cache_needs_no_models_up_to_what_was_computed(
    call: Call, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    extract(call, pair, tmp_path, "--rank", "9")
    number = call("cache", "show", "--json").json["pairs"][0]["fingerprint"][:8]
    for path in pair:
        path.unlink()
    options = ("--filename-prefix", "lora", "--output-dir", tmp_path / "again", "--json")
    answer = call("export", number, "--target-size", "0.03MB", "--size-by", "uniform", *options).json
    assert (answer["layers_kept"], answer["read_bytes"]) == (answer["layers"], 0)
    assert 30_000 - 2 * (300 + 280) <= answer["size_bytes"] <= 30_000
    said = call("export", number, "--target-size", "0.2MB", *options)
    assert said.code == 1
    assert "are not in the cache at these settings" in said.err
    assert len(list((tmp_path / "again").iterdir())) == 2
