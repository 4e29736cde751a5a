"""``python -m benchmarks.merged_lora``: a whole SDXL U-Net that a LoRA was merged into, below and above its rank.

Beyond the true rank there is only the rounding of both models, a flat tail. The floor reads and subtracts both files,
as every extraction must. Seconds are medians, all in one process; files of 2 x 5.1 GB are written to ``--dir``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import save_file

from engine.cancel import CancelToken
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

TRUE_RANK, RANKS = 96, (32, 128)
_CHANGE = 0.05  # norm of the change over that of the weight
_PREFIX = "model.diffusion_model."
_TRANSFORMERS = {  # attention blocks: width, transformer blocks in each
    **dict.fromkeys(("input_blocks.4.1", "input_blocks.5.1"), (640, 2)),
    **dict.fromkeys(("input_blocks.7.1", "input_blocks.8.1", "middle_block.1"), (1280, 10)),
    **dict.fromkeys(("output_blocks.0.1", "output_blocks.1.1", "output_blocks.2.1"), (1280, 10)),
    **dict.fromkeys(("output_blocks.3.1", "output_blocks.4.1", "output_blocks.5.1"), (640, 2)),
}
_RESNETS = {  # in, out
    **dict.fromkeys(("input_blocks.1.0", "input_blocks.2.0"), (320, 320)),
    "input_blocks.4.0": (320, 640),
    "input_blocks.5.0": (640, 640),
    "input_blocks.7.0": (640, 1280),
    **dict.fromkeys(("input_blocks.8.0", "middle_block.0", "middle_block.2"), (1280, 1280)),
    **dict.fromkeys(("output_blocks.0.0", "output_blocks.1.0"), (2560, 1280)),
    "output_blocks.2.0": (1920, 1280),
    "output_blocks.3.0": (1920, 640),
    "output_blocks.4.0": (1280, 640),
    "output_blocks.5.0": (960, 640),
    "output_blocks.6.0": (960, 320),
    **dict.fromkeys(("output_blocks.7.0", "output_blocks.8.0"), (640, 320)),
}


def shapes(*, blocks: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the U-Net's matrices and convolutions, with at most so many blocks in each transformer."""
    for name, (width, depth) in _TRANSFORMERS.items():
        yield f"{name}.proj_in", (width, width)
        yield f"{name}.proj_out", (width, width)
        for block in range(min(depth, blocks)):
            inner = f"{name}.transformer_blocks.{block}"
            for part in ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q", "attn2.to_out.0"):
                yield f"{inner}.{part}", (width, width)
            for part in ("attn2.to_k", "attn2.to_v"):
                yield f"{inner}.{part}", (width, 2048)
            yield f"{inner}.ff.net.0.proj", (8 * width, width)
            yield f"{inner}.ff.net.2", (width, 4 * width)
    for name, (before, after) in _RESNETS.items():
        yield f"{name}.in_layers.2", (after, before, 3, 3)
        yield f"{name}.out_layers.3", (after, after, 3, 3)
        yield f"{name}.emb_layers.1", (after, 1280)


def write_pair(folder: Path, *, blocks: int) -> tuple[Path, Path]:
    """Write the fine-tuned model and the original in fp16; returns their paths."""
    generator = torch.Generator().manual_seed(0)
    tuned, base = {}, {}
    for name, shape in shapes(blocks=blocks):
        rows, columns = shape[0], torch.Size(shape[1:]).numel()
        weight = torch.randn(rows, columns, generator=generator) / columns**0.5
        rank = min(TRUE_RANK, rows, columns)
        change = torch.randn(rows, rank, generator=generator) @ torch.randn(rank, columns, generator=generator)
        change *= _CHANGE * torch.linalg.norm(weight) / torch.linalg.norm(change)
        base[f"{_PREFIX}{name}.weight"] = weight.to(torch.float16).reshape(shape)
        tuned[f"{_PREFIX}{name}.weight"] = (weight + change).to(torch.float16).reshape(shape)
    paths = folder / "merged.safetensors", folder / "original.safetensors"
    for path, tensors in zip(paths, (tuned, base), strict=True):
        save_file(tensors, path, metadata={"format": "pt"})
    return paths


def floor_seconds(pair: tuple[Path, Path]) -> float:
    """Seconds to read both files and form every difference in float32."""
    started = time.perf_counter()
    with safe_open(pair[0], "pt") as tuned, safe_open(pair[1], "pt") as base:
        for name in tuned.keys():  # noqa: SIM118 - safe_open is no mapping
            (tuned.get_tensor(name).float() - base.get_tensor(name).float()).square_().sum().item()
    return time.perf_counter() - started


def extraction_seconds(pair: tuple[Path, Path], rank: int, folder: Path) -> float:
    """Seconds of one extraction without journal and cache."""
    settings = ExtractionSettings(rank=rank, filename_prefix=f"rank-{rank}", resume=False)
    with Session(*pair) as session:
        plan = session.plan(settings, HardwareSettings(device="cpu"), folder)
        started = time.perf_counter()
        for _ in session.extract(plan, CancelToken()):
            pass
        seconds = time.perf_counter() - started
    for path in folder.glob("*rank-*"):
        path.unlink()
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.merged_lora", description=__doc__)
    parser.add_argument("--blocks", type=int, default=10, help="transformer blocks at most in each of 11 places")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where the files are written; a temporary folder unless given")
    parsed = parser.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory(dir=parsed.dir) as name:
        folder = Path(name)
        pair = write_pair(folder, blocks=parsed.blocks)
        values = sum(torch.Size(shape).numel() for _, shape in shapes(blocks=parsed.blocks))
        console.print(f"{values / 1e9:.2f} G weights, a change of rank {TRUE_RANK} and rounding to fp16")
        seconds: dict[str, list[float]] = {}
        for _ in range(parsed.repeats):
            seconds.setdefault("floor", []).append(floor_seconds(pair))
            for rank in RANKS:
                seconds.setdefault(f"rank {rank}", []).append(extraction_seconds(pair, rank, folder / "out"))
        floor = statistics.median(seconds["floor"])
        for title, taken in seconds.items():
            middle = statistics.median(taken)
            console.print(f"{title:<10} {middle:8.2f} s   {middle / floor:6.2f} x the floor")
        below, above = (statistics.median(seconds[f"rank {rank}"]) for rank in RANKS)
        console.print(f"rank {RANKS[1]} takes {above / below:.2f} x the time of rank {RANKS[0]}")


if __name__ == "__main__":
    main()
