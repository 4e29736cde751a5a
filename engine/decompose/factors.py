"""From a decomposition to what stands in the file: split, clamp, scale, round; and the error of exactly that."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from engine.decompose.decomposition import TruncatedSvd
from engine.decompose.delta import energy
from engine.decompose.factor_error import ExactFactors
from engine.decompose.fp8_factors import FP8, Fp8Factors, fit_fp8, fp8_at
from engine.decompose.method import StoringRule
from engine.decompose.pieces import Pieces
from engine.decompose.stored_layer import Difference, Factors, StoredLayer
from engine.decompose.workspace import CHUNK_BYTES
from engine.errors import EngineError, ErrorCode
from engine.settings import SAFETENSORS_DTYPES
from engine.steps import check

_TORCH_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F8_E4M3": FP8}
CLAMP_QUANTILE = 0.99
# Largest relative change of a tensor's norm by rounding. bf16 always loses about 0.15 %: that is its precision.
ROUNDING_LIMITS = {torch.float16: 1e-3, torch.bfloat16: 4e-3, torch.float32: 1.0}
_SAMPLE = 1 << 14  # values looked at to guess where a quantile lies
_SMALL_FACTOR = 2.0**-10  # a factor with a smaller root mean square has a tail below fp16's normal range, 2^-14
_SCALED_FACTOR = 2.0**-4  # and is brought to this one


@dataclass(frozen=True)
class Storing:
    """What was decided and measured when a layer was stored; with the decomposition it gives the same tensors again.

    Attributes:
        clamp: ``off``, ``clamped`` or ``kept``.
        limit: of the clamped values; 0 where they are not.
        power: of two by which both factors were scaled up.
        dtype: safetensors name of the dtype stored.
        fallback: the dtype is wider than the one asked for, because rounding would have lost too much.
        energy_before: 1 - |delta - kept|^2 / |delta|^2 before clamping and rounding.
        energy_retained: the same for the tensors as they will be loaded.
        relative_error: |delta - loaded| / |delta|.
        below_normal: share of the factors' numbers that lie below fp8's smallest normal one; 0 for other dtypes.
    """

    clamp: str
    limit: float
    power: int
    dtype: str
    fallback: bool
    energy_before: float
    energy_retained: float
    relative_error: float
    below_normal: float = 0.0

    def document(self) -> dict[str, Any]:
        """JSON values; without what is only said of fp8, which earlier versions do not know."""
        values = asdict(self)
        if self.dtype != "F8_E4M3":
            del values["below_normal"]
        return values


@dataclass(frozen=True)
class Stored:
    """What goes into a file of a layer, on the host, and how it came about.

    Attributes:
        layer: None where it stands in the file already.
        how: decisions and errors.
    """

    layer: StoredLayer | None
    how: Storing


def store_factors(
    delta: torch.Tensor | Pieces | None,
    svd: TruncatedSvd,
    kernel: tuple[int, ...],
    rule: StoringRule,
    *,
    total: float,
    layer: str,
    decided: Storing | None = None,
) -> Stored:
    """Turn a decomposition into factors.

    Args:
        delta: (out, in * kernel sizes) float32, held or in pieces. None where only its decomposition is at hand: then
            the energies are lower bounds, which differ from the truth only where factors were clamped or are in fp8.
        svd: its decomposition.
        kernel: the kernel sizes of a convolution; empty for a matrix.
        rule: dtype, clamping and alpha.
        total: squared Frobenius norm of the delta.
        layer: for the error.
        decided: an earlier storing of the same factors under the same rule of clamping, which is not asked again.

    Raises:
        EngineError: ``dtype_overflow`` where a value does not fit the dtype.
    """
    check()
    up, down = _balanced(svd)
    exact = ExactFactors(delta, up, down, svd, total)
    clamp, limit = "off", 0.0
    if decided is not None:
        clamp, limit = decided.clamp, decided.limit
        up, down = _limited(up, down, decided)
    elif rule.clamp_quantile:
        up, down, clamp, limit = _clamped(exact, rule.clamp_max_loss)
    if rule.fp8:
        fp8 = fit_fp8(exact.up, exact.down, limit=limit if clamp == "clamped" else math.inf)
        if fp8 is not None:
            return _stored_fp8(fp8, exact, svd, kernel, clamp, limit)
    power = _scale_power(up, down) if rule.difference_dtype == "fp16" and rule.alpha is None else 0
    scale, alpha = _scaling(svd.rank, power, rule.alpha)
    if scale != 1.0:
        up, down = up * scale, down * scale
    (up, down), dtype, fallback = _rounded((up, down), rule, layer)
    fallback = fallback or rule.fp8
    loaded = alpha / svd.rank
    # Clamping is no random change: what it does along the error of the factors themselves must be measured.
    lost = exact.lost(up.to(torch.float32), down.to(torch.float32), loaded, measured=clamp == "clamped")
    how = Storing(
        clamp=clamp,
        limit=limit,
        power=power,
        dtype=dtype,
        fallback=fallback,
        energy_before=1.0 - svd.residual_energy / total,
        energy_retained=1.0 - lost / total,
        relative_error=math.sqrt(lost / total),
    )
    return Stored(_factors(up, down, alpha, kernel), how)


def restore_factors(svd: TruncatedSvd, kernel: tuple[int, ...], rule: StoringRule, how: Storing) -> Stored:
    """The tensors of `store_factors` once more, bit by bit, from the same decomposition and what was decided then."""
    if how.dtype == "F8_E4M3":
        fp8 = fp8_at(*_balanced(svd), how.power, limit=how.limit if how.clamp == "clamped" else math.inf)
        return Stored(_factors(fp8.up, fp8.down, svd.rank * math.ldexp(1.0, -2 * how.power), kernel), how)
    up, down = _limited(*_balanced(svd), how)
    scale, alpha = _scaling(svd.rank, how.power, rule.alpha)
    dtype = _TORCH_DTYPES[how.dtype]
    up, down = ((factor * scale).to(dtype).contiguous() for factor in (up, down))
    return Stored(_factors(up, down, alpha, kernel), how)


def _stored_fp8(
    fp8: Fp8Factors, exact: ExactFactors, svd: TruncatedSvd, kernel: tuple[int, ...], clamp: str, limit: float
) -> Stored:
    scale = math.ldexp(1.0, -2 * fp8.power)
    up, down = (factor.to(svd.u.device) for factor in fp8.balanced())
    lost = exact.lost(up, down, scale, measured=True)  # fitting is no random change, as little as clamping is
    how = Storing(
        clamp=clamp,
        limit=limit,
        power=fp8.power,
        dtype="F8_E4M3",
        fallback=False,
        energy_before=1.0 - svd.residual_energy / exact.total,
        energy_retained=1.0 - lost / exact.total,
        relative_error=math.sqrt(lost / exact.total),
        below_normal=fp8.below,
    )
    return Stored(_factors(fp8.up, fp8.down, svd.rank * scale, kernel), how)


def store_difference(delta: torch.Tensor, rule: StoringRule, *, total: float, layer: str) -> Stored:
    """Store the delta itself, for ``full``, biases, norms and bare parameters.

    Raises:
        EngineError: ``dtype_overflow`` where a value does not fit the dtype.
    """
    (stored,), dtype, fallback = _rounded((delta,), rule, layer)
    lost = _rounding_loss(delta, stored)
    how = Storing("off", 0.0, 0, dtype, fallback, 1.0, 1.0 - lost / total, math.sqrt(lost / total))
    return Stored(Difference(stored.cpu()), how)


def restore_difference(delta: torch.Tensor, how: Storing) -> Stored:
    """The tensor of `store_difference` once more."""
    return Stored(Difference(delta.to(_TORCH_DTYPES[how.dtype])), how)


def _balanced(svd: TruncatedSvd) -> tuple[torch.Tensor, torch.Tensor]:
    root = svd.s.sqrt().to(svd.u.device, torch.float32)
    return svd.u * root, root[:, None] * svd.vh


def _limited(up: torch.Tensor, down: torch.Tensor, how: Storing) -> tuple[torch.Tensor, torch.Tensor]:
    if how.clamp != "clamped":
        return up, down
    return up.clamp(-how.limit, how.limit), down.clamp(-how.limit, how.limit)


def _scaling(rank: int, power: int, alpha: float | None) -> tuple[float, float]:
    """What both factors are multiplied by, and the alpha that takes it back, as alpha / rank multiplies the product."""
    if alpha is None:
        return math.ldexp(1.0, power), rank * math.ldexp(1.0, -2 * power)
    return math.sqrt(rank / alpha), alpha


def _factors(up: torch.Tensor, down: torch.Tensor, alpha: float, kernel: tuple[int, ...]) -> Factors:
    return Factors(up.cpu(), down.cpu(), torch.tensor(alpha, dtype=torch.float32), kernel)


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


def _clamped(exact: ExactFactors, max_loss: float) -> tuple[torch.Tensor, torch.Tensor, str, float]:
    """Clamp both factors to their common quantile, unless that loses more than `max_loss` of the energy."""
    limit = abs(signed_quantile((exact.up, exact.down), CLAMP_QUANTILE))
    clamped = exact.up.clamp(-limit, limit), exact.down.clamp(-limit, limit)
    if max_loss >= 1.0:
        return (*clamped, "clamped", limit)
    allowed = max_loss * exact.total
    if exact.surely_adds(allowed, *clamped) or exact.lost_by(*clamped, allowed) > allowed:
        return exact.up, exact.down, "kept", 0.0
    return (*clamped, "clamped", limit)


def _scale_power(up: torch.Tensor, down: torch.Tensor) -> int:
    """Power of two that brings tiny factors into fp16's normal range; 0 where they are there already."""
    rms = min(math.sqrt(energy(factor) / factor.numel()) for factor in (up, down))
    if rms >= _SMALL_FACTOR or rms == 0.0:
        return 0
    largest = max(map(_largest, (up, down)))
    power = round(math.log2(_SCALED_FACTOR / rms))
    return max(0, min(power, math.floor(math.log2(2.0**14 / largest))))


