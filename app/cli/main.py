"""The command line: the same engine without a window. Text for people goes to stderr; ``--json`` is all of stdout."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from app.cli.options import given_values
from app.cli.parser import build_parser
from app.text.errors import error_text
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.settings import HardwareSettings

DONE, FAILED, WRONG_USAGE, CANCELLED = 0, 1, 2, 130


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
        answer = parsed.run(parsed, cancel)
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
