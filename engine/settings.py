"""The one place for every parameter: default, range, choices, title and help text.

The window, the command line, the profiles and the documentation are generated from these
two models; nothing else in the project repeats a default or a range.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

LoraType = Literal[
    "standard", "full", "adaptive_ratio", "adaptive_quantile", "adaptive_energy", "adaptive_fro", "adaptive_noise"
]
NO_PARAMETER: tuple[LoraType, ...] = ("standard", "full", "adaptive_noise")
"""Types that the adaptive value has no meaning for."""
Algorithm = Literal["svd_linalg", "svd_lowrank"]
OutputDtype = Literal["fp16", "bf16", "fp32", "fp8_e4m3"]
RoundOriginal = Literal["auto", "on", "off"]
SizeBy = Literal["uniform", "energy", "relative"]
SAFETENSORS_DTYPES: dict[OutputDtype, str] = {"fp16": "F16", "bf16": "BF16", "fp32": "F32", "fp8_e4m3": "F8_E4M3"}
Component = Literal["denoiser", "text_encoders", "vae", "other"]
VramUsageMode = Literal["conservative", "balanced", "aggressive"]

MOST_RANK = 4096
RECOMMENDED_ADAPTIVE_PARAM: dict[str, tuple[float, float, float]] = {
    # lora_type: lowest and highest sensible value, and the one offered with one click
    "adaptive_ratio": (0.02, 0.3, 0.15),
    "adaptive_quantile": (0.1, 0.9, 0.5),
    "adaptive_energy": (0.8, 0.99, 0.95),
    "adaptive_fro": (0.8, 0.99, 0.95),
}


def _split_list(value: object) -> object:
    """Accept ``"a, b"`` from a command line or a text field as ``("a", "b")``."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _alpha_text(value: object) -> object:
    """Accept a number for the text that stands for it."""
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _not_zero(text: str) -> str:
    """Refuse an alpha that no factors can make up for."""
    if text not in ("auto", "rank") and float(text) < _LEAST_ALPHA:
        raise ValueError(f"at least {_LEAST_ALPHA}")
    return text


def _not_nothing(value: float) -> float:
    """Refuse a strength at which nothing would be left of the change."""
    if abs(value) < _LEAST_STRENGTH:
        raise ValueError(f"at least {_LEAST_STRENGTH} or at most -{_LEAST_STRENGTH}")
    return value


def _none_word(value: object) -> object:
    """Accept an empty text or ``none`` for a size that is not set."""
    if isinstance(value, str) and value.strip().lower() in ("", "none"):
        return None
    return value


_LEAST_STRENGTH, _LEAST_ALPHA = 0.01, 0.001
_NEWER = ("program", "target_size", "size_by", "alpha", "strength")


