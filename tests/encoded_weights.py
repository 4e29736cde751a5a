"""Weights encoded by the libraries that programs use themselves, and the numbers that these decode, in float32.

A kind is a function from a module's name and a weight to what a file has of it; where a library cannot encode, random
valid blocks are made, which it decodes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from comfy_kitchen.backends.eager import convrot_w4a4, w4a8_int8
from comfy_kitchen.backends.eager import quantization as eager
from comfy_kitchen.float_utils import to_blocked
from comfy_kitchen.tensor import TensorCoreAWQW4A16Layout
from model_files import Tensors, save_model

pytest.importorskip("compressed_tensors")  # which is not there for Python 3.10

from compressed_tensors.compressors.nvfp4.helpers import pack_fp4_to_uint8, unpack_fp4_from_uint8
from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
from compressed_tensors.quantization import (
    QuantizationArgs,
    QuantizationScheme,
    QuantizationStrategy,
)
from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2


@dataclass(frozen=True)
class Encoded:
    """What a file has of one weight.

    Attributes:
        tensors: by name.
        numbers: what they stand for, float32.
        layer: what ComfyUI's header says of it; None without.
        config: of ``config.json``.
        padded: the numbers' shape is smaller than the one that is stored, and is not said.
    """

    tensors: Tensors
    numbers: torch.Tensor
    layer: dict[str, Any] | None = None
    config: dict[str, Any] = field(default_factory=dict)
    padded: bool = False


@dataclass(frozen=True)
class Kind:
    """One way to encode: how, its key, what the card calls it, and shapes that are no multiples of its blocks."""

    encode: Callable[[str, torch.Tensor], Encoded]
    key: str
    title: str
    shapes: tuple[tuple[int, ...], ...]


def marker(**said: Any) -> torch.Tensor:
    """ComfyUI's JSON of a layer."""
    return torch.tensor(list(json.dumps(said).encode()), dtype=torch.uint8)


def _comfy(
    said: dict[str, Any], tensors: Tensors, numbers: torch.Tensor, name: str, *, padded: bool = False
) -> Encoded:
    stored = {f"{name}.{last}": tensor for last, tensor in tensors.items()}
    return Encoded(stored | {f"{name}.comfy_quant": marker(**said)}, numbers, said, padded=padded)


def comfy_float8(name: str, weight: torch.Tensor, dtype: torch.dtype = E4M3) -> Encoded:
    scale = weight.abs().max() / torch.finfo(dtype).max
    stored = eager.quantize_per_tensor_fp8(weight, scale, dtype)
    numbers = eager.dequantize_per_tensor_fp8(stored, scale, torch.float32)
    said = {"format": "float8_e4m3fn" if dtype is E4M3 else "float8_e5m2"}
    return _comfy(said, {"weight": stored, "weight_scale": scale, "input_scale": torch.ones(())}, numbers, name)


def comfy_float8_e5m2(name: str, weight: torch.Tensor) -> Encoded:
    return comfy_float8(name, weight, E5M2)


def comfy_int8(name: str, weight: torch.Tensor) -> Encoded:
    stored, scale = eager.quantize_int8_tensorwise(weight)
    numbers = eager.dequantize_int8_simple(stored, scale)
    return _comfy({"format": "int8_tensorwise"}, {"weight": stored, "weight_scale": scale}, numbers, name)


def comfy_int8_rows(name: str, weight: torch.Tensor) -> Encoded:
    stored, scale = eager.quantize_int8_rowwise(weight)
    numbers = eager.dequantize_int8_simple(stored, scale)
    return _comfy({"format": "int8_tensorwise"}, {"weight": stored, "weight_scale": scale}, numbers, name)


def comfy_int8_rotated(name: str, weight: torch.Tensor, *, nested: bool = False) -> Encoded:
    group = next(size for size in (256, 64, 16, 4) if weight.shape[1] % size == 0)
    stored, scale = eager.quantize_int8_convrot_weight(weight, group)
    numbers = eager.dequantize_int8_convrot_weight(stored, scale, group)
    options = {"convrot": True, "convrot_groupsize": group}
    said = {"format": "int8_tensorwise", **({"params": options} if nested else options)}
    return _comfy(said, {"weight": stored, "weight_scale": scale}, numbers, name)


