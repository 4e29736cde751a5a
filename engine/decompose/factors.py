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
        power: of two by which both factors were scaled up, beside what the strength and the alpha ask for.
        dtype: safetensors name of the dtype stored.
        fallback: the dtype is wider than the one asked for, because rounding would have lost too much.
        energy_before: 1 - |delta - kept|^2 / |delta|^2 before clamping and rounding.
        energy_retained: the same for the tensors as they will be loaded, divided by the strength.
        relative_error: |delta - loaded / strength| / |delta|.
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
        rule: dtype, clamping, strength and alpha.
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
            return _stored_fp8(fp8, exact, svd, kernel, rule, clamp, limit)
    free = rule.alpha is None and not (rule.alpha_is_rank or rule.baked)  # the alpha can take a power of two back
    power = _scale_power(up, down, rule.strength) if rule.difference_dtype == "fp16" and free else 0
    scaling = _Scaling.of(svd.rank, power, rule)
    up, down = scaling.applied(up, down)
    (up, down), dtype, fallback = _rounded((up, down), rule, layer)
    fallback = fallback or rule.fp8
    # Clamping is no random change: what it does along the error of the factors themselves must be measured.
    lost = exact.lost(*scaling.upright(up, down), scaling.loaded, measured=clamp == "clamped")
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
    return Stored(_factors(up, down, scaling.alpha, kernel), how)


def restore_factors(svd: TruncatedSvd, kernel: tuple[int, ...], rule: StoringRule, how: Storing) -> Stored:
    """The tensors of `store_factors` once more, bit by bit, from the same decomposition and what was decided then."""
    if how.dtype == "F8_E4M3":
        fp8 = fp8_at(*_balanced(svd), how.power, limit=how.limit if how.clamp == "clamped" else math.inf)
        return Stored(_factors_fp8(fp8, kernel, rule), how)
    scaling = _Scaling.of(svd.rank, how.power, rule)
    dtype = _TORCH_DTYPES[how.dtype]
    up, down = (factor.to(dtype).contiguous() for factor in scaling.applied(*_limited(*_balanced(svd), how)))
    return Stored(_factors(up, down, scaling.alpha, kernel), how)


def _stored_fp8(
    fp8: Fp8Factors,
    exact: ExactFactors,
    svd: TruncatedSvd,
    kernel: tuple[int, ...],
    rule: StoringRule,
    clamp: str,
    limit: float,
) -> Stored:
    up, down = (factor.to(svd.u.device) for factor in fp8.balanced())
    # Fitting is no random change, as little as clamping is.
    lost = exact.lost(up, down, math.ldexp(1.0, -2 * fp8.power), measured=True)
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
    return Stored(_factors_fp8(fp8, kernel, rule), how)


def _factors_fp8(fp8: Fp8Factors, kernel: tuple[int, ...], rule: StoringRule) -> Factors:
    """The scale and the size of the strength stand in the alpha, the sign of the strength in `up`."""
    up = fp8.up
    if rule.strength < 0.0:
        up = (up.view(torch.uint8) ^ 128).view(FP8)
    alpha = up.shape[1] * math.ldexp(abs(rule.strength), -2 * fp8.power)
    return _factors(up, fp8.down, alpha, kernel)


def store_difference(delta: torch.Tensor, rule: StoringRule, *, total: float, layer: str) -> Stored:
    """Store the delta itself, for ``full``, biases, norms and bare parameters.

    Raises:
        EngineError: ``dtype_overflow`` where a value does not fit the dtype.
    """
    strong = delta if rule.strength == 1.0 else delta * rule.strength
    (stored,), dtype, fallback = _rounded((strong,), rule, layer)
    lost = _rounding_loss(strong, stored) / rule.strength**2
    how = Storing("off", 0.0, 0, dtype, fallback, 1.0, 1.0 - lost / total, math.sqrt(lost / total))
    return Stored(Difference(stored.cpu()), how)


def restore_difference(delta: torch.Tensor, rule: StoringRule, how: Storing) -> Stored:
    """The tensor of `store_difference` once more."""
    strong = delta if rule.strength == 1.0 else delta * rule.strength
    return Stored(Difference(strong.to(_TORCH_DTYPES[how.dtype])), how)


def _balanced(svd: TruncatedSvd) -> tuple[torch.Tensor, torch.Tensor]:
    root = svd.s.sqrt().to(svd.u.device, torch.float32)
    return svd.u * root, root[:, None] * svd.vh


def _limited(up: torch.Tensor, down: torch.Tensor, how: Storing) -> tuple[torch.Tensor, torch.Tensor]:
    if how.clamp != "clamped":
        return up, down
    return up.clamp(-how.limit, how.limit), down.clamp(-how.limit, how.limit)


@dataclass(frozen=True)
class _Scaling:
    """What the balanced factors are multiplied by, so that their product as it is loaded is the change at its strength.

    Attributes:
        up, down: the two numbers; the sign of the strength stands in `up`.
        alpha: which a program divides by the rank and multiplies the product with, unless it is baked.
        loaded: what the product of the stored factors is multiplied by to be the change at strength 1, its sign aside.
    """

    up: float
    down: float
    alpha: float
    loaded: float

    @classmethod
    def of(cls, rank: int, power: int, rule: StoringRule) -> _Scaling:
        """For factors of a rank that are also multiplied by a power of two."""
        if rule.baked or rule.alpha is None:
            scale, alpha = math.ldexp(1.0, power), rank * math.ldexp(1.0, -2 * power)
        else:
            alpha = rule.alpha if rule.alpha_at is None else rule.alpha * rank / rule.alpha_at
            scale = math.sqrt(rank / alpha)
        size = abs(rule.strength)
        down = scale if size == 1.0 else scale * math.sqrt(size)
        return cls(math.copysign(down, rule.strength), down, alpha, alpha / rank / size)

    def applied(self, up: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both factors multiplied; themselves where that changes nothing."""
        return (up if self.up == 1.0 else up * self.up), (down if self.down == 1.0 else down * self.down)

    def upright(self, up: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Stored factors in float32, with the sign of the change itself."""
        up, down = up.to(torch.float32), down.to(torch.float32)
        return (-up if self.up < 0.0 else up), down


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


def _scale_power(up: torch.Tensor, down: torch.Tensor, strength: float = 1.0) -> int:
    """Power of two that brings tiny factors into fp16's normal range; 0 where they are there already.

    Both are multiplied by the root of the strength beside.
    """
    size = math.sqrt(abs(strength))
    rms = size * min(math.sqrt(energy(factor) / factor.numel()) for factor in (up, down))
    if rms >= _SMALL_FACTOR or rms == 0.0:
        return 0
    largest = size * max(map(_largest, (up, down)))
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
