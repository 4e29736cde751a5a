"""A folder stands for the one model in it; whatever else it holds is named, with what to do."""

import json
import os
from pathlib import Path

import pytest
import torch
from model_files import PREFIX, Tensors, matrices, save_model

from engine.checkpoints import open_checkpoint
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.planning.inspection import inspect_model
from engine.session import Session


def save_lora(path: Path) -> Path:
    factors = {"lora_up": torch.ones(4, 2), "lora_down": torch.ones(2, 4)}
    return save_model(path, {f"{PREFIX}a.{name}.weight": tensor for name, tensor in factors.items()})


def folder(at: Path, name: str = "model") -> Path:
    (at / name).mkdir()
    return at / name


def numbered(count: int, number: int) -> Tensors:
    """Weights whose names no other number gives."""
    return {f"{number}.{name}": tensor for name, tensor in matrices(count).items()}


def refused(path: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        inspect_model(path)
    with pytest.raises(EngineError) as opening:
        Session(path, path)
    assert (opening.value.code, opening.value.data) == (caught.value.code, caught.value.data)
    return caught.value


@pytest.mark.parametrize("name", ["model.safetensors", "model.sft", "Model.SafeTensors"])
def test_the_one_model_of_a_folder_is_taken_and_named(tmp_path: Path, name: str) -> None:
    inside = folder(tmp_path)
    model = save_model(inside / name, matrices(2))
    save_lora(inside / "style.safetensors")
    (inside / "readme.md").write_text("a model")
    (inside / "._model.safetensors").write_bytes(b"what macOS leaves beside a file on a foreign drive")
    summary = inspect_model(inside)
    assert (summary.path, summary.size_bytes) == (model, model.stat().st_size)


def test_two_folders_make_a_pair_and_the_same_model_twice_is_refused(tmp_path: Path) -> None:
    tuned, base = folder(tmp_path, "tuned"), folder(tmp_path, "base")
    files = [save_model(at / "model.safetensors", matrices(2, seed=index)) for index, at in enumerate((tuned, base))]
    with Session(tuned, base) as session:
        assert (session.finetuned.path, session.original.path) == tuple(files)
        assert len(session.pairing.weights) == 2
    with pytest.raises(EngineError) as caught:
        Session(tuned, files[0])
    assert (caught.value.code, caught.value.file) == (ErrorCode.SAME_FILE, str(files[0]))


def test_several_models_are_named_without_what_is_none(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    for name in ("a", "b"):
        save_model(inside / f"{name}.safetensors", matrices(1))
    save_lora(inside / "lora.safetensors")
    (inside / "broken.safetensors").write_bytes(b"cut off")
    error = refused(inside)
    assert (error.code, error.file) == (ErrorCode.IS_DIRECTORY, str(inside))
    assert error.data == {"reason": "several", "names": ["a.safetensors", "b.safetensors"]}


def test_a_folder_of_files_none_of_which_is_a_model_names_them(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    save_lora(inside / "lora.safetensors")
    (inside / "broken.safetensors").write_bytes(b"cut off")
    assert refused(inside).data == {"reason": "unusable", "names": ["broken.safetensors", "lora.safetensors"]}


def test_of_a_single_file_that_is_no_model_its_own_fault_is_told(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    lora = save_lora(inside / "lora.safetensors")
    error = refused(inside)
    assert (error.code, error.file) == (ErrorCode.NOT_A_MODEL, str(lora))


def test_a_large_collection_is_not_read_through(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    for number in range(33):
        (inside / f"{number:02}.safetensors").write_bytes(b"")
    error = refused(inside)
    assert error.data["reason"] == "several"
    assert len(error.data["names"]) == 33


@pytest.mark.parametrize("content", [(), ("notes.txt",), ("notes.txt", "picture.png")])
def test_a_folder_without_a_model_says_so(tmp_path: Path, content: tuple[str, ...]) -> None:
    inside = folder(tmp_path)
    for name in content:
        (inside / name).write_text("not a model")
    assert refused(inside).data == {"reason": "empty", "names": []}


def test_the_whole_model_beside_its_parts_is_taken_and_said(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    whole = save_model(inside / "model.safetensors", matrices(2))
    for number in (1, 2):
        save_model(inside / f"model-{number:05}-of-00002.safetensors", matrices(1))
    (inside / "model.safetensors.index.json").write_text("not JSON")
    summary = inspect_model(inside)
    assert summary.path == whole
    assert summary.notices == (Notice(NoticeCode.FILE_CHOSEN, whole.name, {"names": ["model.safetensors.index.json"]}),)


def test_the_parts_are_taken_before_a_whole_that_is_not_called_as_transformers_call_theirs(tmp_path: Path) -> None:
    for number in (1, 2):
        save_model(tmp_path / f"model-{number:05}-of-00002.safetensors", numbered(2, number))
    save_model(tmp_path / "consolidated.safetensors", {"layers.0.attention.wq.weight": torch.zeros(64, 64)})
    summary = inspect_model(tmp_path)
    assert (summary.path.name, summary.files) == ("model-00001-of-00002.safetensors", 2)
    (notice,) = (notice for notice in summary.notices if notice.code is NoticeCode.FILE_CHOSEN)
    assert notice.data["names"] == ["consolidated.safetensors"]


def test_a_small_file_beside_a_model_in_parts_is_not_taken_for_it(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    save_model(inside / "extra.safetensors", matrices(1))
    for number in (1, 2):
        save_model(inside / f"model-{number:05}-of-00002.safetensors", numbered(10, number))
    summary = inspect_model(inside)
    assert (summary.path.name, summary.files) == ("model-00001-of-00002.safetensors", 2)


@pytest.mark.parametrize("others", [("fp16",), ("fp16", "non_ema"), ("bf16", "fp16")])
def test_of_variants_the_plain_one_is_taken_and_said(others: tuple[str, ...], tmp_path: Path) -> None:
    inside = folder(tmp_path)
    plain = save_model(inside / "model.safetensors", matrices(1))
    names = [save_model(inside / f"model.{variant}.safetensors", matrices(1)).name for variant in others]
    summary = inspect_model(inside)
    assert summary.path == plain
    assert summary.notices == (Notice(NoticeCode.FILE_CHOSEN, plain.name, {"names": names}),)


def test_a_variant_alone_is_the_model(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    variant = save_model(inside / "model.fp16.safetensors", matrices(1))
    assert inspect_model(inside).path == variant


def test_a_folder_of_the_hugging_face_cache_is_the_state_that_main_names(tmp_path: Path) -> None:
    cache = folder(tmp_path, "models--people--their-model")
    blobs = folder(cache, "blobs")
    for state, seed in (("1" * 40, 1), ("2" * 40, 2), ("3" * 40, 3)):
        blob = save_model(blobs / f"blob{seed}", matrices(2, seed=seed))
        (cache / "snapshots" / state).mkdir(parents=True)
        (cache / "snapshots" / state / "model.safetensors").symlink_to(f"../../blobs/{blob.name}")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("2" * 40)
    summary = inspect_model(cache)
    assert summary.path == cache / "snapshots" / ("2" * 40) / "model.safetensors"
    assert summary.link == blobs / "blob2"


def test_a_part_that_is_chosen_by_its_hash_in_the_cache_stands_for_the_whole_model(tmp_path: Path) -> None:
    cache = folder(tmp_path, "models--people--their-model")
    blobs = folder(cache, "blobs")
    state = cache / "snapshots" / ("1" * 40)
    state.mkdir(parents=True)
    for number in (1, 2):
        save_model(blobs / f"hash{number}", numbered(2, number))
        (state / f"model-{number:05}-of-00002.safetensors").symlink_to(f"../../blobs/hash{number}")
    summary = inspect_model(blobs / "hash2")
    assert (summary.files, summary.tensors, summary.name) == (2, 4, "people/their-model")


@pytest.mark.parametrize("main", ["../../elsewhere", "", "/etc", "nowhere", "a" * 5000])
def test_a_cache_whose_main_leads_nowhere_has_the_newest_state(main: str, tmp_path: Path) -> None:
    cache = folder(tmp_path, "models--people--their-model")
    for number, state in enumerate(("1" * 40, "2" * 40)):
        (cache / "snapshots" / state).mkdir(parents=True)
        save_model(cache / "snapshots" / state / "model.safetensors", matrices(2))
        os.utime(cache / "snapshots" / state, (number, number))
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(main)
    (tmp_path / "elsewhere").mkdir()
    save_model(tmp_path / "elsewhere" / "model.safetensors", matrices(1))
    assert inspect_model(cache).path.parent.name == "2" * 40


def test_the_only_part_of_a_model_is_all_of_it(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    model = save_model(inside / "model-00001-of-00001.safetensors", matrices(2))
    (inside / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a.weight": model.name}}))
    assert inspect_model(inside).path == model


def test_a_lora_is_never_looked_for_in_a_folder(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    save_model(inside / "model.safetensors", matrices(1))
    with pytest.raises(EngineError) as caught:
        open_checkpoint(inside)
    assert caught.value.code is ErrorCode.IS_DIRECTORY
