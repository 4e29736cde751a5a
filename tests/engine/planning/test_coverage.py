"""Of how much of two models a share of the change speaks: counted from the headers alone, against `safe_open`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from extraction_runs import EXACT, run, verified
from model_files import PREFIX, Tensors, random_tensor, save_model
from safetensors import safe_open

from engine.models.families import FAMILIES
from engine.results import Coverage
from engine.session import Session
from engine.settings import ExtractionSettings

TEXT = "text_encoders.clip_l.transformer.text_model.encoder.layers"


def blocks(count: int = 4, stack: str = "blocks") -> Tensors:
    """Matrices and norms in numbered blocks, and one outside of them."""
    shapes = {"attn.weight": (24, 16), "attn.bias": (24,), "ffn.weight": (8, 40), "norm.weight": (16,)}
    names = [(f"{stack}.{number}.{name}", shape) for number in range(count) for name, shape in shapes.items()]
    names.append(("head.weight", (12, 12)))
    return {PREFIX + name: random_tensor(*shape, seed=seed) for seed, (name, shape) in enumerate(names)}


def changed(base: Tensors) -> Tensors:
    return {name: tensor + 0.1 * random_tensor(*tensor.shape, seed=len(name)) for name, tensor in base.items()}


def saved(folder: Path, tuned: Tensors, base: Tensors) -> tuple[Path, Path]:
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def sizes(path: Path) -> dict[str, int]:
    """Number of elements of each tensor, as the safetensors library reads the header."""
    with safe_open(path, "pt") as file:
        return {name: math.prod(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def coverage(pair: tuple[Path, Path], **settings: object) -> Coverage:
    with Session(*pair) as session:
        return session.summary(ExtractionSettings(**settings)).coverage  # type: ignore[arg-type]


def energy(tensor: torch.Tensor) -> float:
    return float(tensor.to(torch.float64).square().sum())


def test_two_models_with_the_same_weights_are_compared_whole(tmp_path: Path) -> None:
    base = blocks()
    pair = saved(tmp_path, changed(base), base)
    found = coverage(pair)
    assert found == Coverage(compared=sum(sizes(pair[0]).values()), parameters=sum(sizes(pair[1]).values()), blocks=4)
    assert (found.share, found.complete, found.enough) == (1.0, True, True)


def test_a_weight_that_only_the_fine_tune_has_counts_with_its_parameters(tmp_path: Path) -> None:
    base = blocks()
    extra = {f"{PREFIX}extra.weight": random_tensor(6, 7, seed=1)}
    pair = saved(tmp_path, changed(base) | extra, base)
    all_of, shared = sizes(pair[0]), sizes(pair[1])
    found = coverage(pair)
    assert (found.compared, found.parameters) == (sum(shared.values()), sum(all_of.values()))
    assert (found.unmatched, found.missing, found.unmatched_blocks) == (1, 0, ())
    assert found.enough
    assert not found.complete


def test_a_weight_that_is_written_whole_is_in_the_file_and_covered(tmp_path: Path) -> None:
    base = blocks()
    extra = {f"{PREFIX}extra.weight": random_tensor(6, 7, seed=1)}
    found = coverage(saved(tmp_path, changed(base) | extra, base), set_weight=True)
    assert (found.whole, found.unmatched, found.complete) == (42, 0, True)


def test_blocks_under_other_names_are_counted_and_named(tmp_path: Path) -> None:
    base = blocks()
    tuned = {
        name.replace("blocks.", "blocks.", 1).replace(".attn", ".oddly.attn"): t for name, t in changed(base).items()
    }
    tuned = {name.replace(".ffn", ".oddly.ffn").replace(".norm", ".oddly.norm"): t for name, t in tuned.items()}
    pair = saved(tmp_path, tuned, base)
    found = coverage(pair)
    assert found.share == pytest.approx(144 / sum(sizes(pair[0]).values()), rel=1e-12)
    assert found.unmatched_blocks == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
    assert (found.blocks, found.unmatched, found.missing) == (4, 16, 16)
    assert not found.enough


def test_a_fine_tune_that_is_a_part_of_its_model_is_measured_by_the_original(tmp_path: Path) -> None:
    base = blocks()
    half = {name: tensor for name, tensor in changed(base).items() if "blocks.2" not in name and "blocks.3" not in name}
    pair = saved(tmp_path, half, base)
    found = coverage(pair)
    assert found.share == pytest.approx(sum(sizes(pair[0]).values()) / sum(sizes(pair[1]).values()), rel=1e-12)
    assert (found.missing, found.unmatched, found.unmatched_blocks) == (8, 0, ("blocks.2", "blocks.3"))


def test_one_block_more_is_said_though_it_is_small(tmp_path: Path) -> None:
    base = blocks(40)
    more = {f"{PREFIX}vace_blocks.0.{name}.weight": random_tensor(2, 2, seed=1) for name in ("q", "k")}
    found = coverage(saved(tmp_path, changed(base) | more, base))
    assert found.share > 0.99
    assert found.unmatched_blocks == ("vace_blocks.0",)
    assert not found.enough


@pytest.mark.parametrize("lacks", ["finetuned", "original"])
def test_a_text_encoder_that_one_side_lacks_is_named_and_not_counted(lacks: str, tmp_path: Path) -> None:
    base = blocks()
    encoder = {f"{TEXT}.{number}.mlp.fc1.weight": random_tensor(8, 8, seed=number) for number in range(3)}
    tuned = changed(base)
    pair = saved(
        tmp_path, tuned | (encoder if lacks == "original" else {}), base | (encoder if lacks == "finetuned" else {})
    )
    found = coverage(pair)
    assert found.absent_parts == (("text_encoders.clip_l", lacks),)
    assert found.parameters == min(sum(sizes(path).values()) for path in pair)
    assert found.complete


def test_integers_and_averaged_copies_are_not_counted(tmp_path: Path) -> None:
    base = blocks()
    odd = {
        f"{PREFIX}position_ids": torch.arange(77),
        f"{PREFIX}num_batches_tracked": torch.tensor(3),
        f"{PREFIX}embeddings.position_ids": torch.arange(77, dtype=torch.float16),
        "model_ema.head.weight": random_tensor(12, 12, seed=2),
    }
    assert coverage(saved(tmp_path, changed(base) | odd, base)) == coverage(saved(tmp_path, changed(base), base))


def test_parts_that_are_not_chosen_are_not_counted(tmp_path: Path) -> None:
    base = blocks()
    vae = {"first_stage_model.conv.weight": random_tensor(30, 30, seed=4)}
    assert coverage(saved(tmp_path, changed(base | vae), base)).complete
    found = coverage(saved(tmp_path, changed(base | vae), base | vae), components="vae")
    assert (found.compared, found.parameters) == (900, 900)


def test_what_was_not_wanted_is_compared_and_counts_as_not_kept(tmp_path: Path) -> None:
    base = blocks()
    tuned = changed(base)
    ran = run(saved(tmp_path, tuned, base), tmp_path, exclude="*blocks.1.*", **EXACT)
    change = {name: energy(tuned[name] - base[name]) for name in base}
    kept = sum(value for name, value in change.items() if "blocks.1." not in name)
    output = ran.result.outputs[0]
    assert output.mean_energy_retained == pytest.approx(kept / sum(change.values()), abs=1e-6)
    assert output.coverage.complete


def test_what_a_format_has_no_place_for_is_compared_and_counts_as_not_kept(tmp_path: Path) -> None:
    family = next(family for family in FAMILIES if family.key == "flux")
    base = blocks() | {PREFIX + name: random_tensor(16, 16, seed=len(name)) for name in family.signature}
    tuned = changed(base)
    ran = run(saved(tmp_path, tuned, base), tmp_path, key_format="kohya", **EXACT)
    change = {name: energy(tuned[name] - base[name]) for name in base}
    held = {name for name, tensor in base.items() if tensor.dim() > 1 and name.endswith(".weight")}
    kept = sum(change[name] for name in held)
    output = ran.result.outputs[0]
    assert output.mean_energy_retained == pytest.approx(kept / sum(change.values()), abs=1e-6)
    assert output.coverage.complete
    assert {item.reason.value for item in ran.result.left_out} == {"not_in_format"}
    assert sum(item.numel for item in ran.result.left_out) == sum(base[name].numel() for name in base.keys() - held)


def test_file_report_result_and_verification_say_the_same(tmp_path: Path) -> None:
    base = blocks()
    extra = {f"{PREFIX}extra.weight": random_tensor(60, 70, seed=1)}
    pair = saved(tmp_path, changed(base) | extra, base)
    ran = run(pair, tmp_path)
    share = sum(sizes(pair[1]).values()) / sum(sizes(pair[0]).values())
    totals = json.loads(ran.result.outputs[0].report.read_text())["totals"]
    with safe_open(ran.lora, "pt") as file:
        stated = float(file.metadata()["lora_extractor.coverage"])
    assert ran.result.coverage.share == totals["coverage"] == pytest.approx(share, rel=1e-12)
    assert stated == pytest.approx(share, abs=1e-8)
    assert (totals["compared_parameters"], totals["unmatched_weights"]) == (sum(sizes(pair[1]).values()), 1)
    assert verified(pair, ran.lora).coverage == ran.result.coverage


@pytest.mark.parametrize("set_weight", [False, True])
def test_a_verification_knows_which_new_weights_are_in_the_file(set_weight: bool, tmp_path: Path) -> None:
    base = blocks()
    pair = saved(tmp_path, changed(base) | {f"{PREFIX}extra.weight": random_tensor(6, 7, seed=1)}, base)
    assert verified(pair, run(pair, tmp_path, set_weight=set_weight).lora).coverage.complete is set_weight


def test_an_original_of_another_model_is_known_by_the_size_of_the_changes(tmp_path: Path) -> None:
    base = blocks()
    other = {name: random_tensor(*tensor.shape, seed=500 + place) for place, (name, tensor) in enumerate(base.items())}
    unrelated = run(saved(tmp_path, other, base), tmp_path).result
    assert unrelated.large_changes.unrelated
    assert unrelated.large_changes.of == sum(tensor.dim() > 1 for tensor in base.values())
    related = run(saved(tmp_path, changed(base), base), tmp_path).result
    assert (related.large_changes.layers, related.large_changes.unrelated) == (0, False)


GROWN = {
    PREFIX + "embed_tokens.weight": ((36, 12), (24, 12)),
    f"{PREFIX}input_blocks.0.0.weight": ((8, 9, 3, 3), (8, 4, 3, 3)),
}


def grown_pair(folder: Path, name: str) -> tuple[Tensors, Tensors, tuple[Path, Path]]:
    """One weight of the fine-tuned model is larger, and its new part is random."""
    larger, smaller = GROWN[name]
    start = PREFIX if name.startswith(PREFIX) else ""
    base = {f"{start}layers.{n}.weight": random_tensor(20, 16, seed=n) for n in range(3)}
    base[name] = random_tensor(*smaller, seed=50)
    tuned = changed(base)
    whole = random_tensor(*larger, seed=60)
    whole[tuple(slice(0, size) for size in smaller)] = tuned[name]
    tuned[name] = whole
    return tuned, base, saved(folder, tuned, base)


@pytest.mark.parametrize("name", list(GROWN))
def test_a_grown_part_counts_with_its_own_energy_as_not_kept(name: str, tmp_path: Path) -> None:
    tuned, base, pair = grown_pair(tmp_path, name)
    common = tuple(slice(0, size) for size in base[name].shape)
    whole = {key: tensor[common] if key == name else tensor for key, tensor in tuned.items()}
    change = sum(energy(whole[key] - base[key]) for key in base)
    grown = energy(tuned[name]) - energy(tuned[name][common])
    ran = run(pair, tmp_path, **EXACT)
    kept = ran.result.outputs[0].mean_energy_retained
    assert kept == pytest.approx(change / (change + grown), abs=1e-6)
    assert verified(pair, ran.lora).mean_energy_retained == pytest.approx(kept, abs=1e-6)
    assert ran.result.outputs[0].coverage.compared == sum(sizes(pair[1]).values())
    assert ran.result.outputs[0].coverage.parameters == sum(sizes(pair[0]).values())


def test_new_rows_and_channels_are_counted(tmp_path: Path) -> None:
    rows, channels = (coverage(grown_pair(tmp_path, name)[2]) for name in GROWN)
    assert (rows.new_rows, rows.new_channels) == (12, 0)
    assert (channels.new_rows, channels.new_channels) == (0, 5)


def test_the_rows_of_one_larger_vocabulary_are_counted_once(tmp_path: Path) -> None:
    tuned, base, _ = grown_pair(tmp_path, PREFIX + "embed_tokens.weight")
    tuned["lm_head.weight"], base["lm_head.weight"] = random_tensor(36, 12, seed=3), random_tensor(24, 12, seed=4)
    assert coverage(saved(tmp_path, tuned, base)).new_rows == 12


def test_a_grown_part_that_was_measured_only_counts_too(tmp_path: Path) -> None:
    name = f"{PREFIX}input_blocks.0.0.weight"
    tuned, base, pair = grown_pair(tmp_path, name)
    kept = sum(energy(tuned[key] - base[key]) for key in base if key != name)
    common = tuple(slice(0, size) for size in base[name].shape)
    lost = energy(tuned[name][common] - base[name]) + energy(tuned[name]) - energy(tuned[name][common])
    ran = run(pair, tmp_path, exclude="*input_blocks*", **EXACT)
    assert ran.result.outputs[0].mean_energy_retained == pytest.approx(kept / (kept + lost), abs=1e-6)


def test_a_grown_part_that_the_file_enlarges_the_weight_by_is_kept(tmp_path: Path) -> None:
    _, _, pair = grown_pair(tmp_path, f"{PREFIX}input_blocks.0.0.weight")
    ran = run(pair, tmp_path, set_weight=True, **EXACT)
    output = ran.result.outputs[0]
    assert output.mean_energy_retained == pytest.approx(1.0, abs=1e-6)
    assert output.coverage.complete
    found = verified(pair, ran.lora)
    assert found.mean_energy_retained == pytest.approx(1.0, abs=1e-6)
    assert found.coverage.complete


def test_a_vocabulary_that_lost_rows_is_no_weight_without_a_counterpart(tmp_path: Path) -> None:
    base = blocks() | {PREFIX + "embed_tokens.weight": random_tensor(20, 8, seed=1)}
    tuned = changed(base)
    tuned[PREFIX + "embed_tokens.weight"] = tuned[PREFIX + "embed_tokens.weight"][:15]
    found = coverage(saved(tmp_path, tuned, base))
    assert (found.smaller, found.missing, found.complete, found.enough) == (1, 0, False, True)
