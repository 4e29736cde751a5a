"""Several files of one run in words: their names, how many there are, and how much of the change they keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.text.headline import kept_clause, kept_sentence
from app.text.noise import real_in_short
from app.text.notices import format_bytes, format_share
from app.text.programs import Target
from app.text.translation import plural, translator, whole
from engine.results import OutputFile

CONTEXT = "outputs"
_tr = translator("outputs")
FILE_ENDING = ".safetensors"


def is_folder(path: Path) -> bool:
    """Whether a LoRA is a folder of files rather than one; the disk is not asked."""
    return path.suffix.lower() != FILE_ENDING


def shown_name(path: Path) -> str:
    """The name of a LoRA; that of a folder ends with a slash."""
    return f"{path.name}/" if is_folder(path) else path.name


def and_more(name: str, others: int) -> str:
    """``name`` or ``name and 2 more``."""
    if not others:
        return name
    text = plural(CONTEXT, "{name} and {count} more", "{name} and {count} more", others)
    return text.format(name=name, count=whole(others))


def names_of(paths: Sequence[Path]) -> str:
    """The first file's name and how many there are beside it."""
    return and_more(shown_name(paths[0]), len(paths) - 1)


def files_counted(count: int) -> str:
    """``1 file``, ``3 files``."""
    return plural(CONTEXT, "{count} file", "{count} files", count).format(count=whole(count))


def size_at_most(size_bytes: int, files: int) -> str:
    """``at most 310 MB``, of several files ``at most 310 MB together``."""
    text = _tr("at most {size}") if files == 1 else _tr("at most {size} together")
    return text.format(size=format_bytes(size_bytes))


def size_written(outputs: Sequence[OutputFile]) -> str:
    """``310 MB``, of several files ``310 MB together``."""
    size = format_bytes(sum(output.size_bytes for output in outputs))
    return size if len(outputs) == 1 else _tr("{size} together").format(size=size)


def all_keep(outputs: Sequence[OutputFile], *, weakest: bool = True) -> str:
    """What the files of a run keep, as a clause.

    Of one file the real change where rounding is a part of the difference, else also the share in its weakest layer; of
    several the shares from least to most.
    """
    first = outputs[0]
    if len(outputs) == 1:
        real = real_in_short(first.mean_energy_retained, first.noise, first.coverage)
        if real:
            return real
        if weakest:
            return kept_sentence(first.mean_energy_retained, first.worst_energy_retained, first.coverage)
        return kept_clause(first.mean_energy_retained, first.coverage)
    least, *_others, most = sorted(outputs, key=_mean)
    if not first.coverage.complete or format_share(_mean(least)) == format_share(_mean(most)):
        return kept_clause(_mean(least), least.coverage)
    return kept_range(_mean(least), _mean(most))


def kept_range(least: float, most: float) -> str:
    """``keep 40.5 % to 97.4 % of the change``."""
    return _tr("keep {least} to {most} of the change").format(least=format_share(least), most=format_share(most))


def output_kind(output: OutputFile) -> str:
    """Rank of a file and what it is for, such as ``rank 32 \u00b7 Forge``."""
    rank = _tr("rank {rank}").format(rank=output.rank) if output.rank.isdecimal() else output.rank.replace("_", " ")
    return f"{rank} \u00b7 {Target(output.program, output.key_format).title}"


def _mean(output: OutputFile) -> float:
    return output.mean_energy_retained
