import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "import sys, {module}; sys.exit('torch' in sys.modules)"


def start(module: str) -> int:
    return subprocess.run([sys.executable, "-c", SCRIPT.format(module=module)], cwd=ROOT, check=False).returncode


def test_the_window_is_imported_without_torch() -> None:
    assert start("app.window.main_window") == 0


def test_the_application_is_imported_without_torch() -> None:
    assert start("app.window.application") == 0


def test_pairing_and_planning_are_imported_without_torch() -> None:
    assert start("engine.session") == 0
