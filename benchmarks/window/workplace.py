"""Where the parts work, and the steps they share: a pair of models, and waiting without sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PySide6.QtCore import QCoreApplication, QEventLoop
from safetensors.torch import save_file

from benchmarks.measuring import apart
from benchmarks.pairs import realistic

BLOCKS = 16
LAYERS = {
    "attn1.to_q": (1280, 1280),
    "attn1.to_k": (1280, 1280),
    "attn1.to_v": (1280, 1280),
    "attn1.to_out.0": (1280, 1280),
    "attn2.to_k": (1280, 2048),
    "attn2.to_v": (1280, 2048),
    "ff.net.2": (1280, 5120),
}
PATIENCE = 600.0
WAIT_MS = 50  # the longest that waiting blocks; posted events and timers end it


@dataclass(frozen=True)
class Workplace:
    """A folder to work in, and how often things are done."""

    folder: Path
    repeats: int

    @property
    def pair(self) -> tuple[Path, Path]:
        """The fine-tuned model and the original; made once."""
        paths = self.folder / "finetuned.safetensors", self.folder / "original.safetensors"
        if not all(path.exists() for path in paths):
            apart(lambda: _make_pair(*paths))
        return paths


def wait_until(reached: Callable[[], bool]) -> None:
    """Let the window live until something is reached.

    Raises:
        TimeoutError: it was not, in ten minutes.
    """
    end = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError("the window did not get there")
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, WAIT_MS)


def _make_pair(tuned: Path, base: Path) -> None:
    """Two fp16 models of 112 layers with SDXL's names and shapes, 375 MB each."""
    generator = torch.Generator().manual_seed(0)
    deltas = {name: 0.02 * realistic(shape, generator) for name, shape in LAYERS.items()}
    sides: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
    for block in range(BLOCKS):
        for layer, shape in LAYERS.items():
            name = f"model.diffusion_model.middle_block.1.transformer_blocks.{block}.{layer}.weight"
            original = torch.randn(shape, generator=generator) / shape[1] ** 0.5
            sides[0][name] = (original + deltas[layer].roll(block, 0)).to(torch.float16)
            sides[1][name] = original.to(torch.float16)
    save_file(sides[0], tuned)
    save_file(sides[1], base)
