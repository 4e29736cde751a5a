"""Writes docs/parameters.md from the settings, so that the table can never differ from the program.

Run it from the project's folder: ``python docs/make_parameters.py``.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from app.parameters import FieldSpec, field_specs
from engine.presets import HARDWARE_PROFILES
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


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
