"""Numbers rounded as another weight is stored: to dtypes as IEEE says, to scaled fp8 as the library that encodes it."""

from __future__ import annotations

import math
from pathlib import Path

import comfy_kitchen
import numpy as np
import pytest
import torch
from model_files import Tensors, random_tensor, save_model

from engine.checkpoints import WeightView, open_checkpoint
from engine.checkpoints.encodings.raw_round import cast, same_when_cast
from engine.checkpoints.rounded import rounded_like
from engine.checkpoints.rounding import Rounding, rounding_between
from engine.checkpoints.tensors import read_encoded
from engine.settings import RoundOriginal

FP8 = (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz)
DTYPES = (torch.bfloat16, torch.float16, *FP8)


def nearest(values: torch.Tensor, dtype: torch.dtype) -> np.ndarray:
    """Each value's nearest of all finite numbers of a dtype, of two the one whose last bit is 0; by search."""
    bits = 8 * dtype.itemsize
    patterns = torch.arange(1 << bits, dtype=torch.int64).to(torch.uint8 if bits == 8 else torch.int16)
    numbers = patterns.view(dtype).to(torch.float64)
    finite = torch.isfinite(numbers)
    known, last = numbers[finite].numpy(), (torch.arange(1 << bits)[finite] & 1).numpy()
    order = np.lexsort((last, known))
    known, last = known[order], last[order]
    wanted = values.double().numpy()
    above = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    low, high = known[above - 1], known[above]
    to_low, to_high = wanted - low, high - wanted
    takes_low = (to_low < to_high) | ((to_low == to_high) & (last[above - 1] == 0))
    return np.where(takes_low, low, high)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 100.0])
