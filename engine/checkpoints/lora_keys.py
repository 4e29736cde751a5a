"""Endings of the keys in LoRA files: those that ComfyUI reads, and those by which any LoRA differs from a model.

Source: ComfyUI, comfy/lora.py, ``load_lora``; PEFT's ``lora_A`` and ``lora_B``.
"""

from __future__ import annotations

FACTORS = {"up": ".lora_up.weight", "down": ".lora_down.weight", "alpha": ".alpha"}
"""Part of a stored layer -> ending."""
DIFFERENCE, BIAS_DIFFERENCE, WHOLE_WEIGHT = ".diff", ".diff_b", ".set_weight"
COMFYUI_ENDINGS = (*FACTORS.values(), DIFFERENCE, BIAS_DIFFERENCE, WHOLE_WEIGHT)
FACTOR_ENDINGS = (FACTORS["up"], FACTORS["down"], ".lora_A.weight", ".lora_B.weight")
"""No model has a key with one of these, whatever program wrote the LoRA."""
