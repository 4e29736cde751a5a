"""A folder stands for the one model in it; whatever else it holds is named, with what to do."""

import json
from pathlib import Path

import pytest
import torch
from model_files import PREFIX, matrices, save_model

from engine.checkpoints import open_checkpoint
from engine.errors import EngineError, ErrorCode
from engine.planning.inspection import inspect_model
from engine.session import Session


def save_lora(path: Path) -> Path:
    factors = {"lora_up": torch.ones(4, 2), "lora_down": torch.ones(2, 4)}
    return save_model(path, {f"{PREFIX}a.{name}.weight": tensor for name, tensor in factors.items()})


def folder(at: Path, name: str = "model") -> Path:
    (at / name).mkdir()
    return at / name


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


@pytest.mark.parametrize("content", [(), ("notes.txt",), ("model.ckpt", "model.gguf")])
def test_a_folder_without_a_model_says_so(tmp_path: Path, content: tuple[str, ...]) -> None:
    inside = folder(tmp_path)
    for name in content:
        (inside / name).write_text("not a model")
    assert refused(inside).data == {"reason": "empty", "names": []}


@pytest.mark.parametrize(("names", "index"), [("numbered", True), ("numbered", False), ("free", True)])
def test_a_model_in_several_files_is_told_as_such(tmp_path: Path, names: str, index: bool) -> None:
    inside = folder(tmp_path)
    parts = [f"model-{number:05}-of-00002.safetensors" for number in (1, 2)]
    if names == "free":
        parts = ["first.safetensors", "second.safetensors"]
    for part in parts:
        save_model(inside / part, matrices(1))
    if index:
        table = {"weight_map": dict(zip(("a.weight", "b.weight"), parts, strict=True))}
        (inside / "model.safetensors.index.json").write_text(json.dumps(table))
    assert refused(inside).data["reason"] == "sharded"


def test_the_whole_model_beside_its_parts_is_taken(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    whole = save_model(inside / "consolidated.safetensors", matrices(2))
    for number in (1, 2):
        save_model(inside / f"model-{number:05}-of-00002.safetensors", matrices(1))
    (inside / "model.safetensors.index.json").write_text("not JSON")
    assert inspect_model(inside).path == whole


def test_the_only_part_of_a_model_is_all_of_it(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    model = save_model(inside / "model-00001-of-00001.safetensors", matrices(2))
    (inside / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a.weight": model.name}}))
    assert inspect_model(inside).path == model


@pytest.mark.parametrize("index", [True, False])
def test_a_diffusers_folder_is_told_as_such(tmp_path: Path, index: bool) -> None:
    inside = folder(tmp_path)
    save_model(folder(inside, "transformer") / "diffusion_pytorch_model.safetensors", matrices(1))
    if index:
        (inside / "model_index.json").write_text("{}")
    assert refused(inside).data["reason"] == "diffusers"


def test_a_lora_is_never_looked_for_in_a_folder(tmp_path: Path) -> None:
    inside = folder(tmp_path)
    save_model(inside / "model.safetensors", matrices(1))
    with pytest.raises(EngineError) as caught:
        open_checkpoint(inside)
    assert caught.value.code is ErrorCode.IS_DIRECTORY
