"""The wheel, installed into an empty environment, runs beside other people's folders of the same names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the project's wheel alone; what the wheel depends on is seen through a .pth file."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("app", "engine", "resources"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)]
    subprocess.run(build, check=True, timeout=200)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(source)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=200)
    install = [*pip, "--python", str(program(venv, "python")), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, timeout=200)
    (site,) = [venv / "Lib" / "site-packages"] if sys.platform == "win32" else venv.glob("lib/*/site-packages")
    # A plain folder in a .pth file: the .pth files in that folder, the editable installation's too, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return venv


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder with an app.py, an engine and resources of somebody else's, each of which breaks what imports it."""
    breaking = "raise SystemExit('somebody else')"
    (tmp_path / "app.py").write_text(breaking)
    for name in ("engine", "resources"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(breaking)
    return tmp_path


def program(venv: Path, name: str) -> Path:
    return venv / ("Scripts" if sys.platform == "win32" else "bin") / name


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


def test_the_installed_program_runs_in_a_folder_with_packages_of_the_same_names(
    environment: Path, crowded: Path
) -> None:
    command = str(program(environment, "lora-extractor"))
    shown = run([command, "--version"], crowded)
    assert shown.stdout.startswith("LoRA Extractor"), shown.stderr
    profiles = run([command, "profiles", "list"], crowded)
    assert profiles.returncode == 0, profiles.stderr
    where = run([str(program(environment, "python")), "-c", "import engine; print(engine.__file__)"], environment)
    assert Path(where.stdout.strip()).is_relative_to(environment)


def test_a_foreign_engine_is_named_before_it_is_imported(environment: Path, crowded: Path) -> None:
    (crowded / "app.py").unlink()
    started = run([str(program(environment, "lora-extractor")), "profiles", "list"], crowded, PYTHONPATH=str(crowded))
    assert started.returncode == 1
    assert str(crowded / "engine") in started.stderr
    assert "Start from another folder" in started.stderr
    assert "Traceback" not in started.stderr
    assert "somebody else" not in started.stderr
