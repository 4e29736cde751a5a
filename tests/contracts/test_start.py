"""The set-up script: installs once, heals what was interrupted, and never runs somebody else's code."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with its .venv in an empty folder, and with making and installing written down only."""
    specification = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "USUAL", tmp_path / ".venv")
    module.done = []  # type: ignore[attr-defined]

    def make_venv() -> None:
        module.VENV.mkdir(exist_ok=True)
        (module.VENV / "pyvenv.cfg").write_text("home = /usr/bin")
        module.PYTHON.parent.mkdir(exist_ok=True)
        module.STAMP.unlink(missing_ok=True)
        module.done.append("venv")

    def install(target: str) -> int:
        module.done.append(target)
        return 0

    monkeypatch.setattr(module, "make_venv", make_venv)
    monkeypatch.setattr(module, "install", install)
    monkeypatch.setattr(module, "tag_in", lambda place: module.python_tag() if place.exists() else "")
    module.use(module.USUAL)
    return module


def test_the_first_start_makes_the_environment_and_installs(start: ModuleType) -> None:
    assert start.prepare_environment("") is None
    assert start.done == ["venv", "."]


def test_the_second_start_does_nothing(start: ModuleType) -> None:
    start.prepare_environment("test")
    start.done.clear()
    assert start.prepare_environment("test") is None
    assert start.prepare_environment("") is None
    assert start.done == []


def test_the_test_tools_are_added_when_they_are_first_asked_for(start: ModuleType) -> None:
    start.prepare_environment("")
    start.done.clear()
    start.prepare_environment("test")
    assert start.done == [".[test]"]


def test_a_change_of_what_is_needed_installs_again_with_the_tools_that_were_there(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    start.prepare_environment("test")
    start.done.clear()
    monkeypatch.setattr(start, "fingerprint", lambda: "changed")
    start.prepare_environment("")
    assert start.done == [".[test]"]


def test_an_environment_that_was_only_half_made_is_made_again(start: ModuleType) -> None:
    start.VENV.mkdir()
    start.prepare_environment("")
    assert start.done == ["venv", "."]


def test_a_moved_folder_gets_a_new_environment(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    start.prepare_environment("")
    start.done.clear()
    monkeypatch.setattr(start, "ROOT", ROOT.parent)
    monkeypatch.setattr(start, "fingerprint", lambda: "the same")
    start.prepare_environment("")
    assert start.done[0] == "venv"


def test_a_failed_installation_is_told_and_tried_again(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(target: str) -> int:
        start.LOG.write_text("ERROR: No matching distribution found")
        return 1

    with monkeypatch.context() as patched:
        patched.setattr(start, "install", failing)
        assert "No matching distribution found" in start.prepare_environment("")
    assert start.prepare_environment("") is None
    assert start.done[-1] == "."


def test_every_missing_library_has_a_package_on_both_systems(start: ModuleType) -> None:
    for library, packages in start.QT_LIBRARIES.items():
        assert library.startswith("lib")
        assert all(packages)


def test_a_folder_named_app_where_the_person_stands_is_not_run(tmp_path: Path) -> None:
    for package in ("app", "engine"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('somebody else')")
    specification = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", module.ENTRY, "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("LoRA Extractor")


def test_a_bundle_is_built_in_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch, "test").USUAL == ROOT / ".venv"
    assert loaded(monkeypatch, "build").USUAL == ROOT / ".venv-build"


def test_another_build_of_torch_makes_the_environment_of_bundles_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    start = loaded(monkeypatch, "build")
    plain = start.made_for()
    monkeypatch.setenv(start.TORCH_INDEX, "https://example.org/cuda")
    assert start.made_for() != plain
    start = loaded(monkeypatch, "demo")
    with_index = start.made_for()
    monkeypatch.delenv(start.TORCH_INDEX)
    assert start.made_for() == with_index


def test_torch_comes_from_the_index_that_is_named_and_the_rest_from_the_usual_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = loaded(monkeypatch, "build")
    commands: list[list[str]] = []
    monkeypatch.setattr(start, "logged", lambda command: commands.append(command) or 0)
    monkeypatch.setenv(start.TORCH_INDEX, "https://example.org/cuda")
    assert start.install(".[build]") == 0
    first, second = commands
    assert first[first.index("--index-url") + 1] == "https://example.org/cuda"
    assert first[-1] == "torch"
    assert str(start.CONSTRAINTS) in first
    assert "--index-url" not in second
    assert second[-2:] == ["-e", ".[build]"]


def loaded(monkeypatch: pytest.MonkeyPatch, wish: str) -> ModuleType:
    """The script as it is when a person wishes something."""
    monkeypatch.setattr(sys, "argv", ["start.py", wish])
    specification = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_an_environment_that_somebody_else_made_is_kept_beside_ours(start: ModuleType) -> None:
    start.VENV.mkdir()
    (start.VENV / "pyvenv.cfg").write_text("home = /usr/bin")
    (start.VENV / "precious.txt").write_text("theirs")
    start.set_foreign_aside(start.VENV)
    assert not start.VENV.exists()
    assert (start.VENV.with_name(".venv-aside-1") / "precious.txt").read_text() == "theirs"


def test_an_own_environment_is_not_set_aside(start: ModuleType) -> None:
    start.VENV.mkdir()
    (start.VENV / "pyvenv.cfg").write_text("home = /usr/bin")
    start.LOG.write_text("pip was interrupted here")
    start.set_foreign_aside(start.VENV)
    assert start.VENV.exists()


def test_two_starts_prepare_one_after_the_other(start: ModuleType) -> None:
    order: list[str] = []
    first_is_in, may_end = threading.Event(), threading.Event()

    def prepare(name: str) -> None:
        with start.alone():
            order.append(f"{name} begins")
            first_is_in.set()
            may_end.wait(10)
            order.append(f"{name} ends")

    first = threading.Thread(target=prepare, args=("first",))
    first.start()
    assert first_is_in.wait(10)
    second = threading.Thread(target=prepare, args=("second",))
    second.start()
    time.sleep(0.2)
    assert order == ["first begins"]
    may_end.set()
    first.join(10)
    second.join(10)
    assert order == ["first begins", "first ends", "second begins", "second ends"]


def test_another_version_of_python_gets_an_environment_beside_the_first(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    start.prepare_environment("")
    first, first_tag = start.VENV, start.python_tag()
    made_by = {first: first_tag}
    monkeypatch.setattr(start, "python_tag", lambda: "cpython3.99-here")
    made_by[first.with_name(".venv-cpython3.99-here")] = "cpython3.99-here"
    monkeypatch.setattr(start, "tag_in", lambda place: made_by[place] if place in made_by and place.exists() else "")
    assert start.prepare_environment("") is None
    assert start.VENV.name == ".venv-cpython3.99-here"
    start.done.clear()
    for tag, place in ((first_tag, first), ("cpython3.99-here", start.VENV)):
        monkeypatch.setattr(start, "python_tag", lambda tag=tag: tag)
        start.prepare_environment("")
        assert place == start.VENV
    assert start.done == []


def test_an_environment_that_a_killed_start_had_moved_aside_is_put_back(start: ModuleType) -> None:
    start.prepare_environment("test")
    start.done.clear()
    start.USUAL.rename(start.old_of(start.USUAL))
    assert start.prepare_environment("test") is None
    assert start.done == []
    assert start.USUAL.exists()
