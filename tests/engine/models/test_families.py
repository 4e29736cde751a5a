"""A family's signature is carried by its own names and no other family's; text encoders are told apart by headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import diffusers_models
import layout_models
import pytest
import torch
import transformers
import unet_layout_models
from layout_models import LayoutModel

from engine.checkpoints import WeightSource
from engine.formats.registry import FORMATS
from engine.models.blocks import find_blocks
from engine.models.families import FAMILIES, Family
from engine.models.layer_blocks import block_of
from engine.models.recognition import detect_family, kind_of, recognised
from engine.models.text_encoders import TEXT_ENCODERS

Shapes = Mapping[str, tuple[int, ...]]
WIDTH = 64


def sources(shapes: Shapes) -> dict[str, WeightSource]:
    return {name: WeightSource(name, tuple(shape), "F32", "raw", ()) for name, shape in shapes.items()}


def shapes_of(build: Callable[[], torch.nn.Module]) -> Shapes:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}


NATIVE: dict[str, Callable[[], LayoutModel]] = {
    # families whose native names the tests of layouts hold against diffusers' converters
    "flux": layout_models.flux, "chroma": layout_models.chroma, "flux2": layout_models.flux2,
    "hunyuan_video": layout_models.hunyuan_video, "wan": layout_models.wan, "ltx": layout_models.ltx,
    "sd3": layout_models.sd3, "auraflow": layout_models.auraflow, "lumina2": layout_models.lumina2,
    "z_image": layout_models.z_image, "sd1": unet_layout_models.sd1, "sdxl": unet_layout_models.sdxl,
}  # fmt: skip


BUILT: dict[str, Callable[[], torch.nn.Module]] = {
    # diffusers' names are the native ones, or have a row of their own
    "hidream": diffusers_models.hidream,
    "qwen_image": diffusers_models.qwen_image,
    "pixart_diffusers": diffusers_models.pixart,
}
LISTED: dict[str, tuple[str, ...]] = {
    # names of families that no package here builds, from the sources that their rows cite
    "svd": (
        "time_embed.0.weight", "label_emb.0.0.weight", "input_blocks.0.0.weight",
        "input_blocks.1.0.in_layers.2.weight", "input_blocks.1.0.time_stack.in_layers.2.weight",
        "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", "input_blocks.1.1.time_stack.0.attn1.to_q.weight",
        "input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight", "input_blocks.4.1.time_stack.0.attn1.to_q.weight",
        "middle_block.1.time_stack.0.attn1.to_q.weight", "output_blocks.3.1.time_mixer.mix_factor",
    ),
    "hunyuan_video15": (
        "img_in.proj.weight", "time_in.in_layer.weight", "txt_in.input_embedder.weight",
        "txt_in.individual_token_refiner.blocks.0.norm1.weight",
        "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",
        "vision_in.proj.0.weight", "byt5_in.fc1.weight", "cond_type_embedding.weight",
        "double_blocks.0.img_attn.qkv.weight", "double_blocks.0.img_mod.lin.weight", "final_layer.linear.weight",
    ),
    "hunyuan_image": (
        "img_in.proj.weight", "time_in.in_layer.weight", "txt_in.input_embedder.weight",
        "txt_in.individual_token_refiner.blocks.0.norm1.weight",
        "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias", "byt5_in.fc1.weight",
        "double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight", "final_layer.linear.weight",
    ),
    "ltx2": (
        "patchify_proj.weight", "audio_patchify_proj.weight", "adaln_single.emb.timestep_embedder.linear_1.bias",
        "adaln_single.linear.weight", "audio_adaln_single.linear.weight", "transformer_blocks.0.scale_shift_table",
        "transformer_blocks.0.audio_attn1.to_q.weight", "transformer_blocks.0.attn1.to_q.weight", "proj_out.weight",
    ),
    "cosmos": (
        "blocks.block0.blocks.0.block.attn.to_q.0.weight", "blocks.block0.blocks.0.adaLN_modulation.1.weight",
        "blocks.block27.blocks.2.block.layer1.weight", "x_embedder.proj.1.weight", "t_embedder.1.linear_1.weight",
        "final_layer.linear.weight", "affline_norm.weight",
    ),
    "cosmos_predict2": (
        "blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_self_attn.1.weight",
        "blocks.0.self_attn.q_proj.weight", "blocks.0.cross_attn.k_proj.weight", "x_embedder.proj.1.weight",
        "t_embedder.1.linear_1.weight", "final_layer.linear.weight",
    ),
    "anima": (
        "blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_self_attn.1.weight",
        "blocks.0.self_attn.q_proj.weight", "blocks.0.cross_attn.k_proj.weight", "x_embedder.proj.1.weight",
        "llm_adapter.blocks.0.cross_attn.q_proj.weight", "llm_adapter.embed.weight", "final_layer.linear.weight",
    ),
    "pixart": (
        "x_embedder.proj.weight", "t_embedder.mlp.0.weight", "t_block.1.weight", "y_embedder.y_proj.fc1.weight",
        "blocks.0.attn.qkv.weight", "blocks.0.cross_attn.q_linear.weight", "blocks.0.cross_attn.kv_linear.weight",
        "blocks.0.scale_shift_table", "final_layer.linear.weight",
    ),
    "stable_cascade": (
        "clf.1.weight", "embedding.1.weight", "clip_txt_mapper.weight", "clip_txt_pooled_mapper.weight",
        "down_blocks.0.0.channelwise.0.weight", "down_blocks.0.2.attention.attn.to_q.weight",
        "up_blocks.0.0.channelwise.0.weight",
    ),
    "unet_diffusers": ("down_blocks.0.resnets.0.conv1.weight", "mid_block.resnets.0.conv1.weight", "conv_in.weight"),
}  # fmt: skip


def causal(name: str, **settings: Any) -> Callable[[], torch.nn.Module]:
    """A tiny language model of transformers."""

    def build() -> torch.nn.Module:
        config = getattr(transformers, f"{name}Config")(
            vocab_size=300, hidden_size=WIDTH, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16, **settings,
        )  # fmt: skip
        model: torch.nn.Module = getattr(transformers, f"{name}ForCausalLM")(config)
        return model

    return build


LANGUAGE: dict[str, Callable[[], torch.nn.Module]] = {
    "llama": causal("Llama"),
    "gpt2": lambda: transformers.GPT2Model(transformers.GPT2Config(n_embd=WIDTH, n_layer=1, n_head=2, vocab_size=300)),
    "bert": lambda: transformers.BertModel(
        transformers.BertConfig(hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, vocab_size=300)
    ),
}


@cache
def names_of(key: str) -> Shapes:
    """The names that a family really has, with shapes where a model was built."""
    if key in NATIVE:
        given = sources({name: tuple(tensor.shape) for name, tensor in NATIVE[key]().native(0).items()})
        kind = kind_of(given)
        assert kind is not None
        return {name.removeprefix(kind.canonical): view.shape for name, view in kind.views(given)}
    if key in BUILT:
        return shapes_of(BUILT[key])
    if key in LANGUAGE:
        return shapes_of(LANGUAGE[key])
    if key == "llama_base":
        return {name.removeprefix("model."): shape for name, shape in names_of("llama").items() if "head" not in name}
    return dict.fromkeys(LISTED[key], (WIDTH, WIDTH))


KEYS = [family.key for family in FAMILIES]


@pytest.mark.parametrize("key", KEYS)
def test_a_familys_names_carry_its_signature_and_no_other_familys(key: str) -> None:
    assert [family.key for family in FAMILIES if family.fits(names_of(key))] == [key]


@pytest.mark.parametrize("key", KEYS)
def test_a_familys_names_are_taken_for_no_layout_and_no_text_encoder(key: str) -> None:
    kind = kind_of(sources(names_of(key)))
    assert kind is not None
    assert (kind.family.key, kind.layout.key, kind.component) == (key, "native", "denoiser")


@pytest.mark.parametrize("key", NATIVE)
def test_what_diffusers_saves_of_a_family_is_that_family(key: str) -> None:
    model = NATIVE[key]()
    converted = {name: tuple(tensor.shape) for name, tensor in model.converted(model.native(0)).items()}
    kind = kind_of(sources(converted))
    assert kind is not None
    assert (kind.family.key, kind.layout.key != "native") == (key, True)
    assert {family.key for family in FAMILIES if family.fits(converted)} <= {key, "unet_diffusers"}


@pytest.mark.parametrize("key", KEYS)
def test_every_row_says_where_its_names_come_from(key: str) -> None:
    family = next(family for family in FAMILIES if family.key == key)
    assert family.title
    assert family.source


@pytest.mark.shows(lambda key: [{"family": key, "layout": "native"}] if key not in LISTED else [])
@pytest.mark.parametrize("key", KEYS)
def test_a_row_claims_to_be_confirmed_where_a_package_made_its_names_in_these_tests(key: str) -> None:
    family = next(family for family in FAMILIES if family.key == key)
    assert family.ran is (key not in LISTED)
    assert not (family.ran and family.by_names_only)


@pytest.mark.parametrize(
    ("key", "changes", "title"),
    [
        ("flux", {}, "Flux.1"),
        ("flux", {"img_in.weight": (3072, 384)}, "Flux.1 Fill"),
        ("flux", {"img_in.weight": (3072, 128)}, "Flux.1 Depth / Canny"),
        ("wan", {"patch_embedding.weight": (1536, 16, 1, 2, 2)}, "Wan 2.x"),
        ("wan", {"patch_embedding.weight": (5120, 36, 1, 2, 2)}, "Wan 2.x I2V"),
        ("wan", {"patch_embedding.weight": (3072, 48, 1, 2, 2)}, "Wan 2.2 TI2V 5B"),
        ("wan", {"vace_patch_embedding.weight": (5120, 96, 1, 2, 2)}, "Wan 2.x VACE"),
        ("pixart", {}, "PixArt-Sigma"),
        ("pixart", {"ar_embedder.mlp.0.weight": (8, 8)}, "PixArt-alpha"),
        ("stable_cascade", {}, "Stable Cascade, stage C"),
    ],
)
def test_members_of_a_family_have_their_own_titles(key: str, changes: Shapes, title: str) -> None:
    shapes = {**names_of(key), **changes}
    family = detect_family(shapes)
    assert (family.key, family.as_variant(shapes).title) == (key, title)


STACKS = {
    "anima": {"llm_adapter.blocks.0", "blocks.0"},
    "ltx2": {"transformer_blocks.0"},
    "hidream": {"double_stream_blocks.0", "single_stream_blocks.0"},
    "cosmos": {"blocks.block.0", "blocks.block.27"},
    "cosmos_predict2": {"blocks.0"},
    "hunyuan_video15": {"double_blocks.0"},
    "pixart": {"blocks.0"},
    "pixart_diffusers": {"transformer_blocks.0"},
}


@pytest.mark.parametrize("key", STACKS)
def test_the_blocks_of_new_families_are_found(key: str) -> None:
    family = next(family for family in FAMILIES if family.key == key)
    names = {f"diffusion_model.{name}" for name in names_of(key)}
    blocks = find_blocks(family, names)
    assert {block.name for block in blocks.values()} == STACKS[key]
    if key != "cosmos":  # whose blocks are numbered without a dot
        assert {".".join(map(str, block_of(name).outer)) for name in blocks} == STACKS[key]


def clip(width: int) -> Callable[[], torch.nn.Module]:
    return lambda: transformers.CLIPTextModelWithProjection(
        transformers.CLIPTextConfig(hidden_size=width, intermediate_size=2 * width, num_hidden_layers=1, vocab_size=99)
    )


def t5(name: str, width: int, gated: bool = True) -> Callable[[], torch.nn.Module]:
    return lambda: getattr(transformers, f"{name}EncoderModel")(
        getattr(transformers, f"{name}Config")(
            d_model=width, d_kv=16, d_ff=2 * width, num_layers=2, num_heads=4, vocab_size=300,
            feed_forward_proj="gated-gelu" if gated else "relu",
        )
    )  # fmt: skip


def sized(name: str, width: int, **settings: Any) -> Callable[[], torch.nn.Module]:
    """A language model of transformers of a real width, with a single layer, without its head."""

    def build() -> torch.nn.Module:
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": width // 4}
        config = getattr(transformers, f"{name}Config")(
            **{"vocab_size": 300, **heads, **settings},
            hidden_size=width, intermediate_size=2 * width, num_hidden_layers=1,
        )  # fmt: skip
        holder = torch.nn.Module()
        holder.model = getattr(transformers, f"{name}Model")(config)
        return holder

    return build


ENCODERS: list[tuple[str, str, Callable[[], torch.nn.Module]]] = [
    ("clip_l", "768", clip(768)),
    ("clip_h", "1024", clip(1024)),
    ("clip_g", "1280", clip(1280)),
    ("clip_l", "small", clip(WIDTH)),
    ("t5xxl", "4096", t5("T5", 4096)),
    ("t5xxl", "small", t5("T5", WIDTH)),
    ("pile_t5xl", "2048", t5("T5", 2048)),
    ("t5base", "768", t5("T5", 768, gated=False)),
    ("byt5_small", "1472", t5("T5", 1472)),
    ("umt5xxl", "4096", t5("UMT5", 4096)),
    ("umt5xxl", "small", t5("UMT5", WIDTH)),
    ("umt5base", "768", t5("UMT5", 768)),
    ("qwen25_7b", "3584", sized("Qwen2", 3584)),
    ("qwen25_7b", "small", sized("Qwen2", WIDTH)),
    ("qwen3_06b", "1024", sized("Qwen3", 1024)),
    ("qwen3_2b", "2048", sized("Qwen3", 2048)),
    ("qwen3_4b", "2560", sized("Qwen3", 2560)),
    ("qwen3_4b", "small", sized("Qwen3", WIDTH)),
    ("qwen3_8b", "4096", sized("Qwen3", 4096)),
    ("gemma2_2b", "2304", sized("Gemma2", 2304)),
    ("gemma2_2b", "small", sized("Gemma2", WIDTH)),
    ("gemma3_4b", "2560", sized("Gemma3Text", 2560)),
    ("gemma3_4b", "small", sized("Gemma3Text", WIDTH)),
    ("gemma3_12b", "3840", sized("Gemma3Text", 3840)),
    ("llama", "4096", sized("Llama", 4096, vocab_size=128320)),
    ("mistral3_24b", "5120", sized("Mistral", 5120, vocab_size=131072)),
]
EVERY_ENCODER = pytest.mark.parametrize(
    ("encoder", "build"),
    [(key, build) for key, _, build in ENCODERS],
    ids=[f"{key}-{size}" for key, size, _ in ENCODERS],
)


@EVERY_ENCODER
def test_a_text_encoder_is_known_by_its_header(encoder: str, build: Callable[[], torch.nn.Module]) -> None:
    shapes = shapes_of(build)
    kind = kind_of(sources(shapes))
    assert kind is not None
    assert (kind.component, kind.canonical) == ("text_encoders", f"text_encoders.{encoder}.transformer.")
    assert kind.family.text_encoder
    canonical = {kind.canonical + name for name in shapes}
    assert {block.name.rsplit(".", 1)[1] for block in find_blocks(kind.family, canonical).values()} <= {"0", "1"}
    assert find_blocks(kind.family, canonical)


def test_every_text_encoder_that_has_a_row_is_tried() -> None:
    assert {row.clip for row in TEXT_ENCODERS} - {key for key, _, _ in ENCODERS} == {"qwen25_3b"}  # needs its sight


@pytest.mark.parametrize(("width", "encoder"), [(2048, "qwen25_3b"), (3584, "qwen25_7b"), (WIDTH, "qwen25_7b")])
@pytest.mark.parametrize("levels", [("model.", "visual."), ("model.language_model.", "model.visual.")])
def test_a_qwen_with_sight_is_the_encoder_whatever_its_levels_and_its_head(
    width: int, encoder: str, levels: tuple[str, str]
) -> None:
    inner = {name.removeprefix("model."): shape for name, shape in shapes_of(sized("Qwen2", width)).items()}
    shapes = {levels[0] + name: shape for name, shape in inner.items()}
    shapes |= {levels[1] + "patch_embed.proj.weight": (WIDTH, 3, 2, 14, 14), "lm_head.weight": (300, width)}
    kind = kind_of(sources(shapes))
    assert kind is not None
    assert kind.canonical == f"text_encoders.{encoder}.transformer."
    names = {name for name, _ in kind.views(sources(shapes))}
    assert names >= {kind.canonical + "model." + name for name in inner}
    assert kind.canonical + "visual.patch_embed.proj.weight" in names


def test_a_gemma_with_sight_below_its_language_model_is_the_encoder_without_that_level() -> None:
    inner = shapes_of(sized("Gemma3Text", WIDTH))
    shapes = {"language_model." + name: shape for name, shape in inner.items()}
    shapes["vision_tower.vision_model.embeddings.patch_embedding.weight"] = (WIDTH, 3, 14, 14)
    kind = kind_of(sources(shapes))
    assert kind is not None
    assert kind.canonical == "text_encoders.gemma3_4b.transformer."
    assert {name for name, _ in kind.views(sources(shapes))} >= {kind.canonical + name for name in inner}


@pytest.mark.parametrize(
    ("name", "width", "settings"),
    [
        ("Llama", 4096, {"vocab_size": 32000}),
        ("Llama", WIDTH, {}),
        ("Mistral", 4096, {"vocab_size": 32000}),
        ("Qwen2", 896, {}),
        ("Qwen2", 1536, {}),
        ("Qwen3", 5120, {}),
        ("Gemma2", 3584, {}),
        ("Gemma3Text", 1152, {}),
    ],
)
def test_a_language_model_that_no_encoder_is_made_of_stays_one(name: str, width: int, settings: Any) -> None:
    kind = kind_of(sources(shapes_of(sized(name, width, **settings))))
    assert kind is not None
    assert (kind.family.key, kind.component) == ("llama", "denoiser")


@pytest.mark.parametrize("name", ["Llama", "Mistral", "Qwen2", "Qwen3"])
def test_a_language_model_with_its_head_stays_one(name: str) -> None:
    kind = kind_of(sources(shapes_of(causal(name))))
    assert kind is not None
    assert kind.family.key == "llama"


@pytest.mark.parametrize("levels", [("model.language_model.", "model.visual."), ("language_model.model.", "vision.")])
def test_a_language_model_with_sight_that_is_no_encoder_of_comfyuis_is_none(levels: tuple[str, str]) -> None:
    inner = {name.removeprefix("model."): shape for name, shape in shapes_of(sized("Qwen3", 2560)).items()}
    shapes = {levels[0] + name: shape for name, shape in inner.items()}
    shapes[levels[1] + "deepstack_merger_list.0.norm.weight"] = (WIDTH,)
    found = recognised(sources(shapes))
    kind = None if found is None else kind_of(found[1])
    assert kind is None or kind.component == "denoiser"


def test_a_text_encoder_saved_without_the_level_of_its_head_gets_it_back() -> None:
    shapes = {name.removeprefix("model."): shape for name, shape in shapes_of(sized("Qwen3", 2560)).items()}
    kind = kind_of(sources(shapes))
    assert kind is not None
    assert kind.canonical == "text_encoders.qwen3_4b.transformer.model."


@pytest.mark.parametrize("encoder", sorted({row.clip for row in TEXT_ENCODERS}))
def test_no_format_says_of_a_text_encoder_that_comfyui_lacks_a_loader(encoder: str) -> None:
    family: Family = next(row.family for row in TEXT_ENCODERS if row.clip == encoder)
    comfyui = next(one for one in FORMATS if one.key == "comfyui")
    assert comfyui.notices(family) == ()
    name = f"text_encoders.{encoder}.transformer.x.proj.weight"
    keys = comfyui.keys(family, name, "matrix", factors=True)
    assert keys["up"] == f"text_encoders.{encoder}.transformer.x.proj.lora_up.weight"
