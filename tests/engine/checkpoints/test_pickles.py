"""Files of torch.save are read as torch reads them, in both forms; what wraps a model is understood."""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import PREFIX, Tensors, matrices, random_tensor, save_model
from transformers import LlamaConfig, LlamaForCausalLM

from app.text.notices import notice_text
from engine.checkpoints import Checkpoint, WeightView, open_checkpoint
from engine.checkpoints.header_snapshot import HeaderSnapshot, remember
from engine.checkpoints.pair_ref import ModelRef
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError, ErrorCode
from engine.events import NoticeCode
from engine.planning.inspection import inspect_model, open_model
from engine.session import Session

ZIP, LEGACY = True, False
BOTH = pytest.mark.parametrize("form", [ZIP, LEGACY], ids=["zip", "legacy"])


def save(path: Path, value: Any, form: bool = ZIP, **options: Any) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=form, **options)
    return path


def contents(model: Checkpoint) -> Tensors:
    return {name: read_view(model, WeightView.of(source, "other")) for name, source in model.weights.items()}


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def assert_same(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(bits(found[name]), bits(tensor)), name


def many_kinds() -> Tensors:
    """Dtypes, shapes, and views of other numbers, as training scripts leave them."""
    shared, block = random_tensor(6, 8, seed=1), random_tensor(40, 30, seed=2)
    floats = {
        str(dtype): random_tensor(5, 7, seed=3).to(dtype)
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    }
    whole = {
        str(dtype): torch.arange(12).reshape(3, 4).to(dtype)
        for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
    }
    return floats | whole | {
        "scalar": torch.tensor(1.5),
        "empty": torch.empty(0, 4),
        "tied.0": shared,
        "tied.1": shared,
        "transposed": random_tensor(9, 5, seed=4).t(),
        "rows": block[10:20],
        "columns": block[:, 5:25],
        "steps": block[::2, ::2],
        "offset": block[7],
        "channels_last": random_tensor(4, 3, 5, 5, seed=5).to(memory_format=torch.channels_last),
        "channels_last_3d": random_tensor(2, 3, 2, 3, 3, seed=6).to(memory_format=torch.channels_last_3d),
        "permuted": random_tensor(3, 4, 5, seed=7).permute(2, 0, 1),
        "parameter": torch.nn.Parameter(random_tensor(3, 3, seed=8)),
        "one_wide": random_tensor(6, 1, 2, seed=9).expand(6, 1, 2),
    }  # fmt: skip


@BOTH
def test_every_tensor_has_the_bits_that_torch_reads(form: bool, tmp_path: Path) -> None:
    path = save(tmp_path / "model.pt", many_kinds(), form)
    with open_checkpoint(path) as model:
        assert_same(contents(model), torch.load(path, weights_only=True))
        assert model.container == "PyTorch pickle"


def test_small_floats_are_read_too(tmp_path: Path) -> None:
    dtypes = (torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32)
    tensors = {str(dtype): torch.arange(12).to(dtype).reshape(3, 4) for dtype in dtypes}
    path = save(tmp_path / "model.pt", tensors)
    with open_checkpoint(path) as model:
        assert_same(contents(model), torch.load(path, weights_only=True))


@pytest.mark.shows(container="PyTorch pickle", encoding="raw")
@pytest.mark.shows(container="PyTorch pickle", encoding="strided")
@BOTH
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_is_read(protocol: int, form: bool, tmp_path: Path) -> None:
    with open_checkpoint(save(tmp_path / "model.pth", many_kinds(), form, pickle_protocol=protocol)) as model:
        assert_same(contents(model), many_kinds())


@BOTH
def test_a_module_s_state_is_read_with_what_torch_notes_beside_it(form: bool, tmp_path: Path) -> None:
    state = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()
    assert isinstance(state, OrderedDict)
    path = save(tmp_path / "model.ckpt", state, form)
    with open_checkpoint(path) as model:
        assert_same(contents(model), dict(state))


@BOTH
def test_attributes_of_tensors_change_nothing(form: bool, tmp_path: Path) -> None:
    tensor, parameter = random_tensor(3, 4, seed=1), torch.nn.Parameter(random_tensor(3, 4, seed=2))
    for noted in (tensor, parameter):
        noted.note = "of a trainer"  # type: ignore[attr-defined]
    with open_checkpoint(save(tmp_path / "model.pt", {"a": tensor, "b": parameter}, form)) as model:
        assert_same(contents(model), {"a": tensor, "b": parameter})


def lightning(state: Tensors) -> dict[str, Any]:
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3, 3))])
    optimiser.param_groups[0]["params"][0].sum().backward()
    optimiser.step()
    return {
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": state,
        "optimizer_states": [optimiser.state_dict()],
        "lr_schedulers": [{"base_lrs": [1e-4], "last_epoch": 3}],
        "hyper_parameters": argparse.Namespace(rank=4, names=["a"]),
        "callbacks": {},
    }


@pytest.mark.parametrize(
    ("wrap", "names", "notices"),
    [
        (lightning, "", []),
        (lambda state: {"state_dict": state}, "", []),
        (lambda state: {"model": state, "optimizer": {"state": {"a": {"exp_avg": torch.ones(2)}}}}, "", []),
        (lambda state: {"module": state, "iteration": 5}, "", []),
        (lambda state: {"state_dict": {"model": state}}, "", []),
        (lambda state: {"anything": state}, "", []),
        (lambda state: {"ema": state, "step": torch.tensor(3)}, "", [NoticeCode.EMA_USED]),
        (lambda state: {"ema": state, "step": 3}, "", [NoticeCode.EMA_USED]),
        (
            lambda state: {"model": state, "ema": {name: 2 * tensor for name, tensor in state.items()}},
            "",
            [NoticeCode.STATE_CHOSEN],
        ),
        (lambda state: state | {"step": 5, "name": "x"}, "", []),
    ],
)  # fmt: skip
def test_what_trainers_wrap_a_model_in_is_taken_off(
    wrap: Callable[[Tensors], Any], names: str, notices: list[NoticeCode], tmp_path: Path
) -> None:
    state = matrices(3)
    path = save(tmp_path / "model.ckpt", wrap(state))
    with open_checkpoint(path) as model:
        assert_same(contents(model), {names + name: tensor for name, tensor in state.items()})
        assert [notice.code for notice in model.notices] == notices
        assert all(path.name in notice_text(notice) for notice in model.notices)


