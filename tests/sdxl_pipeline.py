"""A tiny SDXL in diffusers, the file of it in Stability's names, and what it computes with a LoRA that diffusers loads.

Nothing of the program is used: the names are written down here, and diffusers' own loader reads the LoRA.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
from model_files import Tensors, save_model
from native_models import NATIVE_MODELS
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

UNET = NATIVE_MODELS["sdxl"]
CLIP_L, CLIP_G = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
OPEN_CLIP = (
    (".layer_norm1.", ".ln_1."), (".layer_norm2.", ".ln_2."), (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."), (".self_attn.out_proj.", ".attn.out_proj."),
)  # fmt: skip
TOKENS = torch.tensor([[3, 7, 11, 5, 1]])


@dataclass(frozen=True)
class Sdxl:
    """The three networks that a LoRA may change."""

    unet: torch.nn.Module
    clip_l: torch.nn.Module
    clip_g: torch.nn.Module

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        return self.unet, self.clip_l, self.clip_g


def build(seed: int) -> Sdxl:
    """Random weights; the same for the same seed."""
    sizes = {
        "hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 2, "num_hidden_layers": 2,
        "vocab_size": 50, "max_position_embeddings": 8, "projection_dim": 12, "bos_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNET.build()
        clip_l = CLIPTextModel(CLIPTextConfig(**sizes))
        clip_g = CLIPTextModelWithProjection(CLIPTextConfig(**sizes, hidden_act="gelu"))
        found = Sdxl(unet.eval(), clip_l.eval(), clip_g.eval())
        with torch.no_grad():
            for network in found.networks:
                for parameter in network.parameters():
                    parameter += 0.05 * torch.randn_like(parameter)
    return found


def fine_tune(model: Sdxl) -> None:
    """Change every linear layer and convolution that trainers know; biases, norms, embeddings, the projection stay."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for network in model.networks:
            for name, module in network.named_modules():
                if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)) and name != "text_projection":
                    module.weight += 0.2 * module.weight.std() * torch.randn_like(module.weight)


def save(model: Sdxl, path: Path) -> Path:
    """All three networks in one file, as Stability publishes them."""
    tensors = {f"model.diffusion_model.{name}": value for name, value in UNET.native(model.unet.state_dict()).items()}
    for name, value in model.clip_l.state_dict().items():
        tensors[f"{CLIP_L}text_model.{name.removeprefix('text_model.')}"] = value
    tensors |= {CLIP_G + name: value for name, value in _open_clip(model.clip_g.state_dict()).items()}
    return save_model(path, {name: value.clone() for name, value in tensors.items()})


def save_pair(folder: Path) -> tuple[Path, Path]:
    """The fine-tuned model and the original."""
    original, tuned = build(0), build(0)
    fine_tune(tuned)
    return save(tuned, folder / "tuned.safetensors"), save(original, folder / "base.safetensors")


def _open_clip(state: Tensors) -> Tensors:
    named: Tensors = {}
    for theirs, value in state.items():
        name = theirs.removeprefix("text_model.").replace("encoder.layers.", "transformer.resblocks.")
        for old, new in OPEN_CLIP:
            name = name.replace(old, new)
        if ".self_attn.q_proj." in name:
            stem, kind = name.split(".self_attn.q_proj.")
            parts = [state[theirs.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            named[f"{stem}.attn.in_proj_{kind}"] = torch.cat(parts)
        elif ".self_attn." not in name:
            named[name] = value
    named["token_embedding.weight"] = named.pop("embeddings.token_embedding.weight")
    named["positional_embedding"] = named.pop("embeddings.position_embedding.weight")
    named["text_projection"] = named.pop("text_projection.weight").T
    for kind in ("weight", "bias"):
        named[f"ln_final.{kind}"] = named.pop(f"final_layer_norm.{kind}")
    return named


def outputs(model: Sdxl) -> tuple[torch.Tensor, ...]:
    """What the U-Net and both text encoders compute."""
    with torch.no_grad():
        noise = model.unet(**UNET.inputs(), return_dict=False)[0]
        return noise, model.clip_l(TOKENS).last_hidden_state, model.clip_g(TOKENS).text_embeds


def load_lora(model: Sdxl, lora: Path, *, strict: bool = True) -> None:
    """diffusers' `load_lora_weights`; a warning of anything is an error, unless it is not `strict`."""
    pipeline = StableDiffusionXLPipeline(
        vae=None, text_encoder=model.clip_l, text_encoder_2=model.clip_g, tokenizer=None, tokenizer_2=None,
        unet=model.unet, scheduler=EulerDiscreteScheduler(),
    )  # fmt: skip
    said = _Said()
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers", "peft")]
    for logger in loggers:
        logger.addHandler(said)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error" if strict else "ignore")
            pipeline.load_lora_weights(lora.parent, weight_name=lora.name)
    finally:
        for logger in loggers:
            logger.removeHandler(said)
    assert not strict or said.lines == []


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def relative_errors(ours: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...]) -> list[float]:
    """|ours - theirs| / |theirs| of each network's output."""
    pairs = zip(ours, theirs, strict=True)
    return [float(torch.linalg.norm(one - other) / torch.linalg.norm(other)) for one, other in pairs]
