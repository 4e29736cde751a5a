"""What goes from the folder of journals, when, in which order, and what never does."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_runs import another_process_running, foreign, pair_of, record, run, used_at

from engine.store import DecompositionStore, Entry, read_journal, read_limit, write_limit


@pytest.fixture
def store(tmp_path: Path) -> DecompositionStore:
    return DecompositionStore(tmp_path / "store")


def smaller_rank(old: Entry, new: Entry) -> bool:
    return bool(old.fields["rank"] <= new.fields["rank"])


def test_another_process_removes_nothing_of_a_run_at_work(store: DecompositionStore) -> None:
    store.limit_bytes = 0
    source = run(pair_of(store), record("a"))
    with another_process_running(store) as journal:
        assert [usage.in_use for usage in store.usage()] == [True]
        assert [usage.unfinished for usage in store.usage()] == [False]
        assert (store.clear(), store.make_room()) == (0, 0)
        pair = pair_of(store)
        pair.begin({}).append(record("live", rank=9))
        pair.finish(True, lambda old, new: True, continued=[journal])
        assert journal.exists()
        assert source.exists(), "the run at work may read from it"
        assert not read_journal(journal).finished
    assert [(usage.in_use, usage.unfinished) for usage in store.usage()] == [(False, True)]
    assert store.clear() > 0
    assert store.usage() == ()


def test_a_journal_goes_when_another_has_better_records_of_all_its_layers(store: DecompositionStore) -> None:
    pair = pair_of(store)
    superseded = run(pair, record("a", rank=2), record("b", rank=2))
    needed = run(pair, record("a", rank=2), record("c", rank=2))
    better = pair.begin({})
    for name in "ab":
        better.append(record(name, rank=4))
    pair.finish(True, smaller_rank)
    assert [journal.path for journal in pair.journals] == [better.path, needed]
    assert not superseded.exists()
    assert {path.stem for path in pair.folder.iterdir()} == {better.path.stem, needed.stem, "pair"}


def test_of_equals_the_newest_stays(store: DecompositionStore) -> None:
    pair = pair_of(store)
    run(pair, record("a"))
    run(pair, record("a"))
    newest = pair.begin({})
    newest.append(record("a"))
    pair.finish(True, smaller_rank)
    assert [journal.path for journal in pair.journals] == [newest.path]


def test_a_stopped_run_supersedes_nothing(store: DecompositionStore) -> None:
    pair = pair_of(store)
    old = run(pair, record("a"))
    pair.begin({}).append(record("a", rank=9))
    pair.finish(False, smaller_rank)
    assert old.exists()


def test_the_longest_unused_pair_goes_first_and_only_as_many_as_needed(store: DecompositionStore) -> None:
    pairs = [pair_of(store, number) for number in range(1, 5)]
    for pair, when in zip(pairs, (300, 100, 400, 200), strict=True):
        run(pair, record("a"))
        used_at(pair, when)
    store.limit_bytes = store.size_bytes
    assert store.make_room() == 0
    assert store.make_room(needed=1) > 0
    assert [pair.folder.exists() for pair in pairs] == [True, False, True, True]
    store.limit_bytes = store.size_bytes - 1
    store.make_room()
    assert [pair.folder.exists() for pair in pairs] == [True, False, True, False]
    assert store.size_bytes <= store.limit_bytes


def test_reading_from_a_pair_counts_as_use(store: DecompositionStore) -> None:
    first, second = pair_of(store, 1), pair_of(store, 2)
    for pair in (first, second):
        run(pair, record("a"))
        used_at(pair, 100)
    first.touch()
    store.limit_bytes = store.size_bytes
    store.make_room(needed=1)
    assert (first.folder.exists(), second.folder.exists()) == (True, False)


def test_the_pair_to_keep_stays_whatever_the_limit(store: DecompositionStore) -> None:
    kept, other = pair_of(store, 1), pair_of(store, 2)
    run(kept, record("a"))
    run(other, record("a"))
    store.limit_bytes = 0
    store.make_room(keep=kept)
    assert (kept.folder.exists(), other.folder.exists()) == (True, False)


def test_what_was_set_aside_goes_before_any_pair(store: DecompositionStore) -> None:
    pair = pair_of(store)
    run(pair, record("a"))
    foreign(pair.folder / "x.journal")
    pair.refresh()
    store.limit_bytes = store.size_bytes
    store.make_room(needed=1)
    assert (pair.folder.exists(), pair.set_aside[0].exists()) == (True, False)


def test_bytes_freed_are_bytes_that_were_counted(store: DecompositionStore) -> None:
    run(pair_of(store, 1), record("a"))
    run(pair_of(store, 2), record("a"), finished=False)
    foreign(pair_of(store, 2).folder / "x.journal")
    size = store.size_bytes
    assert size == sum(usage.size_bytes for usage in store.usage()) > 0
    assert store.clear() == size
    assert store.size_bytes == 0


def test_clearing_leaves_the_limit_and_what_is_not_ours(store: DecompositionStore) -> None:
    pair = pair_of(store)
    run(pair, record("a"))
    write_limit(store.folder, 5)
    (pair.folder / "holiday.jpg").touch()
    (store.folder / "notes.txt").touch()
    store.clear()
    assert read_limit(store.folder) == 5
    assert [path.name for path in pair.folder.iterdir()] == ["holiday.jpg"]
    assert (store.folder / "notes.txt").exists()
    assert store.usage() == ()


@pytest.mark.parametrize("remove", ["clear", "make_room"])
def test_a_partial_output_goes_with_its_unfinished_journal(
    remove: str, store: DecompositionStore, tmp_path: Path
) -> None:
    part = tmp_path / ".lora-0123456789abcdef.part"
    part.touch()
    run(pair_of(store), record("a"), finished=False, part_file=str(part))
    store.limit_bytes = 0
    getattr(store, remove)()
    assert not part.exists()


@pytest.mark.parametrize("below", ["adapter_model.safetensors", "somebody/else.txt"])
def test_a_partial_folder_goes_too_unless_there_are_folders_in_it(
    below: str, store: DecompositionStore, tmp_path: Path
) -> None:
    part = tmp_path / ".lora-0123456789abcdef.part"
    (part / below).parent.mkdir(parents=True)
    (part / below).touch()
    run(pair_of(store), record("a"), finished=False, part_file=str(part))
    store.clear()
    assert part.exists() == (below == "somebody/else.txt")


@pytest.mark.parametrize("name", ["model.safetensors", "lora-1.part", ".lora-1.part.safetensors", "part"])
def test_no_file_of_another_name_goes_with_a_journal(name: str, store: DecompositionStore, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    run(pair_of(store), record("a"), finished=False, part_file=str(tmp_path / name))
    store.clear()
    assert (tmp_path / name).exists()


def test_nothing_goes_with_a_finished_journal(store: DecompositionStore, tmp_path: Path) -> None:
    part = tmp_path / ".lora-1.part"
    part.touch()
    run(pair_of(store), record("a"), part_file=str(part))
    store.clear()
    assert part.exists()


def test_a_relative_path_means_no_file_of_the_current_folder(
    store: DecompositionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".lora-1.part").touch()
    run(pair_of(store), record("a"), finished=False, part_file=".lora-1.part")
    store.clear()
    assert Path(".lora-1.part").exists()
