"""What PEFT's folder says of itself, and how it comes to its name: whole, and never in another's place."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import peft_consumer as consumer
import pytest
import torch
from extraction_runs import EXACT, Run, run, verified
from model_files import save_pair
from peft import LoraConfig, get_peft_model
from peft.utils.other import get_pattern_key
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
)

from engine.cancel import CancelToken
from engine.errors import EngineError, ErrorCode
from engine.formats import peft_folder
from engine.formats.peft_config import Adapter, Target, adapter_config, published_name
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
PEFT: dict[str, Any] = {"key_format": "peft", "output_dtype": "fp32", "clamp_quantile": False}
ADAPTIVE: dict[str, Any] = {**PEFT, "lora_type": "adaptive_energy", "adaptive_param": 0.97, "rank": 16}
NORMS = ("norm", "embed_tokens", "lm_head")


def llama(layers: int = 2, **settings: Any) -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_hidden_layers=layers, **settings)).eval()


def saved_pair(folder: Path, base: Any, **changes: Any) -> tuple[Path, Path, Any]:
    tuned = consumer.fine_tuned(base, **changes)
    return consumer.saved(tuned, folder / "tuned"), consumer.saved(base, folder / "base"), tuned


def config_of(made: Run) -> dict[str, Any]:
    found = json.loads((made.lora / "adapter_config.json").read_text())
    assert isinstance(found, dict)
    return found


def test_every_layer_has_the_rank_that_its_pattern_says_and_no_other_layer_has_it(tmp_path: Path) -> None:
    base, tuned = llama(layers=12), llama(layers=12)
    with torch.no_grad():
        for number, layer in enumerate(tuned.model.layers):
            turn = torch.linalg.qr(torch.randn(16, 16)).Q
            layer.self_attn.q_proj.weight += turn[:, : number + 1] @ turn[: number + 1]  # equal singular values
    paths = consumer.saved(tuned, tmp_path / "tuned"), consumer.saved(base, tmp_path / "base")
    made = run(paths, tmp_path, **ADAPTIVE | {"adaptive_param": 0.9999})
    config, tensors = config_of(made), load_file(made.lora / "adapter_model.safetensors")
    ranks = {
        f"model.layers.{number}.self_attn.q_proj": tensors[
            f"base_model.model.model.layers.{number}.self_attn.q_proj.lora_A.weight"
        ].shape[0]
        for number in range(12)
    }
    assert list(ranks.values()) == list(range(1, 13))
    assert config["target_modules"] == list(ranks)
    for path, rank in ranks.items():
        hits = [key for key in config["rank_pattern"] if matches(key, path)]
        assert len(hits) <= 1, "layers.1 is not layers.11"
        assert (config["rank_pattern"][hits[0]] if hits else config["r"]) == rank
    assert config["r"] == config["lora_alpha"] == 12
    assert config["alpha_pattern"] == config["rank_pattern"]


def test_mixed_ranks_are_loaded_in_silence_and_are_what_was_stored(tmp_path: Path) -> None:
    tuned_path, base_path, tuned = saved_pair(tmp_path, llama(layers=12), frozen=NORMS)
    made = run((tuned_path, base_path), tmp_path, **ADAPTIVE | {"adaptive_param": 0.999})
    before = consumer.error(consumer.logits(llama(layers=12)), consumer.logits(tuned))
    with consumer.heard() as said:
        model = consumer.loaded(LlamaForCausalLM, base_path, made.lora)
        assert consumer.error(consumer.logits(model), consumer.logits(tuned)) < 0.2 * before
    assert said == []


@pytest.mark.parametrize("alpha", ["auto", "4"])
def test_experts_of_different_ranks_share_a_tensor_and_are_loaded_in_silence(tmp_path: Path, alpha: str) -> None:
    torch.manual_seed(0)
    experts = {"num_experts": 3, "moe_intermediate_size": 12, "num_experts_per_tok": 2}
    base = Qwen2MoeForCausalLM(
        Qwen2MoeConfig(**SIZES, **experts, num_hidden_layers=2, shared_expert_intermediate_size=8)
    ).eval()
    tuned = consumer.fine_tuned(base)
    with torch.no_grad():  # one expert as it was: nothing is stored of it
        for mine, other in zip(tuned.model.layers, base.model.layers, strict=True):
            mine.mlp.experts.gate_up_proj[1] = other.mlp.experts.gate_up_proj[1]
            mine.mlp.experts.down_proj[1] = other.mlp.experts.down_proj[1]
    paths = consumer.saved(tuned, tmp_path / "tuned"), consumer.saved(base, tmp_path / "base")
    made = run(paths, tmp_path, **ADAPTIVE | {"adaptive_param": 1.0 - 1e-9, "alpha": alpha})
    config = config_of(made)
    scales = {
        config["alpha_pattern"].get(key, config["lora_alpha"]) / rank for key, rank in config["rank_pattern"].items()
    }
    assert max(scales) == pytest.approx(min(scales), rel=1e-6)
    assert (max(scales) == 1.0) == (alpha == "auto")
    assert set(config["rank_pattern"].values()), "all ranks are one"
    assert not any(".experts." in path for path in config["target_modules"])
    with consumer.heard() as said:
        model = consumer.loaded(Qwen2MoeForCausalLM, tmp_path / "base", made.lora)
        assert consumer.error(consumer.logits(model), consumer.logits(tuned)) < 1e-3
        assert consumer.error(consumer.logits(model.merge_and_unload()), consumer.logits(tuned)) < 1e-3
    assert said == []


@pytest.mark.parametrize("tied", [True, False])
def test_a_larger_vocabulary_is_loaded_as_the_card_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tied: bool
) -> None:
    base, larger = llama(tie_word_embeddings=tied), llama(tie_word_embeddings=tied)
    larger.resize_token_embeddings(45, mean_resizing=False)
    tuned = consumer.fine_tuned(larger)
    paths = consumer.saved(tuned, tmp_path / "tuned"), consumer.saved(base, tmp_path / "base")
    made = run(paths, tmp_path, **PEFT | EXACT)
    output = made.result.outputs[0]
    assert output.mean_energy_retained == pytest.approx(1.0, abs=1e-6), "new rows count, and are there"
    assert verified(paths, made.lora).mean_energy_retained == pytest.approx(1.0, abs=1e-6)
    card = (made.lora / "README.md").read_text(encoding="utf-8")
    share = card.partition("## What it keeps\n\n- ")[2].partition(" %")[0]
    assert 99.9 < float(share) <= 100.0 * output.mean_energy_retained < 100.0
    code = card.partition("```python\n")[2].partition("```")[0]
    assert "resize_token_embeddings(45" in code
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with consumer.heard() as said:
        exec(compile(code, "card", "exec"), names)
    tokens = torch.tensor([[3, 44, 7, 41]])
    wanted = consumer.logits(tuned, input_ids=tokens)
    assert consumer.error(consumer.logits(names["model"], input_ids=tokens), wanted) < 1e-5
    assert said == []


@pytest.mark.parametrize("wrapper", ["", "_orig_mod.", "base_model.model.", "module._orig_mod."])
def test_the_path_in_the_model_is_found_behind_what_programs_leave_in_front(tmp_path: Path, wrapper: str) -> None:
    base = llama()
    tuned = consumer.fine_tuned(base)
    consumer.saved(base, tmp_path / "base")
    tensors = {wrapper + name: value for name, value in base.state_dict().items()}
    (tmp_path / "wrapped").mkdir()
    shutil.copy(tmp_path / "base" / "config.json", tmp_path / "wrapped")
    original = consumer.save_flat(tensors, tmp_path / "wrapped" / "model.safetensors")
    made = run((consumer.saved(tuned, tmp_path / "tuned"), original), tmp_path, **PEFT | EXACT)
    with consumer.heard() as said:
        model = consumer.loaded(LlamaForCausalLM, tmp_path / "base", made.lora)
        assert consumer.error(consumer.logits(model), consumer.logits(tuned)) < 1e-5
    assert said == []


def test_the_file_of_a_body_fits_the_class_with_a_head_that_its_config_names(tmp_path: Path) -> None:
    """As GPT-2 is published: names without ``transformer.``, and ``GPT2LMHeadModel`` in the config."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16}
    base = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    tuned = consumer.fine_tuned(base)
    for name, model in (("base", base), ("tuned", tuned)):
        consumer.saved(model, tmp_path / name)
        body = {key.removeprefix("transformer."): value for key, value in model.transformer.state_dict().items()}
        consumer.save_flat(body, tmp_path / name / "model.safetensors")
    made = run((tmp_path / "tuned", tmp_path / "base"), tmp_path, **PEFT | EXACT)
    assert config_of(made)["fan_in_fan_out"] is True
    with consumer.heard() as said:
        model = consumer.loaded(AutoModelForCausalLM, tmp_path / "base", made.lora)
        assert consumer.error(consumer.logits(model), consumer.logits(tuned)) < 1e-5
    assert said == []


