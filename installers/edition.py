"""Which accelerators a bundle computes on: that of the torch in the environment that builds it."""

from __future__ import annotations

SENTENCES = {
    "": "computes on the processor",
    "cuda": "computes on NVIDIA cards and on the processor",
    "rocm": "computes on AMD cards and on the processor",
    "xpu": "computes on Intel cards and on the processor",
}


def edition() -> str:
    """``cuda``, ``rocm``, ``xpu``, or nothing for processors and for Macs, whose torch has one build; loads torch."""
    import torch

    if torch.version.hip:
        return "rocm"
    if torch.version.cuda:
        return "cuda"
    return "xpu" if torch.xpu._is_compiled() else ""


def suffix() -> str:
    """The edition as the end of a file's name: ``-cuda``, or nothing."""
    name = edition()
    return f"-{name}" if name else ""
