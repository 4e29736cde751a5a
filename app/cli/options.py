"""Command-line options made from the settings: one per field, with its range, choices and help."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.parameters import FieldSpec, field_specs, option_of
from engine.errors import EngineError, ErrorCode
from engine.formats.programs import program_named
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
        elif spec.repeatable:
            choices = [choice for choice in spec.choices if choice]
            group.add_argument(
                spec.option, dest=spec.name, action="append", choices=choices, default=None, help=help_text
            )
        elif spec.kind == "choice":
            group.add_argument(spec.option, dest=spec.name, choices=spec.choices, default=None, help=help_text)
        else:
            group.add_argument(spec.option, dest=spec.name, metavar=_METAVARS[spec.kind], default=None, help=help_text)


def given_values(arguments: argparse.Namespace, model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a settings model that were given on the command line; of those for several files the first's."""
    values = {name: getattr(arguments, name, None) for name in model.model_fields}
    given = {name: value for name, value in values.items() if value is not None}
    several = {name for name in given if isinstance(given[name], list)}
    return {name: value for name, value in given.items() if name not in several} | (
        _targets(given)[0] if several else {}
    )


def files_from(arguments: argparse.Namespace) -> tuple[ExtractionSettings, ...]:
    """The settings of each file that was asked for: one for each program, and one for each format named by itself.

    Raises:
        EngineError: ``settings_invalid``, as `validated`.
    """
    given = {name: getattr(arguments, name, None) for name in ExtractionSettings.model_fields}
    values = given_values(arguments, ExtractionSettings)
    return tuple(dict.fromkeys(validated(ExtractionSettings, values | target) for target in _targets(given)))


def _targets(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the settings of each file have of their own."""
    programs = [{"program": key, "key_format": program_named(key).format} for key in given.get("program") or ()]
    formats = [{"program": "", "key_format": key} for key in given.get("key_format") or ()]
    return [*programs, *formats] or [{}]


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
        reason = f"{option} {problem.get('input')!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
        raise EngineError(ErrorCode.SETTINGS_INVALID, reason=reason) from error


def settings_from(
    arguments: argparse.Namespace, profile: HardwareSettings | None
) -> tuple[ExtractionSettings, HardwareSettings]:
    """Settings of a run: single options override the profile, the profile overrides the defaults."""
    extraction = validated(ExtractionSettings, given_values(arguments, ExtractionSettings))
    base = profile.model_dump() if profile else {}
    hardware = validated(HardwareSettings, {**base, **given_values(arguments, HardwareSettings)})
    return extraction, hardware


_METAVARS = {"int": "N", "float": "X", "text": "TEXT", "list": "LIST", "size": "SIZE"}


def _facts(spec: FieldSpec) -> str:
    """The range and the default, as the help ends."""
    limits = f"{spec.range_text}, " if spec.range_text else ""
    return f"[{limits}default {spec.default_text}]"
