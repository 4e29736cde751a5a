"""The extraction settings resolved for the work on layers: rank rule, solver, storing. No torch."""

from __future__ import annotations

from dataclasses import dataclass
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
        rank: the largest rank of a layer in the file; None for that of the decomposition.
        strength: what the change is multiplied by.
        baked: up @ down is the change itself, for files without an alpha.
        alpha_is_rank: a layer's alpha is its rank, always.
    """

    output_dtype: OutputDtype
    clamp_quantile: bool
    clamp_max_loss: float
    alpha: float | None = None
    rank: int | None = None
    strength: float = 1.0
    baked: bool = False
    alpha_is_rank: bool = False

    @property
    def fp8(self) -> bool:
        """Whether factors are stored in eight bits."""
        return self.output_dtype == "fp8_e4m3"

    @property
    def difference_dtype(self) -> OutputDtype:
        """What differences are stored in, and of eight bits also the factors that those would damage."""
        return "fp16" if self.fp8 else self.output_dtype

    @classmethod
    def of(cls, settings: ExtractionSettings, alpha: float | None = None) -> StoringRule:
        """The rule that the settings name."""
        return cls(settings.output_dtype, settings.clamp_quantile, settings.clamp_max_loss, alpha)


@dataclass(frozen=True)
class LayerMethod:
    """Everything that decides the numbers of a layer, and nothing else.

    Planning builds it once from the settings; the work on a layer, its cost and its journal record depend on it alone.

    Attributes:
        policy: the rank rule.
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
            policy=RankPolicy(settings.lora_type, settings.rank, settings.adaptive_param),
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

    def layer_seed(self, name: str) -> int:
        """The seed of one layer."""
        return layer_seed(self.seed, name)
