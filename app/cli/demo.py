"""The demo: extract a LoRA from the pair that ships with the program, then show that it works."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from app.cli.commands import extraction_object, run_extraction
from app.cli.progress import Console
from app.demo.pair import FINETUNED, ORIGINAL, PICTURE, SETTINGS, show
from app.system.display import has_screen
from app.text.notices import format_bytes, format_share
from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.session import Session
from engine.settings import HardwareSettings


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
        plan = session.plan(SETTINGS, HardwareSettings(), parsed.output_dir)
        result = run_extraction(session, plan, cancel, console)
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
    return extraction_object(plan, result) | shown
