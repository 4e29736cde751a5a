"""diffusers' own LoRA loaders on tiny models: the class that loads for each family, and what the models compute.

Nothing of the program is used. Whatever diffusers, PEFT or transformers say while they load is an error.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import layout_models
import torch
import unet_layout_models
from diffusers.loaders import lora_pipeline
from layout_models import LayoutModel, Shapes, linear, mlp
from model_files import Tensors, random_tensor

WIDTH = layout_models.WIDTH
Inputs = Callable[[], dict[str, Any]]
NOT_LINEAR = ("register_tokens", "pos_embed", "positional_encoding")


@dataclass(frozen=True)
class Loaded:
    """A family in diffusers.

    Attributes:
        model: in both spellings.
        loader: diffusers' class that loads LoRAs for its pipelines.
        inputs: of the model.
        prefix: of the keys of its denoiser.
    """

    model: Callable[[], LayoutModel]
    loader: Any
    inputs: Inputs
    prefix: str = "transformer"


def qwen_image() -> LayoutModel:
    """Whose names are diffusers' own."""
    shapes: Shapes = linear("img_in", 24, 8) | linear("txt_in", 24, 20) | {"txt_norm.weight": (20,)}
    shapes |= mlp("time_text_embed.timestep_embedder", 256, 24, ("linear_1", "linear_2"))
    for index in range(2):
        start = f"transformer_blocks.{index}"
        for name in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"):
            shapes |= linear(f"{start}.attn.{name}", 24, 24)
        shapes |= {f"{start}.attn.norm_{part}.weight": (12,) for part in ("q", "k", "added_q", "added_k")}
        for stream in ("img", "txt"):
            shapes |= linear(f"{start}.{stream}_mod.1", 144, 24)
            shapes |= linear(f"{start}.{stream}_mlp.net.0.proj", 96, 24)
            shapes |= linear(f"{start}.{stream}_mlp.net.2", 24, 96)
    shapes |= linear("norm_out.linear", 48, 24) | linear("proj_out", 16, 24)
    return LayoutModel(
        "qwen_image", "native", shapes, dict,
        lambda: diffusers.QwenImageTransformer2DModel(
            patch_size=2, in_channels=8, out_channels=4, num_layers=2, attention_head_dim=12, num_attention_heads=2,
            joint_attention_dim=20, axes_dims_rope=(4, 4, 4),
        ),
    )  # fmt: skip


def sd1() -> LayoutModel:
    """Two levels of one block, whose attention begins with a convolution."""
    return unet_layout_models.unet("sd1", (8, 16), (1, 1), 1, linears=False)


def sdxl() -> LayoutModel:
    """Two levels, attention in the lower one."""
    return unet_layout_models.unet("sdxl", (8, 16), (0, 1), 2, pooled=36)


def _streams(text: int, *, channels: int = 8, pooled: bool = False, axes: int = 3, **more: Any) -> dict[str, Any]:
    """What transformers of packed latents take."""
    given = {
        "hidden_states": random_tensor(1, 4, channels, seed=1),
        "encoder_hidden_states": random_tensor(1, 3, text, seed=2),
        "timestep": torch.tensor([0.5]),
        "img_ids": torch.zeros(4, axes),
        "txt_ids": torch.zeros(3, axes),
    }
    return given | ({"pooled_projections": random_tensor(1, 12, seed=3)} if pooled else {}) | more


def _grid(channels: int, text: int, *sizes: int, **more: Any) -> dict[str, Any]:
    """What models of latents in a grid take."""
    return {
        "hidden_states": random_tensor(1, channels, *sizes, seed=1),
        "encoder_hidden_states": random_tensor(1, 5, text, seed=2),
        "timestep": torch.tensor([300.0]),
        **more,
    }


def _unet(context: int, *, pooled: int = 0) -> dict[str, Any]:
    given: dict[str, Any] = {
        "sample": random_tensor(1, 4, 8, 8, seed=1),
        "encoder_hidden_states": random_tensor(1, 5, context, seed=2),
        "timestep": torch.tensor([300]),
    }
    if pooled:
        conditions = {"text_embeds": random_tensor(1, pooled - 24, seed=3), "time_ids": random_tensor(1, 6, seed=4)}
        given["added_cond_kwargs"] = conditions
    return given


