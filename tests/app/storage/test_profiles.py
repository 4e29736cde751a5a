import json
from pathlib import Path

import pytest

from app.storage.json_store import StoreTrouble
from app.storage.profiles import PROFILES_VERSION, ProfileStore
from engine.errors import EngineError, ErrorCode
from engine.presets import HARDWARE_PROFILES
from engine.settings import HardwareSettings

MINE = HardwareSettings(batch_size=7, memory_threshold=0.6, memory_budget=8 * 1024**3)


@pytest.fixture
def store() -> ProfileStore:
    return ProfileStore()


def code_of(caught: pytest.ExceptionInfo[EngineError]) -> ErrorCode:
    return caught.value.code


def test_shipped_profiles_are_there_with_the_documented_values(store: ProfileStore) -> None:
    assert store.names() == tuple(HARDWARE_PROFILES)
    assert store.get("Balanced (12 GB)") == HardwareSettings()


def test_a_saved_profile_is_there_after_a_restart(store: ProfileStore) -> None:
    store.save("Mine", MINE)
    assert ProfileStore().get("Mine") == MINE


@pytest.mark.parametrize("action", ["save", "rename", "delete"])
def test_shipped_profiles_cannot_be_changed(store: ProfileStore, action: str) -> None:
    calls = {
        "save": lambda: store.save("Safe (8 GB)", MINE),
        "rename": lambda: store.rename("Safe (8 GB)", "Other"),
        "delete": lambda: store.delete("Safe (8 GB)"),
    }
    with pytest.raises(EngineError) as caught:
        calls[action]()
    assert code_of(caught) is ErrorCode.PROFILE_READ_ONLY


def test_renaming_keeps_the_values_and_forgets_the_old_name(store: ProfileStore) -> None:
    store.save("Mine", MINE)
    store.rename("Mine", "Studio")
    assert ProfileStore().own_names() == ("Studio",)
    assert store.get("Studio") == MINE


def test_renaming_onto_another_profile_is_refused(store: ProfileStore) -> None:
    store.save("A", MINE)
    store.save("B", HardwareSettings())
    with pytest.raises(EngineError) as caught:
        store.rename("A", "B")
    assert code_of(caught) is ErrorCode.PROFILE_EXISTS


def test_a_deleted_profile_is_gone(store: ProfileStore) -> None:
    store.save("Mine", MINE)
    store.delete("Mine")
    with pytest.raises(EngineError) as caught:
        ProfileStore().get("Mine")
    assert code_of(caught) is ErrorCode.PROFILE_MISSING


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 81])
def test_names_that_nobody_could_read_are_refused(store: ProfileStore, name: str) -> None:
    with pytest.raises(EngineError) as caught:
        store.save(name, MINE)
    assert code_of(caught) is ErrorCode.PROFILE_INVALID


def test_an_exported_profile_can_be_imported_elsewhere(store: ProfileStore, tmp_path: Path) -> None:
    store.save("Mine", MINE)
    store.export_file("Mine", tmp_path / "mine.json")
    other = ProfileStore(tmp_path / "other" / "profiles.json")
    assert other.import_file(tmp_path / "mine.json") == ("Mine",)
    assert other.get("Mine") == MINE


def test_importing_a_taken_name_replaces_nothing(store: ProfileStore, tmp_path: Path) -> None:
    store.export_file("Safe (8 GB)", tmp_path / "safe.json")
    store.import_file(tmp_path / "safe.json")
    assert store.import_file(tmp_path / "safe.json") == ("Safe (8 GB) (3)",)


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        '{"version": 1, "profiles": {}}',
        '{"version": 99, "profiles": {"A": {}}}',
        '{"version": 1, "profiles": {"A": {"batch_size": 99}}}',
    ],
)
def test_a_file_that_is_no_profile_is_refused_and_left_alone(store: ProfileStore, tmp_path: Path, content: str) -> None:
    source = tmp_path / "bad.json"
    source.write_text(content)
    with pytest.raises(EngineError) as caught:
        store.import_file(source)
    assert code_of(caught) is ErrorCode.PROFILE_INVALID
    assert source.read_text() == content


def test_a_corrupt_store_is_set_aside_and_a_new_one_can_be_written(home: Path) -> None:
    path = home / "config" / "profiles.json"
    path.parent.mkdir(parents=True)
    path.write_text("{broken")
    store = ProfileStore()
    assert store.problem is not None
    assert store.problem.set_aside is not None
    assert store.problem.set_aside.read_text() == "{broken"
    store.save("Mine", MINE)
    assert ProfileStore().own_names() == ("Mine",)


def test_a_newer_store_is_neither_used_nor_written_over(home: Path) -> None:
    path = home / "config" / "profiles.json"
    path.parent.mkdir(parents=True)
    content = json.dumps({"version": PROFILES_VERSION + 1, "profiles": {"Future": {}}})
    path.write_text(content)
    store = ProfileStore()
    assert store.problem is not None
    assert store.problem.trouble is StoreTrouble.NEWER
    with pytest.raises(EngineError) as caught:
        store.save("Mine", MINE)
    assert code_of(caught) is ErrorCode.PROFILE_INVALID
    assert path.read_text() == content


def test_one_damaged_profile_costs_only_itself_and_is_kept_in_the_file(home: Path) -> None:
    path = home / "config" / "profiles.json"
    path.parent.mkdir(parents=True)
    good = MINE.model_dump(mode="json")
    path.write_text(json.dumps({"version": 1, "profiles": {"Good": good, "Bad": {"batch_size": 99}}}))
    store = ProfileStore()
    assert store.own_names() == ("Good",)
    assert store.damaged == ("Bad",)
    store.save("Mine", MINE)
    assert "Bad" in json.loads(path.read_text())["profiles"]
