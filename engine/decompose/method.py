"""The extraction settings resolved for the work on layers: rank rule, solver, storing. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.decompose.rank_rules import RankPolicy
from engine.decompose.seed import layer_seed
from engine.settings import Algorithm, ExtractionSettings, OutputDtype

StoredPart = Literal["up", "down", "alpha", "difference", "reshape"]
"""What a stored layer consists of: two factors and their alpha, or the difference alone; factors may say the shape."""


@dataclass(frozen=True)
class StoringRule:
    """How the decomposition of a layer, or its difference, becomes what stands in a file.

    Attributes:
        output_dtype: ``fp16``, ``bf16``, ``fp32`` or ``fp8_e4m3``.
        clamp_quantile: whether factors are clamped.
        clamp_max_loss: largest share of the energy that clamping may cost.
        alpha: the alpha of every layer, to which its factors are rescaled; None gives each layer its own.
        alpha_at: the rank at which a layer has that alpha, in proportion to which others have theirs, for programs that
            multiply all layers by the same number; None where all have the same alpha.
        rank: the cap of this file; None where it is that of the decomposition, which several files may share.
        ranks: caps of single layers instead, by canonical name; None where all layers have `rank`.
        strength: what the change is multiplied by in the file; not 0.
        alpha_is_rank: each layer's alpha is its rank also where a power of two in it would save digits.
        baked: the file has no alpha, so that up @ down is the change; `alpha` and `alpha_is_rank` have no say then.
    """

    output_dtype: OutputDtype
    clamp_quantile: bool
    clamp_max_loss: float
    alpha: float | None = None
    rank: int | None = None
    ranks: Mapping[str, int] | None = field(default=None, hash=False)
    strength: float = 1.0
    alpha_is_rank: bool = False
    baked: bool = False
    alpha_at: int | None = None

    def limit(self, name: str, rank: int) -> int:
        """The cap of a layer, whatever its shape.

        Args:
            name: the layer's canonical name.
            rank: of the decomposition.
        """
        own = rank if self.rank is None else min(self.rank, rank)
        return own if self.ranks is None else min(self.ranks.get(name, own), rank)

    @property
    def fp8(self) -> bool:
        """Whether factors are stored in eight bits."""
        return self.output_dtype == "fp8_e4m3"

    @property
    def difference_dtype(self) -> OutputDtype:
        """What differences are stored in, and of eight bits also the factors that those would damage."""
        return "fp16" if self.fp8 else self.output_dtype

    @classmethod
    def of(
        cls,
        settings: ExtractionSettings,
        *,
        one_alpha: float | None = None,
        rank: int | None = None,
        baked: bool = False,
    ) -> StoringRule:
        """The rule that the settings name.

        Args:
            settings: of the file.
            one_alpha: the alpha of a file whose layers have to have the same, where the settings name no number.
            rank: see the attribute.
            baked: see the attribute.
        """
        alpha = one_alpha if settings.alpha in ("auto", "rank") else float(settings.alpha)
        return cls(
            output_dtype=settings.output_dtype,
            clamp_quantile=settings.clamp_quantile,
            clamp_max_loss=settings.clamp_max_loss,
            alpha=None if baked else alpha,
            rank=rank,
            strength=settings.strength,
            alpha_is_rank=settings.alpha == "rank" and alpha is None and not baked,
            baked=baked,
        )


@dataclass(frozen=True)
class LayerMethod:
    """Everything that decides the numbers of a layer, and nothing else.

    Planning builds it once from the settings; the work on a layer, its cost and its journal record depend on it alone.

    Attributes:
        policy: the rank rule, with the largest cap that a file has; see `policy_for`.
        algorithm: the solver.
        iterations: bound for ``svd_lowrank``; 0 for the other solvers.
        seed: of the run; each layer derives its own from it, see `layer_seed`.
        storing: how its decomposition is stored: a rule for each kind of output, the same for all layers.
        min_change: layers with |delta| / |original| at or below this are left out.
    """

    policy: RankPolicy
    algorithm: Algorithm
    iterations: int
    seed: int
    storing: tuple[StoringRule, ...]
    min_change: float

    @classmethod
    def of(cls, settings: ExtractionSettings) -> LayerMethod:
        """The method that the settings name."""
        return cls(
            policy=RankPolicy(
                settings.lora_type,
                settings.rank,
                0.0 if settings.lora_type == "adaptive_noise" else settings.adaptive_param,
            ),
            algorithm=settings.algorithm,
            iterations=settings.lowrank_iters if settings.algorithm == "svd_lowrank" else 0,
            seed=settings.seed,
            storing=(StoringRule.of(settings),),
            min_change=settings.min_change,
        )

    @property
    def full(self) -> bool:
        """Whether every layer is stored as its difference; the output file is then its own journal."""
        return self.policy.lora_type == "full"

    @property
    def exact_size(self) -> bool:
        """Whether the size of the file is known beforehand; for the adaptive rules there is only a bound."""
        return self.policy.lora_type in ("standard", "full")

    def stores_factors(self, kind: str) -> bool:
        """Whether a weight of this kind is stored as two factors rather than as its difference."""
        return kind in ("matrix", "conv") and not self.full

    def policy_for(self, name: str) -> RankPolicy:
        """The rule by which a layer is decomposed: with the largest cap that it has in one of the files."""
        rank = max((rule.limit(name, self.policy.rank) for rule in self.storing), default=self.policy.rank)
        return self.policy if rank == self.policy.rank else replace(self.policy, rank=rank)

    def ranks_for(self, name: str, shape: tuple[int, int]) -> tuple[int, ...]:
        """The different caps of a layer (out, in) in the files, largest first."""
        limits = {min(rule.limit(name, self.policy.rank), *shape) for rule in self.storing}
        return tuple(sorted(limits, reverse=True))

    def kept(self, rule: StoringRule, name: str, rank: int, *, capped: bool) -> tuple[int, bool]:
        """The rank that a layer has in a file, and whether the file's cap cut it short.

        Args:
            rule: of the file, one of `storing`.
            name: the layer's canonical name.
            rank: of its decomposition.
            capped: whether the cap of that cut it short.
        """
        limit = rule.limit(name, self.policy.rank)
        cut = limit < rank
        return min(limit, rank), capped or (cut and self.policy.lora_type != "standard")

    @property
    def draws_noise(self) -> bool:
        """Whether each layer's rank depends on rounding noise drawn for it."""
        return self.policy.lora_type == "adaptive_noise"

    def layer_seed(self, name: str) -> int:
        """The seed of one layer."""
        return layer_seed(self.seed, name)
