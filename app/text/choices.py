"""What the choices of a setting mean: a sentence or two for each, shown where it is chosen."""

from __future__ import annotations

from app.text.translation import marked, translate

CONTEXT = "choices"
BY_SIZE = "by_size"
"""Stands for the type ``standard`` with a size of the file in the place of a rank."""

MEANINGS: dict[tuple[str, str], str] = {
    ("lora_type", "standard"): marked("choices", "Every layer has the same rank. What nearly all LoRAs are."),
    ("lora_type", BY_SIZE): marked(
        "choices", "The file is at most as large as you say; ranks are chosen so that it is nearly that."
    ),
    ("lora_type", "full"): marked(
        "choices", "The whole difference of every layer: loses nothing but rounding, and is as large as the model."
    ),
    ("lora_type", "adaptive_ratio"): marked(
        "choices", "Each layer keeps the singular values that are larger than this part of its largest one."
    ),
    ("lora_type", "adaptive_quantile"): marked(
        "choices", "Each layer keeps this part of the sum of its singular values."
    ),
    ("lora_type", "adaptive_energy"): marked(
        "choices", "Each layer gets the smallest rank that keeps this share of its singular values' squares."
    ),
    ("lora_type", "adaptive_fro"): marked(
        "choices", "Each layer gets the smallest rank that keeps this part of the norm of its change."
    ),
    ("lora_type", "adaptive_noise"): marked(
        "choices",
        "Each layer keeps the singular values that are larger than rounding alone could make them. There is no value "
        "to choose.",
    ),
    ("algorithm", "svd_linalg"): marked("choices", "The best possible answer at the rank, to working precision."),
    ("algorithm", "svd_lowrank"): marked("choices", "Faster and approximate; the iterations bound its error."),
    ("output_dtype", "fp16"): marked("choices", "Two bytes a number. Suits nearly everything."),
    ("output_dtype", "bf16"): marked("choices", "Two bytes a number, with a wider range and fewer digits than fp16."),
    ("output_dtype", "fp32"): marked("choices", "Four bytes a number: twice the file for digits that rarely matter."),
    ("output_dtype", "fp8_e4m3"): marked(
        "choices",
        "One byte a number: half the file of fp16, or twice the rank in the same file. Only programs that cast it can "
        "load it, such as ComfyUI and Forge.",
    ),
    ("size_by", "uniform"): marked("choices", "All layers get nearly the same rank."),
    ("size_by", "energy"): marked("choices", "Higher ranks where a byte keeps the most of the change."),
    ("size_by", "relative"): marked("choices", "Layers that changed most beside their own weight get higher ranks."),
    ("round_original", "auto"): marked("choices", "Where the fine-tuned model is stored more coarsely."),
    ("round_original", "on"): marked("choices", "The side that is stored more finely is rounded as the other one."),
    ("round_original", "off"): marked("choices", "Both are compared as they are stored."),
}


def choice_meaning(field: str, choice: str) -> str:
    """What a choice means; empty where its name says all."""
    text = MEANINGS.get((field, choice))
    return translate(CONTEXT, text) if text else ""
