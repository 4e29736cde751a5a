import json
from pathlib import Path

import pytest

from app.storage import paths
from app.storage.json_store import StoreTrouble
from app.storage.session import RECENT_LIMIT, SessionState, SessionStore, remember_recent
from engine.settings import ExtractionSettings, HardwareSettings

BROKEN = ["", "{", "[1]", '{"version": "one"}', '{"version": 1, "theme": "pink"}', "\x00\xff"]


def session_file(home: Path) -> Path:
    path = home / "config" / "session.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_without_a_file_everything_has_its_default() -> None:
    state = SessionStore().load()
    assert state == SessionState()
    assert state.extraction_settings() == ExtractionSettings()
    assert state.hardware_settings() == HardwareSettings()
    assert state.output_folder() == paths.default_output_dir()


def test_a_saved_session_comes_back() -> None:
    state = SessionState(finetuned="/models/a.safetensors", theme="dark", output_dir="/loras", extraction={"rank": 64})
    SessionStore().save(state)
    assert SessionStore().load() == state


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"version": "one"}', '{"version": 1, "theme": "pink"}', "\x00\xff"]
)
def test_a_broken_file_is_set_aside_and_told(home: Path, content: str) -> None:
    path = session_file(home)
    path.write_text(content, encoding="latin-1")
    store = SessionStore()
    assert store.load() == SessionState()
    assert store.problem is not None
    assert store.problem.set_aside is not None
    assert store.problem.set_aside.read_text(encoding="latin-1") == content
    store.save(SessionState(theme="light"))
    assert SessionStore().load().theme == "light"


def test_a_newer_file_is_left_as_it_is(home: Path) -> None:
    path = session_file(home)
    path.write_text('{"version": 99, "theme": "sepia"}')
    store = SessionStore()
    assert store.load() == SessionState()
    assert store.problem is not None
    assert store.problem.trouble is StoreTrouble.NEWER
    store.save(SessionState())
    assert json.loads(path.read_text())["version"] == 99


def test_one_bad_setting_does_not_cost_the_others() -> None:
    state = SessionState(extraction={"rank": 64, "lora_type": "nonsense", "gone": 1}, hardware={"batch_size": 99})
    assert state.extraction_settings() == ExtractionSettings(rank=64)
    assert state.hardware_settings() == HardwareSettings()


def test_saving_leaves_no_temporary_file_behind(home: Path) -> None:
    SessionStore().save(SessionState())
    assert [path.name for path in (home / "config").iterdir()] == ["session.json"]


def test_recent_files_are_newest_first_once_and_few() -> None:
    recent: list[str] = []
    for number in [*range(20), 15]:
        recent = remember_recent(recent, Path(f"/m/{number}"))
    assert len(recent) == RECENT_LIMIT
    assert recent[:2] == [str(Path("/m/15")), str(Path("/m/19"))]
    assert len(set(recent)) == RECENT_LIMIT
