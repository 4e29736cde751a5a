"""The output file's name: ``{prefix}_rank_{rank}_{dtype}_{mode}_b{blocks}_bs{batch}_{counter}_.safetensors``."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings, HardwareSettings

_FORBIDDEN = frozenset('<>:"|?*')  # not allowed in file names on Windows
_MAX_NAME_BYTES = 255  # of one part of a path, nearly everywhere
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))]
)


def output_folder_and_stem(
    output_dir: Path, settings: ExtractionSettings, hardware: HardwareSettings
) -> tuple[Path, str]:
    """The folder the file goes into, and its name up to the counter.

    Raises:
        EngineError: ``output_escapes`` where the prefix leaves the output folder, is blank or cannot be a file name.
    """
    parts = _checked_parts(settings.filename_prefix)
    stem = (
        f"{parts[-1]}_rank_{rank_label(settings)}_{settings.output_dtype}_{hardware.vram_usage_mode}"
        f"_b{hardware.blocks_in_gpu}_bs{hardware.batch_size}_"
    )
    if max(len(os.fsencode(part)) for part in (*parts[:-1], numbered(stem, 1))) > _MAX_NAME_BYTES:
        raise EngineError(ErrorCode.OUTPUT_ESCAPES, file=settings.filename_prefix, reason="too_long")
    folder = output_dir.joinpath(*parts[:-1])
    if not folder.resolve().is_relative_to(output_dir.resolve()):
        raise EngineError(ErrorCode.OUTPUT_ESCAPES, file=settings.filename_prefix, reason="leaves")
    return folder, stem


def rank_label(settings: ExtractionSettings) -> str:
    """``32``, ``full`` or ``adaptive_fro_0.85``."""
    if settings.lora_type == "standard":
        return str(settings.rank)
    if settings.lora_type == "full":
        return "full"
    return f"{settings.lora_type}_{settings.adaptive_param:g}"


def numbered(stem: str, counter: int) -> str:
    """The whole file name."""
    return f"{stem}{counter:05}_.safetensors"


def first_free(folder: Path, stem: str, start: int = 1) -> int:
    """The first counter for which neither the file nor its report exists."""
    counter = start
    while any((folder / name).exists() for name in _pair_of_names(stem, counter)):
        counter += 1
    return counter


def report_path(output: Path) -> Path:
    """Where the report of an output file goes."""
    return output.with_suffix(".json")


def _pair_of_names(stem: str, counter: int) -> tuple[str, str]:
    name = numbered(stem, counter)
    return name, report_path(Path(name)).name


def _checked_parts(prefix: str) -> list[str]:
    def refuse(reason: str) -> EngineError:
        return EngineError(ErrorCode.OUTPUT_ESCAPES, file=prefix, reason=reason)

    if not prefix.strip():
        raise refuse("blank")
    parts = prefix.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or (len(parts[0]) == 2 and parts[0][1] == ":"):
        raise refuse("leaves")
    parts = [part for part in parts[:-1] if part not in ("", ".")] + parts[-1:]
    if parts[-1].strip() in ("", "."):
        raise refuse("no_name")
    for part in parts:
        reserved = not part.strip() or part.split(".")[0].lower() in _RESERVED
        if reserved or _FORBIDDEN & set(part) or not part.isprintable():
            raise refuse("bad_name")
    return parts