def test_several_models_keep_their_names_in_front(tmp_path: Path) -> None:
    models = {name: matrices(2, seed=seed) for seed, name in enumerate(("generator", "generator_ema", "critic"))}
    with open_checkpoint(save(tmp_path / "model.pt", models)) as model:
        expected = {f"{name}.{inner}": tensor for name, state in models.items() for inner, tensor in state.items()}
        assert_same(contents(model), expected)


@BOTH
def test_a_pickle_pairs_with_the_same_model_as_safetensors(form: bool, tmp_path: Path) -> None:
    tuned = save(tmp_path / "tuned.ckpt", lightning(matrices(4, seed=50)), form)
    base = save_model(tmp_path / "base.safetensors", matrices(4))
    with Session(tuned, base) as session:
        assert len(session.pairing.weights) == 4
        assert session.pairing.left_out == ()
    summary = inspect_model(tuned)
    assert (summary.container, summary.dtypes, summary.encodings) == ("PyTorch pickle", (("F32", 4),), ())


def test_a_model_that_transformers_saved_as_pickles_in_parts_is_whole(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
    )
    state = LlamaForCausalLM(config).state_dict()
    names, half = sorted(state), len(state) // 2
    files = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    parts = (names[:half], names[half:])
    for file, part in zip(files, parts, strict=True):
        save(tmp_path / file, {name: state[name].clone() for name in part})
    index = {name: file for file, part in zip(files, parts, strict=True) for name in part}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    save(tmp_path / "training_args.bin", {"learning_rate": 1e-4})
    for chosen in (tmp_path, tmp_path / files[1], tmp_path / "pytorch_model.bin.index.json"):
        with open_model(chosen) as model:
            assert_same(contents(model), dict(state))
    assert inspect_model(tmp_path).files == 2


def test_safetensors_are_taken_before_pickles_in_a_folder_and_that_is_said(tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", matrices(2))
    save(tmp_path / "pytorch_model.bin", matrices(2))
    summary = inspect_model(tmp_path)
    assert summary.path.name == "model.safetensors"
    assert [notice.data["names"] for notice in summary.notices] == [["pytorch_model.bin"]]


@BOTH
def test_a_changed_number_changes_the_fingerprint_and_the_model_opens_again(form: bool, tmp_path: Path) -> None:
    path, tensors = tmp_path / "model.pt", matrices(2)
    with open_model(save(path, tensors, form)) as model:
        reference = ModelRef.of(model)
        with reference.open() as again:
            assert again.stored == model.stored
    tensors[f"{PREFIX}layers.1.weight"][3, 3] += 1
    save(path, tensors, form)
    with pytest.raises(EngineError) as caught:
        reference.open()
    assert caught.value.code is ErrorCode.INPUT_CHANGED


def test_views_are_remembered_with_the_headers(tmp_path: Path) -> None:
    with open_checkpoint(save(tmp_path / "model.pt", many_kinds())) as model:
        snapshot = HeaderSnapshot(json.loads(json.dumps(remember(model))))
        shapes = {name: (source.shape, source.encoding) for name, source in model.weights.items()}
        assert {name: (source.shape, source.encoding) for name, source in snapshot.weights.items()} == shapes


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(3, 1).expand(3, 4),
        torch.arange(40.0).unfold(0, 5, 1),
        torch.arange(4000.0)[::100],
    ],
    ids=["expanded", "overlapping", "thin"],
)
def test_a_view_that_is_no_tensor_of_its_own_is_refused_by_name(tensor: torch.Tensor, tmp_path: Path) -> None:
    path = save(tmp_path / "model.pt", {"fine.weight": torch.ones(2, 2), "odd.weight": tensor})
    with pytest.raises(EngineError) as caught:
        open_checkpoint(path)
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.PICKLE_REFUSED, "odd.weight")


def test_negated_numbers_are_refused(tmp_path: Path) -> None:
    negated = torch.randn(4, dtype=torch.complex64).conj().imag
    assert negated.is_neg()
    with pytest.raises(EngineError) as caught:
        open_checkpoint(save(tmp_path / "model.pt", {"a.weight": negated}))
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.PICKLE_REFUSED, "negated")


def test_the_numbers_of_a_view_are_extracted_like_those_of_a_plain_tensor(tmp_path: Path) -> None:
    base = {name: tensor for name, tensor in matrices(2).items()}
    step = matrices(2, seed=70)
    turned = {name: (tensor + 0.1 * step[name]).t().contiguous().t() for name, tensor in base.items()}
    assert not any(tensor.is_contiguous() for tensor in turned.values())
    plain = save_model(tmp_path / "plain.safetensors", turned)
    strided = save(tmp_path / "strided.pt", turned)
    original = save_model(tmp_path / "base.safetensors", base)
    found = []
    for tuned in (plain, strided):
        with Session(tuned, original) as session:
            found.append([read_view(session.finetuned, weight.finetuned) for weight in session.pairing.weights])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