def test_a_cast_gives_the_nearest_number_of_the_dtype(dtype: torch.dtype, scale: float) -> None:
    values = scale * random_tensor(5000, seed=1)
    assert np.array_equal(cast(values, dtype).double().numpy(), nearest(values, dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_of_two_as_near_the_even_one_is_taken(dtype: torch.dtype) -> None:
    step = torch.finfo(dtype).eps
    halfway = torch.tensor([1 + step / 2, 1 + 1.5 * step, -1 - step / 2])
    assert cast(halfway, dtype).tolist() == [1.0, 1 + 2 * step, -1.0]


@pytest.mark.parametrize("source", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
def test_a_number_beyond_the_range_becomes_the_largest_one_and_no_nan(dtype: torch.dtype, source: torch.dtype) -> None:
    limit = torch.finfo(dtype).max
    beyond = torch.tensor([1.06 * limit, -8 * limit, 1e30], dtype=source)
    assert cast(beyond, dtype).double().tolist() == [limit, -limit, limit]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_not_finite_stays_so(dtype: torch.dtype) -> None:
    values = torch.tensor([math.inf, -math.inf, math.nan, 1.0])
    assert torch.isfinite(cast(values, dtype).to(torch.float32)).tolist() == [False, False, False, True]


def test_one_value_that_differs_is_seen_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.checkpoints.encodings.raw_round._IN_CACHE", 64)
    values = random_tensor(10, 50, seed=2)
    others = values.bfloat16()
    assert same_when_cast(values, torch.bfloat16, others)
    for place in (0, 250, 499):
        changed = others.clone()
        changed.view(-1)[place] *= 1.01
        assert not same_when_cast(values, torch.bfloat16, changed)


def kitchen(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return comfy_kitchen.quantize_per_tensor_fp8(weight.clone(), scale, torch.float8_e4m3fn)


def divided(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return (weight.float() / scale).clamp(-448, 448).to(torch.float8_e4m3fn)


ENCODERS = {
    "comfy-kitchen, float32": lambda weight, scale: kitchen(weight.float(), scale),
    "comfy-kitchen, in the weight's dtype": kitchen,
    "divided": divided,
    "clipped": lambda weight, scale: divided(weight, 0.5 * scale),
}


def scaled_file(folder: Path, codes: torch.Tensor, scale: torch.Tensor) -> Path:
    parts: Tensors = {"scaled_fp8": torch.zeros(2).to(codes.dtype), "a.weight": codes, "a.scale_weight": scale}
    return save_model(folder / "scaled.safetensors", parts)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_an_encoders_numbers_are_found_again_exactly(encoder: str, dtype: torch.dtype, tmp_path: Path) -> None:
    weight = random_tensor(200, 300, seed=3, scale=0.05).to(dtype)
    scale = weight.float().abs().max() / 448 * (0.5 if encoder == "clipped" else 1.0)
    codes = ENCODERS[encoder](weight, 2 * scale if encoder == "clipped" else scale)
    with open_checkpoint(scaled_file(tmp_path, codes, scale)) as model:
        like = read_encoded(model, WeightView.of(model.weights["a.weight"], "denoiser"))
    expected = codes.float() * scale
    assert torch.equal(rounded_like(like, weight), expected)
    twin = weight.to(codes.dtype).float()  # the scale ignored
    assert not torch.equal(twin, expected)
    assert not torch.equal(rounded_like(like, 1.01 * weight.float()), expected)


def test_rows_have_their_own_scales_and_a_scale_of_zero_gives_zeros(tmp_path: Path) -> None:
    weight = random_tensor(20, 30, seed=3)
    scale = weight.abs().amax(dim=1, keepdim=True) / 448
    scale[4] = 0.0
    codes = (weight / torch.where(scale == 0, 1.0, scale)).to(torch.float8_e4m3fn)
    with open_checkpoint(scaled_file(tmp_path, codes, scale)) as model:
        like = read_encoded(model, WeightView.of(model.weights["a.weight"], "denoiser"))
    found = rounded_like(like, weight)
    assert torch.equal(found, codes.float() * scale)
    assert not found[4].any()
    huge = rounded_like(like, torch.full_like(weight, 1e38))
    assert bool(torch.isfinite(huge).all()), "a number beyond the range is no reason for a NaN"


def between(folder: Path, tuned: Tensors, base: Tensors) -> Rounding | None:
    """How the only weights of two models are compared."""
    views = []
    for number, tensors in enumerate((tuned, base)):
        with open_checkpoint(save_model(folder / f"{number}.safetensors", tensors)) as model:
            views.append(WeightView.of(next(iter(model.weights.values())), "denoiser"))
    return rounding_between(*views)


def numbers(dtype: torch.dtype) -> Tensors:
    return {"a.weight": random_tensor(16, 16, seed=0).to(dtype)}


def scaled_numbers() -> Tensors:
    return numbers(torch.float8_e4m3fn) | {"scaled_fp8": torch.zeros(2).half(), "a.scale_weight": torch.ones(())}


F32, F16, BF16, E4M3, E5M2 = torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2
TABLE: list[tuple[torch.dtype, torch.dtype, str | None, tuple[str | None, str | None, str | None]]] = [
    # fine-tuned, original, the coarser side, and what is rounded: auto, on, off
    (BF16, F32, "finetuned", ("original", "original", None)),
    (F16, F32, "finetuned", ("original", "original", None)),
    (E4M3, BF16, "finetuned", ("original", "original", None)),
    (E5M2, F16, "finetuned", ("original", "original", None)),
    (F32, BF16, "original", (None, "finetuned", None)),
    (BF16, E4M3, "original", (None, "finetuned", None)),
    (F16, BF16, None, ("original", "original", None)),
    (BF16, F16, None, ("original", "original", None)),
]


@pytest.mark.parametrize(("tuned", "base", "coarser", "rounded"), TABLE)
def test_the_side_to_round_follows_from_the_two_dtypes(
    tuned: torch.dtype,
    base: torch.dtype,
    coarser: str | None,
    rounded: tuple[str | None, ...],
    tmp_path: Path,
) -> None:
    found = between(tmp_path, numbers(tuned), numbers(base))
    assert found is not None
    assert found.coarser == coarser
    choices: tuple[RoundOriginal, ...] = ("auto", "on", "off")
    assert tuple(found.under(choice).rounded for choice in choices) == rounded


@pytest.mark.parametrize("dtypes", [(BF16, BF16), (E4M3, E4M3), (torch.float64, F32), (F32, torch.float64)])
def test_two_sides_of_the_same_form_are_not_rounded(dtypes: tuple[torch.dtype, torch.dtype], tmp_path: Path) -> None:
    assert between(tmp_path, *map(numbers, dtypes)) is None


def test_scaled_fp8_is_rounded_to_where_it_is_the_coarser_form_and_to_nothing_but_that(tmp_path: Path) -> None:
    assert between(tmp_path, scaled_numbers(), scaled_numbers()) is None
    coarse = between(tmp_path, scaled_numbers(), numbers(BF16))
    assert coarse is not None
    assert (coarse.coarser, coarse.under("auto").rounded) == ("finetuned", "original")
    fine = between(tmp_path, numbers(BF16), scaled_numbers())
    assert fine is not None
    assert (fine.coarser, fine.under("auto").rounded, fine.alike) == ("original", None, ("finetuned",))
    alike = between(tmp_path, scaled_numbers(), numbers(E4M3))
    assert alike is not None
    assert (alike.coarser, alike.under("on").rounded, alike.alike) == (None, None, ())
