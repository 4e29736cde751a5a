"""ComfyUI, Forge, A1111 and InvokeAI know every key of our files, and what they add is the fine-tuned model's change.

The contracts are in `tests/loaders`, written from the programs' sources. A pair is the file that people have; the state
that a program makes of it is worked out by the contract, never by the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import diffusers_models
import layout_models
import pytest
import torch
import transformers
import unet_layout_models
from extraction_runs import EXACT, run, verified
from layout_models import LayoutModel, Shapes, linear, norm
from loaders import key_maps, state_names
from loaders.invokeai_keys import invokeai_keys
from loaders.key_maps import Reading
from model_files import Tensors, random_tensor, save_model
from safetensors.torch import load_file

from engine.cancel import CancelToken
from engine.events import Finished
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

Build = Callable[[], torch.nn.Module]


@dataclass(frozen=True)
class Model:
    """A tiny model as a file, and what its parts are.

    Attributes:
        family: of the denoiser; empty where there is none.
        denoiser: shapes under native names.
        prefix: before them in the file.
        encoders: name of the text encoder in ComfyUI -> how its names begin in the file, and its shapes there.
        unet: Stable Diffusion's, which Kohya's format calls by other names.
    """

    family: str
    denoiser: Shapes = field(default_factory=dict)
    prefix: str = "model.diffusion_model."
    encoders: dict[str, tuple[str, Shapes]] = field(default_factory=dict)
    unet: bool = False

    def tensors(self, seed: int) -> Tensors:
        """Random weights of the whole file."""
        shapes = {self.prefix + name: shape for name, shape in self.denoiser.items()}
        for start, inner in self.encoders.values():
            shapes |= {start + name: shape for name, shape in inner.items()}
        return {
            name: random_tensor(*shape, seed=seed + at, scale=0.1) for at, (name, shape) in enumerate(shapes.items())
        }

    def state(self, file: Tensors, *, renames_norms: bool = True) -> Tensors:
        """The same under the names of the programs."""
        inner = {name.removeprefix(self.prefix): file[self.prefix + name] for name in self.denoiser}
        state = state_names.denoiser(self.family, inner, renames_norms=renames_norms)
        for clip, (start, shapes) in self.encoders.items():
            named = {name: file[start + name] for name in shapes}
            of = state_names.clip_encoder if clip.startswith("clip_") else state_names.other_encoder
            state |= of(clip, named)
        return state


def shapes_of(build: Build) -> Shapes:
    with torch.device("meta"):
        return {
            name: tuple(tensor.shape) for name, tensor in build().state_dict().items() if "position_ids" not in name
        }


def clip(width: int = 16, *, projected: bool = False) -> Shapes:
    """CLIP in the names of transformers, with the level that transformers 5 leaves out."""
    config = transformers.CLIPTextConfig(
        hidden_size=width, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=40,
        max_position_embeddings=10, projection_dim=width,
    )  # fmt: skip
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    found = shapes_of(lambda: kind(config))
    return {name if name.startswith("text_") else f"text_model.{name}": shape for name, shape in found.items()}


def open_clip(width: int = 16) -> Shapes:
    shapes: Shapes = {"positional_embedding": (10, width), "text_projection": (width, width), "logit_scale": ()}
    shapes |= {"token_embedding.weight": (40, width)} | norm("ln_final", width)
    for index in range(2):
        start = f"transformer.resblocks.{index}"
        shapes |= {f"{start}.attn.in_proj_weight": (3 * width, width), f"{start}.attn.in_proj_bias": (3 * width,)}
        shapes |= linear(f"{start}.attn.out_proj", width, width) | norm(f"{start}.ln_1", width)
        shapes |= linear(f"{start}.mlp.c_fc", 24, width) | linear(f"{start}.mlp.c_proj", width, 24)
        shapes |= norm(f"{start}.ln_2", width)
    return shapes


def t5(kind: str = "T5") -> Shapes:
    config = getattr(transformers, f"{kind}Config")(
        d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, vocab_size=40, feed_forward_proj="gated-gelu"
    )
    found = shapes_of(lambda: getattr(transformers, f"{kind}EncoderModel")(config))
    return {name: shape for name, shape in found.items() if name != "encoder.embed_tokens.weight"}


def language(kind: str) -> Shapes:
    """A language model of which an encoder is made, without its head."""
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    return {
        f"model.{name}": shape
        for name, shape in shapes_of(lambda: getattr(transformers, f"{kind}Model")(config)).items()
    }


def native(make: Callable[[], LayoutModel], **more: Any) -> Model:
    model = make()
    return Model(model.family, model.shapes, **more)


def built(family: str, build: Build, prefix: str = "model.diffusion_model.") -> Model:
    return Model(family, shapes_of(build), prefix)


def hunyuan_image() -> Shapes:
    """HunyuanImage under Tencent's names: as HunyuanVideo, with glyphs beside the text and no pooled vector."""
    shapes = {name: shape for name, shape in layout_models.hunyuan_video().shapes.items() if "vector_in" not in name}
    shapes |= norm("byt5_in.layernorm", 12) | linear("byt5_in.fc1", 12, 12) | linear("byt5_in.fc2", 12, 12)
    return shapes | linear("byt5_in.fc3", layout_models.WIDTH, 12)


