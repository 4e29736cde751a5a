"""The demo: extract a LoRA from the pair that ships with the program, then show that it works."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.cli.commands import extraction_object, run_extraction
from app.cli.progress import Console
from app.system.display import has_screen
from app.text.notices import format_bytes, format_share
from app.text.translation import decimal, marked, translate
from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

DEMO_DIR = Path(__file__).resolve().parents[2] / "resources" / "demo"
FINETUNED, ORIGINAL = DEMO_DIR / "finetuned.safetensors", DEMO_DIR / "original.safetensors"
SETTINGS = ExtractionSettings(filename_prefix="demo_lora", rank=16, resume=False)
PICTURE = "demo_comparison.png"
TITLES = (marked("demo", "Original"), marked("demo", "Fine-tuned"), marked("demo", "Original + LoRA"))
"""What `resources.demo.comparison` calls the three models."""


def run_demo(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any] | None:
    """``lora-extractor demo``: in the window where there is a screen, else in the terminal."""
    if has_screen() and not parsed.terminal and not parsed.json:
        if sys.platform == "win32":
            import torch  # noqa: F401  # before Qt, whose libraries would get in the way of torch's
        from app.window.demo_window import run_demo_window

        run_demo_window(parsed.output_dir, cancel)
        if cancel.cancelled:
            raise Cancelled(f"What was finished is in {parsed.output_dir}.")
        return None
    console = Console()
    console.line(
        "Extracting a LoRA from the demo pair: a small diffusion transformer that draws digits, and its fine-tune."
    )
    with Session(FINETUNED, ORIGINAL) as session:
        result = run_extraction(session, SETTINGS, HardwareSettings(), parsed.output_dir, cancel, console)
    console.line("Sampling from the original, the fine-tuned model and the original with the LoRA ...")
    output = result.outputs[0]
    try:
        shown = show(output.path, parsed.output_dir / PICTURE, cancel.check)
    except Cancelled:
        raise Cancelled(f"The LoRA was finished before: {output.path}") from None
    for title, loss in shown["losses"].items():
        console.line(f"  denoising loss on held-out digits, {title + ':':<18}{loss:.4f}")
    console.line(
        f"The LoRA ({format_bytes(output.size_bytes)}, the model has {format_bytes(ORIGINAL.stat().st_size)}) "
        f"recovers {format_share(shown['recovered'])} of what the fine-tune learned."
    )
    console.line(f"Picture: {shown['picture']}")
    return extraction_object(result) | shown


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
