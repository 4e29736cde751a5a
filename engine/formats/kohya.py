"""Kohya's LoRAs, which most trainers write and most programs read.

A file holds factors alone, under ``lora_unet_`` and ``lora_te*_`` with the module's name, whose dots are underscores.
All its layers have one alpha: where alphas differ diffusers scales the attention of SD 1.x and SDXL wrongly. Sources:
kohya-ss sd-scripts (networks/lora.py, lora_flux.py, lora_sd3.py), musubi-tuner (networks/lora_*.py), diffusers 0.42
(loaders/lora_conversion_utils.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from engine.decompose.method import StoredPart
from engine.events import Notice, NoticeCode
from engine.formats.lora_format import LayerKeys, LoraFacts, LoraFormat, LoraIndex, index_of
from engine.models.families import Family
from engine.models.layouts import HUNYUAN_VIDEO_TENCENT, NATIVE, SD1, Layout
from engine.models.names import DENOISER
from engine.models.pairing import Pairing

_ENDINGS: dict[StoredPart, str] = {"up": ".lora_up.weight", "down": ".lora_down.weight", "alpha": ".alpha"}
_UNET = "lora_unet_"
_PREFIXES = (_UNET, "lora_te_", "lora_te1_", "lora_te2_", "lora_te3_")
_TE_OF_FLUX = {"clip_l": "lora_te1_", "t5xxl": "lora_te3_"}
_TEXT_ENCODERS: dict[str, dict[str, str]] = {
    # family -> what stands for `text_encoders.<clip>.transformer.`; of other families text encoders are not trained
    "sd1": {"clip_l": "lora_te_", "clip_h": "lora_te_"},
    "sdxl": {"clip_l": "lora_te1_", "clip_g": "lora_te2_"},
    "sd3": {"clip_l": "lora_te1_", "clip_g": "lora_te2_", "t5xxl": "lora_te3_"},
    "flux": _TE_OF_FLUX,
    "chroma": _TE_OF_FLUX,
}
_LAYERS_OF_TEXT_ENCODERS = ("text_model.encoder.layers.", "encoder.block.")  # of CLIP, of T5
"""Trainers know no others, and diffusers refuses a file with a text projection whose rank differs from the layers'."""
_POSITIONS = "relative_attention_bias"  # a table whose rows are taken, not a layer that multiplies

_MODULES = {"flux": "networks.lora_flux", "chroma": "networks.lora_flux", "sd3": "networks.lora_sd3"}
_MODULES |= {"wan": "networks.lora_wan", "qwen_image": "networks.lora_qwen_image", "lumina2": "networks.lora_lumina"}
_BASE_MODELS = {"sdxl": "sdxl_base_v1-0", "flux": "flux1", "wan": "wan", "qwen_image": "qwen_image"}
_BASE_MODELS |= {"hunyuan_video": "hunyuan_video"}

_TRAINERS = {"sd1": SD1, "hunyuan_video": HUNYUAN_VIDEO_TENCENT}
"""Families whose denoiser trainers name otherwise than ComfyUI does: the U-Net of SD 1.x and 2.x as diffusers."""

_NO_NAMES = ("generic", "llama", "llama_base", "gpt2", "bert")
_IN_DIFFUSERS: dict[str, NoticeCode] = {
    # what diffusers 0.42 does with a file; the families that are not here it reads whole
    **dict.fromkeys(("flux", "chroma", "flux2", "z_image"), NoticeCode.DIFFUSERS_READS_BLOCKS),
    **dict.fromkeys(("wan", "hunyuan_video"), NoticeCode.DIFFUSERS_REFUSES),
    **dict.fromkeys(("sd3", "ltx", "lumina2", "auraflow"), NoticeCode.DIFFUSERS_READS_NOTHING),
}


class Kohya(LoraFormat):
    """What sd-scripts and musubi-tuner write and go on training from.

    The one alpha is the largest rank that a layer can have by the settings, not the largest that one reached: a file
    is written layer by layer, before the ranks of the later ones are known.
    """

    key = "kohya"
    title = "Kohya"
    holds_differences = False
    one_alpha = True
    own_prefixes = True

    def __init__(self, trainers: Layout = NATIVE) -> None:
        """Without a layout of one model's names, families that trainers name otherwise have no keys."""
        self._trainers = trainers

    def for_pair(self, pairing: Pairing) -> Kohya:
        """See `LoraFormat.for_pair`."""
        return self.for_names(pairing.family, pairing.names)

    def for_names(self, family: Family, names: Iterable[str]) -> Kohya:
        """The format for a model with these canonical names."""
        layout = _TRAINERS.get(family.key)
        if layout is None:
            return self
        return Kohya(layout.for_canonical({name.removeprefix(DENOISER) for name in names}))

    def keys(self, family: Family, name: str, kind: str, *, factors: bool) -> LayerKeys:
        """See `LoraFormat.keys`. Biases, norms and bare parameters have no place, nor what trainers leave alone."""
        base = self._base(family, name) if factors and kind in ("matrix", "conv") else None
        return {} if base is None else {part: base + ending for part, ending in _ENDINGS.items()}

    def parse(self, keys: Iterable[str]) -> LoraIndex | None:
        """See `LoraFormat.parse`."""
        return index_of(keys, {ending: part for part, ending in _ENDINGS.items()}, prefixes=_PREFIXES)

    def problem(self, family: Family) -> str | None:
        """``other_names`` where a trainer's model has other names than the file, ``no_names`` where there is none."""
        if family.key == "pixart_diffusers":
            return "other_names"
        return "no_names" if family.key in _NO_NAMES or family.text_encoder else None

    def notices(self, family: Family) -> tuple[Notice, ...]:
        """See `LoraFormat.notices`: what diffusers does not load of it."""
        code = _IN_DIFFUSERS.get(family.key)
        return () if code is None else (Notice(code, family.title),)

    def metadata(self, facts: LoraFacts) -> dict[str, str]:
        """What trainers ask for to go on; the rank and the alpha count for convolutions with kernels too."""
        rank, alpha = str(facts.largest_rank), f"{facts.alpha:g}"
        texts = {
            "ss_v2": "False",
            "ss_network_module": _MODULES.get(facts.family.key, "networks.lora"),
            "ss_network_dim": rank,
            "ss_network_alpha": alpha,
            "ss_network_args": json.dumps({"conv_dim": rank, "conv_alpha": alpha}),
        }
        if facts.family.key in _BASE_MODELS:
            texts["ss_base_model_version"] = _BASE_MODELS[facts.family.key]
        return texts

    def _base(self, family: Family, name: str) -> str | None:
        """The name of a weight's module; None where it has none."""
        if name.startswith(DENOISER):
            return self._base_of_denoiser(family, name[len(DENOISER) :])
        return _base_of_text_encoder(family, name.removesuffix(".weight"))

    def _base_of_denoiser(self, family: Family, inner: str) -> str | None:
        if family.key in _TRAINERS and not self._trainers.rows:  # its names are not known
            return None
        named = self._trainers.stored_names(inner)
        if len(named) > 1:
            return None
        return _UNET + named[0].removesuffix(".weight").replace(".", "_")


def _base_of_text_encoder(family: Family, module: str) -> str | None:
    part, _, inner = module.partition(".transformer.")
    prefix = _TEXT_ENCODERS.get(family.key, {}).get(part.removeprefix("text_encoders."))
    if prefix is None or not inner.startswith(_LAYERS_OF_TEXT_ENCODERS) or module.endswith(_POSITIONS):
        return None
    return prefix + inner.replace(".", "_")
