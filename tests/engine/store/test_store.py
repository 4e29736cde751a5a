"""The folder of journals: who finds what in it, and what disturbs nobody."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from stored_runs import TITLES, another_process_running, fingerprint, foreign, pair_of, record, run, used_at

import engine.store.frames as frames
from engine.errors import EngineError, ErrorCode
from engine.store import DEFAULT_LIMIT_BYTES, DecompositionStore, JournalWriter, read_limit, write_limit


@pytest.fixture
def store(tmp_path: Path) -> DecompositionStore:
    return DecompositionStore(tmp_path / "store")


def test_opening_a_pair_touches_nothing_on_disk(store: DecompositionStore) -> None:
    pair = pair_of(store)
    assert (pair.entries("a"), pair.journals, store.size_bytes, store.usage()) == ((), (), 0, ())
    pair.touch()
    pair.finish(True)
    assert (store.make_room(1 << 40), store.clear()) == (0, 0)
    assert not store.folder.exists()


def test_what_a_run_wrote_is_found_by_the_next(store: DecompositionStore) -> None:
    path = run(pair_of(store), record("a", 1), record("b", 2), settings="mine")
    pair = pair_of(store)
    (entry,) = pair.entries("b")
    assert (entry.load().arrays["u"] == 2).all()
    (journal,) = pair.journals
    assert (journal.path, journal.finished) == (path, True)
    assert (journal.head["fingerprint"], journal.head["settings"]) == (fingerprint(1), "mine")
    assert datetime.fromisoformat(journal.head["started"]).tzinfo is not None


def test_the_newest_record_of_a_layer_comes_first(store: DecompositionStore) -> None:
    pair = pair_of(store)
    run(pair, record("a", 1), record("a", 2))
    run(pair, record("a", 3))
    assert [entry.load().arrays["u"][0, 0] for entry in pair.entries("a")] == [3, 2, 1]


def test_pairs_do_not_see_each_other(store: DecompositionStore) -> None:
    run(pair_of(store, 1), record("a"))
    assert pair_of(store, 2).entries("a") == ()


@pytest.mark.parametrize("name", ["", "../../etc", "A" * 64, "0" * 31])
def test_what_is_no_fingerprint_never_becomes_a_folder(name: str, store: DecompositionStore) -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        store.open(name, TITLES)


def test_a_stopped_run_can_be_continued(store: DecompositionStore) -> None:
    run(pair_of(store), record("a"), finished=False)
    pair = pair_of(store)
    assert [journal.finished for journal in pair.journals] == [False]
    assert len(pair.entries("a")) == 1
    assert [usage.unfinished for usage in store.usage()] == [True]


def test_a_run_that_did_nothing_leaves_nothing(store: DecompositionStore) -> None:
    run(pair_of(store), finished=False)
    assert (store.usage(), store.size_bytes) == ((), 0)


def test_a_run_that_takes_over_finishes_the_one_before(store: DecompositionStore, tmp_path: Path) -> None:
    part = tmp_path / ".lora-1.part"
    part.touch()
    first = run(pair_of(store), record("a"), finished=False, part_file=str(part))
    pair = pair_of(store)
    pair.begin({}).append(record("b"))
    pair.finish(True, continued=[first])
    assert [journal.finished for journal in pair.journals] == [True, True]
    assert not part.exists()
    assert len(pair.entries("a")) == 1


def test_a_run_that_fails_does_not_finish_the_one_before(store: DecompositionStore) -> None:
    first = run(pair_of(store), record("a"), finished=False)
    pair = pair_of(store)
    pair.begin({}).append(record("b"))
    pair.finish(False, continued=[first])
    assert [journal.finished for journal in pair.journals] == [False, False]


def test_two_runs_that_begin_at_once_write_two_files(store: DecompositionStore) -> None:
    pairs = [pair_of(store), pair_of(store)]
    writers = [pair.begin({"run": number}) for number, pair in enumerate(pairs)]
    for number, writer in enumerate(writers):
        writer.append(record(f"layer.{number}"))
    for pair in pairs:
        pair.finish(True)
    assert writers[0].path != writers[1].path
    assert {len(pair_of(store).entries(f"layer.{number}")) for number in range(2)} == {1}


def test_a_pair_writes_one_journal_at_a_time(store: DecompositionStore) -> None:
    pair = pair_of(store)
    pair.begin({})
    with pytest.raises(RuntimeError):
        pair.begin({})
    pair.finish(False)
    pair.begin({})
    pair.finish(False)


def test_records_of_a_run_at_work_can_be_used_already(store: DecompositionStore) -> None:
    with another_process_running(store):
        assert len(pair_of(store).entries("live")) == 1


def test_a_killed_run_is_unfinished_and_its_records_are_there(store: DecompositionStore) -> None:
    with another_process_running(store):
        pass
    pair = pair_of(store)
    assert [journal.finished for journal in pair.journals] == [False]
    assert pair.entries("live")[0].load().arrays["u"].shape == (8, 4)
    store.clear()
    pair.refresh()
    assert pair.journals == ()


def damaged_head(path: Path) -> None:
    JournalWriter(path, {"fingerprint": fingerprint(1)}).close()
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def of_other_models(path: Path) -> None:
    JournalWriter(path, {"fingerprint": fingerprint(2)}).close()


@pytest.mark.parametrize("make", [foreign, damaged_head, of_other_models])
def test_what_cannot_be_used_is_set_aside_and_told(make: object, store: DecompositionStore) -> None:
    assert callable(make)
    run(pair_of(store), record("a"))
    pair = pair_of(store)
    make(pair.folder / "20200101.journal")
    assert len(pair.journals) == 1
    assert pair.set_aside == [store.folder / "set-aside" / "20200101.journal"]
    assert pair.set_aside[0].exists()
    make(pair.folder / "20200101.journal")
    pair.refresh()
    assert [path.name for path in pair.set_aside] == ["20200101.journal", "20200101-2.journal"]
    assert len(list(pair.folder.iterdir())) == len(["journal", "lock", "done", "pair.json"])


def test_a_journal_of_a_newer_version_is_neither_used_nor_touched(
    store: DecompositionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(frames, "VERSION", 7)
        path = run(pair_of(store), record("a"))
    pair = pair_of(store)
    assert (pair.journals, pair.set_aside) == ((), [])
    assert path.exists()


def test_a_journal_that_another_run_is_just_beginning_is_left_where_it_is(store: DecompositionStore) -> None:
    with another_process_running(store) as journal:
        journal.write_bytes(b"")  # as it is for a moment, before its head is written
        pair = pair_of(store)
        assert (pair.journals, pair.set_aside) == ((), [])
        assert journal.exists()


def test_usage_tells_the_pairs_most_recently_used_first(store: DecompositionStore) -> None:
    for number, when in ((1, 100), (2, 300), (3, 200)):
        pair = store.open(fingerprint(number), (f"tuned-{number}", "base"))
        run(pair, record("a"), record("b"), record("a"))
        used_at(pair, when)
    usage = store.usage()
    assert [pair.titles[0] for pair in usage] == ["tuned-2", "tuned-3", "tuned-1"]
    assert [pair.fingerprint for pair in usage] == [fingerprint(2), fingerprint(3), fingerprint(1)]
    assert usage[0].last_used == datetime.fromtimestamp(300, timezone.utc)
    assert {(pair.layers, pair.unfinished, pair.in_use) for pair in usage} == {(2, False, False)}


def test_junk_in_the_folder_disturbs_nobody(store: DecompositionStore) -> None:
    pair = pair_of(store)
    run(pair, record("a"))
    (pair.folder / "pair.json").write_text("{ broken", encoding="utf-8")
    (pair.folder / "pair.json.1234.tmp").write_text("{", encoding="utf-8")
    (pair.folder / "sub.journal").mkdir()
    (pair.folder / "broken.journal").write_bytes(b"x")
    (store.folder / "not-a-pair").mkdir()
    (store.folder / fingerprint(9)[:32]).write_text("a file with a pair's name", encoding="utf-8")
    (usage,) = store.usage()
    assert (usage.titles, usage.fingerprint, usage.layers) == (("", ""), pair.folder.name, 1)
    assert len(pair_of(store).entries("a")) == 1
    store.clear()


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{", '{"limit_bytes": -1}', '{"limit_bytes": "9"}', '{"limit_bytes": true}']
)
def test_a_limit_that_cannot_be_read_is_the_default(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "cache.json").write_text(content, encoding="utf-8")
    assert read_limit(tmp_path) == DEFAULT_LIMIT_BYTES == 10 * 10**9


def test_a_limit_is_remembered(tmp_path: Path) -> None:
    write_limit(tmp_path / "store", 123)
    write_limit(tmp_path / "store", 456)
    assert read_limit(tmp_path / "store") == 456
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["cache.json"]


def test_a_store_that_cannot_be_written_is_told_at_begin_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = DecompositionStore(tmp_path / "file" / "store", 0)
    pair = pair_of(store)
    assert (pair.entries("a"), store.usage(), store.size_bytes, store.clear(), store.make_room(9)) == ((), (), 0, 0, 0)
    pair.touch()
    with pytest.raises(EngineError) as caught:
        pair.begin({})
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE
    pair.finish(False)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_is_still_read(store: DecompositionStore) -> None:
    run(pair_of(store), record("a"))
    pair = pair_of(store)
    pair.folder.chmod(0o500)
    store.folder.chmod(0o500)
    try:
        assert len(pair.entries("a")) == 1
        with pytest.raises(EngineError) as caught:
            pair.begin({})
    finally:
        store.folder.chmod(0o700)
        pair.folder.chmod(0o700)
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE


def test_a_begin_that_fails_leaves_no_trace_and_can_be_tried_again(
    store: DecompositionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(handle: int) -> None:
        raise OSError(28, "No space left on device")

    pair = pair_of(store)
    with monkeypatch.context() as patch:
        patch.setattr("engine.store.journal.sync_data", failing)
        with pytest.raises(EngineError) as caught:
            pair.begin({})
    assert caught.value.code is ErrorCode.DISK_FULL
    assert not pair.folder.exists()
    run(pair, record("a"))
    assert len(pair.entries("a")) == 1
