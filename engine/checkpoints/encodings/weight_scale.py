"""Weights with a scale beside them, as Hugging Face, vLLM, llm-compressor and ModelOpt write them: claimed by names.

    weight_scale_inv   fp8 in blocks, 128 x 128 unless config.json says otherwise; or one scale for the whole
    weight_scale       fp8, for the whole, for each row or in blocks; int8, also in groups along the rows, and then with
                       ``weight_zero_point`` where it is not symmetric; mxfp8, with exponents for 32 numbers as uint8
    weight_scale_2     and ``weight_scale``: nvfp4 of ModelOpt, in plain order, the low nibble first

Sources: transformers' ``FineGrainedFP8Config``, compressed-tensors' compressors, vLLM's ``modelopt.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.checkpoints.encodings.encoding import Claim, Unclaimed
from engine.checkpoints.encodings.grouped import Grouped, check_scale, is_single, misfit
from engine.checkpoints.encodings.side_data import (
    MAX_SIZE,
    SCALE_DTYPES,
    blocks,
    described,
    modules,
    needed,
    refuse,
)
from engine.checkpoints.stored import StoredTensor, WeightSource

_FP8 = ("F8_E4M3", "F8_E5M2")
_EXPONENTS = ("U8", "F8_E8M0")
_BLOCK = (128, 128)
_CONFIG = "quantization_config"
_BESIDE = ("input_scale", "output_scale", "k_scale", "v_scale")


class BlockFp8(Grouped):
    """Fp8 whose scales are called ``weight_scale_inv``, although the weight is multiplied by them."""

    key = "block_fp8"
    title = "block fp8 (Hugging Face)"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`."""
        weights, beside = list[WeightSource](), set[str]()
        for module, scale in modules(stored, "weight_scale_inv"):
            weight = needed(stored, f"{module}weight", scale.name)
            if weight.dtype not in _FP8:
                refuse(weight.name, f"{described(weight)} has a scale and is not fp8")
            weights.append(
                source_of(self.key, stored, module, {"weight": weight, "scale": scale}, scaled(stored, weight, scale))
            )
            beside |= beside_of(stored, module)
        return Claim(tuple(weights), frozenset(beside))


class WeightScale(Grouped):
    """Fp8 or int8 whose scales are called ``weight_scale``."""

    key = "weight_scale"
    title = "scaled weights"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`. What is neither fp8 nor int8 is left to others."""
        weights, beside = list[WeightSource](), set[str]()
        for module, scale in modules(stored, "weight_scale"):
            if f"{module}weight_packed" in stored:
                continue
            weight = needed(stored, f"{module}weight", scale.name)
            if weight.dtype not in (*_FP8, "I8") or f"{module}weight_scale_2" in stored:
                continue
            parts = {"weight": weight, "scale": scale}
            zero = stored.get(f"{module}weight_zero_point")
            if zero is not None:
                if weight.dtype != "I8" or zero.dtype != "I8" or zero.shape != scale.shape:
                    misfit(zero, weight)
                parts["zero"] = zero
            weights.append(source_of(self.key, stored, module, parts, scaled(stored, weight, scale)))
            beside |= beside_of(stored, module)
        return Claim(tuple(weights), frozenset(beside))

    def title_of(self, source: WeightSource) -> str:
        """See `Encoding.title_of`."""
        if source.parts[1].dtype in _EXPONENTS:
            return "mxfp8"
        return "scaled int8" if source.stored_dtype == "I8" else "scaled fp8"


class ModelOptNvfp4(Grouped):
    """Two fp4 numbers in a byte, a scale in fp8 for 16 of them, and one for all."""

    key = "nvfp4_modelopt"
    title = "nvfp4 (ModelOpt)"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`."""
        weights, beside = list[WeightSource](), set[str]()
        for module, factor in modules(stored, "weight_scale_2"):
            weight = needed(stored, f"{module}weight", factor.name)
            scale = needed(stored, f"{module}weight_scale", factor.name)
            if weight.dtype != "U8":
                refuse(weight.name, f"{described(weight)} has nvfp4 scales and is not packed")
            if not is_single(factor) or factor.dtype not in SCALE_DTYPES:
                misfit(factor, weight)
            shape = packed_float4(weight, scale, 16, ("F8_E4M3",))
            parts = {"weight": weight, "scale": scale, "factor": factor}
            recipe = {"codes": "e2m1", "block": [1, 16]}
            weights.append(source_of(self.key, stored, module, parts, recipe, shape))
            beside |= beside_of(stored, module)
        return Claim(tuple(weights), frozenset(beside))


def source_of(
    key: str,
    stored: Unclaimed,
    module: str,
    parts: dict[str, StoredTensor],
    recipe: dict[str, Any],
    shape: tuple[int, ...] | None = None,
) -> WeightSource:
    """A weight of a module in float32; where its input is multiplied by ``pre_quant_scale``, its columns are.

    Raises:
        EngineError: ``header_invalid``.
    """
    weight = parts["weight"]
    shape = weight.shape if shape is None else shape
    inputs = stored.get(f"{module}pre_quant_scale")
    if inputs is not None:
        if inputs.dtype not in SCALE_DTYPES or math.prod(inputs.shape) != shape[-1]:
            misfit(inputs, weight)
        parts = {**parts, "columns": inputs}
    return WeightSource(f"{module}weight", shape, "F32", key, tuple(parts.values()), {"roles": list(parts), **recipe})


def beside_of(stored: Unclaimed, module: str) -> set[str]:
    """Scales of a module's inputs and outputs, which do not concern its weight."""
    return {module + last for last in _BESIDE if module + last in stored}


