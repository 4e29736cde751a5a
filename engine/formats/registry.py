"""The formats of LoRA files: a row each. The settings' choices, planning and verification know no others."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, cast, get_args

from engine.errors import EngineError, ErrorCode
from engine.formats.comfyui import ComfyUI
from engine.formats.diffusers import Diffusers
from engine.formats.kohya import Kohya
from engine.formats.lora_format import LoraFormat, LoraIndex
from engine.formats.peft import Peft
from engine.formats.programs import PROGRAMS, Program
from engine.models.families import Family
from engine.settings import RoundOriginal

FORMATS: tuple[LoraFormat, ...] = (ComfyUI(), Kohya(), Diffusers(), Peft())
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


def programs_that_load(family: Family) -> list[Program]:
    """The programs that load LoRAs of a family and whose format can be written for it, in the order of offering."""
    suitable = {row.key for row in formats_for(family)}
    return [row for row in PROGRAMS if row.format in suitable and row.loads(family) is not None]


def formats_of(keys: Collection[str]) -> list[tuple[LoraFormat, LoraIndex]]:
    """The formats that know at least one of a file's keys, in the order of `FORMATS`."""
    found = [(row, row.parse(keys)) for row in FORMATS]
    return [(row, index) for row, index in found if index is not None]


def own_settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a LoRA was extracted with, from its metadata; empty where it does not say."""
    try:
        settings = json.loads(metadata["lora_extractor.settings"])
    except (KeyError, TypeError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def own_rounding(metadata: Mapping[str, str]) -> RoundOriginal | None:
    """How the sides were compared for a LoRA, from its metadata; None where they were subtracted as they are stored."""
    word = metadata.get("lora_extractor.round_original")
    return cast(RoundOriginal, word) if word in get_args(RoundOriginal) else None


def likeliest(known: Mapping[LoraFormat, int], metadata: Mapping[str, str]) -> LoraFormat:
    """The format of a file: the one that knows most of it, of equals that which it names itself, or has own prefixes.

    Args:
        known: by format, how many keys of the file it knows; at least one format.
        metadata: of the file.
    """
    own_word = own_settings(metadata).get("key_format")
    return max(known, key=lambda row: (known[row], row.key == own_word, row.own_prefixes))


def is_lora(keys: Collection[str]) -> bool:
    """Whether keys are those of a LoRA with factors, of whatever format, and not of a model."""
    if any(key.endswith(_FOREIGN_FACTORS) for key in keys):
        return True
    return any(index.has_factors for _, index in formats_of(keys))
