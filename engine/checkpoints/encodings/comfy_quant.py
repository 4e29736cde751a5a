"""ComfyUI's quantised layers, the newer form: fp8, int8, mxfp8, nvfp4 and rotated 4-bit weights.

The numbers are those of comfy-kitchen's eager backend. Padded weights (mxfp8 to 32 x 32, nvfp4 to 16 x 16) are cut to
the shape that is said, or that the other model of a pair has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from engine.checkpoints.encodings.comfy_layers import Layer, layers, undescribed
from engine.checkpoints.encodings.comfy_w4 import FORMATS as OTHER_FORMATS
from engine.checkpoints.encodings.encoding import Claim, Unclaimed
from engine.checkpoints.encodings.grouped import (
    MAX_ROTATION,
    TILE_COLUMNS,
    TILE_ROWS,
    Grouped,
    check_scale,
    is_single,
    misfit,
)
from engine.checkpoints.encodings.side_data import (
    SCALE_DTYPES,
    blocks,
    described,
    refuse,
    short,
    sizes_in,
)
from engine.checkpoints.quantisation import Quantisation
from engine.checkpoints.stored import StoredTensor, WeightSource

_ROTATION = 256  # ComfyUI's default
_KEY = "comfy_quant"


class ComfyQuant(Grouped):
    """A layer of any of the formats; which one is a parameter of its source."""

    key = _KEY
    title = "quantised (ComfyUI)"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`. A layer of a format that is not known is named."""
        weights: list[WeightSource] = []
        beside, unreadable = set[str](), None
        for layer in layers(stored, metadata):
            if layer.format in _FORMATS:
                weights.append(_FORMATS[layer.format](layer))
                beside |= layer.beside("input_scale")
            elif layer.format not in OTHER_FORMATS and unreadable is None:
                unreadable = Quantisation(f"ComfyUI {short(layer.format)}", layer.weight.name, "unknown_format")
        scale = undescribed(stored, metadata)
        if scale is not None and unreadable is None:
            title = "quantised layers that its description has under other names (ComfyUI)"
            unreadable = Quantisation(title, scale.name)
        return Claim(tuple(weights), frozenset(beside), unreadable)

    def title_of(self, source: WeightSource) -> str:
        """See `Encoding.title_of`."""
        return f"{_TITLES[source.parameters['format']]} (ComfyUI)"


def _scaled(layer: Layer, dtype: str, **parameters: Any) -> WeightSource:
    """A weight whose numbers are one for each value, with a scale for the whole or for each row."""
    layer.check_weight(dtype)
    scale = layer.needed("weight_scale", *SCALE_DTYPES)
    check_scale(scale, layer.weight)
    return _source(layer, layer.weight.shape, {"scale": scale}, parameters)


