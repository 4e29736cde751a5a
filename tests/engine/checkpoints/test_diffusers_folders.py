"""A model in diffusers' folders is opened whole or a component alone; every component keeps its own place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import sdxl_pipeline
import torch
from diffusers import AutoencoderKL
from model_files import Tensors, matrices, save_model
from native_models import NATIVE_MODELS
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from app.text.notices import notice_text
from engine.checkpoints.header_snapshot import HeaderSnapshot, remember
from engine.checkpoints.pair_ref import ModelRef
from engine.checkpoints.tensors import read_view
from engine.errors import EngineError, ErrorCode
from engine.events import NoticeCode
from engine.models.names import name_tensors
from engine.planning.inspection import inspect_model, open_model
from engine.session import Session

SIZES = {
    "hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 2, "num_hidden_layers": 2,
    "vocab_size": 50, "max_position_embeddings": 8, "projection_dim": 12,
}  # fmt: skip
COMPONENTS = {
    "transformer": ("diffusers", "FluxTransformer2DModel"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "text_encoder_2": ("transformers", "T5EncoderModel"),
    "vae": ("diffusers", "AutoencoderKL"),
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "image_encoder": (None, None),
}


def save_pipeline(folder: Path, *, shards: str = "10GB", variant: str | None = None) -> Path:
    """A tiny Flux as diffusers and transformers write it, component by component."""
    folder.mkdir(exist_ok=True)
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": "FluxPipeline", "_diffusers_version": "0.42"} | COMPONENTS)
    )
    clip = CLIPTextConfig(**SIZES, bos_token_id=0, eos_token_id=1)
    t5 = T5Config(vocab_size=50, d_model=24, d_kv=8, d_ff=40, num_layers=2, num_heads=2)
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
    models = {
        "transformer": NATIVE_MODELS["flux"].build(),
        "text_encoder": CLIPTextModel(clip),
        "text_encoder_2": T5EncoderModel(t5),
        "vae": vae,
    }
    for name, model in models.items():
        model.save_pretrained(folder / name, max_shard_size=shards, variant=variant)  # type: ignore[attr-defined]
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    return folder


def files_in(folder: Path) -> Tensors:
    """All tensors of a component, by safetensors' own reader."""
    found: Tensors = {}
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as shard:
            found |= {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118
    return found


@pytest.mark.parametrize("shards", ["10GB", "20kB"])
@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize("chosen", ["", "model_index.json"])
def test_a_pipeline_is_opened_with_all_its_components(
    shards: str, variant: str | None, chosen: str, tmp_path: Path
) -> None:
    folder = save_pipeline(tmp_path / "flux", shards=shards, variant=variant)
    summary = inspect_model(folder / chosen)
    expected = {
        f"{component}/{name}": tensor
        for component in ("transformer", "text_encoder", "text_encoder_2", "vae")
        for name, tensor in files_in(folder / component).items()
    }
    with open_model(folder / chosen) as model:
        assert set(model.stored) == set(expected)
        views = name_tensors(model).views
        for view in views.values():
            if view.plain:
                stored = expected[view.source.name]
                assert torch.equal(
                    read_view(model, view).reshape(stored.shape), stored
                )  # some are kernels of one point
        model.check_unchanged()
    files = len(list(folder.glob("*/*.safetensors")))
    assert (summary.path, summary.name, summary.container, summary.files) == (folder, "flux", "diffusers", files)
    assert (files > 4) is (shards == "20kB")
    assert set(summary.components) == {"denoiser", "text_encoders", "vae"}
    assert summary.notices == ()


def test_each_component_has_the_place_of_its_kind(tmp_path: Path) -> None:
    with open_model(save_pipeline(tmp_path / "flux")) as model:
        named = name_tensors(model)
    places = {view.source.name.split("/")[0]: (view.component, name) for name, view in named.views.items()}
    assert {folder: component for folder, (component, _) in places.items()} == {
        "transformer": "denoiser", "text_encoder": "text_encoders", "text_encoder_2": "text_encoders", "vae": "vae",
    }  # fmt: skip
    assert places["transformer"][1].startswith("diffusion_model.")
    assert places["text_encoder_2"][1].startswith("text_encoders.t5xxl.transformer.")
    assert places["vae"][1].startswith("vae.")


@pytest.mark.parametrize("shards", ["10GB", "20kB"])
def test_one_component_can_be_chosen_alone(shards: str, tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux", shards=shards)
    summary = inspect_model(folder / "transformer")
    assert summary.tensors == len(files_in(folder / "transformer"))
    assert summary.name == ("flux/transformer" if summary.files > 1 else "diffusion_pytorch_model.safetensors")


def test_two_pipelines_pair_component_by_component(tmp_path: Path) -> None:
    tuned, base = save_pipeline(tmp_path / "tuned"), save_pipeline(tmp_path / "base")
    with Session(tuned, base) as session:
        assert session.pairing.left_out == ()
        assert {weight.component for weight in session.pairing.weights} == {"denoiser", "text_encoders", "vae"}
        assert len(session.pairing.weights) == len(name_tensors(session.original).views)


def test_a_pipeline_whose_variant_lies_beside_the_plain_one_takes_the_plain_one_and_says_so(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux")
    plain = inspect_model(folder)
    save_pipeline(folder, variant="fp16")
    both = inspect_model(folder)
    assert (both.tensors, both.files, both.size_bytes) == (plain.tensors, plain.files, plain.size_bytes)
    assert [notice.code for notice in both.notices] == [NoticeCode.FILE_CHOSEN] * 4
    assert "transformer/diffusion_pytorch_model.fp16.safetensors" in notice_text(both.notices[0])


def test_a_pipeline_is_taken_before_pickles_of_the_same_component(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux")
    torch.save({"x.weight": torch.ones(2, 2)}, folder / "transformer" / "diffusion_pytorch_model.bin")
    assert inspect_model(folder).tensors == sum(len(files_in(place)) for place in folder.iterdir())


def test_components_that_are_not_there_are_named(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux")
    shutil.rmtree(folder / "vae")
    shutil.rmtree(folder / "text_encoder_2")
    (notice,) = inspect_model(folder).notices
    assert (notice.code, notice.data["names"]) == (NoticeCode.COMPONENTS_ABSENT, ["text_encoder_2", "vae"])
    assert notice.name == "flux"


def test_a_state_in_the_cache_is_called_by_its_model_where_components_are_not_there(tmp_path: Path) -> None:
    state = tmp_path / "models--org--flux" / "snapshots" / "abc"
    state.mkdir(parents=True)
    folder = save_pipeline(state)
    shutil.rmtree(folder / "vae")
    (notice,) = inspect_model(folder).notices
    assert notice.name == "org/flux"


def test_folders_without_an_index_of_the_pipeline_are_one_too(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux")
    (folder / "model_index.json").unlink()
    assert set(inspect_model(folder).components) == {"denoiser", "text_encoders", "vae"}


def test_of_two_denoisers_the_first_is_used_and_that_is_said(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "wan")
    shutil.copytree(folder / "transformer", folder / "transformer_2")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({"transformer_2": index["transformer"]} | index))
    with open_model(folder) as model:
        named = name_tensors(model)
    assert {view.source.name.split("/")[0] for view in named.views.values() if view.component == "denoiser"} == {
        "transformer"
    }
    assert all(item.name.startswith("transformer_2/") for item in named.left_out)
    assert len(named.left_out) == len(files_in(folder / "transformer_2"))
    assert [notice.code for notice in named.notices] == [NoticeCode.OTHER_DENOISERS]


def test_a_missing_part_of_a_component_is_named(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux", shards="20kB")
    missing = sorted((folder / "text_encoder_2").glob("*.safetensors"))[1]
    missing.unlink()
    with pytest.raises(EngineError) as caught:
        open_model(folder)
    assert (caught.value.code, caught.value.file) == (ErrorCode.SHARD_MISSING, str(missing))


def test_a_component_with_several_models_names_them(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux")
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    for name in "ab":
        save_model(folder / "vae" / f"{name}.safetensors", matrices(1))
    with pytest.raises(EngineError) as caught:
        open_model(folder)
    assert (caught.value.code, caught.value.file) == (ErrorCode.IS_DIRECTORY, str(folder / "vae"))
    assert caught.value.data["names"] == ["a.safetensors", "b.safetensors"]


def test_one_model_beside_its_components_is_taken_and_said(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux")
    whole = save_model(folder / "flux.safetensors", matrices(3))
    summary = inspect_model(folder)
    assert summary.path == whole
    assert [notice.code for notice in summary.notices] == [NoticeCode.FILE_CHOSEN]


def test_of_several_models_beside_components_none_is_guessed(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "sd")
    for name in ("v1-5-pruned", "v1-5-pruned-emaonly"):
        save_model(folder / f"{name}.safetensors", matrices(3))
    summary = inspect_model(folder)
    assert summary.path == folder
    assert "v1-5-pruned.safetensors" in notice_text(summary.notices[0])


@pytest.mark.parametrize("text", ["", "[]", "{", '{"transformer": 5, "../vae": ["a", "b"], "vae": [null, null]}'])
def test_an_index_of_a_pipeline_that_lies_leads_nowhere_else(text: str, tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "flux")
    (folder / "model_index.json").write_text(text)
    with open_model(folder) as model:
        assert all(folder in path.parents for path in model.paths)


def test_a_pipeline_opens_again_from_its_reference_and_from_its_headers(tmp_path: Path) -> None:
    with open_model(save_pipeline(tmp_path / "flux", shards="20kB")) as model:
        with ModelRef.of(model).open() as again:
            assert again.stored == model.stored
        snapshot = HeaderSnapshot(json.loads(json.dumps(remember(model))))
        assert name_tensors(snapshot).views.keys() == name_tensors(model).views.keys()


def test_scales_of_a_component_are_read_with_it(tmp_path: Path) -> None:
    weight, scale = torch.randn(8, 8).to(torch.float8_e4m3fn), torch.tensor(0.5)
    (tmp_path / "transformer").mkdir()
    tensors = {"a.weight": weight, "a.scale_weight": scale, "scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)}
    save_model(tmp_path / "transformer" / "diffusion_pytorch_model.safetensors", tensors)
    with open_model(tmp_path) as model:
        (view,) = name_tensors(model).views.values()
        assert torch.equal(read_view(model, view), weight.float() * 0.5)
        assert view.source.name == "transformer/a.weight"


def test_an_sdxl_in_folders_names_the_text_encoders_as_one_in_a_file(tmp_path: Path) -> None:
    model = sdxl_pipeline.build(0)
    folder = tmp_path / "sdxl"
    for name, network in zip(("unet", "text_encoder", "text_encoder_2"), model.networks, strict=True):
        network.save_pretrained(folder / name)  # type: ignore[operator]
    single = sdxl_pipeline.save(model, tmp_path / "sdxl.safetensors")
    with Session(folder, single) as session:
        clips = {weight.name.split(".")[1] for weight in session.pairing.weights if "text_encoders" in weight.name}
        denoiser = [weight for weight in session.pairing.weights if weight.component == "denoiser"]
    assert clips == {"clip_l", "clip_g"}
    assert len(denoiser) > 100
