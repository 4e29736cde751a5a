"""The command that does on a command line what the window is set to do."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from app.parameters import field_specs
from engine.settings import ExtractionSettings, HardwareSettings

PROGRAM = "lora-extractor"


def command_line(
    models: tuple[Path, Path],
    extraction: ExtractionSettings,
    hardware: HardwareSettings,
    output_dir: Path,
    also: Sequence[ExtractionSettings] = (),
    *,
    windows: bool = sys.platform == "win32",
) -> str:
    """``lora-extractor extract ...`` in one line, with the options that are not at their defaults.

    Args:
        models: the fine-tuned model and the original.
        extraction: what to extract.
        hardware: how.
        output_dir: where to.
        also: what to extract beside it. A line for each file where one command cannot ask for all of them.
        windows: quote as Windows' programs take their arguments, instead of as a POSIX shell does.
    """
    files = (extraction, *also)
    runs = [files] if _in_one_command(files) else [(file,) for file in files]
    commands = [[PROGRAM, *command_arguments(models, first, hardware, output_dir, more)] for first, *more in runs]
    return "\n".join(map(subprocess.list2cmdline if windows else shlex.join, commands))


def command_arguments(
    models: tuple[Path, Path],
    extraction: ExtractionSettings,
    hardware: HardwareSettings,
    output_dir: Path,
    also: Sequence[ExtractionSettings] = (),
) -> list[str]:
    """The same as a list, without the program. Paths are absolute, as it may be run in any folder."""
    finetuned, original, folder = (str(path.absolute()) for path in (*models, output_dir))
    options = [*_options(extraction), *_options(hardware)]
    if also:
        files = (extraction, *also)
        several = [option for file in files for option in _several(file)]
        alone = [option for option in options if option not in several]
        options = [*dict.fromkeys(several), *alone]
    return ["extract", finetuned, original, f"--output-dir={folder}", *options]


def _in_one_command(files: Sequence[ExtractionSettings]) -> bool:
    """Whether files differ only in what can be asked for several times."""
    repeatable = {spec.name for spec in field_specs(ExtractionSettings) if spec.repeatable}
    return len({file.model_copy(update=dict.fromkeys(repeatable)) for file in files}) == 1


def _several(settings: ExtractionSettings) -> list[str]:
    """The options of a file of several that can be asked for several times, also those at their defaults."""
    unsaid = {"key_format" if settings.program else "program"}
    unsaid |= {"target_size"} if settings.target_size is None else {"rank"} - settings.model_fields_set
    specs = [spec for spec in field_specs(ExtractionSettings) if spec.repeatable and spec.name not in unsaid]
    return [f"{spec.option}={_text(getattr(settings, spec.name))}" for spec in specs]


def _options(settings: BaseModel) -> list[str]:
    """One word for each field that is not at its default; with ``=``, so that a value may begin with a dash.

    A program chooses its format, so the format is not said beside it: that would ask for a second file.
    """
    options = []
    for spec in field_specs(type(settings)):
        value = getattr(settings, spec.name)
        if value == spec.default or (spec.name == "key_format" and getattr(settings, "program", "")):
            continue
        if spec.kind == "bool":
            options.append(spec.option if value else spec.option.replace("--", "--no-", 1))
        else:
            options.append(f"{spec.option}={_text(value)}")
    return options


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(int(value) if isinstance(value, int) else value)
