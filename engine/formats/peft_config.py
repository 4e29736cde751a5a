"""What PEFT's folder holds beside the weights: ``adapter_config.json`` and the model card. No torch.

Sources: PEFT 0.21, tuners/lora/config.py, tuners/lora/model.py and tuners/tuners_utils.py; of what vLLM asks for,
vllm/lora/peft_helper.py: it divides ``lora_alpha`` by ``r`` for all layers, and reads no patterns.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARK = "|"
"""Divides what the writer makes of a tensor from its key; no name of a weight has it."""
WHOLE, BIAS = "whole", "bias"  # a weight as it is; a bias, whose key depends on what else is in the file
PREFIX = "base_model.model."
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
EMBEDDING_DOWN, EMBEDDING_UP = ".lora_embedding_A", ".lora_embedding_B"
ALPHA = ".alpha"  # of the key of a scale, which goes into the configuration
_TIED_NAMES = ("embed_tokens", "lm_head")  # modules whose tying PEFT takes care of, see EMBEDDING_LAYER_NAMES
_LEFT_OUT_LINES = 20
_USUAL_FILES = ("model.", "model-", "pytorch_model", "consolidated", "adapter_model", "diffusion_pytorch_model")


def expert_key(base: str, expert: int, half: int, halves: int) -> str:
    """How the keys of an expert's factors begin, which are joined with those of others; the part's name follows."""
    return MARK.join((base, str(expert), f"{half}of{halves}", ""))


@dataclass(frozen=True)
class Target:
    """A module, or a parameter, that factors belong to.

    Attributes:
        key: how the keys of its tensors begin.
        path: its full name in the model.
        parameter: whether it is a parameter.
    """

    key: str
    path: str
    parameter: bool


@dataclass(frozen=True)
class Stack:
    """The factors of all experts of a layer.

    Attributes:
        experts: how many.
        halves: how many matrices of each are joined to one.
        rows: outputs of the joined matrix.
        columns: its inputs.
        swapped: see `engine.formats.transformers_names.Place`.
        outer: key of the stack that PEFT puts around it, which is written whenever this one is; empty for none.
    """

    experts: int
    halves: int
    rows: int
    columns: int
    swapped: bool = False
    outer: str = ""


@dataclass(frozen=True)
class Adapter:
    """What an adapter can hold.

    Attributes:
        model: the class of transformers that it belongs to.
        finetuned: what people call the fine-tuned model.
        original: what they call the original.
        targets: by `Target.key`.
        stacks: those of the targets that are made of several experts, by the same key.
        conv1d: whether most matrices are stored as (in, out), as GPT-2's are.
        vocabulary: how many tokens the fine-tuned model has; None where the original has as many.
        tied: whether the model's last layer is its embeddings.
    """

    model: str = ""
    finetuned: str = ""
    original: str = ""
    targets: Mapping[str, Target] = field(default_factory=dict)
    stacks: Mapping[str, Stack] = field(default_factory=dict)
    conv1d: bool = False
    vocabulary: int | None = None
    tied: bool = False

    def target_of(self, key: str) -> Target | None:
        """The target whose rank a tensor shows: its ``lora_A``; None for any other key."""
        for ending in (DOWN, EMBEDDING_DOWN):
            if key.endswith(ending):
                return self.targets.get(key.removesuffix(ending))
        return None

    def outer_of(self, written: Mapping[str, int]) -> Iterator[str]:
        """The stacks around those that are written and that are not themselves."""
        for key, stack in self.stacks.items():
            if key in written and stack.outer and stack.outer not in written:
                yield stack.outer


def adapter_config(
    adapter: Adapter, ranks: Mapping[str, int], alphas: Mapping[str, float], whole: Sequence[str]
) -> dict[str, Any]:
    """The table of ``adapter_config.json``.

    Args:
        adapter: what can be in the file.
        ranks: of the targets that are in it, by key.
        alphas: likewise; where one is missing it is the rank.
        whole: keys of the weights that are in it as they are.
    """
    targets = [adapter.targets[key] for key in adapter.targets if key in ranks]
    modules = [target.path for target in targets if not target.parameter]
    parameters = [target.path for target in targets if target.parameter]
    rank_of = {target.path: ranks[target.key] for target in targets}
    alpha_of = {target.path: _number(alphas.get(target.key, ranks[target.key])) for target in targets}
    rank = max(rank_of.values(), default=1)
    alpha = Counter(alpha_of[path] for path in rank_of if rank_of[path] == rank).most_common(1)
    default = alpha[0][0] if alpha else rank
    saved = modules_to_save(whole)
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": _task(adapter.model),
        "base_model_name_or_path": adapter.original,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": default,
        "lora_dropout": 0.0,
        "target_modules": modules,
        "rank_pattern": _patterns(rank_of, rank, modules),
        "alpha_pattern": _patterns(alpha_of, default, modules),
        "fan_in_fan_out": adapter.conv1d,
        "bias": "all" if any(key.endswith(".bias") and _module(key) not in saved for key in whole) else "none",
        "modules_to_save": saved or None,
    }
    if parameters:
        config["target_parameters"] = parameters
    if adapter.tied and any(path.rpartition(".")[2] in _TIED_NAMES for path in saved):
        config["ensure_weight_tying"] = True
    return config


def config_text(config: Mapping[str, Any]) -> str:
    """The file's text."""
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def _patterns(values: Mapping[str, float], default: float, modules: Sequence[str]) -> dict[str, float]:
    r"""The values that differ from the default, by a pattern that fits one path alone.

    PEFT matches ``(.*\.)?(pattern)$``, the first hit counts, and it warns of a pattern that fits no module even where
    it fits a parameter. So a parameter's pattern names a module, too, whose own pattern stands before it.
    """
    found = {f"^{re.escape(path)}": values[path] for path in modules if values[path] != default}
    of_parameters = {path: value for path, value in values.items() if path not in modules and value != default}
    if of_parameters and modules:
        known = f"^{re.escape(modules[0])}"
        found.setdefault(known, values[modules[0]])
        found |= {f"^{re.escape(path)}|{known}": value for path, value in of_parameters.items()}
    else:
        found |= {f"^{re.escape(path)}": value for path, value in of_parameters.items()}
    return found


