"""diffusers' LoRAs: factors alone, under the names of its own models, with no alpha.

A key is the component's folder, the module's name in diffusers and ``.lora_A.weight`` or ``.lora_B.weight``; a key of
any other kind makes several of its loaders refuse the file. The change is up @ down as it stands. What the original's
program computes at once and diffusers does not, has a pair of factors for each part: its rows of up, and the same down.
``lora_adapter_metadata`` in the header says what PEFT has to make for it; without it releases before 0.42 scale layers
of other ranks wrongly. Sources: diffusers 0.42, loaders/lora_base.py, loaders/lora_pipeline.py, loaders/peft.py,
utils/peft_utils.py; PEFT 0.21, tuners/tuners_utils.py and utils/other.py (``get_pattern_key``), tuners/lora/layer.py.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.decompose.method import StoredPart
from engine.formats.lora_format import LayerKeys, LoraFacts, LoraFormat, LoraIndex, Place, index_of
from engine.models.families import Family
from engine.models.layouts import LAYOUTS, NATIVE, Layout
from engine.models.names import DENOISER
from engine.models.pairing import Pairing

_ENDINGS: dict[StoredPart, str] = {"up": ".lora_B.weight", "down": ".lora_A.weight"}
METADATA_KEY = "lora_adapter_metadata"

_EVERY = re.compile(".+")
_NONE = re.compile("(?!)")
_SAME_IN_LTX = re.compile(
    r"(audio_)?(proj_out|caption_projection\.linear_[12])\.weight"
    r"|transformer_blocks\.\d+\.(\w*attn\w*\.to_([qkv]|out\.0)|(audio_)?ff\.net\.(0\.proj|2))\.weight"
)
_DENOISERS: dict[str, tuple[str, re.Pattern[str]]] = {
    # family -> the layout of diffusers' names, and the names that no row of it has but diffusers knows as they are
    "sd1": ("sd1_diffusers", _NONE),
    "sdxl": ("sdxl_diffusers", _NONE),
    "sd3": ("sd3_diffusers", re.compile(r"context_embedder\.weight")),
    "flux": ("flux_diffusers", _NONE),
    "flux2": ("flux2_diffusers", _NONE),
    "chroma": ("chroma_diffusers", re.compile(r"distilled_guidance_layer\.(in|out)_proj\.weight")),
    "wan": ("wan_diffusers", re.compile(r"(vace_)?patch_embedding\.weight")),
    "qwen_image": ("native", _EVERY),
    "ltx": ("ltx_diffusers", _SAME_IN_LTX),
    "ltx2": ("ltx2_diffusers", _SAME_IN_LTX),
    "lumina2": ("lumina2_diffusers", re.compile(r"x_embedder\.weight")),
    "z_image": (
        "z_image_diffusers",
        re.compile(
            r"(cap_embedder|t_embedder\.mlp)\.\d\.weight|\w+\.\d+\.(feed_forward\.w\d|adaLN_modulation\.0)\.weight"
        ),
    ),
    "hunyuan_video": ("hunyuan_video_diffusers", _NONE),
    "auraflow": ("auraflow_diffusers", _NONE),
    "hidream": ("native", re.compile(r".+(?<!\.gate)\.weight")),
    "pixart_diffusers": ("native", _EVERY),
}
_UNETS = ("sd1", "sdxl")
_TABLES = re.compile(r"label_emb\.weight|(.+\.)?addition_t_embedding\.weight")
"""Rows that are taken and not multiplied: diffusers' loaders make no adapter of an embedding."""
_TEXT_ENCODERS: dict[str, dict[str, str]] = {
    # family -> what stands for `text_encoders.<clip>.transformer.`; its pipelines load LoRAs of no others
    "sd1": {"clip_l": "text_encoder.", "clip_h": "text_encoder."},
    "sdxl": {"clip_l": "text_encoder.", "clip_g": "text_encoder_2."},
    "sd3": {"clip_l": "text_encoder.", "clip_g": "text_encoder_2."},
    "flux": {"clip_l": "text_encoder."},
}
_LAYERS_OF_CLIP = "text_model.encoder.layers."
_PROJECTION = "text_projection.weight"
_PROJECTED = (("sdxl", "clip_g"), ("sd3", "clip_l"), ("sd3", "clip_g"))  # of which pipelines hold the projection too
_PREFIXES = ("unet.", "transformer.", "transformer_2.", "text_encoder.", "text_encoder_2.", "text_encoder_3.")
_LARGEST_RANK = 99999
_WAN_KEYS, _WAN_IMAGE_PARTS = ".attn2.to_k", (".add_k_proj", ".add_v_proj")


