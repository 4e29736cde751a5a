"""The shipped hardware profiles, presets and usual ranks, as data, and which profile suits a device."""

from __future__ import annotations

from engine.settings import HardwareSettings

GIB = 1024**3

HARDWARE_PROFILES: dict[str, HardwareSettings] = {
    "Safe (8 GB)": HardwareSettings(
        vram_usage_mode="conservative", blocks_in_gpu=5, batch_size=2, prefetch_ahead=0, memory_threshold=0.7
    ),
    "Balanced (12 GB)": HardwareSettings(
        vram_usage_mode="balanced", blocks_in_gpu=10, batch_size=4, prefetch_ahead=2, memory_threshold=0.85
    ),
    "Performance (16 GB+)": HardwareSettings(
        vram_usage_mode="aggressive",
        blocks_in_gpu=20,
        batch_size=6,
        prefetch_ahead=4,
        memory_threshold=0.9,
        debug_mode=True,
    ),
    "Maximum speed (24 GB+)": HardwareSettings(
        vram_usage_mode="aggressive",
        blocks_in_gpu=40,
        batch_size=8,
        prefetch_ahead=8,
        memory_threshold=0.95,
        debug_mode=True,
    ),
}
DEFAULT_PROFILE = "Balanced (12 GB)"

QUALITY_PRESETS: dict[str, dict[str, object]] = {
    # Only the extraction fields that define the preset; the others stay as the person set them.
    "Best quality": {"lora_type": "standard", "rank": 128, "algorithm": "svd_linalg", "clamp_quantile": False},
    "Small file": {"lora_type": "adaptive_energy", "rank": 32, "adaptive_param": 0.9, "algorithm": "svd_linalg"},
    "Fast look": {"lora_type": "standard", "rank": 16, "algorithm": "svd_lowrank", "lowrank_iters": 2},
}

PURPOSE_PRESETS: dict[str, dict[str, object]] = {
    "Style": {"lora_type": "standard", "rank": 32, "algorithm": "svd_linalg"},
    "Character": {"lora_type": "standard", "rank": 64, "algorithm": "svd_linalg"},
    # Distilling changes every weight a little, in many directions: what clamping and a low rank lose is seen at once.
    "Turbo or distilled minus base": {
        "lora_type": "standard",
        "rank": 256,
        "algorithm": "svd_linalg",
        "clamp_quantile": False,
    },
    "Language model": {"lora_type": "standard", "rank": 64, "algorithm": "svd_linalg", "clamp_quantile": False},
}
PRESETS = QUALITY_PRESETS | PURPOSE_PRESETS
PRESET_WORDS: dict[str, str] = {
    "Best quality": "rank 128 without clamping, for a file that may be large",
    "Small file": "90 % of each layer's change, at most rank 32",
    "Fast look": "rank 16 by the quick method, to see whether a pair is right",
    "Style": "a look, a medium, a mood: rank 32",
    "Character": "a person, a thing, a concept with details: rank 64",
    "Turbo or distilled minus base": "makes the base model as fast as its turbo: rank 256, no clamping",
    "Language model": "a tuned language model and its base: rank 64, no clamping",
}
"""When to use each preset, in a few words."""

RECOMMENDED_RANKS: dict[str, int] = {
    "sd1": 16,
    "pixart": 16,
    "pixart_diffusers": 16,
    "sdxl": 32,
    "sd3": 32,
    "stable_cascade": 32,
    "flux": 32,
    "chroma": 32,
    "qwen_image": 32,
    "hunyuan_video": 32,
    "wan": 32,
    "ltx": 32,
    "lumina2": 32,
    "z_image": 32,
    "llama": 64,
    "llama_base": 64,
}
"""Family -> a rank to begin with: what LoRAs for it usually have; no family has one by default."""

RANK_STOPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)


def suggest_profile(device_bytes: int) -> str:
    """Name the shipped profile for a device with this much memory.

    Cards report a little less than their nominal size, so each step allows 7 % below it.
    """
    for name, gib in (("Maximum speed (24 GB+)", 24), ("Performance (16 GB+)", 16), ("Balanced (12 GB)", 12)):
        if device_bytes >= 0.93 * gib * GIB:
            return name
    return "Safe (8 GB)"


def recommended_rank(family: str) -> int | None:
    """A rank to begin with for a family of models, by its key; None for families of which none is known."""
    return RECOMMENDED_RANKS.get(family)
