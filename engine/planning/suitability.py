"""Whether a file can be written for a pair of models, a format, a program and a precision; the errors where not."""

from __future__ import annotations

from typing import Any

from engine.decompose.method import LayerMethod
from engine.errors import EngineError, ErrorCode
from engine.formats.lora_format import LoraFormat
from engine.formats.programs import Loads, Program, limits
from engine.formats.registry import formats_for, programs_that_load
from engine.models.families import Family
from engine.settings import ExtractionSettings


def what_is_loaded(program: Program | None, row: LoraFormat, family: Family) -> Loads | None:
    """What is loaded of the file; None where nothing is known of it.

    Raises:
        EngineError: ``program_unsuitable`` where its format cannot be written for such models.
    """
    if program is None:
        return limits(row.key, family)
    if row.problem(family) is not None:
        raise unsuitable_program(program, family, "family")
    return program.loads(family)


def check_suits(row: LoraFormat, program: Program | None, family: Family, method: LayerMethod) -> None:
    """Whether a format has names for such models, and a place for what the type stores.

    Raises:
        EngineError: ``format_unsuitable`` or ``program_unsuitable``.
    """
    problem = row.problem(family)
    if problem is not None:
        raise unsuitable(row, family, problem)
    if method.full and not row.holds_differences:
        raise unsuitable(row, family, "full") if program is None else unsuitable_program(program, family, "full")


def check_dtype(
    row: LoraFormat,
    program: Program | None,
    loads: Loads | None,
    family: Family,
    settings: ExtractionSettings,
    method: LayerMethod,
) -> None:
    """Whether there are factors in fp8, with an alpha that can hold their scale, and what reads the format loads them.

    A program that is named and does not load them is left to `check_program`.

    Raises:
        EngineError: ``dtype_unsuitable``.
    """
    if settings.output_dtype != "fp8_e4m3" or (program is not None and loads is not None and not loads.fp8):
        return
    loaded = (loads is None or loads.fp8) and not (row.one_alpha or row.scale_baked)
    reason = "full" if method.full else "alpha" if settings.alpha != "auto" else "" if loaded else "format"
    if reason:
        known = {other.title: limits(other.key, family) for other in formats_for(family)}
        able = [title for title, limit in known.items() if limit is not None and limit.fp8]
        reason = reason if able or reason != "format" else "no_format"
        raise EngineError(
            ErrorCode.DTYPE_UNSUITABLE, reason=reason, dtype=settings.output_dtype, format=row.title, available=able
        )


def check_program(
    program: Program | None, loads: Loads | None, family: Family, settings: ExtractionSettings, largest_rank: int
) -> None:
    """Whether a program takes the ranks and the precision.

    Raises:
        EngineError: ``program_unsuitable``.
    """
    if program is None or loads is None:
        return
    if loads.rank_limit is not None and largest_rank > loads.rank_limit:
        raise unsuitable_program(program, family, "rank", limit=loads.rank_limit)
    if settings.output_dtype.startswith("fp8") and not loads.fp8:
        raise unsuitable_program(program, family, "fp8")
    if loads.equal_ranks and (settings.lora_type.startswith("adaptive") or settings.target_size is not None):
        raise unsuitable_program(program, family, "equal_ranks")


def unsuitable(row: LoraFormat, family: Family, reason: str) -> EngineError:
    """The error for a format that cannot be used, with the other formats that these models have."""
    by_contents = reason in ("full", "nothing", "nothing_changed")  # which formats of factors alone do not hold
    others = [
        other.title
        for other in formats_for(family)
        if other.key != row.key and (other.holds_differences or not by_contents)
    ]
    names = {"format": row.title, "family": family.title}
    return EngineError(ErrorCode.FORMAT_UNSUITABLE, reason=reason, available=others, **names)


def unsuitable_program(program: Program, family: Family, reason: str, **data: Any) -> EngineError:
    """The error for a program that a file cannot be written for, with the others that load LoRAs of these models."""
    others = [row.title for row in programs_that_load(family) if row.key != program.key]
    names = {"program": program.title, "family": family.title}
    return EngineError(ErrorCode.PROGRAM_UNSUITABLE, reason=reason, available=others, **names, **data)
