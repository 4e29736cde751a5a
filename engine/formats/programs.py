"""The programs that a LoRA can be written for: a row each, and what each of them loads of which family. No torch.

What a program does not load is not written into its file: some ignore it without a word, others refuse the whole file
for it. Sources, read for what is said here; the commits are those that were read:

- ComfyUI: comfy/lora.py, comfy/utils.py, comfy/weight_adapter/lora.py (v0.3.64 was run as well).
- Forge: lllyasviel/stable-diffusion-webui-forge, packages_3rdparty/comfyui_lora_collection/lora.py (5e1dcd3; run),
  extensions-builtin/sd_forge_lora/networks.py (b6cfd7f), backend/patcher/lora.py (cea9f37), backend/diffusion_engine/.
- A1111: AUTOMATIC1111/stable-diffusion-webui, extensions-builtin/Lora/networks.py and network_*.py (dev).
- InvokeAI: invokeai/backend/model_manager/load/model_loaders/lora.py (01d6f09),
  invokeai/backend/patches/lora_conversions/*.py and patches/layers/utils.py (2d240c4).
- diffusers 0.42: loaders/lora_pipeline.py, `_lora_loadable_modules`.
- PEFT 0.21: tuners/lora/, utils/save_and_load.py.
- vLLM: vllm/config/lora.py (01230b4), vllm/lora/lora_model.py (0306474), peft_helper.py (0214369), utils.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from engine.errors import EngineError, ErrorCode
from engine.models.families import FAMILIES, Family
from engine.settings import ExtractionSettings

_CLIPS = "text_encoders."
_MATRIX_KINDS = ("matrix", "conv")


@dataclass(frozen=True)
class Loads:
    """What a program loads of a LoRA in its format, for one family.

    Attributes:
        denoiser: whether a LoRA of the denoiser is loaded at all.
        text_encoders: those that it loads, by ComfyUI's names; None for all.
        biases: the differences of biases.
        norms: the differences of norms, and of other one-dimensional weights.
        convolutions: the factors of convolutions with kernels.
        parameters: the differences of parameters that are no module's weight.
        differences: whole differences of matrices and convolutions, as the type ``full`` stores them.
        whole: weights that only the fine-tuned model has.
        reshape: weights that are enlarged.
        fp8: factors in fp8, which it casts before it multiplies.
        equal_ranks: it needs the same rank for the query, key and value of an attention.
        one_scale: it scales all layers by the same number.
        rank_limit: the largest rank that it takes; None where there is none.
        only: patterns of the canonical names that it loads; without any all.
        scope: what that is of the denoiser, for documents; empty where `only` is about more than blocks.
        never: patterns of those that it does not.
        own_names: whether it knows the denoiser by the model's own names alone, and text encoders by ``lora_te`` names:
            a second spelling of a weight is one key more that it does not know.
    """

    denoiser: bool = True
    text_encoders: frozenset[str] | None = None
    biases: bool = True
    norms: bool = True
    convolutions: bool = True
    parameters: bool = True
    differences: bool = True
    whole: bool = True
    reshape: bool = True
    fp8: bool = False
    equal_ranks: bool = False
    one_scale: bool = False
    rank_limit: int | None = None
    only: tuple[str, ...] = ()
    scope: str = ""
    never: tuple[str, ...] = ()
    own_names: bool = False

    def takes(self, name: str, kind: str, *, factors: bool) -> bool:
        """Whether it loads a stored layer.

        Args:
            name: the weight's canonical name.
            kind: see `PairedWeight`.
            factors: it is stored as factors rather than as its difference.
        """
        if not self._takes_part(name) or not self._takes_name(name):
            return False
        if kind in _MATRIX_KINDS and not factors:
            return self.differences
        return {"bias": self.biases, "norm": self.norms, "conv": self.convolutions, "matrix": True}.get(
            kind, self.parameters
        )

    def takes_whole(self, name: str, key: str) -> bool:
        """Whether it sets a weight that only the fine-tuned model has, under that key."""
        return self.whole and self._takes_part(name) and self._takes_name(name) and self.takes_key(name, key)

    def takes_key(self, name: str, key: str) -> bool:
        """Whether it knows a key of a layer that it loads, of which a format may write several spellings."""
        if not self.own_names:
            return True
        if name.startswith(_CLIPS):
            return key.startswith("lora_te")
        module = name.removesuffix(".weight").removesuffix(".bias")
        return key in {module + ending for ending in _ENDINGS}

    def _takes_part(self, name: str) -> bool:
        if name.startswith(_CLIPS):
            clip = name.split(".")[1]
            return self.text_encoders is None or clip in self.text_encoders
        return self.denoiser

    def _takes_name(self, name: str) -> bool:
        wanted = not self.only or any(fnmatchcase(name, pattern) for pattern in self.only)
        return wanted and not any(fnmatchcase(name, pattern) for pattern in self.never)


_ENDINGS = (".lora_up.weight", ".lora_down.weight", ".alpha", ".diff", ".diff_b", ".set_weight")


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        key: stable identifier, in settings, reports and on the command line.
        title: what people call it.
        format: the key of the format of its files.
        families: what it loads, by the family's key; of no other family anything.
        text_encoder_files: what it loads of a text encoder in a file of its own; None for nothing.
        other: what it loads of models of no family; None for nothing.
        takes_part: whether it loads a part of what others load of its format, so that the format alone is written
            without regard to it.
        rank_option: how it is told that larger ranks will come, with the ranks that can be named; empty where it need
            not be told.
    """

    key: str
    title: str
    format: str
    families: Mapping[str, Loads]
    text_encoder_files: Loads | None = None
    other: Loads | None = None
    takes_part: bool = False
    rank_option: str = ""
    rank_default: int = 0
    rank_steps: tuple[int, ...] = ()

    def loads(self, family: Family) -> Loads | None:
        """What it loads of a family; None where it has no loader for such models."""
        if family.text_encoder:
            alone = self.text_encoder_files
            known = alone is None or alone.text_encoders is None or family.key in alone.text_encoders
            return alone if known else None
        return self.other if family.key == "generic" else self.families.get(family.key)


