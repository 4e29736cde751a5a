"""PEFT and transformers load an adapter, and what they say of it is heard."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import save_file

_FOREIGN = (  # said whatever the adapter is
    "is_gradient_checkpointing",
    "kernels",
)


class Said(logging.Handler):
    """Everything that PEFT and transformers log, and that is warned of."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.lines.append(record.getMessage())


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collects warnings and log lines while it lasts."""
    handler, loggers = Said(), [logging.getLogger(name) for name in ("peft", "transformers")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield handler.lines
        handler.lines += [str(item.message) for item in caught]
        handler.lines[:] = [line for line in handler.lines if not any(word in line for word in _FOREIGN)]
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def saved(model: Any, folder: Path) -> Path:
    """A model's folder, as its own `save_pretrained` writes it."""
    model.save_pretrained(folder)
    return folder


def fine_tuned(model: Any, *, scale: float = 0.05, seed: int = 1, frozen: tuple[str, ...] = ()) -> Any:
    """A copy of a model whose every parameter moved, but for those that have one of the words in their names.

    Matrices move as training moves them: mostly within a few dimensions.
    """
    other = type(model)(model.config).eval()
    other.load_state_dict(model.state_dict())
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            step = torch.randn(parameter.shape)
            if parameter.dim() > 1:
                rows, columns = parameter.shape[-2:]
                step = torch.randn(*parameter.shape[:-2], rows, 2) @ torch.randn(2, columns) + 0.1 * step
            if not any(word in name for word in frozen):
                parameter.add_(scale * step)
    return other


def logits(model: Any, **inputs: torch.Tensor) -> torch.Tensor:
    """What the model says to a few tokens."""
    tokens = torch.arange(3, 9)[None]
    inputs = inputs or {"input_ids": tokens}
    if getattr(model.config, "is_encoder_decoder", False) and hasattr(model, "decoder"):
        inputs = {**inputs, "decoder_input_ids": tokens}
    with torch.no_grad():
        return model.eval()(**inputs)[0]


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Relative, Frobenius norms."""
    return float((found - wanted).norm() / wanted.norm())


def loaded(kind: type[Any], original: Path, adapter: Path, *, vocabulary: int | None = None) -> Any:
    """The original with the adapter."""
    model = kind.from_pretrained(original)
    if vocabulary is not None:
        model.resize_token_embeddings(vocabulary, mean_resizing=False)
    return PeftModel.from_pretrained(model, str(adapter))


def save_flat(tensors: dict[str, torch.Tensor], path: Path) -> Path:
    """A file without a config beside it."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path
