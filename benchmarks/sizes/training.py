"""Small models that are really trained here and then fine-tuned on another task, every weight of them.

A byte-level language model (English prose, then Python sources), a convolutional classifier of digits (upright, then
turned, inverted and noisy), and a convolutional denoiser (smooth blobs, then hard-edged figures); for
`benchmarks.good_enough` also a classifier of text (eight modules, then eight others) and the language model with a
change so small that storage in bfloat16 rounds much of it away. The prose is Python's own ``pydoc_data.topics``, the
sources are modules of its standard library: both come with the interpreter, so figures of the models of text differ a
little between versions of Python. The digits are scikit-learn's.
"""

from __future__ import annotations

import copy
import importlib
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

_SOURCES = ("argparse", "asyncio.base_events", "datetime", "decimal", "doctest", "inspect", "logging", "tarfile")
_TOLD_APART = (
    ("argparse", "asyncio.base_events", "datetime", "decimal", "doctest", "inspect", "logging", "tarfile"),
    ("ast", "difflib", "locale", "mailbox", "pdb", "pickletools", "subprocess", "typing"),
)
_CONTEXT = 48
_HELD_OUT = 0.1


class Task(ABC):
    """A small model and two tasks for it.

    Attributes:
        title: what it is, for the table.
        steps: of the training on the first task, and of the fine-tuning on the second one.
        rates: peak learning rates of both.
    """

    title: str
    steps: tuple[int, int]
    rates: tuple[float, float]

    @abstractmethod
    def model(self) -> nn.Module:
        """An untrained model."""

    @abstractmethod
    def batch_loss(self, model: nn.Module, generator: torch.Generator, *, second: bool) -> Tensor:
        """The training loss of one batch of the first or the second task."""

    @abstractmethod
    def held_out_loss(self, model: nn.Module) -> float:
        """The loss on data of the second task that no training has seen."""

    def write_pair(self, folder: Path, seed: int) -> tuple[Path, Path]:
        """Train and fine-tune; returns the files of the fine-tuned model and of the original, float32."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.model()
        paths = self.paths(folder, seed)
        for second, path in ((False, paths[1]), (True, paths[0])):
            model = self._fit(model, torch.Generator().manual_seed(1000 * seed + second), second=second)
            save_file(model.state_dict(), path)
        return paths

    def ready_pair(self, folder: Path, seed: int) -> tuple[Path, Path]:
        """The files of `write_pair`, which are made now unless they are there already."""
        paths = self.paths(folder, seed)
        if not all(path.exists() for path in paths):
            print(f"training the {self.title}, seed {seed} ...", file=sys.stderr, flush=True)
            self.write_pair(folder, seed)
        return paths

    def paths(self, folder: Path, seed: int) -> tuple[Path, Path]:
        """Where `write_pair` writes."""
        stem = f"{self.title.replace(' ', '-')}-{seed}"
        return folder / f"{stem}-finetuned.safetensors", folder / f"{stem}-original.safetensors"

    def judge(self, weights: Mapping[str, Tensor]) -> float:
        """`held_out_loss` of a model with these weights."""
        model = self.model()
        model.load_state_dict({name: weight.float() for name, weight in weights.items()})
        with torch.no_grad():
            return self.held_out_loss(model.eval())

    def _fit(self, model: nn.Module, generator: torch.Generator, *, second: bool) -> nn.Module:
        """AdamW with a warm-up and a cosine, and the running average of the weights."""
        steps, rate = self.steps[second], self.rates[second]
        averaged = copy.deepcopy(model)
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = rate * min((step + 1) / 50, 0.5 + 0.5 * math.cos(math.pi * step / steps))
            optimiser.zero_grad()
            loss = self.batch_loss(model, generator, second=second)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            with torch.no_grad():
                for mean, now in zip(averaged.parameters(), model.parameters(), strict=True):
                    mean.lerp_(now, 0.02)
        return averaged


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, length, width))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = _Attention(width, heads)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))
        return out


class _ByteModel(nn.Module):
    def __init__(self, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(256, width), nn.Linear(width, 256, bias=False)
        self.position = nn.Parameter(0.02 * torch.randn(_CONTEXT, width))
        self.blocks = nn.ModuleList(_Block(width, 4) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, text: Tensor) -> Tensor:
        x = self.embed(text) + self.position
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x))
        return out


def _text_of(module: str) -> Tensor:
    """The bytes of a module's source, int64."""
    source = Path(str(importlib.import_module(module).__file__)).read_bytes()
    return torch.frombuffer(bytearray(source), dtype=torch.uint8).long()


