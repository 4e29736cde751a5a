from pathlib import Path

import numpy as np
import pytest
import torch
from calls import Call
from model_files import PREFIX, save_model

TRUE_RANK = 8


@pytest.fixture
def small_pair(tmp_path: Path) -> tuple[Path, Path]:
    """A change of rank 8 of 0.3 %, stored in bf16, so that a good part of the difference is rounding."""
    generator = torch.Generator().manual_seed(3)
    base, tuned = {}, {}
    for number in range(3):
        weight = (0.02 * torch.randn(160, 128, generator=generator)).to(torch.bfloat16)
        left = torch.randn(160, TRUE_RANK, generator=generator)
        change = left @ torch.randn(TRUE_RANK, 128, generator=generator)
        change *= 0.003 * weight.float().norm() / change.norm()
        name = f"{PREFIX}layers.{number}.weight"
        base[name], tuned[name] = weight, (weight.float() + change).to(torch.bfloat16)
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def test_a_run_advises_the_rank_at_the_knee_in_words_and_json(extract: Call, small_pair: tuple[Path, Path]) -> None:
    answer = extract(small_pair, "--rank", "64", "--json")
    advice = answer.json["advice"]
    assert (advice["rank"], advice["compared_rank"]) == (TRUE_RANK, 64)
    higher = answer.json["mean_energy_retained"]
    assert advice["mean_energy_retained"] + advice["adds"] == pytest.approx(higher, abs=1e-4)
    assert np.isclose(advice["size_bytes"] + advice["more_bytes"], answer.json["size_bytes"], atol=16)
    assert f"Rank {TRUE_RANK} keeps " in answer.err
    assert "Above rank 64 only bounds are known: rank 96 keeps " in answer.err


def test_without_a_rank_it_is_8_whatever_suits_the_models(extract: Call, small_pair: tuple[Path, Path]) -> None:
    assert [output["rank"] for output in extract(small_pair, "--json").json["outputs"]] == ["8"]
