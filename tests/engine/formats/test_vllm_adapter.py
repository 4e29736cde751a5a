"""vLLM takes an adapter for it: read by its own rules, which are written here as facts of its source.

vllm/lora/peft_helper.py: ``modules_to_save`` and a bias are refused, ``lora_alpha / r`` is the scale of every layer,
patterns are not read. vllm/lora/lora_model.py, ``check_unexpected_modules``: a key whose module is no linear layer of
the model is refused. vllm/lora/utils.py, ``parse_fine_tuned_lora_name``: what a key may end with. vllm/config/lora.py:
the ranks that ``--max-lora-rank`` takes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_language_models as tiny
import torch
from extraction_runs import EXACT, Run, run
from model_files import Tensors
from safetensors.torch import load_file

from engine.events import Notice, NoticeCode
from engine.results import LeaveOutReason

LINEAR = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
START, ENDINGS = "base_model.model.", (".lora_A.weight", ".lora_B.weight")


def pair(folder: Path) -> tuple[tuple[Path, Path], Tensors, Tensors]:
    """A tiny Llama in folders as transformers saves them, every weight of the fine-tune another one."""
    sides = {"tuned": tiny.model("llama", 1), "base": tiny.model("llama", 0)}
    states = {side: tiny.saved(model, folder / side) for side, model in sides.items()}
    return (folder / "tuned", folder / "base"), states["tuned"], states["base"]


def adapter(ran: Run) -> tuple[dict[str, object], Tensors]:
    folder = ran.lora
    return json.loads((folder / "adapter_config.json").read_text()), load_file(folder / "adapter_model.safetensors")


@pytest.mark.shows(family="llama", program="vllm")
def test_every_key_is_a_linear_layer_at_the_one_scale_and_gives_the_change(tmp_path: Path) -> None:
    files, tuned, base = pair(tmp_path)
    config, tensors = adapter(run(files, tmp_path / "out", program="vllm", **EXACT))
    assert not config.get("modules_to_save")
    assert config["bias"] == "none"
    assert not config.get("use_dora")
    assert not config.get("use_rslora")
    scale = float(str(config["lora_alpha"])) / int(str(config["r"]))
    modules = {key.removesuffix(ending) for key in tensors for ending in ENDINGS if key.endswith(ending)}
    assert {f"{module}{ending}" for module in modules for ending in ENDINGS} == set(tensors)
    assert {module.rpartition(".")[2] for module in modules} == LINEAR
    for module in modules:
        name = module.removeprefix(START) + ".weight"
        product = tensors[module + ENDINGS[1]].double() @ tensors[module + ENDINGS[0]].double()
        torch.testing.assert_close(scale * product, tuned[name].double() - base[name].double(), rtol=1e-4, atol=1e-4)
    assert {f"{module.removeprefix(START)}.weight" for module in modules} == {
        name for name in base if name.split(".")[-2] in LINEAR
    }


def test_what_it_refuses_is_left_out_for_it_and_is_there_for_peft(tmp_path: Path) -> None:
    files, _, base = pair(tmp_path)
    vllm = run(files, tmp_path / "out", program="vllm", **EXACT)
    ignored = [item for item in vllm.result.left_out if item.reason is LeaveOutReason.NOT_LOADED]
    left = {item.name.removeprefix("diffusion_model.") for item in ignored}
    assert {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"} <= left
    assert {name.split(".")[-2] for name in base} - LINEAR >= {name.split(".")[-2] for name in left}
    _, tensors = adapter(run(files, tmp_path / "peft", program="peft", **EXACT))
    assert any("embed_tokens" in key for key in tensors)


def test_layers_of_different_ranks_have_the_same_scale(tmp_path: Path) -> None:
    files, tuned, base = pair(tmp_path)
    settings = {"lora_type": "adaptive_fro", "adaptive_param": 0.9, "rank": 16, "output_dtype": "fp32"}
    config, tensors = adapter(run(files, tmp_path / "out", program="vllm", **settings))
    ranks = {len(tensor) for key, tensor in tensors.items() if key.endswith(ENDINGS[0])}
    assert len(ranks) > 1
    scale = float(str(config["lora_alpha"])) / int(str(config["r"]))
    for key in [key for key in tensors if key.endswith(ENDINGS[0])]:
        module = key.removesuffix(ENDINGS[0])
        name = module.removeprefix(START) + ".weight"
        delta = tuned[name].double() - base[name].double()
        product = scale * tensors[module + ENDINGS[1]].double() @ tensors[key].double()
        assert (product - delta).norm() < 0.5 * delta.norm(), name


@pytest.mark.parametrize("rank", [8, 16])
def test_a_rank_that_it_takes_unasked_needs_no_word(rank: int, tmp_path: Path) -> None:
    files, _, _ = pair(tmp_path)
    events = run(files, tmp_path / "out", program="vllm", rank=rank).events
    said = [event for event in events if isinstance(event, Notice) and event.code is NoticeCode.RANK_OPTION]
    assert said == []