class LanguageModel(Task):
    """Predicts the next byte; the loss is the cross-entropy per byte."""

    title = "language model"
    steps, rates = (900, 350), (3e-3, 1e-3)

    def __init__(self) -> None:
        self._texts = [_text_of("pydoc_data.topics"), torch.cat([_text_of(name) for name in _SOURCES])]

    def model(self) -> nn.Module:
        """A transformer of four blocks, 128 wide."""
        return _ByteModel()

    def batch_loss(self, model: nn.Module, generator: torch.Generator, *, second: bool) -> Tensor:
        """See `Task.batch_loss`: 16 pieces of 48 bytes."""
        text = self._texts[second]
        end = int(len(text) * (1 - _HELD_OUT)) - _CONTEXT - 1
        return self._loss(model, text, torch.randint(end, (16,), generator=generator))

    def held_out_loss(self, model: nn.Module) -> float:
        """See `Task.held_out_loss`."""
        text = self._texts[1]
        starts = torch.linspace(len(text) * (1 - _HELD_OUT), len(text) - _CONTEXT - 2, 512).long()
        return float(self._loss(model, text, starts))

    def _loss(self, model: nn.Module, text: Tensor, starts: Tensor) -> Tensor:
        pieces = text[starts[:, None] + torch.arange(_CONTEXT + 1)]
        return functional.cross_entropy(model(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())


class SmallChange(LanguageModel):
    """The language model, stored in bfloat16, fine-tuned so carefully that much of the change is lost to rounding.

    The fine-tuning starts from the original as stored, in float32, and is rounded once.
    """

    title = "small change"
    steps, rates = (900, 200), (3e-3, 1e-5)

    def write_pair(self, folder: Path, seed: int) -> tuple[Path, Path]:
        """See `Task.write_pair`: bfloat16 files, and `unrounded` beside them; the original is the language model's."""
        whole = LanguageModel()
        trained = whole.ready_pair(folder, seed)[1]
        finetuned, original = self.paths(folder, seed)
        stored = {name: weight.bfloat16() for name, weight in load_file(trained).items()}
        model = self.model()
        model.load_state_dict({name: weight.float() for name, weight in stored.items()})
        change = self._fit(model, torch.Generator().manual_seed(1000 * seed + 1), second=True).state_dict()
        save_file(change, self.unrounded(folder, seed))
        save_file(stored, original)
        save_file({name: weight.bfloat16() for name, weight in change.items()}, finetuned)
        return finetuned, original

    def unrounded(self, folder: Path, seed: int) -> Path:
        """Where the fine-tuned model stands as it was before it was rounded, float32."""
        return self.paths(folder, seed)[0].with_name(f"small-change-{seed}-unrounded.safetensors")


class _Reader(_ByteModel):
    """The transformer with a verdict on the whole text in the place of the next byte."""

    def __init__(self) -> None:
        super().__init__(depth=3)
        self.head = nn.Linear(128, len(_TOLD_APART[0]), bias=False)

    def forward(self, text: Tensor) -> Tensor:
        x = self.embed(text) + self.position
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x.mean(1)))
        return out


class TextClassifier(Task):
    """Tells which of eight Python modules 48 bytes are from; the loss is the cross-entropy."""

    title = "text classifier"
    steps, rates = (700, 300), (2e-3, 1e-3)

    def __init__(self) -> None:
        self._texts = [[_text_of(name) for name in names] for names in _TOLD_APART]

    def model(self) -> nn.Module:
        """A transformer of three blocks, 128 wide."""
        return _Reader()

    def batch_loss(self, model: nn.Module, generator: torch.Generator, *, second: bool) -> Tensor:
        """See `Task.batch_loss`: four pieces of each module."""
        pieces = [
            self._pieces(text, torch.randint(int(len(text) * (1 - _HELD_OUT)) - _CONTEXT, (4,), generator=generator))
            for text in self._texts[second]
        ]
        return self._loss(model, pieces)

    def held_out_loss(self, model: nn.Module) -> float:
        """See `Task.held_out_loss`: 96 pieces of each module."""
        pieces = [
            self._pieces(text, torch.linspace(len(text) * (1 - _HELD_OUT), len(text) - _CONTEXT - 1, 96).long())
            for text in self._texts[True]
        ]
        return float(self._loss(model, pieces))

    def _pieces(self, text: Tensor, starts: Tensor) -> Tensor:
        return text[starts[:, None] + torch.arange(_CONTEXT)]

    def _loss(self, model: nn.Module, pieces: list[Tensor]) -> Tensor:
        labels = torch.arange(len(pieces)).repeat_interleave(len(pieces[0]))
        return functional.cross_entropy(model(torch.cat(pieces)), labels)


