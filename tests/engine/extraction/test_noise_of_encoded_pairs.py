"""The noise and the real change of fine-tunes in coarse encodings, against what the encoders really did."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import gguf
import pytest
import torch
from encoded_weights import KINDS, save_encoded
from gguf_files import decoded, encoded
from model_files import save_model
from safetensors.torch import load_file

from engine.cancel import CancelToken
from engine.events import Finished
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

NAME = "double_blocks.0.img_attn.proj.weight"
SHAPE = (256, 384)
Written = tuple[Path, torch.Tensor]
Write = Callable[[Path, torch.Tensor], Written]


def of_library(kind: str) -> Write:
    def write(folder: Path, weight: torch.Tensor) -> Written:
        found = KINDS[kind].encode(NAME.removesuffix(".weight"), weight)
        return save_encoded(folder / "tuned.safetensors", {NAME.removesuffix(".weight"): found}), found.numbers

    return write


def of_gguf(folder: Path, weight: torch.Tensor) -> Written:
    data = encoded("Q8_0", weight)
    writer = gguf.GGUFWriter(folder / "tuned.gguf", "flux")
    writer.add_tensor(NAME, data, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "tuned.gguf", decoded("Q8_0", data)


WRITERS = {
    "fp8, one scale": of_library("comfy float8"),
    "int8 by rows": of_library("comfy int8 by rows"),
    "q8_0": of_gguf,
}


def extracted(tuned: Path, base: Path, folder: Path) -> ExtractionResult:
    settings = ExtractionSettings(
        rank=8, output_dtype="fp32", clamp_quantile=False, round_original="off", filename_prefix="lora"
    )
    with Session(tuned, base) as session:
        plan = session.plan(settings, HardwareSettings(device="cpu"), folder)
        with closing(session.extract(plan, CancelToken())) as events:
            *_, last = events
    assert isinstance(last, Finished)
    return last.result


@pytest.mark.parametrize("change", [0.05, 0.1])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_noise_and_real_change_are_those_of_the_encoder(write: Write, change: float, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(11)
    base = (0.02 * torch.randn(SHAPE, generator=generator)).bfloat16()
    real = torch.randn(SHAPE[0], 5, generator=generator) @ torch.randn(5, SHAPE[1], generator=generator)
    real = (change * base.float().norm() / real.norm() * real).double()
    path, numbers = write(tmp_path, (base.double() + real).float())
    result = extracted(path, save_model(tmp_path / "base.safetensors", {NAME: base}), tmp_path / "out")
    (output,), (row,) = result.outputs, result.rows
    factors = load_file(output.path)
    up, down, alpha = (
        next(tensor.double() for key, tensor in factors.items() if key.endswith(part))
        for part in ("up.weight", "down.weight", "alpha")
    )
    kept = up @ down * (float(alpha) / len(down))
    difference = numbers.reshape(SHAPE).double() - base.double()
    noise = float((difference - real).square().sum() / difference.square().sum())
    truth = 1.0 - float((real - kept).square().sum() / real.square().sum())
    assert row.noise is not None
    assert row.noise.noise_share == pytest.approx(noise, rel=0.2)
    assert row.noise.real_energy_interval is not None
    low, high = row.noise.real_energy_interval
    assert low <= truth <= high
    totals = json.loads(output.report.read_text())["totals"]
    assert totals["mean_real_energy_retained"] == pytest.approx(truth, abs=0.02)