LOADERS: dict[str, Loaded] = {
    "sd1": Loaded(
        sd1, lora_pipeline.StableDiffusionLoraLoaderMixin, lambda: _unet(24), "unet"
    ),
    "sdxl": Loaded(
        sdxl, lora_pipeline.StableDiffusionXLLoraLoaderMixin, lambda: _unet(24, pooled=36), "unet"
    ),
    "sd3": Loaded(
        layout_models.sd3, lora_pipeline.SD3LoraLoaderMixin,
        lambda: _grid(4, 20, 8, 8, pooled_projections=random_tensor(1, 12, seed=3)),
    ),
    "flux": Loaded(
        layout_models.flux, lora_pipeline.FluxLoraLoaderMixin,
        lambda: _streams(20, pooled=True, guidance=torch.tensor([3.5])),
    ),
    "flux2": Loaded(
        layout_models.flux2, lora_pipeline.Flux2LoraLoaderMixin,
        lambda: _streams(20, axes=4, guidance=torch.tensor([3.5])),
    ),
    "chroma": Loaded(layout_models.chroma, lora_pipeline.FluxLoraLoaderMixin, lambda: _streams(20)),
    "wan": Loaded(
        layout_models.wan, lora_pipeline.WanLoraLoaderMixin,
        lambda: _grid(6, 16, 1, 4, 4, encoder_hidden_states_image=random_tensor(1, 3, 10, seed=3)),
    ),
    "qwen_image": Loaded(
        qwen_image, lora_pipeline.QwenImageLoraLoaderMixin,
        lambda: {
            "hidden_states": random_tensor(1, 4, 8, seed=1), "encoder_hidden_states": random_tensor(1, 3, 20, seed=2),
            "timestep": torch.tensor([0.5]), "img_shapes": [(1, 2, 2)],
        },
    ),
    "ltx": Loaded(
        layout_models.ltx, lora_pipeline.LTXVideoLoraLoaderMixin,
        lambda: {
            "hidden_states": random_tensor(1, 4, 8, seed=1), "encoder_hidden_states": random_tensor(1, 3, 20, seed=2),
            "timestep": torch.tensor([300.0]), "encoder_attention_mask": torch.ones(1, 3),
            "num_frames": 1, "height": 2, "width": 2,
        },
    ),
    "lumina2": Loaded(
        layout_models.lumina2, lora_pipeline.Lumina2LoraLoaderMixin,
        lambda: _grid(4, 20, 4, 4, encoder_attention_mask=torch.ones(1, 5, dtype=torch.bool)),
    ),
    "z_image": Loaded(
        layout_models.z_image, lora_pipeline.ZImageLoraLoaderMixin,
        lambda: {
            "x": [random_tensor(4, 1, 4, 4, seed=1)], "t": torch.tensor([0.5]),
            "cap_feats": [random_tensor(5, 20, seed=2)],
        },
    ),
    "hunyuan_video": Loaded(
        layout_models.hunyuan_video, lora_pipeline.HunyuanVideoLoraLoaderMixin,
        lambda: _grid(
            4, 20, 1, 4, 4, encoder_attention_mask=torch.ones(1, 5),
            pooled_projections=random_tensor(1, 12, seed=3), guidance=torch.tensor([1000.0]),
        ),
    ),
    "auraflow": Loaded(layout_models.auraflow, lora_pipeline.AuraFlowLoraLoaderMixin, lambda: _grid(4, 20, 8, 8)),
}  # fmt: skip


def hidream() -> LayoutModel:
    """Whose names are diffusers' own; its gates of experts are bare parameters called weights."""

    def build() -> torch.nn.Module:
        return diffusers.HiDreamImageTransformer2DModel(
            patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
            num_attention_heads=4, caption_channels=[16, 16], text_emb_dim=8, num_routed_experts=2,
            num_activated_experts=2, axes_dims_rope=(4, 2, 2), max_resolution=(8, 8), llama_layers=[0, 0],
        )  # fmt: skip

    shapes = {name: tuple(value.shape) for name, value in build().state_dict().items()}
    return LayoutModel("hidream", "native", shapes, dict, build)


