"""``python -m benchmarks.encoding_noise``: the error that encoders make, beside what the steps of an encoding say.

Drawn numbers are encoded by the libraries that programs use themselves, as the tests of encodings do, and decoded by
them. A figure is the mean square error that `engine.checkpoints.steps` says, over the one that was measured. The types
of GGUF that the package gguf does not encode need ggml's own library.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from engine.checkpoints import WeightView, open_checkpoint
from engine.checkpoints.encodings import cut_to
from engine.checkpoints.encodings.gguf_decode import DECODERS
from engine.checkpoints.steps import rounding_steps
from engine.checkpoints.tensors import read_encoded

SHAPE = (256, 512)
DRAWS = ("normal", "even", "Student's t, 4", "normal, rows 1:30")
_RANDOM_CODES = ("comfy awq",)  # comfy-kitchen does not encode them
_MODULE, _NAME = "blocks.0.proj", "blocks.0.proj.weight"
_TESTS = Path(__file__).resolve().parents[1] / "tests"

Quantise = Callable[[str, np.ndarray, bool], np.ndarray]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding_noise", description=__doc__)
    parser.add_argument("--ggml", type=Path, help="libggml-base of llama.cpp, for the K and IQ4 types")
    chosen = parser.parse_args()
    console = Console()
    table = Table("encoding", *DRAWS)
    for title, ratios in [*_of_libraries(), *_of_gguf(chosen.ggml)]:
        table.add_row(title, *(f"{ratio:.2f}" for ratio in ratios))
    console.print(table)


def drawn(kind: str) -> torch.Tensor:
    """Numbers of one of `DRAWS`, (256, 512) float32."""
    generator = np.random.RandomState(1)
    if kind == "even":
        return torch.from_numpy(generator.uniform(-0.02, 0.02, SHAPE)).float()
    if kind == "normal":
        return torch.from_numpy(0.02 * generator.standard_normal(SHAPE)).float()
    if kind == DRAWS[2]:
        return torch.from_numpy(0.02 * generator.standard_t(4, SHAPE)).float()
    return torch.from_numpy(
        0.02 * generator.standard_normal(SHAPE) * np.logspace(0, np.log10(30), SHAPE[0])[:, None]
    ).float()


def _of_libraries() -> Iterator[tuple[str, list[float]]]:
    """Forms of safetensors files, encoded as the tests do it."""
    sys.path[:0] = [str(_TESTS), str(_TESTS / "engine")]
    encoded_weights: Any = import_module("encoded_weights")
    for title, kind in encoded_weights.KINDS.items():
        if title in _RANDOM_CODES or "smoothed" in title:
            continue
        ratios = []
        for draw in DRAWS:
            numbers = drawn(draw)
            encoded = kind.encode(_MODULE, numbers)
            with tempfile.TemporaryDirectory() as folder:
                path = encoded_weights.save_encoded(Path(folder) / "model.safetensors", {_MODULE: encoded})
                ratios.append(_ratio(path, numbers, encoded.numbers))
        yield title, ratios


def _of_gguf(library: Path | None) -> Iterator[tuple[str, list[float]]]:
    """The block types of GGUF: of the package, and of ggml without and with weights of importance."""
    ways: dict[str, tuple[Quantise, bool]] = {"package gguf": (_by_package, False)}
    if library is not None:
        by_ggml = _by_ggml(library)
        ways |= {"ggml": (by_ggml, False), "ggml, with an imatrix": (by_ggml, True)}
    for kind in DECODERS:
        for way, (quantise, weighted) in ways.items():
            ratios = []
            for draw in DRAWS:
                numbers = drawn(draw)
                try:
                    data = quantise(kind, numbers.numpy(), weighted)
                except NotImplementedError:  # the package decodes this type and does not encode it
                    break
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "model.gguf"
                    writer = gguf.GGUFWriter(path, "flux")
                    writer.add_tensor(_NAME, data, raw_dtype=gguf.GGMLQuantizationType[kind])
                    writer.write_header_to_file()
                    writer.write_kv_data_to_file()
                    writer.write_tensors_to_file()
                    writer.close()
                    stored = torch.from_numpy(gguf.dequantize(data, gguf.GGMLQuantizationType[kind]))
                    ratios.append(_ratio(path, numbers, stored))
            if ratios:
                yield f"GGUF {kind}, {way}", ratios


def _ratio(path: Path, numbers: torch.Tensor, stored: torch.Tensor) -> float:
    with open_checkpoint(path) as model:
        view: WeightView | None = WeightView.of(model.weights[_NAME], "denoiser")
        if view is not None and view.shape != numbers.shape:
            view = cut_to(view, tuple(numbers.shape))
        assert view is not None
        steps = rounding_steps(read_encoded(model, view))
    assert steps is not None
    return float(steps.double().square().sum() / 12 / (stored.double() - numbers.double()).square().sum())


def _by_package(kind: str, numbers: np.ndarray, weighted: bool) -> np.ndarray:
    return gguf.quantize(numbers, gguf.GGMLQuantizationType[kind])


def _by_ggml(library: Path) -> Quantise:
    quantise = ctypes.CDLL(str(library)).ggml_quantize_chunk
    quantise.restype = ctypes.c_size_t
    size, place = ctypes.c_int64, ctypes.c_void_p
    quantise.argtypes = [ctypes.c_int, place, place, size, size, size, place]

    def encoded(kind: str, numbers: np.ndarray, weighted: bool) -> np.ndarray:
        rows, columns = numbers.shape
        values, nbytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
        into = np.empty((rows, columns // values * nbytes), np.uint8)
        weights = np.ones(columns, np.float32)
        weighing = weights.ctypes.data if weighted else None
        source = np.ascontiguousarray(numbers)
        code = int(gguf.GGMLQuantizationType[kind])
        quantise(code, source.ctypes.data, into.ctypes.data, 0, rows, columns, weighing)
        return into

    return encoded


if __name__ == "__main__":
    main()
