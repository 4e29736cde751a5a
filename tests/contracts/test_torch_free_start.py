"""Loading torch takes seconds: the window is there before that."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "import sys, app.window.application; sys.exit('torch' in sys.modules)"


def test_the_application_is_imported_without_torch() -> None:
    assert subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, check=False).returncode == 0
