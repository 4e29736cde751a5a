"""What a plan will take, in words: rounded as honestly as it is known, and what to do where it does not fit."""

from __future__ import annotations

from collections.abc import Callable

from app.text.notices import counted, format_bytes, format_seconds
from app.text.translation import marked, translate, whole
from engine.events import Progress
from engine.planning.estimates import Amount, Estimate, Problem, ProblemCode
from engine.results import ExtractionResult

PROBLEMS: dict[ProblemCode, tuple[str, str]] = {
    # what does not fit, what to do; filled in from the problem's data
    ProblemCode.LAYER_EXCEEDS_DEVICE: (
        marked("estimate", "{name} needs {needed}, {available} are free: the processor does it."),
        marked("estimate", "svd_lowrank or a lower rank needs less."),
    ),
    ProblemCode.LAYER_EXCEEDS_BUDGET: (
        marked("estimate", "{name} needs {needed}: it is worked on alone, above the memory budget of {budget}."),
        marked("estimate", "A memory budget of {needed} would be enough."),
    ),
    ProblemCode.LAYER_EXCEEDS_SHARE: (
        marked("estimate", "{name} needs {needed}, more than the run's share of {available}: it is worked on alone."),
        marked("estimate", "A more aggressive memory use allows more."),
    ),
    ProblemCode.HOST_MEMORY_SHORT: (
        marked("estimate", "The run may need {needed} of memory and {available} are free."),
        marked("estimate", "Close other programs, choose a smaller batch, or use svd_lowrank."),
    ),
    ProblemCode.OUTPUT_DISK_SHORT: (
        marked("estimate", "The LoRA needs up to {needed} and the disk has {available} free."),
        marked("estimate", "Free some space or choose another output folder."),
    ),
    ProblemCode.JOURNAL_DISK_SHORT: (
        marked("estimate", "No room to keep finished layers in case of a stop: {needed} needed, {available} free."),
        marked("estimate", "Free some space for the cache."),
    ),
}
MAY_FIT = marked(
    "estimate", "The LoRA may need up to {needed} and the disk has {available} free; it is usually smaller."
)


def about_seconds(seconds: float) -> str:
    """``under 5 s``, ``about 50 s``, ``about 7 min``, ``about 1 h 20 min``: no more digits than are known."""
    if seconds < 5:
        return translate("estimate", "under 5 s")
    if seconds < 57.5:
        step = 5 if seconds < 27.5 else 10
        return translate("estimate", "about {count} s").format(count=max(5, step * round(seconds / step)))
    minutes = seconds / 60
    if minutes < 57.5:
        step = 1 if minutes < 9.5 else 5
        return translate("estimate", "about {count} min").format(count=step * max(1, round(minutes / step)))
    hours, rest = divmod(10 * round(minutes / 10), 60)
    if hours >= 10 or rest == 0:
        return translate("estimate", "about {hours} h").format(hours=round(minutes / 60))
    return translate("estimate", "about {hours} h {minutes} min").format(hours=hours, minutes=rest)


OVER = 1.25  # times the estimate: from there on a run is said to take longer than that


def time_parts(progress: Progress, expected: float | None) -> list[str]:
    """``12 s gone``, ``48 s left``, and that it takes longer than it was estimated to, where it does.

    Args:
        progress: of the run.
        expected: its seconds as they were estimated before it; None where they were not.
    """
    parts = [translate("estimate", "{time} gone").format(time=format_seconds(progress.elapsed))]
    if progress.remaining is not None:
        parts.append(translate("estimate", "{time} left").format(time=format_seconds(progress.remaining)))
    if expected is not None and progress.elapsed + (progress.remaining or 0.0) > max(5.0, OVER * expected):
        parts.append(translate("estimate", "longer than estimated ({time})").format(time=about_seconds(expected)))
    return parts


def memory_used(result: ExtractionResult) -> str:
    """``1.2 of 2.3 GB memory``: what a run held at most, of what its plan promised; empty where that is unknown."""
    used, promised = result.peak_device_bytes, result.promised_device_bytes
    if not promised or not used:
        return ""
    return translate("estimate", "{amount} memory").format(amount=_of(Amount(used, promised)))


def memory_sentence(result: ExtractionResult) -> str:
    """``Memory: 1.2 GB used, at most 2.3 GB promised``: the same with room for it."""
    used, promised = result.peak_device_bytes, result.promised_device_bytes
    if not promised or not used:
        return ""
    text = translate("estimate", "Memory: {used} used, at most {promised} promised")
    return text.format(used=format_memory(used), promised=format_memory(promised))


