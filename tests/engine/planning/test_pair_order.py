"""Names, headers and dates tell which of two models is the original; nothing that is ordinary raises an alarm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from model_files import matrices, save_model

from engine.planning.pair_order import OrderReason, PairOrder, order_of_names
from engine.session import Session

TOLD_APART = [
    # a fine-tuned model and its original, as people name them
    ("juggernautXL_v9Rundiffusion", "sd_xl_base_1.0"),
    ("ponyDiffusionV6XL", "sd_xl_base_1.0_0.9vae"),
    ("realisticVisionV60B1_v51VAE", "v1-5-pruned-emaonly"),
    ("dreamshaper_8", "v1-5-pruned"),
    ("my_dog_dreambooth", "sd_xl_base_1.0"),
    ("official_anime_model", "sd_xl_base_1.0"),
    ("sd_xl_turbo_1.0_fp16", "sd_xl_base_1.0"),
    ("flux1-dev-my-style", "flux1-dev"),
    ("flux_dev_finetune_step00004000", "flux1-dev-fp8"),
    ("myflux", "FLUX.1-dev"),
    ("flux1-mystyle", "flux1-dev"),
    ("mymodel_release_v2", "sd3.5_large"),
    ("wan2.1_t2v_14B_distilled_bf16", "wan2.1_t2v_14B_bf16"),
    ("Qwen2.5-7B-Instruct", "Qwen2.5-7B"),
    ("Meta-Llama-3.1-8B-Instruct", "Meta-Llama-3.1-8B-Q8_0"),
    ("gemma-2-9b-it", "gemma-2-9b"),
    ("tinyllama-1.1b-chat", "tinyllama-1.1b-base"),
    ("deepseek-coder-7b-sft-epoch3", "deepseek-coder-7b-sft-epoch1"),
    ("model-step00002000", "model-step00001000"),
    ("stable-diffusion-xl-base-1.0-ft", "stable-diffusion-xl-base-1.0"),
    ("finetuned", "original"),
    ("base_ft", "base"),
    ("tuned", "vanilla"),
]
NOT_TOLD_APART = [
    # as ordinary, and their names say nothing: a hint either way would be wrong for one of the orders
    ("noobaiXLNAIXL_epsilonPred11Version", "Illustrious-XL-v0.1"),
    ("Counterfeit-V3.0_fp16", "anything-v5"),
    ("my_character_v3", "chilloutmix_NiPrunedFp32Fix"),
    ("epicrealism_naturalSinRC1VAE", "dreamlike_photoreal_mix"),
    ("flux1-schnell", "flux1-dev"),
    ("model", "model-000010"),
    ("animagine-xl-4.0", "animagine-xl-3.1"),
    ("ltx-video-2b-v0.9.5", "ltx-video-2b-v0.9.1"),
    ("zephyr-7b-beta", "Mistral-7B-v0.1"),
    ("checkpoint-500", "SmolLM2-135M"),
    ("sdxl_base_my_dog_v2", "sd_xl_1.0"),
    ("Illustrious-XL-v1.0", "Illustrious-XL-v0.1"),
    ("model_fp16", "model_bf16"),
    ("a", "b"),
]


def order(tuned: str, base: str) -> PairOrder:
    return PairOrder(order_of_names(Path(f"/m/{tuned}.safetensors"), Path(f"/m/{base}.safetensors")))


@pytest.mark.parametrize(("tuned", "base"), TOLD_APART)
def test_names_that_tell_two_models_apart_do_so_in_the_wrong_order_alone(tuned: str, base: str) -> None:
    assert not order(tuned, base).swapped
    found = order(base, tuned)
    assert found.swapped
    assert f"{tuned}.safetensors" == found.against[0].name
    assert f"{base}.safetensors" == found.against[0].other


@pytest.mark.parametrize(("tuned", "base"), NOT_TOLD_APART)
def test_other_names_say_nothing_in_either_order(tuned: str, base: str) -> None:
    assert not order(tuned, base).swapped
    assert not order(base, tuned).swapped


@pytest.mark.parametrize("file", ["model.safetensors", "transformer/diffusion_pytorch_model.safetensors", "unet"])
def test_files_without_a_name_of_their_own_are_called_like_their_folders(file: str) -> None:
    tuned, base = Path("/m/Qwen2.5-7B-Instruct") / file, Path("/m/Qwen2.5-7B") / file
    assert not PairOrder(order_of_names(tuned, base)).swapped
    found = PairOrder(order_of_names(base, tuned)).against[0]
    assert found.name.startswith("Qwen2.5-7B-Instruct")


def test_files_in_hugging_faces_cache_are_called_like_their_repositories() -> None:
    tuned, base = (
        Path(f"/h/models--Qwen--Qwen2.5-7B{name}/snapshots/0a1b2c/model.safetensors") for name in ("-Instruct", "")
    )
    assert PairOrder(order_of_names(base, tuned)).against[0].name == "Qwen/Qwen2.5-7B-Instruct"
    assert not PairOrder(order_of_names(tuned, base)).swapped


def model(path: Path, metadata: dict[str, str] | None = None, dtype: torch.dtype = torch.float16) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    save_model(path, {name: tensor.to(dtype) for name, tensor in matrices(2, seed=len(path.name)).items()}, metadata)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def found(tuned: Path, base: Path) -> PairOrder:
    with Session(tuned, base) as session:
        return session.order


NAMING = {
    "ss_sd_model_name": "grand_orchid_v2.safetensors",
    "base_model": "organisation/Grand-Orchid-v2",
    "modelspec.merged_from": "Another Model, Grand Orchid v2",
    "sd_merge_models": json.dumps({"ab12": {"name": "grand_orchid_v2.safetensors", "legacy_hash": "1"}}),
}


@pytest.mark.parametrize("key", NAMING)
def test_a_header_that_names_the_other_model_is_certain(key: str, tmp_path: Path) -> None:
    tuned = model(tmp_path / "trained" / "x17.safetensors", {key: NAMING[key]})
    base = model(tmp_path / "grand_orchid_v2.safetensors")
    assert not found(tuned, base).swapped
    wrong = found(base, tuned)
    assert (wrong.swapped, wrong.against[0].reason, wrong.against[0].sure) == (
        True, OrderReason.NAMES_ITS_BASE, "certain",
    )  # fmt: skip
    assert NAMING[key].split(",")[-1].strip() in wrong.against[0].detail or key in wrong.against[0].detail


def test_what_a_header_says_stands_above_names(tmp_path: Path) -> None:
    tuned = model(tmp_path / "sdxl_base.safetensors", {"ss_sd_model_name": "chilloutmix.safetensors"})
    assert not found(tuned, model(tmp_path / "chilloutmix.safetensors")).swapped


@pytest.mark.parametrize("file", ["config.json", "README.md", "model_index.json"])
def test_a_configuration_or_card_beside_a_model_that_names_the_other_is_certain(file: str, tmp_path: Path) -> None:
    base = model(tmp_path / "Some-Model-7B" / "model.safetensors")
    tuned = model(tmp_path / "my-run" / "model.safetensors")
    says = json.dumps({"_name_or_path": "organisation/Some-Model-7B"})
    card = "---\nlicense: mit\nbase_model:\n- organisation/Some-Model-7B\n---\nA model."
    (tuned.parent / file).write_text(card if file == "README.md" else says)
    if file == "config.json":  # the original's own says its own name
        (base.parent / file).write_text(says)
    assert not found(tuned.parent, base.parent).swapped
    wrong = found(base.parent, tuned.parent)
    assert (wrong.swapped, wrong.against[0].sure) == (True, "certain")


def test_what_lies_beside_both_models_speaks_of_neither(tmp_path: Path) -> None:
    tuned, base = model(tmp_path / "x17.safetensors"), model(tmp_path / "grand_orchid_v2.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"_name_or_path": "grand_orchid_v2"}))
    (tmp_path / "trainer_state.json").write_text("{}")
    assert found(tuned, base) == found(base, tuned) == PairOrder()


def test_broken_texts_beside_a_model_say_nothing(tmp_path: Path) -> None:
    tuned, base = model(tmp_path / "a" / "x17.safetensors"), model(tmp_path / "b" / "y18.safetensors")
    for name in ("config.json", "model_index.json", "README.md"):
        (tuned.parent / name).write_bytes(b"---\nbase_model: [\xff\n---\n{")
    assert found(tuned, base) == PairOrder()


@pytest.mark.parametrize("mark", ["header", "file"])
def test_what_a_trainer_leaves_behind_is_likely(mark: str, tmp_path: Path) -> None:
    tuned = model(tmp_path / "a" / "x17.safetensors", {"ss_learning_rate": "1e-5"} if mark == "header" else None)
    if mark == "file":
        (tuned.parent / "trainer_state.json").write_text("{}")
    base = model(tmp_path / "b" / "y18.safetensors")
    assert not found(tuned, base).swapped
    wrong = found(base, tuned)
    assert (wrong.swapped, wrong.against[0].reason) == (True, OrderReason.TRAINING_METADATA)


def test_dates_in_both_headers_are_likely(tmp_path: Path) -> None:
    tuned = model(tmp_path / "x17.safetensors", {"modelspec.date": "2024-05-02T10:00:00"})
    base = model(tmp_path / "y18.safetensors", {"modelspec.date": "2023-07-25"})
    assert not found(tuned, base).swapped
    assert found(base, tuned).against[0].reason is OrderReason.HEADER_DATES


def test_evidence_that_contradicts_itself_raises_no_alarm(tmp_path: Path) -> None:
    tuned = model(tmp_path / "sdxl_base.safetensors", {"modelspec.date": "2024-05-02"})
    base = model(tmp_path / "juggernaut.safetensors", {"modelspec.date": "2023-07-25"})
    said = found(tuned, base)
    assert ({item.swapped for item in said.evidence}, said.swapped) == ({True, False}, False)


def test_a_newer_file_or_wider_numbers_alone_raise_no_alarm(tmp_path: Path) -> None:
    tuned = model(tmp_path / "x17.safetensors", dtype=torch.float32)
    base = model(tmp_path / "y18.safetensors")
    os.utime(base, (1_800_000_000, 1_800_000_000))
    said = found(tuned, base)
    assert [(item.reason, item.sure) for item in said.evidence if item.swapped] == [
        (OrderReason.WIDER_NUMBERS, "weak"), (OrderReason.FILE_DATES, "weak"),
    ]  # fmt: skip
    assert not said.swapped
