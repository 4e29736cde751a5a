"""Every encoding gives the numbers that the reference library decodes, on shapes that are no multiple of its blocks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import bitsandbytes
import pytest
import torch
from encoded_weights import (
    KINDS,
    Encoded,
    bitsandbytes4,
    comfy_float8,
    comfy_nvfp4,
    nf4,
    nf4_formula,
    save_encoded,
    weight_of,
)
from model_files import save_model
from torch_memory import peak_bytes

from engine.checkpoints import Checkpoint, Piece, WeightSource, WeightView, open_checkpoint
from engine.checkpoints.encodings import ENCODINGS, cut_to, decoded_bytes, piece_of, scratch_bytes
from engine.checkpoints.header_snapshot import HeaderSnapshot, remember
from engine.checkpoints.tensors import decode, read_encoded, read_view
from engine.errors import EngineError, ErrorCode
from engine.models.pairing import pair
from engine.planning.inspection import inspect_model, open_model

MODULE = "model.diffusion_model.blocks.0.attn.proj"
NAME = f"{MODULE}.weight"
CASES = [(kind, shape) for kind, row in KINDS.items() for shape in row.shapes]
ROUNDING = 4e-7  # of the largest number: a few roundings to float32


def view_of(model: Checkpoint, encoded: Encoded) -> WeightView:
    """The one weight of a file, cut to its true shape where that was padded and is not said."""
    view = WeightView.of(model.weights[NAME], "denoiser")
    if encoded.padded:
        cut = cut_to(view, tuple(encoded.numbers.shape))
        assert cut is not None
        return cut
    return view


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.double() - wanted.double()).abs().max() / wanted.double().abs().max())


@pytest.mark.shows(lambda kind: [{"encoding": KINDS[kind].key, "form": KINDS[kind].title}], container="safetensors")
@pytest.mark.parametrize("in_header", [False, True], ids=["", "in the header"])
@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_every_number_is_the_one_that_the_reference_decodes(
    kind: str, shape: tuple[int, int], in_header: bool, tmp_path: Path
) -> None:
    encoded = KINDS[kind].encode(MODULE, weight_of(shape))
    if in_header and encoded.layer is None:
        return
    with open_model(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded}, in_header=in_header)) as model:
        assert set(model.weights) == {NAME}
        view = view_of(model, encoded)
        found = read_view(model, view)
        assert (model.weights[NAME].encoding, found.dtype) == (KINDS[kind].key, torch.float32)
        assert found.is_contiguous()
        assert found.shape == encoded.numbers.shape == view.shape
        assert error(found, encoded.numbers) < ROUNDING


def swapped(part: torch.Tensor) -> torch.Tensor:
    raw = part.view(torch.uint8)
    return (raw << 4 | raw >> 4).view(part.dtype)


def rolled(part: torch.Tensor) -> torch.Tensor:
    raw = part.reshape(-1, part.shape[-1] if part.dim() > 1 else 1)
    turned = raw.view(torch.uint8).reshape(*raw.shape, -1).roll(1, dims=1 if raw.shape[1] > 1 else 0)
    return turned.reshape(-1).view(part.dtype).reshape(part.shape)


def ones(part: torch.Tensor) -> torch.Tensor:
    if part.dtype in (torch.uint8, torch.float8_e8m0fnu):
        return torch.full_like(part.view(torch.uint8), 127).view(part.dtype)
    return torch.ones(part.shape).to(part.dtype)


def twins(source: WeightSource, parts: tuple[torch.Tensor, ...]) -> dict[str, tuple[torch.Tensor, ...]]:
    """The parts as a wrong reader would take them, for each mistake that can be made with this source."""
    roles = list(source.parameters.get("roles", ("weight", "scale", "table", "outer", "outer_table")))
    made = {}
    for index, role in enumerate(roles[: len(parts)]):
        if role in ("scale", "factor", "columns", "row_scale", "outer"):
            made[f"{role} ignored"] = (*parts[:index], ones(parts[index]), *parts[index + 1 :])
        if role in ("zero", "shift"):
            made[f"{role} ignored"] = (*parts[:index], torch.zeros_like(parts[index]), *parts[index + 1 :])
        if role in ("scale", "zero", "shift", "columns", "outer") and parts[index].numel() > 1:
            made[f"{role} off by one"] = (*parts[:index], rolled(parts[index]), *parts[index + 1 :])
    if "codes" in source.parameters or "kind" in source.parameters or source.encoding == "comfy_w4":
        made["nibbles swapped"] = (swapped(parts[0]), *parts[1:])
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_readers_that_make_a_mistake_fail_the_same_comparison(kind: str, tmp_path: Path) -> None:
    shape = KINDS[kind].shapes[0]
    encoded = KINDS[kind].encode(MODULE, weight_of(shape))
    with open_checkpoint(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})) as model:
        view = view_of(model, encoded)
        parts = read_encoded(model, view).parts
        wrong = twins(view.source, parts)
        assert wrong
        for mistake, changed in wrong.items():
            found = decode(view.source, changed)
            assert not error(found, encoded.numbers) < 1000 * ROUNDING, mistake


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_rows_by_themselves_are_rows_of_the_whole(kind: str, shape: tuple[int, int], tmp_path: Path) -> None:
    encoded = KINDS[kind].encode(MODULE, weight_of(shape))
    with open_checkpoint(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})) as model:
        view = view_of(model, encoded)
        whole, source, rows = read_view(model, view), view.source, encoded.numbers.shape[0]
        for start, stop in {(0, 1), (rows - 1, rows), (0, rows), (rows // 3, rows // 2 + 1), (rows // 2, rows)}:
            piece = piece_of(source, start, stop)
            found = read_view(model, WeightView("denoiser", piece.shape, (piece,)))
            assert torch.equal(found, whole[start:stop])
            if piece.rows is None and stop - start > 2:  # rows of rows, as a fused weight is read in parts
                inner = piece_of(piece.source, 1, stop - start - 1)
                again = read_view(model, WeightView("denoiser", inner.shape, (inner,)))
                assert torch.equal(again, whole[start + 1 : stop - 1])
                assert inner.source.parts[0].nbytes <= source.parts[0].nbytes


LARGE = {"comfy nvfp4": (300, 1100), "comfy mxfp8": (300, 1100), "comfy nvfp4 smoothed": (304, 1100)}


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_takes_the_memory_that_is_stated(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("grouped", "grouped_decode", "bitsandbytes", "comfy_w4"):
        monkeypatch.setattr(f"engine.checkpoints.encodings.{module}.CHUNK_VALUES", 1 << 14, raising=False)
        monkeypatch.setattr(f"engine.checkpoints.encodings.{module}.ROTATED_VALUES", 1 << 12, raising=False)
    encoded = KINDS[kind].encode(MODULE, weight_of(LARGE.get(kind, (300, 1024))))
    with open_checkpoint(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})) as model:
        view = view_of(model, encoded)
        held = read_encoded(model, view)
        for piece in (Piece(view.source), piece_of(view.source, 37, 293)):
            limited = WeightView("denoiser", piece.shape, (piece,))
            held = read_encoded(model, limited)
            assert piece.source is view.source or limited.stored_bytes < 0.9 * view.stored_bytes
            took, stated = peak_bytes(held.decoded), decoded_bytes(limited) + scratch_bytes(limited)
            assert took <= stated
            assert stated < 1.35 * took, "the books do not ask for far more either"


@pytest.mark.parametrize("kind", KINDS)
def test_the_headers_alone_answer_the_same_when_the_file_is_gone(kind: str, tmp_path: Path) -> None:
    encoded = KINDS[kind].encode(MODULE, weight_of(KINDS[kind].shapes[0]))
    path = save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})
    with open_checkpoint(path) as model:
        words, known = json.loads(json.dumps(remember(model))), model.weights[NAME]
    for file in tmp_path.iterdir():
        file.unlink()
    again = HeaderSnapshot(words)
    assert again.quantisation is None
    assert list(again.weights) == [NAME]
    found = again.weights[NAME]
    assert (found.shape, found.encoding, found.parameters) == (known.shape, known.encoding, known.parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_says_the_encoding_in_words(kind: str, tmp_path: Path) -> None:
    encoded = KINDS[kind].encode(MODULE, weight_of(KINDS[kind].shapes[0]))
    others = {"model.diffusion_model.blocks.0.norm.weight": torch.ones(8)}
    summary = inspect_model(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded}, others=others))
    assert summary.encodings == ((KINDS[kind].title, 1),)
    assert summary.quantisation is None


@pytest.mark.parametrize("width", [192, 200, 65])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_the_formula_is_what_bitsandbytes_decodes_where_its_processor_code_is_right(kind: str, width: int) -> None:
    encoded = bitsandbytes4(MODULE, weight_of((48, width)), kind, 64, nested=False)
    prefix = f"{NAME}."
    state = bitsandbytes.functional.QuantState.from_dict(
        {name.removeprefix(prefix): part for name, part in encoded.tensors.items() if name != NAME}, torch.device("cpu")
    )
    reference = bitsandbytes.functional.dequantize_4bit(encoded.tensors[NAME], state)
    assert error(encoded.numbers, reference) < ROUNDING


def test_a_shape_that_padding_does_not_explain_is_not_cut_to(tmp_path: Path) -> None:
    encoded = comfy_nvfp4(MODULE, weight_of((130, 75)))
    with open_checkpoint(save_encoded(tmp_path / "model.safetensors", {MODULE: encoded})) as model:
        view = WeightView.of(model.weights[NAME], "denoiser")
        assert view.shape == (144, 80)
        for shape in ((128, 80), (144, 64), (145, 80), (144,), (144, 80, 1)):
            assert cut_to(view, shape) is None
        assert cut_to(WeightView("denoiser", (144, 80), (Piece(view.source, transposed=True),)), (130, 75)) is None


def test_a_header_that_leaves_out_the_prefix_is_understood(tmp_path: Path) -> None:
    encoded = comfy_float8(MODULE, weight_of((8, 16)))
    tensors = {name: part for name, part in encoded.tensors.items() if not name.endswith("comfy_quant")}
    for said in ({"format": "float8_e4m3fn"}, "float8_e4m3fn"):
        layers = {"blocks.0.attn.proj": said, "blocks.0.not_there": {"format": "nvfp4"}}
        metadata = {"_quantization_metadata": json.dumps({"layers": layers})}
        with open_model(save_model(tmp_path / "model.safetensors", tensors, metadata)) as model:
            assert model.weights[NAME].encoding == "comfy_quant"


HEADER_NAMES = [
    ("model.diffusion_model.", ""),
    ("model.diffusion_model.", "diffusion_model."),
    ("", "model.diffusion_model."),
    ("diffusion_model.", "model.diffusion_model."),
]


@pytest.mark.parametrize("kind", ["comfy int8 rotated", "comfy nvfp4"])
@pytest.mark.parametrize(("said", "stored"), HEADER_NAMES)
def test_a_layer_is_what_the_header_says_whatever_prefix_either_has(
    said: str, stored: str, kind: str, tmp_path: Path
) -> None:
    encoded = KINDS[kind].encode(f"{stored}blocks.0.fc", weight_of((128, 256)))
    tensors = {name: part for name, part in encoded.tensors.items() if not name.endswith("comfy_quant")}
    metadata = {"_quantization_metadata": json.dumps({"layers": {f"{said}blocks.0.fc": encoded.layer}})}
    with open_model(save_model(tmp_path / "model.safetensors", tensors, metadata)) as model:
        view = WeightView.of(model.weights[f"{stored}blocks.0.fc.weight"], "denoiser")
        assert error(read_view(model, view), encoded.numbers) < ROUNDING


def test_layers_that_the_header_has_under_other_names_are_refused(tmp_path: Path) -> None:
    encoded = KINDS["comfy nvfp4"].encode(MODULE, weight_of((128, 256)))
    tensors = {name: part for name, part in encoded.tensors.items() if not name.endswith("comfy_quant")}
    metadata = {"_quantization_metadata": json.dumps({"layers": {"other.layer": encoded.layer}})}
    with pytest.raises(EngineError) as caught:
        open_model(save_model(tmp_path / "model.safetensors", tensors, metadata))
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.QUANTISED, f"{MODULE}.weight_scale")


def test_parts_that_describe_their_own_layers_are_read_as_each_of_them_says(tmp_path: Path) -> None:
    numbers = {}
    for at, kind in enumerate(("comfy nvfp4", "comfy int8 rotated"), 1):
        encoded = KINDS[kind].encode(f"blocks.{at}.fc", weight_of((128, 256), at))
        tensors = {name: part for name, part in encoded.tensors.items() if not name.endswith("comfy_quant")}
        metadata = {"_quantization_metadata": json.dumps({"layers": {f"blocks.{at}.fc": encoded.layer}})}
        save_model(tmp_path / f"model-{at:05}-of-00002.safetensors", tensors, metadata)
        numbers[f"blocks.{at}.fc.weight"] = encoded.numbers
    with open_model(tmp_path) as model:
        for name, wanted in numbers.items():
            assert error(read_view(model, WeightView.of(model.weights[name], "denoiser")), wanted) < ROUNDING


@pytest.mark.parametrize("padded_side", [0, 1], ids=["tuned", "base"])
def test_a_padded_weight_pairs_with_one_in_its_true_shape(padded_side: int, tmp_path: Path) -> None:
    encoded = comfy_nvfp4(MODULE, weight_of((130, 75)))
    paths = [
        save_encoded(tmp_path / "padded.safetensors", {MODULE: encoded}),
        save_model(tmp_path / "plain.safetensors", {NAME: weight_of((130, 75))}),
    ]
    with open_model(paths[padded_side]) as tuned, open_model(paths[1 - padded_side]) as base:
        (weight,) = pair(tuned, base).weights
        assert (weight.shape, weight.common) == ((130, 75), None)
        view, model = ((weight.finetuned, tuned), (weight.original, base))[padded_side]
        assert error(read_view(model, view), encoded.numbers) < ROUNDING


def test_bytes_of_nf4_may_be_stored_as_wider_numbers(tmp_path: Path) -> None:
    encoded = nf4(MODULE, weight_of((33, 16)))
    stored = encoded.tensors[NAME].reshape(-1).view(torch.bfloat16).reshape(-1, 1)
    changed = replace(encoded, tensors=encoded.tensors | {NAME: stored})
    with open_model(save_encoded(tmp_path / "model.safetensors", {MODULE: changed})) as model:
        assert error(read_view(model, view_of(model, encoded)), nf4_formula(encoded.tensors, MODULE, "nf4")) < ROUNDING


def test_every_encoding_is_tried_here_or_has_tests_of_its_own() -> None:
    elsewhere = {"raw", "scaled_fp8", "strided"}
    rows = {encoding.key for encoding in ENCODINGS if not encoding.key.startswith("gguf")}
    assert rows - elsewhere == {kind.key for kind in KINDS.values()}
