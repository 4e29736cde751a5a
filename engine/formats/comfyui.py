"""ComfyUI's LoRAs. Source: ComfyUI, comfy/lora.py, ``model_lora_keys_unet`` and ``load_lora``.

ComfyUI looks up ``<module>`` of every ``<module>.weight`` and the full name of every other parameter, and
reads ``.lora_up.weight``, ``.lora_down.weight``, ``.alpha``, ``.diff``, ``.diff_b`` and ``.set_weight`` after it. A
weight with ``.reshape_weight`` is filled up with zeros to that shape before its factors are added (comfy/utils.py,
``pad_tensor_to_shape``); ``.set_weight`` and ``.diff`` of another shape than the model's are not applied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.decompose.method import StoredPart
from engine.events import Notice, NoticeCode
from engine.formats.lora_format import LayerKeys, LoraFacts, LoraFormat, LoraIndex, index_of
from engine.models.families import Family
from engine.models.names import DENOISER

_FACTORS: dict[StoredPart, str] = {"up": ".lora_up.weight", "down": ".lora_down.weight", "alpha": ".alpha"}
_PREFIXES: dict[str, str] = {
    # family -> what stands for `diffusion_model.`; empty where ComfyUI has no loader for such models
    "pixart_diffusers": "transformer.",
    **dict.fromkeys(("llama", "llama_base", "gpt2", "bert"), ""),
}
_DIFFERENCE, _BIAS_DIFFERENCE, _WHOLE, _RESHAPE = ".diff", ".diff_b", ".set_weight", ".reshape_weight"


class ComfyUI(LoraFormat):
    """What ComfyUI loads for every architecture; each layer has an alpha of its own, always float32."""

    key = "comfyui"
    holds_fp8 = True
    title = "ComfyUI"

    def keys(self, family: Family, name: str, kind: str, *, factors: bool) -> LayerKeys:
        """See `LoraFormat.keys`. A bias beside a weight is ``.diff_b`` of that weight."""
        if factors:
            return {part: _base(family, name) + ending for part, ending in _FACTORS.items()}
        if kind == "bias":
            return {"difference": _base(family, name.removesuffix(".bias") + ".weight") + _BIAS_DIFFERENCE}
        return {"difference": _base(family, name) + _DIFFERENCE}

    def whole_key(self, family: Family, name: str) -> str:
        """See `LoraFormat.whole_key`."""
        return _base(family, name) + _WHOLE

    def reshape_key(self, family: Family, name: str) -> str | None:
        """See `LoraFormat.reshape_key`. Models that ComfyUI does not load have none."""
        loads = bool(_prefix(family)) or not name.startswith(DENOISER)
        return _base(family, name) + _RESHAPE if loads else None

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
        return {"ss_network_module": "networks.lora", "ss_network_dim": rank, "ss_network_alpha": rank}

    def stem(self, prefix: str) -> str:
        """The prefix as it is."""
        return prefix


def _base(family: Family, name: str) -> str:
    module, prefix = name.removesuffix(".weight"), _prefix(family)
    if not module.startswith(DENOISER) or not prefix:
        return module
    return prefix + module[len(DENOISER) :]


def _prefix(family: Family) -> str:
    return _PREFIXES.get(family.key, DENOISER)
