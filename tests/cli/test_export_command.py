"""``lora-extractor export``: another LoRA from the cache, when the two models are gone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from calls import Call
from model_files import save_pair
from safetensors.torch import load_file


@pytest.fixture
def pair_number(call: Call, extract: Call, tmp_path: Path) -> str:
    """A pair that was extracted at rank 6 and then deleted."""
    pair = save_pair(tmp_path)
    extract(pair, "--rank", "6")
    number: str = call("cache", "show", "--json").json["pairs"][0]["fingerprint"][:8]
    for path in pair:
        path.unlink()
    return number


def test_a_lower_rank_in_another_precision_needs_no_models(call: Call, pair_number: str, tmp_path: Path) -> None:
    out = tmp_path / "again"
    answer = call("export", pair_number, "--rank", "2", "--output-dtype", "bf16", "--output-dir", out, "--json").json
    assert (answer["layers_kept"], answer["read_bytes"]) == (answer["layers"], 0)
    tensors = load_file(answer["output"])
    downs = [tensor for name, tensor in tensors.items() if name.endswith("lora_down.weight")]
    assert downs
    assert all(down.dtype == torch.bfloat16 and down.shape[0] <= 2 for down in downs)


def test_what_is_not_in_the_cache_is_refused_before_anything_is_written(
    call: Call, pair_number: str, tmp_path: Path
) -> None:
    run = call("export", pair_number, "--rank", "64", "--output-dir", tmp_path / "again")
    assert run.code == 1
    assert "are not in the cache at these settings" in run.err
    assert not (tmp_path / "again").exists()


def test_a_pair_that_is_not_there_is_answered_with_those_that_are(call: Call, pair_number: str) -> None:
    run = call("export", "ffffffff")
    assert run.code == 1
    assert pair_number in run.err
