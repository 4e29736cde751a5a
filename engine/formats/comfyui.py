"""ComfyUI's LoRAs, which Forge reads too.

Sources: ComfyUI, comfy/lora.py, ``model_lora_keys_unet``, ``model_lora_keys_clip`` and ``load_lora``; Forge,
packages_3rdparty/comfyui_lora_collection/lora.py.

ComfyUI looks up ``<module>`` of every ``<module>.weight`` and the full name of every other parameter, and
reads ``.lora_up.weight``, ``.lora_down.weight``, ``.alpha``, ``.diff``, ``.diff_b`` and ``.set_weight`` after it. A
weight with ``.reshape_weight`` is filled up with zeros to that shape before its factors are added (comfy/utils.py,
``pad_tensor_to_shape``); ``.set_weight`` and ``.diff`` of another shape than the model's are not applied.

Text encoders are ``text_encoders.<clip>.transformer.<module>`` to ComfyUI alone. Both programs know the layers of CLIP
and all of T5 by ``lora_te*_`` and the module's name with underscores, so that is what these are called here. Norms that
ComfyUI renames before it looks (comfy/supported_models.py, ``process_unet_state_dict``) stand under both names, with
the same values: releases of before 2026 look for ``.scale``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from engine.decompose.method import StoredPart
from engine.events import Notice, NoticeCode
from engine.formats.lora_format import LayerKeys, LoraFacts, LoraFormat, LoraIndex, Place, index_of
from engine.models.families import Family
from engine.models.names import DENOISER
from engine.models.pairing import Pairing

_FACTORS: dict[StoredPart, str] = {"up": ".lora_up.weight", "down": ".lora_down.weight", "alpha": ".alpha"}
_PREFIXES: dict[str, str] = {
    # family -> what stands for `diffusion_model.`; empty where ComfyUI has no loader for such models
    "pixart_diffusers": "transformer.",
    **dict.fromkeys(("llama", "llama_base", "gpt2", "bert"), ""),
}
_DIFFERENCE, _BIAS_DIFFERENCE, _WHOLE, _RESHAPE = ".diff", ".diff_b", ".set_weight", ".reshape_weight"

_RENAMED_NORMS: dict[str, str] = {
    # family -> the ending of the names of norms that ComfyUI gives the ending `.weight`
    **dict.fromkeys(("flux", "flux2"), "_norm.scale"),
    **dict.fromkeys(("chroma", "hunyuan_video", "hunyuan_video15", "hunyuan_image"), ".scale"),
}

_TEXT_ENCODERS: dict[str, dict[str, str]] = {
    # family -> what stands for `text_encoders.<clip>.transformer.` where both programs read it
    "sd1": {"clip_l": "lora_te_", "clip_h": "lora_te_"},
    "sdxl": {"clip_l": "lora_te1_", "clip_g": "lora_te2_"},
    "sd3": {"clip_l": "lora_te1_", "clip_g": "lora_te2_", "t5xxl": "lora_te3_"},
    "flux": {"clip_l": "lora_te1_", "t5xxl": "lora_te3_"},
    # in a file of its own, where its number is the same in all models that have it, or in all but SDXL's refiner
    "clip_l": {"clip_l": "lora_te1_"},
    "clip_g": {"clip_g": "lora_te2_"},
    "clip_h": {"clip_h": "lora_te_"},
}
_REFINER = {"clip_g": "lora_te_"}
"""Of SDXL's refiner, whose only encoder is CLIP-G: the number is that of the encoders there are."""
_CLIP_MODULE = re.compile(r"text_model\.encoder\.layers\.\d+\.(mlp\.fc[12]|self_attn\.([qkv]|out)_proj)")
_ENCODERS = "text_encoders."
"""Of these ComfyUI looks up modules alone, not parameters that are no module's weight or bias."""
_PROJECTIONS = {"clip_l": "lora_te1_text_projection", "clip_g": "lora_te2_text_projection"}
_ENCODER_NAME = re.compile(r"text_encoders\.(clip_[lgh]|t5xxl)\.transformer\.(.+)")


