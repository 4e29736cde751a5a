"""What a run would have given at another rank, from its singular values alone: quick enough to follow a slider.

Up to the rank that was computed the answers are those of the decomposition at hand. Above it the tail is unknown, see
`engine.analysis.spectra`; so every figure is a `Span`, whose ends are equal where nothing is unknown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engine.analysis.spectra import Ints, KnownSpectra, floats, ints
from engine.checkpoints.dtypes import DTYPES
from engine.decompose.method import LayerMethod
from engine.decompose.rank_rules import RankPolicy
from engine.planning.costs import matrix_shape
from engine.results import Coverage, ExtractionResult, LayerResult
from engine.settings import NO_PARAMETER, ExtractionSettings

LARGEST_RANK = 4096
_ALPHA_BYTES = 4
_HEADER_STEP = 8  # the room for the header grows in steps of this size
_NEGLIGIBLE = 1e-3  # of a layer's energy: what clamping may cost without being seen in a figure


@dataclass(frozen=True)
class Span:
    """A figure between two bounds, which are equal where it is known."""

    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether nothing is unknown."""
        return self.low == self.high


@dataclass(frozen=True, eq=False)
class Answer:
    """What a rule would give.

    Attributes:
        policy: the rule.
        ranks: smallest possible rank per layer with factors, in the order of `Exploration.names`.
        ranks_high: largest possible rank per layer; the same where it is known.
        size: of the file in bytes.
        mean: share of the whole change kept; what is left out counts 0.
        worst: smallest share that a layer keeps.
        worst_layer: which one, by the lower bound.
        capped: layers that are surely cut short by the cap.
        writable: the decomposition at hand answers it: the models are not needed.
        is_run: it is what the run was made with.
        estimated: the bounds are not strict: clamping may cost a visible share, or the values are approximations.
    """

    policy: RankPolicy
    ranks: Ints
    ranks_high: Ints
    size: Span
    mean: Span
    worst: Span
    worst_layer: str
    capped: int
    writable: bool
    is_run: bool
    estimated: bool