@dataclass(frozen=True)
class _Model:
    """One pair's names in diffusers.

    Attributes:
        layout: of its denoiser, with the rows of the model.
        present: all names that the layout has for the model.
        sizes: rows of the weights that one is divided among, by canonical name, where a file has them divided.
        stored: canonical names that a file in diffusers' own names has.
    """

    layout: Layout
    present: frozenset[str]
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()


class Diffusers(LoraFormat):
    """What diffusers' pipelines load with `load_lora_weights`."""

    key = "diffusers"
    title = "Diffusers"
    holds_differences = False
    own_prefixes = True
    scale_baked = True

    def __init__(self, model: _Model | None = None) -> None:
        """Without a pair, families whose names depend on the model have no keys."""
        self._model = model

    def for_pair(self, pairing: Pairing) -> Diffusers:
        """See `LoraFormat.for_pair`. A file in diffusers' names tells the sizes that fused weights are divided into."""
        if pairing.family.key not in _DENOISERS:
            return self
        names = [name.removeprefix(DENOISER) for name in pairing.names if name.startswith(DENOISER)]
        layout = LAYOUTS[_DENOISERS[pairing.family.key][0]].for_canonical(names)
        sizes: dict[str, tuple[int, ...]] = {}
        stored = set[str]()
        for weight in pairing.weights:
            for view in (weight.finetuned, weight.original):
                if view.layout == layout.key != NATIVE.key:
                    stored.add(weight.name)
                    sizes[weight.name] = tuple(piece.shape[0] for piece in view.pieces if piece.shape)
        present = frozenset(name for canonical in names for name in layout.stored_names(canonical))
        return Diffusers(_Model(layout, present, sizes, frozenset(stored)))

    def places(self, family: Family, name: str, kind: str, shape: Sequence[int], *, factors: bool) -> tuple[Place, ...]:
        """See `LoraFormat.places`. Biases, norms, bare parameters, embeddings and depthwise convolutions have none."""
        if not factors or kind not in ("matrix", "conv") or _is_depthwise(shape):
            return ()
        if name.startswith(DENOISER):
            return self._denoiser_places(family, name, tuple(shape))
        base = _text_encoder_base(family, name)
        return () if base is None else (Place(_keys(base)),)

    def _denoiser_places(self, family: Family, name: str, shape: tuple[int, ...]) -> tuple[Place, ...]:
        model, inner = self._model, name.removeprefix(DENOISER)
        if model is None or family.key not in _DENOISERS or _TABLES.fullmatch(inner):
            return ()
        layout, same = model.layout, _DENOISERS[family.key][1]
        if not (layout.knows(inner) or name in model.stored or same.fullmatch(inner)):
            return ()
        prefix = "unet." if family.key in _UNETS else "transformer."
        return tuple(
            Place(_keys(prefix + share.name.removesuffix(".weight")), share.rows, share.swapped, share.transposed)
            for share in layout.shares(inner, shape, model.present, model.sizes.get(name, ()))
        )

    def parse(self, keys: Iterable[str]) -> LoraIndex | None:
        """See `LoraFormat.parse`."""
        return index_of(keys, {ending: part for part, ending in _ENDINGS.items()}, prefixes=_PREFIXES)

    def problem(self, family: Family) -> str | None:
        """``no_names`` where diffusers has no loader of LoRAs, ``other_names`` where its names are not known here."""
        if family.key in _DENOISERS:
            return None
        return "other_names" if family.key in ("cosmos_predict2", "hunyuan_video15", "hunyuan_image") else "no_names"

    def metadata(self, facts: LoraFacts) -> dict[str, str]:
        """The configuration of PEFT for each component, as diffusers saves and reads it."""
        ranks = {key.removesuffix(_ENDINGS["down"]): rank for key, rank in facts.ranks.items()}
        return {METADATA_KEY: json.dumps(adapter_metadata(ranks, self._modules))}

    def metadata_bytes(self, keys: Iterable[str]) -> int:
        """See `LoraFormat.metadata_bytes`: as much as if no two layers had the same rank."""
        modules = sorted({key.removesuffix(_ENDINGS["down"]) for key in keys if key.endswith(_ENDINGS["down"])})
        ranks = {module: _LARGEST_RANK - number for number, module in enumerate(modules)}
        escaped = json.dumps(json.dumps([re.escape(module) for module in modules]))  # not less than the other way
        return len(json.dumps(json.dumps(adapter_metadata(ranks, frozenset())))) + len(escaped)

    @property
    def _modules(self) -> frozenset[str]:
        return frozenset() if self._model is None else self._model.present


