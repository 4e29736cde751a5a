"""Presenters know the shared model, the controller and their own views, and neither the window nor each other."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLayout, QWidget

import app.window
from app.look.theme import Theme
from app.storage.preferences import PreferenceStore
from app.storage.session import SessionStore
from app.system.notifications import Notifier
from app.window.frame import WindowFrame
from app.window.model import WindowModel
from app.work.controller import Controller
from app.work.live_queue import LiveQueue
from app.work.queue_runner import QueueRunner

MAY_KNOW_THE_WINDOW = {"main_window", "application", "demo_window"}
VIEWS_ALONE = {"frame", "menus", "model"}
SHARED = (WindowModel, Controller, LiveQueue, QueueRunner, Theme, Notifier, SessionStore, PreferenceStore)
NAMES = sorted(module.name for module in pkgutil.iter_modules(app.window.__path__))
PRESENTING = [name for name in NAMES if name not in MAY_KNOW_THE_WINDOW | VIEWS_ALONE]


def presenters() -> list[type[QObject]]:
    found = []
    for name in PRESENTING:
        module = import_module(f"app.window.{name}")
        made_here = [item for item in vars(module).values() if getattr(item, "__module__", "") == module.__name__]
        found += [item for item in made_here if isinstance(item, type) and issubclass(item, QObject)]
    return found


def is_view(kind: Any) -> bool:
    """A widget or its owner, a layout, an action, the menus, or a dataclass of such; not the whole frame."""
    if is_dataclass(kind):
        return bool(fields(kind)) and all(is_view(item) for item in get_type_hints(kind).values())
    if not (isinstance(kind, type) and issubclass(kind, QObject)) or kind is WindowFrame:
        return False
    own = kind.__module__.startswith("app.widgets.") or kind.__module__ in ("app.window.frame", "app.window.menus")
    return own or issubclass(kind, (QLayout, QAction))


def imported(name: str) -> set[str]:
    """The modules of the window's package that a module imports, inside functions and for types too."""
    tree = ast.parse((Path(app.window.__path__[0]) / f"{name}.py").read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{item.name}" for item in node.names)}
        elif isinstance(node, ast.Import):
            names |= {item.name for item in node.names}
    return {found.removeprefix("app.window.") for found in names if found.startswith("app.window.")} & set(NAMES)


def test_there_is_a_presenter_for_each_subject() -> None:
    names = {kind.__name__ for kind in presenters()}
    assert {"WindowRequest", "WindowPlan", "WindowRun", "WindowVerify", "WindowQueue", "WindowSettings"} <= names
    assert len(names) >= 12


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MAY_KNOW_THE_WINDOW])
def test_no_other_module_imports_the_main_window(name: str) -> None:
    assert not imported(name) & MAY_KNOW_THE_WINDOW


@pytest.mark.parametrize("name", PRESENTING)
def test_no_presenter_imports_another(name: str) -> None:
    assert imported(name) <= VIEWS_ALONE


@pytest.mark.parametrize("kind", presenters(), ids=lambda kind: kind.__name__)
def test_a_presenter_takes_the_model_the_controller_and_views(kind: type[QObject]) -> None:
    hints = get_type_hints(kind.__init__)
    parameters = list(inspect.signature(kind.__init__).parameters)[1:]
    assert hints[parameters[0]] in (QObject, QWidget), "its owner, also the parent of its dialogs"
    strange = [name for name in parameters[1:] if not (hints[name] in SHARED or is_view(hints[name]))]
    assert strange == []
