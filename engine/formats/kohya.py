"""Kohya's LoRAs, which most trainers write and most programs read.

A file holds factors alone, under ``lora_unet_`` and ``lora_te*_`` with the module's name, whose dots are underscores.
All its layers have one alpha: where alphas differ diffusers scales the attention of SD 1.x and SDXL wrongly. Sources:
kohya-ss sd-scripts (networks/lora.py, lora_flux.py, lora_sd3.py, lora_lumina.py, lora_anima.py), musubi-tuner
(networks/lora_*.py), diffusers 0.42 (loaders/lora_conversion_utils.py).

What the header says of the model is what those trainers write: sd-scripts, library/sai_model_spec.py
(``determine_architecture``), library/train_util.py (``SS_METADATA_MINIMUM_KEYS``), ``load_target_model`` of each
trainer; musubi-tuner, utils/sai_model_spec.py and dataset/architectures.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.decompose.method import StoredPart
from engine.events import Notice, NoticeCode
from engine.formats.lora_format import LayerKeys, LoraFacts, LoraFormat, LoraIndex, Place, index_of
from engine.models.families import Family
from engine.models.layouts import HUNYUAN_VIDEO_TENCENT, LAYOUTS, NATIVE, SD1, Layout
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
    "lumina2": {"gemma2_2b": "lora_te_"},
    "anima": {"qwen3_06b": "lora_te_"},
}
_REFINER = {"clip_g": "lora_te_"}
"""Of SDXL's refiner, which is not trained: what programs look for where CLIP-G is the only encoder."""
_LAYERS_OF_TEXT_ENCODERS = ("text_model.encoder.layers.", "encoder.block.", "layers.")  # of CLIP, of T5, of others
"""Trainers know no others, and diffusers refuses a file with a text projection whose rank differs from the layers'."""
_POSITIONS = "relative_attention_bias"  # a table whose rows are taken, not a layer that multiplies


@dataclass(frozen=True)
class _Trained:
    """What trainers write of a model into the header.

    Attributes:
        module: of the network, which the trainer imports to go on.
        version: of the base model.
        architecture: of the model specification, without ``/lora``.
        second: whether it is a Stable Diffusion 2.x.
    """

    module: str
    version: str
    architecture: str
    second: bool = False


_TRAINED: dict[str, _Trained] = {
    # family -> as its trainer says it; where members differ as of the one whose name comes first
    "sd1": _Trained("networks.lora", "sd_v1", "stable-diffusion-v1"),
    "sdxl": _Trained("networks.lora", "sdxl_base_v1-0", "stable-diffusion-xl-v1-base"),
    "sd3": _Trained("networks.lora_sd3", "3-medium", "stable-diffusion-3-3-medium"),
    "flux": _Trained("networks.lora_flux", "flux1", "flux-1-dev"),
    "chroma": _Trained("networks.lora_flux", "chroma", "chroma"),
    "lumina2": _Trained("networks.lora_lumina", "lumina2", "lumina-2"),
    "hunyuan_image": _Trained("networks.lora_hunyuan_image", "hunyuan-image-2.1", "hunyuan-image-2.1"),
    "anima": _Trained("networks.lora_anima", "anima", "anima-preview"),
    "hunyuan_video": _Trained("networks.lora", "hunyuan_video", "hunyuan-video"),
    "hunyuan_video15": _Trained("networks.lora_hv_1_5", "hunyuan_video_1_5", "hunyuan-video-1.5"),
    "wan": _Trained("networks.lora_wan", "wan", "wan2.1"),
    "flux2": _Trained("networks.lora_flux_2", "flux_2_dev", "Flux.2-dev"),
    "qwen_image": _Trained("networks.lora_qwen_image", "qwen_image", "Qwen-Image"),
    "z_image": _Trained("networks.lora_zimage", "z_image", "Z-Image"),
}
_SD2 = _Trained("networks.lora", "sd_v2", "stable-diffusion-v2-512", second=True)
"""The resolution is that of the base model: what objective a model was trained with, its weights do not say."""
_KLEIN = {3072: ("flux_2_klein_4b", "Flux.2-klein-4b"), 4096: ("flux_2_klein_9b", "Flux.2-klein-9b")}


def _trained(family: Family, shapes: Mapping[str, tuple[int, ...]] | None = None) -> _Trained:
    """What is said of a model.

    Args:
        family: of it.
        shapes: of its denoiser's weights, by canonical name without the start; empty where only the family is known.
    """
    known = _TRAINED.get(family.key)
    if known is None:  # a family without such a trainer is called as its architecture is
        name = family.architecture.removesuffix("/lora")
        return _Trained("networks.lora", name, name)
    shapes = shapes or {}
    if family.key == "sd1":
        return _SD2 if shapes.get(_CONTEXT, ())[1:2] == (1024,) else known
    if family.key == "sd3" and _SD35 in shapes:
        size = "medium" if any(".x_block.attn2." in name for name in shapes) else "large"
        return replace(known, version=f"3-5-{size}", architecture=f"stable-diffusion-3-3-5-{size}")
    if family.key == "flux" and shapes and "guidance_in.in_layer.weight" not in shapes:
        return replace(known, architecture="flux-1-schnell")
    if family.key == "flux2" and shapes.get("img_in.weight", ())[:1] in [(width,) for width in _KLEIN]:
        version, architecture = _KLEIN[shapes["img_in.weight"][0]]
        return replace(known, version=version, architecture=architecture)
    return known


