"""Language models: matrices that GPT-2 keeps turned, tied embeddings, and vocabularies that were resized."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from extraction_runs import EXACT, run, verified
from model_files import Tensors, random_tensor, save_model
from safetensors.torch import load_file
from tiny_language_models import VOCABULARY, WIDTH, files, in_memory, model, paired, saved
from transformers import T5Config, T5EncoderModel

from engine.checkpoints import open_checkpoint
from engine.events import NoticeCode
from engine.models.pairing import pair
from engine.results import LeaveOutReason
from engine.resume.reuse import find_measured, sides_key

CONV1D = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def with_linear(tensors: Tensors) -> Tensors:
    """The same model as programs keep it that have no Conv1D."""
    turned = tuple(f"{module}.weight" for module in CONV1D)
    return {name: tensor.T if name.endswith(turned) else tensor for name, tensor in tensors.items()}


def changed(tensors: Tensors, rank: int = 2, size: float = 0.1) -> Tensors:
    def change(at: int, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() < 2:
            return size * random_tensor(*tensor.shape, seed=at)
        return size * random_tensor(len(tensor), rank, seed=at) @ random_tensor(rank, tensor.shape[1], seed=at + 1)

    return {name: tensor + change(at, tensor) for at, (name, tensor) in enumerate(tensors.items())}


@pytest.mark.parametrize("tuned_form", ["conv1d", "linear"])
@pytest.mark.parametrize("base_form", ["conv1d", "linear"])
def test_conv1d_is_out_by_in_whoever_wrote_the_file(tuned_form: str, base_form: str, tmp_path: Path) -> None:
    base = saved(model("gpt2"), tmp_path / "saved")
    tuned = changed(base)
    sides = [with_linear(side) if form == "linear" else side for side, form in ((tuned, tuned_form), (base, base_form))]
    pairing, deltas = paired(tmp_path, *sides)
    assert pairing.left_out == ()
    for at in (0, 1):
        for module in CONV1D:
            name = f"h.{at}.{module}.weight"
            expected = (tuned[f"transformer.{name}"] - base[f"transformer.{name}"]).T
            assert torch.equal(deltas[f"diffusion_model.{name}"], expected), name


def test_the_lora_of_conv1d_is_lapacks_best_of_the_turned_change(tmp_path: Path) -> None:
    base = saved(model("gpt2"), tmp_path / "saved")
    tuned = {
        name: tensor + 0.1 * random_tensor(*tensor.shape, seed=at) for at, (name, tensor) in enumerate(base.items())
    }
    pair_of = files(tmp_path, tuned, base)
    ran = run(pair_of, tmp_path, rank=3, output_dtype="fp32", clamp_quantile=False)
    lora = load_file(ran.lora)
    for module in CONV1D:
        stem = f"diffusion_model.h.1.{module}"
        up, down = lora[f"{stem}.lora_up.weight"].double(), lora[f"{stem}.lora_down.weight"].double()
        name = f"transformer.h.1.{module}.weight"
        delta = (tuned[name].double() - base[name].double()).T.numpy()
        lost = float(np.square(np.linalg.svd(delta, compute_uv=False)[3:]).sum())
        found = float(np.square(delta - (up @ down).numpy()).sum())
        assert found == pytest.approx(lost, rel=1e-4)
    assert verified(pair_of, ran.lora).mean_energy_retained == pytest.approx(
        ran.result.outputs[0].mean_energy_retained, abs=1e-6
    )


def test_a_record_of_the_matrix_as_it_is_stored_never_answers_for_the_turned_one(tmp_path: Path) -> None:
    base = saved(model("gpt2"), tmp_path / "saved")
    pairing, _ = paired(tmp_path, changed(base), base)
    weight = next(weight for weight in pairing.weights if weight.name.endswith("h.0.attn.c_proj.weight"))
    plain = replace(
        weight,
        finetuned=replace(weight.finetuned, layout="native"),
        original=replace(weight.original, layout="native"),
    )
    known = {"what": "measured", "delta_energy": 2.0, "common_rows": None, "shape": [WIDTH, WIDTH]}
    for fields in (known, known | {"sides": sides_key(plain)}):
        entry = type("Entry", (), {"fields": fields})
        assert find_measured([entry], weight) is None  # type: ignore[list-item]
        assert find_measured([entry], plain) == (2.0, 0.0)  # type: ignore[list-item]


def test_models_that_keep_modules_of_these_names_as_others_do_are_left_as_they_are(tmp_path: Path) -> None:
    base = with_linear(saved(model("gpt2"), tmp_path / "saved"))
    pairing, _ = paired(tmp_path, base, base)
    assert {view.layout for weight in pairing.weights for view in (weight.finetuned, weight.original)} == {"native"}


@pytest.mark.parametrize("family", ["gpt2", "llama_tied"])
@pytest.mark.parametrize("stored_by", ["tuned", "base"])
def test_a_tied_last_layer_is_compared_with_the_embeddings_that_it_is(
    stored_by: str, family: str, tmp_path: Path
) -> None:
    made = model(family)
    without, both = saved(made, tmp_path / "saved"), in_memory(made)
    assert both.keys() - without.keys() == {"lm_head.weight"}
    pairing, deltas = paired(tmp_path, *((both, without) if stored_by == "tuned" else (without, both)))
    assert pairing.left_out == ()
    assert not any(delta.any() for delta in deltas.values())
    assert "diffusion_model.lm_head.weight" in deltas
    (notice,) = pairing.notices
    assert (notice.code, notice.name) == (NoticeCode.EMBEDDINGS_TIED, "diffusion_model.lm_head.weight")


def test_the_change_of_an_untied_last_layer_is_that_from_the_embeddings(tmp_path: Path) -> None:
    made = model("llama_tied")
    base = saved(made, tmp_path / "saved")
    tuned = in_memory(made)
    change = random_tensor(VOCABULARY, WIDTH, seed=4)
    tuned["lm_head.weight"] = tuned["lm_head.weight"] + change
    _, deltas = paired(tmp_path, tuned, base)
    torch.testing.assert_close(deltas["diffusion_model.lm_head.weight"], change, rtol=0, atol=1e-6)


def test_a_model_without_its_last_layer_is_not_taken_for_a_tied_one(tmp_path: Path) -> None:
    made = model("llama")
    base = saved(made.model, tmp_path / "saved")  # type: ignore[arg-type]
    pairing, _ = paired(tmp_path, in_memory(made), base)
    assert [item.name.split(".")[-2] for item in pairing.left_out] == ["lm_head"]


@pytest.mark.parametrize(("tied", "left_out"), [(True, []), (False, ["lm_head"]), (None, [])])
def test_a_config_decides_whether_the_last_layer_is_tied(
    tied: bool | None, left_out: list[str], tmp_path: Path
) -> None:
    made = model("llama_tied")
    base, tuned = saved(made, tmp_path / "saved"), in_memory(made)
    if tied is not None:
        (tmp_path / "config.json").write_text(json.dumps({"tie_word_embeddings": tied}))
    pairing, _ = paired(tmp_path, tuned, base)
    assert [item.name.split(".")[-2] for item in pairing.left_out] == left_out


def test_the_other_sides_config_tells_that_a_last_layer_is_no_copy_of_the_embeddings(tmp_path: Path) -> None:
    made = model("llama")
    both = in_memory(made)
    base = {name: tensor for name, tensor in both.items() if name != "lm_head.weight"}
    (tmp_path / "tuned").mkdir()
    save_model(tmp_path / "tuned" / "model.safetensors", both)
    (tmp_path / "tuned" / "config.json").write_text(json.dumps({"tie_word_embeddings": False}))
    save_model(tmp_path / "base.safetensors", base)
    tuned = tmp_path / "tuned" / "model.safetensors"
    with open_checkpoint(tuned) as left, open_checkpoint(tmp_path / "base.safetensors") as right:
        pairing = pair(left, right)
    assert [item.name for item in pairing.left_out] == ["diffusion_model.lm_head.weight"]
    assert pairing.notices == ()


def test_a_text_encoder_without_its_last_layer_is_not_taken_for_a_tied_one(tmp_path: Path) -> None:
    qwen = {"visual.patch_embed.proj.weight": (WIDTH, 3, 2, 4, 4), "model.layers.0.self_attn.q_proj.bias": (WIDTH,)}
    tuned = in_memory(model("llama")) | {name: random_tensor(*shape, seed=1) for name, shape in qwen.items()}
    pairing, _ = paired(tmp_path, tuned, {name: tuned[name] for name in tuned if name != "lm_head.weight"})
    assert [item.name for item in pairing.left_out] == ["text_encoders.qwen25_7b.transformer.lm_head.weight"]


ALIAS, SHARED = "encoder.embed_tokens.weight", "shared.weight"


@pytest.mark.parametrize("tuned_names", [(ALIAS,), (SHARED,), (ALIAS, SHARED)])
@pytest.mark.parametrize("base_names", [(ALIAS,), (SHARED,), (ALIAS, SHARED)])
def test_t5_has_its_embeddings_once_whichever_of_the_names_are_stored(
    base_names: tuple[str, ...], tuned_names: tuple[str, ...], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    made = T5EncoderModel(T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2))
    stored = saved(made, tmp_path / "saved")
    assert SHARED in stored
    sides = [
        {name: tensor for name, tensor in stored.items() if name != SHARED}
        | {name: stored[SHARED].clone() for name in names}
        for names in (tuned_names, base_names)
    ]
    pairing, deltas = paired(tmp_path, *sides)
    assert not any(delta.any() for delta in deltas.values())
    assert any(name.endswith((ALIAS, SHARED)) for name in deltas)
    assert {item.reason for item in pairing.left_out} <= {
        LeaveOutReason.DUPLICATE_NAME, LeaveOutReason.ONLY_FINETUNED, LeaveOutReason.ONLY_ORIGINAL,
    }  # fmt: skip
    if ALIAS not in {*tuned_names} & {*base_names}:
        assert {item.reason for item in pairing.left_out} <= {LeaveOutReason.DUPLICATE_NAME}


@pytest.mark.parametrize("rows", [VOCABULARY + 12, VOCABULARY + 1, VOCABULARY - 7, 64])
def test_a_resized_vocabulary_pairs_its_common_rows_and_counts_the_others(rows: int, tmp_path: Path) -> None:
    made = model("llama")
    base = saved(made, tmp_path / "base")
    made.resize_token_embeddings(rows)  # type: ignore[operator]
    tuned = saved(made, tmp_path / "tuned")
    tuned = changed(tuned)
    pairing, deltas = paired(tmp_path, tuned, base)
    assert pairing.left_out == ()
    common = min(rows, VOCABULARY)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weight = next(weight for weight in pairing.weights if weight.name.endswith(name))
        beyond = ({"rows": rows - VOCABULARY}, {}) if rows > VOCABULARY else ({}, {"rows": VOCABULARY - rows})
        assert (weight.grown, weight.lacking) == beyond
        delta = deltas[weight.name]
        assert torch.equal(delta[:common], tuned[name][:common] - base[name][:common])
        assert not delta[common:].any()


def test_the_energy_of_new_rows_is_measured_and_in_the_report(tmp_path: Path) -> None:
    made = model("llama")
    base = saved(made, tmp_path / "base")
    made.resize_token_embeddings(VOCABULARY + 12)  # type: ignore[operator]
    tuned = saved(made, tmp_path / "tuned")
    tuned = changed(tuned)
    ran = run(files(tmp_path, tuned, base), tmp_path, **EXACT)
    assert ran.left_out == dict.fromkeys(
        ("diffusion_model.model.embed_tokens.weight", "diffusion_model.lm_head.weight"), "grown_part"
    )
    report = json.loads(ran.result.outputs[0].report.read_text())
    measured = {row["name"]: row["grown_energy"] for row in report["layers"] if "grown_energy" in row}
    assert measured == {
        f"diffusion_model.{name}": pytest.approx(float(tuned[name][VOCABULARY:].double().square().sum()), rel=1e-9)
        for name in ("model.embed_tokens.weight", "lm_head.weight")
    }


def test_an_original_that_is_known_as_untied_makes_no_embeddings_a_last_layer(tmp_path: Path) -> None:
    base = saved(model("llama_tied"), tmp_path / "saved")
    base |= {"lm_head.weight": random_tensor(VOCABULARY, WIDTH, seed=3)}
    for side in ("tuned", "base"):
        (tmp_path / side).mkdir()
    tuned = {name: tensor for name, tensor in changed(base).items() if name != "lm_head.weight"}
    paths = files(tmp_path / "tuned", tuned, base)[0], files(tmp_path / "base", tuned, base)[1]
    (tmp_path / "base" / "config.json").write_text(json.dumps({"tie_word_embeddings": False}))
    with open_checkpoint(paths[0]) as left, open_checkpoint(paths[1]) as right:
        pairing = pair(left, right)
    assert {item.name.split(".")[-2] for item in pairing.left_out} == {"lm_head"}


@pytest.mark.parametrize("head", ["score.weight", "classifier.weight"])
def test_a_model_with_another_last_layer_is_not_taken_for_a_tied_one(head: str, tmp_path: Path) -> None:
    base = saved(model("llama_tied"), tmp_path / "saved")
    tuned = changed(base) | {head: random_tensor(1, WIDTH, seed=4)}
    pairing, _ = paired(tmp_path, tuned, base | {"lm_head.weight": random_tensor(VOCABULARY, WIDTH, seed=3)})
    assert {item.name.split(".")[-2] for item in pairing.left_out} == {"lm_head", head.split(".")[0]}


def test_a_record_of_other_rows_never_answers_for_a_resized_vocabulary(tmp_path: Path) -> None:
    base = saved(model("gpt2"), tmp_path / "saved")
    name = next(name for name in base if name.endswith("wte.weight"))
    tuned = changed(base) | {name: random_tensor(VOCABULARY + 5, WIDTH, seed=3)}
    pairing, _ = paired(tmp_path, tuned, base)
    weight = next(weight for weight in pairing.weights if weight.common is not None)
    known = {"what": "measured", "delta_energy": 2.0, "shape": [VOCABULARY, WIDTH], "sides": sides_key(weight)}
    rows = {"common": [VOCABULARY, WIDTH], "grown_energy": 3.0, "common_rows": None}
    others = [{"common_rows": None}, {"common_rows": VOCABULARY}, rows | {"common": [VOCABULARY - 1, WIDTH]}]
    for fields, found in [(rows, (2.0, 3.0)), *((other, None) for other in others)]:
        entry = type("Entry", (), {"fields": known | fields})
        assert find_measured([entry], weight) == found  # type: ignore[list-item]