def hunyuan_video15() -> Shapes:
    shapes = hunyuan_image() | {"cond_type_embedding.weight": (3, layout_models.WIDTH)}
    shapes |= norm("vision_in.proj.0", 10) | linear("vision_in.proj.1", 10, 10)
    return shapes | linear("vision_in.proj.3", layout_models.WIDTH, 10) | norm("vision_in.proj.4", layout_models.WIDTH)


def cosmos_predict2(*, adapter: bool = False) -> Shapes:
    shapes = linear("x_embedder.proj.1", 16, 20, bias=False) | linear("t_embedder.1.linear_1", 16, 16, bias=False)
    for name, columns in (("self_attn", 16), ("cross_attn", 8)):
        start = f"blocks.0.{name}"
        shapes |= linear(f"{start}.q_proj", 16, 16, bias=False) | linear(f"{start}.output_proj", 16, 16, bias=False)
        shapes |= linear(f"{start}.k_proj", 16, columns, bias=False) | linear(
            f"{start}.v_proj", 16, columns, bias=False
        )
        shapes |= {f"{start}.q_norm.weight": (8,), f"{start}.k_norm.weight": (8,)}
        shapes |= linear(f"blocks.0.adaln_modulation_{name}.1", 4, 16, bias=False)
    shapes |= linear("blocks.0.mlp.layer1", 32, 16, bias=False) | linear("blocks.0.mlp.layer2", 16, 32, bias=False)
    shapes |= linear("final_layer.linear", 20, 16, bias=False)
    if adapter:
        shapes |= {"llm_adapter.embed.weight": (30, 8)} | linear(
            "llm_adapter.blocks.0.cross_attn.q_proj", 8, 8, bias=False
        )
    return shapes


def cosmos() -> Shapes:
    shapes = linear("x_embedder.proj.1", 16, 20, bias=False) | linear("t_embedder.1.linear_1", 16, 16, bias=False)
    start = "blocks.block0.blocks.0"
    shapes |= linear(f"{start}.adaLN_modulation.1", 4, 16, bias=False)
    shapes |= {f"{start}.block.attn.to_q.0.weight": (16, 16), f"{start}.block.attn.to_q.1.weight": (8,)}
    return shapes | linear("final_layer.linear", 20, 16, bias=False) | {"affline_norm.weight": (16,)}


def pixart() -> Shapes:
    shapes = unet_layout_models.conv("x_embedder.proj", 16, 4, 2) | linear("t_embedder.mlp.0", 16, 16)
    shapes |= linear("t_block.1", 96, 16) | linear("y_embedder.y_proj.fc1", 16, 8) | linear("blocks.0.attn.qkv", 48, 16)
    shapes |= linear("blocks.0.cross_attn.q_linear", 16, 16) | linear("blocks.0.cross_attn.kv_linear", 32, 16)
    return shapes | {"blocks.0.scale_shift_table": (6, 16)} | linear("final_layer.linear", 32, 16)


