"""Documents, by being runnable, how the demo's two checkpoints were really trained.

``python -m resources.demo.train`` trains the original on scikit-learn's 8x8 digits, fine-tunes all of its weights on
the same digits in another style, writes both checkpoints and the held-out pictures next to this file and prints the
losses. It needs scikit-learn; using the results does not.
"""

from __future__ import annotations

import copy
import importlib
import math
import time

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from resources.demo.digits_dit import (
    CHECKPOINT_PREFIX,
    FINETUNED_FILE,
    HELD_OUT_FILE,
    NULL_CLASS,
    NUM_CLASSES,
    ORIGINAL_FILE,
    DigitsDiT,
    build_model,
    denoising_loss,
    load_held_out,
    load_model,
)

SEED = 2024
BATCH = 128
ORIGINAL_STEPS = 2500
ORIGINAL_RATE = 1e-3
FINETUNE_STEPS = 1000
FINETUNE_RATE = 3e-4
HELD_OUT_PER_CLASS = 30
LABEL_DROPOUT = 0.1
AUGMENTED_SHARE = 0.5
EMA_DECAY = 0.995
LOG_EVERY = 250
ROW_SHIFTS = (1, 1, 1, 0, 0, -1, -1, -1)
"""Pixels by which the new style moves each row of a picture to the right, top row first."""
RANKS = (1, 2, 4, 8, 16, 32, 64)

DATA_CREDIT = "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI, 1998, doi:10.24432/C50P49"


def load_ink() -> tuple[Tensor, Tensor]:
    """Load all digits as ink amounts (1797, 1, 8, 8) in [0, 1] and labels (1797,) int64."""
    # Imported by name because scikit-learn is needed for training only and ships no type information.
    digits = importlib.import_module("sklearn.datasets").load_digits()
    ink = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    return ink, torch.tensor(digits.target, dtype=torch.int64)