def _float8(layer: Layer) -> WeightSource:
    return _scaled(layer, {"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}[layer.format or ""])


def _int8(layer: Layer) -> WeightSource:
    layer.check_weight("I8")
    turned = layer.option("convrot", False)
    if not isinstance(turned, bool):
        refuse(layer.weight.name, f"{layer.says} says convrot is {short(turned)}")
    return _scaled(layer, "I8", **({"rotation": _rotation(layer, layer.weight.shape[-1])} if turned else {}))


def _signed4(layer: Layer) -> WeightSource:
    layer.check_weight("I8", "U8")
    rows, columns = _matrix(layer)
    scale = layer.needed("weight_scale", *SCALE_DTYPES)
    if math.prod(scale.shape) != rows:
        misfit(scale, layer.weight)
    turned = {"codes": "signed4", "block": [1, 2 * columns], "rotation": _rotation(layer, 2 * columns)}
    scale = _reshaped(scale, (rows, 1))
    return _source(layer, (rows, 2 * columns), {"scale": scale}, turned)


def _mxfp8(layer: Layer) -> WeightSource:
    layer.check_weight("F8_E4M3")
    return _tiled(layer, _matrix(layer), layer.needed("weight_scale", "F8_E8M0", "U8"), 32, {})


def _nvfp4(layer: Layer) -> WeightSource:
    layer.check_weight("U8", "I8")
    rows, columns = _matrix(layer)
    factor = layer.needed("weight_scale_2", *SCALE_DTYPES)
    if not is_single(factor):
        misfit(factor, layer.weight)
    scale = layer.needed("weight_scale", "F8_E4M3", "U8")
    if scale.dtype == "U8":
        scale = _as_dtype(scale, "F8_E4M3")
    parts = {"factor": factor}
    return _tiled(layer, (rows, 2 * columns), scale, 16, parts, codes="e2m1_high_first")


def _tiled(
    layer: Layer,
    padded: tuple[int, int],
    scale: StoredTensor,
    block: int,
    parts: dict[str, StoredTensor],
    **parameters: Any,
) -> WeightSource:
    """A weight in blocks along its rows, whose scales lie in tiles and whose shape was rounded up to whole blocks."""
    multiple = 16 if block == 16 else 32
    rows, columns = padded
    tiles = (TILE_ROWS * blocks(rows, TILE_ROWS), TILE_COLUMNS * blocks(blocks(columns, block), TILE_COLUMNS))
    if columns % block or scale.shape != tiles:
        misfit(scale, layer.weight)
    parameters |= {"block": [1, block], "swizzled": True}
    shape: tuple[int, ...] = padded
    inputs = layer.part("pre_quant_scale")
    if inputs is not None:
        shape = (rows, math.prod(inputs.shape))
        if not 0 <= columns - shape[1] < multiple:
            misfit(inputs, layer.weight)
    if layer.option("orig_shape") is not None:
        shape = sizes_in({"orig_shape": layer.option("orig_shape")}, "orig_shape", layer.says, 2)
    else:
        parameters["padding"] = [multiple, multiple if inputs is None else 1]
    if any(not 0 <= have - want < multiple for have, want in zip(padded, shape, strict=True)):
        refuse(
            layer.weight.name, f"{layer.says} says a shape of {list(shape)}, and {described(layer.weight)} is stored"
        )
    source = _source(layer, (rows, shape[1]), {"scale": scale, **parts}, parameters)
    return source if shape[0] == rows else ComfyQuant().rows(source, 0, shape[0])


def _source(
    layer: Layer, shape: tuple[int, ...], beside: dict[str, StoredTensor], parameters: dict[str, Any]
) -> WeightSource:
    parts = {"weight": layer.weight, **beside}
    inputs = layer.part("pre_quant_scale")
    if inputs is not None:  # multiplies the input, so each column of the weight
        if inputs.dtype not in SCALE_DTYPES or math.prod(inputs.shape) != shape[-1]:
            misfit(inputs, layer.weight)
        parts["columns"] = inputs
    said = {"format": layer.format, "roles": list(parts), **parameters}
    return WeightSource(layer.weight.name, shape, "F32", _KEY, tuple(parts.values()), said)


def _matrix(layer: Layer) -> tuple[int, int]:
    if len(layer.weight.shape) != 2:
        refuse(layer.weight.name, f"{described(layer.weight)} does not fit the format {layer.format}")
    rows, columns = layer.weight.shape
    return rows, columns


def _rotation(layer: Layer, columns: int) -> int:
    size = layer.size("convrot_groupsize", _ROTATION)
    powers = [4**power for power in range(1, 16)]
    if size not in powers or size > MAX_ROTATION or columns % size:
        refuse(
            layer.weight.name, f"{layer.says} says convrot_groupsize is {size}, which does not fit {columns} columns"
        )
    return size


def _reshaped(part: StoredTensor, shape: tuple[int, ...]) -> StoredTensor:
    return StoredTensor(part.name, part.dtype, shape, part.nbytes, part.file, part.offset)


def _as_dtype(part: StoredTensor, dtype: str) -> StoredTensor:
    return StoredTensor(part.name, dtype, part.shape, part.nbytes, part.file, part.offset)


_FORMATS: dict[str | None, Callable[[Layer], WeightSource]] = {
    "float8_e4m3fn": _float8,
    "float8_e5m2": _float8,
    "int8_tensorwise": _int8,
    "convrot_w4a4": _signed4,
    "mxfp8": _mxfp8,
    "nvfp4": _nvfp4,
}
_TITLES = {
    "float8_e4m3fn": "scaled fp8",
    "float8_e5m2": "scaled fp8",
    "int8_tensorwise": "int8",
    "convrot_w4a4": "rotated int4",
    "mxfp8": "mxfp8",
    "nvfp4": "nvfp4",
}
