"""The engine's words, shortened for a window that shows the files' names already."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from app.text.errors import error_text
from app.text.notices import counted, format_seconds, names_text
from app.text.translation import decimal, plural, translator
from engine.errors import EngineError, ErrorCode
from engine.results import Reusable

_tr = translator("wording")

OF_THE_PAIR = (
    ErrorCode.SAME_FILE,
    ErrorCode.NO_COMMON_WEIGHTS,
    ErrorCode.NO_USABLE_WEIGHTS,
    ErrorCode.NOTHING_SELECTED,
    ErrorCode.SETTINGS_INVALID,
    ErrorCode.INTERNAL,
)
"""Errors that speak of both models."""
OF_THE_OUTPUT = (
    ErrorCode.OUTPUT_UNWRITABLE,
    ErrorCode.OUTPUT_ESCAPES,
    ErrorCode.OUTPUT_IS_INPUT,
    ErrorCode.DISK_FULL,
)
"""Errors that speak of the output folder or the file name: the models are as good as before."""
OF_THE_CHOICE = (
    ErrorCode.FORMAT_UNKNOWN,
    ErrorCode.FORMAT_UNSUITABLE,
    ErrorCode.PROGRAM_UNKNOWN,
    ErrorCode.PROGRAM_UNSUITABLE,
    ErrorCode.SIZE_TOO_SMALL,
    ErrorCode.SIZE_UNSUITABLE,
)
"""Errors that speak of what was chosen on the left: another program, format or size will do."""
NOT_OF_THE_MODELS = (*OF_THE_OUTPUT, *OF_THE_CHOICE, ErrorCode.DEVICE_UNAVAILABLE)
"""Errors that leave the pair as it is. All that are not here nor in `OF_THE_PAIR` speak of one model."""
SHOWN_WHOLE = (ErrorCode.OUTPUT_ESCAPES, ErrorCode.OUTPUT_UNWRITABLE, ErrorCode.DISK_FULL)
"""Errors whose `file` is shown as it is: a typed name, or a folder that no card shows."""
LONG_WORD = 24


def window_error_text(error: EngineError) -> tuple[str, str]:
    """Cause and remedy, in the window's words where `error_text` speaks of the command line."""
    message, remedy = error_text(error)
    remedies = {
        ErrorCode.NON_FINITE: _tr(
            "Get an undamaged file, or choose \u201cSkip broken layers\u201d under more options."
        ),
        ErrorCode.SETTINGS_INVALID: _tr("Correct the settings on the left."),
        ErrorCode.INTERNAL: _tr("Please report it with Copy details and a copy of the log."),
    }
    return message, remedies.get(error.code, remedy)


def breakable(text: str) -> str:
    """Allow long words, such as names of tensors, to go on in the next line after a dot, slash or underscore."""
    words = re.split(r"(\s+)", text)
    return "".join(re.sub(r"([._/\\])(?=\w)", "\\1\u200b", word) if len(word) > LONG_WORD else word for word in words)


def short_error_text(error: EngineError) -> tuple[str, str]:
    """Cause and remedy, with models by their names only."""
    if error.code in SHOWN_WHOLE:
        return window_error_text(error)
    data = dict(error.data)
    if isinstance(data.get("other"), (str, PurePath)):
        data["other"] = PurePath(data["other"]).name
    file = (PurePath(error.file).name or error.file) if error.file else None
    return window_error_text(EngineError(error.code, file=file, tensor=error.tensor, **data))


@dataclass(frozen=True)
class Blocked:
    """Why Extract cannot start, and what to do; `bad` where something is wrong and not only missing."""

    reason: str
    remedy: str
    bad: bool = False


def why_not(
    models: tuple[Path | None, Path | None], troubles: tuple[str, ...], error: EngineError | None
) -> Blocked | None:
    """The first reason why nothing can be extracted: missing models, unusable fields, an error."""
    if models == (None, None):
        return Blocked(_tr("Choose two models to begin"), _tr("Drop both files anywhere in this window."))
    if None in models:
        missing = _tr("Choose the fine-tuned model") if models[0] is None else _tr("Choose the original model")
        return Blocked(missing, _tr("Drop its file here or press Browse."))
    if troubles:
        text = _tr("{titles} cannot be used as it is").format(titles=", ".join(troubles))
        return Blocked(text, _tr("Correct the marked field on the left."), bad=True)
    return None if error is None else Blocked(*short_error_text(error), bad=True)


def ignored_text(ignored: Sequence[Path]) -> str:
    """What to say of files that were dropped beside the two that are needed."""
    text = plural(
        "wording",
        "Two models are needed; this one of the dropped files was not opened: {names}.",
        "Two models are needed; these of the dropped files were not opened: {names}.",
        len(ignored),
    )
    return text.format(names=names_text([path.name for path in ignored]))


def whose_place_text(file: Path) -> tuple[str, str]:
    """The question whose place a dropped file takes, where both are taken, and what it is about."""
    question = _tr("Which model is {name}?").format(name=file.name)
    return question, _tr("Both models are chosen already; it takes the place of one of them.")


def folder_text(folder: Path) -> str:
    """A folder's path, with ``~`` for the person's home where systems write it so."""
    home = Path.home()
    if os.name == "posix" and folder.is_relative_to(home) and folder != home:
        return str(Path("~") / folder.relative_to(home))
    return str(folder)


def kept_text(kept: Reusable | None) -> str:
    """What earlier runs left for a plan, beside its file name; empty where that is nothing."""
    if kept is None or kept.layers == 0:
        return ""
    if kept.layers == kept.of:
        return _tr("all layers are at hand: takes seconds")
    return _tr("{done} of {total} are at hand").format(done=kept.layers, total=counted(kept.of, "layer"))


def short_seconds(seconds: float) -> str:
    """``0.3 ms``, ``12 ms``, then as `format_seconds`."""
    if seconds < 0.01:
        return f"{decimal(seconds * 1000, 1)} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return format_seconds(seconds)
