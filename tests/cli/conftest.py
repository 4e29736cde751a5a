"""The command line in this process: run it, get its exit code and what it said where."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import Call, Said

from app.cli import main as cli


@pytest.fixture(autouse=True)
def restored_signals() -> Iterator[None]:
    """The command line takes over Ctrl-C; the tests want it back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def calling(*arguments: object) -> Said:
        capsys.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return calling


@pytest.fixture
def extract(call: Call, tmp_path: Path) -> Call:
    """``extract`` on the CPU into ``tmp_path/out``, as ``out/lora_...``."""

    def extracting(pair: tuple[object, object], *options: object) -> Said:
        return call(
            "extract", *pair, "--output-dir", tmp_path / "out", "--filename-prefix", "lora", "--device", "cpu", *options
        )

    return extracting
