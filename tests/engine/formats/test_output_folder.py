"""An output folder that cannot be written to is found when planning, and nothing is created to find it."""

import os
import sys
from pathlib import Path

import pytest
from model_files import save_pair

from engine.errors import EngineError, ErrorCode
from engine.formats.output_path import check_writable
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings


def refused(folder: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        check_writable(folder)
    assert (caught.value.code, caught.value.file) == (ErrorCode.OUTPUT_UNWRITABLE, str(folder))
    return caught.value


@pytest.mark.parametrize("below", ["", "new", "new/and/deeper"])
def test_a_folder_that_can_be_made_is_left_to_the_run(tmp_path: Path, below: str) -> None:
    check_writable(tmp_path / below)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("below", "reason"), [("", "is_file"), ("loras", "below_file"), ("a/b", "below_file")])
def test_a_file_in_the_way_is_named(tmp_path: Path, below: str, reason: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    error = refused(tmp_path / "notes.txt" / below)
    assert error.data == {"reason": reason, "at": str(tmp_path / "notes.txt")}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_that_leads_nowhere_takes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "door").symlink_to(tmp_path / "gone")
    assert refused(tmp_path / "door" / "loras").data == {"reason": "broken_link", "at": str(tmp_path / "door")}


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
@pytest.mark.parametrize(("below", "reason"), [("", "closed"), ("x/loras", "below_closed")])
def test_the_kernels_own_folders_take_no_file(below: str, reason: str) -> None:
    assert refused(Path("/proc") / below).data == {"reason": reason, "at": "/proc"}


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such rights there")
@pytest.mark.parametrize(("below", "reason"), [("", "closed"), ("loras", "below_closed")])
def test_a_folder_without_the_right_to_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, reason: str
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.geteuid() == 0:  # root may write everywhere: ask as somebody else would be answered
        monkeypatch.setattr(os, "access", lambda path, mode, **_: not (mode & os.W_OK and Path(path) == closed))
    assert refused(closed / below).data == {"reason": reason, "at": str(closed)}


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
def test_the_plan_finds_it_with_the_prefixs_folder_in_the_name(tmp_path: Path) -> None:
    with Session(*save_pair(tmp_path)) as session, pytest.raises(EngineError) as caught:
        session.plan(ExtractionSettings(filename_prefix="loras/mine"), HardwareSettings(), Path("/proc/x"))
    assert (caught.value.code, caught.value.file) == (ErrorCode.OUTPUT_UNWRITABLE, "/proc/x/loras")


@pytest.mark.parametrize("prefix", ["  ", "\u00a0", "\t"])
def test_a_blank_name_is_refused_by_the_plan(tmp_path: Path, prefix: str) -> None:
    with Session(*save_pair(tmp_path)) as session, pytest.raises(EngineError) as caught:
        session.plan(ExtractionSettings(filename_prefix=prefix), HardwareSettings(), tmp_path)
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.OUTPUT_ESCAPES, "blank")