def stable_cascade() -> Shapes:
    shapes = unet_layout_models.conv("clf.1", 4, 16, 1) | unet_layout_models.conv("embedding.1", 16, 4, 1)
    shapes |= linear("clip_txt_mapper", 16, 8) | unet_layout_models.conv("down_blocks.0.0.depthwise", 16, 1)
    for block in ("down_blocks.0.2", "up_blocks.0.2"):
        start = f"{block}.attention.attn"
        shapes |= {f"{start}.in_proj_weight": (48, 16), f"{start}.in_proj_bias": (48,)}
        shapes |= linear(f"{start}.out_proj", 16, 16)
    return shapes


def svd() -> Shapes:
    """Two levels of one block: as Stable Diffusion 2.x, with layers over time."""
    shapes = unet_layout_models.unet_shapes((8, 16), (1, 1), 1, pooled=12, linears=True)
    temporal = {
        name.replace("transformer_blocks", "time_stack"): shape
        for name, shape in shapes.items()
        if "transformer_blocks" in name
    }
    return shapes | temporal | {"output_blocks.3.1.time_mixer.mix_factor": (1,)}


SD1_ENCODERS = {"clip_l": ("cond_stage_model.transformer.", clip())}
SDXL_ENCODERS = {
    "clip_l": ("conditioner.embedders.0.transformer.", clip()),
    "clip_g": ("conditioner.embedders.1.model.", open_clip()),
}


def unet(family: str, depths: tuple[int, int], encoders: dict[str, tuple[str, Shapes]], pooled: int = 0) -> Model:
    """Stable Diffusion's U-Net with two levels of two blocks, which is what its names in diffusers need."""
    shapes = unet_layout_models.unet_shapes((8, 16), depths, 2, pooled=pooled, linears=family == "sdxl")
    return Model(family, shapes, encoders=encoders, unet=True)


def encoders(**named: Shapes) -> dict[str, tuple[str, Shapes]]:
    return {name: (f"text_encoders.{name}.transformer.", shapes) for name, shapes in named.items()}


MODELS: dict[str, Callable[[], Model]] = {
    "sd1": lambda: unet("sd1", (1, 1), SD1_ENCODERS),
    "sd2": lambda: unet("sd1", (1, 1), {"clip_h": ("cond_stage_model.model.", open_clip())}),
    "sdxl": lambda: unet("sdxl", (0, 1), SDXL_ENCODERS, pooled=12),
    "sdxl refiner": lambda: unet(
        "sdxl", (0, 1), {"clip_g": ("conditioner.embedders.0.model.", open_clip())}, pooled=12
    ),
    "svd": lambda: Model("svd", svd()),
    "sd3": lambda: native(
        layout_models.sd3, encoders=encoders(clip_l=clip(projected=True), clip_g=clip(projected=True), t5xxl=t5())
    ),
    "flux": lambda: native(layout_models.flux, encoders=encoders(clip_l=clip(), t5xxl=t5())),
    "chroma": lambda: native(layout_models.chroma, encoders=encoders(t5xxl=t5())),
    "flux2": lambda: native(layout_models.flux2, encoders=encoders(mistral3_24b=language("Mistral"))),
    "hunyuan_video": lambda: native(
        layout_models.hunyuan_video, encoders=encoders(clip_l=clip(), llama=language("Llama"))
    ),
    "hunyuan_video15": lambda: Model("hunyuan_video15", hunyuan_video15()),
    "hunyuan_image": lambda: Model("hunyuan_image", hunyuan_image()),
    "wan": lambda: native(layout_models.wan, prefix="", encoders={}),
    "wan with its encoder": lambda: native(layout_models.wan, encoders=encoders(umt5xxl=t5("UMT5"))),
    "wan_vace": lambda: native(layout_models.wan_vace, prefix="diffusion_model."),
    "qwen_image": lambda: built("qwen_image", diffusers_models.qwen_image),
    "ltx": lambda: native(layout_models.ltx),
    "ltx2": lambda: native(layout_models.ltx2),
    "lumina2": lambda: native(layout_models.lumina2, encoders=encoders(gemma2_2b=language("Gemma2"))),
    "z_image": lambda: native(layout_models.z_image, encoders=encoders(qwen3_4b=language("Qwen3"))),
    "auraflow": lambda: native(layout_models.auraflow),
    "cosmos": lambda: Model("cosmos", cosmos()),
    "cosmos_predict2": lambda: Model("cosmos_predict2", cosmos_predict2()),
    "anima": lambda: Model("anima", cosmos_predict2(adapter=True)),
    "hidream": lambda: built("hidream", diffusers_models.hidream),
    "pixart": lambda: Model("pixart", pixart()),
    "stable_cascade": lambda: Model("stable_cascade", stable_cascade()),
    "clip_l alone": lambda: Model("", encoders={"clip_l": ("", clip())}),
    "t5xxl alone": lambda: Model("", encoders={"t5xxl": ("", t5())}),
    "umt5xxl alone": lambda: Model("", encoders={"umt5xxl": ("", t5("UMT5"))}),
    "qwen25_7b alone": lambda: Model("", encoders={"qwen25_7b": ("", language("Qwen2"))}),
}
FORGE = ("sd1", "sd2", "sdxl", "sdxl refiner", "flux", "chroma", "sd3")
A1111 = ("sd1", "sd2", "sdxl")
INVOKEAI = (*A1111, "flux", "wan", "qwen_image", "anima")
FOR = {"forge": FORGE, "a1111": A1111, "invokeai": INVOKEAI}
_FAMILIES = {"sd2": "sd1", "sdxl refiner": "sdxl", "wan with its encoder": "wan", "wan_vace": "wan"}


