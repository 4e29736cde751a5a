"""Weights whose two sides are left in their files: plain, turned, joined and scaled ones, of small parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import PREFIX, random_tensor, save_model

from engine.checkpoints import Checkpoint, Piece, WeightView, open_checkpoint
from engine.checkpoints.encodings import piece_of
from engine.checkpoints.rounding import rounding_between
from engine.checkpoints.tensors import read_view
from engine.decompose import workspace
from engine.decompose.delta import Delta, subtract
from engine.devices.buffer_pool import BufferPool
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight, WeightKind
from engine.settings import RoundOriginal
from engine.streamed_delta import UnreadPair

CHUNK, PART = 1 << 8, 1 << 11  # of a delta, and of what is read at once: as they divide each other in the program


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small matrices are read in many parts and worked on in many pieces."""
    monkeypatch.setattr("engine.decompose.delta._CHUNK", CHUNK)
    monkeypatch.setattr("engine.streamed_delta.PART_VALUES", PART)
    for module in ("engine.decompose.delta", "engine.streamed_delta"):
        monkeypatch.setattr(f"{module}.CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 1 << 14)


@contextmanager
def opened(
    folder: Path, tuned: torch.Tensor, base: torch.Tensor, **changed: Any
) -> Iterator[tuple[tuple[Checkpoint, Checkpoint], PairedWeight]]:
    """Two files of one weight each, and the weight; `changed` replaces what the pairing found."""
    paths = (
        save_model(folder / "tuned.safetensors", {PREFIX + "layers.0.weight": tuned}),
        save_model(folder / "base.safetensors", {PREFIX + "layers.0.weight": base}),
    )
    with open_checkpoint(paths[0]) as finetuned, open_checkpoint(paths[1]) as original:
        views = [WeightView.of(next(iter(side.weights.values())), "denoiser") for side in (finetuned, original)]
        kind: WeightKind = {1: "bias", 2: "matrix"}.get(base.dim(), "conv")  # type: ignore[assignment]
        weight = PairedWeight("layers.0.weight", kind, "denoiser", views[1].shape, *views, Block("", "layers", 0))
        yield (finetuned, original), replace(weight, **changed)


def sides_of(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> tuple[torch.Tensor, torch.Tensor]:
    return read_view(checkpoints[0], weight.finetuned), read_view(checkpoints[1], weight.original)


def held(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> Delta:
    return subtract(read_view(checkpoints[0], weight.finetuned), read_view(checkpoints[1], weight.original))


def unread(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> UnreadPair:
    return UnreadPair(checkpoints, weight, lambda count: None)


def filled(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> Delta:
    return unread(checkpoints, weight).filled(BufferPool(0, pinned=False).acquire(4 * weight.numel))


Case = Callable[[Path], Any]


def plain(shape: tuple[int, ...], tuned: torch.dtype, base: torch.dtype, scale: float = 1.0) -> Case:
    sides = [(scale * random_tensor(*shape, seed=seed)).to(dtype) for seed, dtype in ((0, tuned), (1, base))]
    return lambda folder: opened(folder, *sides)


def resized(rows: tuple[int, int], columns: int) -> Case:
    return grown((rows[0], columns), (rows[1], columns))


def grown(tuned: tuple[int, ...], base: tuple[int, ...]) -> Case:
    """Sides whose shapes differ; their common part is paired."""
    sides = [random_tensor(*shape, seed=seed).bfloat16() for seed, shape in enumerate((tuned, base))]
    return lambda folder: opened(folder, *sides, common=tuple(map(min, tuned, base)))


def turned(which: tuple[bool, bool], shape: tuple[int, int] = (170, 37)) -> Case:
    """Sides that their files hold the other way round."""
    sides = [random_tensor(*(shape[::-1] if way else shape), seed=seed) for seed, way in enumerate(which)]

    @contextmanager
    def case(folder: Path) -> Iterator[Any]:
        with opened(folder, *sides, shape=shape) as (checkpoints, weight):
            views = [
                replace(view, shape=shape, pieces=(Piece(view.source, transposed=way),))
                for view, way in zip((weight.finetuned, weight.original), which, strict=True)
            ]
            yield checkpoints, replace(weight, finetuned=views[0], original=views[1])

    return case


def fused(shape: tuple[int, int] = (60, 37), at: int = 60) -> Case:
    """The fine-tuned side is some rows of a larger tensor."""
    tuned, base = random_tensor(3 * shape[0], shape[1], seed=0).half(), random_tensor(*shape, seed=1)

    @contextmanager
    def case(folder: Path) -> Iterator[Any]:
        with opened(folder, tuned, base) as (checkpoints, weight):
            view = replace(
                weight.finetuned, shape=shape, pieces=(piece_of(weight.finetuned.source, at, at + shape[0]),)
            )
            yield checkpoints, replace(weight, finetuned=view)

    return case


def in_pieces(*files: dict[str, torch.Tensor], turned: tuple[str, ...] = ()) -> Case:
    """Either side is all weights of its file, joined one below the other; some of them turned."""

    @contextmanager
    def case(folder: Path) -> Iterator[Any]:
        paths = [save_model(folder / f"{number}.safetensors", tensors) for number, tensors in enumerate(files)]
        with open_checkpoint(paths[0]) as finetuned, open_checkpoint(paths[1]) as original:
            views = []
            for model in (finetuned, original):
                pieces = [Piece(source, transposed=name in turned) for name, source in model.weights.items()]
                shape = (sum(piece.shape[0] for piece in pieces), pieces[0].shape[1])
                views.append(WeightView("denoiser", shape, tuple(pieces)))
            yield (
                (finetuned, original),
                PairedWeight("w.weight", "matrix", "denoiser", views[1].shape, *views, Block("", "layers", 0)),
            )

    return case


def scaled(*shape: int, seed: int, by_row: bool = False, name: str = "a") -> dict[str, torch.Tensor]:
    """A weight in ComfyUI's scaled fp8."""
    weight = random_tensor(*shape, seed=seed)
    scale = weight.abs().amax(dim=1, keepdim=True) / 448 if by_row else weight.abs().max() / 448
    parts = {"weight": (weight / scale).to(torch.float8_e4m3fn), "scale_weight": scale}
    return {"scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)} | {f"{name}.{part}": parts[part] for part in parts}


def plain_rows(rows: int, columns: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    return {"b.weight": random_tensor(rows, columns, seed=7).to(dtype)}


def rounded(case: Case, choice: RoundOriginal = "auto") -> Case:
    """The same pair of files, compared as the setting says."""

    @contextmanager
    def compared_case(folder: Path) -> Iterator[Any]:
        with case(folder) as (checkpoints, weight):
            found = rounding_between(weight.finetuned, weight.original)
            assert found is not None
            yield checkpoints, replace(weight, rounding=found.under(choice))

    return compared_case
