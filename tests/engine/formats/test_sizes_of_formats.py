"""A wanted size is that of the bytes on the disk in every format, however it stores a layer."""

from __future__ import annotations

from pathlib import Path

import pytest
from extraction_runs import run, verified
from model_files import save_model
from native_models import NATIVE_MODELS, state_of
from tiny_language_models import in_memory, model

Pair = tuple[Path, Path]


def native(family: str, folder: Path) -> Pair:
    made = NATIVE_MODELS[family].native
    tuned, base = made(state_of(family, 1)), made(state_of(family, 0))
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def language(key: str, folder: Path) -> Pair:
    tuned, base = in_memory(model(key, 1)), in_memory(model(key, 0))
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def bytes_of(path: Path) -> int:
    """Of a file; of an adapter's folder what programs load."""
    if path.is_file():
        return path.stat().st_size
    return sum((path / name).stat().st_size for name in ("adapter_model.safetensors", "adapter_config.json"))


@pytest.mark.parametrize(
    ("key_format", "way"),
    [("comfyui", "energy"), ("kohya", "energy"), ("diffusers", "energy"), ("diffusers", "uniform")],
)
def test_a_file_of_any_format_has_its_size(key_format: str, way: str, tmp_path: Path) -> None:
    pair = native("flux", tmp_path)
    ranks = [run(pair, tmp_path, key_format=key_format, rank=rank).result.outputs[0].size_bytes for rank in (3, 4)]
    target = sum(ranks) // 2
    made = run(pair, tmp_path, key_format=key_format, target_size=target, size_by=way)
    (output,) = made.result.outputs
    largest = max(2 * 3 * (row.shape[0] + 9 * row.shape[1]) for row in made.result.rows if row.rank is not None)
    assert output.size_bytes == bytes_of(output.path) <= target
    assert target - output.size_bytes <= max(target // 100, largest)
    measured = verified(pair, output.path)
    assert output.mean_energy_retained == pytest.approx(measured.mean_energy_retained, abs=1e-5)


@pytest.mark.parametrize("key", ["llama_tied", "gpt2", "qwen3_moe"])
def test_an_adapters_folder_has_at_most_its_size(key: str, tmp_path: Path) -> None:
    pair = language(key, tmp_path)
    sizes = [run(pair, tmp_path, key_format="peft", rank=rank).result.outputs[0].size_bytes for rank in (2, 5)]
    for target in (sizes[0] + 500, sum(sizes) // 2):
        (output,) = run(pair, tmp_path, key_format="peft", target_size=target, size_by="energy").result.outputs
        assert output.size_bytes == bytes_of(output.path) <= target
        assert output.ranks is not None
