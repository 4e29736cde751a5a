"""The settings of each file of a run, from the several ranks, sizes, formats and programs that a person names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.errors import EngineError, ErrorCode
from engine.formats.programs import with_its_format
from engine.settings import ExtractionSettings


def variants(
    settings: ExtractionSettings,
    *,
    ranks: Sequence[int] = (),
    sizes: Sequence[int] = (),
    formats: Sequence[str] = (),
    programs: Sequence[str] = (),
) -> tuple[ExtractionSettings, ...]:
    """The settings of each file: every rank and every size, for every program and then every format that is named.

    The first is that of the run itself, the others are `also` of `engine.planning.plan.make_plan`.

    Args:
        settings: what all files have in common, and all of one where nothing else is named.
        ranks: ranks, or caps of an adaptive type or beside sizes; that of the settings where there is none.
        sizes: wanted sizes in bytes; that of the settings where there is none.
        formats: keys of formats.
        programs: keys of programs.

    Raises:
        EngineError: ``settings_invalid`` for several files of the type ``full``, or ``program_unknown``.
    """
    targets: list[dict[str, Any]] = [{"program": key} for key in programs]
    targets += [{"program": "", "key_format": key} for key in formats]
    found = [
        with_its_format(settings.model_copy(update=target | rank | size))
        for target in targets or [{}]
        for size in [{"target_size": size} for size in sizes] or [{}]
        for rank in [{"rank": rank} for rank in ranks] or [{}]
    ]
    files = tuple(dict.fromkeys(found))
    if len(files) > 1 and settings.lora_type == "full":
        reason = "the type full writes one file, without a rank and in one format"
        raise EngineError(ErrorCode.SETTINGS_INVALID, reason=reason)
    return files