def split(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Split picture numbers into training and held-out ones, the same number of held-out pictures per digit."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))
    held_out = torch.cat([order[labels[order] == digit][:HELD_OUT_PER_CLASS] for digit in range(NUM_CLASSES)])
    is_training = torch.ones(len(labels), dtype=torch.bool)
    is_training[held_out] = False
    return is_training.nonzero().flatten(), held_out


def warp(ink: Tensor, matrices: Tensor) -> Tensor:
    """Resample ink (n, 1, 8, 8) at the places that affine maps (n, 2, 3) of the unit square give."""
    grid = functional.affine_grid(matrices, list(ink.shape), align_corners=False)
    return functional.grid_sample(ink, grid, padding_mode="zeros", align_corners=False)


def original_style(ink: Tensor) -> Tensor:
    """Draw ink (n, 1, 8, 8) upright, white on black, with values in [-1, 1]."""
    return ink * 2 - 1


def new_style(ink: Tensor) -> Tensor:
    """Draw ink (n, 1, 8, 8) leaning to the right, black on white, with values in [-1, 1]."""
    # Rows move by whole pixels: resampling would blur strokes that are one pixel wide.
    wide = functional.pad(ink, (1, 1))
    size = ink.shape[-1]
    rows = [wide[:, :, row, 1 - shift : 1 - shift + size] for row, shift in enumerate(ROW_SHIFTS)]
    return 1 - 2 * torch.stack(rows, dim=2)


def augment(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, stretch and shift some of the pictures a little, since 1497 of them are few."""
    n = len(ink)
    angle, stretch_x, stretch_y, shift_x, shift_y = torch.rand((5, n), generator=generator) * 2 - 1
    angle = angle * math.radians(8)
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([cos * (1 + 0.07 * stretch_x), -sin, 0.07 * shift_x], dim=-1),
        torch.stack([sin, cos * (1 + 0.07 * stretch_y), 0.07 * shift_y], dim=-1),
    ]
    chosen = torch.rand((n, 1, 1, 1), generator=generator) < AUGMENTED_SHARE
    return torch.where(chosen, warp(ink, torch.stack(rows, dim=1)), ink)


def training_loss(model: DigitsDiT, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return the rectified-flow loss of one batch (n, 1, 8, 8) as a scalar that can be differentiated."""
    n = len(images)
    noise = torch.randn(images.shape, generator=generator)
    t = torch.rand(n, generator=generator)
    dropped = torch.rand(n, generator=generator) < LABEL_DROPOUT
    mix = t.view(-1, 1, 1, 1)
    velocity = model((1 - mix) * noise + mix * images, t, labels.masked_fill(dropped, NULL_CLASS))
    return functional.mse_loss(velocity, images - noise)


def fit(
    model: DigitsDiT, ink: Tensor, labels: Tensor, *, in_new_style: bool, steps: int, rate: float, seed: int
) -> DigitsDiT:
    """Train every weight of ``model`` and return the running average of its weights as a new model.

    Args:
        model: Model to train; it is changed.
        ink: Training pictures (n, 1, 8, 8) in [0, 1].
        labels: Their digits (n,) int64.
        in_new_style: Whether the pictures are drawn in the new style.
        steps: Number of optimiser steps.
        rate: Peak learning rate.
        seed: Decides batches, noise and augmentation.

    """
    generator = torch.Generator().manual_seed(seed)
    averaged = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    warmup = max(1, steps // 20)
    draw_style = new_style if in_new_style else original_style
    started, recent = time.perf_counter(), 0.0
    model.train()
    for step in range(1, steps + 1):
        progress = min(step / warmup, 0.5 + 0.5 * math.cos(math.pi * step / steps))
        optimiser.param_groups[0]["lr"] = rate * progress
        chosen = torch.randint(len(ink), (BATCH,), generator=generator)
        loss = training_loss(model, draw_style(augment(ink[chosen], generator)), labels[chosen], generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        decay = min(EMA_DECAY, step / (step + 10))
        with torch.no_grad():
            for mean, current in zip(averaged.parameters(), model.parameters(), strict=True):
                mean.lerp_(current, 1 - decay)
        recent += loss.item()
        if step % LOG_EVERY == 0:
            print(f"  step {step:5d}  loss {recent / LOG_EVERY:.4f}  {time.perf_counter() - started:.0f} s", flush=True)
            recent = 0.0
    return averaged


def checkpoint(model: DigitsDiT) -> dict[str, Tensor]:
    """Return the weights of ``model`` in float16 under the prefix that stored checkpoints carry."""
    weights = {CHECKPOINT_PREFIX + key: value.detach().half().contiguous() for key, value in model.state_dict().items()}
    broken = [key for key, value in weights.items() if not value.isfinite().all()]
    if broken:
        raise ValueError(f"These weights do not fit into float16: {broken}. Lower the learning rate and train again.")
    return weights


def add_truncated_difference(original: dict[str, Tensor], finetuned: dict[str, Tensor], rank: int) -> dict[str, Tensor]:
    """Add the best rank-``rank`` difference of every matrix to ``original``; anything else is taken over whole.

    Convolutions count as matrices of shape (out, in * kernel). Biases, norms, bare parameters are the "anything else".
    """
    result: dict[str, Tensor] = {}
    for key, before in original.items():
        difference = finetuned[key].float() - before.float()
        if key.endswith(".weight") and difference.ndim >= 2:
            u, s, v = torch.linalg.svd(difference.flatten(1), full_matrices=False)
            difference = ((u[:, :rank] * s[:rank]) @ v[:rank]).view(difference.shape)
        result[key] = before.float() + difference
    return result


def save_held_out(ink: Tensor, labels: Tensor) -> None:
    """Store held-out ink (n, 1, 8, 8) in both styles as bytes, with labels."""

    def to_bytes(images: Tensor) -> Tensor:
        return ((images + 1) * 127.5).round().to(torch.uint8)

    save_file(
        {
            "images_original_style": to_bytes(original_style(ink)),
            "images_new_style": to_bytes(new_style(ink)),
            "labels": labels.to(torch.uint8),
        },
        HELD_OUT_FILE,
        metadata={"description": "Digits that neither checkpoint was trained on", "data": DATA_CREDIT},
    )


def metadata(title: str, how: str) -> dict[str, str]:
    """Return the safetensors metadata of a checkpoint."""
    return {
        "modelspec.title": title,
        "modelspec.description": f"Tiny class-conditional diffusion transformer for 8x8 digits. {how}",
        "modelspec.license": "CC-BY-4.0",
        "modelspec.prediction_type": "rectified flow velocity",
        "modelspec.resolution": "8x8",
        "training_data": DATA_CREDIT,
    }


def report() -> None:
    """Print the held-out losses of the stored checkpoints and what low-rank differences recover."""
    plain, styled, labels = load_held_out()
    original, finetuned = (load_file(path) for path in (ORIGINAL_FILE, FINETUNED_FILE))
    losses = {}
    for name, weights in (("original", original), ("fine-tuned", finetuned)):
        model = load_model(weights)
        losses[name] = denoising_loss(model, styled, labels)
        print(f"{name:>10}: original style {denoising_loss(model, plain, labels):.4f}  new style {losses[name]:.4f}")
    gap = losses["original"] - losses["fine-tuned"]
    for rank in RANKS:
        loss = denoising_loss(load_model(add_truncated_difference(original, finetuned, rank)), styled, labels)
        print(f"   rank {rank:3d}: new style {loss:.4f}  recovered {100 * (losses['original'] - loss) / gap:.1f} %")


def main() -> None:
    """Train both models, store everything and print the losses."""
    torch.set_num_threads(2)
    ink, labels = load_ink()
    training, held_out = split(labels)
    save_held_out(ink[held_out], labels[held_out])
    print(f"{len(training)} training and {len(held_out)} held-out pictures")

    print("original")
    model = fit(
        build_model(SEED),
        ink[training],
        labels[training],
        in_new_style=False,
        steps=ORIGINAL_STEPS,
        rate=ORIGINAL_RATE,
        seed=SEED + 1,
    )
    original = checkpoint(model)
    how = f"Trained from scratch for {ORIGINAL_STEPS} steps of {BATCH} pictures."
    save_file(original, ORIGINAL_FILE, metadata=metadata("Digits DiT, original", how))

    print("fine-tune")
    # It continues from the stored file, so that the difference between the files is the fine-tune and nothing else.
    model = fit(
        load_model(original),
        ink[training],
        labels[training],
        in_new_style=True,
        steps=FINETUNE_STEPS,
        rate=FINETUNE_RATE,
        seed=SEED + 2,
    )
    how = f"All weights of the original trained on for {FINETUNE_STEPS} steps on slanted digits, black on white."
    save_file(checkpoint(model), FINETUNED_FILE, metadata=metadata("Digits DiT, fine-tuned", how))
    report()


if __name__ == "__main__":
    main()