def modules_to_save(whole: Sequence[str]) -> list[str]:
    """The modules whose weights are all in the file as they are; a bias beside a matrix is none."""
    weights = [key for key in whole if key.endswith(".weight")]
    return list(dict.fromkeys(_module(key) for key in weights))


def _module(key: str) -> str:
    return key.removeprefix(PREFIX).rpartition(".")[0]


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _task(model: str) -> str | None:
    if model.endswith(("ForCausalLM", "LMHeadModel")):
        return "CAUSAL_LM"
    return "SEQ_2_SEQ_LM" if model.endswith("ForConditionalGeneration") else None


def model_card(adapter: Adapter, report: Mapping[str, Any], name: str, config: Mapping[str, Any]) -> str:
    """The text of ``README.md``.

    Args:
        adapter: what can be in the file.
        report: of the extraction, see `engine.extraction.report.report`.
        name: of the folder.
        config: the adapter's.
    """
    lines = [
        "---",
        "library_name: peft",
        "tags:",
        "- lora",
        *([f"base_model: {adapter.original}"] if "/" in adapter.original else []),
        "---",
        "",
        f"# {report['settings']['filename_prefix'].replace(chr(92), '/').rpartition('/')[2]}",
        "",
        f"A LoRA adapter for PEFT, extracted from **{adapter.finetuned}**, which was fine-tuned from "
        f"**{adapter.original}**: the low-rank part of the difference of their weights. Nothing was "
        "trained for it.",
        "",
        "## Load it",
        "",
        "```python",
        *_loading(adapter, name, config),
        "```",
        "",
        *_remarks(adapter, config),
        "## What it keeps",
        "",
        *_figures(report, config),
        "",
        *_not_in_it(report),
    ]
    return "\n".join(lines).rstrip() + "\n"