def comfy_int8_rotated_params(name: str, weight: torch.Tensor) -> Encoded:
    return comfy_int8_rotated(name, weight, nested=True)


def comfy_mxfp8(name: str, weight: torch.Tensor, *, raw: bool = False) -> Encoded:
    rows, columns = weight.shape
    stored, scale = eager.quantize_mxfp8(weight, pad_32x=True)
    numbers = eager.dequantize_mxfp8(stored, scale, torch.float32)[:rows, :columns].contiguous()
    tensors = {"weight": stored, "weight_scale": scale.view(torch.uint8) if raw else scale}
    return _comfy({"format": "mxfp8"}, tensors, numbers, name, padded=stored.shape != weight.shape)


def comfy_mxfp8_uint8(name: str, weight: torch.Tensor) -> Encoded:
    return comfy_mxfp8(name, weight, raw=True)


def comfy_nvfp4(name: str, weight: torch.Tensor, **said: Any) -> Encoded:
    rows, columns = weight.shape
    factor = weight.abs().max() / (448 * 6)
    stored, scale = eager.quantize_nvfp4(weight, factor, pad_16x=True)
    numbers = eager.dequantize_nvfp4(stored, factor, scale, torch.float32)[:rows, :columns].contiguous()
    tensors = {"weight": stored, "weight_scale": scale, "weight_scale_2": factor}
    padded = (stored.shape[0], 2 * stored.shape[1]) != tuple(weight.shape) and not said
    return _comfy({"format": "nvfp4"} | said, tensors, numbers, name, padded=padded)


def comfy_nvfp4_shaped(name: str, weight: torch.Tensor) -> Encoded:
    return comfy_nvfp4(name, weight, orig_shape=list(weight.shape))


def comfy_nvfp4_smoothed(name: str, weight: torch.Tensor) -> Encoded:
    """With the scale of the inputs, as AWQ leaves one; its length is the true number of columns."""
    smooth = 0.5 + torch.rand(weight.shape[1], generator=torch.Generator().manual_seed(3))
    encoded = comfy_nvfp4(name, weight)
    tensors = encoded.tensors | {f"{name}.pre_quant_scale": smooth}
    return Encoded(tensors, encoded.numbers * smooth, encoded.layer, padded=encoded.padded)


def comfy_int4_rotated(name: str, weight: torch.Tensor) -> Encoded:
    stored, scale = convrot_w4a4.quantize_convrot_w4a4_weight(weight, 64)
    numbers = convrot_w4a4.dequantize_convrot_w4a4_weight(stored, scale, 64)
    said = {"format": "convrot_w4a4", "convrot_groupsize": 64}
    return _comfy(said, {"weight": stored, "weight_scale": scale}, numbers, name)


def comfy_w4a8(name: str, weight: torch.Tensor, *, symmetric: bool = True) -> Encoded:
    stored, scale, rows, correction, table = w4a8_int8.quantize_w4a8_int8_weight(
        weight, 16, 64, symmetric=symmetric, codebook=symmetric
    )
    numbers = w4a8_int8.dequantize_w4a8_int8_weight(stored, scale, rows, table, correction, 16, 64, torch.float32)
    tensors = {"weight": stored, "weight_s_rel": scale, "weight_s_channel": rows}
    tensors |= {} if table is None else {"weight_codebook": table}
    tensors |= {} if correction is None else {"weight_correction": correction}
    said = {"format": "asym_w4a8_int8", "group_size": 16, "convrot": True, "convrot_groupsize": 64}
    return _comfy(said, tensors, numbers, name)


def comfy_w4a8_corrected(name: str, weight: torch.Tensor) -> Encoded:
    return comfy_w4a8(name, weight, symmetric=False)


