"""GGUF files: what the gguf package writes is opened, what cannot be true is refused before it is believed."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf_files import (
    GgufModel,
    RawGguf,
    array_entry,
    entry,
    random_rows,
    save_gguf,
    string_entry,
    tensor_entry,
    text,
)
from model_files import random_tensor

from engine.checkpoints import WeightView, open_checkpoint
from engine.checkpoints.containers.gguf_header import MAX_ENTRIES
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError, ErrorCode
from engine.events import NoticeCode
from engine.planning.inspection import inspect_model, open_model

PLAIN = {
    "a.weight": random_tensor(6, 4, seed=1),
    "b.weight": random_tensor(5, 3, 2, seed=2).half(),
    "c.weight": random_tensor(2, 3, 4, 5, seed=3).bfloat16(),
    "d.bias": random_tensor(7, seed=4).double(),
    "e.count": torch.arange(6, dtype=torch.int32),
}
FOUR = struct.pack("<4f", 1, 2, 3, 4)
ONE = tensor_entry("a.weight", [4], 0, 0)


def refused(path: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        open_checkpoint(path).close()
    return caught.value


@pytest.mark.shows(container="GGUF", encoding="raw")
@pytest.mark.parametrize("alignment", [32, 8, 4096])
def test_plain_numbers_are_read_as_the_package_wrote_them(tmp_path: Path, alignment: int) -> None:
    content = GgufModel(PLAIN, metadata={"general.alignment": alignment} if alignment != 32 else {})
    with open_checkpoint(save_gguf(tmp_path / "m.gguf", content)) as model:
        assert model.container == "GGUF"
        assert set(model.stored) == set(PLAIN)
        for name, tensor in PLAIN.items():
            assert torch.equal(read_view(model, WeightView.of(model.weights[name], "")), tensor), name


def test_five_dimensions_and_original_shapes(tmp_path: Path) -> None:
    """A tensor of five dimensions occurs as it is; a convolution whose rows are no blocks was reshaped, and says it."""
    blocks = random_rows("Q4_K", 36, 256, seed=1)
    entries = [array_entry("comfy.gguf.orig_shape.conv.weight", 5, 4, struct.pack("<4i", 64, 16, 3, 3))]
    tensors = [tensor_entry("conv.weight", [256, 36], 12, 0), tensor_entry("patch.weight", [2, 2, 1, 3, 5], 0, 5184)]
    values = np.arange(60, dtype="<f4")
    path = RawGguf(entries, tensors, data=blocks.tobytes() + values.tobytes()).save(tmp_path / "m.gguf")
    with open_checkpoint(path) as model:
        assert model.weights["conv.weight"].shape == (64, 16, 3, 3)
        assert model.stored["conv.weight"].dtype == "Q4_K"
        found = read_view(model, WeightView.of(model.weights["patch.weight"], ""))
    assert torch.equal(found, torch.from_numpy(values).reshape(5, 3, 1, 2, 2))


def test_the_texts_of_the_header_are_the_metadata(tmp_path: Path) -> None:
    metadata = {"general.name": "Größe", "flux.block_count": 19, "flux.list": [1, 2], "tokenizer.ggml.model": "bpe"}
    with open_checkpoint(save_gguf(tmp_path / "m.gguf", GgufModel(PLAIN, metadata=metadata))) as model:
        texts = dict(model.metadata)
    assert texts == {
        "GGUF.version": "3",
        "general.architecture": "flux",
        "general.name": "Größe",
        "flux.block_count": "19",
        "flux.list": "[1, 2]",
    }


def test_version_2_is_read(tmp_path: Path) -> None:
    with open_checkpoint(RawGguf(tensors=[ONE], data=FOUR, version=2).save(tmp_path / "m.gguf")) as model:
        assert read_view(model, WeightView.of(model.weights["a.weight"], "")).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("version", "says"), [(1, "version 1"), (4, "version 4"), (3 << 24, "big-endian"), (2 << 24, "big-endian")]
)
def test_other_versions_and_byte_orders_are_refused_by_name(tmp_path: Path, version: int, says: str) -> None:
    error = refused(RawGguf(tensors=[ONE], data=FOUR, version=version).save(tmp_path / "m.gguf"))
    assert error.code is ErrorCode.UNSUPPORTED_CONTAINER
    assert says in error.data["container"]


def test_big_endian_files_of_the_package_are_refused_by_name(tmp_path: Path) -> None:
    import gguf

    path = save_gguf(tmp_path / "m.gguf", GgufModel({"a.weight": PLAIN["a.weight"]}), endianess=gguf.GGUFEndian.BIG)
    assert "big-endian" in refused(path).data["container"]


def deep(levels: int) -> bytes:
    """An array in an array in an array ..., as an entry."""
    items = struct.pack("<IQ", 0, 0)
    for _ in range(levels - 2):
        items = struct.pack("<IQ", 9, 1) + items
    return array_entry("deep", 9, 1, items)


HUGE = (1 << 64) - 1
INVALID = {
    "a billion tensors": RawGguf(tensor_count=10**9),
    "a billion entries": RawGguf(entry_count=10**9),
    "more tensors than there are bytes for": RawGguf(tensor_count=MAX_ENTRIES),
    "an endless key": RawGguf([struct.pack("<Q", HUGE)]),
    "a key that is no text": RawGguf([text(b"\xff\xfe") + struct.pack("<IB", 0, 1)]),
    "an endless text": RawGguf([text("a") + struct.pack("<IQ", 8, HUGE)]),
    "an unknown type of value": RawGguf([entry("a", 13, bytes(99))]),
    "an unknown type of items": RawGguf([array_entry("a", 99, 3, bytes(99))]),
    "an array of a billion texts": RawGguf([array_entry("a", 8, 10**9, b"")]),
    "an array of endless texts": RawGguf([array_entry("a", 8, 2, struct.pack("<QQ", HUGE, HUGE))]),
    "an array of endless numbers": RawGguf([array_entry("a", 10, HUGE, b"")]),
    "an array of a billion arrays": RawGguf([array_entry("a", 9, 10**9, b"")]),
    "arrays that are too deep": RawGguf([deep(6)]),
    "the same key twice": RawGguf([string_entry("a", "b"), string_entry("a", "c")]),
    "an alignment of 0": RawGguf([entry("general.alignment", 4, struct.pack("<I", 0))]),
    "an alignment of 48": RawGguf([entry("general.alignment", 4, struct.pack("<I", 48))]),
    "an alignment in words": RawGguf([string_entry("general.alignment", "32")]),
    "an original shape in words": RawGguf([array_entry("comfy.gguf.orig_shape.a.weight", 8, 1, text("4"))]),
    "an original shape below 0": RawGguf(
        [array_entry("comfy.gguf.orig_shape.a.weight", 5, 2, struct.pack("<2i", -2, -2))], [ONE], FOUR
    ),
    "an original shape of another size": RawGguf(
        [array_entry("comfy.gguf.orig_shape.a.weight", 5, 2, struct.pack("<2i", 2, 3))], [ONE], FOUR
    ),
    "an endless original shape": RawGguf([array_entry("comfy.gguf.orig_shape.a.weight", 5, HUGE, b"")]),
    "an endless name": RawGguf(tensors=[struct.pack("<Q", HUGE) + bytes(40)]),
    "a name that is no text": RawGguf(tensors=[text(b"\xff") + struct.pack("<IQIQ", 1, 4, 0, 0)], data=FOUR),
    "too many dimensions": RawGguf(tensors=[tensor_entry("a.weight", [1] * 9, 0, 0)], data=FOUR),
    "a billion dimensions": RawGguf(tensors=[text("a.weight") + struct.pack("<I", 10**9) + bytes(40)]),
    "a shape that overflows": RawGguf(tensors=[tensor_entry("a.weight", [1 << 32, 1 << 32], 0, 0)], data=FOUR),
    "a size of 0": RawGguf(tensors=[tensor_entry("a.weight", [0, HUGE], 0, 0)], data=FOUR),
    "a row that is no whole block": RawGguf(tensors=[tensor_entry("a.weight", [48, 2], 2, 0)], data=bytes(54)),
    "blocks without a row": RawGguf(tensors=[tensor_entry("a.weight", [], 2, 0)], data=bytes(54)),
    "an offset between the alignments": RawGguf(tensors=[tensor_entry("a.weight", [4], 0, 16)], data=bytes(64)),
    "tensors that overlap": RawGguf(tensors=[ONE, tensor_entry("b", [8], 0, 0)], data=bytes(64)),
    "the same tensor twice": RawGguf(tensors=[ONE, tensor_entry("a.weight", [4], 0, 32)], data=bytes(64)),
    "a part beyond the last": RawGguf(
        [entry("split.no", 2, struct.pack("<H", 3)), entry("split.count", 2, struct.pack("<H", 2))]
    ),
    "a number of parts in words": RawGguf([string_entry("split.count", "2")]),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_cannot_be_true_is_refused_in_little_memory(case: str, tmp_path: Path) -> None:
    path = INVALID[case].save(tmp_path / "m.gguf")
    refused(path)  # what is imported is imported
    tracemalloc.start()
    error = refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.code is ErrorCode.HEADER_INVALID
    assert error.file == str(path)
    assert peak < 2_000_000


@pytest.mark.parametrize("claim", ["tensors", "entries"])
def test_a_billion_of_anything_is_refused_even_by_a_file_that_could_hold_them(claim: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    counts = (10**9, 0) if claim == "tensors" else (0, 10**9)
    with path.open("wb") as stream:
        stream.write(b"GGUF" + struct.pack("<IQQ", 3, *counts))
        stream.truncate(100 << 30)  # with a hole: it takes no space
    refused(path)
    tracemalloc.start()
    error = refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.code is ErrorCode.HEADER_INVALID
    assert peak < 2_000_000


def test_a_tensor_of_an_unknown_type_is_named(tmp_path: Path) -> None:
    error = refused(RawGguf(tensors=[tensor_entry("a.weight", [4], 99, 0)], data=FOUR).save(tmp_path / "m.gguf"))
    assert (error.code, error.tensor) == (ErrorCode.UNSUPPORTED_DTYPE, "a.weight")


def test_a_tensor_that_leads_out_of_the_file_is_named(tmp_path: Path) -> None:
    tensors = [ONE, tensor_entry("b.weight", [4], 0, 32)]
    error = refused(RawGguf(tensors=tensors, data=bytes(40)).save(tmp_path / "m.gguf"))
    assert (error.code, error.tensor) == (ErrorCode.FILE_TRUNCATED, "b.weight")
    assert error.data["expected"] - error.data["actual"] == 8


def test_a_file_that_is_cut_anywhere_is_refused_or_read_right(tmp_path: Path) -> None:
    path = save_gguf(tmp_path / "m.gguf", GgufModel(PLAIN, metadata={"tokenizer.ggml.tokens": ["a", "b", "c"]}))
    whole = path.read_bytes()
    with open_checkpoint(path) as model:
        needed = max(part.offset + part.nbytes for part in model.stored.values())
    for length in range(1, needed):
        path.write_bytes(whole[:length])
        assert refused(path).code in (ErrorCode.FILE_TRUNCATED, ErrorCode.HEADER_INVALID, ErrorCode.NOT_A_MODEL)
    path.write_bytes(whole[:needed])
    open_checkpoint(path).close()


def test_a_file_without_tensors_is_no_model(tmp_path: Path) -> None:
    error = refused(RawGguf().save(tmp_path / "m.gguf"))
    assert (error.code, error.data["reason"]) == (ErrorCode.NOT_A_MODEL, "no_tensors")


def test_tokens_are_walked_over_without_being_built(tmp_path: Path) -> None:
    count = 150_000
    tokens = b"".join(text(f"token{number}") for number in range(count))
    merges = b"".join(text(f"to ken{number}") for number in range(count))
    entries = [
        array_entry("tokenizer.ggml.tokens", 8, count, tokens),
        array_entry("tokenizer.ggml.merges", 8, count, merges),
        array_entry("tokenizer.ggml.scores", 6, count, bytes(4 * count)),
        string_entry("tokenizer.chat_template", "x" * 20000),
        array_entry("tokenizer.nested", 9, 2, 2 * (struct.pack("<IQ", 8, 1) + text("a"))),
    ]
    path = RawGguf(entries, [ONE], FOUR).save(tmp_path / "m.gguf")
    tracemalloc.start()
    with open_checkpoint(path) as model:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert read_view(model, WeightView.of(model.weights["a.weight"], "")).tolist() == [1, 2, 3, 4]
        assert set(model.metadata) == {"GGUF.version"}
    assert peak < 5_000_000


def test_types_without_a_decoder_are_described_and_refused_by_name(tmp_path: Path) -> None:
    data = random_rows("IQ2_XXS", 4, 256, seed=1)
    content = GgufModel({"b.bias": PLAIN["d.bias"]}, {"a.weight": ("IQ2_XXS", data)})
    path = save_gguf(tmp_path / "m.gguf", content)
    summary = inspect_model(path)
    assert summary.quantisation == "GGUF IQ2_XXS"
    assert ("IQ2_XXS", 1) in summary.dtypes
    with pytest.raises(EngineError) as caught:
        open_model(path)
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.QUANTISED, "a.weight")


def split(folder: Path) -> list[Path]:
    """A model in three files, as the package splits it."""
    tensors = {f"blocks.{number}.weight": random_tensor(8, 8, seed=number) for number in range(6)}
    save_gguf(folder / "m.gguf", GgufModel(tensors), split_max_tensors=2)
    (folder / "m.gguf").unlink(missing_ok=True)
    return sorted(folder.glob("m-*.gguf"))


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_any_part_opens_the_whole_model_and_it_is_said(tmp_path: Path, chosen: int) -> None:
    parts = split(tmp_path)
    assert [part.name for part in parts] == [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    with open_checkpoint(parts[chosen]) as model, open_checkpoint(parts[0]) as other:
        assert (model.path, model.paths) == (parts[0], tuple(parts))
        for number in range(6):
            view = WeightView.of(model.weights[f"blocks.{number}.weight"], "")
            assert torch.equal(read_view(model, view), random_tensor(8, 8, seed=number))
        (notice,) = model.notices
        assert notice.name == parts[chosen].name
        assert notice.code is NoticeCode.PARTS_OPENED
        assert notice.data == {"files": 3}
        assert model.fingerprint() == other.fingerprint()
        assert model.is_same(other)
        assert model.metadata["general.architecture"] == "flux"


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    parts = split(tmp_path)
    parts[1].unlink()
    error = refused(parts[2])
    assert (error.code, error.file) == (ErrorCode.SHARD_MISSING, str(parts[1]))


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    parts = split(tmp_path)
    second = parts[1].read_bytes()
    for content, reason in (
        (parts[0].read_bytes(), "by its header it is not"),
        (b"{}", "no GGUF file"),
        (second.replace(b"blocks.3.weight", b"blocks.0.weight"), "has it too"),
        (second.replace(b"split.count", b"split.cnuot"), "by its header it is not"),
    ):
        parts[1].write_bytes(content)
        error = refused(parts[0])
        assert (error.code, error.file) == (ErrorCode.HEADER_INVALID, str(parts[1]))
        assert reason in error.data["reason"]
    parts[1].write_bytes(second)
    renamed = parts[0].rename(tmp_path / "other.gguf")
    assert "does not end in -00001-of-00003.gguf" in refused(renamed).data["reason"]


def test_parts_with_fewer_tensors_than_they_speak_of_are_refused(tmp_path: Path) -> None:
    parts = split(tmp_path)
    key = text("split.tensors.count")
    for part in parts:
        raw = bytearray(part.read_bytes())
        at = raw.index(key) + len(key) + 4
        assert raw[at] == 6
        raw[at] = 7
        part.write_bytes(raw)
    assert "speak of 7" in refused(parts[0]).data["reason"]