_LANGUAGE_MODELS = ("llama", "llama_base", "gpt2", "bert")
_DENOISERS = tuple(family.key for family in FAMILIES if family.key not in _LANGUAGE_MODELS)


# ComfyUI maps every name of a model's state dict, casts factors of any dtype, and knows `.set_weight` and
# `.reshape_weight` (comfy/lora.py, load_lora; comfy/weight_adapter/lora.py).
_COMFYUI = Loads(fp8=True)

# Forge maps every `.weight` of the denoiser, of CLIP six modules of a layer and the projection, and every `.weight` of
# T5 (model_lora_keys_unet, model_lora_keys_clip), and casts factors (cast_to_device). It does not know
# `.reshape_weight`, and a file with more than 12 keys that match nothing is not loaded (load_lora_for_models): so what
# only newer releases know (5e1dcd3, not 00f1cd3) is left out too, parameters that are no `.weight` and `.set_weight`.
_FORGE_NAMES = (
    "diffusion_model.*.weight",
    "diffusion_model.*.bias",
    "text_encoders.clip_?.transformer.text_model.encoder.layers.*.self_attn.*",
    "text_encoders.clip_?.transformer.text_model.encoder.layers.*.mlp.*",
    "text_encoders.clip_[lg].transformer.text_projection.weight",
    "text_encoders.t5xxl.transformer.*.weight",
)


def _forge(*clips: str, norms: bool = True) -> Loads:
    return Loads(
        text_encoders=frozenset(clips),
        norms=norms,
        parameters=False,
        whole=False,
        reshape=False,
        fp8=True,
        only=_FORGE_NAMES,
        own_names=True,
    )


# Kohya's format holds factors alone; `.diff` under its names would be loaded by A1111 and InvokeAI too.
def _kohya(*clips: str, only: tuple[str, ...] = (), scope: str = "") -> Loads:
    return Loads(
        text_encoders=frozenset(clips),
        biases=False,
        norms=False,
        parameters=False,
        differences=False,
        whole=False,
        reshape=False,
        only=only,
        scope=scope,
    )


