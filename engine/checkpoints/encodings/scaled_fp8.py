"""ComfyUI's scaled fp8, the older form: a marker ``{prefix}scaled_fp8``, and a ``.scale_weight`` beside each weight.

value = float32(weight) * scale_weight. ``.scale_input`` concerns products with activations and is not needed.
Source: ComfyUI v0.3.64, comfy/ops.py, ``scaled_fp8_ops``, and comfy/utils.py. The newer form (``comfy_quant``) is
another encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.checkpoints.encodings.encoding import CASTING_BYTES, Claim, Encoding, Unclaimed
from engine.checkpoints.stored import StoredTensor, WeightSource
from engine.errors import EngineError, ErrorCode

_MARKER, _WEIGHT, _SCALE, _INPUT = "scaled_fp8", ".weight", ".scale_weight", ".scale_input"
_FP8 = ("F8_E4M3", "F8_E5M2")
_SCALE_DTYPES = ("F32", "F16", "BF16", "F64")


class ScaledFp8(Encoding):
    """An fp8 matrix and its scale: one for the whole, or one for each row."""

    key = "scaled_fp8"
    title = "scaled fp8 (ComfyUI)"
    decoder = "engine.checkpoints.encodings.scaled_fp8_decode"
    rounding = "engine.checkpoints.encodings.scaled_fp8_round"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`. Weights without a scale are left to others: they are plain numbers."""
        prefixes = tuple(name.removesuffix(_MARKER) for name in stored if _is_marker(name))
        weights: list[WeightSource] = []
        for name, part in stored.items():
            if not name.endswith(_SCALE) or not name.startswith(prefixes):
                continue
            module = name.removesuffix(_SCALE)
            weight = stored.get(module + _WEIGHT)
            if weight is None:
                raise EngineError(ErrorCode.HEADER_INVALID, tensor=name, reason=f"{name} has no {module}{_WEIGHT}")
            if weight.dtype not in _FP8:
                raise EngineError(ErrorCode.HEADER_INVALID, tensor=weight.name, reason=_not_fp8(weight))
            if not _fits(part, weight):
                raise EngineError(ErrorCode.HEADER_INVALID, tensor=name, reason=_misfit(part, weight))
            weights.append(WeightSource(weight.name, weight.shape, "F32", self.key, (weight, part)))
        used = tuple(prefix for prefix in prefixes if any(weight.name.startswith(prefix) for weight in weights))
        beside = {prefix + _MARKER for prefix in used}
        beside |= {name for name in stored if name.endswith(_INPUT) and name.startswith(used)} if used else set()
        return Claim(tuple(weights), frozenset(beside))

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource:
        """See `Encoding.rows`."""
        weight, scale = source.parts
        parts = weight.rows(start, stop), scale.rows(start, stop) if _by_row(scale, weight) else scale
        return replace(source, shape=parts[0].shape, parts=parts)

    def rounding_bytes(self, source: WeightSource) -> int:
        """See `Encoding.rounding_bytes`: some rows in several forms."""
        return CASTING_BYTES + 32 * (source.numel // max(1, source.shape[0]))


def _is_marker(name: str) -> bool:
    return name == _MARKER or name.endswith("." + _MARKER)


def _by_row(scale: StoredTensor, weight: StoredTensor) -> bool:
    return scale.shape != () and scale.shape[0] == weight.shape[0] != 1


def _fits(scale: StoredTensor, weight: StoredTensor) -> bool:
    """Whether a scale is one number, or (out,) or (out, 1, ...)."""
    if not weight.shape or scale.dtype not in _SCALE_DTYPES:
        return False
    single = all(size == 1 for size in scale.shape)
    by_row = scale.shape[:1] == weight.shape[:1] and all(size == 1 for size in scale.shape[1:])
    return single or by_row


def _not_fp8(weight: StoredTensor) -> str:
    return f"{weight.name} has a scale and is {weight.dtype}, not fp8"


def _misfit(scale: StoredTensor, weight: StoredTensor) -> str:
    return f"{scale.name}, {list(scale.shape)} in {scale.dtype}, does not fit a weight of {list(weight.shape)}"
