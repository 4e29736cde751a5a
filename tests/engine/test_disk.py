from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.disk import write_json, write_readable, write_text

Writer = Callable[[Path, str], None]


def as_json(path: Path, text: str) -> None:
    write_json(path, {"text": text})


@pytest.mark.parametrize("write", [write_text, write_readable, as_json])
def test_an_older_file_stands_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Writer
) -> None:
    target = tmp_path / "a.log"
    write(target, "older")
    before = target.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("os.replace", "os.fsync"):
        with monkeypatch.context() as broken:
            broken.setattr(call, fail)
            with pytest.raises(OSError, match="No space"):
                write(target, "newer")
        assert target.read_bytes() == before
        assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("write", [write_text, as_json])
def test_text_that_is_no_utf8_is_refused_and_leaves_the_older_file(tmp_path: Path, write: Writer) -> None:
    target = tmp_path / "a"
    write(target, "older")
    before = target.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write(target, "a\udc80b")
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("text", "written"), [("", b""), ("a", b"a\n"), ("a\n", b"a\n"), ("a\udc80", b"a\\udc80\n")])
def test_a_readable_text_ends_its_last_line_and_is_utf8(tmp_path: Path, text: str, written: bytes) -> None:
    write_readable(tmp_path / "a", text)
    assert (tmp_path / "a").read_bytes().replace(b"\r\n", b"\n") == written


def test_line_ends_are_left_as_they_are_where_asked(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "a\r\nb\n", newline="")
    assert (tmp_path / "a").read_bytes() == b"a\r\nb\n"


def test_json_is_written_as_text_that_people_can_read(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"name": "Stra\u00dfe", "rank": 16})
    assert "Stra\u00dfe" in (tmp_path / "a").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a").read_text(encoding="utf-8")) == {"name": "Stra\u00dfe", "rank": 16}
