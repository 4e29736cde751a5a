"""Side data that cannot be right is refused by name, and schemes that nothing decodes are named with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from encoded_weights import KINDS, marker, weight_of
from model_files import Tensors, save_model

from app.text.errors import error_text
from engine.checkpoints.stored import WeightView
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError, ErrorCode
from engine.planning.inspection import inspect_model, open_model

MODULE = "model.diffusion_model.blocks.0.attn.proj"
NAME = f"{MODULE}.weight"


def tensors_of(kind: str, shape: tuple[int, int] = (130, 192)) -> Tensors:
    return dict(KINDS[kind].encode(MODULE, weight_of(shape)).tensors)


def without(kind: str, last: str) -> Tensors:
    tensors = tensors_of(kind)
    del tensors[f"{MODULE}.{last}"]
    return tensors


def changed(kind: str, last: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Tensors:
    tensors = tensors_of(kind)
    tensors[f"{MODULE}.{last}"] = change(tensors[f"{MODULE}.{last}"])
    return tensors


def said(kind: str, **options: object) -> Tensors:
    return changed(kind, "comfy_quant", lambda _: marker(**options))


def state(**options: object) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(part: torch.Tensor) -> torch.Tensor:
        return marker(**(json.loads(bytes(part.tolist())) | options))

    return change


def short(part: torch.Tensor) -> torch.Tensor:
    return part[:-1]


def whole(part: torch.Tensor) -> torch.Tensor:
    return part.to(torch.int32)


NF4_STATE = "weight.quant_state.bitsandbytes__nf4"
BROKEN: dict[str, tuple[Callable[[], Tensors], str]] = {
    "ComfyUI: no weight": (lambda: without("comfy float8", "weight"), "comfy_quant"),
    "ComfyUI: no scale": (lambda: without("comfy float8", "weight_scale"), "weight"),
    "ComfyUI: a scale of another length": (
        lambda: changed("comfy int8 by rows", "weight_scale", short),
        "weight_scale",
    ),
    "ComfyUI: a scale of whole numbers": (lambda: changed("comfy int8", "weight_scale", whole), "weight_scale"),
    "ComfyUI: a weight of another dtype": (lambda: changed("comfy int8", "weight", whole), "weight"),
    "ComfyUI: not JSON": (lambda: changed("comfy int8", "comfy_quant", short), "comfy_quant"),
    "ComfyUI: a list": (
        lambda: changed("comfy int8", "comfy_quant", lambda p: torch.tensor([91, 93], dtype=p.dtype)),
        "comfy_quant",
    ),
    "ComfyUI: much JSON": (lambda: changed("comfy int8", "comfy_quant", lambda p: p.repeat(4000)), "comfy_quant"),
    "ComfyUI: deep JSON": (
        lambda: changed("comfy int8", "comfy_quant", lambda p: torch.full((60_000,), 91, dtype=p.dtype)),
        "comfy_quant",
    ),
    "ComfyUI: a marker of floats": (lambda: changed("comfy int8", "comfy_quant", torch.Tensor.float), "comfy_quant"),
    "ComfyUI: groups of 48": (
        lambda: said("comfy int8 rotated", format="int8_tensorwise", convrot=True, convrot_groupsize=48),
        "weight",
    ),
    "ComfyUI: groups of 256 in 192": (lambda: said("comfy int8", format="int8_tensorwise", convrot=True), "weight"),
    "ComfyUI: groups of text": (
        lambda: said("comfy int8", format="int8_tensorwise", convrot=True, convrot_groupsize="x"),
        "comfy_quant",
    ),
    "ComfyUI: convrot is text": (lambda: said("comfy int8", format="int8_tensorwise", convrot="yes"), "weight"),
    "ComfyUI: nvfp4 in plain order": (lambda: changed("comfy nvfp4", "weight_scale", short), "weight_scale"),
    "ComfyUI: nvfp4 of another shape": (lambda: said("comfy nvfp4", format="nvfp4", orig_shape=[10, 192]), "weight"),
    "ComfyUI: nvfp4 of a shape of text": (lambda: said("comfy nvfp4", format="nvfp4", orig_shape="ab"), "comfy_quant"),
    "ComfyUI: nvfp4 of a huge shape": (
        lambda: said("comfy nvfp4", format="nvfp4", orig_shape=[1 << 60, 1 << 60]),
        "comfy_quant",
    ),
    "ComfyUI: nvfp4 without its second scale": (lambda: without("comfy nvfp4", "weight_scale_2"), "weight"),
    "ComfyUI: smoothed by too few": (
        lambda: tensors_of("comfy nvfp4 smoothed") | {f"{MODULE}.pre_quant_scale": torch.ones(9)},
        "pre_quant_scale",
    ),
    "ComfyUI: mxfp8 with another scale": (lambda: changed("comfy mxfp8", "weight_scale", short), "weight_scale"),
    "ComfyUI: int4 with too few scales": (lambda: changed("comfy int4 rotated", "weight_scale", short), "weight_scale"),
    "ComfyUI: a table of 15": (lambda: changed("comfy w4a8", "weight_codebook", short), "weight_codebook"),
    "ComfyUI: groups that do not fit": (
        lambda: said("comfy awq", format="awq_w4a16", group_size=7),
        "weight",
    ),
    "ComfyUI: AWQ without zeros": (lambda: without("comfy awq", "weight_zeros"), "weight"),
    "block fp8: no weight": (lambda: without("block fp8", "weight"), "weight_scale_inv"),
    "block fp8: other blocks": (lambda: changed("block fp8", "weight_scale_inv", short), "weight_scale_inv"),
    "block fp8: not fp8": (lambda: changed("block fp8", "weight", torch.Tensor.half), "weight"),
    "fp8: no weight": (lambda: without("fp8", "weight"), "weight_scale"),
    "fp8: a scale of another length": (lambda: changed("fp8 by rows", "weight_scale", short), "weight_scale"),
    "int8: zeros of another shape": (
        lambda: changed("int8 in groups, shifted", "weight_zero_point", short),
        "weight_zero_point",
    ),
    "int8: no groups": (lambda: changed("int8 in groups", "weight_scale", lambda p: p[:, :0]), "weight_scale"),
    "mxfp8: other groups": (lambda: changed("mxfp8", "weight_scale", short), "weight_scale"),
    "int4: no shape": (lambda: without("int4 in groups", "weight_shape"), "weight_packed"),
    "int4: a shape of three": (
        lambda: changed("int4 in groups", "weight_shape", lambda p: p.repeat(2)[:3]),
        "weight_shape",
    ),
    "int4: a negative shape": (lambda: changed("int4 in groups", "weight_shape", lambda p: -p), "weight_shape"),
    "int4: a huge shape": (lambda: changed("int4 in groups", "weight_shape", lambda p: p << 50), "weight_shape"),
    "int4: another shape": (lambda: changed("int4 in groups", "weight_shape", lambda p: p + 64), "weight_packed"),
    "int4: no scale": (lambda: without("int4 in groups", "weight_scale"), "weight_packed"),
    "int4: groups that do not fit": (
        lambda: changed("int4 in groups", "weight_scale", lambda p: p[:, :5]),
        "weight_scale",
    ),
    "int4: zeros of another shape": (
        lambda: changed("int4 in groups, shifted", "weight_zero_point", short),
        "weight_zero_point",
    ),
    "nvfp4: other groups": (lambda: changed("nvfp4 of compressed-tensors", "weight_scale", short), "weight_scale"),
    "nvfp4: two global scales": (
        lambda: changed("nvfp4 of compressed-tensors", "weight_global_scale", lambda p: p.repeat(2)),
        "weight_global_scale",
    ),
    "ModelOpt: no weight": (lambda: without("nvfp4 of ModelOpt", "weight"), "weight_scale_2"),
    "ModelOpt: no scale": (lambda: without("nvfp4 of ModelOpt", "weight_scale"), "weight_scale_2"),
    "nf4: no weight": (lambda: without("nf4", "weight"), NF4_STATE),
    "nf4: no factors": (lambda: without("nf4", "weight.absmax"), "weight"),
    "nf4: too few factors": (lambda: changed("nf4", "weight.absmax", short), "weight.absmax"),
    "nf4: 15 codes": (lambda: changed("nf4", "weight.quant_map", short), "weight.quant_map"),
    "nf4: too few bytes": (lambda: changed("nf4", "weight", short), "weight"),
    "nf4: another kind": (lambda: changed("nf4", NF4_STATE, state(quant_type="fp4")), NF4_STATE),
    "nf4: blocks of 0": (lambda: changed("nf4", NF4_STATE, state(blocksize=0)), NF4_STATE),
    "nf4: blocks of half": (lambda: changed("nf4", NF4_STATE, state(blocksize=64.0)), NF4_STATE),
    "nf4: a huge shape": (lambda: changed("nf4", NF4_STATE, state(shape=[1 << 40, 3])), NF4_STATE),
    "nf4: no shape": (lambda: changed("nf4", NF4_STATE, state(shape=None)), NF4_STATE),
    "nf4: a shape of 200,000 numbers": (lambda: changed("nf4", NF4_STATE, state(shape=[1] * 20_000)), NF4_STATE),
    "nf4: an offset that is no number": (
        lambda: changed("nf4 nested", NF4_STATE, state(nested_offset=float("nan"))),
        NF4_STATE,
    ),
    "nf4: no nested factors": (lambda: without("nf4 nested", "weight.nested_absmax"), "weight"),
    "bitsandbytes int8: no weight": (lambda: without("bitsandbytes int8", "weight"), "SCB"),
    "bitsandbytes int8: too few scales": (lambda: changed("bitsandbytes int8", "SCB", short), "SCB"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_side_data_that_cannot_be_right_is_refused_by_name(case: str, tmp_path: Path) -> None:
    make, named = BROKEN[case]
    path = save_model(tmp_path / "model.safetensors", make())
    with pytest.raises(EngineError) as caught:
        open_model(path)
    assert caught.value.code is ErrorCode.HEADER_INVALID
    assert (caught.value.file, caught.value.tensor) == (str(path), f"{MODULE}.{named}")
    assert len(caught.value.data["reason"]) < 400


@pytest.mark.parametrize("text", ["{", "[]", '{"layers": 3}', '{"layers": {"a": 3}}', "[" * 100_000])
def test_a_broken_header_of_quantised_layers_is_refused(text: str, tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.safetensors", tensors_of("comfy int8"), {"_quantization_metadata": text})
    with pytest.raises(EngineError) as caught:
        open_model(path)
    assert (caught.value.code, caught.value.file) == (ErrorCode.HEADER_INVALID, str(path))
    assert "_quantization_metadata" in caught.value.data["reason"]


INTEGERS = torch.ones((8, 8), dtype=torch.int32)
EXPERTS, FLOAT8 = "model.layers.0.mlp.experts.gate_up_proj", torch.ones((2, 8, 8)).to(torch.float8_e4m3fn)
REFUSED: dict[str, tuple[Callable[[], Tensors], str, str, str]] = {
    # tensors, what the scheme is called, the tensor that shows it, what can be done
    "GPTQ": (
        lambda: {f"{MODULE}.{last}": INTEGERS for last in ("qweight", "qzeros", "scales", "g_idx")},
        "GPTQ",
        f"{MODULE}.qweight",
        "other_file",
    ),
    "AWQ": (
        lambda: {f"{MODULE}.{last}": INTEGERS for last in ("qweight", "qzeros", "scales")},
        "AWQ",
        f"{MODULE}.qweight",
        "other_file",
    ),
    "SVDQuant": (
        lambda: {f"{MODULE}.{last}": INTEGERS for last in ("qweight", "wscales", "smooth")},
        "SVDQuant",
        f"{MODULE}.qweight",
        "other_file",
    ),
    "HQQ": (lambda: {f"{MODULE}.W_q": INTEGERS}, "HQQ", f"{MODULE}.W_q", "other_file"),
    "quanto": (lambda: {f"{NAME}._data": INTEGERS}, "quanto", f"{NAME}._data", "other_file"),
    "torchao": (lambda: {f"{MODULE}._weight_qdata": INTEGERS}, "torchao", f"{MODULE}._weight_qdata", "other_file"),
    "AQLM": (lambda: {f"{MODULE}.codebooks": INTEGERS.float()}, "AQLM", f"{MODULE}.codebooks", "other_file"),
    "experts in fp8 with scales": (
        lambda: {EXPERTS: FLOAT8, f"{EXPERTS}_scale": torch.ones(2, 1, 8)},
        "fp8 with scales",
        f"{EXPERTS}_scale",
        "other_file",
    ),
    "experts in blocks of fp8": (
        lambda: {EXPERTS: FLOAT8, f"{EXPERTS}_scale_inv": torch.ones(2, 1, 1)},
        "fp8 with scales",
        f"{EXPERTS}_scale_inv",
        "other_file",
    ),
    "gpt-oss": (
        lambda: {f"{MODULE}_blocks": INTEGERS.to(torch.uint8), f"{MODULE}_scales": INTEGERS.to(torch.uint8)},
        "mxfp4 (gpt-oss)",
        f"{MODULE}_blocks",
        "other_file",
    ),
    "an order of activations": (
        lambda: tensors_of("int4 in groups") | {f"{MODULE}.weight_g_idx": torch.arange(192)},
        "packed integers in an order of activations (compressed-tensors)",
        f"{MODULE}.weight_g_idx",
        "other_file",
    ),
    "packed by three bits": (
        lambda: changed("int4 in groups", "weight_packed", lambda part: part[:, :18]),
        "packed integers of 3 bits (compressed-tensors)",
        f"{MODULE}.weight_packed",
        "other_file",
    ),
    "bitsandbytes in tiles": (
        lambda: changed("bitsandbytes int8", "weight_format", lambda part: part + 2),
        "bitsandbytes int8 in tiles",
        f"{MODULE}.weight_format",
        "other_file",
    ),
    "a format of ComfyUI to come": (
        lambda: said("comfy int8", format="int3\nnew"),
        "ComfyUI 'int3\\nnew'",
        NAME,
        "unknown_format",
    ),
    "ComfyUI without a format": (lambda: said("comfy int8"), "ComfyUI None", NAME, "unknown_format"),
    "packed floats of no known scale": (
        lambda: without("nvfp4 of compressed-tensors", "weight_global_scale"),
        "packed fp4 without a global scale (compressed-tensors)",
        f"{MODULE}.weight_packed",
        "other_file",
    ),
    "whole numbers alone": (lambda: {NAME: INTEGERS}, "integer weights (I32)", NAME, "other_file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nothing_decodes_is_refused_by_name_with_what_to_do(case: str, tmp_path: Path) -> None:
    make, scheme, example, remedy = REFUSED[case]
    tensors = {name: part.clone() for name, part in make().items()}
    path = save_model(tmp_path / "model.safetensors", tensors)
    with pytest.raises(EngineError) as caught:
        open_model(path)
    error = caught.value
    assert (error.code, error.tensor, error.data["scheme"]) == (ErrorCode.QUANTISED, example, scheme)
    assert error.data["reason"] == remedy
    assert inspect_model(path).quantisation == scheme
    shown = " ".join(error_text(error))
    assert scheme in shown
    assert "fp16, bf16" in shown
    assert ("Update" in shown) == (remedy == "unknown_format")


@pytest.mark.parametrize(
    "kind", ["comfy float8", "comfy nvfp4", "block fp8", "fp8 by rows", "int4 in groups", "nf4", "bitsandbytes int8"]
)
def test_a_scale_that_is_not_a_number_gives_numbers_that_are_none(kind: str, tmp_path: Path) -> None:
    """So that the run blames the file, see `EncodedWeight.broken_part`."""
    tensors = tensors_of(kind)
    scale = next(name for name in tensors if name.endswith(("scale", "scale_2", "scale_inv", "absmax", "SCB")))
    tensors[scale].view(-1)[0] = float("nan")
    with open_model(save_model(tmp_path / "model.safetensors", tensors)) as model:
        numbers = read_view(model, WeightView.of(model.weights[NAME], "denoiser"))
    assert not torch.isfinite(numbers).all()


def test_blocks_of_another_size_ask_for_the_config_that_says_so(tmp_path: Path) -> None:
    tensors = {NAME: torch.ones(256, 256).to(torch.float8_e4m3fn), f"{NAME}_scale_inv": torch.ones(4, 4)}
    path = save_model(tmp_path / "model.safetensors", tensors)
    with pytest.raises(EngineError) as caught:
        open_model(path)
    assert "config.json" in " ".join(error_text(caught.value))
    (tmp_path / "config.json").write_text('{"quantization_config": {"weight_block_size": [64, 64]}}')
    with open_model(path) as model:
        assert model.weights[NAME].parameters["block"] == [64, 64]
