import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QUrl
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.system import single_instance
from app.system.instance_server import FileOpenFilter, InstanceServer, bring_to_front
from app.system.single_instance import GO, READY, Answer, address, hand_over

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the pipes of Windows are tested where there are some")

# A first process: listens, writes down what it is given, and ends after so many starts or seconds.
FIRST = """
import json, sys, time
from pathlib import Path
from PySide6.QtCore import QCoreApplication, QTimer
from app.system.instance_server import InstanceServer
from app.system.pyside_refcounts import protect_constants
protect_constants()
application = QCoreApplication(sys.argv)
server = InstanceServer()
def got(files):
    print(json.dumps([str(file) for file in files]), flush=True)
server.files_received.connect(got)
if server.claim([Path(text) for text in sys.argv[2:]]):
    print("handed over", flush=True)
    sys.exit(0)
print("listening" if server.listening() else "unheard", flush=True)
if sys.argv[1] == "hang":
    time.sleep(60)
QTimer.singleShot(30000, application.quit)
application.exec()
"""
SECOND = """
import sys
from pathlib import Path
from app.system.single_instance import hand_over
answer = hand_over([Path(text) for text in sys.argv[1:]])
heavy = [name for name in ("PySide6", "torch", "numpy", "pydantic", "app.window.application") if name in sys.modules]
print(answer.value, *heavy)
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def own_runtime_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("r")
    folder.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


def first(processes: list["subprocess.Popen[str]"], how: str = "listen", *files: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", FIRST, how, *files], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    processes.append(process)
    return process


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def second(*files: str, folder: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SECOND, *files], capture_output=True, text=True, check=True, cwd=folder, timeout=60
    )
    return done.stdout.strip()


def test_a_second_start_hands_its_files_over_without_loading_anything_heavy(
    processes: list["subprocess.Popen[str]"], tmp_path: Path
) -> None:
    one = first(processes)
    assert line(one) == "listening"
    assert second("a b.safetensors", "/models/\u00fc.safetensors", folder=tmp_path) == "taken"
    assert json.loads(line(one)) == [str(tmp_path / "a b.safetensors"), "/models/\u00fc.safetensors"]
    assert second() == "taken"
    assert json.loads(line(one)) == []


def test_names_that_are_no_unicode_arrive(processes: list["subprocess.Popen[str]"]) -> None:
    one = first(processes)
    assert line(one) == "listening"
    name = os.fsdecode(b"/models/\xff.safetensors")
    assert hand_over([Path(name)]) is Answer.TAKEN
    assert json.loads(line(one)) == [name]


def test_nobody_there_is_known_at_once() -> None:
    start = time.perf_counter()
    assert hand_over([]) is Answer.NOBODY
    assert time.perf_counter() - start < 1


def test_every_home_has_a_first_process_of_its_own(
    processes: list["subprocess.Popen[str]"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = first(processes)
    assert line(one) == "listening"
    monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(tmp_path / "another home"))
    assert hand_over([]) is Answer.NOBODY
    other = first(processes)
    assert line(other) == "listening"


def test_what_a_killed_process_left_is_cleared_away(processes: list["subprocess.Popen[str]"]) -> None:
    one = first(processes)
    assert line(one) == "listening"
    place = address()
    assert place is not None
    one.send_signal(signal.SIGKILL)
    one.wait()
    assert Path(place).exists()
    assert hand_over([]) is Answer.NOBODY
    other = first(processes)
    assert line(other) == "listening"
    assert second("/m/x") == "taken"
    assert json.loads(line(other)) == ["/m/x"]


def test_of_starts_at_the_same_moment_one_listens_and_has_the_files_of_all(
    processes: list["subprocess.Popen[str]"],
) -> None:
    starts = [first(processes, "listen", f"/m/{number}") for number in range(4)]
    said = [line(process) for process in starts]
    assert sorted(said) == ["handed over"] * 3 + ["listening"]
    winner = starts[said.index("listening")]
    given = sorted(json.loads(line(winner)) for _ in range(3))
    assert given == sorted([f"/m/{number}"] for number in range(4) if starts[number] is not winner)
    assert all(process.wait(10) == 0 for process in starts if process is not winner)


def test_a_first_process_that_hangs_does_not_hold_a_second_up(
    processes: list["subprocess.Popen[str]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = first(processes, "hang")
    assert line(one) == "listening"
    start = time.perf_counter()
    assert hand_over([Path("/m/x")], patience=0.5) is Answer.SILENCE
    assert time.perf_counter() - start < 5
    monkeypatch.setattr("app.system.instance_server.START_S", 0.5)
    server = InstanceServer()
    assert not server.claim([Path("/m/x")])
    assert not server.listening()


def test_a_process_that_awakes_does_not_take_files_of_one_that_lost_patience(qtbot: QtBot) -> None:
    server = InstanceServer()
    assert not server.claim([])
    given: list[list[Path]] = []
    server.files_received.connect(given.append)
    # This thread's event loop does not turn meanwhile: the first process hangs.
    assert hand_over([Path("/m/late")], patience=0.2) is Answer.SILENCE
    qtbot.wait(200)
    assert given == []
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(hand_over([Path("/m/x")], patience=5)))
    thread.start()
    qtbot.waitUntil(lambda: given == [[Path("/m/x")]])
    thread.join()
    assert answers == [Answer.TAKEN]
    server.close()


@pytest.mark.parametrize(
    "message",
    [
        b"hello\n",
        b"[]\n",
        b'{"version": 2, "files": []}\n',
        b'{"version": 1, "files": ["relative"]}\n',
        b'{"version": 1, "files": [3]}\n',
        b"\xff\xfe\n",
        b"x" * (1 << 21),
    ],
)
def test_what_this_program_does_not_say_is_hung_up_on(qtbot: QtBot, message: bytes) -> None:
    server = InstanceServer()
    assert not server.claim([])
    given: list[object] = []
    server.files_received.connect(given.append)
    place = address()
    assert place is not None
    heard: list[bytes] = []

    def talk() -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(place)
            try:
                connection.sendall(message)
                connection.sendall(GO)
                heard.append(connection.recv(100))
            except OSError:
                heard.append(b"")

    thread = threading.Thread(target=talk)
    thread.start()
    qtbot.waitUntil(lambda: bool(heard))
    thread.join()
    assert READY not in heard
    assert given == []
    server.close()


def test_nobody_else_can_enter_the_place(own_runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = InstanceServer()
    server.claim([])
    place = address()
    assert place is not None
    assert Path(place).parent == own_runtime_folder
    assert stat.S_IMODE(Path(place).stat().st_mode) & 0o077 == 0
    server.close()
    assert not Path(place).exists()
    own_runtime_folder.chmod(0o777)  # anybody could put a socket there: not used
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(own_runtime_folder))
    inner = address()
    assert inner is None or Path(inner).parent.parent == own_runtime_folder
    if inner is not None:
        assert stat.S_IMODE(Path(inner).parent.stat().st_mode) == 0o700


def test_a_folder_that_another_made_accessible_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_runtime_folder: Path
) -> None:
    own_runtime_folder.chmod(0o755)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    (tmp_path / f"lora-extractor-{os.getuid()}").mkdir(mode=0o755)
    assert address() is None
    assert hand_over([]) is Answer.NOBODY
    server = InstanceServer()
    assert not server.claim([])


def test_the_pipes_conversation_commits_only_while_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code for Windows, talking through a terminal instead of a pipe: both are opened by a name."""
    import tty

    for answer, delay, wanted in (
        (READY, 0.0, Answer.TAKEN),
        (READY, 1.0, Answer.SILENCE),
        (b"no\n", 0.0, Answer.SILENCE),
    ):
        master, slave = os.openpty()
        tty.setraw(slave)
        heard = []

        def serve(
            master: int = master, answer: bytes = answer, delay: float = delay, heard: list[bytes] = heard
        ) -> None:
            heard.append(os.read(master, 1000))
            time.sleep(delay)
            os.write(master, answer)
            if delay == 0.0 and answer == READY:
                heard.append(os.read(master, 1000))

        thread = threading.Thread(target=serve)
        thread.start()
        assert single_instance._through_pipe(os.ttyname(slave), b"{}\n", 0.5 if delay else 5.0) is wanted
        thread.join()
        assert heard == ([b"{}\n", GO] if wanted is Answer.TAKEN else [b"{}\n"])
        if delay:
            time.sleep(0.2)  # the thread that was left alone hears the answer and says nothing
            os.set_blocking(master, False)
            with pytest.raises(BlockingIOError):
                os.read(master, 10)
        os.close(master)
        os.close(slave)
    assert single_instance._through_pipe("/no/such/pipe", b"{}\n", 5.0) is Answer.NOBODY


def test_files_for_the_dock_icon_that_come_together_are_told_together(qtbot: QtBot, qapp: QApplication) -> None:
    opened = FileOpenFilter()
    qapp.installEventFilter(opened)
    given: list[list[Path]] = []
    opened.files_received.connect(given.append)
    for name in ("/m/a.safetensors", "/m/b.safetensors"):
        QCoreApplication.sendEvent(qapp, QFileOpenEvent(QUrl.fromLocalFile(name)))
    QCoreApplication.sendEvent(qapp, QEvent(QEvent.Type.User))
    qtbot.waitUntil(lambda: bool(given))
    assert given == [[Path("/m/a.safetensors"), Path("/m/b.safetensors")]]
    qapp.removeEventFilter(opened)


def test_the_window_comes_back_from_the_task_bar(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    window.showMinimized()
    bring_to_front(window)
    assert window.isVisible()
    assert not window.isMinimized()
