"""A pickle that wants more than tensors is refused by the name it gave, and nothing of it ran; none can do harm."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import pickletools
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import matrices

from app.text.errors import error_text
from engine.checkpoints import open_checkpoint
from engine.checkpoints.containers import pickle_machine
from engine.errors import EngineError, ErrorCode

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
SYSTEM = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
MOST_MEMORY = 20 << 20


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


class Unknown:
    """A class of somebody's own."""

    def __init__(self) -> None:
        self.state = 1


def archive(path: Path, data: bytes, **more: bytes) -> Path:
    """A file as torch.save writes it, with any pickle."""
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("archive/data.pkl", data)
        zipped.writestr("archive/byteorder", "little")
        for name, content in more.items():
            zipped.writestr(f"archive/data/{name}", content)
    return path


def legacy(path: Path, data: bytes, keys: list[Any] = [], tail: bytes = b"") -> Path:  # noqa: B006
    path.write_bytes(MAGIC + SYSTEM + data + pickle.dumps(keys, 2) + tail)
    return path


FORMS = pytest.mark.parametrize("write", [archive, legacy])


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach them soon: watching every piece of memory takes its time."""
    monkeypatch.setattr(pickle_machine, "MOST_INSTRUCTIONS", 100_000)
    monkeypatch.setattr(pickle_machine, "MOST_CONTAINERS", 50_000)


def refused(path: Path) -> EngineError:
    """The error, after making sure that neither much memory was taken nor anything outside was opened."""
    tracemalloc.start()
    try:
        with pytest.raises(EngineError) as caught:
            open_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert all(error_text(caught.value))
    return caught.value


def tensor(key: str = "0", numel: object = 4, shape: object = (4,), strides: object = (1,), start: object = 0) -> bytes:
    """The instructions of ``{"w": tensor}`` with a storage of float32."""
    return (
        b"\x80\x02}X\x01\x00\x00\x00w" b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + b"X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        + _plain(key) + _plain("cpu") + _plain(numel) + b"tQ"
        + _plain(start) + _plain(shape) + _plain(strides)
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


def _plain(value: object) -> bytes:
    """The instructions of a plain value, without the end and the memo."""
    text = pickle.dumps(value, 2)
    return b"".join(bytes(part) for part in _without_memo(text[2:-1]))


def _without_memo(data: bytes) -> Iterator[bytes]:
    positions = [(op.name, position) for op, _, position in pickletools.genops(b"\x80\x02" + data + b".")]
    for (name, begin), (_, end) in pairwise(positions):
        if name not in ("PROTO", "BINPUT", "LONG_BINPUT"):
            yield (b"\x80\x02" + data)[begin:end]


@FORMS
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Calls(os.system, "touch {mark}"), "system"),
        (Calls(builtins.eval, "open('{mark}', 'w')"), "eval"),
        (Calls(builtins.exec, "open('{mark}', 'w')"), "exec"),
        (Calls(getattr, os, "getpid"), "getattr"),
        (Calls(open, "{mark}", "w"), "io.open"),
        (Calls(__import__, "os"), "import__"),
        (Calls(torch.load, "{mark}"), "torch.serialization.load"),
        (Calls(torch.storage._load_from_bytes, b"x"), "torch.storage._load_from_bytes"),
        (Unknown(), f"{__name__}.Unknown"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"w": torch.eye(3).to_sparse()}, "torch._utils._rebuild_sparse_tensor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_tensor_is_refused_by_its_name_and_does_not_run(
    write: Callable[..., Path], value: Any, name: str, tmp_path: Path
) -> None:
    mark = tmp_path / "it ran"
    if isinstance(value, Calls):
        function, arguments = value.call
        texts = [text.format(mark=mark) if isinstance(text, str) else text for text in arguments]
        if any(argument is os for argument in texts):
            texts[0] = "os"
        value = Calls(function, *texts)
    if isinstance(value, (Calls, Unknown)):
        path = write(tmp_path / "model.pt", pickle.dumps({"state_dict": matrices(0), "x": value}, 2))
    else:
        path = tmp_path / "model.pt"
        torch.save(value, path, _use_new_zipfile_serialization=write is archive)
    error = refused(path)
    assert error.code is ErrorCode.PICKLE_REFUSED
    assert str(error.data["name"]).endswith(name)
    assert name in error_text(error)[0]
    assert not mark.exists()


@FORMS
@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_call_is_refused_in_every_protocol(write: Callable[..., Path], protocol: int, tmp_path: Path) -> None:
    path = write(tmp_path / "model.pt", pickle.dumps(Calls(os.system, "true"), protocol))
    assert refused(path).code is ErrorCode.PICKLE_REFUSED


def test_a_name_that_is_put_together_on_the_stack_is_refused_too(tmp_path: Path) -> None:
    data = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."
    assert refused(archive(tmp_path / "model.pt", data)).data["name"] == "os.system"


@pytest.mark.parametrize(
    "name",
    [
        "torch._utils._rebuild_tensor_v2.__globals__",
        "torch.FloatStorage.__init__",
        "torch._utils.os",
        "collections.abc",
    ],
)
def test_a_name_behind_one_of_the_list_is_not_on_it(name: str, tmp_path: Path) -> None:
    module, _, last = name.rpartition(".")
    texts = [text.encode() for text in (module, last)]
    data = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(text)]) + text for text in texts) + b"\x93."
    assert refused(archive(tmp_path / "model.pt", data)).code is ErrorCode.PICKLE_REFUSED


def _laughs() -> bytes:
    """Lists of lists of lists, each ten times the same: a little file that would be enormous if it were written out."""
    data = b"\x80\x02]q\x00"
    for place in range(1, 200):
        data += b"](" + b"h" + bytes([place - 1]) + b"".join(b"h" + bytes([place - 1]) for _ in range(9)) + b"e"
        data += b"q" + bytes([place])
    return data + b"."


HOSTILE = {
    "memo at a huge place": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "memo at a huge place as text": b"\x80\x02Np99999999999999\n.",
    "memo that was never filled": b"\x80\x02h\x05.",
    "a text of four gigabytes": b"\x80\x02X\xff\xff\xff\xffabc.",
    "a text of many exabytes": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"abc.",
    "bytes of many exabytes": b"\x80\x05\x8e" + struct.pack("<Q", (1 << 64) - 1) + b"abc.",
    "an array of many exabytes": b"\x80\x05\x96" + struct.pack("<Q", (1 << 63) + 5) + b"abc.",
    "a negative length": b"\x80\x02T\xff\xff\xff\xff.",
    "a negative whole number's length": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "a whole number of a megabyte": b"\x80\x02\x8b\x00\x00\x10\x00" + b"\xff" * (1 << 20) + b".",
    "a number of many digits": b"\x80\x02I" + b"9" * 100_000 + b"\n.",
    "marks in marks": b"\x80\x02" + b"(" * 40_000 + b".",
    "lists in lists": b"\x80\x02" + b"]" * 40_000 + b"a" * 39_999 + b".",
    "tuples in tuples": b"\x80\x02)" + b"\x85" * 40_000 + b".",
    "a key of tuples in tuples": b"\x80\x02})" + b"\x85" * 40_000 + b"Ns.",
    "more lists than a model has": b"\x80\x02" + b"]" * 60_000 + b".",
    "more instructions than a model has": b"\x80\x02" + b"N0" * 60_000 + b"N.",
    "a billion laughs": _laughs(),
    "a list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "a table that holds itself": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
    "nothing": b"",
    "no end": b"\x80\x02}",
    "an end alone": b".",
    "an end in a list": b"\x80\x02(N.",
    "pop of nothing": b"\x80\x020.",
    "a tuple of too little": b"\x80\x02N\x87.",
    "an append to a number": b"\x80\x02K\x01K\x02a.",
    "a call of a number": b"\x80\x02K\x01)R.",
    "a state for a number": b"\x80\x02K\x01}b.",
    "an object of nothing": b"\x80\x02(o.",
    "an extension": b"\x80\x02\x82\x01.",
    "an unknown instruction": b"\x80\x02\xfe.",
    "a persistent id of one number": b"\x80\x02K\x05Q.",
    "a persistent id as text": b"\x80\x02Pstorage\n.",
    "a persistent id of lists": b"\x80\x02]Q.",
    "a persistent id with a list for a key": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n]]K\x04tQ.",
    "a storage of a negative size": tensor(numel=-4),
    "a storage of a huge size": tensor(numel=1 << 62, shape=(1 << 62,)),
    "a shape of huge sizes": tensor(shape=(1 << 61, 1 << 61), strides=(0, 0)),
    "a huge dimension without elements": tensor(shape=(0, 1 << 61), strides=(1 << 61, 1)),
    "a shape of true": tensor(shape=(True,)),
    "a shape of texts": tensor(shape=("4",)),
    "a negative stride": tensor(strides=(-1,)),
    "a negative start": tensor(start=-4),
    "a start behind the end": tensor(start=2),
    "a start far behind the end": tensor(start=1 << 61),
    "too few strides": tensor(strides=()),
    "a stride over the end": tensor(strides=(1000,)),
    "a storage that is not there": tensor(key="1"),
    "a storage whose key leads out": tensor(key="../../secret"),
    "a storage of another size": tensor(numel=5),
    "text that is no UTF-8": b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "a name with half a surrogate": b"\x80\x02}V\\ud800\n" + tensor()[11:-2] + b"s.",
}  # fmt: skip
FINE = {"a huge dimension without elements"}  # nothing lies there, and nothing is read


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_pickle_gives_a_plain_error(what: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "model.pt", HOSTILE[what], **{"0": struct.pack("<4f", 1, 2, 3, 4)})
    if what in FINE:
        with open_checkpoint(path) as model:
            assert model.stored["w"].nbytes == 0
        return
    error = refused(path)
    assert error.code in (ErrorCode.HEADER_INVALID, ErrorCode.NOT_A_MODEL, ErrorCode.PICKLE_REFUSED), error


@pytest.mark.parametrize("what", [what for what in HOSTILE if not what.startswith("more ")])
def test_a_hostile_pickle_in_the_older_form_gives_a_plain_error(what: str, tmp_path: Path) -> None:
    data = struct.pack("<q", 4) + struct.pack("<4f", 1, 2, 3, 4)
    path = legacy(tmp_path / "model.pt", HOSTILE[what], ["0"], data)
    if what in FINE:
        open_checkpoint(path).close()
        return
    assert refused(path).code in (ErrorCode.HEADER_INVALID, ErrorCode.NOT_A_MODEL, ErrorCode.PICKLE_REFUSED)


def test_the_file_of_these_tests_is_right_without_the_hostility(tmp_path: Path) -> None:
    numbers = struct.pack("<4f", 1, 2, 3, 4)
    zipped = archive(tmp_path / "zip.pt", tensor(), **{"0": numbers})
    older = legacy(tmp_path / "legacy.pt", tensor(), ["0"], struct.pack("<q", 4) + numbers)
    for path in (zipped, older):
        with open_checkpoint(path) as model:
            part, buffer = model.stored["w"], bytearray(16)
            model.read_into(part, memoryview(buffer))
            assert (part.shape, bytes(buffer)) == ((4,), numbers)


@pytest.mark.parametrize("keys", [[], ["0", "0"], ["1"], [0], "0", ["0", "1"], [["0"]], None])
def test_storages_in_an_order_that_makes_no_sense_are_refused(keys: Any, tmp_path: Path) -> None:
    data = struct.pack("<q4f", 4, 1, 2, 3, 4) * 2
    assert refused(legacy(tmp_path / "model.pt", tensor(), keys, data)).code is ErrorCode.HEADER_INVALID


@pytest.mark.parametrize(
    "tail", [b"", b"\x04", struct.pack("<q", 4), struct.pack("<q4f", 5, 1, 2, 3, 4), struct.pack("<q3f", 4, 1, 2, 3)]
)
def test_a_file_of_the_older_form_that_is_cut_off_is_named(tail: bytes, tmp_path: Path) -> None:
    error = refused(legacy(tmp_path / "model.pt", tensor(), ["0"], tail))
    assert error.code in (ErrorCode.FILE_TRUNCATED, ErrorCode.HEADER_INVALID)


def test_numbers_the_other_way_round_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("archive/data.pkl", tensor())
        zipped.writestr("archive/byteorder", "big")
        zipped.writestr("archive/data/0", bytes(16))
    assert refused(path).data["reason"] == "byte_order"
    system = pickle.dumps({"little_endian": False}, 2)
    path.write_bytes(MAGIC + system + tensor() + pickle.dumps(["0"], 2) + struct.pack("<q4f", 4, 1, 2, 3, 4))
    assert refused(path).data["reason"] == "byte_order"


@pytest.mark.parametrize("packed", ["data.pkl", "data/0"])
def test_a_compressed_entry_is_refused_by_name(packed: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in (("data.pkl", tensor()), ("data/0", bytes(16))):
            kind = zipfile.ZIP_DEFLATED if name == packed else zipfile.ZIP_STORED
            zipped.writestr(f"archive/{name}", content, compress_type=kind)
    error = refused(path)
    assert (error.code, error.tensor) == (ErrorCode.UNSUPPORTED_CONTAINER, f"archive/{packed}")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("archive/data.pkl", bytes(300 << 20))
    assert path.stat().st_size < 1 << 20
    assert refused(path).code is ErrorCode.UNSUPPORTED_CONTAINER


def test_a_program_of_torch_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as zipped:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            zipped.writestr(f"archive/{name}", tensor())
    assert refused(path).data["container"] == "TorchScript"


@pytest.mark.parametrize("names", [[], ["readme.txt"], ["a/data.pkl", "b/data.pkl"], ["a/b/data.pkl"]])
def test_another_zip_archive_says_so(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("first", "x")
        for name in names:
            zipped.writestr(name, tensor())
    assert (refused(path).code, refused(path).data["reason"]) == (ErrorCode.NOT_A_MODEL, "plain_zip")


@pytest.mark.parametrize("value", [{}, [1, 2], {"a": 1}, "text"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_another_pickle_says_so(value: Any, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(value, protocol))
    assert (refused(path).code, refused(path).data["reason"]) == (ErrorCode.NOT_A_MODEL, "plain_pickle")


@pytest.mark.parametrize("value", [{}, [torch.ones(2)], {"a": 1}, "text", torch.ones(3), {1: torch.ones(2)}])
def test_a_file_of_torch_without_a_model_says_so(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(value, path)
    assert (refused(path).code, refused(path).data["reason"]) == (ErrorCode.NOT_A_MODEL, "no_tensors")


def _directory(path: Path) -> tuple[bytearray, int, int]:
    """The bytes of an archive, and where its directory and its end begin."""
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\5\6")
    return data, struct.unpack_from("<I", data, end + 16)[0], end


def _edits() -> dict[str, Callable[[bytearray, int, int], None]]:
    def put(form: str, *values: int) -> Callable[[bytearray, int], None]:
        return lambda data, place: struct.pack_into(form, data, place, *values)

    def second(data: bytearray, directory: int) -> int:
        return data.find(b"PK\1\2", directory + 4)

    return {
        "more entries than there are": lambda data, _, end: put("<HH", 9, 9)(data, end + 8),
        "fewer bytes than entries": lambda data, _, end: put("<I", 10)(data, end + 12),
        "a huge directory": lambda data, _, end: put("<I", 0xFFFFFFF0)(data, end + 12),
        "a directory behind the end": lambda data, _, end: put("<I", end + 100)(data, end + 16),
        "a directory elsewhere": lambda data, place, end: put("<I", place - 7)(data, end + 16),
        "64 bits without their record": lambda data, _, end: put("<I", 0xFFFFFFFF)(data, end + 16),
        "another disk": lambda data, _, end: put("<H", 3)(data, end + 4),
        "an entry at the place of another": lambda data, place, _: put("<I", 0)(data, second(data, place) + 42),
        "an entry behind the end": lambda data, place, end: put("<I", end)(data, place + 42),
        "an entry far behind the end": lambda data, place, _: put("<I", 0xFFFFFFF0)(data, place + 42),
        "a size behind the end": lambda data, place, end: put("<II", end, end)(data, place + 20),
        "a size over the next entry": lambda data, place, _: put("<II", 700, 700)(data, place + 20),
        "a size of 64 bits without the field": lambda data, place, _: put("<I", 0xFFFFFFFF)(data, place + 24),
        "two sizes": lambda data, place, _: put("<I", 5)(data, place + 20),
        "a name longer than the directory": lambda data, place, _: put("<H", 0xFFFF)(data, place + 28),
        "an encrypted entry": lambda data, place, _: put("<H", 1)(data, place + 8),
        "another name than the entry's own": lambda data, place, _: data.__setitem__(place + 46, ord("b")),
        "another method than the entry's own": lambda data, place, _: put("<H", 8)(data, place + 10),
        "no entry where it should be": lambda data, *_: data.__setitem__(0, ord("X")),
        "no end": lambda data, _, end: data.__setitem__(end, ord("X")),
    }


@pytest.mark.parametrize("what", _edits())
def test_a_directory_that_lies_is_found_out(what: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "model.pt", tensor(), **{"0": bytes(16), "filling": bytes(600)})
    data, directory, end = _directory(path)
    _edits()[what](data, directory, end)
    path.write_bytes(data)
    assert refused(path).code in (
        ErrorCode.HEADER_INVALID, ErrorCode.NOT_A_MODEL, ErrorCode.UNSUPPORTED_CONTAINER
    )  # fmt: skip


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("archive/data.pkl", tensor())
        zipped.writestr("archive/data/0", bytes(16))
        with pytest.warns(UserWarning, match="Duplicate name"):
            zipped.writestr("archive/data/0", b"\1" * 16)
    error = refused(path)
    assert (error.code, error.tensor) == (ErrorCode.HEADER_INVALID, "archive/data/0")


def test_an_archive_with_sizes_of_64_bits_is_read(tmp_path: Path) -> None:
    path, numbers = tmp_path / "model.pt", struct.pack("<4f", 1, 2, 3, 4)
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in (("data.pkl", tensor()), ("data/0", numbers)):
            with zipped.open(f"archive/{name}", "w", force_zip64=True) as entry:
                entry.write(content)
    with open_checkpoint(path) as model:
        assert model.stored["w"].nbytes == 16


@pytest.mark.skipif(sys.platform != "linux", reason="needs files with holes")
def test_an_archive_beyond_four_gigabytes_is_read_where_torch_put_its_numbers(tmp_path: Path) -> None:
    """The records of 64 bits, as they stand behind a large entry: written by hand around a hole."""
    path, size = tmp_path / "model.pt", 5 << 30
    entries = [(b"archive/data.pkl", tensor(numel=size // 4, start=size // 4 - 4)), (b"archive/data/0", None)]
    central, offset = io.BytesIO(), 0
    with path.open("wb") as stream:
        for name, content in entries:
            length = size if content is None else len(content)
            extra = struct.pack("<HHQQQ", 1, 24, length, length, offset)
            sizes = (0xFFFFFFFF, 0xFFFFFFFF)
            stream.write(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 45, 0, 0, 0, 0, 0, *sizes, len(name), 0) + name)
            stream.write(content or b"")
            central.write(
                struct.pack(
                    "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 45, 45, 0, 0, 0, 0, 0, *sizes, len(name), len(extra), 0, 0, 0, 0,
                    0xFFFFFFFF,
                ) + name + extra
            )  # fmt: skip
            offset = stream.tell() if content else stream.tell() + size
            stream.truncate(offset)
            stream.seek(offset)
        stream.seek(-4, os.SEEK_CUR)
        stream.write(struct.pack("<f", 7))
        directory = central.getvalue()
        stream.write(directory)
        end = stream.tell()
        stream.write(struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(directory), offset))
        stream.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
        stream.write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    with zipfile.ZipFile(path) as other:
        assert [entry.file_size for entry in other.infolist()] == [len(entries[0][1] or b""), size]
    with open_checkpoint(path) as model:
        buffer = bytearray(16)
        model.read_into(model.stored["w"], memoryview(buffer))
        assert struct.unpack("<4f", buffer) == (0, 0, 0, 7)
