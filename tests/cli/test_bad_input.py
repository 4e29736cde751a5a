"""Whatever is wrong with the input, a person is told in a sentence or two, and nothing is left behind."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from calls import ROOT, Call, assert_refused
from model_files import PREFIX, header_entry, matrices, random_tensor, save_model, save_pair, write_raw


def truncated_data(path: Path) -> Path:
    save_model(path, matrices(3))
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 100)
    return path


def text_file(path: Path) -> Path:
    path.write_text("Dear model,\n\nplease become a LoRA.\n")
    return path


def empty_file(path: Path) -> Path:
    path.touch()
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def gguf(path: Path) -> Path:
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 123, 0) + bytes(64))
    return path


def old_gguf(path: Path) -> Path:
    path.write_bytes(b"GGUF" + struct.pack("<III", 1, 1, 0) + bytes(64))
    return path


def pickled_program(path: Path) -> Path:
    torch.save(torch.nn.Linear(2, 2), path)
    return path


def old_pickled_program(path: Path) -> Path:
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=False)
    return path


def zip_archive(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not a model")
    return path


def lora(path: Path) -> Path:
    return save_model(
        path, {f"{PREFIX}a.lora_up.weight": torch.ones(4, 2), f"{PREFIX}a.lora_down.weight": torch.ones(2, 4)}
    )


TWICE = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'
A, B = header_entry(0, 8), header_entry(8, 16)
BAD_FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("file_missing", lambda path: path),
    "folder": ("is_directory", folder),
    "zero bytes": ("file_empty", empty_file),
    "three bytes": ("file_truncated", lambda path: path.write_bytes(b"abc")),
    "eight bytes": ("not_a_model", lambda path: path.write_bytes(bytes(8))),
    "cut in the header": ("file_truncated", lambda to: write_raw(to, {"a": A}, claimed=500)),
    "cut in the data": ("file_truncated", truncated_data),
    "a wild header size": ("header_invalid", lambda to: write_raw(to, {"a": A}, claimed=1 << 50)),
    "overlapping tensors": ("header_invalid", lambda to: write_raw(to, {"a": A, "b": header_entry(4, 12)}, bytes(12))),
    "a hole": ("header_invalid", lambda to: write_raw(to, {"a": A, "b": header_entry(12, 20)}, bytes(20))),
    "bytes left over": ("header_invalid", lambda to: write_raw(to, {"a": A}, bytes(9))),
    "a name twice": ("header_invalid", lambda to: write_raw(to, TWICE, bytes(8))),
    "an unknown dtype": ("unsupported_dtype", lambda to: write_raw(to, {"a": header_entry(0, 8, "F7")}, bytes(8))),
    "a size that lies": ("header_invalid", lambda to: write_raw(to, {"a": header_entry(0, 8, shape=[9])}, bytes(8))),
    "a negative size": ("header_invalid", lambda to: write_raw(to, {"a": header_entry(0, 8, shape=[-2])}, bytes(8))),
    "backward offsets": ("header_invalid", lambda to: write_raw(to, {"a": header_entry(8, 0, shape=[2])}, bytes(8))),
    "no tensors": ("not_a_model", lambda to: write_raw(to, {"__metadata__": {}})),
    "broken JSON": ("header_invalid", lambda to: write_raw(to, '{"a": {', bytes(8))),
    "nested JSON": ("header_invalid", lambda to: write_raw(to, '{"a":' * 50_000, bytes(8))),
    "an entry that is a number": ("header_invalid", lambda to: write_raw(to, {"a": 3}, bytes(8))),
    "odd metadata": ("header_invalid", lambda to: write_raw(to, {"__metadata__": {"x": 1}, "a": A}, bytes(8))),
    "a text file": ("not_a_model", text_file),
    "gguf": ("header_invalid", gguf),
    "gguf of the first version": ("unsupported_container", old_gguf),
    "a pickle of more than tensors": ("pickle_refused", pickled_program),
    "an old pickle of more than tensors": ("pickle_refused", old_pickled_program),
    "a zip file": ("not_a_model", zip_archive),
    "a LoRA": ("not_a_model", lora),
}  # fmt: skip


@pytest.mark.parametrize("side", ["fine-tuned", "original"])
@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_no_model_is_refused(what: str, side: str, extract: Call, tmp_path: Path) -> None:
    code, make = BAD_FILES[what]
    bad = tmp_path / "bad.safetensors"
    make(bad)
    good = save_model(tmp_path / "good.safetensors", matrices(2))
    said = extract((bad, good) if side == "fine-tuned" else (good, bad), "--json")
    assert_refused(said, code, names=bad)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", [what for what in BAD_FILES if what != "a LoRA"])  # which is described
def test_inspecting_a_file_that_is_no_model_says_so_too(what: str, call: Call, tmp_path: Path) -> None:
    code, make = BAD_FILES[what]
    make(tmp_path / "bad.safetensors")
    assert_refused(call("inspect", tmp_path / "bad.safetensors", "--json"), code, names=tmp_path / "bad.safetensors")


@pytest.mark.parametrize("length", [0x0280, 0x0480])
def test_a_header_whose_length_looks_like_a_pickle_is_still_a_model(length: int, call: Call, tmp_path: Path) -> None:
    text = '{"a.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'.ljust(length)
    path = write_raw(tmp_path / "model.safetensors", text, bytes(8))
    assert call("inspect", path, "--json").json["tensors"] == 1


QUANTISED = {
    "scaled_fp8": torch.zeros(2),
    f"{PREFIX}a.qweight": torch.zeros(4, 4, dtype=torch.int32),
    f"{PREFIX}a.qzeros": torch.zeros(4, 4, dtype=torch.int32),
    f"{PREFIX}a.wscales": torch.ones(4),
    f"{PREFIX}a.weight.absmax": torch.ones(4),
    f"{PREFIX}a.weight.quant_map": torch.ones(16),
    f"{PREFIX}a.weight.nested_absmax": torch.ones(4),
    f"{PREFIX}a.W_q": torch.zeros(4, 4, dtype=torch.uint8),
    f"{PREFIX}a.weight._data": torch.zeros(4, 4, dtype=torch.int8),
    f"{PREFIX}a.scale_weight": torch.ones(1),
    f"{PREFIX}a.weight": torch.zeros(4, 4, dtype=torch.int8),
}
BROKEN = {  # side data of encodings that are read, beside a weight that it does not belong to
    f"{PREFIX}a.comfy_quant": torch.zeros(4, dtype=torch.uint8),
    f"{PREFIX}a.weight_scale_inv": torch.ones(1, 1),
    f"{PREFIX}a.weight.quant_state.bitsandbytes__nf4": torch.zeros(4, dtype=torch.uint8),
    f"{PREFIX}a.weight.quant_state.bitsandbytes__fp4": torch.zeros(4, dtype=torch.uint8),
    f"{PREFIX}a.SCB": torch.ones(4),
    f"{PREFIX}a.weight_packed": torch.zeros(4, 4, dtype=torch.int32),
    f"{PREFIX}a.weight_scale_2": torch.ones(1),
    f"{PREFIX}a.weight_scale": torch.ones(1),
}


SCHEMES = {
    f"{PREFIX}a.qweight": "GPTQ, AWQ or SVDQuant",
    f"{PREFIX}a.qzeros": "GPTQ or AWQ",
    f"{PREFIX}a.wscales": "SVDQuant",
    f"{PREFIX}a.W_q": "HQQ",
    f"{PREFIX}a.weight._data": "quanto",
    f"{PREFIX}a.weight": "integer weights (I8)",
}


@pytest.mark.shows(lambda name: [{"refused": SCHEMES[name]}] if name in SCHEMES else [])
@pytest.mark.parametrize("name", QUANTISED)
def test_a_quantised_model_is_refused_by_the_name_of_its_scheme(name: str, extract: Call, tmp_path: Path) -> None:
    base = matrices(2)
    bad = save_model(tmp_path / "quantised.safetensors", base | {name: QUANTISED[name]})
    good = save_model(tmp_path / "base.safetensors", base)
    said = extract((bad, good), "--json")
    assert_refused(said, "quantised", names=bad)
    assert SCHEMES.get(name, "") in said.err
    assert said.json["error"]["tensor"] == name


@pytest.mark.parametrize("name", BROKEN)
def test_side_data_that_does_not_belong_to_its_weight_is_refused(name: str, extract: Call, tmp_path: Path) -> None:
    base = matrices(2)
    bad = save_model(tmp_path / "quantised.safetensors", base | {name: BROKEN[name]})
    good = save_model(tmp_path / "base.safetensors", base)
    said = extract((bad, good), "--json")
    assert said.json["error"]["code"] in ("header_invalid", "quantised")
    assert_refused(said, said.json["error"]["code"], names=bad)
    assert said.json["error"]["tensor"].startswith(f"{PREFIX}a.")


@pytest.mark.parametrize("scale", ["scale", "weight.scale", "scales", "w_scale"])
def test_fp8_weights_with_a_scale_under_any_name_are_refused(scale: str, extract: Call, tmp_path: Path) -> None:
    base = {f"{PREFIX}a.weight": random_tensor(16, 16, seed=1)}
    scaled = {
        f"{PREFIX}a.weight": base[f"{PREFIX}a.weight"].to(torch.float8_e4m3fn),
        f"{PREFIX}a.{scale}": torch.ones(1),
    }
    bad = save_model(tmp_path / "quantised.safetensors", scaled)
    good = save_model(tmp_path / "base.safetensors", base)
    said = extract((bad, good), "--json")
    assert_refused(said, "quantised", names=bad)
    assert said.json["error"]["tensor"] == f"{PREFIX}a.{scale}"


def test_models_whose_common_weights_cannot_be_used_are_told_why(extract: Call, tmp_path: Path) -> None:
    tuned = save_model(tmp_path / "tuned.safetensors", {f"{PREFIX}a.weight": random_tensor(16, 16, seed=1)})
    base = save_model(tmp_path / "base.safetensors", {f"{PREFIX}a.weight": random_tensor(16, 8, seed=2)})
    said = extract((tuned, base), "--json")
    assert_refused(said, "no_usable_weights", names=tuned)
    assert "the shapes differ" in said.json["error"]["message"]


def test_a_model_whose_metadata_names_an_unknown_quantisation_is_refused(extract: Call, tmp_path: Path) -> None:
    module = next(iter(matrices(2))).removesuffix(".weight")
    layers = json.dumps({"layers": {module: {"format": "unheard_of"}}})
    bad = save_model(tmp_path / "quantised.safetensors", matrices(2), {"_quantization_metadata": layers})
    good = save_model(tmp_path / "base.safetensors", matrices(2))
    assert_refused(extract((bad, good), "--json"), "quantised", names=bad)


@pytest.mark.parametrize("link", ["the path itself", "symlink", "hardlink", "another spelling"])
def test_one_file_for_both_models_is_refused(link: str, extract: Call, tmp_path: Path) -> None:
    model, other = save_model(tmp_path / "model.safetensors", matrices(2)), tmp_path / "other.safetensors"
    if link == "symlink":
        other.symlink_to(model)
    elif link == "hardlink":
        os.link(model, other)
    else:
        other = model if link == "the path itself" else tmp_path / "." / ".." / tmp_path.name / model.name
    assert_refused(extract((model, other), "--json"), "same_file", names=model)


def test_two_identical_copies_are_refused_after_comparing_them(extract: Call, tmp_path: Path) -> None:
    pair = [save_model(tmp_path / f"{name}.safetensors", matrices(3)) for name in "ab"]
    said = extract((pair[0], pair[1]), "--json")
    assert_refused(said, "no_difference", names="all 3 selected weights")
    assert not (tmp_path / "out").exists()


def test_models_without_a_common_weight_are_refused(extract: Call, tmp_path: Path) -> None:
    pair = [save_model(tmp_path / f"{name}.safetensors", {f"{name}.weight": torch.ones(2, 2)}) for name in "ab"]
    assert_refused(extract((pair[0], pair[1]), "--json"), "no_common_weights", names=pair[1])


def test_a_layer_with_nan_ends_the_run_and_nothing_is_kept(extract: Call, tmp_path: Path) -> None:
    base = matrices(3)
    tuned = {name: tensor + 0.1 for name, tensor in base.items()}
    tuned[f"{PREFIX}layers.1.weight"][3, 3] = float("nan")
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    said = extract(pair, "--json")
    assert_refused(said, "non_finite", names=pair[0])
    assert said.json["error"]["tensor"] == "diffusion_model.layers.1.weight"
    assert not (tmp_path / "out").exists()


def test_a_value_that_overflows_fp16_names_the_layer_and_nothing_is_kept(extract: Call, tmp_path: Path) -> None:
    base = {f"{PREFIX}norm.weight": torch.ones(8)}
    pair = (
        save_model(tmp_path / "tuned.safetensors", {f"{PREFIX}norm.weight": 1e6 * random_tensor(8, seed=0)}),
        save_model(tmp_path / "base.safetensors", base),
    )
    assert_refused(extract(pair, "--json"), "dtype_overflow", names="diffusion_model.norm.weight")
    assert not (tmp_path / "out").exists()


def test_through_a_process_of_its_own_an_error_is_one_line_and_exit_code_one(tmp_path: Path) -> None:
    missing = tmp_path / "missing.safetensors"
    command = [sys.executable, "-m", "app", "extract", str(missing), str(missing)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"Error: {missing} does not exist. Check the path, or whether the drive is connected."
    ]


def test_a_deep_comparison_of_one_model_is_wrong_usage(call: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    said = call("inspect", pair[0], "--deep", "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "settings_invalid")
