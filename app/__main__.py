"""Entry of the program: a command runs on the terminal, anything else opens the window."""

from __future__ import annotations

import importlib.util
import multiprocessing
import sys
from pathlib import Path


def main() -> int:
    """Window or command line; returns the exit code."""
    multiprocessing.freeze_support()
    problem = foreign_package()
    if problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 1
    from app.cli.parser import all_commands

    names = [command.name for command in all_commands()]
    arguments = sys.argv[1:]
    if arguments == ["--self-test"]:
        from app.self_test import self_test

        return self_test()
    if arguments == ["--time-first-paint"]:
        from app.first_paint import time_first_paint

        return time_first_paint()
    if arguments and (arguments[0] in names or arguments[0].startswith("-")):
        from app.cli import main as cli

        return cli.main(arguments)
    missing = [argument for argument in arguments if not Path(argument).exists()]
    if missing:
        print(
            f"Error: {missing[0]} is neither a command ({', '.join(names)}) nor a file. See lora-extractor --help.",
            file=sys.stderr,
        )
        return 2
    return open_window([Path(argument) for argument in arguments])


def foreign_package() -> str:
    """Which package named like one of ours would be imported from elsewhere, and what to do; empty if none."""
    ours = Path(__file__).resolve().parent.parent
    for name in ("engine", "resources"):
        specification = importlib.util.find_spec(name)
        places = list(specification.submodule_search_locations or []) if specification else []
        if specification and [Path(place).resolve() for place in places] != [ours / name]:
            found = specification.origin or ", ".join(places)
            return (
                f"Python would import another program's {name!r}, {found}, in place of LoRA Extractor's own, "
                f"{ours / name}. Start from another folder, or take that one out of PYTHONPATH; "
                "start.py and the bundle are not affected."
            )
    return ""


def open_window(files: list[Path]) -> int:
    """Hand the files to a window that is open already, or open one; on Windows torch's libraries come before Qt's."""
    from app.storage.preferences import PreferenceStore
    from app.system.display import has_screen
    from app.system.single_instance import Answer, hand_over

    if not has_screen():
        print(
            "Error: There is no screen here to open a window on. "
            "Use the command line: lora-extractor extract FINETUNED ORIGINAL, or lora-extractor --help.",
            file=sys.stderr,
        )
        return 1
    preferences = PreferenceStore()
    answer = hand_over(files) if preferences.load().single_instance else Answer.SILENCE
    if answer is Answer.TAKEN:
        return 0
    if sys.platform == "win32":
        import torch  # noqa: F401
    try:
        from app.window.application import run_window
    except ImportError as error:
        print(
            f"Error: The window cannot open, because Qt's system libraries are missing ({error}). "
            "python3 start.py names the packages to install.",
            file=sys.stderr,
        )
        return 1
    return run_window(files, preferences, listen=answer is Answer.NOBODY)


if __name__ == "__main__":
    sys.exit(main())