def comfy_awq(name: str, weight: torch.Tensor) -> Encoded:
    """Random codes: comfy-kitchen decodes this format and cannot encode it."""
    rows, columns = weight.shape
    generator = torch.Generator().manual_seed(columns)
    stored = torch.randint(-128, 128, (rows, columns // 2), generator=generator, dtype=torch.int8)
    scale = weight.reshape(rows, -1, 64).abs().amax(dim=2).T.contiguous() / 8
    zero = weight.reshape(rows, -1, 64).mean(dim=2).T.contiguous()
    params = TensorCoreAWQW4A16Layout.Params(scale, torch.float32, (rows, columns), zero, 64)
    numbers = TensorCoreAWQW4A16Layout.dequantize(stored, params)
    said = {"format": "awq_w4a16", "group_size": 64}
    return _comfy(said, {"weight": stored, "weight_scale": scale, "weight_zeros": zero}, numbers, name)


def _arguments(strategy: str, **said: Any) -> QuantizationArgs:
    return QuantizationArgs(**({"num_bits": 8, "type": "float", "symmetric": True} | said), strategy=strategy)


def _ranges(weight: torch.Tensor, strategy: str, size: int) -> torch.Tensor:
    """The weight's numbers in the groups that share a scale: (rows, groups, numbers)."""
    if strategy == "tensor":
        return weight.reshape(1, 1, -1)
    return weight.reshape(len(weight), -1, size if strategy == "group" else weight.shape[1])


def scales_of(weight: torch.Tensor, arguments: QuantizationArgs, highest: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A scale and a zero point for each group, as an observer of smallest and largest values finds them."""
    groups = _ranges(weight, str(arguments.strategy), arguments.group_size or 0)
    if arguments.symmetric:
        scale = groups.abs().amax(dim=2) / highest
        return scale, torch.zeros_like(scale, dtype=torch.int8)
    low, high = groups.amin(dim=2).clamp(max=0), groups.amax(dim=2).clamp(min=0)
    scale = (high - low) / (2 * highest + 1)
    return scale, (-low / scale - highest - 1).round().clamp(-highest - 1, highest).to(torch.int8)


def _naive(name: str, weight: torch.Tensor, arguments: QuantizationArgs) -> Encoded:
    """fp8 and int8 as compressed-tensors stores them unpacked."""
    scale, zero = scales_of(weight, arguments, 448 if arguments.type == "float" else 127)
    point = None if arguments.symmetric else zero
    scale, point = (
        part if arguments.strategy != "tensor" or part is None else part.reshape(1) for part in (scale, point)
    )
    stored = quantize(weight, scale, point, arguments, dtype=arguments.pytorch_dtype())
    numbers = dequantize(stored, scale, point, arguments)
    tensors = {f"{name}.weight": stored, f"{name}.weight_scale": scale, f"{name}.input_scale": torch.ones(1)}
    return Encoded(tensors | ({} if point is None else {f"{name}.weight_zero_point": point}), numbers)


def float8_tensor(name: str, weight: torch.Tensor) -> Encoded:
    return _naive(name, weight, _arguments("tensor"))


def float8_channel(name: str, weight: torch.Tensor) -> Encoded:
    return _naive(name, weight, _arguments("channel"))


def int8_tensor(name: str, weight: torch.Tensor) -> Encoded:
    return _naive(name, weight, _arguments("tensor", type="int"))


def int8_channel(name: str, weight: torch.Tensor) -> Encoded:
    return _naive(name, weight, _arguments("channel", type="int", symmetric=False))


def int8_group(name: str, weight: torch.Tensor) -> Encoded:
    return _naive(name, weight, _arguments("group", type="int", group_size=32))


def int8_group_shifted(name: str, weight: torch.Tensor) -> Encoded:
    return _naive(name, weight, _arguments("group", type="int", group_size=32, symmetric=False))


def _in_blocks(weight: torch.Tensor, block: tuple[int, int], last: str, config: dict[str, Any], name: str) -> Encoded:
    arguments = QuantizationArgs(num_bits=8, type="float", strategy="block", block_structure=list(block))
    rows, columns = weight.shape
    padded = torch.nn.functional.pad(weight, (0, -columns % block[1], 0, -rows % block[0]))
    tiles = padded.reshape(padded.shape[0] // block[0], block[0], -1, block[1])
    scale = tiles.abs().amax(dim=(1, 3)) / 448
    stored = quantize(weight, scale, None, arguments, dtype=E4M3)
    numbers = dequantize(stored, scale, None, arguments)
    return Encoded({f"{name}.weight": stored, f"{name}.{last}": scale}, numbers, config=config)


def block_float8(name: str, weight: torch.Tensor) -> Encoded:
    return _in_blocks(weight, (128, 128), "weight_scale_inv", {}, name)


def block_float8_config(name: str, weight: torch.Tensor) -> Encoded:
    config = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 32]}}
    return _in_blocks(weight, (64, 32), "weight_scale_inv", config, name)


def block_float8_structure(name: str, weight: torch.Tensor) -> Encoded:
    weights = {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [32, 64]}
    config = {"quantization_config": {"config_groups": {"group_0": {"weights": weights, "targets": ["Linear"]}}}}
    return _in_blocks(weight, (32, 64), "weight_scale", config, name)


def mxfp8_plain(name: str, weight: torch.Tensor) -> Encoded:
    """compressed-tensors' own; its scales of 2 to a power are exact in any dtype."""
    arguments = _arguments("group", group_size=32)
    exponent = (weight.reshape(len(weight), -1, 32).abs().amax(dim=2) / 448).log2().ceil()
    stored = quantize(weight, 2.0**exponent, None, arguments, dtype=E4M3)
    numbers = dequantize(stored, 2.0**exponent, None, arguments)
    return Encoded({f"{name}.weight": stored, f"{name}.weight_scale": (exponent + 127).to(torch.uint8)}, numbers)


def _packed(name: str, weight: torch.Tensor, arguments: QuantizationArgs, config: bool = False) -> Encoded:
    scale, zero = scales_of(weight, arguments, 2 ** (arguments.num_bits - 1) - 1)
    if arguments.strategy == "tensor":
        scale, zero = scale.reshape(1), zero.reshape(1)
    scheme = QuantizationScheme(targets=["Linear"], weights=arguments)
    module = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero}
    stored = PackedQuantizationCompressor.compress(module, scheme)
    numbers = PackedQuantizationCompressor.decompress(stored, scheme)["weight"]
    said = {"num_bits": arguments.num_bits, "type": "int", "strategy": str(arguments.strategy)}
    table = {"quantization_config": {"config_groups": {"group_0": {"weights": said, "targets": ["Linear"]}}}}
    return Encoded({f"{name}.{last}": part for last, part in stored.items()}, numbers, config=table if config else {})


def int4_tensor(name: str, weight: torch.Tensor) -> Encoded:
    return _packed(name, weight, _arguments("tensor", type="int", num_bits=4))


def int4_channel(name: str, weight: torch.Tensor) -> Encoded:
    return _packed(name, weight, _arguments("channel", type="int", num_bits=4))


def int4_channel_shifted(name: str, weight: torch.Tensor) -> Encoded:
    return _packed(name, weight, _arguments("channel", type="int", num_bits=4, symmetric=False))


def int4_group(name: str, weight: torch.Tensor) -> Encoded:
    return _packed(name, weight, _arguments("group", type="int", num_bits=4, group_size=32))


def int4_group_shifted(name: str, weight: torch.Tensor) -> Encoded:
    return _packed(name, weight, _arguments("group", type="int", num_bits=4, group_size=32, symmetric=False))


def int8_packed_shifted(name: str, weight: torch.Tensor) -> Encoded:
    return _packed(
        name, weight, _arguments("group", type="int", num_bits=8, group_size=32, symmetric=False), config=True
    )


def int2_group(name: str, weight: torch.Tensor) -> Encoded:
    return _packed(name, weight, _arguments("group", type="int", num_bits=2, group_size=32, symmetric=False))


def _float4(
    weight: torch.Tensor, scale: torch.Tensor, size: int, factor: torch.Tensor | None
) -> tuple[torch.Tensor, ...]:
    """Packed fp4 by compressed-tensors, the low nibble first, and its numbers."""
    strategy = QuantizationStrategy.GROUP if factor is None else QuantizationStrategy.TENSOR_GROUP
    arguments = QuantizationArgs(num_bits=4, type="float", strategy=strategy, group_size=size)
    codes = quantize(weight, scale, None, arguments, global_scale=factor)
    packed = pack_fp4_to_uint8(codes)
    levels = unpack_fp4_from_uint8(packed, *weight.shape, dtype=torch.float32)
    return packed, dequantize(levels, scale, None, arguments, torch.float32, factor)


def nvfp4_global(name: str, weight: torch.Tensor) -> Encoded:
    """compressed-tensors: the global scale divides."""
    factor = 448 * 6 / weight.abs().max().reshape(1)
    scale = (weight.reshape(len(weight), -1, 16).abs().amax(dim=2) / 6 * factor).to(E4M3)
    packed, numbers = _float4(weight, scale.float(), 16, factor)
    tensors = {"weight_packed": packed, "weight_scale": scale, "weight_global_scale": factor}
    return Encoded({f"{name}.{last}": part for last, part in tensors.items()}, numbers)


def nvfp4_modelopt(name: str, weight: torch.Tensor) -> Encoded:
    """ModelOpt: the second scale multiplies; the same numbers by comfy-kitchen, told that the low nibble is first."""
    factor = weight.abs().max() / (448 * 6)
    stored, scale = eager.quantize_nvfp4(weight, factor, pad_16x=False, hi_first=False)
    numbers = eager.dequantize_nvfp4(stored, factor, scale, torch.float32, hi_first=False)
    plain = (weight.reshape(len(weight), -1, 16).abs().amax(dim=2) / 6 / factor).clamp(max=448).to(E4M3)
    assert torch.equal(to_blocked(plain, flatten=False).view(torch.uint8), scale.view(torch.uint8))
    tensors = {"weight": stored, "weight_scale": plain, "weight_scale_2": factor, "input_scale": torch.ones(())}
    return Encoded({f"{name}.{last}": part for last, part in tensors.items()}, numbers)


def nvfp4_modelopt_smoothed(name: str, weight: torch.Tensor) -> Encoded:
    smooth = 0.5 + torch.rand(weight.shape[1], generator=torch.Generator().manual_seed(3))
    plain = nvfp4_modelopt(name, weight)
    return Encoded(plain.tensors | {f"{name}.pre_quant_scale": smooth}, plain.numbers * smooth)


def mxfp4(name: str, weight: torch.Tensor) -> Encoded:
    exponent = (weight.reshape(len(weight), -1, 32).abs().amax(dim=2) / 6).log2().ceil()
    packed, numbers = _float4(weight, 2.0**exponent, 32, None)
    tensors = {f"{name}.weight_packed": packed, f"{name}.weight_scale": (exponent + 127).to(torch.uint8)}
    return Encoded(tensors, numbers)


def nf4_formula(tensors: Tensors, name: str, kind: str) -> torch.Tensor:
    """codebook[nibble] x absmax, nested absmax first, in float64: what the library's sources say, number by number."""
    key = f"{name}.weight"
    said = json.loads(bytes(tensors[f"{key}.quant_state.bitsandbytes__{kind}"].tolist()))
    absmax = tensors[f"{key}.absmax"]
    if f"{key}.nested_absmax" in tensors:
        outer = tensors[f"{key}.nested_absmax"].double().repeat_interleave(said["nested_blocksize"])[: len(absmax)]
        absmax = tensors[f"{key}.nested_quant_map"].double()[absmax.long()] * outer + said["nested_offset"]
    raw = tensors[key].reshape(-1)
    codes = torch.stack((raw >> 4, raw & 15), dim=1).reshape(-1)
    count = int(torch.tensor(said["shape"]).prod())
    factors = absmax.double().repeat_interleave(said["blocksize"])[:count]
    return (tensors[f"{key}.quant_map"].double()[codes.long()][:count] * factors).float().reshape(said["shape"])


def bitsandbytes4(name: str, weight: torch.Tensor, kind: str, block: int, nested: bool) -> Encoded:
    from bitsandbytes import functional

    stored, state = functional.quantize_4bit(
        weight.contiguous(), blocksize=block, compress_statistics=nested, quant_type=kind
    )
    parts = {f"{name}.weight.{last}": part for last, part in state.as_dict(packed=True).items()}
    tensors = {f"{name}.weight": stored, **parts}
    return Encoded(tensors, nf4_formula(tensors, name, kind))


def nf4(name: str, weight: torch.Tensor) -> Encoded:
    return bitsandbytes4(name, weight, "nf4", 64, nested=False)


def nf4_nested(name: str, weight: torch.Tensor) -> Encoded:
    return bitsandbytes4(name, weight, "nf4", 64, nested=True)


def fp4(name: str, weight: torch.Tensor) -> Encoded:
    return bitsandbytes4(name, weight, "fp4", 128, nested=False)


def fp4_nested(name: str, weight: torch.Tensor) -> Encoded:
    return bitsandbytes4(name, weight, "fp4", 64, nested=True)


def bitsandbytes_int8(name: str, weight: torch.Tensor) -> Encoded:
    from bitsandbytes import functional

    stored, scale, _ = functional.int8_vectorwise_quant(weight.half())
    numbers = functional.int8_vectorwise_dequant(stored, scale)
    order = torch.zeros((), dtype=torch.uint8)
    return Encoded({f"{name}.weight": stored, f"{name}.SCB": scale, f"{name}.weight_format": order}, numbers)


# The reference fails to unpack the zero points of so few rows that they are one line: not fewer than 9 there.
ODD = ((130, 224), (257, 96), (3, 416))
KINDS: dict[str, Kind] = {
    "comfy float8": Kind(comfy_float8, "comfy_quant", "scaled fp8 (ComfyUI)", ODD),
    "comfy float8 e5m2": Kind(comfy_float8_e5m2, "comfy_quant", "scaled fp8 (ComfyUI)", ODD),
    "comfy int8": Kind(comfy_int8, "comfy_quant", "int8 (ComfyUI)", ODD),
    "comfy int8 by rows": Kind(comfy_int8_rows, "comfy_quant", "int8 (ComfyUI)", ODD),
    "comfy int8 rotated": Kind(comfy_int8_rotated, "comfy_quant", "int8 (ComfyUI)", ((130, 512), (7, 320), (5, 12))),
    "comfy int8 rotated, params": Kind(comfy_int8_rotated_params, "comfy_quant", "int8 (ComfyUI)", ((9, 64),)),
    "comfy mxfp8": Kind(comfy_mxfp8, "comfy_quant", "mxfp8 (ComfyUI)", (*ODD, (130, 75), (256, 128))),
    "comfy mxfp8 as uint8": Kind(comfy_mxfp8_uint8, "comfy_quant", "mxfp8 (ComfyUI)", ((130, 75),)),
    "comfy nvfp4": Kind(comfy_nvfp4, "comfy_quant", "nvfp4 (ComfyUI)", (*ODD, (130, 75), (256, 128))),
    "comfy nvfp4 with its shape": Kind(comfy_nvfp4_shaped, "comfy_quant", "nvfp4 (ComfyUI)", ((130, 75), (1, 1))),
    "comfy nvfp4 smoothed": Kind(
        comfy_nvfp4_smoothed, "comfy_quant", "nvfp4 (ComfyUI)", ((144, 75), (16, 96), (130, 75))
    ),
    "comfy int4 rotated": Kind(comfy_int4_rotated, "comfy_quant", "rotated int4 (ComfyUI)", ((130, 192), (3, 64))),
    "comfy w4a8": Kind(comfy_w4a8, "comfy_w4", "4-bit with a table (ComfyUI)", ((130, 192), (3, 64))),
    "comfy w4a8 corrected": Kind(comfy_w4a8_corrected, "comfy_w4", "4-bit with a table (ComfyUI)", ((130, 192),)),
    "comfy awq": Kind(comfy_awq, "comfy_w4", "4-bit AWQ (ComfyUI)", ((130, 192), (3, 64))),
    "block fp8": Kind(block_float8, "block_fp8", "block fp8 (Hugging Face)", (*ODD, (128, 128), (300, 1))),
    "block fp8 of the config": Kind(block_float8_config, "block_fp8", "block fp8 (Hugging Face)", ODD),
    "block fp8 of compressed-tensors": Kind(block_float8_structure, "weight_scale", "scaled fp8", ODD),
    "fp8": Kind(float8_tensor, "weight_scale", "scaled fp8", ODD),
    "fp8 by rows": Kind(float8_channel, "weight_scale", "scaled fp8", ODD),
    "int8": Kind(int8_tensor, "weight_scale", "scaled int8", ODD),
    "int8 by rows": Kind(int8_channel, "weight_scale", "scaled int8", ODD),
    "int8 in groups": Kind(int8_group, "weight_scale", "scaled int8", ODD),
    "int8 in groups, shifted": Kind(int8_group_shifted, "weight_scale", "scaled int8", ODD),
    "mxfp8": Kind(mxfp8_plain, "weight_scale", "mxfp8", ODD),
    "int4": Kind(int4_tensor, "compressed_tensors", "int4 (compressed-tensors)", (*ODD, (9, 75))),
    "int4 by rows": Kind(int4_channel, "compressed_tensors", "int4 (compressed-tensors)", (*ODD, (9, 75))),
    "int4 by rows, shifted": Kind(
        int4_channel_shifted, "compressed_tensors", "int4 (compressed-tensors)", ((131, 75),)
    ),
    "int4 in groups": Kind(int4_group, "compressed_tensors", "int4 (compressed-tensors)", ODD),
    "int4 in groups, shifted": Kind(
        int4_group_shifted, "compressed_tensors", "int4 (compressed-tensors)", (*ODD[:2], (9, 416))
    ),
    "int8 packed, shifted": Kind(int8_packed_shifted, "compressed_tensors", "int8 (compressed-tensors)", ODD),
    "int2 in groups": Kind(int2_group, "compressed_tensors", "int2 (compressed-tensors)", ODD),
    "nvfp4 of compressed-tensors": Kind(nvfp4_global, "compressed_tensors", "nvfp4 (compressed-tensors)", ODD),
    "nvfp4 of ModelOpt": Kind(nvfp4_modelopt, "nvfp4_modelopt", "nvfp4 (ModelOpt)", ODD),
    "nvfp4 of ModelOpt, smoothed": Kind(nvfp4_modelopt_smoothed, "nvfp4_modelopt", "nvfp4 (ModelOpt)", ODD),
    "mxfp4": Kind(mxfp4, "compressed_tensors", "mxfp4 (compressed-tensors)", ODD),
    "nf4": Kind(nf4, "bitsandbytes4", "bitsandbytes nf4", (*ODD, (65, 65), (33, 1), (1, 64), (70, 200))),
    "nf4 nested": Kind(nf4_nested, "bitsandbytes4", "bitsandbytes nf4", (*ODD, (65, 65), (300, 192))),
    "fp4": Kind(fp4, "bitsandbytes4", "bitsandbytes fp4", (*ODD, (65, 65))),
    "fp4 nested": Kind(fp4_nested, "bitsandbytes4", "bitsandbytes fp4", (*ODD, (65, 65))),
    "bitsandbytes int8": Kind(bitsandbytes_int8, "bitsandbytes8", "bitsandbytes int8", ODD),
}


def weight_of(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Numbers like a weight's, whose blocks differ much in size."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.exp(1.5 * torch.randn(shape, generator=generator).cumsum(0).div(max(1, shape[0]) ** 0.5))
    return 0.02 * torch.randn(shape, generator=generator) * size


def save_encoded(
    path: Path, weights: dict[str, Encoded], *, in_header: bool = False, others: Tensors | None = None
) -> Path:
    """A file of encoded weights and others, and a ``config.json`` beside it where one of them wants it.

    Args:
        path: of the file.
        weights: by the module's name.
        in_header: ComfyUI's layers stand in the header alone.
        others: stored as they are.
    """
    tensors: Tensors = dict(others or {})
    layers, config = {}, {}
    for module, encoded in weights.items():
        tensors |= {name: part.contiguous() for name, part in encoded.tensors.items()}
        config |= encoded.config
        if in_header and encoded.layer is not None:
            layers[module] = encoded.layer
            del tensors[f"{module}.comfy_quant"]
    if config:
        (path.parent / "config.json").write_text(json.dumps(config))
    metadata = {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})} if layers else None
    return save_model(path, tensors, metadata)
