"""Both sides meet under one name whatever their files call a weight, and no tensor is ever lost."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
from hypothesis import given
from hypothesis import strategies as st
from model_files import Tensors, matrices, random_tensor, save_model
from native_models import NATIVE_MODELS, state_of
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from engine.checkpoints import open_checkpoint
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError, ErrorCode
from engine.models.blocks import find_blocks
from engine.models.names import name_tensors
from engine.models.pairing import Pairing, pair
from engine.settings import ExtractionSettings

WIDTH = 16
OPEN_CLIP = "conditioner.embedders.1.model."
CLIP_G = "text_encoders.clip_g.transformer."


def paired(folder: Path, tuned: Tensors, base: Tensors) -> Pairing:
    with (
        open_checkpoint(save_model(folder / "tuned.safetensors", tuned)) as left,
        open_checkpoint(save_model(folder / "base.safetensors", base)) as right,
    ):
        return pair(left, right)


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def plain_names() -> Tensors:
    """A model of no known family, without any prefix."""
    return {name.removeprefix("model.diffusion_model."): tensor for name, tensor in matrices(8).items()}


@pytest.mark.parametrize("theirs", ["", "model.diffusion_model.", "diffusion_model.", "transformer.", "unet.", "net."])
@pytest.mark.parametrize("ours", ["", "model.diffusion_model.", "diffusion_model.", "transformer.", "unet.", "net."])
def test_each_side_may_have_another_prefix(ours: str, theirs: str, tmp_path: Path) -> None:
    names = plain_names()
    pairing = paired(tmp_path, prefixed(ours, names), prefixed(theirs, names))
    assert {weight.name for weight in pairing.weights} == {f"diffusion_model.{name}" for name in names}
    assert pairing.left_out == ()


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model.", "model.", "net."])
@pytest.mark.parametrize("family", NATIVE_MODELS)
def test_a_family_is_recognised_under_any_prefix(family: str, prefix: str, tmp_path: Path) -> None:
    native = NATIVE_MODELS[family].native(state_of(family, seed=0))
    pairing = paired(tmp_path, prefixed(prefix, native), native)
    assert (pairing.family.key, len(pairing.weights)) == (family, len(native))


def test_two_models_without_a_common_weight_are_refused_with_an_example_of_each(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        paired(tmp_path, {"a.weight": torch.ones(2, 2)}, {"b.weight": torch.ones(2, 2)})
    assert caught.value.code is ErrorCode.NO_COMMON_WEIGHTS
    assert (caught.value.data["example"], caught.value.data["other_example"]) == ("a.weight", "b.weight")


@pytest.mark.parametrize(
    ("name", "component", "canonical"),
    [
        ("model.diffusion_model.x.weight", "denoiser", "diffusion_model.x.weight"),
        (
            "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
            "text_encoders",
            "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
        ),
        (  # files of 2022 lack a level
            "cond_stage_model.transformer.encoder.layers.0.mlp.fc1.weight",
            "text_encoders",
            "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
        ),
        (
            "cond_stage_model.transformer.final_layer_norm.weight",
            "text_encoders",
            "text_encoders.clip_l.transformer.text_model.final_layer_norm.weight",
        ),
        (
            "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight",
            "text_encoders",
            "text_encoders.clip_l.transformer.text_model.final_layer_norm.weight",
        ),
        (
            "cond_stage_model.model.transformer.resblocks.3.mlp.c_fc.weight",
            "text_encoders",
            "text_encoders.clip_h.transformer.text_model.encoder.layers.3.mlp.fc1.weight",
        ),
        (
            "text_encoders.t5xxl.transformer.shared.weight",
            "text_encoders",
            "text_encoders.t5xxl.transformer.shared.weight",
        ),
        ("first_stage_model.decoder.conv_in.weight", "vae", "vae.decoder.conv_in.weight"),
        ("vae.decoder.conv_in.weight", "vae", "vae.decoder.conv_in.weight"),
        ("denoiser.sigmas.weight", "other", "denoiser.sigmas.weight"),
    ],
)
def test_a_name_tells_its_component_and_its_canonical_name(
    name: str, component: str, canonical: str, tmp_path: Path
) -> None:
    tensors = {name: torch.ones(4, 4), "model.diffusion_model.anchor.weight": torch.ones(4, 4)}
    weights = {weight.name: weight for weight in paired(tmp_path, tensors, tensors).weights}
    assert weights[canonical].component == component


@pytest.mark.parametrize(
    ("name", "width", "start"),
    [
        ("text_model.encoder.layers.0.layer_norm1.weight", 768, "text_encoders.clip_l.transformer."),
        ("text_model.encoder.layers.0.layer_norm1.weight", 1280, "text_encoders.clip_g.transformer."),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", 64, "text_encoders.t5xxl.transformer."),
    ],
)
def test_a_text_encoder_in_a_file_of_its_own_goes_under_the_consumers_name(
    name: str, width: int, start: str, tmp_path: Path
) -> None:
    tensors = {name: torch.ones(width)}
    assert [weight.name for weight in paired(tmp_path, tensors, tensors).weights] == [start + name]


def open_clip(seed: int) -> Tensors:
    """A text encoder under OpenCLIP's names, as SDXL's single files hold it."""
    tensors: Tensors = {
        "positional_embedding": random_tensor(7, WIDTH, seed=seed),
        "token_embedding.weight": random_tensor(11, WIDTH, seed=seed + 1),
        "ln_final.weight": random_tensor(WIDTH, seed=seed + 2),
        "ln_final.bias": random_tensor(WIDTH, seed=seed + 3),
        "text_projection": random_tensor(WIDTH, WIDTH, seed=seed + 4),
    }
    for layer in range(2):
        block, shift = f"transformer.resblocks.{layer}.", seed + 100 * (layer + 1)
        shapes = {
            "attn.in_proj_weight": (3 * WIDTH, WIDTH),
            "attn.in_proj_bias": (3 * WIDTH,),
            "attn.out_proj.weight": (WIDTH, WIDTH),
            "attn.out_proj.bias": (WIDTH,),
            "ln_1.weight": (WIDTH,),
            "ln_1.bias": (WIDTH,),
            "ln_2.weight": (WIDTH,),
            "ln_2.bias": (WIDTH,),
            "mlp.c_fc.weight": (4 * WIDTH, WIDTH),
            "mlp.c_fc.bias": (4 * WIDTH,),
            "mlp.c_proj.weight": (WIDTH, 4 * WIDTH),
            "mlp.c_proj.bias": (WIDTH,),
        }
        for index, (name, shape) in enumerate(shapes.items()):
            tensors[block + name] = random_tensor(*shape, seed=shift + index)
    return prefixed(OPEN_CLIP, tensors)


def clip_model() -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=11, hidden_size=WIDTH, intermediate_size=4 * WIDTH, projection_dim=WIDTH,
            num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=7, bos_token_id=0, eos_token_id=1,
        )
    )  # fmt: skip


def read_canonical(path: Path) -> Tensors:
    """Every tensor of a file under its canonical name, as the engine reads it."""
    with open_checkpoint(path) as checkpoint:
        pairing = pair(checkpoint, checkpoint)
        return {weight.name: read_view(checkpoint, weight.finetuned) for weight in pairing.weights}


def test_open_clips_weights_are_what_diffusers_converts_them_to(tmp_path: Path) -> None:
    state = open_clip(seed=0)
    reference = convert_open_clip_checkpoint(clip_model(), dict(state), prefix=OPEN_CLIP)
    ours = read_canonical(save_model(tmp_path / "clip.safetensors", state))
    assert set(ours) == {CLIP_G + name for name in reference}
    for name, tensor in reference.items():
        assert torch.equal(ours[CLIP_G + name], tensor), name


def test_transformers_loads_open_clips_weights_under_the_canonical_names(tmp_path: Path) -> None:
    ours = read_canonical(save_model(tmp_path / "clip.safetensors", open_clip(seed=0)))
    model = clip_model()
    loaded = model.load_state_dict({name.removeprefix(CLIP_G): tensor for name, tensor in ours.items()}, strict=False)
    assert loaded.missing_keys == []
    assert loaded.unexpected_keys == []


def test_an_open_clip_file_pairs_with_a_hugging_face_one(tmp_path: Path) -> None:
    state = open_clip(seed=0)
    converted = convert_open_clip_checkpoint(clip_model(), dict(state), prefix=OPEN_CLIP)
    other = prefixed(CLIP_G, {name: tensor.contiguous() for name, tensor in converted.items()})
    pairing = paired(tmp_path, state, other)
    assert ({weight.name for weight in pairing.weights}, pairing.left_out) == (set(other), ())


UNET_NAMES = {
    "input_blocks.0.0.weight": ("input_blocks.0", "input"),
    "input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight": ("input_blocks.4", "input"),
    "middle_block.1.proj_in.weight": ("middle_block", "middle"),
    "output_blocks.11.0.in_layers.2.weight": ("output_blocks.11", "output"),
    "label_emb.0.0.weight": ("", "other"),
    "time_embed.0.weight": ("", "other"),
}


def test_the_blocks_of_a_unet_have_the_parts_that_their_names_say(tmp_path: Path) -> None:
    tensors = prefixed("model.diffusion_model.", {name: torch.ones(2, 2) for name in UNET_NAMES})
    weights = paired(tmp_path, tensors, tensors).weights
    found = {weight.name.removeprefix("diffusion_model."): (weight.block.name, weight.block.part) for weight in weights}
    assert found == UNET_NAMES


@pytest.mark.parametrize("count", [3, 6, 19, 57])
def test_the_blocks_of_a_transformer_are_input_middle_and_output_by_thirds(count: int) -> None:
    names = {
        f"diffusion_model.{stack}.{index}.linear.weight"
        for stack, size in (("double_blocks", count // 3), ("single_blocks", count - count // 3))
        for index in range(size)
    }
    from engine.models.families import FAMILIES

    flux = next(family for family in FAMILIES if family.key == "flux")
    ordered = sorted({(block.order, block.part) for block in find_blocks(flux, names).values()})
    assert [part for _, part in ordered] == [("input", "middle", "output")[3 * n // count] for n in range(count)]


def test_the_layers_are_worked_on_in_the_order_of_depth(tmp_path: Path) -> None:
    names = {f"blocks.{index}.{part}.weight": torch.ones(2, 2) for index in range(12) for part in "abcd"}
    order = [weight.block.order for weight in paired(tmp_path, names, names).weights]
    assert order == sorted(order)
    assert order[-1] == 11


WORDS = st.sampled_from(["blocks", "attn", "0", "1", "10", "qkv", "norm", "embed_tokens", "model", "lm_head"])
NAMES = st.builds(
    lambda prefix, words, ending: ".".join([*words, ending]) if not prefix else f"{prefix}{'.'.join(words)}.{ending}",
    st.sampled_from(
        ["", "model.diffusion_model.", "model_ema.", "first_stage_model.", "conditioner.embedders.1.model."]
    ),
    st.lists(WORDS, min_size=1, max_size=3),
    st.sampled_from(["weight", "bias", "scale", "in_proj_weight", "in_proj_bias"]),
)
SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.uint8])
MODELS = st.dictionaries(NAMES, st.tuples(SHAPES, DTYPES), min_size=1, max_size=10)


@given(tuned=MODELS, base=MODELS, common=MODELS)
def test_every_tensor_is_either_paired_or_named_among_those_left_out(tuned: dict, base: dict, common: dict) -> None:
    sides = [
        {name: torch.zeros(shape, dtype=dtype) for name, (shape, dtype) in {**own, **common}.items()}
        for own in (tuned, base)
    ]
    with TemporaryDirectory() as folder:
        files = [save_model(Path(folder) / f"{index}.safetensors", side) for index, side in enumerate(sides)]
        with open_checkpoint(files[0]) as left, open_checkpoint(files[1]) as right:
            try:
                pairing = pair(left, right)
            except EngineError as error:
                allowed = (ErrorCode.NO_COMMON_WEIGHTS, ErrorCode.NO_USABLE_WEIGHTS)
                assert error.code in allowed  # noqa: PT017 - the other outcome that is allowed
                return
            named = {item.name for item in pairing.left_out}
            seen = {weight.name for weight in pairing.weights} | named
            for checkpoint, side in ((left, "finetuned"), (right, "original")):
                model = name_tensors(checkpoint)
                used = {getattr(weight, side).source.name for weight in pairing.weights}
                for file_name in checkpoint.weights:
                    canonical = {name for name, view in model.views.items() if view.source.name == file_name}
                    stripped = {f"diffusion_model.{name.split('.', 2)[-1]}" for name in canonical}
                    assert file_name in used | named or canonical & seen or stripped & seen, file_name


def test_biases_and_bare_parameters_are_told_apart(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.ones(3, 2), "a.bias": torch.ones(3), "b.bias": torch.ones(3), "c.weight": torch.ones(3),
        "d.weight": torch.ones(3, 2, 3), "e": torch.ones(()), "f.scale": torch.ones(2, 2),
    }  # fmt: skip
    kinds = {weight.name.split(".", 1)[1]: weight.kind for weight in paired(tmp_path, tensors, tensors).weights}
    assert kinds == {
        "a.weight": "matrix", "a.bias": "bias", "b.bias": "parameter", "c.weight": "norm", "d.weight": "conv",
        "e": "parameter", "f.scale": "parameter",
    }  # fmt: skip


def test_the_default_parts_leave_the_vae_out() -> None:
    assert ExtractionSettings().components == ("denoiser", "text_encoders")
