"""Shows that a LoRA works: original, fine-tuned and original + LoRA, judged by their losses and their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from resources.demo.digits_dit import (
    CHECKPOINT_PREFIX,
    FINETUNED_FILE,
    NUM_CLASSES,
    ORIGINAL_FILE,
    denoising_loss,
    load_held_out,
    load_model,
    sample,
)

_LORA_PREFIX = "diffusion_model."


@dataclass(frozen=True)
class Contender:
    """One of the three models.

    Attributes:
        title: what it is.
        loss: mean squared velocity error on held-out digits in the fine-tune's style.
        pictures: samples in [0, 1], (rows, 10, 8, 8): one row per seed, one column per digit.
    """

    title: str
    loss: float
    pictures: Tensor


@dataclass(frozen=True)
class Comparison:
    """The three models side by side."""

    original: Contender
    finetuned: Contender
    with_lora: Contender

    @property
    def recovered(self) -> float:
        """Share of the loss gap between original and fine-tuned that original + LoRA closes."""
        return (self.original.loss - self.with_lora.loss) / (self.original.loss - self.finetuned.loss)


def compare(lora: Path, *, rows: int = 2, check: Callable[[], None] = lambda: None) -> Comparison:
    """Sample from the three models with the same seeds, and measure their losses on the same held-out data.

    Args:
        lora: the LoRA's file.
        rows: how many samples of each digit.
        check: called before each model's turn; what it raises stops the comparison.
    """
    original, finetuned = load_file(ORIGINAL_FILE), load_file(FINETUNED_FILE)
    check()
    first = _contend("Original", original, rows)
    check()
    second = _contend("Fine-tuned", finetuned, rows)
    check()
    return Comparison(first, second, _contend("Original + LoRA", apply_lora(original, load_file(lora)), rows))


def apply_lora(model: Mapping[str, Tensor], lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add a LoRA at strength 1 the way ComfyUI does.

    Args:
        model: the demo model's weights under their names in the file.
        lora: a LoRA with ComfyUI's key names.

    Returns:
        All weights of the model in float32.

    Raises:
        KeyError: where a key of the LoRA belongs to no weight of the model.
    """
    result = {name: tensor.to(torch.float32) for name, tensor in model.items()}

    def weight(key: str, ending: str, suffix: str) -> str:
        name = CHECKPOINT_PREFIX + key.removesuffix(ending).removeprefix(_LORA_PREFIX)
        return name if suffix == ".weight" and name in result else name + suffix

    for key, tensor in lora.items():
        values = tensor.to(torch.float32)
        if key.endswith(".lora_up.weight"):
            down = lora[key.replace("lora_up", "lora_down")].to(torch.float32)
            scale = float(lora[key.replace("lora_up.weight", "alpha")]) / down.shape[0]
            target = result[weight(key, ".lora_up.weight", ".weight")]
            target += scale * (values.flatten(1) @ down.flatten(1)).reshape(target.shape)
        elif key.endswith(".diff_b"):
            result[weight(key, ".diff_b", ".bias")] += values
        elif key.endswith(".diff"):
            result[weight(key, ".diff", ".weight")] += values
        elif not key.endswith((".lora_down.weight", ".alpha")):
            raise KeyError(key)
    return result


def _contend(title: str, weights: Mapping[str, Tensor], rows: int) -> Contender:
    model = load_model(weights)
    _, images, labels = load_held_out()
    digits = torch.arange(NUM_CLASSES)
    pictures = torch.stack([sample(model, digits, seed=seed)[:, 0] for seed in range(rows)])
    return Contender(title, denoising_loss(model, images, labels), (pictures.clamp(-1, 1) + 1) / 2)