def test_keys_and_shapes_are_those_that_peft_writes_itself(tmp_path: Path) -> None:
    tuned_path, base_path, _ = saved_pair(tmp_path, llama(), frozen=NORMS)
    made = run((tuned_path, base_path), tmp_path, rank=4, **PEFT)
    config = config_of(made)
    own = get_peft_model(llama(), LoraConfig(r=config["r"], lora_alpha=4, target_modules=config["target_modules"]))
    own.save_pretrained(tmp_path / "own")
    theirs, ours = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path / "own", made.lora))
    assert {key: value.shape for key, value in theirs.items()} == {key: value.shape for key, value in ours.items()}


def test_two_runs_never_share_a_name_and_what_is_there_stays(tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    first, second = (run(pair, tmp_path, **PEFT).lora for _ in range(2))
    assert (first.name[-6:], second.name[-6:]) == ("00001_", "00002_")
    third, fourth, fifth = (first.with_name(first.name.replace("00001_", f"0000{n}_")) for n in (3, 4, 5))
    third.mkdir()
    fourth.write_text("mine")
    assert run(pair, tmp_path, **PEFT).lora == fifth
    assert (list(third.iterdir()), fourth.read_text()) == ([], "mine")


def test_a_name_that_is_taken_at_the_last_moment_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, rename = save_pair(tmp_path), os.rename

    def slow(source: Path, target: Path) -> None:
        if str(target).endswith("00001_"):  # another run was quicker
            Path(target).mkdir()
            (Path(target) / "adapter_config.json").write_text("theirs")
        rename(source, target)

    monkeypatch.setattr(peft_folder.os, "rename", slow)
    made = run(pair, tmp_path, **PEFT)
    assert made.lora.name.endswith("00002_")
    taken = made.lora.with_name(made.lora.name.replace("00002_", "00001_"))
    assert [path.name for path in taken.iterdir()] == ["adapter_config.json"]


def test_a_folder_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    with Session(*save_pair(tmp_path)) as session:
        plan = session.plan(ExtractionSettings(**PEFT), HardwareSettings(device="cpu"), tmp_path / "out")
        for _ in session.extract(plan, CancelToken()):
            names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_dir() and path.name != "loras"}
            seen.append({name for name in names if not name.startswith(".lora-")})
    assert all(names in (set(), {plan.output_name}) for names in seen)
    files = {path.name for path in (plan.folder / plan.output_name).iterdir()}
    assert files == {"adapter_model.safetensors", "adapter_config.json", "README.md", "extraction_report.json"}
    assert [path.name for path in plan.folder.iterdir()] == [plan.output_name]