class ExtractionSettings(BaseModel):
    """What LoRA to extract: everything that can change the numbers in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filename_prefix: str = Field(
        "loras/ComfyUI_v2_extracted_lora",
        min_length=1,
        title="File name",
        description="Start of the output file's name. A folder part is made under the output folder; "
        "a path that leaves the output folder is refused.",
    )
    lora_type: LoraType = Field(
        "standard",
        title="Type",
        description="How the rank of each layer is chosen: one rank for all, chosen per layer by a rule on its "
        "singular values, or none (full stores the whole difference).",
        json_schema_extra={
            "choice_titles": {
                "standard": "Standard, one rank",
                "full": "Full difference",
                "adaptive_ratio": "Adaptive, ratio",
                "adaptive_quantile": "Adaptive, quantile",
                "adaptive_energy": "Adaptive, energy",
                "adaptive_fro": "Adaptive, Frobenius",
                "adaptive_noise": "Adaptive, above rounding noise",
            }
        },
    )
    rank: int = Field(
        8,
        ge=1,
        le=MOST_RANK,
        title="Rank",
        description="Rank of the LoRA, or the cap for adaptive types. Clipped to the smaller side of each layer. "
        "Styles: 16-64. Characters: 32-128.",
        json_schema_extra={"log_scale": True},
    )
    adaptive_param: float = Field(
        0.15,
        ge=0.0,
        le=1.0,
        title="Adaptive value",
        description="The adaptive rule's parameter. Recommended: ratio 0.02-0.3, quantile 0.1-0.9, "
        "energy 0.8-0.99, Frobenius 0.8-0.99; adaptive_noise has none.",
        json_schema_extra={"step": 0.01},
    )
    algorithm: Algorithm = Field(
        "svd_linalg",
        title="Method",
        description="svd_linalg gives the best possible answer at the rank, to working precision. "
        "svd_lowrank is randomised: an approximation, bounded by the iterations.",
        json_schema_extra={
            "choice_titles": {"svd_linalg": "Exact (svd_linalg)", "svd_lowrank": "Randomised (svd_lowrank)"}
        },
    )
    lowrank_iters: int = Field(
        7,
        ge=1,
        le=100,
        title="Iterations",
        description="Subspace iterations of svd_lowrank; a bound, fewer are used once converged.",
    )
    output_dtype: OutputDtype = Field(
        "fp16",
        title="Precision",
        description="Number format of the file. fp16 suits nearly everything; a tensor that fp16 would damage is "
        "stored in fp32 and reported. fp8_e4m3 takes half the bytes of fp16, so that twice the rank fits in the same "
        "file; for ComfyUI and Forge alone.",
        json_schema_extra={"choice_titles": {"fp8_e4m3": "fp8 (e4m3)"}},
    )
    key_format: str = Field(  # its choices are the rows of `engine.formats.registry`, which planning asks
        "comfyui",
        pattern=r"^[a-z][a-z0-9_]*$",
        title="Key format",
        description="Whose key names the file uses, where no program is named. ComfyUI's hold everything, of every "
        "kind of model; Kohya's are read by most programs and go on in trainers, but hold no biases, norms and bare "
        "parameters.",
        json_schema_extra={"advanced": True},
    )
    program: str = Field(  # its choices are the rows of `engine.formats.programs`, which planning asks
        "",
        pattern=r"^([a-z][a-z0-9_]*)?$",
        title="For",
        description="The program that is to load the file. It chooses the format, and what it does not load is left "
        "out. Several on the command line give a file each. Without one: what the format's own program reads; Forge, "
        "InvokeAI and vLLM load a part of that.",
    )
    target_size: Annotated[ByteSize | None, BeforeValidator(_none_word)] = Field(
        None,
        gt=0,
        title="Size",
        description="Size of the file, such as 150MB (10^6 bytes each): ranks are chosen so that it is at most that. "
        "A rank beside it is the most that a layer gets.",
    )
    size_by: SizeBy = Field(
        "uniform",
        title="Ranks by",
        description="How ranks are shared between layers for a size: uniform, by energy per byte, or by each layer's "
        "relative change.",
        json_schema_extra={
            "advanced": True,
            "choice_titles": {"uniform": "Uniform", "energy": "Energy", "relative": "Relative change"},
        },
    )
    alpha: Annotated[str, BeforeValidator(_alpha_text), AfterValidator(_not_zero)] = Field(
        "auto",
        pattern=r"^(auto|rank|\d{1,6}(\.\d{1,6})?)$",
        title="Alpha",
        description="The alpha in the file: a number, rank, or auto. Factors are scaled so that their product stays "
        "the same.",
        json_schema_extra={"advanced": True},
    )
    strength: Annotated[float, AfterValidator(_not_nothing)] = Field(
        1.0,
        ge=-16.0,
        le=16.0,
        title="Strength",
        description="What the whole LoRA is multiplied by, so that strength 1 in a program means this one. Negative "
        "ones take the change away; not within 0.01 of 0.",
        json_schema_extra={"advanced": True, "step": 0.05},
    )
    bias_diff: bool = Field(
        True,
        title="Biases and norms",
        description="Also store the differences of biases, norms and bare parameters, which no low rank can hold.",
        json_schema_extra={"advanced": True},
    )
    clamp_quantile: bool = Field(
        True,
        title="Clamp outliers",
        description="Clamp both factors to the 0.99 quantile of their values, where that costs nearly nothing.",
        json_schema_extra={"advanced": True},
    )
    clamp_max_loss: float = Field(
        1e-5,
        ge=0.0,
        le=1.0,
        title="Clamp at most",
        description="Largest share of a layer's energy that clamping may cost; beyond it the layer stays unclamped. "
        "1.0 always clamps, as older tools do.",
        json_schema_extra={"advanced": True, "step": 1e-5},
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Each layer draws from its own generator, seeded by this and the layer's name.",
        json_schema_extra={"advanced": True},
    )
    min_change: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        title="Leave out below",
        description="Leave out layers whose relative change |delta| / |original| is at or below this. "
        "0 leaves out only exactly unchanged layers.",
        json_schema_extra={"advanced": True, "step": 0.001},
    )
    round_original: RoundOriginal = Field(
        "auto",
        title="Round the original",
        description="Compare with the original rounded to the fine-tuned model's number format, so that rounding is "
        "not taken for change. auto: where the fine-tuned model is the coarser one. on: also round the fine-tuned "
        "model where the original is the coarser one. off: compare both as stored. A weight that differs by rounding "
        "alone is always left out.",
        json_schema_extra={
            "advanced": True,
            "choice_titles": {"auto": "Automatic", "on": "On, both ways", "off": "Off"},
        },
    )
    components: Annotated[tuple[Component, ...], BeforeValidator(_split_list)] = Field(
        ("denoiser", "text_encoders"),
        min_length=1,
        title="Parts",
        description="Parts of the model to extract, separated by commas: denoiser, text_encoders, vae, other.",
        json_schema_extra={"advanced": True},
    )
    include: Annotated[tuple[str, ...], BeforeValidator(_split_list)] = Field(
        (),
        title="Only layers",
        description="Extract only layers whose name matches one of these patterns, separated by commas (* and ?).",
        json_schema_extra={"advanced": True},
    )
    exclude: Annotated[tuple[str, ...], BeforeValidator(_split_list)] = Field(
        (),
        title="Not layers",
        description="Leave out layers whose name matches one of these patterns, separated by commas (* and ?).",
        json_schema_extra={"advanced": True},
    )
    set_weight: bool = Field(
        False,
        title="New weights",
        description="Also write weights that only the fine-tuned model has, whole, as .set_weight, and new rows and "
        "input channels of others, as .reshape_weight.",
        json_schema_extra={"advanced": True},
    )
    skip_nonfinite: bool = Field(
        False,
        title="Skip broken layers",
        description="Leave out layers with NaN or infinite values instead of ending with an error.",
        json_schema_extra={"advanced": True},
    )
    resume: bool = Field(
        True,
        title="Go on where it stopped",
        description="Use what earlier runs of the same two models left: the layers of a stopped run, and finished "
        "decompositions. Off: everything is computed anew.",
        json_schema_extra={"advanced": True},
    )

    @property
    def rank_cap(self) -> int:
        """The largest rank of a layer: `rank`, but for a file of a wanted size only where that was given."""
        return self.rank if self.target_size is None or "rank" in self.model_fields_set else MOST_RANK

    @model_serializer(mode="wrap")
    def _without_a_rank_that_was_not_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Beside a wanted size a rank means a cap, so one that was not given is not among the values either."""
        values: dict[str, Any] = handler(self)
        if self.rank_cap != self.rank:
            values.pop("rank", None)
        return values

    @property
    def newer_defaults(self) -> frozenset[str]:
        """Parameters that earlier versions did not have and that are at their defaults.

        Files, reports and journals do not name them, so that they stay as those versions wrote and read them.
        """
        fields = type(self).model_fields
        return frozenset(name for name in _NEWER if getattr(self, name) == fields[name].default)

    @property
    def own_clamp_limit(self) -> bool:
        """Whether the person changed how much clamping may cost."""
        return bool(self.clamp_max_loss != type(self).model_fields["clamp_max_loss"].default)


