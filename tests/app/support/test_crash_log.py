import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.support.crash_log import CrashLog, UncleanEnds, crash_text
from app.widgets.help.crash_bar import CrashBar

START = "import sys, time, faulthandler\nfrom pathlib import Path\nfrom app.support.crash_log import CrashLog\n"
START += "log = CrashLog(Path(sys.argv[1]))\nends = log.start()\nprint(len(ends.crashes), ends.killed, flush=True)\n"
CRASH = "faulthandler._sigsegv()"
WAIT = "time.sleep(60)"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture(autouse=True)
def own_faulthandler() -> Iterator[None]:
    """Let pytest's faulthandler have its place back."""
    yield
    import faulthandler

    faulthandler.enable(sys.__stderr__)


def begin(folder: Path, then: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", START + then, str(folder)],
        stdin=subprocess.PIPE,  # what waits for its end must not meet one that is closed already
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=_no_core if sys.platform != "win32" else None,
    )


def _no_core() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def said(process: "subprocess.Popen[str]") -> tuple[int, int]:
    """What a process was told about earlier ones: crashes and kills."""
    assert process.stdout is not None
    crashes, killed = process.stdout.readline().split()
    return int(crashes), int(killed)


def ends(folder: Path) -> UncleanEnds:
    log = CrashLog(folder)
    found = log.start()
    log.close()
    return found


def finish(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=60)


def test_a_crash_is_told_once_with_its_native_traceback(folder: Path) -> None:
    crashed = begin(folder, f"def deep():\n    {CRASH}\ndeep()")
    finish(crashed)
    assert crashed.returncode != 0
    found = ends(folder)
    assert len(found.crashes) == 1
    assert found.killed == 0
    text = crash_text(found.crashes[0])
    assert "Fatal Python error" in text
    assert "in deep" in text
    assert ends(folder) == UncleanEnds()
    assert found.crashes[0].exists()  # for the person who asks for it later


def test_an_end_in_order_leaves_nothing(folder: Path) -> None:
    for then in ("pass", "sys.exit(3)", "raise ValueError('an error that Python reports itself')", "log.close()"):
        finish(begin(folder, then))
    assert ends(folder) == UncleanEnds()
    assert list(folder.iterdir()) == []


@posix_only
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_is_no_crash(folder: Path, kind: signal.Signals) -> None:
    process = begin(folder, WAIT)
    assert said(process) == (0, 0)
    process.send_signal(kind)
    finish(process)
    assert ends(folder) == UncleanEnds((), killed=1)
    assert list(folder.iterdir()) == []
    assert ends(folder) == UncleanEnds()


@posix_only
def test_a_process_that_runs_is_not_taken_for_a_dead_one(folder: Path) -> None:
    first = begin(folder, WAIT)
    assert said(first) == (0, 0)
    second = begin(folder, CRASH)
    assert said(second) == (0, 0)
    finish(second)
    found = ends(folder)
    assert (len(found.crashes), found.killed) == (1, 0)
    assert first.poll() is None
    first.kill()
    finish(first)
    assert ends(folder) == UncleanEnds((), killed=1)


@posix_only
def test_a_crash_with_two_windows_open_is_told_to_the_next_start_and_not_mixed_up(folder: Path) -> None:
    one, other = begin(folder, WAIT), begin(folder, f"sys.stdin.read()\n{CRASH}")
    assert said(one) == said(other) == (0, 0)
    one.kill()
    finish(one)
    finish(other)
    found = ends(folder)
    assert (len(found.crashes), found.killed) == (1, 1)


def test_starts_at_the_same_moment_tell_each_end_once(folder: Path) -> None:
    for _ in range(3):
        finish(begin(folder, CRASH))
    # Three crashes, of which the second and third start were told one each.
    finish(begin(folder, CRASH))
    starts = [begin(folder, "time.sleep(0.2)") for _ in range(4)]
    told = [said(process) for process in starts]
    for process in starts:
        finish(process)
    assert sum(crashes for crashes, _killed in told) == 1
    assert sum(killed for _crashes, killed in told) == 0


def test_a_fault_that_was_survived_is_no_crash(folder: Path) -> None:
    finish(begin(folder, "faulthandler.dump_traceback(log._stream)"))
    assert ends(folder) == UncleanEnds()


def test_only_the_newest_tracebacks_are_kept(folder: Path) -> None:
    folder.mkdir()
    now = time.time()
    for number in range(9):
        path = folder / f"crash-{number}-aa.txt"
        path.write_text("x")
        os.utime(path, (now - number, now - number))
    ends(folder)
    assert sorted(path.name for path in folder.iterdir()) == [f"crash-{number}-aa.txt" for number in range(5)]


def test_a_folder_that_cannot_be_made_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    log = CrashLog(tmp_path / "file" / "logs")
    assert log.start() == UncleanEnds()
    log.close()
    assert crash_text(tmp_path / "file" / "nothing") == ""


def test_the_bar_offers_the_report_and_goes_when_it_is_dismissed(qtbot: QtBot, theme: Theme) -> None:
    bar = CrashBar(theme)
    qtbot.addWidget(bar)
    bar.resize(720, 44)
    bar.show()
    for button, signal_ in ((bar.report, bar.report_clicked), (bar.file, bar.file_clicked)):
        with qtbot.waitSignal(signal_):
            button.click()
        assert bar.isVisible()
        assert button.accessibleName()
    with qtbot.waitSignal(bar.dismissed):
        bar.dismiss.click()
    assert not bar.isVisible()
