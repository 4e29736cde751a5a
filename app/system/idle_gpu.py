"""The advice where a graphics card stays idle because this edition's torch was built for processors.

Finding the card asks NVIDIA's driver, not torch, which cannot know; it starts a program, so never on the GUI thread.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from app.text.translation import translate

_SECONDS = 20
_CARD = re.compile(r"^GPU \d+: (.+?)(?: \(UUID|\s*$)")


def nvidia_card() -> str | None:
    """The name of the first card that NVIDIA's driver sees; None without a driver or a card. It may take seconds."""
    tool = shutil.which("nvidia-smi") or str(Path(os.environ.get("SYSTEMROOT", "")) / "System32" / "nvidia-smi.exe")
    try:
        run = subprocess.run(
            [tool, "-L"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = _CARD.match(run.stdout) if run.returncode == 0 else None
    return found[1] if found else None


def torch_for_processors() -> bool:
    """Whether torch was built without NVIDIA's, AMD's and Intel's accelerators; loads torch."""
    import torch

    return not (torch.version.cuda or torch.version.hip or torch.xpu._is_compiled())


def idle_card() -> str:
    """The NVIDIA card that this torch cannot use; empty where there is none.

    Loads torch and may take seconds, so it belongs where the device is found, off the GUI thread.
    """
    return (nvidia_card() or "") if torch_for_processors() else ""


def advice_text(card: str) -> str:
    """What a person with an idle card should know: a bundle's another edition, or the sources' another torch."""
    if getattr(sys, "frozen", False):
        text = translate(
            "GpuAdvice",
            "The {card} is idle: this edition of LoRA Extractor computes on the processor only. "
            "The edition for NVIDIA cards uses it.",
        )
    else:
        text = translate(
            "GpuAdvice",
            "The {card} is idle: the installed PyTorch was built for processors only. "
            "docs/building.md says how to install PyTorch's CUDA build.",
        )
    return text.format(card=card)