class HardwareSettings(BaseModel):
    """How to use the machine: never changes a number in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vram_usage_mode: VramUsageMode = Field(
        "balanced",
        title="Memory use",
        description="Share of the device's memory this run may fill: conservative 50 %, balanced 75 %, "
        "aggressive 90 %.",
        json_schema_extra={
            "choice_titles": {"conservative": "Conservative", "balanced": "Balanced", "aggressive": "Aggressive"}
        },
    )
    blocks_in_gpu: int = Field(
        10,
        ge=0,
        le=40,
        title="Blocks in GPU",
        description="Transformer blocks that stay on the device after use, for a next extraction from the same pair: "
        "no disk, no bus. 40 keeps all, and what lies outside the blocks. On a processor only with a memory budget.",
    )
    batch_size: int = Field(
        4,
        ge=1,
        le=8,
        title="Batch",
        description="Layers worked on at the same time. Conservative computes one at a time.",
    )
    prefetch_ahead: int = Field(
        2,
        ge=0,
        le=10,
        title="Read ahead",
        description="Blocks read and uploaded ahead of the one being worked on.",
    )
    memory_threshold: float = Field(
        0.85,
        ge=0.5,
        le=0.95,
        title="Memory limit",
        description="Share of the whole device's memory in use, other programs included, above which the run offloads.",
        json_schema_extra={"step": 0.01, "percent": True},
    )
    debug_mode: bool = Field(
        False,
        title="Debug report",
        description="Print the detailed report: banner, a line per batch with its time and memory, totals.",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|all|cpu|mps|(cuda|xpu)(:\d+)?(,(cuda|xpu)(:\d+)?)*)$",
        title="Device",
        description="Where to compute: auto, cpu, cuda:0, mps or xpu; several as cuda:0,cuda:1, or all.",
    )
    memory_budget: Annotated[ByteSize | None, BeforeValidator(_none_word)] = Field(
        None,
        gt=0,
        title="Memory budget",
        description="Memory the run may treat as the device's, such as 8GiB. Without an accelerator: half of what "
        "is free.",
    )