def packed_float4(weight: StoredTensor, scale: StoredTensor, block: int, dtypes: Sequence[str]) -> tuple[int, int]:
    """The shape of fp4 numbers, two in a byte, with a scale for each block of a row.

    Raises:
        EngineError: ``header_invalid`` where the scales do not fit.
    """
    if len(weight.shape) != 2 or not weight.nbytes:
        refuse(weight.name, f"{described(weight)} is no matrix")
    rows, columns = weight.shape[0], 2 * weight.shape[1]
    if scale.dtype not in dtypes or columns % block or scale.shape != (rows, columns // block):
        misfit(scale, weight)
    return rows, columns


def scaled(stored: Unclaimed, weight: StoredTensor, scale: StoredTensor) -> dict[str, Any]:
    """The recipe of a weight of numbers with scales, from the shape of the scales.

    Raises:
        EngineError: ``header_invalid`` where they do not fit in any way.
    """
    if not weight.nbytes:
        refuse(weight.name, f"{described(weight)} is empty")
    if not scale.nbytes:
        misfit(scale, weight)
    if scale.dtype in _EXPONENTS:
        if (
            len(weight.shape) != 2
            or weight.dtype not in _FP8
            or scale.shape != (weight.shape[0], blocks(weight.shape[1], 32))
        ):
            misfit(scale, weight)
        return {"block": [1, 32]}
    if len(weight.shape) == len(scale.shape) == 2 and not is_single(scale) and scale.dtype in SCALE_DTYPES:
        for block in _blocks(stored, weight, scale):
            if scale.shape == tuple(map(blocks, weight.shape, block)):
                return {"block": list(block)}
        if scale.shape[1] > 1:
            usual = "blocks of 128 x 128, which are meant where no config.json beside the file says otherwise"
            refuse(scale.name, f"{described(scale)} does not fit {described(weight).rstrip(',')} in {usual}")
    check_scale(scale, weight)
    return {}


def _blocks(stored: Unclaimed, weight: StoredTensor, scale: StoredTensor) -> Iterator[tuple[int, int]]:
    """Sizes of blocks that may be meant: the config's, the usual ones, groups of whole rows."""
    if scale.shape != (weight.shape[0], 1):
        yield from configured_blocks(stored.config_of(weight))
        yield _BLOCK
        if scale.shape[0] == weight.shape[0] and weight.shape[1] % scale.shape[1] == 0:
            yield 1, weight.shape[1] // scale.shape[1]


def configured_blocks(config: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """The sizes of blocks that a ``quantization_config`` names; what is no size is passed over."""
    said = config.get(_CONFIG)
    if not isinstance(said, dict):
        return
    groups = said.get("config_groups")
    tables = groups.values() if isinstance(groups, dict) else ()
    weights = (
        table["weights"] for table in tables if isinstance(table, dict) and isinstance(table.get("weights"), dict)
    )
    for sizes in (said.get("weight_block_size"), *(table.get("block_structure") for table in weights)):
        if (
            isinstance(sizes, list)
            and len(sizes) == 2
            and all(type(size) is int and 0 < size < MAX_SIZE for size in sizes)
        ):
            yield sizes[0], sizes[1]
