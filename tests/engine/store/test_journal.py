"""A journal gives back what was written, or nothing: whatever was cut off, flipped, killed or refused by the disk."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import engine.store.frames as frames
from engine.errors import EngineError, ErrorCode
from engine.store.journal import Journal, JournalWriter, Record, read_journal

ROOT = Path(__file__).resolve().parents[3]
T = TypeVar("T")
HEAD = {"run": "a run", "figures": [1, 2.5, None]}
DTYPES = ["<f2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "|b1"]
stored_arrays = hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
records = st.builds(
    Record,
    st.text(),
    st.dictionaries(st.text(), json_values, max_size=3),
    st.dictionaries(st.text(), stored_arrays, max_size=3),
)


def small_record(number: int) -> Record:
    rng = np.random.default_rng(number)
    arrays: dict[str, Any] = {"u": rng.standard_normal((3, 2)).astype(np.float32), "s": rng.standard_normal(2)}
    return Record(f"layer.{number}", {"energy": number / 3}, arrays)


def write(path: Path, *written: Record) -> Path:
    with JournalWriter(path, HEAD) as writer:
        for record in written:
            writer.append(record)
        writer.sync()
    return path


def assert_same(read: Record, written: Record) -> None:
    assert (read.name, read.fields) == (written.name, written.fields)
    assert list(read.arrays) == list(written.arrays)
    for name, array in written.arrays.items():
        assert (read.arrays[name].dtype, read.arrays[name].shape) == (array.dtype, array.shape)
        assert read.arrays[name].tobytes() == array.tobytes()
        assert read.arrays[name].flags.writeable


def assert_holds(journal: Journal, *written: Record) -> None:
    assert journal.head == {**HEAD, "format_version": 1}
    assert len(journal.entries) == len(written)
    for entry, record in zip(journal.entries, written, strict=True):
        assert_same(entry.load(), record)


def unless_refused(read: Callable[[], T]) -> T | None:
    """What was read, or None where it was refused as a journal is; any other error is one."""
    try:
        return read()
    except EngineError as error:
        if error.code is not ErrorCode.JOURNAL_INVALID:
            raise
        return None


def refusal(path: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        read_journal(path)
    return caught.value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(records, max_size=4))
def test_what_was_written_is_read(written: list[Record], tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.unlink(missing_ok=True)
    write(path, *written)
    journal = read_journal(path)
    assert_holds(journal, *written)
    assert journal.lost_bytes == 0


@pytest.mark.parametrize(
    "array",
    [np.arange(12.0).reshape(3, 4).T, np.arange(12.0)[::2], np.arange(3, dtype=">f4"), np.float32([[1]])[:, :0]],
    ids=["transposed", "every second", "big-endian", "empty slice"],
)
def test_any_memory_layout_is_stored_by_its_values(array: np.ndarray[Any, Any], tmp_path: Path) -> None:
    write(tmp_path / "a.journal", Record("a", {}, {"x": array}))
    read = read_journal(tmp_path / "a.journal").entries[0].load().arrays["x"]
    assert read.dtype == array.dtype.newbyteorder("<")
    np.testing.assert_array_equal(read, array)


def test_an_index_knows_the_figures_without_reading_the_arrays(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal", small_record(1))
    (entry,) = read_journal(path).entries
    path.unlink()
    assert (entry.name, entry.fields, entry.payload_bytes) == ("layer.1", {"energy": 1 / 3}, 3 * 2 * 4 + 2 * 8)


@pytest.mark.parametrize("value", [np.zeros(2, complex), np.array(["text"]), np.array([None])])
def test_a_dtype_that_no_journal_stores_is_refused_and_nothing_is_written(value: Any, tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "a.journal", HEAD) as writer:
        before = writer.size_bytes
        with pytest.raises(TypeError):
            writer.append(Record("a", {}, {"x": value}))
        assert writer.path.stat().st_size == writer.size_bytes == before


def test_a_journal_never_overwrites_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal", small_record(1))
    with pytest.raises(EngineError) as caught:
        JournalWriter(path, HEAD)
    assert (caught.value.code, caught.value.file) == (ErrorCode.OUTPUT_UNWRITABLE, str(path))
    assert_holds(read_journal(path), small_record(1))


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        JournalWriter(tmp_path / "none" / "a.journal", HEAD)
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE


def test_cut_anywhere_it_holds_exactly_the_records_that_are_whole(tmp_path: Path) -> None:
    written = [small_record(number) for number in range(3)]
    with JournalWriter(tmp_path / "a.journal", HEAD) as writer:
        ends = [writer.size_bytes]
        for record in written:
            writer.append(record)
            ends.append(writer.size_bytes)
    whole, cut = writer.path.read_bytes(), tmp_path / "cut.journal"
    assert ends[-1] == len(whole)
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        if length < ends[0]:
            assert refusal(cut).code is ErrorCode.JOURNAL_INVALID
        else:
            count = sum(end <= length for end in ends) - 1
            journal = read_journal(cut)
            assert_holds(journal, *written[:count])
            assert journal.lost_bytes == length - ends[count]


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_no_flipped_byte_is_ever_read_as_data(flip: int, tmp_path: Path) -> None:
    written = [small_record(number) for number in range(2)]
    whole = bytearray(write(tmp_path / "a.journal", *written).read_bytes())
    broken = tmp_path / "broken.journal"
    for position in range(len(whole)):
        whole[position] ^= flip
        broken.write_bytes(whole)
        whole[position] ^= flip
        journal = unless_refused(lambda: read_journal(broken))
        if journal is None:
            continue
        assert journal.head == {**HEAD, "format_version": 1}
        read = [record for entry in journal.entries if (record := unless_refused(entry.load))]
        assert len(read) < len(written), f"byte {position} was not missed"
        for record in read:
            assert_same(record, next(one for one in written if one.name == record.name))


def test_damaged_arrays_cost_their_record_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal", *map(small_record, range(3)))
    with path.open("r+b") as stream:
        stream.seek(read_journal(path).entries[1].offset)
        stream.write(b"\xff")
    first, second, third = read_journal(path).entries
    assert_same(first.load(), small_record(0))
    assert_same(third.load(), small_record(2))
    with pytest.raises(EngineError, match="checksum"):
        second.load()


def test_an_entry_whose_file_is_gone_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal", small_record(1))
    (entry,) = read_journal(path).entries
    path.unlink()
    with pytest.raises(EngineError) as caught:
        entry.load()
    assert (caught.value.code, caught.value.file) == (ErrorCode.JOURNAL_INVALID, str(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 something else", b"\0" * 4096, b'{"version": 1}'])
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.journal").write_bytes(content)
    error = refusal(tmp_path / "a.journal")
    assert error.code is ErrorCode.JOURNAL_INVALID
    assert "other_version" not in error.data


def test_a_whole_journal_of_a_newer_version_is_told_from_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(frames, "VERSION", 7)
        path = write(tmp_path / "a.journal", small_record(1))
    assert refusal(path).data["other_version"] is True


def test_a_journal_without_a_head_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal", small_record(1))
    head_bytes = JournalWriter(tmp_path / "b.journal", HEAD)
    head_bytes.close()
    path.write_bytes(path.read_bytes()[head_bytes.size_bytes :])
    assert refusal(path).code is ErrorCode.JOURNAL_INVALID


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.lists(st.integers(-1, 1 << 62), min_size=1, max_size=4), dtype=st.sampled_from(["float64", "object"]))
def test_a_header_that_lies_about_sizes_takes_no_memory(shape: list[int], dtype: str, tmp_path: Path) -> None:
    """Even one whose checksum is right: the frame is made here as the writer makes it."""
    table = {"kind": "layer", "name": "a", "fields": {}, "arrays": [["x", dtype, shape]], "digest": "00"}
    header = json.dumps(table).encode()
    lengths = frames._LENGTHS.pack(frames._MAGIC, 1, len(header))
    path = tmp_path / "a.journal"
    path.unlink(missing_ok=True)
    write(path)
    with path.open("ab") as stream:
        stream.write(lengths + bytes.fromhex(frames._digest(lengths, header)) + header)
    for entry in read_journal(path).entries:  # none, or one of no bytes
        assert entry.payload_bytes == 0
        with pytest.raises(EngineError):
            entry.load()


def test_a_header_length_beyond_the_file_is_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.journal", small_record(1))
    with path.open("ab") as stream:
        stream.write(frames._LENGTHS.pack(frames._MAGIC, 1, 0xFFFFFFFF) + b"\0" * 64)
    assert_holds(read_journal(path), small_record(1))


class StubbornDisk:
    """Stands in for a stream: takes few bytes at a time, and none once so many are written."""

    def __init__(self, stream: Any, room: int, *, cuts: bool = True) -> None:
        self._stream, self._room, self._cuts = stream, room, cuts

    def write(self, data: memoryview) -> int:
        if self._room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = int(self._stream.write(data[: min(7, self._room)]))
        self._room -= count
        return count

    def truncate(self, size: int) -> int:
        if not self._cuts:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return int(self._stream.truncate(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@pytest.mark.parametrize("room", [0, 5, 60, 200])
def test_a_full_disk_costs_the_record_at_hand_and_no_other(room: int, tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "a.journal", HEAD) as writer:
        writer.append(small_record(0))
        stream = writer._stream
        writer._stream = StubbornDisk(stream, room)  # type: ignore[assignment]
        with pytest.raises(EngineError) as caught:
            writer.append(small_record(1))
        assert (caught.value.code, caught.value.file) == (ErrorCode.DISK_FULL, str(writer.path))
        assert_holds(read_journal(writer.path), small_record(0))
        writer._stream = stream
        writer.append(small_record(2))
        assert writer.size_bytes == writer.path.stat().st_size
    assert_holds(read_journal(writer.path), small_record(0), small_record(2))


def test_writes_that_take_less_than_they_are_given_are_completed(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "a.journal", HEAD) as writer:
        writer._stream = StubbornDisk(writer._stream, 1 << 20)  # type: ignore[assignment]
        writer.append(small_record(0))
    assert_holds(read_journal(writer.path), small_record(0))


def test_nothing_is_written_behind_what_could_not_be_removed(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "a.journal", HEAD) as writer:
        writer.append(small_record(0))
        stream = writer._stream
        writer._stream = StubbornDisk(stream, 50, cuts=False)  # type: ignore[assignment]
        with pytest.raises(EngineError):
            writer.append(small_record(1))
        writer._stream = stream
        with pytest.raises(EngineError) as caught:
            writer.append(small_record(2))
        assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE
    assert_holds(read_journal(writer.path), small_record(0))


def test_a_failed_sync_is_told_and_no_later_one_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with JournalWriter(tmp_path / "a.journal", HEAD) as writer:
        writer.append(small_record(0))
        with monkeypatch.context() as patch:
            patch.setattr("engine.store.journal.sync_data", failing)
            with pytest.raises(EngineError):
                writer.sync()
        with pytest.raises(EngineError):
            writer.sync()
        with pytest.raises(EngineError):
            writer.append(small_record(1))


def test_a_journal_that_cannot_be_begun_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("engine.store.journal.sync_data", failing)
    with pytest.raises(EngineError) as caught:
        JournalWriter(tmp_path / "a.journal", HEAD)
    assert caught.value.code is ErrorCode.DISK_FULL
    assert list(tmp_path.iterdir()) == []


APPENDING = """
import sys, numpy as np
from pathlib import Path
from engine.store.journal import JournalWriter, Record
writer = JournalWriter(Path(sys.argv[1]), {"run": "a run"})
for number in range(10**6):
    array = np.full((64, 1 + number % 50), number, np.float32)
    writer.append(Record(f"layer.{number}", {"number": number}, {"x": array}))
    writer.sync()
    print(number, flush=True)
"""


def test_a_killed_process_leaves_every_record_that_it_had_synced(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with subprocess.Popen([sys.executable, "-c", APPENDING, str(path)], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 100:
                break
        process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        reported = [int(line), *(int(rest) for rest in process.stdout.read().split())][-1]
    entries = read_journal(path).entries
    assert [entry.name for entry in entries] == [f"layer.{number}" for number in range(len(entries))]
    assert len(entries) > reported
    for number, entry in enumerate(entries):
        assert entry.fields == {"number": number}
        assert (entry.load().arrays["x"] == number).all()
