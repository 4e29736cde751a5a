"""What a verification says of files that another tool wrote, or that are written at a strength."""

from __future__ import annotations

from pathlib import Path

from app.text.errors import error_text
from app.text.verification import verification_lines
from engine.errors import EngineError, ErrorCode
from engine.results import Verification, VerifiedLayer

LORA = Path("some.safetensors")
LAYERS = (VerifiedLayer("diffusion_model.a.weight", 4, 0.9, 0.3),)


def test_a_strength_is_said_with_what_was_judged() -> None:
    found = Verification(LAYERS, (), (), 0.9, 0.9, "comfyui", "ComfyUI", strength=0.5)
    assert "It is written at strength 0.5; the judgement is of strength 1." in verification_lines(LORA, found, None)


def test_names_of_another_tool_are_said_to_be_such() -> None:
    found = Verification(LAYERS, (), (), 0.9, 0.9, "", "")
    assert verification_lines(LORA, found, None)[-1] == "Format: names of another tool."


def test_a_file_that_is_no_product_of_two_factors_is_named_with_the_remedy() -> None:
    data = {"reason": "kind", "kind": "LoKr"}
    error = EngineError(ErrorCode.LORA_MISMATCH, file=Path("a.safetensors"), tensor="x.lokr_w1", **data)
    cause, remedy = error_text(error)
    assert "LoKr" in cause
    assert "x.lokr_w1" in cause
    assert "plain factors" in remedy
