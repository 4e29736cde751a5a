"""The formats of LoRA files: a row each. The settings' choices, planning and verification know no others."""

from __future__ import annotations

from collections.abc import Collection

from engine.errors import EngineError, ErrorCode
from engine.formats.comfyui import ComfyUI
from engine.formats.kohya import Kohya
from engine.formats.lora_format import LoraFormat, LoraIndex
from engine.models.families import Family

FORMATS: tuple[LoraFormat, ...] = (ComfyUI(), Kohya())
"""In the order in which they are offered; the first one is the default."""
_FOREIGN_FACTORS = (".lora_A.weight", ".lora_B.weight")  # PEFT's: no model has such a key


def format_titles() -> dict[str, str]:
    """The keys of all formats with their titles, in the order in which they are offered."""
    return {row.key: row.title for row in FORMATS}


def format_named(key: str) -> LoraFormat:
    """The format with a key.

    Raises:
        EngineError: ``format_unknown``, such as for the settings of a newer version.
    """
    for row in FORMATS:
        if row.key == key:
            return row
    raise EngineError(ErrorCode.FORMAT_UNKNOWN, name=key, available=[row.key for row in FORMATS])


def formats_for(family: Family) -> list[LoraFormat]:
    """The formats that can be written for a family, in the order in which they are offered."""
    return [row for row in FORMATS if row.problem(family) is None]


def formats_of(keys: Collection[str]) -> list[tuple[LoraFormat, LoraIndex]]:
    """The formats that know at least one of a file's keys, in the order of `FORMATS`."""
    found = [(row, row.parse(keys)) for row in FORMATS]
    return [(row, index) for row, index in found if index is not None]


def is_lora(keys: Collection[str]) -> bool:
    """Whether keys are those of a LoRA with factors, of whatever format, and not of a model."""
    if any(key.endswith(_FOREIGN_FACTORS) for key in keys):
        return True
    return any(index.has_factors for _, index in formats_of(keys))
