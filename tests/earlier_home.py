"""A person's folder as version 0.1.0 left it, opened anew: models, settings, queue, cache and journals."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

KEPT = Path(__file__).with_name("home_of_0_1")
LAYERS = 20
Array = NDArray[np.float64]


@dataclass(frozen=True)
class EarlierHome:
    """A copy of the folder. `home` is the one that LORA_EXTRACTOR_HOME names."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def original(self) -> Path:
        return self.folder / "models" / "base.safetensors"

    def model(self, name: str) -> Path:
        return self.folder / "models" / f"{name}.safetensors"

    def changes(self, name: str) -> dict[str, Array]:
        """What a fine-tune changed, by the name of the weight in the file, float64."""
        tuned, base = load_file(self.model(name)), load_file(self.original)
        return {key: tuned[key].astype(np.float64) - base[key].astype(np.float64) for key in base}

    def set_aside(self) -> list[Path]:
        """What the program could not read and moved out of the way."""
        return [path for path in self.home.rglob("*") if ".broken-" in path.name or "set-aside" in path.parts]


def open_earlier_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> EarlierHome:
    """Make a copy at `folder`, which must not exist, and make it the home of this test."""
    shutil.copytree(KEPT, folder)
    for path in folder.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("{here}", folder.as_posix()), encoding="utf-8")
    monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(folder / "home"))
    return EarlierHome(folder)


def stored_changes(lora: Path) -> dict[str, Array]:
    """What a LoRA of these models adds to each weight, by its name: products and differences, float64."""
    tensors = load_file(lora)
    added: dict[str, Array] = {}
    for key, tensor in tensors.items():
        module = key.rsplit(".lora_", 1)[0]
        if key.endswith(".lora_up.weight"):
            up, down = tensor.astype(np.float64), tensors[f"{module}.lora_down.weight"].astype(np.float64)
            scale = float(tensors[f"{module}.alpha"]) / down.shape[0]
            kernel = down.shape[1:]
            product = scale * up.reshape(len(up), -1) @ down.reshape(len(down), -1)
            added[f"model.{module}.weight"] = product.reshape(len(up), *kernel)
        elif key.endswith(".diff_b"):
            added[f"model.{key.removesuffix('.diff_b')}.bias"] = tensor.astype(np.float64)
        elif key.endswith(".diff"):
            name = f"model.{key.removesuffix('.diff')}"
            added[name if name.endswith("modulation") else f"{name}.weight"] = tensor.astype(np.float64)
    return added


def assert_best_at_rank(added: dict[str, Array], changes: dict[str, Array], rank: int) -> None:
    """Matrices and kernels are as near to the change as LAPACK's best of this rank; the rest is the change itself."""
    assert added.keys() == changes.keys()
    for name, change in changes.items():
        norm = np.linalg.norm(change)
        if change.ndim == 1 or name.endswith("modulation"):
            np.testing.assert_allclose(added[name], change, rtol=1e-3, atol=1e-6)
            continue
        values = np.linalg.svd(change.reshape(len(change), -1), compute_uv=False)
        best = float(np.linalg.norm(values[rank:]))
        error = float(np.linalg.norm(added[name] - change))
        assert best <= error * (1 + 1e-9), name
        assert error <= best * (1 + 1e-4) + 2e-3 * norm, name  # float16 and clamped outliers