LOADERS_ALONE: dict[str, Loaded] = {
    # of which it is shown that every weight arrives, without a run of the model
    "wan_vace": Loaded(layout_models.wan_vace, lora_pipeline.WanLoraLoaderMixin, dict),
    "ltx2": Loaded(layout_models.ltx2, lora_pipeline.LTX2LoraLoaderMixin, dict),
    "hidream": Loaded(hidream, lora_pipeline.HiDreamImageLoraLoaderMixin, dict),
}


def scaled(native: Tensors) -> Tensors:
    """Weights small enough for a model of random numbers to compute something tame; norms stay near one."""
    return {
        name: tensor / max(1, tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else 1.0 + 0.1 * tensor
        for name, tensor in native.items()
    }


def fine_tuned(native: Tensors) -> Tensors:
    """A fine-tune of all matrices and convolutions, of full rank, most of it in few directions."""
    tuned = dict(native)
    for number, (name, tensor) in enumerate(native.items()):
        if tensor.dim() < 2 or not name.endswith(".weight"):
            continue
        rows, columns = tensor.shape[0], tensor[0].numel()
        smaller = min(rows, columns)
        left = random_tensor(rows, smaller, seed=100 + number) * 0.7 ** torch.arange(smaller)
        change = left @ random_tensor(smaller, columns, seed=500 + number)
        tuned[name] = tensor + (0.3 * tensor.norm() / change.norm() * change).reshape(tensor.shape)
    return tuned


def build(family: str, state: Tensors) -> torch.nn.Module:
    """diffusers' model with a state dict in its own names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = (LOADERS | LOADERS_ALONE)[family].model().build().eval()
    model.load_state_dict(state, strict=True)
    return model


def output(family: str, model: torch.nn.Module) -> torch.Tensor:
    """What the model computes."""
    with torch.no_grad():
        found = model(**LOADERS[family].inputs(), return_dict=False)[0]
    found = found[0] if isinstance(found, list) else found
    assert bool(torch.isfinite(found).all())
    return found


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The relative difference of two outputs."""
    return float(torch.linalg.norm(found - wanted) / torch.linalg.norm(wanted))


class _Said(logging.Handler):
    """Collects every warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def silence_demanded() -> Iterator[None]:
    """Whatever is warned of by diffusers, PEFT or transformers inside is an error."""
    said = _Said()
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers", "peft")]
    for logger in loggers:
        logger.addHandler(said)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(said)
    assert said.said == []


def load(family: str, model: torch.nn.Module, lora: Path) -> None:
    """Load a LoRA as the family's pipelines do, class methods alone; every warning is an error."""
    row = (LOADERS | LOADERS_ALONE)[family]
    with silence_demanded():
        found = row.loader.lora_state_dict(str(lora), return_lora_metadata=True, return_alphas=True)
        state, metadata = found[0], found[-1]
        alphas = {"network_alphas": found[1]} if len(found) == 3 else {}
        assert state
        if row.loader is lora_pipeline.WanLoraLoaderMixin:
            state = row.loader._maybe_expand_t2v_lora_for_i2v(transformer=model, state_dict=state)
        if row.prefix == "unet":
            row.loader.load_lora_into_unet(state, **alphas, unet=model, metadata=metadata, adapter_name="ours")
        else:
            row.loader.load_lora_into_transformer(
                state, **alphas, transformer=model, metadata=metadata, adapter_name="ours"
            )
    _all_loaded(model, state, row.prefix)


def _all_loaded(model: torch.nn.Module, state: dict[str, torch.Tensor], prefix: str) -> None:
    """Every tensor of the file stands in the model, and no adapter is there that the file does not have."""
    there = {name: value for name, value in model.state_dict().items() if ".lora_" in name}
    start = f"{prefix}."
    expected = {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}
    named = {name.replace(".ours.weight", ".weight"): value for name, value in there.items()}
    assert set(named) == set(expected)
    assert all(torch.equal(named[name], expected[name].to(named[name].dtype)) for name in expected)
