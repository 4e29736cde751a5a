"""Writes docs/parameters.md from the settings, so that the table can never differ from the program.

Run it from the project's folder: ``python docs/make_parameters.py``.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from app.parameters import FieldSpec, field_specs
from engine.models.families import FAMILIES
from engine.presets import HARDWARE_PROFILES, PRESET_WORDS, PRESETS, RECOMMENDED_RANKS
from engine.settings import ExtractionSettings, HardwareSettings

TARGET = Path(__file__).with_name("parameters.md")


def render() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# Parameters",
            "",
            "Every parameter of the window and of the command line. This page is made from `engine/settings.py` by",
            "`docs/make_parameters.py`.",
            "",
            "## LoRA",
            "",
            *_table(ExtractionSettings),
            "",
            "## Hardware",
            "",
            *_table(HardwareSettings),
            "",
            "## Shipped hardware profiles",
            "",
            *_profiles(),
            "",
            "## Presets",
            "",
            "Each sets the parameters named and leaves the others as they are, but for those that another preset sets,",
            "which go back to their defaults.",
            "",
            *_presets(),
            "",
            "## Recommended ranks",
            "",
            "The window offers these as a button beside the rank, by the family of the open pair; nothing changes the",
            "rank by itself. They are where to begin and not measured for each family: the middle of the ranks that",
            "LoRAs for these models usually have (16 to 64), less for the smallest models, whose weights are at most",
            "about 1300 wide, more for language models, which are mostly fine-tuned whole.",
            "What a pair needs, the result says after a first run.",
            "Other families have none.",
            "",
            *_ranks(),
            "",
        ]
    )


def _table(model: type[BaseModel]) -> list[str]:
    rows = ["| Name | Default | Values | Meaning |", "|---|---|---|---|"]
    for spec in field_specs(model):
        several = "; several, for a file each" if spec.repeatable else ""
        rows.append(f"| `{spec.name}` | `{spec.default_text}` | {_values(spec)}{several} | {_cell(spec.help)} |")
    return rows


def _values(spec: FieldSpec) -> str:
    if spec.choices:
        return ", ".join(f"`{choice}`" for choice in spec.choices)
    return spec.range_text or {"bool": "on, off", "size": "bytes, or a size such as `8GiB`", "list": "texts"}.get(
        spec.kind, "text"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _profiles() -> list[str]:
    names = [name for name in HardwareSettings.model_fields if name not in ("device", "memory_budget")]
    rows = ["| Profile | " + " | ".join(f"`{name}`" for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for title, profile in HARDWARE_PROFILES.items():
        values = [getattr(profile, name) for name in names]
        words = ["on" if value is True else "off" if value is False else str(value) for value in values]
        rows.append(f"| {title} | " + " | ".join(words) + " |")
    return rows


def _presets() -> list[str]:
    rows = ["| Preset | When | Sets |", "|---|---|---|"]
    for name, values in PRESETS.items():
        sets = ", ".join(f"`{key}={_shown(value)}`" for key, value in values.items())
        rows.append(f"| {name} | {PRESET_WORDS[name]} | {sets} |")
    return rows


def _shown(value: object) -> str:
    return "on" if value is True else "off" if value is False else str(value)


def _ranks() -> list[str]:
    titles = {family.key: family.title for family in FAMILIES}
    by_rank: dict[int, list[str]] = {}
    for key, rank in RECOMMENDED_RANKS.items():
        if titles[key] not in by_rank.setdefault(rank, []):
            by_rank[rank].append(titles[key])
    return ["| Rank | Families |", "|---|---|", *(f"| {rank} | {', '.join(by_rank[rank])} |" for rank in by_rank)]


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
