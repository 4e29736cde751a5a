"""What earlier versions called layers in ComfyUI's format is read, and what they left of a stopped run goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import layout_models
import pytest
import torch
import transformers
from extraction_runs import EXACT, run, verified
from model_files import Tensors, random_tensor, save_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.events import Finished, LayerDone
from engine.formats.comfyui import ComfyUI
from engine.formats.lora_format import LayerKeys, Place
from engine.lora.lora_file import LoraFile
from engine.models.families import Family
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore


def clip() -> dict[str, tuple[int, ...]]:
    config = transformers.CLIPTextConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, vocab_size=40,
        max_position_embeddings=10,
    )  # fmt: skip
    with torch.device("meta"):
        found = transformers.CLIPTextModel(config).state_dict()
    return {
        f"text_encoders.clip_l.transformer.text_model.{name.removeprefix('text_model.')}": tuple(tensor.shape)
        for name, tensor in found.items()
        if "position_ids" not in name
    }


def flux_with_its_encoder() -> dict[str, tuple[int, ...]]:
    return {f"model.diffusion_model.{name}": shape for name, shape in layout_models.flux().shapes.items()} | clip()


def clip_alone() -> dict[str, tuple[int, ...]]:
    return {name.removeprefix("text_encoders.clip_l.transformer."): shape for name, shape in clip().items()}


def hunyuan_video() -> dict[str, tuple[int, ...]]:
    return {f"model.diffusion_model.{name}": shape for name, shape in layout_models.hunyuan_video().shapes.items()}


def pair(folder: Path, shapes: dict[str, tuple[int, ...]]) -> tuple[Path, Path]:
    base = {name: random_tensor(*shape, seed=at, scale=0.1) for at, (name, shape) in enumerate(shapes.items())}
    tuned = {name: tensor + 0.1 * random_tensor(*tensor.shape, seed=99) for name, tensor in base.items()}
    folder.mkdir(exist_ok=True)
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


NOW_ONLY = ("query_norm.diff", "key_norm.diff")


def without_short_names(lora: Tensors) -> Tensors:
    """Text encoders as they were called, and norms under the one name that they had."""
    found: Tensors = {}
    for key, tensor in lora.items():
        module = key.removeprefix("lora_te1_text_model_encoder_layers_")
        if module != key:
            number, inner = module.split("_", 1)
            inner = re.sub(r"^(self_attn|mlp)_", r"\1.", inner)
            key = f"text_encoders.clip_l.transformer.text_model.encoder.layers.{number}.{inner}"
        if not key.endswith(NOW_ONLY):
            found[key] = tensor
    return found


TENCENT = (
    # what the first release wrote, what is written now
    ("_mod.linear.", "_mod.lin."), ("_attn_qkv.", "_attn.qkv."), ("_attn_proj.", "_attn.proj."),
    ("_mlp.fc1.", "_mlp.0."), ("_mlp.fc2.", "_mlp.2."), (".modulation.linear.", ".modulation.lin."),
    ("_attn_q_norm.", "_attn.norm.query_norm.scale."), ("_attn_k_norm.", "_attn.norm.key_norm.scale."),
    (".q_norm.", ".norm.query_norm.scale."), (".k_norm.", ".norm.key_norm.scale."),
    (".time_in.mlp.0.", ".time_in.in_layer."), (".time_in.mlp.2.", ".time_in.out_layer."),
    (".guidance_in.mlp.0.", ".guidance_in.in_layer."), (".guidance_in.mlp.2.", ".guidance_in.out_layer."),
    ("t_embedder.mlp.0.", "t_embedder.in_layer."), ("t_embedder.mlp.2.", "t_embedder.out_layer."),
    ("c_embedder.linear_1.", "c_embedder.in_layer."), ("c_embedder.linear_2.", "c_embedder.out_layer."),
    ("self_attn_qkv.", "self_attn.qkv."), ("self_attn_proj.", "self_attn.proj."),
    ("blocks.0.mlp.fc1.", "blocks.0.mlp.0."), ("blocks.0.mlp.fc2.", "blocks.0.mlp.2."),
)  # fmt: skip


def tencents(lora: Tensors) -> Tensors:
    found: Tensors = {}
    for key, tensor in lora.items():
        for earlier, now in TENCENT:
            key = key.replace(now, earlier)
        if not key.endswith(NOW_ONLY):
            found[key] = tensor
    return found


CASES: list[tuple[str, Callable[[], dict[str, tuple[int, ...]]], Callable[[Tensors], Tensors]]] = [
    ("flux", flux_with_its_encoder, without_short_names),
    ("hunyuan_video", hunyuan_video, tencents),
    ("clip_l alone", clip_alone, without_short_names),
]


@pytest.mark.parametrize(("name", "shapes", "renamed"), CASES, ids=[name for name, *_ in CASES])
def test_verify_reads_a_file_with_the_names_of_before(
    name: str, shapes: Callable[[], dict[str, tuple[int, ...]]], renamed: Callable[[Tensors], Tensors], tmp_path: Path
) -> None:
    files = pair(tmp_path, shapes())
    lora = run(files, tmp_path, **EXACT).lora
    now = load_file(lora)
    before = renamed(now)
    assert len(set(before) - set(now)) > 10
    with safe_open(lora, framework="pt") as file:
        save_file(before, tmp_path / "before.safetensors", metadata=file.metadata())
    expected, found = verified(files, lora), verified(files, tmp_path / "before.safetensors")
    assert (found.unknown_keys, expected.unknown_keys) == ((), ())
    assert (found.left_out, found.key_format) == ((), "comfyui")  # and not of another tool
    assert found.layers == expected.layers
    assert found.mean_energy_retained == pytest.approx(1.0, abs=1e-6)


def test_a_layer_that_is_renamed_wrongly_is_not_found(tmp_path: Path) -> None:
    files = pair(tmp_path, flux_with_its_encoder())
    lora = run(files, tmp_path, **EXACT).lora
    before = {key.replace("clip_l", "clip_x"): tensor for key, tensor in without_short_names(load_file(lora)).items()}
    save_file(before, tmp_path / "before.safetensors")
    assert [key for key in verified(files, tmp_path / "before.safetensors").unknown_keys if "clip_x" in key]


def earlier_keys(self: ComfyUI, family: Family, name: str, kind: str, *, factors: bool) -> LayerKeys:
    """The keys of the last version."""
    module = name.removesuffix(".bias") if kind == "bias" else name.removesuffix(".weight")
    if factors:
        return {
            "up": f"{module}.lora_up.weight", "down": f"{module}.lora_down.weight", "alpha": f"{module}.alpha"
        }  # fmt: skip
    return {"difference": module + (".diff_b" if kind == "bias" else ".diff")}


def earlier_places(
    self: ComfyUI, family: Family, name: str, kind: str, shape: Sequence[int], *, factors: bool
) -> tuple[Place, ...]:
    return (Place(earlier_keys(self, family, name, kind, factors=factors)),)


@pytest.mark.parametrize("lora_type", ["standard", "full"])
def test_a_run_that_the_last_version_left_stopped_ends_with_the_names_of_now(
    lora_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pair(tmp_path / "files", flux_with_its_encoder())
    settings = ExtractionSettings(filename_prefix="lora", rank=4, lora_type=lora_type)  # type: ignore[arg-type]
    hardware = HardwareSettings(device="cpu", batch_size=1)

    def finish(folder: Path, store: DecompositionStore | None) -> Finished:
        with Session(*files, store) as session:
            *_, last = session.extract(session.plan(settings, hardware, folder), CancelToken())
        assert isinstance(last, Finished)
        return last

    expected = finish(tmp_path / "fresh", None).result.outputs[0].path
    store, cancel, layers = DecompositionStore(tmp_path / "store"), CancelToken(), 0
    with monkeypatch.context() as earlier:
        earlier.setattr(ComfyUI, "places", earlier_places)
        with Session(*files, store) as session, suppress(Cancelled):
            for event in session.extract(session.plan(settings, hardware, tmp_path / "out"), cancel):
                layers += isinstance(event, LayerDone)
                if layers == 5:
                    cancel.cancel()
    found = finish(tmp_path / "out", store).result
    assert lora_type == "full" or found.layers_reused >= 5
    ours, theirs = load_file(found.outputs[0].path), load_file(expected)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("key_format", ["comfyui", "kohya"])
def test_a_lora_is_read_layer_by_layer_whatever_its_layers_are_called(key_format: str, tmp_path: Path) -> None:
    files = pair(tmp_path, flux_with_its_encoder())
    lora = run(files, tmp_path, key_format=key_format, **EXACT).lora
    tensors = load_file(lora)
    with LoraFile(lora) as file:
        assert (file.format.key, file.unknown) == (key_format, ())
        assert {key for keys in file.layers.values() for key in keys.values()} == set(tensors)
        for name, keys in file.layers.items():
            parts = file.read(name).parts
            assert parts.keys() == keys.keys()
            assert all(torch.equal(parts[part].reshape(-1), tensors[keys[part]].reshape(-1)) for part in parts)