# InvokeAI takes a file for Flux.1 only where every key is one of these; T5 is `lora_te2_` there, and trainers write
# `lora_te3_` (flux_kohya_lora_conversion_utils.py, is_state_dict_likely_in_flux_kohya_format).
_INVOKEAI_FLUX = (
    *(
        f"diffusion_model.double_blocks.*.{part}*"
        for part in ("img_attn", "img_mlp", "img_mod", "txt_attn", "txt_mlp", "txt_mod")
    ),
    *(f"diffusion_model.single_blocks.*.{part}*" for part in ("linear1", "linear2", "modulation")),
    "text_encoders.clip_l.transformer.text_model.encoder.layers.*.self_attn.*",
    "text_encoders.clip_l.transformer.text_model.encoder.layers.*.mlp.*",
)
# It skips what is not in a table of its own (qwen_image_lora_conversion_utils.py, _KOHYA_MODULE_MAP; the same in
# wan_lora_conversion_utils.py; anima_lora_conversion_utils.py, _KOHYA_UNET_KEY_REPLACEMENTS).
_INVOKEAI_QWEN_IMAGE = tuple(
    f"diffusion_model.transformer_blocks.*.{module}.weight"
    for module in (
        *(f"attn.{part}" for part in ("add_k_proj", "add_q_proj", "add_v_proj", "to_add_out", "to_out.0")),
        *(f"attn.to_{part}" for part in "qkv"),
        *(f"{stream}_mlp.net.{part}" for stream in ("img", "txt") for part in ("0.proj", "2")),
        *("img_mod.1", "txt_mod.1"),
    )
)
_INVOKEAI_WAN = tuple(
    f"diffusion_model.blocks.*.{module}.weight"
    for module in (
        *(f"{attention}_attn.{part}" for attention in ("self", "cross") for part in "qkvo"),
        *("ffn.0", "ffn.2"),
    )
)
_INVOKEAI_ANIMA = tuple(
    f"diffusion_model.{where}blocks.*.{module}"
    for where in ("", "llm_adapter.")
    for module in (
        *(f"{attention}_attn.{part}_proj.weight" for attention in ("self", "cross") for part in "qkvo"),
        *(f"{attention}_attn.output_proj.weight" for attention in ("self", "cross")),
        *("mlp.layer1.weight", "mlp.layer2.weight"),
        *(f"adaln_modulation_{part}.*.weight" for part in ("self_attn", "cross_attn", "mlp")),
    )
)


# diffusers loads factors of the components that a pipeline names (_lora_loadable_modules) and refuses a file for
# anything else. Releases from 0.32 fail on fp8 factors.
def _diffusers(*clips: str) -> Loads:
    return _kohya(*clips)


_DIFFUSERS_DENOISER_ALONE = (
    *("auraflow", "flux2", "hidream", "hunyuan_video", "ltx", "ltx2", "lumina2", "qwen_image", "wan", "z_image"),
    *("anima", "cosmos", "cosmos_predict2"),
)

# PEFT puts back what its own format holds: factors, embeddings too, and biases, norms and vocabularies as they are.
_PEFT = Loads(parameters=False, differences=False, whole=False, reshape=False)

# vLLM refuses an adapter with whole modules or biases, and one with a module that is no linear layer of the model
# (peft_helper.py, validate_legal; lora_model.py, check_unexpected_modules). Embeddings and heads are taken for some
# models alone (embedding_modules), which the weights do not tell. Of the configuration it reads `r` and `lora_alpha`,
# not the patterns: one scale for all layers. Experts and routers stay out: how it holds them was not read.
# `max_lora_rank` is 16 unless it is given, and one of these.
_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_VLLM = Loads(
    biases=False,
    norms=False,
    parameters=False,
    convolutions=False,
    differences=False,
    whole=False,
    reshape=False,
    one_scale=True,
    rank_limit=_VLLM_RANKS[-1],
    never=("*embed_tokens.*", "*lm_head.*", "*.experts.*", "*.gate.weight", "*.router.*", "*.shared_expert_gate.*"),
)

