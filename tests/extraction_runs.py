"""Whole runs for tests: open a pair, plan, extract, and hand back everything that was said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cancel import CancelToken
from engine.events import Event, Finished
from engine.results import ExtractionResult, Verification
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

EXACT = {"rank": 4096, "output_dtype": "fp32", "clamp_quantile": False}  # nothing is lost but float32's last digit


@dataclass(frozen=True)
class Run:
    """One finished extraction."""

    result: ExtractionResult
    events: list[Event]

    @property
    def lora(self) -> Path:
        return self.result.outputs[0].path

    @property
    def left_out(self) -> dict[str, str]:
        return {item.name: item.reason.value for item in self.result.left_out}


def run(pair: tuple[Path, Path], folder: Path, **settings: Any) -> Run:
    """Extract from (fine-tuned, original) into a folder; everything happens on the CPU."""
    chosen = ExtractionSettings(**{"filename_prefix": "lora", **settings})
    with Session(*pair) as session:
        plan = session.plan(chosen, HardwareSettings(device="cpu"), folder)
        events = list(session.extract(plan, CancelToken()))
    finished = events[-1]
    assert isinstance(finished, Finished)
    return Run(finished.result, events)


def verified(pair: tuple[Path, Path], lora: Path) -> Verification:
    with Session(*pair) as session:
        *_, verification = session.verify(lora, CancelToken())
    assert isinstance(verification, Verification)
    return verification
