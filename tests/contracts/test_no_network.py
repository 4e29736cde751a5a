"""Nothing phones home: from the start of the window to a verified LoRA the program talks to no other machine.

The self-test does all of that in a process of its own, in which Python reports every socket before it is used. What Qt
does without Python is seen from outside: the process's sockets are read from the system while it runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
WATCHED = """
import atexit, json, socket, sys
seen = []

def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg") and \
            arguments[0].family != getattr(socket, "AF_UNIX", None):
        seen.append([event, repr(arguments[1:])])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "http.client.connect"):
        seen.append([event, repr(arguments)])

sys.addaudithook(watch)
sys.path.insert(0, {root!r})
{probe}
from app.__main__ import main
sys.argv = ["lora-extractor", "--self-test"]
code = main()
print("seen: " + json.dumps(seen), flush=True)
sys.exit(code)
"""


def watched_run(probe: str = "") -> tuple[list[list[str]], set[str], str]:
    """Run the self-test; returns what Python reported, the addresses outside of this machine, and the output."""
    script = WATCHED.format(root=str(ROOT), probe=probe)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    abroad: set[str] = set()
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            abroad |= {str(each.laddr) + str(each.raddr) for each in watched.net_connections(kind="inet")}
        except psutil.Error:
            break
        time.sleep(0.05)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    line = next(line for line in output.splitlines() if line.startswith("seen: "))
    return json.loads(line.removeprefix("seen: ")), abroad, output


def test_window_extraction_and_verification_open_no_connection() -> None:
    seen, abroad, output = watched_run()
    assert "Self-test passed." in output
    assert seen == []
    assert abroad == set()


@pytest.mark.parametrize(
    "probe", ["import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"]
)
def test_the_watch_would_see_one(probe: str) -> None:
    seen, abroad, _ = watched_run(f"{probe}\nkept = socket.socket(); kept.bind(('127.0.0.1', 0)); kept.listen()")
    assert [event for event, _ in seen] == ["socket.connect", "socket.bind"]
    assert len(abroad) >= 1
