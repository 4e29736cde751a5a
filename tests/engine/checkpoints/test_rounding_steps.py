"""The steps of an encoding say what its encoders' rounding does: measured on drawn numbers that others have encoded.

The error of a number is its decoded value, by the reference, less the number that was drawn, in float64; the steps say
that its square is step^2 / 12 on average.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from comfy_kitchen.tensor import TensorCoreAWQW4A16Layout
from encoded_weights import KINDS, Encoded, marker, save_encoded
from gguf_files import DECODED, ENCODABLE, GgufModel, decoded, encoded, random_rows, save_gguf
from model_files import save_model
from scaled_models import scaled
from torch_memory import peak_bytes

from engine.checkpoints import Checkpoint, Piece, WeightView, open_checkpoint
from engine.checkpoints.encodings import (
    ENCODINGS,
    cut_to,
    decoded_bytes,
    has_own_steps,
    piece_of,
    scratch_bytes,
    step_sizes,
    steps_bytes,
)
from engine.checkpoints.steps import StepsByRows, rounding_steps
from engine.checkpoints.tensors import EncodedWeight, read_encoded
from engine.planning.inspection import open_model

MODULE = "model.diffusion_model.blocks.0.attn.proj"
NAME = f"{MODULE}.weight"
SHAPE = (128, 512)
BLOCKS = Path(__file__).parent / "ggml_blocks.npz"
"""8192 numbers as ``ggml_quantize_chunk`` of libggml 0.20.2 has stored them; the package gguf does not encode these."""
NARROW = 0.05  # how far the estimate of the mean square may be off
COARSE = {"mxfp4": 0.12, "int2 in groups": 0.1, "nf4": 0.08, "nf4 nested": 0.08, "fp4": 0.08, "fp4 nested": 0.08}
"""Kinds whose steps are as long as the numbers, which are then not spread evenly over them."""


def normal(shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    return 0.02 * torch.randn(shape, generator=torch.Generator().manual_seed(5))


def even(shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    return 0.04 * (torch.rand(shape, generator=torch.Generator().manual_seed(6)) - 0.5)


def uneven_rows(shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    """Rows spread over 1:30."""
    return normal(shape) * torch.logspace(0, np.log10(30), shape[0])[:, None]


def ratio(steps: torch.Tensor, found: torch.Tensor, drawn: torch.Tensor) -> float:
    """The mean square that the steps say, over the one that is measured."""
    return float(steps.double().square().sum() / 12 / (found.double() - drawn.double()).square().sum())


def read(model: Checkpoint, numbers: torch.Tensor, piece: Piece | None = None) -> EncodedWeight:
    """The one weight of a file, without padding, or a piece of it."""
    view = WeightView.of(model.weights[NAME], "denoiser") if piece is None else WeightView("", piece.shape, (piece,))
    if view.shape != numbers.shape and piece is None:
        cut = cut_to(view, tuple(numbers.shape))
        assert cut is not None
        view = cut
    return read_encoded(model, view)


def steps_of(encoded: Encoded, folder: Path) -> torch.Tensor:
    with open_model(save_encoded(folder / "model.safetensors", {MODULE: encoded})) as model:
        weight = read(model, encoded.numbers)
        steps = rounding_steps(weight)
    assert steps is not None
    assert (steps.shape, steps.dtype, steps.is_contiguous()) == (encoded.numbers.shape, torch.float32, True)
    return steps


def drawn_for(kind: str, weight: torch.Tensor) -> torch.Tensor:
    """What the decoded numbers are to be held against: smoothed kinds multiply the columns afterwards."""
    if "smoothed" not in kind:
        return weight
    return weight * (0.5 + torch.rand(weight.shape[1], generator=torch.Generator().manual_seed(3)))


RANDOM_CODES = ("comfy awq",)


@pytest.mark.parametrize("draw", [normal, even])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in RANDOM_CODES])
def test_the_error_of_the_encoder_is_what_the_steps_say(
    kind: str, draw: Callable[[], torch.Tensor], tmp_path: Path
) -> None:
    weight = draw()
    encoded = KINDS[kind].encode(MODULE, weight)
    found = ratio(steps_of(encoded, tmp_path), encoded.numbers, drawn_for(kind, weight))
    assert abs(found - 1.0) < COARSE.get(kind, NARROW if "mxfp8" not in kind else 0.07)


BY_ROWS = ("comfy int8 by rows", "fp8 by rows", "int8 in groups", "int8 in groups, shifted", "int4 in groups", "mxfp8")
BY_ROWS += ("comfy int4 rotated", "comfy nvfp4", "nvfp4 of ModelOpt", "nf4", "fp4", "bitsandbytes int8", "comfy w4a8")


@pytest.mark.parametrize("kind", BY_ROWS)
def test_every_row_has_the_steps_of_its_own_scales(kind: str, tmp_path: Path) -> None:
    weight = uneven_rows()
    encoded = KINDS[kind].encode(MODULE, weight)
    steps, errors = steps_of(encoded, tmp_path), (encoded.numbers - weight).double()
    for rows in torch.arange(len(weight)).split(16):
        assert abs(ratio(steps[rows], errors[rows], torch.zeros(())) - 1.0) < 0.15


def test_one_scale_for_all_gives_small_rows_steps_as_long_as_those_of_large_ones(tmp_path: Path) -> None:
    encoded = KINDS["int8"].encode(MODULE, uneven_rows())
    steps = steps_of(encoded, tmp_path)
    assert torch.equal(steps, torch.full_like(steps, float(encoded.tensors[f"{MODULE}.weight_scale"])))


def test_codes_with_a_zero_for_each_group_are_a_scale_apart(tmp_path: Path) -> None:
    weight = normal()
    groups = weight.view(len(weight), -1, 64)
    scale = ((groups.amax(2) - groups.amin(2)) / 15).contiguous()
    zero = (groups.amin(2) + 8 * scale).contiguous()
    codes = ((groups - zero[:, :, None]) / scale[:, :, None] + 8).round().clamp(0, 15).to(torch.uint8).view(SHAPE)
    stored = (codes[:, 0::2] | codes[:, 1::2] << 4).view(torch.int8)
    scale, zero = scale.T.contiguous(), zero.T.contiguous()
    numbers = TensorCoreAWQW4A16Layout.dequantize(
        stored, TensorCoreAWQW4A16Layout.Params(scale, torch.float32, SHAPE, zero, 64)
    )
    said = {"format": "awq_w4a16", "group_size": 64}
    tensors = {"weight": stored, "weight_scale": scale, "weight_zeros": zero, "comfy_quant": marker(**said)}
    encoded = Encoded({f"{MODULE}.{last}": part for last, part in tensors.items()}, numbers, said)
    assert abs(ratio(steps_of(encoded, tmp_path), numbers, weight) - 1.0) < NARROW


def gguf_steps(kind: str, data: np.ndarray, folder: Path) -> torch.Tensor:
    with open_checkpoint(save_gguf(folder / "model.gguf", GgufModel(blocks={NAME: (kind, data)}))) as model:
        steps = rounding_steps(read_encoded(model, WeightView.of(model.weights[NAME], "denoiser")))
    assert steps is not None
    return steps


@pytest.mark.parametrize("draw", [normal, uneven_rows])
@pytest.mark.parametrize("kind", ENCODABLE)
def test_the_error_of_ggufs_plain_blocks_is_what_the_steps_say(
    kind: str, draw: Callable[[], torch.Tensor], tmp_path: Path
) -> None:
    data = encoded(kind, draw())
    assert abs(ratio(gguf_steps(kind, data, tmp_path), decoded(kind, data), draw()) - 1.0) < NARROW


@pytest.mark.parametrize("kind", [kind for kind in DECODED if kind not in ENCODABLE])
def test_the_error_of_ggufs_fitted_blocks_is_what_the_steps_say(kind: str, tmp_path: Path) -> None:
    drawn = torch.from_numpy(0.02 * np.random.RandomState(7).standard_normal((16, 512)))
    with np.load(BLOCKS) as blocks:
        data = blocks[kind]
    assert abs(ratio(gguf_steps(kind, data, tmp_path), decoded(kind, data), drawn) - 1.0) < 0.07


@pytest.mark.parametrize("kind", DECODED)
def test_ggufs_rows_by_themselves_have_the_steps_of_the_whole(kind: str, tmp_path: Path) -> None:
    data = random_rows(kind, 7, 768, seed=3)
    with open_checkpoint(save_gguf(tmp_path / "model.gguf", GgufModel(blocks={NAME: (kind, data)}))) as model:
        source = model.weights[NAME]
        whole = rounding_steps(read_encoded(model, WeightView.of(source, "")))
        by_rows = StepsByRows(read_encoded(model, WeightView.of(source, "")))
        piece = piece_of(source, 2, 5)
        some = rounding_steps(read_encoded(model, WeightView("", piece.shape, (piece,))))
    assert whole is not None
    assert some is not None
    assert torch.equal(some, whole[2:5])
    assert torch.equal(by_rows.values(800, 4000), whole.view(-1)[800:4000])
    assert len(whole.unique()) > 7


@pytest.mark.parametrize("kind", KINDS)
def test_rows_by_themselves_have_the_steps_of_the_whole(kind: str, tmp_path: Path) -> None:
    encoded = KINDS[kind].encode(MODULE, uneven_rows((130, 192)))
    whole = steps_of(encoded, tmp_path)
    with open_model(tmp_path / "model.safetensors") as model:
        source = read(model, encoded.numbers).view.source
        for start, stop in ((0, 1), (43, 66), (129, 130)):
            some = rounding_steps(read(model, encoded.numbers, piece_of(source, start, stop)))
            assert some is not None
            assert torch.equal(some, whole[start:stop])
        by_rows = StepsByRows(read(model, encoded.numbers))
        for start, stop in ((0, 500), (500, 3000), (3000, 3001), (12_345, whole.numel())):
            assert torch.equal(by_rows.values(start, stop), whole.reshape(-1)[start:stop])


def test_floats_that_llama_cpp_turned_or_shifted_have_the_steps_of_what_is_stored(tmp_path: Path) -> None:
    query, norm = normal((16, 32)).bfloat16(), 1 + normal((64,)).half()
    models = {
        "blk.0.attn_q.weight": GgufModel(
            {"blk.0.attn_q.weight": query}, {}, "llama", {"llama.attention.head_count": 2}
        ),
        "blk.0.attn_norm.weight": GgufModel({"blk.0.attn_norm.weight": norm}, {}, "gemma"),
    }
    for name, given in models.items():
        with open_checkpoint(save_gguf(tmp_path / f"{name}.gguf", given)) as model:
            weight = read_encoded(model, WeightView.of(model.weights[name], ""))
        steps, numbers = rounding_steps(weight), weight.decoded()
        stored = numbers.bfloat16() if numbers.dim() == 2 else (numbers + 1).half()
        assert model.weights[name].encoding == "gguf_plain"
        assert steps is not None
        assert torch.equal(steps, step_sizes.of_floats(stored))


TABLED_WHOLE = ("comfy awq", "comfy w4a8 corrected")
"""Kinds whose rows cannot be decoded by themselves."""


@pytest.mark.parametrize("kind", KINDS)
def test_steps_take_no_more_memory_than_decoding(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("grouped", "grouped_decode", "bitsandbytes", "comfy_w4"):
        monkeypatch.setattr(f"engine.checkpoints.encodings.{module}.CHUNK_VALUES", 1 << 14, raising=False)
        monkeypatch.setattr(f"engine.checkpoints.encodings.{module}.ROTATED_VALUES", 1 << 12, raising=False)
    monkeypatch.setattr(step_sizes, "CHUNK_VALUES", 1 << 12)
    encoded = KINDS[kind].encode(MODULE, normal((300, 1024)))
    with open_model(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})) as model:
        weight = read(model, encoded.numbers)
        stated = decoded_bytes(weight.view) + scratch_bytes(weight.view)
        assert peak_bytes(lambda: rounding_steps(weight)) <= stated
        by_rows = StepsByRows(weight)
        took = peak_bytes(lambda: all(len(by_rows.values(at, at + (1 << 14))) for at in range(0, 300 << 10, 1 << 14)))
        assert took <= steps_bytes(weight.view, 1 << 14)
        assert kind in TABLED_WHOLE or took < stated / 3


DTYPES = {
    torch.float16: (torch.int16, 11),
    torch.bfloat16: (torch.int16, 8),
    torch.float32: (torch.int32, 24),
    torch.float8_e4m3fn: (torch.int8, 4),
    torch.float8_e5m2: (torch.int8, 3),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_floats_step_is_the_distance_to_the_next_one(dtype: torch.dtype) -> None:
    size = torch.logspace(-9, 2, 5000, dtype=torch.float64).to(dtype)
    size = torch.cat((size, torch.tensor([0.0, torch.finfo(dtype).smallest_normal / 4]).to(dtype)))
    whole, bits = DTYPES[dtype]
    following = (size.view(whole) + 1).view(dtype).double()
    steps = step_sizes.of_floats(torch.stack((size, (-size.float()).to(dtype))))
    assert torch.equal(steps[0], steps[1])
    border = torch.frexp(size.double()).mantissa == 0.5  # the next smaller one is half as far away
    if dtype.itemsize > 1:
        border[:] = False
    assert torch.equal(steps[0][~border].double(), (following - size.double())[~border])
    assert int(bits) == 1 - int(np.log2(torch.finfo(dtype).eps))


def test_a_point_between_unequal_distances_has_the_variance_of_numbers_spread_evenly() -> None:
    levels = torch.tensor([0.0, 1.0, 4.0, 5.0])
    numbers = torch.linspace(-0.5, 5.5, 600_001, dtype=torch.float64)
    place = (numbers[:, None] - levels).abs().argmin(1)
    errors = (numbers - levels[place]).square()
    wanted = torch.stack([errors[place == index].mean() for index in range(4)])
    assert torch.allclose(step_sizes.of_levels(levels).double().square() / 12, wanted, rtol=1e-4)
    assert step_sizes.of_levels(torch.tensor([2.0, 2.0])).tolist() == [0.0, 0.0]
    assert step_sizes.of_levels(torch.tensor([0.0, float("nan"), 1.0])).isnan().tolist() == [False, True, False]


def test_plain_floats_have_no_steps_of_their_own_unless_their_dtypes_differ(tmp_path: Path) -> None:
    tensors = {"a": normal((8, 16)).bfloat16(), "b": normal((8, 16)).half(), "c": normal((6, 4, 16)).bfloat16()}
    with open_checkpoint(save_model(tmp_path / "model.safetensors", tensors)) as model:
        a, b, c = (model.weights[name] for name in "abc")
        alone = WeightView("", (16, 16), (Piece(a), Piece(a)))
        assert not has_own_steps(alone)
        assert rounding_steps(read_encoded(model, alone)) is None
        mixed = WeightView("", (24, 16), (Piece(a), Piece(b), Piece(c, (2, 3), single=True), Piece(a, (1, 5))))
        assert has_own_steps(mixed)
        steps, by_rows = rounding_steps(read_encoded(model, mixed)), StepsByRows(read_encoded(model, mixed))
    assert steps is not None
    parts = (tensors["a"], tensors["b"], tensors["c"][2], tensors["a"][1:5])
    assert torch.equal(steps, torch.cat([step_sizes.of_floats(part) for part in parts]))
    assert torch.equal(by_rows.rows(5, 23), steps[5:23])


def test_a_piece_that_is_turned_and_one_with_a_scale_have_their_own_steps(tmp_path: Path) -> None:
    weight = uneven_rows((32, 16))
    stored, scale = scaled(weight)
    tensors = {"q.weight": stored, "q.scale_weight": scale, "k.weight": normal((16, 8)).bfloat16()}
    tensors["scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
    with open_checkpoint(save_model(tmp_path / "model.safetensors", tensors)) as model:
        fp8, plain = model.weights["q.weight"], model.weights["k.weight"]
        view = WeightView("", (16 + 8, 16), (Piece(fp8, (4, 20)), Piece(plain, transposed=True)))
        steps, by_rows = rounding_steps(read_encoded(model, view)), StepsByRows(read_encoded(model, view))
    assert steps is not None
    found = stored.float() * scale
    assert abs(ratio(steps[:16], found[4:20], weight[4:20]) - 1.0) < 0.2
    assert torch.equal(steps[16:], step_sizes.of_floats(tensors["k.weight"]).T)
    assert torch.equal(torch.cat((by_rows.rows(0, 3), by_rows.rows(3, 24))), steps)


def test_every_encoding_is_tried_here() -> None:
    here = {kind.key for kind in KINDS.values()} | {"raw", "scaled_fp8", "strided"}
    assert {encoding.key for encoding in ENCODINGS if not encoding.key.startswith("gguf")} == here