def _rounded(
    tensors: tuple[torch.Tensor, ...], rule: StoringRule, layer: str
) -> tuple[tuple[torch.Tensor, ...], str, bool]:
    """Round to the output dtype, or keep float32 where rounding would lose too much of a tensor's norm.

    The output dtype of eight bits is not for what comes here: it is fp16 then.
    """
    name = SAFETENSORS_DTYPES[rule.difference_dtype]
    dtype = _TORCH_DTYPES[name]
    rounded = tuple(tensor.to(dtype) for tensor in tensors)
    if not all(map(math.isfinite, map(_largest, rounded))):
        largest = max(map(_largest, tensors))
        raise EngineError(ErrorCode.DTYPE_OVERFLOW, tensor=layer, dtype=rule.difference_dtype, value=largest)

    def loses_too_much(exact: torch.Tensor, inexact: torch.Tensor) -> bool:
        return _rounding_loss(exact, inexact) > ROUNDING_LIMITS[dtype] ** 2 * energy(exact)

    if any(map(loses_too_much, tensors, rounded)):
        return tuple(tensor.contiguous() for tensor in tensors), "F32", dtype is not torch.float32
    return tuple(tensor.contiguous() for tensor in rounded), name, False


def _largest(tensor: torch.Tensor) -> float:
    """The largest absolute value, without a copy of the tensor; NaN where there is one."""
    low, high = torch.aminmax(tensor)
    return max(-float(low), float(high))


def _rounding_loss(exact: torch.Tensor, rounded: torch.Tensor) -> float:
    """|exact - rounded|^2, a few rows at a time: the tensor may be as large as a layer."""
    wide, near = (tensor.reshape(tensor.shape[0] if tensor.dim() > 1 else 1, -1) for tensor in (exact, rounded))
    step = max(1, CHUNK_BYTES // (4 * max(1, int(wide.shape[1]))))
    pieces = range(0, len(wide), step)
    return sum(energy(wide[at : at + step] - near[at : at + step].to(torch.float32)) for at in pieces)
