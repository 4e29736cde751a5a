"""A dialog that nobody answers ends its test with a failure instead of standing still."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QMessageBox
from unattended import Unattended

ROOT = Path(__file__).parents[2]


def closed_after(application: QApplication, wait: object) -> list[str]:
    watch = Unattended(application, patience=0.5)
    try:
        wait()  # type: ignore[operator]
        return watch.closed
    finally:
        watch.deleteLater()


def test_a_question_is_rejected_and_named(qapp: QApplication) -> None:
    box = QMessageBox()
    box.setWindowTitle("Stop?")
    assert closed_after(qapp, box.exec)[0].startswith("QMessageBox")


def test_a_file_dialog_that_qt_opens_itself_is_rejected(qapp: QApplication) -> None:
    assert closed_after(qapp, lambda: QFileDialog.getOpenFileName(None, "Choose"))[0].startswith("QFileDialog")


def test_a_menu_is_closed(qapp: QApplication) -> None:
    menu = QMenu()
    menu.addAction("Anything")
    assert closed_after(qapp, menu.exec)[0].startswith("QMenu")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_that_hangs_where_no_signal_is_heard_is_named_with_its_stacks(tmp_path: Path, workers: str) -> None:
    program = tmp_path / "test_stuck.py"
    program.write_text(
        "from PySide6.QtWidgets import QApplication, QDialog\n\n\n"
        "def test_stuck():\n    application = QApplication([])\n    QDialog().exec()\n"
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)  # the settings of the project, but for how long
    options = ["-o", "faulthandler_timeout=3", "-o", "testpaths=.", "-p", "no:randomly", "-n", workers, "-q"]
    command = [sys.executable, "-m", "pytest", *options, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode != 0
    assert 'test_stuck.py", line 6 in test_stuck' in done.stdout + done.stderr