def shown(program: str) -> Callable[[str], list[dict[str, str]]]:
    """What a test of a model's file shows: that it is loaded by a program."""
    return lambda name: [{"family": _FAMILIES.get(name, name.removesuffix(" alone")), "program": program}]


def program_names() -> list[tuple[str, str]]:
    return [(program, name) for program, names in FOR.items() for name in names]


@dataclass(frozen=True)
class Case:
    """One model, its fine-tune, and the file that was made of them at full rank."""

    model: Model
    files: tuple[Path, Path]
    left_out: set[str]
    lora: Tensors
    state: Tensors
    change: Tensors

    def change_in_forge(self) -> Tensors:
        """The change by the names of Forge, which keeps those of norms."""
        tuned, base = (self.model.state(load_file(path), renames_norms=False) for path in self.files)
        return {name: tuned[name].double() - base[name].double() for name in base}

    def read(self, program: str) -> Reading:
        unet, alone = self.model.unet, self.model.family == ""
        if program == "invokeai":
            return key_maps.read(self.lora, self.state, invokeai_keys(self.model.family, self.state), ())
        if program == "a1111":
            return key_maps.read(self.lora, self.state, key_maps.a1111_keys(self.state), key_maps.A1111_PARTS)
        if program.endswith("forge"):
            state, earlier = self.model.state(load_file(self.files[1]), renames_norms=False), program != "forge"
            keys = key_maps.forge_keys(state, unet=unet, earlier=earlier)
            return key_maps.read(self.lora, state, keys, key_maps.FORGE_PARTS)
        state = beside_others(self.state) if alone else self.state
        return key_maps.read(self.lora, state, key_maps.comfyui_keys(state, unet=unet))


