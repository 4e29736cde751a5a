"""The command line never says a share without what it speaks of, and warns before it begins."""

from __future__ import annotations

import re
from pathlib import Path

from calls import Call
from model_files import PREFIX, Tensors, matrices, random_tensor, save_model, save_pair


def saved(folder: Path, tuned: Tensors, base: Tensors) -> tuple[Path, Path]:
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def changed(base: Tensors, size: float = 0.1) -> Tensors:
    return {name: tensor + size * random_tensor(*tensor.shape, seed=7) for name, tensor in base.items()}


def blocks(count: int, kinds: int = 4) -> Tensors:
    names = [f"{PREFIX}blocks.{block}.kind{kind}.weight" for block in range(count) for kind in range(kinds)]
    return {name: random_tensor(12, 12, seed=place) for place, name in enumerate(names)} | matrices(2)


def fragment(folder: Path) -> tuple[Path, Path]:
    """Two weights meet; the 24 of six blocks have other names."""
    base = blocks(6)
    return saved(folder, {name.replace(".kind", ".oddly.kind"): t for name, t in changed(base).items()}, base)


def test_the_warning_comes_before_the_work_and_the_last_line_says_what_is_covered(
    extract: Call, tmp_path: Path
) -> None:
    lines = extract(fragment(tmp_path)).err.splitlines()
    share = re.escape(f"{100 * 2 * 24 * 16 / (2 * 24 * 16 + 24 * 144):.1f} %")
    warned = next(place for place, line in enumerate(lines) if line.startswith("Warning: "))
    began = next(place for place, line in enumerate(lines) if " layers on CPU" in line)
    assert warned < began
    assert re.match(
        rf"Warning: Only {share} of the parameters can be compared\..* 6 of 6 blocks do not match", lines[warned]
    )
    assert re.match(
        rf"It covers only {share} of the parameters and keeps [\d.]+ % of their change; "
        r"24 weights \(6 whole blocks\) are not in the file\. The weakest of 2 layers keeps [\d.]+ %",
        lines[-1],
    )


def test_a_weight_that_is_not_in_the_file_stands_in_the_sentence_and_is_named_before(
    extract: Call, tmp_path: Path
) -> None:
    base = blocks(6)
    said = extract(saved(tmp_path, changed(base) | {f"{PREFIX}extra.weight": random_tensor(5, 5, seed=1)}, base)).err
    before, after = said.split(" layers on CPU")
    assert "diffusion_model.extra.weight: only in the fine-tuned model" in before
    assert "25 parameters" in before
    assert "--set-weight would write 1 weight" in before
    assert "Warning" not in said
    assert re.search(
        r"It keeps [\d.]+ % of what could be compared \(99\.\d+ % of the parameters\); 1 weight is not", after
    )


def test_where_all_is_compared_nothing_is_added_to_the_sentence(extract: Call, tmp_path: Path) -> None:
    said = extract(save_pair(tmp_path)).err
    assert re.search(
        r"It keeps [\d.]+ % of the change in 11 layers, [\d.]+ % in the weakest; 0 tensors left out\.", said
    )
    assert "parameters" not in said
    assert "Left out" not in said


def test_what_is_left_out_takes_ten_lines_at_most_and_counts_everything(extract: Call, tmp_path: Path) -> None:
    base = blocks(6)
    more = {
        f"{PREFIX}part{part}.word{word}.weight": random_tensor(3, 3, seed=1) for part in range(9) for word in range(9)
    }
    gone = {f"{PREFIX}part{part}.gone.weight": random_tensor(3, 3, seed=1) for part in range(9)}
    said = extract(saved(tmp_path, changed(base) | more, base | gone), "--exclude", "*blocks.1.*").err
    lines = said.split("Left out: 94 tensors.\n")[1].split("layers on CPU")[0].splitlines()
    groups = [line for line in lines if line.startswith("  ")]
    assert 3 <= len(groups) <= 10
    assert sum(int(re.search(r"(\d+) tensors?", line)[1]) for line in groups) == 94  # type: ignore[index]


def test_a_text_encoder_that_is_missing_is_named_and_not_held_against_it(extract: Call, tmp_path: Path) -> None:
    base = blocks(6)
    encoder = {f"text_encoders.clip_l.transformer.layers.{n}.weight": random_tensor(9, 9, seed=n) for n in range(3)}
    said = extract(saved(tmp_path, changed(base), base | encoder)).err
    assert "The fine-tuned model has no text encoder clip_l: it is not compared." in said
    assert re.search(r"It keeps [\d.]+ % of the change in 26 layers", said)
    assert "Warning" not in said


def test_an_original_of_another_model_is_warned_of_beside_the_share(extract: Call, tmp_path: Path) -> None:
    base = blocks(6)
    other = {name: random_tensor(*tensor.shape, seed=400 + place) for place, (name, tensor) in enumerate(base.items())}
    *_, warning, share = extract(saved(tmp_path, other, base)).err.splitlines()
    assert warning.startswith("Warning: These two are probably not a model and its original: 26 of 26 layers ")
    assert share.startswith("It keeps ")


def test_inspecting_a_pair_says_what_could_be_compared(call: Call, tmp_path: Path) -> None:
    said = call("inspect", *fragment(tmp_path), "--json")
    compared = said.json["compared"]
    assert (compared["blocks"], len(compared["unmatched_blocks"])) == (6, 6)
    assert compared["compared_parameters"] == 2 * 24 * 16
    assert "Warning: Only " in said.err


def test_a_verification_says_what_the_share_speaks_of(call: Call, extract: Call, tmp_path: Path) -> None:
    pair = fragment(tmp_path)
    lora = extract(pair, "--json").json["output"]
    said = call("verify", lora, *pair, "--json")
    assert said.json["coverage"] < 0.9
    assert said.json["unmatched_weights"] == 24
    assert "The LoRA covers only " in said.err
    assert "Warning: Only " in said.err


def test_unclamped_layers_are_spoken_of_only_where_the_limit_is_the_persons_own(extract: Call, tmp_path: Path) -> None:
    pair = save_pair(tmp_path)
    assert "kept unclamped factors" not in extract(pair).err
    assert "kept unclamped factors" in extract(pair, "--clamp-max-loss", "1e-7").err