def format_memory(count: int) -> str:
    """A budget, or a device's memory, the same wherever it is said: ``1.2 GB``, from 10 GB on without a digit more."""
    return f"{round(count / 1e9)} GB" if 9.95e9 <= count < 1e12 else format_bytes(count)


def files_at_most(size_bytes: int, files: int = 1) -> str:
    """``file: at most 310 MB``, ``3 files: at most 310 MB``."""
    if files == 1:
        return translate("estimate", "file: at most {size}").format(size=format_bytes(size_bytes))
    text = translate("estimate", "{count} files: at most {size}")
    return text.format(count=whole(files), size=format_bytes(size_bytes))


def capital(text: str) -> str:
    """A text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def estimate_text(estimate: Estimate, size_bytes: int, files: int = 1) -> str:
    """One line: ``About 50 s · fits: 18 of 24 GB · file: at most 310 MB``; without what is not known."""
    parts = []
    if estimate.workload.layers == 0:
        parts.append(translate("estimate", "takes seconds"))
    elif estimate.seconds is not None:
        parts.append(about_seconds(estimate.seconds))
    short = any(problem.code in _OF_MEMORY for problem in estimate.problems)
    if estimate.device is not None and estimate.workload.layers and not short:  # the problem has its own figures
        parts.append(translate("estimate", "fits: {amount}").format(amount=_of(estimate.device)))
    parts.append(files_at_most(size_bytes, files))
    return capital(" \u00b7 ".join(parts))


def estimate_lines(estimate: Estimate) -> list[str]:
    """All of it, one line each, for a tooltip."""
    lines = []
    if estimate.workload.layers == 0:
        lines.append(translate("estimate", "Time: seconds, as all layers are at hand"))
    elif estimate.seconds is not None:
        text = translate("estimate", "Time: {time}, for {layers}")
        layers = counted(estimate.workload.layers, "layer")
        lines.append(text.format(time=about_seconds(estimate.seconds), layers=layers))
    else:
        lines.append(translate("estimate", "Time: not known yet for this device"))
    if estimate.device is not None:
        text = translate("estimate", "Device memory: at most {needed} of {available}")
        lines.append(_line(text, estimate.device, format_memory))
    if estimate.host is not None:
        text = translate("estimate", "Main memory: at most {needed}, {available} free")
        lines.append(_line(text, estimate.host, format_memory))
    lines.append(_line(translate("estimate", "LoRA file: at most {needed}, {available} free"), estimate.output))
    lines.append(
        _line(
            translate("estimate", "Finished layers in the cache: at most {needed}, {available} free"), estimate.journal
        )
    )
    return lines


def problem_text(problem: Problem) -> tuple[str, str]:
    """What does not fit, and what to do about it."""
    sizes = ("needed", "available", "budget")
    values = {name: format_memory(value) if name in sizes else value for name, value in problem.data.items()}
    if "name" in values:
        values["name"] = str(values["name"]).removeprefix("diffusion_model.").removesuffix(".weight")
    message, remedy = PROBLEMS[problem.code]
    if problem.code is ProblemCode.OUTPUT_DISK_SHORT and not problem.data["exact"]:
        message = MAY_FIT
    return (
        translate("estimate", message).format_map(values),
        translate("estimate", remedy).format_map(values),
    )


_OF_MEMORY = (
    ProblemCode.LAYER_EXCEEDS_DEVICE,
    ProblemCode.LAYER_EXCEEDS_BUDGET,
    ProblemCode.LAYER_EXCEEDS_SHARE,
    ProblemCode.HOST_MEMORY_SHORT,
)


def _of(amount: Amount) -> str:
    """``18 of 24 GB``: rounded, with the unit once where both have the same."""
    needed, whole = (format_memory(count) for count in (amount.needed, amount.available or 0))
    number, _, unit = needed.partition(" ")
    if unit == whole.partition(" ")[2]:
        needed = number
    return translate("estimate", "{needed} of {whole}").format(needed=needed, whole=whole)


def _line(text: str, amount: Amount, size: Callable[[int], str] = format_bytes) -> str:
    available = translate("estimate", "an unknown amount") if amount.available is None else size(amount.available)
    return text.format(needed=size(amount.needed), available=available)