class ComfyUI(LoraFormat):
    """What ComfyUI loads for every architecture; each layer has an alpha of its own, always float32."""

    key = "comfyui"
    title = "ComfyUI"

    def __init__(self, clips: Collection[str] = ()) -> None:
        """Without the text encoders of one model, an SDXL's CLIP-G is taken for the second of two."""
        self._clips = frozenset(clips)

    def for_pair(self, pairing: Pairing) -> ComfyUI:
        """See `LoraFormat.for_pair`."""
        found = (_ENCODER_NAME.match(name) for name in pairing.names)
        return ComfyUI({match[1] for match in found if match is not None})

    def places(self, family: Family, name: str, kind: str, shape: Sequence[int], *, factors: bool) -> tuple[Place, ...]:
        """See `LoraFormat.places`. Renamed norms stand there twice, bare parameters of encoders nowhere."""
        if kind == "parameter" and name.startswith(_ENCODERS):
            return ()
        names = (name, *_renamed(family, name))
        return tuple(Place(self.keys(family, each, kind, factors=factors)) for each in names)

    def keys(self, family: Family, name: str, kind: str, *, factors: bool) -> LayerKeys:
        """See `LoraFormat.keys`: under the model's own names. A bias beside a weight is ``.diff_b`` of that weight."""
        if factors:
            return {part: self._base(family, name) + ending for part, ending in _FACTORS.items()}
        if kind == "bias":
            weight = name.removesuffix(".bias") + ".weight"
            return {"difference": self._base(family, weight) + _BIAS_DIFFERENCE}
        return {"difference": self._base(family, name) + _DIFFERENCE}

    def whole_key(self, family: Family, name: str) -> str | None:
        """See `LoraFormat.whole_key`. Of a norm that ComfyUI renamed it has the new name."""
        if name.startswith(_ENCODERS) and not name.endswith(".weight"):
            return None
        return self._base(family, next(iter(_renamed(family, name)), name)) + _WHOLE

    def reshape_key(self, family: Family, name: str) -> str | None:
        """See `LoraFormat.reshape_key`. Models that ComfyUI does not load have none."""
        loads = bool(_prefix(family)) or not name.startswith(DENOISER)
        return self._base(family, name) + _RESHAPE if loads else None

    def parse(self, keys: Iterable[str]) -> LoraIndex | None:
        """See `LoraFormat.parse`. The layer of a ``.diff_b`` is called ``<module>.bias``."""
        keys = tuple(keys)
        whole = tuple(key for key in keys if key.endswith(_WHOLE))
        biases = {key.removesuffix(_BIAS_DIFFERENCE): key for key in keys if key.endswith(_BIAS_DIFFERENCE)}
        endings: dict[str, StoredPart] = {ending: part for part, ending in _FACTORS.items()}
        endings |= {_DIFFERENCE: "difference", _RESHAPE: "reshape"}
        rest = [key for key in keys if not key.endswith((_WHOLE, _BIAS_DIFFERENCE))]
        index = index_of(rest, endings) or LoraIndex({}, unknown=tuple(rest))
        layers: dict[str, LayerKeys] = {**index.layers}
        layers |= {f"{module}.bias": {"difference": key} for module, key in biases.items()}
        return replace(index, layers=layers, whole=whole) if layers or whole else None

    def notices(self, family: Family) -> tuple[Notice, ...]:
        """See `LoraFormat.notices`."""
        return () if _prefix(family) else (Notice(NoticeCode.NO_COMFYUI_LOADER, family.title),)

    def metadata(self, facts: LoraFacts) -> dict[str, str]:
        """See `LoraFormat.metadata`. Which rank a layer has, ComfyUI sees by its factors."""
        if not facts.largest_rank:
            return {}
        rank = "Dynamic" if facts.rank is None else str(facts.rank)
        alpha = rank if facts.alpha is None else f"{facts.alpha:g}"
        return {"ss_network_module": "networks.lora", "ss_network_dim": rank, "ss_network_alpha": alpha}

    def stem(self, prefix: str) -> str:
        """The prefix as it is."""
        return prefix

    def _base(self, family: Family, name: str) -> str:
        module, prefix = name.removesuffix(".weight"), _prefix(family)
        if module.startswith(DENOISER):
            return prefix + module[len(DENOISER) :] if prefix else module
        encoder = _ENCODER_NAME.fullmatch(module) if name.endswith(".weight") else None
        found = None if encoder is None else _short_base(self._encoders(family), encoder[1], encoder[2])
        return found or module

    def _encoders(self, family: Family) -> dict[str, str]:
        if family.key == "sdxl" and "clip_g" in self._clips and "clip_l" not in self._clips:
            return _REFINER
        return _TEXT_ENCODERS.get(family.key, {})


def _short_base(prefixes: dict[str, str], clip: str, inner: str) -> str | None:
    """What both programs call a module of a text encoder; None where they have no name in common."""
    prefix = prefixes.get(clip)
    if prefix is None:
        return None
    if clip == "t5xxl" or _CLIP_MODULE.fullmatch(inner):
        return prefix + inner.replace(".", "_")
    return _PROJECTIONS.get(clip) if inner == "text_projection" else None


def _prefix(family: Family) -> str:
    return _PREFIXES.get(family.key, DENOISER)


def _renamed(family: Family, name: str) -> tuple[str, ...]:
    """The other name of a norm that ComfyUI renames; none of other weights."""
    ending = _RENAMED_NORMS.get(family.key)
    if ending is None or not name.startswith(DENOISER) or not name.endswith(ending):
        return ()
    return (name.removesuffix(".scale") + ".weight",)