PROGRAMS: tuple[Program, ...] = (
    Program(
        "comfyui",
        "ComfyUI",
        "comfyui",
        dict.fromkeys(_DENOISERS, _COMFYUI),
        text_encoder_files=_COMFYUI,
        other=_COMFYUI,
    ),
    Program(
        "forge",
        "Forge",
        "comfyui",
        {
            "sd1": _forge("clip_l", "clip_h"),
            "sdxl": _forge("clip_l", "clip_g"),
            "sd3": _forge("clip_l", "clip_g", "t5xxl"),
            "flux": _forge("clip_l", "t5xxl", norms=False),  # its norms are no `.weight` there
            "chroma": _forge(norms=False),  # of its T5 there is no name that ComfyUI and Forge have in common
        },
        text_encoder_files=_forge("clip_l", "clip_g", "clip_h"),
        takes_part=True,
    ),
    # A1111 fails on `.alpha` with SD 3 (networks.py splits every key there at its last two dots).
    Program(
        "a1111",
        "A1111",
        "kohya",
        {"sd1": _kohya("clip_l", "clip_h"), "sdxl": _kohya("clip_l", "clip_g")},
    ),
    Program(
        "invokeai",
        "InvokeAI",
        "kohya",
        {
            "sd1": _kohya("clip_l", "clip_h"),
            "sdxl": _kohya("clip_l", "clip_g"),
            "flux": _kohya("clip_l", only=_INVOKEAI_FLUX, scope="blocks"),
            "qwen_image": _kohya(only=_INVOKEAI_QWEN_IMAGE, scope="blocks"),
            "wan": _kohya(only=_INVOKEAI_WAN, scope="blocks"),
            "anima": _kohya(only=_INVOKEAI_ANIMA, scope="blocks and adapter"),
        },
        takes_part=True,
    ),
    Program(
        "diffusers",
        "diffusers",
        "diffusers",
        {
            "sd1": _diffusers("clip_l", "clip_h"),
            "sdxl": _diffusers("clip_l", "clip_g"),
            "sd3": _diffusers("clip_l", "clip_g"),
            "flux": _diffusers("clip_l"),
            "chroma": _diffusers(),
            **dict.fromkeys(_DIFFUSERS_DENOISER_ALONE, _diffusers()),
        },
    ),
    Program(
        "peft",
        "PEFT",
        "peft",
        dict.fromkeys((*_DENOISERS, *_LANGUAGE_MODELS), _PEFT),
        text_encoder_files=_PEFT,
        other=_PEFT,
    ),
    # Of the language models of this project vLLM has no LoRA for GPT-2 and BERT (no SupportsLoRA), and its modules
    # begin with `model.`, which names without it never match.
    Program(
        "vllm",
        "vLLM",
        "peft",
        {"llama": _VLLM},
        takes_part=True,
        rank_option="--max-lora-rank",
        rank_default=16,
        rank_steps=_VLLM_RANKS,
    ),
)
"""In the order in which they are offered."""


def program_titles() -> dict[str, str]:
    """The keys of all programs with their titles, in the order in which they are offered."""
    return {row.key: row.title for row in PROGRAMS}


def program_named(key: str) -> Program:
    """The program with a key.

    Raises:
        EngineError: ``program_unknown``, such as for the settings of a newer version.
    """
    for row in PROGRAMS:
        if row.key == key:
            return row
    raise EngineError(ErrorCode.PROGRAM_UNKNOWN, name=key, available=[row.key for row in PROGRAMS])


def with_its_format(settings: ExtractionSettings) -> ExtractionSettings:
    """Settings with the format of the program that they name.

    Raises:
        EngineError: ``program_unknown``.
    """
    if not settings.program:
        return settings
    return settings.model_copy(update={"key_format": program_named(settings.program).format})


def loads(program: Program, family: Family) -> Loads | None:
    """What a program loads of a family; None where it has no loader for such models."""
    return program.loads(family)


def limits(format_key: str, family: Family) -> Loads | None:
    """What the program loads that a format is written for; None where it does not know the family, or there is none.

    A program that takes only a part of what others do has its files by its own name, not by that of the format.
    """
    rows = (row.loads(family) for row in PROGRAMS if row.format == format_key and not row.takes_part)
    return next(rows, None)
