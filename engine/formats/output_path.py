"""Where the output goes, and whether it can.

Its name is ``{prefix}_rank_{rank}_{dtype}_{mode}_b{blocks}_bs{batch}_{counter}_.safetensors``; the format's `stem` may
add to the prefix. Where ranks were chosen for a size the rank is ``size_150MB``, in units of 10^6 bytes.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings, HardwareSettings

REPORT = "extraction_report.json"
"""What the report of an output that is a folder is called in it."""
ENDING = ".safetensors"
_FORBIDDEN = frozenset('<>:"|?*')  # not allowed in file names on Windows
_MAX_NAME_BYTES = 255  # of one part of a path, nearly everywhere
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))]
)
# File systems of Linux's kernel itself: their folders say that root may write there, and take no file all the same.
_OF_THE_KERNEL = frozenset(
    ["proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "pstore", "bpf", "configfs", "devpts"]
)


@dataclass(frozen=True)
class Target:
    """Where an output of a run goes, but for the number that all outputs of the run share.

    Attributes:
        folder: where it lies.
        stem: its name up to the number.
        copy: how many outputs of the run before it have the same folder and stem; it is counted on from the number.
        ending: behind its number; nothing where the output is a folder.
    """

    folder: Path
    stem: str
    copy: int = 0
    ending: str = ENDING

    def path(self, counter: int) -> Path:
        """The output under a number."""
        return self.folder / numbered(self.stem, counter + self.copy, self.ending)

    def report(self, counter: int) -> Path:
        """Its report under a number."""
        return report_path(self.path(counter))

    def taken(self, counter: int) -> bool:
        """Whether the output or its report exists."""
        return os.path.lexists(self.path(counter)) or os.path.lexists(self.report(counter))


def output_folder_and_stem(
    output_dir: Path,
    settings: ExtractionSettings,
    hardware: HardwareSettings,
    stem_of: Callable[[str], str] = lambda prefix: prefix,
) -> tuple[Path, str]:
    """The folder the file goes into, and its name up to the counter.

    Args:
        output_dir: the output folder.
        settings: what is extracted.
        hardware: how the machine is used.
        stem_of: what the format makes of the name that was asked for.

    Raises:
        EngineError: ``output_escapes`` where the prefix leaves the output folder, is blank or cannot be a file name.
    """
    parts = _checked_parts(settings.filename_prefix)
    stem = (
        f"{stem_of(parts[-1])}_rank_{rank_label(settings)}_{settings.output_dtype}_{hardware.vram_usage_mode}"
        f"_b{hardware.blocks_in_gpu}_bs{hardware.batch_size}_"
    )
    if max(len(os.fsencode(part)) for part in (*parts[:-1], numbered(stem, 1))) > _MAX_NAME_BYTES:
        raise EngineError(ErrorCode.OUTPUT_ESCAPES, file=settings.filename_prefix, reason="too_long")
    folder = output_dir.joinpath(*parts[:-1])
    if not folder.resolve().is_relative_to(output_dir.resolve()):
        raise EngineError(ErrorCode.OUTPUT_ESCAPES, file=settings.filename_prefix, reason="leaves")
    return folder, stem


def rank_label(settings: ExtractionSettings) -> str:
    """``32``, ``size_150MB``, ``full``, ``adaptive_fro_0.85`` or ``adaptive_noise``."""
    if settings.target_size is not None:
        return f"size_{_megabytes(settings.target_size)}MB"
    if settings.lora_type == "standard":
        return str(settings.rank)
    if settings.lora_type in ("full", "adaptive_noise"):
        return settings.lora_type
    return f"{settings.lora_type}_{settings.adaptive_param:g}"


def _megabytes(size: int) -> str:
    """A number of bytes in units of 10^6, exact and without needless zeros."""
    whole, rest = divmod(size, 10**6)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".")


def numbered(stem: str, counter: int, ending: str = ENDING) -> str:
    """The whole file name; without the ending that of a folder."""
    return f"{stem}{counter:05}_{ending}"


def first_free(targets: Sequence[Target], start: int = 1) -> int:
    """The first number from `start` on that is free for all outputs of a run."""
    counter = start
    while any(target.taken(counter) for target in targets):
        counter += 1
    return counter


def report_path(output: Path) -> Path:
    """Where the report of an output goes: beside a file, into a folder."""
    if output.suffix != ENDING:
        return output / REPORT
    return output.with_suffix(".json")


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


def check_writable(folder: Path) -> None:
    """Look whether a folder, or the nearest one above it that exists, takes new files.

    A drive that lies is met when the file is created; this only saves the person from finding out that late.

    Raises:
        EngineError: ``output_unwritable``, naming the folder and what is `at` fault: it or one above it.
    """
    try:
        at = _nearest(folder)
        if at is None:
            raise _refusal(folder, "no_drive", Path(folder.anchor or folder))
        if not stat.S_ISDIR(at.stat().st_mode):
            raise _refusal(folder, "is_file" if at == folder else "below_file", at)
        if not _allowed(at) or _of_the_kernel(at):
            raise _refusal(folder, "closed" if at == folder else "below_closed", at)
    except OSError as error:  # a folder that may not even be looked into
        reason = error.strerror or str(error)
        raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=folder, reason=reason) from error


def _refusal(folder: Path, reason: str, at: Path) -> EngineError:
    return EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=folder, reason=reason, at=str(at))


def _nearest(folder: Path) -> Path | None:
    """The folder, or what exists of the way to it; a link that leads nowhere takes no folder either."""
    for at in (folder, *folder.parents):
        try:
            os.stat(at)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(at):
                raise _refusal(folder, "broken_link", at) from None
            continue
        return at
    return None


def _allowed(folder: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)


def _of_the_kernel(folder: Path) -> bool:
    """Whether a folder lies in a file system that keeps no files. Only those without a size are looked up."""
    if sys.platform != "linux" or os.statvfs(folder).f_blocks:
        return False
    real = folder.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if real.is_relative_to(part.mountpoint)]
    nearest = max(mounts, key=lambda part: len(Path(part.mountpoint).parts), default=None)
    return nearest is not None and nearest.fstype in _OF_THE_KERNEL
