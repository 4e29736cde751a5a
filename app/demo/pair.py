"""The demo pair that ships with the program, and the comparison of a LoRA of it with the two models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.text.notices import format_bytes, format_share
from app.text.translation import decimal, marked, translate
from engine.settings import ExtractionSettings

DEMO_DIR = Path(__file__).resolve().parents[2] / "resources" / "demo"
FINETUNED, ORIGINAL = DEMO_DIR / "finetuned.safetensors", DEMO_DIR / "original.safetensors"
SETTINGS = ExtractionSettings(filename_prefix="demo_lora", rank=16, resume=False)
PICTURE = "demo_comparison.png"
TITLES = (marked("demo", "Original"), marked("demo", "Fine-tuned"), marked("demo", "Original + LoRA"))
"""What `resources.demo.comparison` calls the three models."""


def show(lora: Path, picture: Path, check: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Compare the three models, and draw their samples side by side.

    Args:
        lora: a LoRA of the demo pair.
        picture: where the PNG goes.
        check: called between the steps; what it raises stops them.

    Returns:
        ``picture``, its path; ``losses`` by model; ``recovered``, the share of the loss gap that the LoRA closes.
    """
    from app.demo.picture import Strip, draw_comparison
    from resources.demo.comparison import compare

    comparison = compare(lora, check=check)
    contenders = (comparison.original, comparison.finetuned, comparison.with_lora)
    strips = tuple(
        Strip(
            translate("demo", contender.title),
            translate("demo", "loss {loss}").format(loss=decimal(contender.loss, 3)),
            tuple(
                tuple((image * 255).round().byte().contiguous().numpy().tobytes() for image in row)
                for row in contender.pictures
            ),
            int(contender.pictures.shape[-1]),
        )
        for contender in contenders
    )
    footer = translate("demo", "{share} of the fine-tune recovered by {size}")
    footer = footer.format(share=format_share(comparison.recovered), size=format_bytes(lora.stat().st_size))
    draw_comparison(translate("demo", "Digits drawn with the same seeds"), footer, strips, picture)
    return {
        "picture": str(picture.resolve()),
        "losses": {contender.title: contender.loss for contender in contenders},
        "recovered": comparison.recovered,
    }
