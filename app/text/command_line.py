"""The command that does on a command line what the window is set to do."""

from __future__ import annotations

import shlex
import subprocess
import sys
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
    *,
    windows: bool = sys.platform == "win32",
) -> str:
    """``lora-extractor extract ...`` in one line, with the options that are not at their defaults.

    Args:
        models: the fine-tuned model and the original.
        extraction: what to extract.
        hardware: how.
        output_dir: where to.
        windows: quote as Windows' programs take their arguments, instead of as a POSIX shell does.
    """
    arguments = [PROGRAM, *command_arguments(models, extraction, hardware, output_dir)]
    return subprocess.list2cmdline(arguments) if windows else shlex.join(arguments)


def command_arguments(
    models: tuple[Path, Path], extraction: ExtractionSettings, hardware: HardwareSettings, output_dir: Path
) -> list[str]:
    """The same as a list, without the program. Paths are absolute, as it may be run in any folder."""
    finetuned, original, folder = (str(path.absolute()) for path in (*models, output_dir))
    options = [*_options(extraction), *_options(hardware)]
    return ["extract", finetuned, original, f"--output-dir={folder}", *options]


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
