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
_NEGLIGIBLE = 1e-7  # of the delta's energy: errors of the error that nobody can see
_FEW_ROWS = 32  # whose error may settle that clamping costs too much
_SAMPLE = 1 << 14  # values looked at to guess where a quantile lies
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
    exact = _Exact(delta, up, down, svd, total)
    clamp = "off"
    if settings.clamp_quantile:
        up, down, clamp = _clamped(exact, settings.clamp_max_loss)
    power = _scale_power(up, down) if settings.output_dtype == "fp16" else 0
    scale = math.ldexp(1.0, power)
    (up, down), dtype, fallback = _rounded((up * scale, down * scale), settings, layer)
    loaded = math.ldexp(1.0, -2 * power)
    stored = up.to(torch.float32), down.to(torch.float32)
    # Clamping is no random change: what it does along the error of the factors themselves must be measured.
    lost = residual_energy(delta, *stored, loaded) if clamp == "clamped" else exact.lost(*stored, loaded)
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
    above = values.numel() - low  # q is near 1: few values lie above
    top = _candidates(values, above).topk(above, sorted=True).values
    below = float(top[-1])
    if low == position:
        return below
    return below + (position - low) * (float(top[-2]) - below)


def _candidates(values: torch.Tensor, above: int) -> torch.Tensor:
    """Few values among which the `above` largest are, by a guess from a sample; all where the guess was poor."""
    if values.numel() < 8 * _SAMPLE:
        return values
    sample = values[:: values.numel() // _SAMPLE]
    guess = sample.topk(min(len(sample), 1 + 2 * math.ceil(above / values.numel() * len(sample)))).values[-1]
    few: torch.Tensor = values[values >= guess]
    return values if few.numel() < above else few


class _Exact:
    """A delta and its best factors, against which changed factors are judged.

    With E what the best factors leave of the delta, E is orthogonal to them, exactly on the left and as far as they
    have converged on the right, where only a change that is no rounding would show it. So

        |delta - P Q|^2 = |E|^2 + |up down - P Q|^2 - 2 <E, (P - up)(Q - down)>

    The columns of `up` and the rows of `down` are orthogonal with squared norms s, so that with dP = P - up and
    dQ = Q - down the second term is, but for terms with both dP and dQ,

        sum_i s_i |dQ_i|^2 + sum_i s_i |dP_i|^2 + 2 <up^T dP, dQ down^T>

    which takes two small products. The terms with both are at most |dP| |dQ| (2 |up dQ| + 2 |dP down| + |dP| |dQ|);
    where that is not negligible two more small products give them. The third term is at most 2 |E|_2 |dP| |dQ|, with
    the spectral norm of E; where that is not negligible the residual is formed as it stands.
    """

    def __init__(
        self, delta: torch.Tensor, up: torch.Tensor, down: torch.Tensor, svd: TruncatedSvd, total: float
    ) -> None:
        self.delta, self.up, self.down, self.total = delta, up, down, total
        self.residual, self.largest_left = svd.residual_energy, svd.largest_left
        self._s = svd.s

    def lost(self, up: torch.Tensor, down: torch.Tensor, scale: float = 1.0) -> float:
        """|delta - scale * up @ down|^2, to 1e-7 of |delta|^2."""
        added, doubt = self.added(up, down, scale)
        if doubt <= _NEGLIGIBLE * self.total:
            return self.residual + added
        return residual_energy(self.delta, up, down, scale)

    def surely_adds(self, energy: float, up: torch.Tensor, down: torch.Tensor) -> bool:
        """Whether a look at the rows that changed most shows already that changing the factors adds more energy."""
        d_up, d_down = up - self.up, down - self.down
        per_row = torch.linalg.vector_norm(d_up, dim=1)
        both = float(torch.linalg.vector_norm(per_row)) * float(torch.linalg.vector_norm(d_down))
        rows = per_row.topk(min(_FEW_ROWS, len(per_row))).indices
        change = torch.addmm(d_up[rows] @ down, self.up[rows], d_down)
        return float(torch.linalg.vector_norm(change)) ** 2 > energy + 2.0 * self.largest_left * both

    def added(self, up: torch.Tensor, down: torch.Tensor, scale: float = 1.0) -> tuple[float, float]:
        """What changing the factors adds to the squared error, and a bound of how far that is off."""
        if 2 * up.shape[1] > min(self.delta.shape):
            return 0.0, math.inf  # no cheaper than the residual itself
        # Balanced: a power of two on each side changes no digit, and neither difference is drowned by the other.
        root = math.sqrt(scale)
        d_up, d_down = up * root - self.up, down * root - self.down
        rows, columns = _squares(d_down, 1), _squares(d_up, 0)
        first, second = float(self._s @ rows), float(self._s @ columns)
        both = math.sqrt(float(rows.sum()) * float(columns.sum()))
        doubt = 2.0 * self.largest_left * both
        mixed = both * (2.0 * (math.sqrt(first) + math.sqrt(second)) + both)
        if mixed <= _NEGLIGIBLE * self.total:
            cross, doubt = d_down @ self.down.T, doubt + mixed
        else:
            right = self.down + d_down
            cross = d_down @ right.T
            second = float(((d_up.T @ d_up) * (right @ right.T)).sum())
        cross = (self.up.T @ d_up) * cross
        return max(0.0, first + second + 2.0 * float(cross.sum())), doubt


def _squares(tensor: torch.Tensor, dim: int) -> torch.Tensor:
    """Squared norms along a dimension, float64 on the host."""
    norms: torch.Tensor = torch.linalg.vector_norm(tensor, dim=dim)
    return norms.cpu().to(torch.float64).square()


def _clamped(exact: _Exact, max_loss: float) -> tuple[torch.Tensor, torch.Tensor, str]:
    """Clamp both factors to their common quantile, unless that loses more than `max_loss` of the energy."""
    limit = abs(signed_quantile((exact.up, exact.down), CLAMP_QUANTILE))
    clamped = exact.up.clamp(-limit, limit), exact.down.clamp(-limit, limit)
    if max_loss >= 1.0:
        return (*clamped, "clamped")
    if exact.surely_adds(max_loss * exact.total, *clamped):
        return exact.up, exact.down, "kept"
    added, doubt = exact.added(*clamped)
    if added - doubt <= max_loss * exact.total:  # worth the whole product to be sure
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