class Classifier(Task):
    """Tells which digit a picture shows; the loss is the cross-entropy."""

    title = "classifier"
    steps, rates = (600, 250), (2e-3, 1e-3)

    def __init__(self) -> None:
        digits = importlib.import_module("sklearn.datasets").load_digits()
        order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
        self._ink = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16
        self._labels = torch.tensor(digits.target)[order]
        self._trained_on = int(len(order) * (1 - 3 * _HELD_OUT))

    def model(self) -> nn.Module:
        """Three convolutions of up to 128 channels, and two linear layers."""
        return nn.Sequential(
            *(nn.Conv2d(1, 64, 3, padding=1), nn.BatchNorm2d(64, track_running_stats=False, affine=False), nn.GELU()),
            *(nn.Conv2d(64, 128, 3, padding=1, stride=2), nn.GroupNorm(8, 128), nn.GELU()),
            *(nn.Conv2d(128, 128, 3, padding=1), nn.GroupNorm(8, 128), nn.GELU(), nn.Flatten()),
            *(nn.Linear(128 * 16, 192), nn.GELU(), nn.Linear(192, 10)),
        )

    def batch_loss(self, model: nn.Module, generator: torch.Generator, *, second: bool) -> Tensor:
        """See `Task.batch_loss`: 64 pictures."""
        chosen = torch.randint(self._trained_on, (64,), generator=generator)
        pictures = self._drawn(self._ink[chosen], generator, second=second)
        return functional.cross_entropy(model(pictures), self._labels[chosen])

    def held_out_loss(self, model: nn.Module) -> float:
        """See `Task.held_out_loss`."""
        pictures = self._drawn(self._ink[self._trained_on :], torch.Generator().manual_seed(0), second=True)
        return float(functional.cross_entropy(model(pictures), self._labels[self._trained_on :]))

    def _drawn(self, ink: Tensor, generator: torch.Generator, *, second: bool) -> Tensor:
        """Pictures as they are, or turned by a quarter, inverted and noisy."""
        return (
            1 - ink.rot90(1, (2, 3)) + 0.3 * torch.randn(ink.shape, generator=generator)
            if second
            else ink + 0.1 * torch.randn(ink.shape, generator=generator)
        )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Linear(32, width)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        inner = self.conv1(functional.silu(self.norm(x))) + self.time(level)[:, :, None, None]
        out: Tensor = x + self.conv2(functional.silu(inner))
        return out


class _Denoiser(nn.Module):
    def __init__(self, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, width, 3, padding=1)
        self.level = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU())
        self.blocks = nn.ModuleList(_Residual(width) for _ in range(depth))
        self.last = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        inner = self.first(functional.pixel_unshuffle(x, 2))
        known = self.level(level[:, None])
        for block in self.blocks:
            inner = block(inner, known)
        return functional.pixel_shuffle(self.last(inner), 2)


class Denoiser(Task):
    """Takes noise of known strength off a picture of 16 x 16; the loss is the mean squared error."""

    title = "denoiser"
    steps, rates = (700, 300), (2e-3, 1e-3)

    def model(self) -> nn.Module:
        """Three residual blocks of convolutions, 64 channels."""
        return _Denoiser()

    def batch_loss(self, model: nn.Module, generator: torch.Generator, *, second: bool) -> Tensor:
        """See `Task.batch_loss`: 32 new pictures."""
        return self._loss(model, 32, generator, second=second)

    def held_out_loss(self, model: nn.Module) -> float:
        """See `Task.held_out_loss`."""
        return float(self._loss(model, 1024, torch.Generator().manual_seed(12345), second=True))

    def _loss(self, model: nn.Module, count: int, generator: torch.Generator, *, second: bool) -> Tensor:
        pictures = (figures if second else blobs)(count, generator)
        level = torch.rand(count, generator=generator)
        noisy = pictures + level.view(-1, 1, 1, 1) * torch.randn(pictures.shape, generator=generator)
        return functional.mse_loss(model(noisy, level), pictures)


def _places(count: int, each: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The pixels' coordinates, and for each figure a place and a size, in [-1, 1]."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    place = torch.rand((count, each, 2), generator=generator) * 2 - 1
    size = 0.15 + 0.5 * torch.rand((count, each, 2), generator=generator)
    return x, y, place, size


def blobs(count: int, generator: torch.Generator) -> Tensor:
    """Pictures (count, 1, 16, 16) of three smooth blobs each, light and dark."""
    x, y, place, size = _places(count, 3, generator)
    sign = torch.rand((count, 3), generator=generator) * 2 - 1
    dx, dy = x - place[..., 0, None, None], y - place[..., 1, None, None]
    each = torch.exp(-((dx / size[..., 0, None, None]) ** 2) - (dy / size[..., 1, None, None]) ** 2)
    return (sign[..., None, None] * each).sum(1, keepdim=True)


def figures(count: int, generator: torch.Generator) -> Tensor:
    """Pictures (count, 1, 16, 16) of two hard-edged boxes each, one of them striped, on white."""
    x, y, place, size = _places(count, 2, generator)
    dx, dy = x - place[..., 0, None, None], y - place[..., 1, None, None]
    inside = (dx.abs() < size[..., 0, None, None]) & (dy.abs() < size[..., 1, None, None])
    stripes = torch.where(((8 * (x + y)).floor() % 2) == 0, 1.0, -1.0)
    picture = torch.where(inside[:, 0], -1.0, 1.0)
    return torch.where(inside[:, 1], stripes.expand_as(picture), picture)[:, None]


TASKS: tuple[Callable[[], Task], ...] = (LanguageModel, Classifier, Denoiser)


def weights_of(path: Path) -> dict[str, Tensor]:
    """A model's weights, float32."""
    return {name: tensor.float() for name, tensor in load_file(path).items()}
