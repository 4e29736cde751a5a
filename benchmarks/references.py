"""What older tools compute, written as they do it, and the floor: what nobody can save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

Factors = tuple[Tensor, Tensor]
Decompose = Callable[[Tensor, int], Factors]


def full_svd(delta: Tensor, rank: int) -> Factors:
    """The whole decomposition with square matrices, as the older node and scripts call it."""
    u, s, vh = torch.linalg.svd(delta)
    return u[:, :rank] * s[:rank], vh[:rank]


def thin_svd(delta: Tensor, rank: int) -> Factors:
    """``full_matrices=False`` of the matrix or its transpose, whichever is tall, which is the faster of the two."""
    if delta.shape[0] < delta.shape[1]:
        up, down = thin_svd(delta.T.contiguous(), rank)
        return down.T, up.T
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return u[:, :rank] * s[:rank], vh[:rank]


def lowrank_svd(delta: Tensor, rank: int) -> Factors:
    """``torch.svd_lowrank`` without oversampling, seven iterations."""
    u, s, v = torch.svd_lowrank(delta, q=rank, niter=7)
    return u * s, v.T


def extract_with(
    decompose: Decompose, tuned: Path, base: Path, rank: int, output: Path, device: str = "cpu"
) -> dict[str, Factors]:
    """A plain extraction: read, copy to the device, subtract, decompose, halve, save.

    Returns:
        The float32 factors by name, on the host.
    """
    factors: dict[str, Factors] = {}
    stored: dict[str, Tensor] = {}
    with safe_open(tuned, "pt") as ours, safe_open(base, "pt") as theirs:
        for name in theirs.keys():  # noqa: SIM118 - not a dictionary
            delta = ours.get_tensor(name).to(device).float() - theirs.get_tensor(name).to(device).float()
            if delta.dim() < 2:
                continue
            up, down = (factor.cpu() for factor in decompose(delta.flatten(1), rank))
            factors[name] = up, down
            stored[name.replace(".weight", ".lora_up.weight")] = up.half().contiguous()
            stored[name.replace(".weight", ".lora_down.weight")] = down.half().contiguous()
    save_file(stored, output)
    return factors


def floor(tuned: Path, base: Path, device: str = "cpu") -> float:
    """Read both files, copy them to the device, subtract, Frobenius norm, nothing else; returns the norm's square."""
    total = 0.0
    with safe_open(tuned, "pt") as ours, safe_open(base, "pt") as theirs:
        for name in theirs.keys():  # noqa: SIM118 - not a dictionary
            delta = ours.get_tensor(name).to(device).float() - theirs.get_tensor(name).to(device).float()
            total += float(delta.norm()) ** 2
    return total
