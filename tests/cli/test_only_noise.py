"""What the rule above rounding noise says where there is nothing but that, and what it keeps where there is more."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from calls import Call
from model_files import save_model

NAMES = [f"diffusion_model.input_blocks.{i}.1.transformer_blocks.0.attn1.to_q.weight" for i in range(3)]


def pair(folder: Path, *changed: str) -> tuple[Path, Path]:
    """Models in bf16: a change in all weights far below their steps, and in some of them one of rank 2 beside it."""
    generator = torch.Generator().manual_seed(1)
    base, tuned = {}, {}
    for name in NAMES:
        weight = (0.02 * torch.randn(128, 160, generator=generator)).bfloat16()
        change = 1.5e-5 * torch.randn(128, 160, generator=generator)
        if name in changed:
            change += 3e-3 * torch.randn(128, 2, generator=generator) @ torch.randn(2, 160, generator=generator)
        base[name], tuned[name] = weight, (weight.double() + change.double()).bfloat16()
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def test_layers_of_rounding_noise_alone_are_left_out_and_named_in_the_report(extract: Call, tmp_path: Path) -> None:
    answer = extract(pair(tmp_path, NAMES[1]), "--lora-type", "adaptive_noise", "--rank", 16, "--json").json
    report = json.loads(Path(answer["report"]).read_text())
    assert {row["name"]: row["rank"] for row in report["layers"]} == {NAMES[1]: 2}
    assert {item["name"]: item["reason"] for item in report["left_out"]} == {
        name: "only_noise" for name in (NAMES[0], NAMES[2])
    }


def test_where_all_is_rounding_noise_nothing_is_written_and_the_error_says_so(extract: Call, tmp_path: Path) -> None:
    said = extract(pair(tmp_path), "--lora-type", "adaptive_noise")
    assert said.code != 0
    assert "larger than what rounding" in said.err
    assert "higher precision" in said.err
    assert not list((tmp_path / "out").rglob("*.safetensors"))
