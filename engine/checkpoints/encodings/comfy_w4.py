"""ComfyUI's 4-bit layers with tables and corrections: ``asym_w4a8_int8`` and ``awq_w4a16``.

The numbers are those of comfy-kitchen's eager backend: tensor/w4a8_int8.py and tensor/awq_w4a16.py there, and ComfyUI's
comfy/ops.py for the names. Even columns have the low nibble.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.checkpoints.encodings.comfy_layers import Layer, layers
from engine.checkpoints.encodings.encoding import Claim, Encoding, Unclaimed
from engine.checkpoints.encodings.grouped import CHUNK_VALUES, MAX_ROTATION, misfit, rotation_bytes
from engine.checkpoints.encodings.side_data import SCALE_DTYPES, refuse
from engine.checkpoints.quantisation import Quantisation
from engine.checkpoints.stored import StoredTensor, WeightSource

FORMATS = {"asym_w4a8_int8": "4-bit with a table (ComfyUI)", "awq_w4a16": "4-bit AWQ (ComfyUI)"}
_TABLED, _SHIFTED = FORMATS
_SIXTEEN = 16


class ComfyW4(Encoding):
    """Two numbers in a byte, scaled in groups; the parts are named in the parameter ``roles``."""

    key = "comfy_w4"
    title = "4-bit (ComfyUI)"
    decoder = "engine.checkpoints.encodings.comfy_w4_decode"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`."""
        weights: list[WeightSource] = []
        beside, unreadable = set[str](), None
        for layer in layers(stored, metadata):
            if layer.format not in FORMATS:
                continue
            source = _tabled(layer) if layer.format == _TABLED else _shifted(layer)
            if isinstance(source, Quantisation):
                unreadable = unreadable or source
                continue
            weights.append(source)
            beside |= layer.beside("input_scale")
        return Claim(tuple(weights), frozenset(beside), unreadable)

    def title_of(self, source: WeightSource) -> str:
        """See `Encoding.title_of`."""
        return FORMATS[source.parameters["format"]]

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource | None:
        """See `Encoding.rows`; not where scales or corrections lie across the rows."""
        roles = source.parameters["roles"]
        if "shift" in roles:
            return None
        parts = (
            part if role == "table" else part.rows(start, stop) for role, part in zip(roles, source.parts, strict=True)
        )
        return replace(source, shape=(stop - start, source.shape[1]), parts=tuple(parts))

    def scratch_bytes(self, source: WeightSource) -> int:
        """See `Encoding.scratch_bytes`: unpacking, scales in float32, rotating."""
        rows, columns = source.shape
        chunk = min(rows, max(1, CHUNK_VALUES // columns))
        groups = rows * columns // int(source.parameters["group"])
        rotated = rotation_bytes(source.numel, source.parameters["rotation"]) if "rotation" in source.parameters else 0
        return max(2048 + 2 * chunk * columns, 12 * groups + 4 * rows, rotated)


def _tabled(layer: Layer) -> WeightSource | Quantisation:
    """round(table[code] * s_rel) * s_channel [+ correction], rotated."""
    layer.check_weight("I8", "U8")
    if len(layer.weight.shape) != 2:
        misfit(layer.weight, layer.weight)
    rows, columns = layer.weight.shape[0], 2 * layer.weight.shape[1]
    group, rotation = layer.size("group_size", 16), layer.size("convrot_groupsize", 256)
    scale = layer.needed("weight_s_rel", "F8_E4M3", "U8", "F32")
    if math.prod(scale.shape) * group * 3 == rows * columns * 2:  # six bits for each number: two thirds as many
        return Quantisation("ComfyUI asym_w4a8_int8 with 6 bits", layer.weight.name, "unknown_format")
    if scale.dtype == "U8":
        scale = replace(scale, dtype="F8_E4M3")
    _check(scale, (rows, columns // group), layer)
    if columns % group or columns % rotation or rotation not in _POWERS:
        refuse(layer.weight.name, f"{layer.says} says groups of {group} and {rotation} for {columns} columns")
    parts = {"weight": layer.weight, "scale": scale, "row_scale": layer.needed("weight_s_channel", *SCALE_DTYPES)}
    _check(parts["row_scale"], (rows,), layer)
    table, correction = layer.part("weight_codebook"), layer.part("weight_correction")
    if table is not None:
        parts["table"] = layer.needed("weight_codebook", *SCALE_DTYPES)
        _check(table, (_SIXTEEN,), layer)
    if correction is not None:
        parts["shift"] = layer.needed("weight_correction", *SCALE_DTYPES)
        _check(correction, (columns // group, rows), layer)
    return _source(layer, (rows, columns), parts, {"group": group, "rotation": rotation})


def _shifted(layer: Layer) -> WeightSource:
    """(code - 8) * scale + zero, both stored as (groups, rows)."""
    layer.check_weight("I8", "U8")
    if len(layer.weight.shape) != 2:
        misfit(layer.weight, layer.weight)
    rows, columns = layer.weight.shape[0], 2 * layer.weight.shape[1]
    group = layer.size("group_size", 64)
    if columns % group:
        refuse(layer.weight.name, f"{layer.says} says groups of {group} for {columns} columns")
    parts = {"weight": layer.weight}
    for role, name in (("scale", "weight_scale"), ("shift", "weight_zeros")):
        parts[role] = layer.needed(name, *SCALE_DTYPES)
        _check(parts[role], (columns // group, rows), layer)
    return _source(layer, (rows, columns), parts, {"group": group})


def _check(part: StoredTensor, shape: tuple[int, ...], layer: Layer) -> None:
    if part.shape != shape:
        misfit(part, layer.weight)


def _source(
    layer: Layer, shape: tuple[int, int], parts: dict[str, StoredTensor], parameters: dict[str, Any]
) -> WeightSource:
    said = {"format": layer.format, "roles": list(parts), **parameters}
    return WeightSource(layer.weight.name, shape, "F32", ComfyW4.key, tuple(parts.values()), said)


_POWERS = tuple(4**power for power in range(1, 16) if 4**power <= MAX_ROTATION)