@pytest.mark.parametrize("file", ["adapter_config.json", "README.md", "extraction_report.json"])
def test_a_disk_that_is_full_at_the_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    write = peft_folder.write_synced

    def full(path: Path, text: str) -> None:
        if path.name == file:
            raise OSError(28, "No space left on device")
        write(path, text)

    monkeypatch.setattr(peft_folder, "write_synced", full)
    pair = save_pair(tmp_path)
    with pytest.raises(EngineError) as caught:
        run(pair, tmp_path / "out", **PEFT)
    assert caught.value.code is ErrorCode.DISK_FULL
    assert not (tmp_path / "out").exists()


def test_a_cancelled_run_leaves_nothing(tmp_path: Path) -> None:
    cancel = CancelToken()
    with Session(*save_pair(tmp_path)) as session:
        plan = session.plan(ExtractionSettings(**PEFT), HardwareSettings(device="cpu"), tmp_path / "out")
        events = session.extract(plan, cancel)
        next(events)
        events.close()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models--org--my--model/snapshots/12ab/model.safetensors", "org/my--model"),
        ("Llama-3/model-00001-of-00002.safetensors", "Llama-3"),
        ("loras/my_tune.v2.safetensors", "my_tune"),
    ],
)
def test_a_model_is_called_as_it_was_published(tmp_path: Path, path: str, name: str) -> None:
    assert published_name(tmp_path / path) == name


def test_the_pattern_of_a_parameter_is_one_that_peft_finds_a_module_for_and_hits_the_parameter_first() -> None:
    paths = {"layers.1.q_proj": False, "layers.11.q_proj": False, "layers.1.mlp.experts.down_proj": True}
    targets = {path: Target(path, path, parameter) for path, parameter in paths.items()}
    ranks = dict(zip(paths, (2, 4, 3), strict=True))
    config = adapter_config(Adapter(targets=targets), ranks, {}, ())
    assert config["target_parameters"] == ["layers.1.mlp.experts.down_proj"]
    patterns = config["rank_pattern"]
    assert all(any(matches(key, path) for path in config["target_modules"]) for key in patterns)
    assert {path: patterns.get(get_pattern_key(patterns, path), config["r"]) for path in paths} == ranks


def matches(key: str, path: str) -> bool:
    return re.match(rf"(.*\.)?({key})$", path) is not None
