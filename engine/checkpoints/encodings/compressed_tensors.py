"""Packed weights of compressed-tensors: ``weight_packed`` in place of the weight.

int32 words with 2, 4 or 8 bits for each number, the lowest bits first, ``weight_shape`` with the true shape, a scale
for the whole, each row or each group of a row, and zero points packed along the rows; or uint8 with two fp4 numbers:
nvfp4, whose ``weight_global_scale`` divides, or mxfp4, whose scales are exponents. Source: compressed-tensors 0.20.0.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.checkpoints.encodings.encoding import Claim, Unclaimed
from engine.checkpoints.encodings.grouped import CODES, Grouped, is_single, misfit
from engine.checkpoints.encodings.side_data import (
    MAX_SIZE,
    SCALE_DTYPES,
    blocks,
    described,
    modules,
    needed,
    refuse,
)
from engine.checkpoints.encodings.weight_scale import beside_of, packed_float4, source_of
from engine.checkpoints.quantisation import Quantisation
from engine.checkpoints.stored import StoredTensor, WeightSource

_WORD = 32  # bits
_BITS = (2, 4, 8)
_BESIDE = ("input_global_scale", "input_zero_point", "weight_shape")


class CompressedTensors(Grouped):
    """Integers or fp4, several in a word."""

    key = "compressed_tensors"
    title = "packed (compressed-tensors)"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`. What no reference decodes is named: other numbers of bits, an order of activations."""
        weights, beside, unreadable = list[WeightSource](), set[str](), None
        for module, packed in modules(stored, "weight_packed"):
            source = _float4(stored, module, packed) if packed.dtype == "U8" else _integers(stored, module, packed)
            if isinstance(source, Quantisation):
                unreadable = unreadable or source
                continue
            weights.append(source)
            beside |= beside_of(stored, module) | {module + last for last in _BESIDE if module + last in stored}
        return Claim(tuple(weights), frozenset(beside), unreadable)

    def title_of(self, source: WeightSource) -> str:
        """See `Encoding.title_of`."""
        codes = source.parameters["codes"]
        if codes == "e2m1":
            return f"{'nvfp4' if 'factor' in source.parameters['roles'] else 'mxfp4'} (compressed-tensors)"
        return f"int{CODES[codes].bits} (compressed-tensors)"


def _float4(stored: Unclaimed, module: str, packed: StoredTensor) -> WeightSource | Quantisation:
    scale = needed(stored, f"{module}weight_scale", packed.name)
    factor = stored.get(f"{module}weight_global_scale")
    if factor is None:
        if scale.dtype not in ("U8", "F8_E8M0"):
            return Quantisation("packed fp4 without a global scale (compressed-tensors)", packed.name)
        shape = packed_float4(packed, scale, 32, ("U8", "F8_E8M0"))
        parts, recipe = {"weight": packed, "scale": scale}, {"codes": "e2m1", "block": [1, 32]}
        return source_of(CompressedTensors.key, stored, module, parts, recipe, shape)
    if not is_single(factor) or factor.dtype not in SCALE_DTYPES:
        misfit(factor, packed)
    shape = packed_float4(packed, scale, 16, ("F8_E4M3",))
    parts = {"weight": packed, "scale": scale, "factor": factor}
    recipe = dict[str, Any](codes="e2m1", block=[1, 16], divides=True)
    return source_of(CompressedTensors.key, stored, module, parts, recipe, shape)


def _integers(stored: Unclaimed, module: str, packed: StoredTensor) -> WeightSource | Quantisation:
    if packed.dtype != "I32" or len(packed.shape) != 2 or not packed.nbytes:
        refuse(packed.name, f"{described(packed)} is no packed matrix")
    if f"{module}weight_g_idx" in stored:
        title = "packed integers in an order of activations (compressed-tensors)"
        return Quantisation(title, f"{module}weight_g_idx")
    rows, columns = shape = _shape(stored, module, packed)
    fitting = [bits for bits in range(1, 9) if blocks(columns * bits, _WORD) == packed.shape[1]]
    if not fitting or rows != packed.shape[0]:
        refuse(packed.name, f"{described(packed)} does not hold a weight of {list(shape)}")
    bits = _bits(stored.config_of(packed), fitting)
    if bits is None:
        return Quantisation(
            f"packed integers of {' or '.join(map(str, fitting))} bits (compressed-tensors)", packed.name
        )
    scale = needed(stored, f"{module}weight_scale", packed.name)
    parts, recipe = {"weight": packed, "scale": scale}, dict[str, Any](codes=f"unsigned{bits}")
    groups = 1
    if is_single(scale):
        recipe["block"] = [rows, columns]
    else:
        groups = scale.shape[1] if len(scale.shape) == 2 else 1
        if scale.shape[:1] != (rows,) or len(scale.shape) > 2 or not groups or columns % groups:
            misfit(scale, packed)
        parts["scale"] = replace(scale, shape=(rows, groups))
        recipe["block"] = [1, columns // groups]
    if scale.dtype not in SCALE_DTYPES:
        misfit(scale, packed)
    zero = stored.get(f"{module}weight_zero_point")
    if zero is not None:
        if zero.dtype == "I32" and zero.shape == (blocks(rows * bits, _WORD), groups):
            recipe["packed_zero"] = 0
        elif zero.dtype != "I8" or zero.shape != scale.shape:
            misfit(zero, packed)
        parts["zero"] = zero
    return source_of(CompressedTensors.key, stored, module, parts, recipe, shape)


def _shape(stored: Unclaimed, module: str, packed: StoredTensor) -> tuple[int, int]:
    """What ``weight_shape`` says, two numbers."""
    said = needed(stored, f"{module}weight_shape", packed.name)
    if said.dtype not in ("I64", "I32") or said.shape != (2,):
        refuse(said.name, f"{described(said)} is no shape of a matrix")
    sizes = struct.unpack("<2q" if said.dtype == "I64" else "<2i", stored.read(said))
    if any(not 0 < size < MAX_SIZE for size in sizes):
        refuse(said.name, f"{said.name} says a shape of {list(sizes)}")
    return sizes[0], sizes[1]


def _bits(config: Mapping[str, Any], fitting: list[int]) -> int | None:
    """The bits of a number: the only ones that fit and can be read, or those of them that the config names."""
    said = config.get("quantization_config")
    groups = said.get("config_groups") if isinstance(said, dict) else None
    tables = (
        [table.get("weights") for table in groups.values() if isinstance(table, dict)]
        if isinstance(groups, dict)
        else []
    )
    named = {table.get("num_bits") for table in tables if isinstance(table, dict) if type(table.get("num_bits")) is int}
    chosen = [bits for bits in fitting if bits in named] or fitting
    return chosen[0] if len(chosen) == 1 and chosen[0] in _BITS else None