def published_name(path: Path) -> str:
    """What a model is called where it was published: its folder, or in Hugging Face's cache its owner and its name.

    A file that has a name of its own is called by that, without the ending.
    """
    folder = path if path.is_dir() else path.parent
    cached = next((place.name for place in (folder, *folder.parents) if place.name.startswith("models--")), None)
    if cached is not None:
        return cached.removeprefix("models--").replace("--", "/", 1)
    usual = path.is_dir() or path.name.startswith(_USUAL_FILES)
    return folder.resolve().name if usual else path.name.partition(".")[0]


def _loading(adapter: Adapter, name: str, config: Mapping[str, Any]) -> Iterator[str]:
    yield "from peft import PeftModel"
    yield f"from transformers import {adapter.model}"
    yield ""
    yield f"model = {adapter.model}.from_pretrained({json.dumps(adapter.original, ensure_ascii=False)})"
    if _resized(adapter, config):
        yield f"model.resize_token_embeddings({adapter.vocabulary}, mean_resizing=False)"
    yield f"model = PeftModel.from_pretrained(model, {json.dumps(name, ensure_ascii=False)})"
    yield "model = model.merge_and_unload()  # optional: the same model without PEFT"


def _resized(adapter: Adapter, config: Mapping[str, Any]) -> bool:
    saved = config.get("modules_to_save") or []
    return adapter.vocabulary is not None and bool(saved)


def _remarks(adapter: Adapter, config: Mapping[str, Any]) -> Iterator[str]:
    if _resized(adapter, config):
        yield (
            f"The fine-tuned model has {adapter.vocabulary} tokens, so `resize_token_embeddings` comes before the "
            "adapter: its embeddings are in the adapter as a whole. Take the tokenizer of the fine-tuned model."
        )
        yield ""
    if config.get("target_parameters"):
        yield (
            "Its experts are adapted as the stacked parameters that transformers 5 holds them in "
            "(`target_parameters`); transformers 4 has other modules."
        )
        yield ""
    if config.get("bias") != "none":
        yield "Biases are in it as a whole: loading the adapter sets them, and unloading it does not set them back."
        yield ""


def _figures(report: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    totals = report["totals"]
    yield f"- {_percent(totals['mean_energy_retained'])} % of the change of all matched weights (squared norm)"
    yield f"- {_percent(totals['worst_energy_retained'])} % of that of the layer that it keeps least of"
    yield f"- rank {report['rank']}, {totals['layers']} layers; largest rank in the file: {config['r']}"
    saved = config.get("modules_to_save") or []
    if saved:
        yield f"- {len(saved)} modules as a whole (`modules_to_save`)"
    tool = report["tool"]
    yield f"- made by {tool['name']} {tool['version']}; every layer and setting is in `extraction_report.json`"


def _percent(share: float) -> str:
    """Rounded down, so that nearly everything is not called everything."""
    return f"{math.floor(share * 1e4) / 1e2:.2f}"


def _not_in_it(report: Mapping[str, Any]) -> Iterator[str]:
    left_out = [item for item in report["left_out"] if item["reason"] not in ("unchanged", "ema_copy")]
    if not left_out:
        return
    yield "## What is not in it"
    yield ""
    for item in left_out[:_LEFT_OUT_LINES]:
        detail = f", {item['detail']}" if item["detail"] else ""
        yield f"- `{item['name']}`: {item['reason'].replace('_', ' ')}{detail}"
    if len(left_out) > _LEFT_OUT_LINES:
        yield f"- and {len(left_out) - _LEFT_OUT_LINES} more, see `extraction_report.json`"
