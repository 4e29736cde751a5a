"""The set-up script with real environments: what is in use stays, what is new takes its place when it is whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = Path(os.path.realpath(sys.executable))
BACKEND = """
import os, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    if os.path.exists("broken"):
        raise RuntimeError("this cannot be built")
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("tiny.pth", os.getcwd())
        info = "tiny-1.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "entry_points.txt", "[console_scripts]\\ntiny = app.__main__:main\\n")
        wheel.writestr(info + "RECORD", "")
    return name

build_wheel = build_editable
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the made project starts by POSIX paths")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one line that installs in a second and without a network, with a copy of the script."""
    folder = tmp_path / "project"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "__init__.py").touch()
    (folder / "app" / "__main__.py").write_text("import sys\ndef main():\n    print(sys.prefix)\n")
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'tiny'\nversion = '1'\n"
    )
    (folder / "constraints.txt").touch()
    shutil.copy(ROOT / "start.py", folder)
    return folder


def run(python: Path, project: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIP_NO_INDEX": "1"}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        [str(python), str(project / "start.py"), "--version"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_environments_outlive_every_way_to_start(project: Path, tmp_path: Path) -> None:
    venv = project / ".venv"
    first = run(BASE, project)
    assert first.stdout.strip() == str(venv), first.stderr
    script = subprocess.run([str(venv / "bin" / "tiny")], capture_output=True, text=True)
    assert script.stdout.strip() == str(venv), script.stderr
    assert not (project / ".vnew").exists()
    made = venv.stat().st_ino

    # from itself
    assert run(venv / "bin" / "python", project).stderr == ""
    # another build of the same version, by turns
    other = tmp_path / "other" / BASE.name
    other.parent.mkdir()
    shutil.copy(BASE, other)
    for python in (other, BASE):
        assert run(python, project).stderr == ""
    # as the last version of the script recorded it
    (venv / "made-for.txt").write_text(f"{sys.version}\n{venv / 'bin' / 'python3'}\n{project}")
    assert run(BASE, project).stderr == ""
    assert venv.stat().st_ino == made

    # it does not fit any more, and a new one fails: the old one stays
    (venv / "made-for.txt").write_text("cpython3.11-nowhere\n/moved")
    (project / "broken").touch()
    failed = run(BASE, project)
    assert failed.returncode == 1
    assert "this cannot be built" in failed.stderr
    assert venv.stat().st_ino == made
    assert subprocess.run([str(venv / "bin" / "tiny")], capture_output=True, text=True).stdout.strip() == str(venv)
    (project / "broken").unlink()

    # started from the one that does not fit: another beside it
    beside = run(venv / "bin" / "python", project)
    assert beside.stdout.strip().startswith(f"{venv}-"), beside.stderr
    assert venv.stat().st_ino == made
