"""Trainers name SD 1.x and 2.x as diffusers and HunyuanVideo as Tencent does: so does Kohya's format, from any file."""

from __future__ import annotations

from pathlib import Path

import layout_models
import pytest
import torch
import unet_layout_models
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
from extraction_runs import EXACT, run, verified
from layout_models import LayoutModel
from model_files import Tensors, random_tensor, save_model
from safetensors.torch import load_file

from engine.formats.kohya import Kohya
from engine.models.families import FAMILIES

PREFIX = "model.diffusion_model."
MODELS = {"four levels": unet_layout_models.sd1, "one block a level": unet_layout_models.sd2_of_one_layer}
SD1 = next(family for family in FAMILIES if family.key == "sd1")


def changed(native: Tensors) -> Tensors:
    """A fine-tune of what trainers change: linear layers and convolutions, biases and norms not."""
    return {
        name: tensor + 0.1 * random_tensor(*tensor.shape, seed=2) if tensor.dim() > 1 else tensor
        for name, tensor in native.items()
    }


def scaled(native: Tensors) -> Tensors:
    """Weights small enough for a sum of many to stay finite."""
    return {name: tensor * 0.1 for name, tensor in native.items()}


def files(model: LayoutModel, native: Tensors, folder: Path, *, converted: bool) -> tuple[Path, Path]:
    states = {"tuned": changed(native), "base": native}
    named = {side: model.converted(state) if converted else state for side, state in states.items()}
    prefix = "" if converted else PREFIX
    saved = [
        save_model(folder / f"{side}.safetensors", {prefix + name: tensor for name, tensor in state.items()})
        for side, state in named.items()
    ]
    return saved[0], saved[1]


def output(model: LayoutModel, state: Tensors, lora: Path | None = None) -> torch.Tensor:
    """What diffusers' U-Net computes, with a LoRA that diffusers' own loader reads."""
    unet = model.build().eval()
    unet.load_state_dict(model.converted(state), strict=True)
    assert isinstance(unet, UNet2DConditionModel)
    if lora is not None:
        pipeline = StableDiffusionPipeline(
            vae=None, text_encoder=None, tokenizer=None, unet=unet, scheduler=EulerDiscreteScheduler(steps_offset=1),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.load_lora_weights(lora.parent, weight_name=lora.name)
    with torch.no_grad():
        noise = unet(random_tensor(1, 4, 8, 8, seed=3), torch.tensor([300]), random_tensor(1, 5, 24, seed=4))
    return noise.sample


@pytest.mark.shows(family="sd1", program="diffusers", format="kohya")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("converted", [False, True], ids=["single file", "diffusers names"])
def test_diffusers_with_the_lora_computes_what_the_fine_tuned_model_computes(
    name: str, converted: bool, tmp_path: Path
) -> None:
    model = MODELS[name]()
    native = scaled(model.native(0))
    pair = files(model, native, tmp_path, converted=converted)
    lora = run(pair, tmp_path, key_format="kohya", **EXACT).lora
    wanted, original = output(model, changed(native)), output(model, native)
    assert torch.linalg.norm(original - wanted) > 0.01 * torch.linalg.norm(wanted)
    assert torch.linalg.norm(output(model, native, lora) - wanted) < 1e-4 * torch.linalg.norm(wanted)
    keys = load_file(lora)
    assert "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight" in keys
    assert verified(pair, lora).mean_energy_retained > 0.999999


def test_without_the_whole_model_there_are_no_names_that_could_be_wrong() -> None:
    name = "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight"
    assert Kohya().keys(SD1, name, "matrix", factors=True) == {}
    assert Kohya().for_names(SD1, [name]).keys(SD1, name, "matrix", factors=True) == {}


@pytest.mark.parametrize("converted", [False, True], ids=["Tencent's names", "diffusers names"])
def test_hunyuan_video_has_tencents_names_as_its_trainers_write_them(converted: bool, tmp_path: Path) -> None:
    model = layout_models.hunyuan_video()
    native = model.native(0)
    pair = files(model, native, tmp_path, converted=converted)
    keys = load_file(run(pair, tmp_path, key_format="kohya", **EXACT).lora)
    modules = [name.removesuffix(".weight") for name, value in native.items() if value.dim() > 1]
    assert {key.split(".")[0] for key in keys} == {f"lora_unet_{name.replace('.', '_')}" for name in modules}


@pytest.mark.parametrize("family", ["hunyuan_image", "hunyuan_video15"])
def test_its_relatives_have_tencents_names_too_with_q_k_and_v_by_themselves_in_hunyuan_video_15(
    family: str, tmp_path: Path
) -> None:
    shapes = {**layout_models.hunyuan_video().shapes, **layout_models.linear("byt5_in.fc1", 12, 12)}
    if family == "hunyuan_video15":
        shapes |= layout_models.norm("vision_in.proj.0", 10)
    native = {name: random_tensor(*shape, seed=at, scale=0.1) for at, (name, shape) in enumerate(shapes.items())}
    saved = [save_model(tmp_path / f"{side}.safetensors", state)
             for side, state in (("tuned", changed(native)), ("base", native))]  # fmt: skip
    lora = run((saved[0], saved[1]), tmp_path, key_format="kohya", **EXACT).lora
    keys = load_file(lora)
    modules = {key.split(".")[0] for key in keys}
    assert {"lora_unet_double_blocks_0_img_mlp_fc1", "lora_unet_double_blocks_0_txt_mod_linear"} <= modules
    parts = [f"lora_unet_double_blocks_0_img_attn_{part}" for part in "qkv"]
    change = changed(native)["double_blocks.0.img_attn_qkv.weight"] - native["double_blocks.0.img_attn_qkv.weight"]
    if family == "hunyuan_image":
        parts = ["lora_unet_double_blocks_0_img_attn_qkv"]
    for part, expected in zip(parts, change.chunk(len(parts)), strict=True):
        up, down = keys[f"{part}.lora_up.weight"], keys[f"{part}.lora_down.weight"]
        product = up @ down * (keys[f"{part}.alpha"] / len(down))
        torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-6)
    assert verified((saved[0], saved[1]), lora).unknown_keys == ()
