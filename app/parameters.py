"""What a settings model says of its fields, in the form that controls, options and tables are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.formats.programs import program_titles
from engine.formats.registry import format_titles
from engine.settings import ExtractionSettings

FieldKind = Literal["bool", "int", "float", "choice", "text", "list", "size"]


@dataclass(frozen=True)
class FieldSpec:
    """One parameter as the window, the command line and the documentation show it.

    `repeatable`: the option may be given several times, for a file each.
    """

    name: str
    kind: FieldKind
    default: Any
    title: str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    choice_titles: tuple[str, ...] = ()
    advanced: bool = False
    percent: bool = False
    log_scale: bool = False
    repeatable: bool = False

    @property
    def default_text(self) -> str:
        """The default as help and documents show it."""
        if self.kind == "bool":
            return "on" if self.default else "off"
        if self.kind == "list":
            return ",".join(self.default) or "none"
        if self.default is None:
            return "none"
        return f"{self.default:g}" if self.kind == "float" else str(self.default) or "none"

    @property
    def range_text(self) -> str:
        """``1 to 4096``; empty where there is no range."""
        if self.minimum is None or self.maximum is None:
            return ""
        style = "g" if self.kind == "float" else ".0f"
        return f"{self.minimum:{style}} to {self.maximum:{style}}"

    @property
    def option(self) -> str:
        """The command-line option: ``--output-dtype`` for ``output_dtype``."""
        return option_of(self.name)


_REPEATABLE = ("program", "key_format", "rank", "target_size")


def option_of(name: str) -> str:
    """The command-line option of a field."""
    return "--for" if name == "program" else "--" + name.replace("_", "-")


def field_specs(model: type[BaseModel]) -> tuple[FieldSpec, ...]:
    """Describe every field of a settings model, in the order of its definition."""
    several = _REPEATABLE if model is ExtractionSettings else ()
    return tuple(_field_spec(name, info, repeatable=name in several) for name, info in model.model_fields.items())


def _field_spec(name: str, info: FieldInfo, *, repeatable: bool) -> FieldSpec:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, choices = _kind_of(info.annotation)
    titles: Any = extra.get("choice_titles", {})
    if name in _REGISTERED:
        kind, titles = "choice", _REGISTERED[name]()
        choices = tuple(titles)
    step = extra.get("step")
    return FieldSpec(
        name=name,
        kind=kind,
        default=info.default,
        title=info.title or name,
        help=info.description or "",
        minimum=_bound(info, "ge"),
        maximum=_bound(info, "le"),
        step=float(step) if isinstance(step, (int, float)) else None,
        choices=choices,
        choice_titles=tuple(str(titles.get(choice, choice)) for choice in choices),
        advanced=bool(extra.get("advanced", False)),
        percent=bool(extra.get("percent", False)),
        log_scale=bool(extra.get("log_scale", False)),
        repeatable=repeatable,
    )


_REGISTERED: dict[str, Callable[[], dict[str, str]]] = {
    "key_format": format_titles,
    "program": lambda: {"": "By the format", **program_titles()},
}
"""Fields whose choices are the rows of a registry: keys with titles."""


def offered(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values of some fields those that a registry offers, and all that have none: not what it has no row for."""
    return {name: value for name, value in settings.items() if name not in _REGISTERED or value in _REGISTERED[name]()}


def _kind_of(annotation: Any) -> tuple[FieldKind, tuple[str, ...]]:
    origin = get_origin(annotation)
    if origin is Literal:
        return "choice", get_args(annotation)
    if origin is tuple:
        inner = get_args(annotation)[0]
        return "list", get_args(inner) if get_origin(inner) is Literal else ()
    if origin in (Union, UnionType):
        return "size", ()
    simple: dict[Any, FieldKind] = {bool: "bool", int: "int", float: "float", str: "text"}
    return simple[annotation], ()


def _bound(info: FieldInfo, attribute: str) -> float | None:
    for constraint in info.metadata:
        value = getattr(constraint, attribute, None)
        if isinstance(value, (int, float)):
            return value
    return None
