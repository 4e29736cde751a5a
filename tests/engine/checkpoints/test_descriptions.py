"""What an encoding may read beside headers: small tensors and ``config.json``, bounded, and remembered with them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from model_files import Tensors, save_model

from engine.checkpoints import Checkpoint, WeightSource, open_checkpoint
from engine.checkpoints import checkpoint as checkpoint_module
from engine.checkpoints.encodings import ENCODINGS, Claim, Encoding, Unclaimed
from engine.checkpoints.header_snapshot import HeaderSnapshot, remember
from engine.errors import EngineError, ErrorCode


class Described(Encoding):
    """Claims weights beside which a ``.note`` stands, and takes over what it and the config say."""

    key, title, decoder = "toy_described", "described", "engine.checkpoints.encodings.raw_decode"

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        weights = []
        for name, note in stored.items():
            if name.endswith(".note"):
                part = stored[name.removesuffix("note") + "weight"]
                said = {"note": stored.read(note).decode(), "block": stored.config_of(part).get("block")}
                weights.append(WeightSource(part.name, part.shape, part.dtype, self.key, (part,), said))
        return Claim(tuple(weights), frozenset(name for name in stored if name.endswith(".note")))


@pytest.fixture(autouse=True)
def described() -> Iterator[None]:
    ENCODINGS.insert(0, Described())
    yield
    del ENCODINGS[0]


def noted(text: bytes) -> Tensors:
    return {"a.note": torch.tensor(list(text), dtype=torch.uint8), "a.weight": torch.ones(2, 3), "b": torch.ones(2)}


def said(model: Checkpoint) -> dict[str, Any]:
    return dict(model.weights["a.weight"].parameters)


def test_a_claim_reads_small_tensors_and_the_config_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"block": [64, 32]}')
    with open_checkpoint(save_model(tmp_path / "model.safetensors", noted(b"hello"))) as model:
        assert said(model) == {"note": "hello", "block": [64, 32]}
        assert set(model.weights) == {"a.weight", "b"}


def test_what_was_read_is_remembered_with_the_headers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"block": [64, 32]}')
    path = save_model(tmp_path / "model.safetensors", noted(b"\xc3\xa9"))
    with open_checkpoint(path) as model:
        words, expected = json.loads(json.dumps(remember(model))), said(model)
    path.unlink()
    (tmp_path / "config.json").unlink()
    assert said(HeaderSnapshot(words)) == expected == {"note": "é", "block": [64, 32]}


def test_what_an_earlier_version_remembered_is_still_read(tmp_path: Path) -> None:
    del ENCODINGS[0]
    try:
        with open_checkpoint(save_model(tmp_path / "model.safetensors", {"a.weight": torch.ones(2, 3)})) as model:
            words = {name: value for name, value in remember(model).items() if name not in ("contents", "configs")}
        assert len(words["tensors"][0]) == 4
        assert HeaderSnapshot(words).weights["a.weight"].shape == (2, 3)
    finally:
        ENCODINGS.insert(0, Described())


def test_a_large_tensor_is_no_description(tmp_path: Path) -> None:
    with (
        open_checkpoint(save_model(tmp_path / "model.safetensors", noted(b"x" * 70_000))) as model,
        pytest.raises(EngineError) as caught,
    ):
        _ = model.weights
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.HEADER_INVALID, "a.note")
    assert caught.value.file == str(tmp_path / "model.safetensors")


def test_many_small_ones_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "_ALL_SMALL_BYTES", 10)
    tensors = noted(b"x" * 6) | {"c.note": torch.zeros(6, dtype=torch.uint8), "c.weight": torch.ones(2, 3)}
    with (
        open_checkpoint(save_model(tmp_path / "model.safetensors", tensors)) as model,
        pytest.raises(EngineError) as caught,
    ):
        _ = model.weights
    assert (caught.value.code, caught.value.tensor) == (ErrorCode.HEADER_INVALID, "c.note")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"{", ErrorCode.HEADER_INVALID),
        (b"[1]", ErrorCode.HEADER_INVALID),
        (b"\xff\xfe", ErrorCode.HEADER_INVALID),
        (b"[" * 100_000, ErrorCode.HEADER_INVALID),
        (b" " * ((4 << 20) + 1), ErrorCode.HEADER_INVALID),
        (None, ErrorCode.FILE_UNREADABLE),
    ],
    ids=["cut off", "a list", "no text", "deep", "huge", "a pipe"],
)
def test_a_broken_config_is_named_where_it_is_needed_alone(text: bytes | None, code: ErrorCode, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    if text is not None:
        config.write_bytes(text)
    elif hasattr(os, "mkfifo"):
        os.mkfifo(config)
    else:
        pytest.skip("no pipes here")
    with (
        open_checkpoint(save_model(tmp_path / "model.safetensors", noted(b"x"))) as model,
        pytest.raises(EngineError) as caught,
    ):
        _ = model.weights
    assert (caught.value.code, caught.value.file) == (code, str(config))
    with open_checkpoint(save_model(tmp_path / "plain.safetensors", {"a.weight": torch.ones(2, 3)})) as model:
        assert set(model.weights) == {"a.weight"}
