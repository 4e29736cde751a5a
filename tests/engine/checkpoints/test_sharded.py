"""A model in several files is opened whole, whichever of them is chosen; whatever does not fit together is named."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from model_files import Tensors, matrices, save_model
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

from app.text.errors import error_text
from app.text.notices import notice_text
from engine.checkpoints import Checkpoint, open_checkpoint
from engine.checkpoints.header_snapshot import HeaderSnapshot, remember
from engine.checkpoints.pair_ref import ModelRef
from engine.checkpoints.tensors import read_stored
from engine.errors import EngineError, ErrorCode
from engine.events import NoticeCode
from engine.planning.inspection import inspect_model, open_model
from engine.session import Session

INDEX = "model.safetensors.index.json"


def shards(count: int) -> list[str]:
    return [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]


def save_shards(folder: Path, tensors: Tensors, count: int = 3, *, index: bool = True) -> Path:
    """The tensors in turn in numbered files; returns the folder."""
    folder.mkdir(exist_ok=True)
    parts: list[Tensors] = [{} for _ in range(count)]
    for number, (name, tensor) in enumerate(tensors.items()):
        parts[number % count][name] = tensor
    for file, part in zip(shards(count), parts, strict=True):
        save_model(folder / file, part, {"format": "pt"})
    if index:
        names = {name: shards(count)[number] for number, part in enumerate(parts) for name in part}
        (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": names}))
    return folder


def edit_index(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    table = json.loads((folder / INDEX).read_text())
    change(table["weight_map"])
    (folder / INDEX).write_text(json.dumps(table))


def contents(model: Checkpoint) -> Tensors:
    return {name: read_stored(model, part) for name, part in model.stored.items()}


def refused(path: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        inspect_model(path)
    assert all(error_text(caught.value))
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_shards(tmp_path / "model", matrices(7))


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_language_model_that_transformers_saved_in_parts_has_all_of_its_tensors(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path, max_shard_size="20kB")
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) > 2
    expected: Tensors = {}
    for file in files:
        with safe_open(file, "pt") as shard:
            expected |= {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118
    for chosen in (tmp_path, tmp_path / INDEX, files[1]):
        with open_model(chosen) as model:
            assert same(contents(model), expected)
            assert model.path == tmp_path / INDEX
    summary = inspect_model(tmp_path)
    assert (summary.tensors, summary.files) == (len(expected), len(files))
    assert summary.size_bytes == sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_any_part_that_is_chosen_stands_for_the_whole_and_that_is_said(
    number: int, index: bool, tmp_path: Path
) -> None:
    tensors = matrices(7)
    folder = save_shards(tmp_path / "model", tensors, index=index)
    with open_model(folder / shards(3)[number]) as model:
        assert same(contents(model), tensors)
        (notice,) = model.notices
    assert notice.code is (NoticeCode.PARTS_OPENED if index else NoticeCode.PARTS_WITHOUT_INDEX)
    assert shards(3)[number] in notice_text(notice)
    assert "3" in notice_text(notice)


def test_parts_with_any_names_are_known_by_their_index(tmp_path: Path) -> None:
    tensors = matrices(4)
    halves = dict(list(tensors.items())[:2]), dict(list(tensors.items())[2:])
    names = {name: file for half, file in zip(halves, "ab", strict=True) for name in half}
    for half, file in zip(halves, "ab", strict=True):
        save_model(tmp_path / f"{file}.safetensors", half)
    table = {"weight_map": {name: f"{file}.safetensors" for name, file in names.items()}}
    (tmp_path / INDEX).write_text(json.dumps(table))
    for chosen in (tmp_path, tmp_path / INDEX, tmp_path / "b.safetensors"):
        with open_model(chosen) as model:
            assert same(contents(model), tensors)


def test_a_folder_of_numbered_parts_without_an_index_is_one_model(tmp_path: Path) -> None:
    folder = save_shards(tmp_path / "model", matrices(5), index=False)
    summary = inspect_model(folder)
    assert (summary.tensors, summary.files, summary.name) == (5, 3, "model")


@pytest.mark.parametrize("index", [True, False])
def test_a_missing_part_is_named(index: bool, tmp_path: Path) -> None:
    folder = save_shards(tmp_path / "model", matrices(5), index=index)
    missing = folder / shards(3)[1]
    missing.unlink()
    for chosen in (folder, folder / shards(3)[0], *((folder / INDEX,) if index else ())):
        error = refused(chosen)
        assert (error.code, error.file) == (ErrorCode.SHARD_MISSING, str(missing))
        assert missing.name in " ".join(error_text(error))


def test_a_link_that_leads_nowhere_is_a_missing_part(folder: Path) -> None:
    missing = folder / shards(3)[2]
    missing.unlink()
    missing.symlink_to("../blobs/gone")
    assert refused(folder).file == str(missing)


def test_a_tensor_that_is_not_where_the_index_says_is_named_with_the_part(folder: Path) -> None:
    edit_index(folder, lambda names: names.update({"lost.weight": shards(3)[1]}))
    error = refused(folder)
    assert (error.code, error.tensor) == (ErrorCode.INDEX_INVALID, "lost.weight")
    assert shards(3)[1] in error_text(error)[0]


def test_a_tensor_that_the_index_does_not_name_is_named(folder: Path) -> None:
    name = next(iter(matrices(1)))
    edit_index(folder, lambda names: names.pop(name))
    error = refused(folder)
    assert (error.code, error.tensor, error.data["reason"]) == (ErrorCode.INDEX_INVALID, name, "unnamed")


def test_a_tensor_in_another_part_than_the_index_says_is_named(folder: Path) -> None:
    name = next(iter(matrices(1)))
    edit_index(folder, lambda names: names.update({name: shards(3)[2]}))
    error = refused(folder)
    assert (error.tensor, error.data["part"], error.data["other"]) == (name, shards(3)[0], shards(3)[2])


@pytest.mark.parametrize("index", [True, False])
def test_a_tensor_in_two_parts_is_named_with_both(index: bool, tmp_path: Path) -> None:
    folder = save_shards(tmp_path / "model", matrices(6), index=index)
    tensors = matrices(2)
    save_model(folder / shards(3)[1], tensors)
    name = next(iter(tensors))
    error = refused(folder)
    assert (error.code, error.tensor, error.data["reason"]) == (ErrorCode.INDEX_INVALID, name, "twice")
    assert all(file in error_text(error)[0] for file in shards(3)[:2])


def test_a_name_that_stands_twice_in_the_index_is_refused(folder: Path) -> None:
    name = next(iter(matrices(1)))
    text = (folder / INDEX).read_text()
    (folder / INDEX).write_text(text.replace('"weight_map": {', f'"weight_map": {{"{name}": "other.safetensors", '))
    error = refused(folder)
    assert (error.code, error.tensor, error.data["reason"]) == (ErrorCode.INDEX_INVALID, name, "named_twice")


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors", "..", ".", "", "/etc/passwd", "sub/part.safetensors", "sub\\part.safetensors",
        "C:part.safetensors", "C:\\part.safetensors", "\\\\server\\part", "part\0.safetensors", "part\n.safetensors",
        "CON", "nul.safetensors", "Com1.safetensors", "LPT9", "conin$", "part.", " part", "x" * 300, 5, None, ["a"],
    ],
)  # fmt: skip
def test_an_index_cannot_lead_out_of_its_folder(name: object, folder: Path) -> None:
    save_model(folder.parent / "outside.safetensors", matrices(1))
    edit_index(folder, lambda names: names.update({"x.weight": name}))  # type: ignore[dict-item]
    for chosen in (folder / INDEX, folder / shards(3)[0], folder):
        error = refused(chosen)
        assert (error.code, error.data["reason"]) == (ErrorCode.INDEX_INVALID, "part_name")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000, "\ud800"]
)
def test_what_is_no_index_says_so(text: str, folder: Path) -> None:
    (folder / INDEX).write_bytes(text.encode("utf-8", "surrogatepass"))
    for chosen in (folder / INDEX, folder / shards(3)[0], folder):
        assert refused(chosen).code is ErrorCode.INDEX_INVALID


def test_a_part_that_is_cut_off_is_named(folder: Path) -> None:
    part = folder / shards(3)[1]
    os.truncate(part, part.stat().st_size - 1)
    error = refused(folder)
    assert (error.code, error.file) == (ErrorCode.FILE_TRUNCATED, str(part))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a named pipe")
def test_a_part_that_is_a_pipe_is_not_waited_for(folder: Path) -> None:
    (folder / shards(3)[1]).unlink()
    os.mkfifo(folder / shards(3)[1])
    assert refused(folder).code is ErrorCode.FILE_UNREADABLE


def test_parts_that_are_links_are_read_where_they_lead(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    for number, name in enumerate(shards(3)):
        (folder / name).rename(tmp_path / "blobs" / str(number))
        (folder / name).symlink_to(f"../blobs/{number}")
    with open_model(folder) as model:
        assert same(contents(model), matrices(7))
    assert inspect_model(folder).link == tmp_path / "blobs" / "0"


def test_the_same_model_twice_is_known_whatever_was_chosen(folder: Path) -> None:
    with pytest.raises(EngineError) as caught:
        Session(folder / shards(3)[0], folder / INDEX)
    assert caught.value.code is ErrorCode.SAME_FILE


def test_a_model_in_parts_pairs_with_one_in_a_single_file(tmp_path: Path) -> None:
    tuned = save_shards(tmp_path / "tuned", matrices(7, seed=50))
    base = save_model(tmp_path / "base.safetensors", matrices(7))
    with Session(tuned, base) as session:
        assert len(session.pairing.weights) == 7
        assert session.pairing.left_out == ()


def test_a_changed_byte_in_any_part_changes_the_fingerprint(tmp_path: Path) -> None:
    folder = save_shards(tmp_path / "model", matrices(6))
    seen = set()
    for name in (None, *shards(3)):
        if name is not None:
            with (folder / name).open("r+b") as stream:
                stream.seek(-1, os.SEEK_END)
                last = stream.read(1)
                stream.seek(-1, os.SEEK_END)
                stream.write(bytes([last[0] ^ 1]))
        with open_model(folder) as model:
            seen.add(model.fingerprint())
    assert len(seen) == 4


def test_a_part_that_changed_since_it_was_opened_is_named(folder: Path) -> None:
    with open_model(folder) as model:
        model.check_unchanged()
        with (folder / shards(3)[2]).open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(EngineError) as caught:
            model.check_unchanged()
    assert (caught.value.code, caught.value.file) == (ErrorCode.INPUT_CHANGED, str(folder / shards(3)[2]))


def test_a_model_in_parts_opens_again_from_its_reference(folder: Path) -> None:
    with open_model(folder / shards(3)[1]) as model:
        reference = ModelRef.of(model)
        with reference.open() as again:
            assert same(contents(again), contents(model))
    save_shards(folder, matrices(7, seed=3))
    with pytest.raises(EngineError) as caught:
        reference.open()
    assert caught.value.code is ErrorCode.INPUT_CHANGED


def test_the_headers_of_all_parts_are_remembered(folder: Path) -> None:
    with open_model(folder) as model:
        snapshot = HeaderSnapshot(json.loads(json.dumps(remember(model))))
        assert snapshot.weights.keys() == model.weights.keys()
        assert (snapshot.fingerprint(), snapshot.name) == (model.fingerprint(), model.name)


def test_more_files_than_a_process_may_open_are_read(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    tensors = matrices(300)
    for name in ("tuned", "base"):
        save_shards(tmp_path / name, tensors, 150)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open_model(tmp_path / "tuned") as tuned, open_model(tmp_path / "base") as base:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 8, hard))
            for model in (tuned, base, tuned):
                assert same(contents(model), tensors)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(os.listdir("/dev/fd")) < 150


def test_a_part_that_was_replaced_while_it_was_closed_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.checkpoints.model_file._MOST_OPEN", 1)
    with open_model(folder) as model:
        part = folder / shards(3)[0]
        contents_before = part.read_bytes()
        part.unlink()
        part.write_bytes(contents_before)
        with pytest.raises(EngineError) as caught:
            contents(model)
    assert (caught.value.code, caught.value.file) == (ErrorCode.INPUT_CHANGED, str(part))


def test_one_file_that_is_no_part_is_opened_alone(folder: Path) -> None:
    alone = save_model(folder / "alone.safetensors", matrices(1))
    with open_checkpoint(alone) as model:
        assert (model.path, model.notices, len(model.files)) == (alone, (), 1)
