"""From a decomposition to what stands in the file: split, clamp, scale, round; and the error of exactly that."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from engine.decompose.decomposition import TruncatedSvd, residual_energy
from engine.deltas import energy
from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
SAFETENSORS_NAMES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32"}
CLAMP_QUANTILE = 0.99
# Largest relative change of a tensor's norm by rounding. bf16 always loses about 0.15 %: that is its precision.
ROUNDING_LIMITS = {torch.float16: 1e-3, torch.bfloat16: 4e-3, torch.float32: 1.0}
_NEGLIGIBLE = 1e-8  # of the delta's energy: errors of the error that nobody can see
_SMALL_FACTOR = 2.0**-10  # a factor with a smaller root mean square has a tail below fp16's normal range, 2^-14
_SCALED_FACTOR = 2.0**-4  # and is brought to this one


@dataclass(frozen=True)
class Stored:
    """Tensors as they go into the file, on the host, and what they keep of the delta.

    Attributes:
        tensors: by ending, ``lora_up.weight``, ``lora_down.weight``, ``alpha``, or ``""`` for a difference.
        energy_before: 1 - |delta - kept|^2 / |delta|^2 before clamping and rounding.
        energy_retained: the same for the tensors as they will be loaded.
        relative_error: |delta - loaded| / |delta|.
        clamp: ``off``, ``clamped`` or ``kept``.
        dtype: safetensors name of the dtype stored.
        fallback: the dtype is wider than the one asked for, because rounding would have lost too much.
    """

    tensors: dict[str, torch.Tensor]
    energy_before: float
    energy_retained: float
    relative_error: float
    clamp: str
    dtype: str
    fallback: bool


def store_factors(
    delta: torch.Tensor,
    svd: TruncatedSvd,
    kernel: tuple[int, ...],
    settings: ExtractionSettings,
    *,
    total: float,
    layer: str,
) -> Stored:
    """Turn a decomposition into ``lora_up``, ``lora_down`` and ``alpha``.

    Args:
        delta: (out, in * kernel sizes) float32.
        svd: its decomposition.
        kernel: the kernel sizes of a convolution; empty for a matrix.
        settings: dtype and clamping.
        total: squared Frobenius norm of the delta.
        layer: for the error.

    Raises:
        EngineError: ``dtype_overflow`` where a value does not fit the dtype.
    """
    root = svd.s.sqrt().to(delta.device, torch.float32)
    up, down = svd.u * root, root[:, None] * svd.vh
    exact = _Exact(delta, up, down, svd.residual_energy, total)
    clamp = "off"
    if settings.clamp_quantile:
        up, down, clamp = _clamped(exact, settings.clamp_max_loss)
    power = _scale_power(up, down) if settings.output_dtype == "fp16" else 0
    scale = math.ldexp(1.0, power)
    (up, down), dtype, fallback = _rounded((up * scale, down * scale), settings, layer)
    loaded = math.ldexp(1.0, -2 * power)
    lost = exact.lost(up.to(torch.float32), down.to(torch.float32), loaded)
    ones = (1,) * len(kernel)
    inputs = int(delta.shape[1]) // math.prod(kernel)
    return Stored(
        tensors={
            "lora_up.weight": up.reshape(*up.shape, *ones).cpu(),
            "lora_down.weight": down.reshape(svd.rank, inputs, *kernel).cpu(),
            "alpha": torch.tensor(svd.rank * loaded, dtype=torch.float32),
        },
        energy_before=1.0 - svd.residual_energy / total,
        energy_retained=1.0 - lost / total,
        relative_error=math.sqrt(lost / total),
        clamp=clamp,
        dtype=dtype,
        fallback=fallback,
    )


def store_difference(delta: torch.Tensor, settings: ExtractionSettings, *, total: float, layer: str) -> Stored:
    """Store the delta itself, for ``full``, biases, norms and bare parameters.

    Raises:
        EngineError: ``dtype_overflow`` where a value does not fit the dtype.
    """
    (stored,), dtype, fallback = _rounded((delta,), settings, layer)
    lost = energy(delta - stored.to(torch.float32))
    return Stored(
        tensors={"": stored.cpu()},
        energy_before=1.0,
        energy_retained=1.0 - lost / total,
        relative_error=math.sqrt(lost / total),
        clamp="off",
        dtype=dtype,
        fallback=fallback,
    )


def signed_quantile(tensors: tuple[torch.Tensor, ...], q: float) -> float:
    """The q-quantile of all values together, exact and with linear interpolation, for any number of values."""
    values = torch.cat([tensor.flatten() for tensor in tensors])
    position = q * (values.numel() - 1)
    low = math.floor(position)
    top = values.topk(values.numel() - low, sorted=True).values  # q is near 1: few values lie above
    below = float(top[-1])
    if low == position:
        return below
    return below + (position - low) * (float(top[-2]) - below)


class _Exact:
    """A delta and its best factors, against which changed factors are judged.

    With E what the best factors leave of the delta, E is orthogonal to them on both sides, so that

        |delta - P Q|^2 = |E|^2 + |up down - P Q|^2 - 2 <E, (P - up)(Q - down)>

    where the second term needs only small Gram matrices, in float64, and the last one is of second order: at most
    2 |E| |P - up| |Q - down|. Where that bound is not negligible the residual is formed as it stands.
    """

    def __init__(
        self, delta: torch.Tensor, up: torch.Tensor, down: torch.Tensor, residual: float, total: float
    ) -> None:
        self.delta, self.up, self.down = delta, up, down
        self.residual, self.total = residual, total

    def lost(self, up: torch.Tensor, down: torch.Tensor, scale: float = 1.0) -> float:
        """|delta - scale * up @ down|^2, to 1e-8 of |delta|^2."""
        added, doubt = self.added(up, down, scale)
        if doubt <= _NEGLIGIBLE * self.total:
            return self.residual + added
        return residual_energy(self.delta, up, down, scale)

    def added(self, up: torch.Tensor, down: torch.Tensor, scale: float = 1.0) -> tuple[float, float]:
        """What changing the factors adds to the squared error, and a bound of how far that is off."""
        if self.delta.device.type == "mps" or 4 * up.shape[1] * sum(self.delta.shape) > self.delta.numel():
            return 0.0, math.inf  # no float64 there, or no cheaper than the residual itself
        wide = torch.cat([self.down, down]).to(torch.float64)
        tall = torch.cat([self.up, -scale * up], dim=1).to(torch.float64)
        added = float(((tall.T @ tall) * (wide @ wide.T)).sum())
        moved = energy(scale * up - self.up) * energy(down - self.down)
        return max(0.0, added), 2.0 * math.sqrt(max(0.0, self.residual) * moved)


def _clamped(exact: _Exact, max_loss: float) -> tuple[torch.Tensor, torch.Tensor, str]:
    """Clamp both factors to their common quantile, unless that loses more than `max_loss` of the energy."""
    limit = abs(signed_quantile((exact.up, exact.down), CLAMP_QUANTILE))
    clamped = exact.up.clamp(-limit, limit), exact.down.clamp(-limit, limit)
    if max_loss >= 1.0:
        return (*clamped, "clamped")
    added, doubt = exact.added(*clamped)
    if doubt > abs(added - max_loss * exact.total):
        added = residual_energy(exact.delta, *clamped) - exact.residual
    if added > max_loss * exact.total:
        return exact.up, exact.down, "kept"
    return (*clamped, "clamped")


def _scale_power(up: torch.Tensor, down: torch.Tensor) -> int:
    """Power of two that brings tiny factors into fp16's normal range; 0 where they are there already."""
    rms = min(math.sqrt(energy(factor) / factor.numel()) for factor in (up, down))
    if rms >= _SMALL_FACTOR or rms == 0.0:
        return 0
    largest = max(float(factor.abs().max()) for factor in (up, down))
    power = round(math.log2(_SCALED_FACTOR / rms))
    return max(0, min(power, math.floor(math.log2(2.0**14 / largest))))


def _rounded(
    tensors: tuple[torch.Tensor, ...], settings: ExtractionSettings, layer: str
) -> tuple[tuple[torch.Tensor, ...], str, bool]:
    """Round to the output dtype, or keep float32 where rounding would lose too much of a tensor's norm."""
    dtype = DTYPES[settings.output_dtype]
    rounded = tuple(tensor.to(dtype) for tensor in tensors)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in rounded):
        largest = max(float(tensor.abs().max()) for tensor in tensors)
        raise EngineError(ErrorCode.DTYPE_OVERFLOW, tensor=layer, dtype=settings.output_dtype, value=largest)

    def loses_too_much(exact: torch.Tensor, inexact: torch.Tensor) -> bool:
        lost = energy(exact - inexact.to(torch.float32))
        return lost > ROUNDING_LIMITS[dtype] ** 2 * energy(exact)

    if any(map(loses_too_much, tensors, rounded)):
        return tuple(tensor.contiguous() for tensor in tensors), "F32", dtype is not torch.float32
    return tuple(tensor.contiguous() for tensor in rounded), SAFETENSORS_NAMES[dtype], False