def adapter_metadata(ranks: Mapping[str, int], names: Collection[str]) -> dict[str, object]:
    """What PEFT is to make of a file, a configuration for each component under its own prefix.

    Args:
        ranks: by the module's name in the file.
        names: of all weights of the denoiser.
    """
    found: dict[str, object] = {}
    ranks = _with_image_attention(ranks)
    components = dict.fromkeys(module.partition(".")[0] for module in ranks)
    for component in components:
        start = f"{component}."
        inner = {module.removeprefix(start): rank for module, rank in ranks.items() if module.startswith(start)}
        encoder = component.startswith("text_encoder")
        common = Counter(inner.values()).most_common(1)[0][0]
        # An anchor, as in `^proj_out`, keeps the pattern off the modules of that name inside blocks. In text encoders
        # releases of transformers differ in the level `text_model.`, which patterns without it match either way.
        pattern = {
            (re.escape(module.removeprefix("text_model.")) if encoder else f"^{re.escape(module)}"): rank
            for module, rank in inner.items()
            if rank != common
        }
        config = {
            "r": common,
            "lora_alpha": common,
            "rank_pattern": pattern,
            "alpha_pattern": pattern,
            "target_modules": _targets(sorted(module.removeprefix("text_model.") for module in inner), names),
        }
        found |= {start + word: value for word, value in config.items()}
    return found


def _with_image_attention(ranks: Mapping[str, int]) -> dict[str, int]:
    """The ranks, and those of modules that diffusers adds itself, as zeros, to a file for Wan that has none of them.

    It does so where the model looks at images (`_maybe_expand_t2v_lora_for_i2v`); elsewhere there are no such modules.
    """
    keys = [module for module in ranks if module.startswith("transformer.blocks.") and module.endswith(_WAN_KEYS)]
    if any(module.endswith(_WAN_IMAGE_PARTS) for module in ranks):
        return dict(ranks)
    added = {module.removesuffix(".to_k") + part: ranks[module] for module in keys for part in _WAN_IMAGE_PARTS}
    return {**ranks, **added}


def _targets(modules: list[str], names: Collection[str]) -> list[str] | str:
    """The modules that get an adapter; as one expression where PEFT would take others too, which end in such a name."""
    wanted = set(modules)
    for name in names:
        module = name.removesuffix(".weight")
        if module not in wanted and any(_tail(module, at) in wanted for at in range(1, module.count(".") + 1)):
            return f"({'|'.join(map(re.escape, modules))})"
    return modules


def _tail(name: str, levels: int) -> str:
    return name.split(".", levels)[-1]


def _keys(base: str) -> LayerKeys:
    return {part: base + ending for part, ending in _ENDINGS.items()}


def _is_depthwise(shape: Sequence[int]) -> bool:
    """Whether a convolution has a filter for each channel: PEFT refuses ranks that such groups do not divide."""
    return len(shape) > 2 and shape[1] == 1 and shape[0] > 1


def _text_encoder_base(family: Family, name: str) -> str | None:
    part, _, inner = name.partition(".transformer.")
    clip = part.removeprefix("text_encoders.")
    prefix = _TEXT_ENCODERS.get(family.key, {}).get(clip)
    projection = inner == _PROJECTION and (family.key, clip) in _PROJECTED
    if prefix is None or not (projection or (inner.startswith(_LAYERS_OF_CLIP) and inner.endswith(".weight"))):
        return None
    return prefix + inner.removesuffix(".weight")
