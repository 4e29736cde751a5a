"""The command line: the same engine without a window. Human words go to stderr, ``--json`` is all of stdout."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from app.cli.options import add_options, given_values
from app.text.errors import error_text
from engine import __version__
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.settings import ExtractionSettings, HardwareSettings

DONE, FAILED, WRONG_USAGE, CANCELLED = 0, 1, 2, 130
COMMANDS = ("extract", "export", "inspect", "verify", "profiles", "cache", "demo")
Command = Callable[[argparse.Namespace, CancelToken], dict[str, Any] | None]


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        0 done, 1 failed, 2 wrong usage, 130 cancelled.
    """
    parser = build_parser()
    try:
        parsed = parser.parse_args(arguments)
    except SystemExit as stop:  # argparse has printed the help or what is wrong
        return stop.code if isinstance(stop.code, int) else WRONG_USAGE
    cancel = CancelToken()
    _stop_on_interrupt(cancel)
    try:
        answer = _command(parsed)(parsed, cancel)
        if parsed.json and answer is not None:
            _print_json(answer)
    except Cancelled as stopped:
        return _stopped(str(stopped) or "Nothing was written.", parsed)
    except KeyboardInterrupt:
        return _stopped("It did not wait for the step at hand.", parsed)
    except EngineError as error:
        return _failed(error, parsed)
    except Exception as error:
        unexpected = EngineError(ErrorCode.INTERNAL, reason=f"{type(error).__name__}: {error}")
        unexpected.__cause__ = error
        return _failed(unexpected, parsed)
    return DONE


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="lora-extractor",
        description="Extract a LoRA from a fine-tuned model and its original, and know how good it is. "
        "Without a command the window opens; files given as arguments fill its pickers.",
    )
    parser.add_argument("--version", action="version", version=f"LoRA Extractor {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    extract = commands.add_parser("extract", help="extract a LoRA from two models")
    extract.add_argument("finetuned", type=Path, metavar="FINETUNED", help="the fine-tuned model, or its folder")
    extract.add_argument("original", type=Path, metavar="ORIGINAL", help="the model it was made from, or its folder")
    extract.add_argument("--profile", metavar="NAME", help="hardware profile; single options override it")
    _add_extraction(extract)

    export = commands.add_parser("export", help="make another LoRA from the cache, without the two models")
    export.add_argument("pair", metavar="PAIR", help="the pair's number, or the start of it, as `cache show` prints it")
    _add_extraction(export)

    inspect = commands.add_parser("inspect", help="tell what a model holds, or what two models have in common")
    inspect.add_argument("model", type=Path, metavar="MODEL")
    inspect.add_argument("original", type=Path, nargs="?", metavar="ORIGINAL")
    inspect.add_argument("--deep", action="store_true", help="read the weights too, and tell which differ")
    _add_json(inspect)

    verify = commands.add_parser("verify", help="measure a LoRA against the two models")
    verify.add_argument("lora", type=Path, metavar="LORA")
    verify.add_argument("finetuned", type=Path, metavar="FINETUNED")
    verify.add_argument("original", type=Path, metavar="ORIGINAL")
    _add_json(verify)

    _add_profiles(commands)
    _add_cache(commands)
    demo = commands.add_parser("demo", help="extract a LoRA from the demo pair and show that it works")
    demo.add_argument(
        "--output-dir", type=Path, default=Path("demo-output"), metavar="DIR", help="[default: demo-output]"
    )
    demo.add_argument("--terminal", action="store_true", help="stay in the terminal even where there is a screen")
    _add_json(demo)
    return parser


def _add_profiles(commands: Any) -> None:
    profiles = commands.add_parser("profiles", help="list, show, save, delete, import or export hardware profiles")
    actions = profiles.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, help_text in (
        ("list", "name all profiles"),
        ("show", "print a profile's values"),
        ("save", "make or change a profile of your own"),
        ("delete", "remove a profile of your own"),
        ("import", "add profiles from an exported file"),
        ("export", "write a profile to a file"),
    ):
        parser = actions.add_parser(action, help=help_text)
        if action in ("show", "save", "delete", "export"):
            parser.add_argument("name", metavar="NAME")
        if action in ("import", "export"):
            parser.add_argument("file", type=Path, metavar="FILE")
        if action == "save":
            add_options(parser, "hardware", HardwareSettings)
        _add_json(parser)


def _add_cache(commands: Any) -> None:
    cache = commands.add_parser("cache", help="show, clear or limit what is kept of earlier extractions")
    actions = cache.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, help_text in (
        ("show", "tell what is kept of which models"),
        ("clear", "remove everything that no extraction is using"),
        ("limit", "set how much may be kept; the longest unused goes first"),
    ):
        parser = actions.add_parser(action, help=help_text)
        if action == "limit":
            parser.add_argument("size", metavar="SIZE", help="such as 20GB or 20GiB")
        _add_json(parser)


def _add_extraction(parser: argparse.ArgumentParser) -> None:
    """Where to, what and how: the options of everything that writes a LoRA."""
    parser.add_argument(
        "--output-dir", type=Path, default=Path(), metavar="DIR", help="output folder [default: the current folder]"
    )
    add_options(parser, "LoRA", ExtractionSettings)
    add_options(parser, "hardware", HardwareSettings)
    _add_json(parser)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else")


def _command(parsed: argparse.Namespace) -> Command:
    """The function of a command, imported only when it is used."""
    if parsed.command == "demo":
        from app.cli.demo import run_demo

        return run_demo
    if parsed.command == "cache":
        from app.cli.cache import cache

        return cache
    from app.cli import commands as cli_commands

    commands: dict[str, Command] = {
        "extract": cli_commands.extract,
        "inspect": cli_commands.inspect,
        "verify": cli_commands.verify,
        "export": cli_commands.export,
        "profiles": cli_commands.profiles,
    }
    return commands[parsed.command]


def _stopped(remainder: str, parsed: argparse.Namespace) -> int:
    if parsed.json:
        _print_json({"error": _error_object("cancelled", "Stopped.", remainder, None, None)})
    print(f"Stopped. {remainder}", file=sys.stderr)
    return CANCELLED


def _failed(error: EngineError, parsed: argparse.Namespace) -> int:
    message, remedy = error_text(error)
    if parsed.json:
        _print_json({"error": _error_object(error.code.value, message, remedy, error.file, error.tensor)})
    if given_values(parsed, HardwareSettings).get("debug_mode"):
        traceback.print_exception(error, file=sys.stderr)
    print(f"Error: {message} {remedy}", file=sys.stderr)
    return WRONG_USAGE if error.code is ErrorCode.SETTINGS_INVALID else FAILED


def _error_object(code: str, message: str, remedy: str, file: str | None, tensor: str | None) -> dict[str, Any]:
    return {"code": code, "message": message, "remedy": remedy, "file": file, "tensor": tensor}


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def _stop_on_interrupt(cancel: CancelToken) -> None:
    """Ctrl-C asks the run to stop cleanly; a second one ends the program at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.cancelled:
            raise KeyboardInterrupt
        print("\nStopping ...", file=sys.stderr)
        cancel.cancel()

    with suppress(ValueError):  # not in the main thread, as in some tests
        signal.signal(signal.SIGINT, stop)
        if hasattr(signal, "SIGTERM"):
            signal.signal(signal.SIGTERM, stop)