def beside_others(state: Tensors) -> Tensors:
    """An encoder's state beside the one that it is used with, by whose presence T5 is numbered."""
    if not any(name.startswith("t5xxl.") for name in state):
        return state
    return state | {"clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(24, 16)}


@cache
def extracted(name: str, key_format: str, folder: Path) -> Case:
    return both(name, folder)[key_format]


@cache
def both(name: str, folder: Path) -> dict[str, Case]:
    """A model's case in both formats and for each program that takes a part, of one run."""
    model = MODELS[name]()
    base, step = model.tensors(0), model.tensors(10_000)
    tuned = {key: tensor + 0.1 * step[key] for key, tensor in base.items()}
    home = folder / name.replace(" ", "_")
    home.mkdir()
    files = save_model(home / "tuned.safetensors", tuned), save_model(home / "base.safetensors", base)
    state, now = model.state(base), model.state(tuned)
    change = {key: now[key].double() - state[key].double() for key in state}
    wanted = {"comfyui": {"key_format": "comfyui"}}
    wanted |= {"kohya": {"key_format": "kohya"}} if model.family else {}
    wanted |= {program: {"program": program} for program, names in FOR.items() if name in names}
    first, *more = (ExtractionSettings(filename_prefix="lora", **EXACT, **choice) for choice in wanted.values())
    with Session(*files) as session:
        plan = session.plan(first, HardwareSettings(device="cpu"), home, also=more)
        *_, last = session.extract(plan, CancelToken())
    assert isinstance(last, Finished)
    return {
        key: Case(model, files, {item.name for item in output.left_out}, load_file(made.path), state, change)
        for key, output, made in zip(wanted, plan.outputs, last.result.outputs, strict=True)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loaders")


def assert_adds_the_change(reading: Reading, change: Tensors) -> None:
    for name, added in reading.added.items():
        torch.testing.assert_close(added, change[name], rtol=1e-4, atol=1e-6, msg=name)


def old_norms(case: Case) -> set[str]:
    """The keys of norms under the name that ComfyUI looked for until 2026."""
    return {key for key in case.lora if key.endswith(".scale.diff")}


@pytest.mark.shows(shown("comfyui"))
@pytest.mark.parametrize("name", MODELS)
def test_comfyui_knows_every_key_and_adds_the_whole_change(name: str, folder: Path) -> None:
    case = extracted(name, "comfyui", folder)
    reading = case.read("comfyui")
    assert reading.unknown == old_norms(case)
    assert {key for key in set(case.change) - set(reading.added) if not key.endswith("logit_scale")} == set()
    assert {name for name in case.left_out if not name.endswith("logit_scale")} == set()
    assert_adds_the_change(reading, case.change)


@pytest.mark.parametrize("name", FORGE)
def test_forge_knows_every_key_but_the_names_of_encoders_and_norms_that_comfyui_alone_has(
    name: str, folder: Path
) -> None:
    case = extracted(name, "comfyui", folder)
    reading = case.read("forge")
    renamed = {key.replace(".scale.diff", ".diff") for key in old_norms(case)}
    assert reading.unknown - renamed == {key for key in case.lora if key.startswith("text_encoders.")}
    assert renamed <= reading.unknown
    for clip in case.model.encoders:
        assert [key for key in reading.added if key.startswith(f"{clip}.")] or name == "chroma"


@pytest.mark.parametrize("name", FORGE)
def test_every_release_of_forge_knows_every_key_of_a_file_that_is_made_for_it(name: str, folder: Path) -> None:
    case, everything = extracted(name, "forge", folder), extracted(name, "comfyui", folder)
    for program in ("forge", "earlier forge"):
        reading = case.read(program)
        assert reading.unknown == set()
        assert_adds_the_change(reading, case.change_in_forge())
    wanted = everything.read("earlier forge").added.keys()
    missing = {key for key in wanted - reading.added.keys() if case.change_in_forge()[key].dim() > 1}
    assert missing == set()
    assert bool(case.left_out) is bool(case.model.encoders)


@pytest.mark.shows(lambda program, name: shown(program)(name))
@pytest.mark.parametrize(("program", "name"), program_names())
def test_a_program_knows_every_key_of_a_file_for_it(program: str, name: str, folder: Path) -> None:
    case = extracted(name, program, folder)
    reading = case.read(program)
    assert reading.unknown == set()
    assert reading.added
    assert_adds_the_change(reading, case.change_in_forge() if program == "forge" else case.change)


def test_a_file_with_the_names_of_encoders_that_comfyui_alone_has_is_refused_by_forge(folder: Path) -> None:
    """What was written until now."""
    case = extracted("sd1", "comfyui", folder)
    earlier = {as_before(key): tensor for key, tensor in case.lora.items()}
    state = case.model.state(load_file(case.files[1]))
    assert key_maps.read(earlier, state, key_maps.comfyui_keys(state)).unknown == set()
    assert key_maps.refused_by_forge(key_maps.read(earlier, state, key_maps.forge_keys(state, unet=True)))


def as_before(key: str) -> str:
    """A key of CLIP-L's or T5's as it was written before it had a short name."""
    for prefix, clip in (("lora_te_", "clip_l"), ("lora_te1_", "clip_l"), ("lora_te2_", "clip_g")):
        if key.startswith(prefix):
            module, _, ending = key.removeprefix(prefix).partition(".")
            inner = module.replace("text_model_encoder_layers_", "text_model.encoder.layers.")
            inner = inner.replace("_self_attn_", ".self_attn.").replace("_mlp_", ".mlp.")
            return f"text_encoders.{clip}.transformer.{inner}.{ending}"
    return key


@pytest.mark.shows(family="pixart_diffusers", program="comfyui")
def test_comfyui_knows_every_key_of_pixart_in_diffusers_names(tmp_path: Path) -> None:
    """But for the biases of what it has fused, which it would take and not apply."""
    model = built("pixart_diffusers", diffusers_models.pixart, "")
    base, step = model.tensors(0), model.tensors(10_000)
    tuned = {key: tensor + 0.1 * step[key] for key, tensor in base.items()}
    files = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    ran = run(files, tmp_path, **EXACT)
    state, now = model.state(base), model.state(tuned)
    reading = key_maps.read(load_file(ran.lora), state, key_maps.pixart_keys(state))
    assert reading.unknown == set()
    assert_adds_the_change(reading, {name: now[name].double() - state[name].double() for name in state})
    fused = {name for name in state if name.endswith((".qkv.bias", ".kv_linear.bias"))}
    assert set(state) - set(reading.added) == fused
    assert len(ran.left_out) == 5
    assert verified(files, ran.lora).unknown_keys == ()


KOHYA = [name for name in MODELS if not name.endswith("alone")]


@pytest.mark.parametrize("name", A1111)
def test_a1111_knows_every_key_of_kohyas_format(name: str, folder: Path) -> None:
    case = extracted(name, "kohya", folder)
    reading = case.read("a1111")
    assert reading.unknown == set()
    assert_adds_the_change(reading, case.change)


@pytest.mark.parametrize("name", KOHYA)
def test_comfyui_knows_every_key_of_kohyas_format(name: str, folder: Path) -> None:
    case = extracted(name, "kohya", folder)
    reading = case.read("comfyui")
    assert {key for key in reading.unknown if not as_trainers_alone_name_it(name, key)} == set()
    assert_adds_the_change(reading, case.change)
    denoiser = {key for key, change in case.change.items() if key.startswith("diffusion_model.") and change.dim() > 1}
    factors = {key for key in denoiser if key.endswith(".weight")}
    assert name.startswith("hunyuan") or factors <= set(reading.added)


def as_trainers_alone_name_it(name: str, key: str) -> bool:
    """Modules of the HunyuanVideo family, and Chroma's T5, which ComfyUI calls otherwise."""
    if name.startswith("hunyuan"):
        words = ("_mod_linear", "_mlp_fc", "modulation_linear", "_in_mlp_", "_embedder_mlp_", "_embedder_linear_")
        divided = tuple(f"_attn_{part}." for part in "qkv") if name == "hunyuan_video15" else ()
        return any(word in key for word in (*words, *divided, "individual_token_refiner"))
    return name == "chroma" and key.startswith("lora_te3_")


@pytest.mark.parametrize("name", FORGE)
def test_forge_knows_every_key_of_kohyas_format(name: str, folder: Path) -> None:
    reading = extracted(name, "kohya", folder).read("forge")
    assert reading.unknown == set()


@pytest.mark.parametrize("key_format", ["comfyui", "kohya"])
@pytest.mark.parametrize("fault", ["name", "rows", "rank", "scale", "value"])
def test_a_twin_with_one_fault_is_caught(fault: str, key_format: str, folder: Path) -> None:
    """The reader would not have said of a wrong file that it is right."""
    case = extracted("flux", key_format, folder)
    twin = dict(case.lora)
    up = next(key for key in twin if "double_blocks" in key and key.endswith("qkv.lora_up.weight"))
    down = up.replace("lora_up", "lora_down")
    if fault == "name":
        twin[up.replace("double_blocks", "transformer_blocks")] = twin.pop(up)
    elif fault == "rows":
        twin[up] = twin[up][:-1]
    elif fault == "rank":
        twin[down] = twin[down][:-1]
    elif fault == "scale":
        twin[up.replace("lora_up.weight", "alpha")] = 2 * twin[up.replace("lora_up.weight", "alpha")]
    else:
        twin[up] = twin[up].roll(len(twin[up]) // 3, 0)
    keys = key_maps.comfyui_keys(case.state)
    reading = key_maps.read(twin, case.state, keys)
    if fault in ("name", "rows", "rank"):
        assert reading.unknown - old_norms(case)
        return
    with pytest.raises(AssertionError):
        assert_adds_the_change(reading, case.change)
