"""Every parameter of the specification is there, with its default and range, in the settings and in ``--help``."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from app.cli.parser import build_parser
from app.parameters import FieldSpec, field_specs
from engine.presets import HARDWARE_PROFILES
from engine.settings import ExtractionSettings, HardwareSettings

# The tables of the specification: name, default, lowest, highest.
EXTRACTION: dict[str, tuple[object, float | None, float | None]] = {
    "filename_prefix": ("loras/ComfyUI_v2_extracted_lora", None, None),
    "rank": (8, 1, 4096),
    "lora_type": ("standard", None, None),
    "algorithm": ("svd_linalg", None, None),
    "lowrank_iters": (7, 1, 100),
    "output_dtype": ("fp16", None, None),
    "bias_diff": (True, None, None),
    "adaptive_param": (0.15, 0.0, 1.0),
    "clamp_quantile": (True, None, None),
    "clamp_max_loss": (1e-5, 0.0, 1.0),
    "seed": (0, None, None),
    "min_change": (0.0, 0.0, 1.0),
    "set_weight": (False, None, None),
    "skip_nonfinite": (False, None, None),
    "key_format": ("comfyui", None, None),
    "include": ((), None, None),
    "exclude": ((), None, None),
}
HARDWARE: dict[str, tuple[object, float | None, float | None]] = {
    "vram_usage_mode": ("balanced", None, None),
    "blocks_in_gpu": (10, 0, 40),
    "batch_size": (4, 1, 8),
    "prefetch_ahead": (2, 0, 10),
    "memory_threshold": (0.85, 0.5, 0.95),
    "debug_mode": (False, None, None),
    "device": ("auto", None, None),
    "memory_budget": (None, None, None),
}
CHOICES = {
    "lora_type": (
        "standard", "full", "adaptive_ratio", "adaptive_quantile", "adaptive_energy", "adaptive_fro",
        "adaptive_noise",
    ),
    "algorithm": ("svd_linalg", "svd_lowrank"),
    "output_dtype": ("fp16", "bf16", "fp32", "fp8_e4m3"),
    "vram_usage_mode": ("conservative", "balanced", "aggressive"),
}  # fmt: skip
TABLE = [(ExtractionSettings, name, *facts) for name, facts in EXTRACTION.items()] + [
    (HardwareSettings, name, *facts) for name, facts in HARDWARE.items()
]
BOUNDED = [row[:2] + row[3:] for row in TABLE if row[3] is not None]
FIELDS = [spec for model in (ExtractionSettings, HardwareSettings) for spec in field_specs(model)]


@pytest.fixture(scope="module")
def options() -> dict[str, str]:
    """Each option of ``extract --help`` with its whole help text."""
    (commands,) = (action for action in build_parser()._actions if action.dest == "command")
    assert isinstance(commands.choices, dict)
    text = " ".join(commands.choices["extract"].format_help().split())
    pieces = re.split(r"(?<!,) (?=--[a-z])", text.split("LoRA: ", 1)[1])
    found: dict[str, str] = {}
    for piece in pieces:
        found.setdefault(piece.split(",")[0].split(" ")[0], piece)
    return found


@pytest.mark.parametrize(("model", "name", "default", "low", "high"), TABLE, ids=[row[1] for row in TABLE])
def test_a_parameter_has_the_default_and_the_range_of_the_specification(
    model: type, name: str, default: object, low: float | None, high: float | None
) -> None:
    spec = next(spec for spec in field_specs(model) if spec.name == name)
    assert spec.default == default
    if low is not None:
        assert (spec.minimum, spec.maximum) == (low, high)


@pytest.mark.parametrize(("model", "name", "low", "high"), BOUNDED, ids=[row[1] for row in BOUNDED])
def test_values_outside_the_range_are_refused_and_its_ends_are_taken(
    model: type, name: str, low: float, high: float
) -> None:
    for value in (low, high):
        assert getattr(model(**{name: value}), name) == value
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(ValidationError):
            model(**{name: value})


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_offers_what_the_specification_names(name: str) -> None:
    assert next(spec for spec in FIELDS if spec.name == name).choices == CHOICES[name]


@pytest.mark.parametrize("spec", FIELDS, ids=[spec.name for spec in FIELDS])
def test_every_field_is_an_option_whose_help_ends_with_its_range_and_default(
    spec: FieldSpec, options: dict[str, str]
) -> None:
    words = {True: "on", False: "off", None: "none", (): "none"}
    default = spec.default
    if spec.kind in ("bool", "size", "list"):
        default = words.get(default) or ",".join(default)
    elif spec.kind == "float":
        default = f"{default:g}"
    default = default if default != "" else "none"
    style = "g" if spec.kind == "float" else ".0f"
    ranged = spec.minimum is not None and spec.maximum is not None
    limits = f"{spec.minimum:{style}} to {spec.maximum:{style}}, " if ranged else ""
    limits += "several times for a file each, " if spec.repeatable else ""
    shown = options[spec.option].removesuffix(" hardware:")
    assert shown.endswith(f"[{limits}default {default}]")


@pytest.mark.parametrize("spec", FIELDS, ids=[spec.name for spec in FIELDS])
def test_every_field_has_a_title_and_a_help_of_its_own(spec: FieldSpec) -> None:
    assert [other for other in FIELDS if spec.title == other.title or spec.help == other.help] == [spec]
    assert spec.title != spec.name
    assert spec.help.endswith(".")


def test_the_shipped_profiles_have_the_values_of_the_specification() -> None:
    names = ("vram_usage_mode", "blocks_in_gpu", "batch_size", "prefetch_ahead", "memory_threshold", "debug_mode")
    found = {title: tuple(getattr(profile, name) for name in names) for title, profile in HARDWARE_PROFILES.items()}
    assert found == {
        "Safe (8 GB)": ("conservative", 5, 2, 0, 0.70, False),
        "Balanced (12 GB)": ("balanced", 10, 4, 2, 0.85, False),
        "Performance (16 GB+)": ("aggressive", 20, 6, 4, 0.90, True),
        "Maximum speed (24 GB+)": ("aggressive", 40, 8, 8, 0.95, True),
    }
