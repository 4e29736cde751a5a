"""Profiles, cache and journals of version 0.1.0 work on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import Call, Said
from earlier_home import LAYERS, EarlierHome, assert_best_at_rank, open_earlier_home, stored_changes
from safetensors import safe_open
from safetensors.numpy import load_file

from app.storage.decompositions import open_store
from engine.cancel import CancelToken
from engine.events import Finished
from engine.models.layer_blocks import block_of
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

OPTIONS = ("--device", "cpu", "--batch-size", 1, "--prefetch-ahead", 0, "--filename-prefix", "loras/lora")
LAYERS_BEFORE_THE_KILL = 9


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EarlierHome:
    return open_earlier_home(tmp_path / "earlier", monkeypatch)


def extract(call: Call, earlier: EarlierHome, name: str, *options: object) -> Said:
    """The command that the earlier version was given."""
    models = earlier.model(name), earlier.original
    return call("extract", *models, *OPTIONS, "--output-dir", earlier.out, "--json", *options)


def metadata(lora: Path) -> dict[str, str]:
    with safe_open(lora, "np") as file:
        return dict(file.metadata())


def bytes_of(lora: Path) -> dict[str, tuple[str, bytes]]:
    return {key: (tensor.dtype.name, tensor.tobytes()) for key, tensor in load_file(lora).items()}


def test_own_profiles_have_their_values(call: Call, earlier: EarlierHome) -> None:
    names = [profile["name"] for profile in call("profiles", "list", "--json").json["profiles"]]
    assert names[-2:] == ["Attic computer", "Büro"]
    expected: dict[str, Any] = {
        "vram_usage_mode": "balanced",
        "blocks_in_gpu": 10,
        "batch_size": 3,
        "prefetch_ahead": 1,
        "memory_threshold": 0.8,
        "debug_mode": False,
        "device": "cpu",
        "memory_budget": 3 * 2**30,
    }
    values = call("profiles", "show", "Attic computer", "--json").json["values"]
    assert {name: values.get(name) for name in expected} == expected
    assert call("profiles", "show", "Büro", "--json").json["values"]["blocks_in_gpu"] == 7
    assert not earlier.set_aside()


def test_a_profile_is_used_and_changed(call: Call, earlier: EarlierHome) -> None:
    call("profiles", "save", "Attic computer", "--batch-size", 2)
    values = call("profiles", "show", "Attic computer", "--json").json["values"]
    assert (values["batch_size"], values["memory_threshold"]) == (2, 0.8)
    assert "Büro" in call("profiles", "list").out
    models = earlier.model("finished"), earlier.original
    said = call("extract", *models, "--profile", "Attic", "--rank", 2, "--output-dir", earlier.out, "--json")
    assert said.code == 0
    assert "_bs2_" in said.json["output"]


def test_the_cache_is_shown_with_its_limit(call: Call, earlier: EarlierHome) -> None:
    answer = call("cache", "show", "--json").json
    assert answer["limit_bytes"] == 7_000_000_000
    shown = {pair["finetuned"]: (pair["original"], pair["layers"], pair["unfinished"]) for pair in answer["pairs"]}
    assert shown == {
        "finished.safetensors": ("base.safetensors", LAYERS, False),
        "killed.safetensors": ("base.safetensors", LAYERS_BEFORE_THE_KILL, True),
        "full.safetensors": ("base.safetensors", LAYERS_BEFORE_THE_KILL, True),
        "queued.safetensors": ("base.safetensors", LAYERS, True),
    }
    assert all(pair["in_use"] is False for pair in answer["pairs"])
    assert not earlier.set_aside()


def test_the_same_lora_is_exported_again_without_the_models(call: Call, earlier: EarlierHome) -> None:
    (written,) = (earlier.out / "loras").glob("lora_rank_6_*.safetensors")
    for path in (earlier.model("finished"), earlier.original):
        path.unlink()
    answer = call("export", "9fdddaf3", *OPTIONS, "--rank", 6, "--output-dir", earlier.out, "--json").json
    assert (answer["layers_kept"], answer["layers"], answer["read_bytes"]) == (LAYERS, LAYERS, 0)
    before, after = load_file(written), load_file(answer["output"])
    assert [(key, tensor.dtype, tensor.shape) for key, tensor in sorted(before.items())] == [
        (key, tensor.dtype, tensor.shape) for key, tensor in sorted(after.items())
    ]
    for key, tensor in before.items():  # restored from the record; the last bit may depend on the processor
        np.testing.assert_allclose(after[key].astype(np.float64), tensor.astype(np.float64), rtol=2e-3, atol=1e-6)
    told = float(metadata(written)["lora_extractor.mean_energy_retained"])
    assert answer["mean_energy_retained"] == pytest.approx(told, abs=1e-6)


def test_layers_of_its_records_know_where_they_stand(earlier: EarlierHome) -> None:
    with Session.from_cache(open_store(), "9fdddaf3") as session:
        plan = session.plan(ExtractionSettings(rank=6), HardwareSettings(device="cpu"), earlier.out)
        *_, last = session.extract(plan, CancelToken())
    assert isinstance(last, Finished)
    assert last.result.layers_reused == last.result.layers == LAYERS
    assert {row.name: row.block for row in last.result.rows} == {
        weight.name: block_of(weight.name) for weight in plan.layers
    }
    assert {row.block.outer for row in last.result.rows if row.block.inside}


def test_a_lower_rank_is_exported_without_the_models(call: Call, earlier: EarlierHome) -> None:
    changes = earlier.changes("finished")
    for path in (earlier.model("finished"), earlier.original):
        path.unlink()
    said = call("export", "9fdddaf3", *OPTIONS, "--rank", 3, "--output-dir", earlier.out, "--json")
    assert said.json["read_bytes"] == 0
    assert_best_at_rank(stored_changes(Path(said.json["output"])), changes, 3)


def test_several_lower_ranks_are_exported_at_once_without_the_models(call: Call, earlier: EarlierHome) -> None:
    changes = earlier.changes("finished")
    for path in (earlier.model("finished"), earlier.original):
        path.unlink()
    ranks = ("--rank", 2, "--rank", 6)
    said = call("export", "9fdddaf3", *OPTIONS, *ranks, "--output-dir", earlier.out, "--json")
    assert (said.json["layers_kept"], said.json["read_bytes"]) == (LAYERS, 0)
    for output, rank in zip(said.json["outputs"], (2, 6), strict=True):
        assert_best_at_rank(stored_changes(Path(output["path"])), changes, rank)


def test_a_killed_run_goes_on_with_a_smaller_rank_beside_its_own(call: Call, earlier: EarlierHome) -> None:
    said = extract(call, earlier, "killed", "--rank", 5, "--rank", 2)
    assert said.json["layers_kept"] == LAYERS_BEFORE_THE_KILL
    for output, rank in zip(said.json["outputs"], (5, 2), strict=True):
        assert_best_at_rank(stored_changes(Path(output["path"])), earlier.changes("killed"), rank)
    assert not earlier.set_aside()


def test_a_killed_run_goes_on_behind_its_layers(call: Call, earlier: EarlierHome) -> None:
    said = extract(call, earlier, "killed", "--rank", 5)
    assert said.json["layers_kept"] == LAYERS_BEFORE_THE_KILL
    lora = Path(said.json["output"])
    assert metadata(lora)["modelspec.date"] == "2026-11-27T11:07:46+00:00"  # when the killed run began
    assert_best_at_rank(stored_changes(lora), earlier.changes("killed"), 5)
    pairs = {pair["finetuned"]: pair for pair in call("cache", "show", "--json").json["pairs"]}
    assert not pairs["killed.safetensors"]["unfinished"]
    assert extract(call, earlier, "killed", "--rank", 5).json["read_bytes"] == 0
    assert not earlier.set_aside()


def test_a_killed_run_of_full_goes_on_with_its_temporary_output(call: Call, earlier: EarlierHome) -> None:
    (part,) = (earlier.out / "loras").glob(".lora-*.part")
    said = extract(call, earlier, "full", "--lora-type", "full")
    answer, lora = said.json, Path(said.json["output"])
    assert answer["layers_kept"] == LAYERS_BEFORE_THE_KILL
    assert metadata(lora)["modelspec.date"] == "2026-11-27T11:07:49+00:00"
    assert not part.exists()
    added, changes = stored_changes(lora), earlier.changes("full")
    assert added.keys() == changes.keys()
    for name, change in changes.items():
        assert np.array_equal(added[name], change.astype(np.float16)), name
    assert not earlier.set_aside()


def test_a_run_that_went_on_writes_what_one_in_a_single_go_writes(call: Call, earlier: EarlierHome) -> None:
    went_on = Path(extract(call, earlier, "full", "--lora-type", "full").json["output"])
    anew = extract(call, earlier, "full", "--lora-type", "full", "--no-resume").json
    assert anew["layers_kept"] == 0
    assert bytes_of(went_on) == bytes_of(Path(anew["output"]))


def test_a_damaged_temporary_output_of_full_is_begun_anew(call: Call, earlier: EarlierHome) -> None:
    """So that the test before means something: what the part holds is really used."""
    (part,) = (earlier.out / "loras").glob(".lora-*.part")
    data = bytearray(part.read_bytes())
    data[-40] ^= 0xFF
    part.write_bytes(data)
    assert extract(call, earlier, "full", "--lora-type", "full").json["layers_kept"] == 0