_CONTEXT = "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
_SD35 = "joint_blocks.0.x_block.attn.ln_q.weight"

_TRAINERS = {
    # families whose denoiser trainers name otherwise than ComfyUI does
    "sd1": SD1,  # as diffusers
    "hunyuan_video": HUNYUAN_VIDEO_TENCENT,
    "hunyuan_image": LAYOUTS["hunyuan_image_tencent"],  # sd-scripts, networks/convert_hunyuan_image_lora_to_comfy.py
    "hunyuan_video15": LAYOUTS["hunyuan_video15_tencent"],  # musubi-tuner, hunyuan_video_1_5/: q, k, v by themselves
}

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

    def __init__(self, trainers: Layout = NATIVE, trained: _Trained | None = None, clips: Iterable[str] = ()) -> None:
        """Without a layout of one model's names, families that trainers name otherwise have no keys."""
        self._trainers, self._trained, self._clips = trainers, trained, frozenset(clips)

    def for_pair(self, pairing: Pairing) -> Kohya:
        """See `LoraFormat.for_pair`."""
        starts = (weight for weight in pairing.weights if weight.name.startswith(DENOISER))
        shapes = {weight.name[len(DENOISER) :]: weight.shape for weight in starts}
        clips = {name.split(".")[1] for name in pairing.names if name.startswith("text_encoders.")}
        found = self.for_names(pairing.family, pairing.names)
        return Kohya(found._trainers, _trained(pairing.family, shapes), clips)

    def for_names(self, family: Family, names: Iterable[str]) -> Kohya:
        """The format for a model with these canonical names."""
        layout = _TRAINERS.get(family.key)
        if layout is None:
            return self
        return Kohya(layout.for_canonical({name.removeprefix(DENOISER) for name in names}))

    def places(self, family: Family, name: str, kind: str, shape: Sequence[int], *, factors: bool) -> tuple[Place, ...]:
        """See `LoraFormat.places`. Biases, norms and bare parameters have none, nor what trainers leave alone."""
        if not factors or kind not in ("matrix", "conv"):
            return ()
        if not name.startswith(DENOISER):
            base = _base_of_text_encoder(self._encoders(family), name.removesuffix(".weight"))
            return () if base is None else (Place(_keys(base)),)
        if family.key in _TRAINERS and not self._trainers.rows:  # its names are not known
            return ()
        return tuple(
            Place(_keys(_base_of_denoiser(share.name)), share.rows, share.swapped, share.transposed)
            for share in self._trainers.shares(name[len(DENOISER) :], tuple(shape), ())
        )

    def keys(self, family: Family, name: str, kind: str, *, factors: bool) -> LayerKeys:
        """See `LoraFormat.keys`: of what is one module to trainers; others have several `places`."""
        places = self.places(family, name, kind, (), factors=factors)
        return places[0].keys if len(places) == 1 else {}

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
        trained = self._trained or _trained(facts.family)
        texts = {
            "ss_v2": str(trained.second),
            "ss_network_module": trained.module,
            "ss_network_dim": rank,
            "ss_network_alpha": alpha,
            "ss_network_args": json.dumps({"conv_dim": rank, "conv_alpha": alpha}),
        }
        if trained.version:
            texts["ss_base_model_version"] = trained.version
        if trained.architecture:
            texts["modelspec.architecture"] = f"{trained.architecture}/lora"
        return texts

    def _encoders(self, family: Family) -> Mapping[str, str]:
        if family.key == "sdxl" and "clip_g" in self._clips and "clip_l" not in self._clips:
            return _REFINER
        return _TEXT_ENCODERS.get(family.key, {})


def _keys(base: str) -> LayerKeys:
    return {part: base + ending for part, ending in _ENDINGS.items()}


def _base_of_denoiser(name: str) -> str:
    return _UNET + name.removesuffix(".weight").replace(".", "_")


def _base_of_text_encoder(prefixes: Mapping[str, str], module: str) -> str | None:
    part, _, inner = module.partition(".transformer.")
    clip = part.removeprefix("text_encoders.")
    if not clip.startswith(("clip_", "t5")):
        inner = inner.removeprefix("model.")  # trainers have the model without its head
    prefix = prefixes.get(clip)
    if prefix is None or not inner.startswith(_LAYERS_OF_TEXT_ENCODERS) or module.endswith(_POSITIONS):
        return None
    return prefix + inner.replace(".", "_")
