"""The same model in its own names and in diffusers', as diffusers' own converters make them, is the same model here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import comfy_kitchen
import layout_models
import pytest
import sdxl_pipeline
import torch
import unet_layout_models
from diffusers import (
    EulerDiscreteScheduler,
    HunyuanImageTransformer2DModel,
    HunyuanVideo15Transformer3DModel,
    QwenImageTransformer2DModel,
    StableDiffusionXLPipeline,
)
from layout_models import LayoutModel
from model_files import Tensors, save_model
from safetensors.torch import load_file
from scaled_models import scaled
from transformers import CLIPTextConfig, CLIPTextModel

from engine.checkpoints import Checkpoint, open_checkpoint
from engine.checkpoints.tensors import read_view
from engine.models.families import FAMILIES
from engine.models.layouts import LAYOUTS, Layout, layout_of
from engine.models.names import NamedModel, detect_family, name_tensors
from engine.models.pairing import pair

MODELS: dict[str, Callable[[], LayoutModel]] = {
    "flux": layout_models.flux,
    "chroma": layout_models.chroma,
    "flux2": layout_models.flux2,
    "hunyuan_video": layout_models.hunyuan_video,
    "wan": layout_models.wan,
    "wan_vace": layout_models.wan_vace,
    "ltx": layout_models.ltx,
    "ltx2": layout_models.ltx2,
    "sd3": layout_models.sd3,
    "auraflow": layout_models.auraflow,
    "lumina2": layout_models.lumina2,
    "z_image": layout_models.z_image,
    "sd1": unet_layout_models.sd1,
    "sd2_of_one_layer": unet_layout_models.sd2_of_one_layer,
    "sdxl": unet_layout_models.sdxl,
    "sdxl_refiner": unet_layout_models.sdxl_refiner,
    "vae": unet_layout_models.vae,
}
EVERY_MODEL = pytest.mark.parametrize("name", MODELS)


def shown_names(name: str) -> list[dict[str, str]]:
    model = MODELS[name]()
    family = model.family if model.family in {family.key for family in FAMILIES} else ""
    return [{"family": family, "layout": layout} for layout in (model.layout, model.native_layout)]


def start_of(model: LayoutModel) -> str:
    return "vae." if model.layout == "vae_diffusers" else "diffusion_model."


def native_file(path: Path, model: LayoutModel, native: Tensors) -> Path:
    prefix = "first_stage_model." if model.layout == "vae_diffusers" else "model.diffusion_model."
    return save_model(path, {prefix + key: tensor for key, tensor in native.items()})


def diffusers_file(path: Path, model: LayoutModel, native: Tensors) -> Path:
    return save_model(path, model.converted(native))


def values(checkpoint: Checkpoint, named: NamedModel) -> Tensors:
    return {name: read_view(checkpoint, view) for name, view in named.views.items()}


def stored_in(named: NamedModel) -> set[str]:
    return {part.name for view in named.views.values() for part in view.parts}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # diffusers' own, of its older classes
@EVERY_MODEL
def test_diffusers_model_takes_what_its_converter_makes_of_the_names_used_here(name: str) -> None:
    model = MODELS[name]()
    converted = model.converted(model.native(0))
    model.build().load_state_dict(converted, strict=True)


@EVERY_MODEL
def test_both_files_have_the_same_weights_under_the_same_names(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    native = model.native(0)
    with (
        open_checkpoint(native_file(tmp_path / "native.safetensors", model, native)) as ours,
        open_checkpoint(diffusers_file(tmp_path / "diffusers.safetensors", model, native)) as theirs,
    ):
        own, converted = name_tensors(ours), name_tensors(theirs)
        expected, found = values(ours, own), values(theirs, converted)
        assert stored_in(own) == set(ours.stored)
        assert stored_in(converted) == set(theirs.stored)
    assert own.left_out == converted.left_out == ()
    assert set(expected) - set(found) == {start_of(model) + unused for unused in model.unused}
    assert set(found) <= set(expected)
    for key, value in found.items():
        assert torch.equal(value, expected[key]), key
    assert [layout.key for layout in converted.layouts] == [model.layout]
    assert (own.family.key, converted.family.key) == (model.family, model.family)
    if model.native_layout == "native":
        assert own.layouts == ()
        assert set(expected) == {start_of(model) + key for key in native}


@pytest.mark.shows(shown_names, container="safetensors", encoding="raw")
@EVERY_MODEL
@pytest.mark.parametrize("tuned_is_native", [True, False], ids=["native tuned", "diffusers tuned"])
def test_a_model_and_itself_in_the_other_names_pair_with_no_difference(
    name: str, tuned_is_native: bool, tmp_path: Path
) -> None:
    model = MODELS[name]()
    native = model.native(0)
    files = (
        native_file(tmp_path / "native.safetensors", model, native),
        diffusers_file(tmp_path / "diffusers.safetensors", model, native),
    )
    first, second = files if tuned_is_native else reversed(files)
    with open_checkpoint(first) as tuned, open_checkpoint(second) as base:
        pairing = pair(tuned, base)
        assert {item.name for item in pairing.left_out} == {start_of(model) + unused for unused in model.unused}
        assert len(pairing.weights) == len(native) - len(model.unused)
        for weight in pairing.weights:
            assert torch.equal(read_view(tuned, weight.finetuned), read_view(base, weight.original)), weight.name


CHANGES = (
    # model, native tensor, canonical name, first row, last row
    ("flux", "double_blocks.1.img_attn.qkv.weight", "double_blocks.1.img_attn.qkv.weight", 48, 96),
    ("flux", "double_blocks.0.txt_attn.qkv.bias", "double_blocks.0.txt_attn.qkv.bias", 96, 144),
    ("flux", "single_blocks.0.linear1.weight", "single_blocks.0.linear1.weight", 144, 336),
    ("flux", "single_blocks.0.linear1.bias", "single_blocks.0.linear1.bias", 144, 336),
    ("flux", "final_layer.adaLN_modulation.1.weight", "final_layer.adaLN_modulation.1.weight", 48, 96),
    ("flux", "final_layer.adaLN_modulation.1.bias", "final_layer.adaLN_modulation.1.bias", 0, 48),
    ("flux", "single_blocks.0.norm.key_norm.scale", "single_blocks.0.norm.key_norm.scale", 0, 16),
    ("chroma", "single_blocks.0.linear1.weight", "single_blocks.0.linear1.weight", 0, 48),
    ("flux2", "final_layer.adaLN_modulation.1.weight", "final_layer.adaLN_modulation.1.weight", 48, 96),
    ("hunyuan_video", "double_blocks.0.txt_attn_qkv.weight", "double_blocks.0.txt_attn.qkv.weight", 48, 96),
    ("hunyuan_video", "single_blocks.0.linear1.weight", "single_blocks.0.linear1.weight", 144, 336),
    ("hunyuan_video", "final_layer.adaLN_modulation.1.weight", "final_layer.adaLN_modulation.1.weight", 48, 96),
    ("wan", "blocks.1.norm3.weight", "blocks.1.norm3.weight", 0, 24),
    ("wan", "blocks.1.cross_attn.k_img.weight", "blocks.1.cross_attn.k_img.weight", 3, 7),
    ("ltx", "transformer_blocks.1.attn2.k_norm.weight", "transformer_blocks.1.attn2.k_norm.weight", 0, 24),
    ("sd3", "joint_blocks.0.x_block.attn2.qkv.weight", "joint_blocks.0.x_block.attn2.qkv.weight", 24, 48),
    ("sd3", "joint_blocks.2.context_block.adaLN_modulation.1.weight",
     "joint_blocks.2.context_block.adaLN_modulation.1.weight", 24, 48),
    ("sd3", "joint_blocks.1.context_block.adaLN_modulation.1.weight",
     "joint_blocks.1.context_block.adaLN_modulation.1.weight", 24, 48),
    ("sd3", "final_layer.adaLN_modulation.1.bias", "final_layer.adaLN_modulation.1.bias", 24, 48),
    ("auraflow", "modF.1.weight", "modF.1.weight", 24, 48),
    ("lumina2", "layers.0.attention.qkv.weight", "layers.0.attention.qkv.weight", 24, 36),
    ("z_image", "noise_refiner.0.attention.qkv.weight", "noise_refiner.0.attention.qkv.weight", 24, 48),
    ("sd1", "output_blocks.2.1.conv.weight", "output_blocks.2.1.conv.weight", 0, 16),
    ("sdxl", "input_blocks.7.1.transformer_blocks.2.attn2.to_k.weight",
     "input_blocks.7.1.transformer_blocks.2.attn2.to_k.weight", 0, 16),
    ("sdxl_refiner", "output_blocks.5.2.conv.bias", "output_blocks.5.2.conv.bias", 2, 5),
    ("vae", "decoder.up.2.block.1.conv1.weight", "decoder.up.2.block.1.conv1.weight", 0, 24),
    ("vae", "decoder.mid.attn_1.k.weight", "decoder.mid.attn_1.k.weight", 4, 9),
)  # fmt: skip


@pytest.mark.parametrize(("name", "stored", "canonical", "first", "last"), CHANGES)
def test_a_change_of_a_part_is_found_in_its_rows_and_nowhere_else(
    name: str, stored: str, canonical: str, first: int, last: int, tmp_path: Path
) -> None:
    model = MODELS[name]()
    native = model.native(0)
    step = torch.zeros_like(native[stored])
    step[first:last] = 0.5 + torch.rand(step[first:last].shape, generator=torch.Generator().manual_seed(1))
    changed = native | {stored: native[stored] + step}
    with (
        open_checkpoint(diffusers_file(tmp_path / "tuned.safetensors", model, changed)) as tuned,
        open_checkpoint(native_file(tmp_path / "base.safetensors", model, native)) as base,
    ):
        for weight in pair(tuned, base).weights:
            delta = read_view(tuned, weight.finetuned) - read_view(base, weight.original)
            there = weight.name == start_of(model) + canonical
            assert torch.equal(delta, changed[stored] - native[stored] if there else torch.zeros_like(delta))
            assert not there or bool((delta[first:last] != 0).all())


@EVERY_MODEL
def test_the_rows_lead_back_from_the_canonical_names_to_all_of_the_layouts(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    with open_checkpoint(diffusers_file(tmp_path / "model.safetensors", model, model.native(0))) as theirs:
        views = {key.removeprefix(start_of(model)): view for key, view in name_tensors(theirs).views.items()}
        layout = LAYOUTS[model.layout].for_canonical(views)
        back = {key: layout.stored_names(key) for key in views}
        assert {part for parts in back.values() for part in parts} == set(theirs.stored)
    for key, view in views.items():
        assert set(back[key]) == {part.name for part in view.parts}, key
        assert all(key in LAYOUTS[model.layout].for_stored(theirs.stored).canonical_names(part) for part in back[key])


@EVERY_MODEL
def test_no_other_layout_and_no_other_family_takes_the_names_for_its_own(name: str) -> None:
    model = MODELS[name]()
    native = model.native(0)
    converted = model.converted(native)
    assert [layout.key for layout in LAYOUTS.values() if layout.fits(converted)] == [model.layout]
    own = [layout.key for layout in LAYOUTS.values() if layout.fits(native)]
    assert own == ([] if model.native_layout == "native" else [model.native_layout])
    found = layout_of(converted)
    assert found is not None
    assert (found[0].key, found[1].key) == (model.family, model.layout)
    if model.native_layout == "native":
        assert detect_family(set(native)).key == model.family


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS.values() if layout.ran], ids=lambda layout: layout.key)
def test_a_layout_that_says_it_ran_is_among_the_models_here(layout: Layout) -> None:
    models = [make() for make in MODELS.values()]
    ran = {model.layout for model in models} | {model.native_layout for model in models}
    assert layout.key in ran | {"open_clip", "clip_2022"}  # which sdxl_pipeline and the next test have


def test_a_text_encoder_as_transformers_saves_it_has_the_names_of_the_one_in_a_single_file(tmp_path: Path) -> None:
    sizes = {"hidden_size": 768, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    model = CLIPTextModel(CLIPTextConfig(**sizes, vocab_size=50, max_position_embeddings=8))
    model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert "encoder.layers.0.mlp.fc1.weight" in state  # transformers 5 leaves out a level that other files have
    single = {f"cond_stage_model.transformer.text_model.{key}": tensor for key, tensor in state.items()}
    with (
        open_checkpoint(tmp_path / "model.safetensors") as theirs,
        open_checkpoint(save_model(tmp_path / "single.safetensors", single)) as ours,
    ):
        converted, own = name_tensors(theirs), name_tensors(ours)
        assert set(converted.views) == set(own.views)
        assert all(key.startswith("text_encoders.clip_l.transformer.text_model.") for key in own.views)


def test_a_pipeline_in_folders_is_the_single_file_of_the_same_model(tmp_path: Path) -> None:
    model, vae = sdxl_pipeline.build(0), unet_layout_models.vae()
    native = vae.native(0)
    decoder = vae.build()
    decoder.load_state_dict(vae.converted(native))
    whole = load_file(sdxl_pipeline.save(model, tmp_path / "networks.safetensors"))
    whole |= {f"first_stage_model.{key}": tensor for key, tensor in native.items()}
    StableDiffusionXLPipeline(
        vae=decoder, text_encoder=model.clip_l, text_encoder_2=model.clip_g, tokenizer=None, tokenizer_2=None,
        unet=model.unet, scheduler=EulerDiscreteScheduler(steps_offset=1),
    ).save_pretrained(tmp_path / "pipeline")  # fmt: skip
    with (
        open_checkpoint(tmp_path / "pipeline") as tuned,
        open_checkpoint(save_model(tmp_path / "single.safetensors", whole)) as base,
    ):
        pairing = pair(tuned, base)
        assert (pairing.family.key, pairing.left_out) == ("sdxl", ())
        assert {weight.component for weight in pairing.weights} == {"denoiser", "text_encoders", "vae"}
        for weight in pairing.weights:
            assert torch.equal(read_view(tuned, weight.finetuned), read_view(base, weight.original)), weight.name


@pytest.mark.parametrize("denoiser", ["", "transformer.", "model.diffusion_model."])
def test_a_text_encoder_beside_a_denoiser_is_known_by_the_word_of_its_folder(denoiser: str, tmp_path: Path) -> None:
    flux = MODELS["flux"]()
    native = flux.native(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    clip = CLIPTextModel(CLIPTextConfig(**sizes, vocab_size=50, max_position_embeddings=8)).state_dict()
    state = {name.removeprefix("text_model."): tensor for name, tensor in clip.items()}
    trained = {denoiser + name: tensor for name, tensor in flux.converted(native).items()}
    trained |= {f"text_encoder.text_model.{name}": tensor for name, tensor in state.items()}
    whole = {f"model.diffusion_model.{name}": tensor for name, tensor in native.items()}
    whole |= {f"text_encoders.clip_l.transformer.text_model.{name}": tensor for name, tensor in state.items()}
    with (
        open_checkpoint(save_model(tmp_path / "trained.safetensors", trained)) as tuned,
        open_checkpoint(save_model(tmp_path / "whole.safetensors", whole)) as base,
    ):
        pairing = pair(tuned, base)
        assert (pairing.family.key, pairing.left_out, len(pairing.weights)) == ("flux", (), len(whole))
        for weight in pairing.weights:
            assert torch.equal(read_view(tuned, weight.finetuned), read_view(base, weight.original)), weight.name


LATER_HUNYUAN: dict[str, Callable[[], torch.nn.Module]] = {
    "hunyuan_video15": lambda: HunyuanVideo15Transformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=3, attention_head_dim=16, num_layers=1,
        num_refiner_layers=1, text_embed_dim=20, text_embed_2_dim=14, image_embed_dim=10, rope_axes_dim=(4, 6, 6),
        use_meanflow=True,
    ),
    "hunyuan_image": lambda: HunyuanImageTransformer2DModel(
        in_channels=4, out_channels=4, num_attention_heads=3, attention_head_dim=16, num_layers=1, num_single_layers=1,
        num_refiner_layers=1, text_embed_dim=20, text_embed_2_dim=14, rope_axes_dim=(8, 8), guidance_embeds=True,
        use_meanflow=True,
    ),
}  # fmt: skip
HUNYUAN_PARTS = (
    "img_in.", "txt_in.", "byt5_in.", "vision_in.", "time_in.", "time_r_in.", "guidance_in.", "cond_type_embedding.",
    "double_blocks.", "single_blocks.", "final_layer.",
)  # fmt: skip


@pytest.mark.parametrize("family", LATER_HUNYUAN)
def test_every_weight_of_diffusers_later_hunyuan_models_has_a_name_of_the_family(family: str, tmp_path: Path) -> None:
    state = {key: tensor.clone() for key, tensor in LATER_HUNYUAN[family]().state_dict().items()}
    with open_checkpoint(save_model(tmp_path / "model.safetensors", state)) as theirs:
        named = name_tensors(theirs)
        assert (named.family.key, named.left_out, stored_in(named)) == (family, (), set(state))
    names = {key.removeprefix("diffusion_model.") for key in named.views}
    assert all(key.startswith(HUNYUAN_PARTS) for key in names)
    assert not [key for key in names if ".attn." in key or "transformer" in key or "linear_" in key]
    assert detect_family(names).key == family


@pytest.mark.parametrize("name", ["flux", "chroma", "flux2"])
def test_norms_whose_scales_are_called_weights_pair_with_those_of_the_original(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    native = model.native(0)
    renamed = {key.replace(".scale", ".weight"): tensor for key, tensor in native.items()}
    with open_checkpoint(save_model(tmp_path / "model.safetensors", renamed)) as theirs:
        named = name_tensors(theirs)
        assert set(named.views) == {"diffusion_model." + key for key in native}
        assert (named.family.key, named.left_out) == (name, ())


def test_qwen_image_has_the_same_names_everywhere() -> None:
    model = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=20, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    names = set(model.state_dict())
    assert layout_of(names) is None
    assert detect_family(names).key == "qwen_image"


@pytest.mark.parametrize(
    "prefix", ["transformer.", "model.diffusion_model.", "diffusion_model.", "module.transformer."]
)
def test_diffusers_names_are_known_behind_any_prefix(prefix: str, tmp_path: Path) -> None:
    model = layout_models.flux()
    native = model.native(0)
    converted = {prefix + key: tensor for key, tensor in model.converted(native).items()}
    with open_checkpoint(save_model(tmp_path / "model.safetensors", converted)) as theirs:
        named = name_tensors(theirs)
        assert set(named.views) == {"diffusion_model." + key for key in native}
        assert (named.family.key, named.left_out) == ("flux", ())


@pytest.mark.parametrize("lost", ["transformer_blocks.1.attn.to_k.bias", "single_transformer_blocks.0.proj_mlp.weight"])
def test_a_part_that_is_not_there_leaves_the_others_named_as_unmatched(lost: str, tmp_path: Path) -> None:
    model = layout_models.flux()
    native = model.native(0)
    converted = model.converted(native)
    del converted[lost]
    with (
        open_checkpoint(save_model(tmp_path / "tuned.safetensors", converted)) as tuned,
        open_checkpoint(native_file(tmp_path / "base.safetensors", model, native)) as base,
    ):
        pairing = pair(tuned, base)
        paired = {part.name for weight in pairing.weights for part in weight.finetuned.parts}
        named = {item.name.removeprefix("diffusion_model.") for item in pairing.left_out}
    assert paired | named >= set(converted)
    assert len(named - set(converted)) == 1  # the original's whole weight


def test_parts_that_are_scaled_by_themselves_are_joined_and_swapped_as_numbers(tmp_path: Path) -> None:
    model = layout_models.flux()
    stored: Tensors = {"scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)}
    numbers: Tensors = {}
    for key, tensor in model.converted(model.native(0)).items():
        if tensor.dim() != 2:
            stored[key] = numbers[key] = tensor
            continue
        stored[key], scale = scaled(tensor)
        stored[key.removesuffix("weight") + "scale_weight"] = scale
        numbers[key] = comfy_kitchen.dequantize_per_tensor_fp8(stored[key], scale, torch.float32)
    parts = [numbers[f"single_transformer_blocks.0.{part}.weight"] for part in
             ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")]  # fmt: skip
    scale, shift = numbers["norm_out.linear.weight"].chunk(2)
    with open_checkpoint(save_model(tmp_path / "model.safetensors", stored)) as theirs:
        found = values(theirs, name_tensors(theirs))
    assert torch.equal(found["diffusion_model.single_blocks.0.linear1.weight"], torch.cat(parts))
    assert torch.equal(found["diffusion_model.final_layer.adaLN_modulation.1.weight"], torch.cat([shift, scale]))


def test_a_unet_that_lacks_what_its_blocks_are_counted_by_is_not_guessed_at(tmp_path: Path) -> None:
    model = unet_layout_models.sdxl()
    native = model.native(0)
    converted = {key: tensor for key, tensor in model.converted(native).items() if "down_blocks.0.down" not in key}
    with open_checkpoint(save_model(tmp_path / "model.safetensors", converted)) as theirs:
        named = name_tensors(theirs)
    assert set(named.views) == {"diffusion_model." + key for key in converted}
    assert LAYOUTS["sdxl_diffusers"].for_canonical([key for key in native if "input_blocks.3." not in key]).rows == ()


def test_tencents_names_come_back_from_the_canonical_ones(tmp_path: Path) -> None:
    model = layout_models.hunyuan_video()
    native, layout = model.native(0), LAYOUTS[model.native_layout]
    back = [layout.stored_names(key) for name in native for key in layout.canonical_names(name)]
    assert back == [(name,) for name in native]
