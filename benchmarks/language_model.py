"""One layer of an 8B language model as a Hugging Face folder, and mergekit's extractor on it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.measuring import Factored

VOCABULARY = 256  # tiny: the layer is what is measured
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": 1,
    "vocab_size": VOCABULARY,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def available() -> bool:
    """Whether mergekit is installed."""
    return importlib.util.find_spec("mergekit") is not None


def as_folder(model: Path, folder: Path) -> Path:
    """Put a model file into a folder that Hugging Face's tools open."""
    folder.mkdir(exist_ok=True)
    target = folder / "model.safetensors"
    if not target.exists():
        target.hardlink_to(model)
        (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def extract_with_mergekit(tuned: Path, base: Path, rank: int, output: Path) -> Factored:
    """Run mergekit's own command in this process; returns the factors it wrote, by weight."""
    from mergekit.scripts.extract_lora import main

    shutil.rmtree(output, ignore_errors=True)
    arguments = ["--model", str(tuned), "--base-model", str(base), "--out-path", str(output), "--max-rank", str(rank)]
    skipped = ["--exclude-regex", "embed_tokens|lm_head", "--no-copy-tokenizer", "--no-write-model-card"]
    main.main([*arguments, *skipped], standalone_mode=False)
    stored = load_file(output / "adapter_model.safetensors")
    prefix, factors = "base_model.model.", {}
    for key, down in stored.items():
        if key.endswith(".lora_A.weight"):
            name = key.removeprefix(prefix).removesuffix(".lora_A.weight")
            up = stored[key.replace("lora_A", "lora_B")]
            factors[f"{name}.weight"] = up.to(torch.float32), down.to(torch.float32)
    return factors
