"""The queue as data: its order, and the file that it comes back from."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from app.storage.job_queue import (
    Job,
    JobFailure,
    JobResult,
    Jobs,
    JobState,
    QueueStore,
    duplicated,
    landing,
    moved,
    new_job,
    removed,
    restored,
    stepped,
)
from app.storage.json_store import StoreTrouble
from app.work.live_queue import LiveQueue, PassingQueue
from engine.results import NoiseFigures
from engine.settings import ExtractionSettings, HardwareSettings


def job(name: str, state: JobState = JobState.WAITING, **changes: Any) -> Job:
    made = new_job(
        Path(f"/models/{name}.safetensors"),
        Path("/models/base.safetensors"),
        ExtractionSettings(rank=16, lora_type="adaptive_energy", include=("*attn*",)),
        HardwareSettings(batch_size=2, memory_budget="3GiB"),  # type: ignore[arg-type]
        Path("/loras"),
    )
    return replace(made, id=name, state=state, **changes)


def jobs(names: str, running: str = "") -> Jobs:
    return tuple(job(name, JobState.RUNNING if name == running else JobState.WAITING) for name in names)


def order(shown: Jobs) -> str:
    return "".join(item.id for item in shown)


@pytest.mark.parametrize(
    ("ids", "row", "expected"),
    [
        ("d", 0, "dabce"),
        ("a", 5, "bcdea"),
        ("bd", 1, "abdce"),
        ("ac", 4, "bdace"),
        ("c", 2, "abcde"),
        ("xb", 9, "acdeb"),
    ],
)
def test_jobs_are_put_before_the_row_they_were_dropped_at(ids: str, row: int, expected: str) -> None:
    assert order(moved(jobs("abcde"), ids, row)) == expected


@pytest.mark.parametrize(("ids", "row", "expected"), [("e", 0, "abced"), ("a", 5, "bacde"), ("c", 0, "abcde")])
def test_no_job_passes_the_running_one(ids: str, row: int, expected: str) -> None:
    assert order(moved(jobs("abcde", running="c"), ids, row)) == expected


@pytest.mark.parametrize(("ids", "row", "allowed"), [("e", 0, 3), ("e", 5, 5), ("a", 5, 2), ("b", 0, 0), ("ae", 4, 4)])
def test_the_line_of_a_drag_stands_where_the_jobs_would_land(ids: str, row: int, allowed: int) -> None:
    assert landing(jobs("abcde", running="c"), ids, row) == allowed


@given(st.sets(st.sampled_from("abcdef")), st.integers(-2, 9), st.sampled_from([None, *"abcdef"]), st.booleans())
def test_reordering_loses_no_job_and_leaves_the_running_one_in_its_row(
    ids: set[str], row: int, running: str | None, up: bool
) -> None:
    before = jobs("abcdef", running=running or "")
    for after in (moved(before, ids, row), stepped(before, ids, up=up)):
        assert sorted(after, key=lambda item: item.id) == list(before)
        assert running is None or order(after)[order(before).index(running)] == running


@pytest.mark.parametrize(
    ("ids", "up", "running", "expected"),
    [
        ("c", True, "", "acbde"),
        ("cd", True, "", "acdbe"),
        ("ab", True, "", "abcde"),
        ("ac", False, "", "badce"),
        ("d", True, "c", "abcde"),
        ("e", True, "c", "abced"),
    ],
)
def test_jobs_move_by_one_row(ids: str, up: bool, running: str, expected: str) -> None:
    assert order(stepped(jobs("abcde", running=running), ids, up=up)) == expected


def test_removed_jobs_come_back_to_their_rows() -> None:
    before = jobs("abcde", running="b")
    after, removal = removed(before, "abe")
    assert order(after) == "bcd", "the running job cannot be removed"
    assert restored(after, removal) == before


def test_a_copy_waits_behind_its_job_and_is_another_one() -> None:
    finished = job("a", JobState.DONE, result=JobResult(Path("/loras/a"), 1, 0.9, 0.8, 2.0))
    first, copy, _ = duplicated((finished, job("b")), "a")
    assert first is finished
    assert copy.id != "a"
    assert (copy.finetuned, copy.extraction, copy.state, copy.result) == (
        finished.finetuned,
        finished.extraction,
        JobState.WAITING,
        None,
    )


def full_queue() -> Jobs:
    return (
        job("done", JobState.DONE, result=JobResult(Path("/loras/x.safetensors"), 310_000_000, 0.938, 0.874, 41.0)),
        job("failed", JobState.FAILED, failure=JobFailure("It is gone.", "Get it again.", "file_missing")),
        job("stopped", JobState.STOPPED, layers_kept=(214, 304)),
        job("waiting"),
    )


def test_a_saved_queue_comes_back_as_it_was(home: Path) -> None:
    QueueStore().save(full_queue())
    saved = json.loads((home / "config" / "queue.json").read_text(encoding="utf-8"))
    assert saved["version"] == 1
    assert [entry["state"] for entry in saved["jobs"]] == ["done", "failed", "stopped", "waiting"]
    assert saved["jobs"][0]["result"]["size_bytes"] == 310_000_000
    assert saved["jobs"][3]["hardware"]["memory_budget"] == 3 * 2**30
    store = QueueStore()
    assert store.load() == full_queue_as(saved)
    assert store.problem is None


def test_what_a_file_keeps_of_the_real_change_is_saved_and_older_queues_have_none(home: Path) -> None:
    noise = NoiseFigures(0.19, 0.28, 0.99, (0.96, 1.0), None, 0.81)
    result = JobResult(Path("/loras/x.safetensors"), 1, 0.8, 0.7, 41.0, noise=noise)
    QueueStore().save((job("a", JobState.DONE, result=result),))
    assert QueueStore().load()[0].result == result
    file = home / "config" / "queue.json"
    saved = json.loads(file.read_text(encoding="utf-8"))
    del saved["jobs"][0]["result"]["noise"]
    file.write_text(json.dumps(saved), encoding="utf-8")
    assert QueueStore().load()[0].result == replace(result, noise=None)


def full_queue_as(saved: dict[str, Any]) -> Jobs:
    """The queue with the moments of the saved one, as each call makes its own."""
    added = [datetime.fromisoformat(entry["added"].replace("Z", "+00:00")) for entry in saved["jobs"]]
    return tuple(replace(item, added=moment) for item, moment in zip(full_queue(), added, strict=True))


def test_a_job_that_ran_when_the_program_ended_waits_again(home: Path) -> None:
    QueueStore().save((job("a", JobState.RUNNING), job("b")))
    first, second = QueueStore().load()
    assert (first.state, first.interrupted) == (JobState.WAITING, True)
    assert (second.state, second.interrupted) == (JobState.WAITING, False)


@pytest.mark.parametrize("content", ['{"version": 1, "jobs": [', '{"version": 1, "jobs": 7}', "[]", "\x00\x01"])
def test_a_damaged_file_is_set_aside_and_told(home: Path, content: str) -> None:
    file = home / "config" / "queue.json"
    file.parent.mkdir(parents=True)
    file.write_text(content, encoding="utf-8")
    store = QueueStore()
    assert store.load() == ()
    assert store.problem is not None
    assert store.problem.trouble is StoreTrouble.CORRUPT
    assert store.problem.set_aside is not None
    assert store.problem.set_aside.read_text(encoding="utf-8") == content
    store.save((job("a"),))
    assert len(QueueStore().load()) == 1


def test_a_newer_file_is_never_written_over(home: Path) -> None:
    file = home / "config" / "queue.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"version": 2, "plan": "unknown"}', encoding="utf-8")
    queue = LiveQueue()
    queue.add(job("a"))
    assert order(queue.jobs) == "a"
    assert queue.store.problem is not None
    assert queue.store.problem.trouble is StoreTrouble.NEWER
    assert file.read_text(encoding="utf-8") == '{"version": 2, "plan": "unknown"}'


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("extraction", "rank"), 0),
        (("extraction", "unknown"), 1),
        (("state",), "resting"),
        (("finetuned",), None),
        (("id",), "good"),
    ],
)
def test_a_damaged_job_is_left_out_and_the_whole_file_kept(home: Path, place: tuple[str, ...], value: Any) -> None:
    QueueStore().save((job("good"), job("bad"), job("last")))
    file = home / "config" / "queue.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    target = data["jobs"][1]
    for name in place[:-1]:
        target = target[name]
    target[place[-1]] = value
    file.write_text(json.dumps(data), encoding="utf-8")
    store = QueueStore()
    assert [item.id for item in store.load()] == ["good", "last"]
    assert store.damaged == 1
    assert store.problem is not None
    assert store.problem.set_aside is not None
    assert json.loads(store.problem.set_aside.read_text(encoding="utf-8")) == data
    again = QueueStore()
    assert [item.id for item in again.load()] == ["good", "last"]
    assert (again.problem, again.damaged) == (None, 0), "it is told once"


def test_each_change_is_written_at_once(home: Path) -> None:
    queue = LiveQueue()
    for item in jobs("abc"):
        queue.add(item)
    queue.move(("c",), 0)
    assert order(QueueStore().load()) == "cab"
    queue.step(("c",), up=False)
    assert order(QueueStore().load()) == "acb"
    queue.remove(("a",))
    assert order(QueueStore().load()) == "cb"


def test_a_queue_that_cannot_be_written_says_so_once_and_goes_on(qtbot: QtBot, home: Path) -> None:
    queue = LiveQueue()
    home.mkdir()
    blocker = home / "config"
    blocker.write_text("a file where the folder should be", encoding="utf-8")
    told: list[object] = []
    queue.write_failed.connect(told.append)
    queue.add(job("a"))
    queue.add(job("b"))
    assert order(queue.jobs) == "ab"
    assert len(told) == 1
    assert isinstance(told[0], OSError)
    blocker.unlink()
    queue.add(job("c"))
    assert order(QueueStore().load()) == "abc"
    (home / "config" / "queue.json").unlink()
    (home / "config").rmdir()
    blocker.write_text("again", encoding="utf-8")
    queue.add(job("d"))
    assert len(told) == 2, "after it worked again, the next failure is news"


def test_a_passing_queue_neither_reads_nor_writes_the_file(home: Path) -> None:
    QueueStore().save((job("a"),))
    queue = LiveQueue(PassingQueue())
    assert queue.jobs == ()
    queue.add(job("b"))
    assert order(QueueStore().load()) == "a"
