"""Command-line options made from the settings: one per field, with its range, choices and help."""

from __future__ import annotations

import argparse
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.parameters import FieldSpec, field_specs, option_of
from engine.errors import EngineError, ErrorCode
from engine.planning.variants import variants
from engine.settings import ExtractionSettings, HardwareSettings

_Settings = TypeVar("_Settings", bound=BaseModel)


def add_options(parser: argparse.ArgumentParser, title: str, model: type[BaseModel]) -> None:
    """Add one option per field of a settings model. An option that is not given stays None."""
    group = parser.add_argument_group(title)
    for spec in field_specs(model):
        help_text = f"{spec.help} {_facts(spec)}".replace("%", "%%")
        if spec.kind == "bool":
            action: Any = argparse.BooleanOptionalAction
            group.add_argument(spec.option, dest=spec.name, action=action, default=None, help=help_text)
            continue
        values: dict[str, Any] = {"action": "append"} if spec.repeatable else {}
        if spec.kind == "choice":
            values["choices"] = [choice for choice in spec.choices if choice or not spec.repeatable]
        else:
            values["metavar"] = _METAVARS[spec.kind]
        group.add_argument(spec.option, dest=spec.name, default=None, help=help_text, **values)


def given_values(arguments: argparse.Namespace, model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a settings model that were given on the command line, without those that may be repeated."""
    values = {name: getattr(arguments, name, None) for name in model.model_fields}
    return {name: value for name, value in values.items() if value is not None and not isinstance(value, list)}


def files_from(arguments: argparse.Namespace) -> tuple[ExtractionSettings, ...]:
    """The settings of each file that was asked for, see `variants`.

    Raises:
        EngineError: ``settings_invalid``, as `validated` and `variants`.
    """
    several = {name: getattr(arguments, name, None) or () for name in ("rank", "target_size", "key_format", "program")}
    return variants(
        validated(ExtractionSettings, given_values(arguments, ExtractionSettings)),
        ranks=[validated(ExtractionSettings, {"rank": rank}).rank for rank in several["rank"]],
        sizes=[_size(text) for text in several["target_size"] if text.strip().lower() != "none"],
        formats=several["key_format"],
        programs=several["program"],
    )


def _size(text: str) -> int:
    size = validated(ExtractionSettings, {"target_size": text}).target_size
    assert size is not None, "not 'none'"
    return size


def validated(model: type[_Settings], values: dict[str, Any]) -> _Settings:
    """Settings from texts.

    Raises:
        EngineError: ``settings_invalid``, naming the option and what it takes.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]) if problem["loc"] else "settings"
        option = option_of(name)
        message = problem["msg"].removeprefix("Value error, ")
        reason = f"{option} {problem.get('input')!r}: {message[0].lower()}{message[1:]}"
        raise EngineError(ErrorCode.SETTINGS_INVALID, reason=reason) from error


def hardware_from(arguments: argparse.Namespace, profile: HardwareSettings | None) -> HardwareSettings:
    """How the machine is used: single options override the profile, the profile overrides the defaults."""
    base = profile.model_dump() if profile else {}
    return validated(HardwareSettings, {**base, **given_values(arguments, HardwareSettings)})


_METAVARS = {"int": "N", "float": "X", "text": "TEXT", "list": "LIST", "size": "SIZE"}


def _facts(spec: FieldSpec) -> str:
    """The range and the default, as the help ends."""
    limits = f"{spec.range_text}, " if spec.range_text else ""
    limits += "several times for a file each, " if spec.repeatable else ""
    return f"[{limits}default {spec.default_text}]"