class Exploration:
    """The layers of a run, ready to be asked about other ranks.

    Attributes:
        settings: of the run.
        rows: the layers; each with the most that is known of its decomposition.
        names: of the layers that have factors.
        coverage: of how much of the models the shares speak.
    """

    def __init__(
        self,
        settings: ExtractionSettings,
        rows: Sequence[LayerResult],
        *,
        mean: float,
        size_bytes: int,
        earlier: Exploration | None = None,
        coverage: Coverage | None = None,
    ) -> None:
        """Add up what is asked for again and again.

        Args:
            settings: of the run.
            rows: its layers.
            mean: share of the whole change that it keeps.
            size_bytes: of its file.
            earlier: of the same models, maybe of a higher rank, which is known then for this run too.
            coverage: of how much of the models the shares speak; None where that is all.
        """
        self.settings, self.coverage = settings, coverage or Coverage()
        self._size_bytes = size_bytes
        self._fixed = size_bytes - sum(map(_bytes_of, rows))
        here = sum(row.delta_energy for row in rows)
        kept = sum(row.energy_retained * row.delta_energy for row in rows)
        self._total = max(here, kept / mean) if mean > 0.0 else here
        self.left_out_share = 1.0 - here / self._total if self._total > 0.0 else 0.0
        self.rows = _widest(settings, rows, earlier)
        factors = [row for row in self.rows if row.rank is not None]
        whole = [row for row in self.rows if row.rank is None]
        self.names = tuple(row.name for row in factors)
        self._whole_bytes = sum(map(_bytes_of, whole))
        self._whole_kept = sum(row.energy_retained * row.delta_energy for row in whole)
        self._whole_worst = min(((row.energy_retained, row.name) for row in whole), default=(1.0, ""))
        self._spectra = KnownSpectra(factors)
        self._stored = ints(row.rank or 0 for row in factors)
        self._per_rank = ints(sum(matrix_shape(row.shape)) * _itemsize(row.stored_dtype) for row in factors)
        before, retained = floats(row.energy_before for row in factors), floats(row.energy_retained for row in factors)
        self._storing = np.divide(retained, before, out=np.ones(len(factors)), where=before > 0.0)
        self._offset = before * self._spectra.energy - self._spectra.known_energy(self._stored)

    @classmethod
    def of_result(
        cls, settings: ExtractionSettings, result: ExtractionResult, earlier: Exploration | None = None
    ) -> Exploration:
        """The exploration of a finished run, from its first file."""
        output = result.outputs[0]
        return cls(
            settings,
            result.rows,
            mean=output.mean_energy_retained,
            size_bytes=output.size_bytes,
            earlier=earlier,
            coverage=output.coverage,
        )

    @property
    def policy(self) -> RankPolicy:
        """The rule that the run was made with; of a file of a wanted size the rank whose file is about as large."""
        policy = LayerMethod.of(self.settings).policy
        return policy if self.settings.target_size is None else replace(policy, rank=self._rank_of_size)

    @cached_property
    def _rank_of_size(self) -> int:
        return max(1, self.rank_within(self._size_bytes))

    @cached_property
    def largest_rank(self) -> int:
        """The rank that leaves nothing out of any layer, as far as there is one; 0 where no layer has factors."""
        return min(LARGEST_RANK, int(self._spectra.short.max(initial=0)))

    @cached_property
    def computed_rank(self) -> int:
        """The largest rank that the decomposition at hand gives to every layer."""
        cut = self._stored[self._stored < self._spectra.short]
        return int(cut.min()) if len(cut) else self.largest_rank

    def settings_for(self, policy: RankPolicy) -> ExtractionSettings:
        """The run's settings with another rule."""
        changes = {"lora_type": policy.lora_type, "rank": policy.rank, "adaptive_param": policy.adaptive_param}
        return self.settings.model_copy(update={**changes, "target_size": None})

    def at_rank(self, rank: int) -> Answer:
        """What one rank for all layers would give."""
        return self.at(RankPolicy("standard", rank, self.settings.adaptive_param))

    def at(self, policy: RankPolicy) -> Answer:
        """What a rule would give.

        Shares are those of the decomposition; storing is taken to cost each layer the same part of them as in the run,
        which is exact at the run's own rank and else off by at most ``clamp_max_loss`` and by rounding. Each layer is
        taken to stay in its dtype. The size can be 8 bytes too large where the settings' own text grows in the header.

        Raises:
            ValueError: for ``full``, which has no rank.
        """
        if policy.lora_type == "full":
            raise ValueError("full has no rank")
        spectra, cap = self._spectra, np.minimum(policy.rank, self._spectra.short)
        counted, least, most = spectra.wanted(policy, cap)
        low, high = np.clip(least, 1, cap), np.clip(most, 1, cap)
        worst, worst_layer, mean = self._shares(policy, cap, low, high)
        is_run = self.settings.target_size is None and _same_rule(policy, self.policy)
        clamps = self.settings.clamp_quantile and self.settings.clamp_max_loss > _NEGLIGIBLE
        randomised = self.settings.algorithm == "svd_lowrank" and bool((high > spectra.known).any())
        return Answer(
            policy=policy,
            ranks=low,
            ranks_high=high,
            size=Span(self._size(policy, low), self._size(policy, high)),
            mean=mean,
            worst=worst,
            worst_layer=worst_layer,
            capped=int(np.count_nonzero(least > cap)),
            writable=is_run or self._writable(policy, counted, cap),
            is_run=is_run,
            estimated=not is_run and (clamps or randomised),
        )

    def rank_within(self, size_bytes: float) -> int:
        """The largest rank for all layers whose file is at most so large; 0 where not even that of rank 1 is."""
        low, high = 0, self.largest_rank
        while low < high:
            middle = (low + high + 1) // 2
            policy = RankPolicy("standard", middle, self.settings.adaptive_param)
            fits = self._size(policy, np.minimum(middle, self._spectra.short)) <= size_bytes
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def _shares(self, policy: RankPolicy, cap: Ints, low: Ints, high: Ints) -> tuple[Span, str, Span]:
        """The worst share and whose it is, and the mean."""
        spectra, energy = self._spectra, self._spectra.energy
        least = spectra.energy_bounds(low, self._offset)[0]
        most = spectra.energy_bounds(high, self._offset)[1]
        unsure = low < high
        if unsure.any() and policy.lora_type in ("adaptive_energy", "adaptive_fro"):
            goal = policy.energy_wanted(1.0) * energy  # the rule itself says what is kept, unless the cap cuts it short
            promised = np.minimum(goal, spectra.energy_bounds(cap, self._offset)[0])
            least = np.where(unsure, np.maximum(least, promised), least)
            most = np.where(unsure, np.minimum(most, spectra.reached(goal)), most)
        kept = [np.clip(part * self._storing, 0.0, energy) for part in (least, most)]
        ends = [(float(part.sum()) + self._whole_kept) / self._total if self._total > 0.0 else 1.0 for part in kept]
        shares = [np.divide(part, energy, out=np.ones(len(energy)), where=energy > 0.0) for part in kept]
        share, name = self._whole_worst
        worst = [min(share, float(part.min(initial=1.0))) for part in shares]
        if self.names and (not name or worst[0] < share):
            name = self.names[int(shares[0].argmin())]
        return Span(*worst), name, Span(*ends)

    def _size(self, policy: RankPolicy, ranks: Ints) -> int:
        tensors = int(ranks @ self._per_rank) + _ALPHA_BYTES * len(ranks) + self._whole_bytes
        longer = _text_length(self.settings_for(policy)) - self._own_text_length
        return self._fixed + tensors + -(-longer // _HEADER_STEP) * _HEADER_STEP

    @cached_property
    def _own_text_length(self) -> int:
        return _text_length(self.settings)

    def _writable(self, policy: RankPolicy, counted: Ints, cap: Ints) -> bool:
        """Whether records answer it: the rule of `engine.resume.reuse.rank_of`, for all layers at once."""
        if policy.lora_type == "standard":
            return bool((cap <= self._stored).all())
        known = self._spectra.known
        complete = known == self._spectra.short
        if policy.needs_all_values and not complete.all():
            return False
        ranks = np.clip(counted, 1, cap)
        open_end = ~complete & (ranks >= known) & (counted <= cap) & (ranks < cap)
        return bool((~open_end & (ranks <= self._stored)).all())


def _same_rule(one: RankPolicy, other: RankPolicy) -> bool:
    same = (one.lora_type, one.rank) == (other.lora_type, other.rank)
    return same and (one.lora_type in NO_PARAMETER or one.adaptive_param == other.adaptive_param)


def _widest(
    settings: ExtractionSettings, rows: Sequence[LayerResult], earlier: Exploration | None
) -> tuple[LayerResult, ...]:
    """The rows, each with the decomposition of an earlier one of the same change and method that reaches further."""
    if earlier is None or _method(settings) != _method(earlier.settings):
        return tuple(rows)
    known = {row.name: row for row in earlier.rows}

    def widened(row: LayerResult) -> LayerResult:
        old = known.get(row.name)
        if old is None or (old.shape, old.delta_energy) != (row.shape, row.delta_energy):
            return row
        if old.rank is None or row.rank is None or old.rank <= row.rank:
            return row
        storing = row.energy_retained / row.energy_before if row.energy_before > 0.0 else 1.0
        return replace(
            row,
            rank=old.rank,
            singular_values=old.singular_values,
            energy_before=old.energy_before,
            energy_retained=old.energy_before * storing,
        )

    return tuple(map(widened, rows))


def _method(settings: ExtractionSettings) -> tuple[object, ...]:
    """What decides a decomposition beside its rank."""
    return settings.algorithm, settings.algorithm == "svd_lowrank" and settings.lowrank_iters, settings.seed


def _bytes_of(row: LayerResult) -> int:
    """What a layer takes in its file."""
    size = _itemsize(row.stored_dtype)
    if row.rank is None:
        return math.prod(row.shape) * size
    return row.rank * sum(matrix_shape(row.shape)) * size + _ALPHA_BYTES


def _itemsize(dtype: str) -> int:
    return DTYPES[dtype].bits // 8


def _text_length(settings: ExtractionSettings) -> int:
    """What the settings take in the header's room."""
    return len(json.dumps(settings.model_dump_json(exclude={"resume"})))
