"""The text that a person can send when something went wrong: versions, device, settings, error, the newest log lines.

Private words are left out unless the person wants them in; see `app.support.redaction`. The report is in English
whatever the window speaks, but for the log, and it never loads torch.
"""

from __future__ import annotations

import json
import platform
import sys
import traceback
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from app.storage.paths import APP_NAME
from app.support.redaction import PrivateWords
from app.work.requests import DeviceInfo
from engine import __version__
from engine.errors import EngineError
from engine.settings import ExtractionSettings, HardwareSettings

LOG_LINES = 100
LONGEST_TRACE = 20_000  # characters; a deep recursion must not make a report too long to paste


@dataclass(frozen=True)
class ErrorFacts:
    """What is known of an error.

    Attributes:
        code: the engine's code, or the exception's class.
        data: further values: file, tensor, sizes.
        trace: the traceback; empty where there is none.
    """

    code: str
    data: dict[str, Any]
    trace: str = ""


@dataclass(frozen=True)
class ReportFacts:
    """Everything that goes into a report.

    Attributes:
        versions: names and versions, in the order of the report.
        device: what computes; None before it was asked for.
        extraction: what LoRA was wanted; None where the fields cannot be used.
        also: what was wanted beside it.
        hardware: how the machine was used; None where the fields cannot be used.
        error: the last error, if there was one.
        crash: what was written when the program ended unexpectedly; empty where it did not.
        log: lines of the log, oldest first.
    """

    versions: tuple[tuple[str, str], ...]
    device: DeviceInfo | None = None
    extraction: ExtractionSettings | None = None
    hardware: HardwareSettings | None = None
    error: ErrorFacts | None = None
    crash: str = ""
    log: tuple[str, ...] = ()
    also: tuple[ExtractionSettings, ...] = ()


def report_text(facts: ReportFacts, private: PrivateWords | None) -> str:
    """The report as plain text.

    Args:
        facts: what it says.
        private: what to leave out; None to leave out nothing.
    """
    parts = [
        _section(f"{APP_NAME}: report for a bug", "\n".join(f"{name}: {value}" for name, value in facts.versions)),
        _section("Device", _device_text(facts.device)),
        _section("LoRA settings", _settings_text(facts.extraction, private)),
        *(_section("A further file", _settings_text(file, private)) for file in facts.also),
        _section("Hardware settings", _settings_text(facts.hardware, private)),
    ]
    if facts.error is not None:
        parts.append(_section("Last error", _error_text(facts.error, private)))
    if facts.crash:
        parts.append(_section("Unexpected end", _hidden(facts.crash.strip(), private)))
    log = "\n".join(facts.log[-LOG_LINES:]) or "empty"
    parts.append(_section(f"Log, newest {LOG_LINES} lines", _hidden(log, private)))
    return "\n".join(parts)


def versions() -> tuple[tuple[str, str], ...]:
    """What runs here. Packages are asked without loading them."""
    found = [
        (APP_NAME, __version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()}, {platform.machine()})"),
        ("System", platform.platform()),
        ("PySide6", _version("PySide6", "PySide6-Essentials")),
        ("Qt", _qt_version()),
        ("torch", _torch_version()),
        ("numpy", _version("numpy", "numpy")),
        ("safetensors", _version("safetensors", "safetensors")),
    ]
    if getattr(sys, "frozen", False):
        found.append(("Packaged", "yes"))
    return tuple(found)


def error_facts(error: BaseException) -> ErrorFacts:
    """What is known of an exception; an engine's error brings its data, and may bring a traceback as text."""
    if not isinstance(error, EngineError):
        return ErrorFacts(type(error).__name__, {"message": str(error)}, "".join(traceback.format_exception(error)))
    data = {name: value for name, value in error.data.items() if name != "traceback"}
    named = {name: value for name, value in (("file", error.file), ("tensor", error.tensor)) if value is not None}
    trace = str(error.data.get("traceback") or "")
    if not trace and error.__traceback__ is not None:
        trace = "".join(traceback.format_exception(error))
    return ErrorFacts(error.code.value, {**named, **data}, trace)


def trace_facts(trace: str) -> ErrorFacts:
    """An error of which only the traceback is there, as text; its last line names it."""
    lines = [line for line in trace.strip().splitlines() if line and not line[0].isspace()]
    name, _colon, message = (lines[-1] if lines else "unknown").partition(": ")
    return ErrorFacts(name, {"message": message}, trace)


def _section(title: str, text: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{text}\n"


def _hidden(text: str, private: PrivateWords | None) -> str:
    return text if private is None else private.hide(text)


def _device_text(device: DeviceInfo | None) -> str:
    if device is None:
        return "not known yet"
    return f"{device.title} ({device.kind}), {device.total_bytes:,} bytes"


def _settings_text(settings: ExtractionSettings | HardwareSettings | None, private: PrivateWords | None) -> str:
    if settings is None:
        return "some fields cannot be used"
    values = settings.model_dump(mode="json")
    if private is not None:
        usual = type(settings).model_fields["filename_prefix"].default if "filename_prefix" in values else None
        if usual is not None and values["filename_prefix"] != usual:
            values["filename_prefix"] = "<file name>"
        values = private.hide_in(values)
    return _json(values)


def _error_text(error: ErrorFacts, private: PrivateWords | None) -> str:
    data = error.data if private is None else private.hide_in(error.data)
    trace = error.trace.strip()
    if len(trace) > LONGEST_TRACE:
        half = LONGEST_TRACE // 2
        trace = f"{trace[:half]}\n[...]\n{trace[-half:].partition(chr(10))[2]}"
    parts = [f"Code: {error.code}", f"Data: {_json(data)}", _hidden(trace, private)]
    return "\n".join(part for part in parts if part)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _version(module: str, package: str) -> str:
    loaded = getattr(sys.modules.get(module), "__version__", None)
    if loaded is not None:
        return str(loaded)
    try:
        return f"{metadata.version(package)} (not loaded)"
    except metadata.PackageNotFoundError:
        return "not known"


def _torch_version() -> str:
    text = _version("torch", "torch")
    versions: Any = getattr(sys.modules.get("torch"), "version", None)
    for name in ("cuda", "hip", "xpu"):
        if value := getattr(versions, name, None):
            text += f", {name} {value}"
    return text


def _qt_version() -> str:
    from PySide6.QtCore import qVersion
    from PySide6.QtGui import QGuiApplication

    platform_name = QGuiApplication.platformName() if QGuiApplication.instance() else "no window"
    return f"{qVersion()} ({platform_name})"
