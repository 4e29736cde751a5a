"""Before a run the command line says whether the two models belong together, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Call
from model_files import Tensors, matrices, random_tensor, save_model

from engine.errors import EngineError, ErrorCode

SAMPLE_KEYS = [
    "relative_change", "verdict", "layers", "of", "whole", "changed", "rounded", "large_changes", "rounding_share",
    "coarse_rounding_share", "read_bytes",
]  # fmt: skip
UNRELATED = "Warning: These two are probably not a model and its original: 5 of 5 layers looked at"


def saved(
    folder: Path, tuned: Tensors, base: Tensors, names: tuple[str, str] = ("a.safetensors", "b.safetensors")
) -> tuple[Path, Path]:
    return save_model(folder / names[0], tuned), save_model(folder / names[1], base)


def changed(base: Tensors, by: float) -> Tensors:
    return {name: weight + by * random_tensor(*weight.shape, seed=40) for name, weight in base.items()}


CASES = {
    "related": (0.05, "The weights changed by about 5.0 %"),
    "unrelated": (2.0, UNRELATED),
    "identical": (0.0, "Warning: The two models are the same: there is nothing to extract."),
}


@pytest.mark.parametrize("verdict", CASES)
def test_inspecting_a_pair_says_whether_the_two_belong_together(verdict: str, call: Call, tmp_path: Path) -> None:
    by, words = CASES[verdict]
    base = matrices(5)
    said = call("inspect", *saved(tmp_path, changed(base, by), base), "--json")
    assert said.code == 0
    assert words.replace("about ", "") in said.err.replace("about ", "")
    assert "Looked at: all of the 5 layers" in said.err
    assert list(said.json["sample"]) == SAMPLE_KEYS
    assert said.json["sample"]["verdict"] == verdict
    assert said.json["sample"]["relative_change"] == pytest.approx(by, rel=0.1)
    assert said.json["order"] == {"swapped": False, "evidence": []}


def test_extracting_warns_of_an_unrelated_original_before_the_run_and_still_writes(
    extract: Call, tmp_path: Path
) -> None:
    said = extract(saved(tmp_path, matrices(5, seed=90), matrices(5)), "--json")
    assert said.code == 0
    assert said.err.index(UNRELATED) < said.err.index("Wrote ")
    assert said.json["sample"]["verdict"] == "unrelated"
    assert Path(said.json["output"]).is_file()


def test_extracting_from_a_copy_says_so_before_the_run(extract: Call, tmp_path: Path) -> None:
    said = extract(saved(tmp_path, matrices(5), matrices(5)), "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "no_difference")
    assert said.err.index(CASES["identical"][1]) < said.err.index("Error:")


def test_what_cannot_be_looked_at_is_said_and_the_run_goes_on(
    extract: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise EngineError(ErrorCode.DECODING_FAILED, file=tmp_path, tensor="a.weight", encoding="toy", reason="odd")

    monkeypatch.setattr("engine.analysis.sampled_pair.sample_pair", broken)
    base = matrices(5)
    said = extract(saved(tmp_path, changed(base, 0.05), base), "--json")
    assert (said.code, said.json["sample"]) == (0, None)
    assert "No sample of the two models: " in said.err


def test_a_pair_the_wrong_way_round_is_warned_of_with_the_evidence_and_extracted_as_given(
    extract: Call, tmp_path: Path
) -> None:
    base = matrices(5)
    names = "my_dog_dreambooth.safetensors", "sdxl_base_1.0.safetensors"
    tuned, original = saved(tmp_path, changed(base, 0.05), base, names)
    said = extract((original, tuned), "--json")
    assert said.code == 0
    warning = "Warning: These two may be the wrong way round: my_dog_dreambooth.safetensors is named like a model made"
    assert warning in said.err
    assert "takes the training away" in said.err
    (evidence,) = said.json["order"]["evidence"]
    assert evidence == {"reason": "names", "sure": "likely", "swapped": True, "detail": ""}
    assert said.json["order"]["swapped"] is True
    assert "Warning" not in extract((tuned, original)).err
