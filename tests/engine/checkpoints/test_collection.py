"""The walk through folders: every model once, whatever its names and links."""

from __future__ import annotations

import os
from pathlib import Path

from model_files import matrices, save_model

from engine.checkpoints.collection import FoundModel, Trouble, UnusablePlace, models_under


def found(*folders: Path) -> list[str]:
    return [place.path.name for place in models_under(folders) if isinstance(place, FoundModel)]


def troubles(*folders: Path) -> dict[str, Trouble]:
    places = (place for place in models_under(folders) if isinstance(place, UnusablePlace))
    return {place.path.name: place.trouble for place in places}


def model(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_model(path, matrices(1, seed=seed))


def test_models_of_all_folders_below_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b.safetensors", "deep/down/c.gguf", "a.ckpt", "deep/d.pt"):
        model(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    assert found(tmp_path) == ["a.ckpt", "b.safetensors", "d.pt", "c.gguf"]
    assert not troubles(tmp_path)


def test_a_model_in_parts_and_a_folder_of_components_are_one_each(tmp_path: Path) -> None:
    for number in (1, 2):
        model(tmp_path / "parts" / f"model-0000{number}-of-00002.safetensors", number)
    model(tmp_path / "pipe" / "transformer" / "diffusion_pytorch_model.safetensors")
    model(tmp_path / "pipe" / "text_encoder" / "model.safetensors", 3)
    (tmp_path / "pipe" / "model_index.json").write_text(
        '{"transformer": ["diffusers", "X"], "text_encoder": ["transformers", "Y"]}'
    )
    assert found(tmp_path) == ["model-00001-of-00002.safetensors", "pipe"]


def test_a_file_is_found_once_whatever_leads_to_it(tmp_path: Path) -> None:
    one = model(tmp_path / "models" / "one.safetensors")
    os.link(one, tmp_path / "models" / "another-name.safetensors")
    (tmp_path / "models" / "link.safetensors").symlink_to(one)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "link").symlink_to(tmp_path / "models", target_is_directory=True)
    assert len(found(tmp_path)) == 1
    assert len(found(tmp_path, tmp_path / "models", one)) == 1
    assert found(tmp_path / "other") == ["another-name.safetensors"]


def test_the_place_itself_is_named_before_a_link_to_it(tmp_path: Path) -> None:
    model(tmp_path / "z" / "one.safetensors")
    (tmp_path / "a").symlink_to(tmp_path / "z", target_is_directory=True)
    assert [place.path for place in models_under([tmp_path])] == [tmp_path / "z" / "one.safetensors"]


def test_links_that_lead_back_or_nowhere_are_named(tmp_path: Path) -> None:
    model(tmp_path / "one.safetensors")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "itself.safetensors").symlink_to("itself.safetensors")
    (tmp_path / "gone.safetensors").symlink_to("nowhere.safetensors")
    assert found(tmp_path) == ["one.safetensors"]
    assert troubles(tmp_path) == {
        "up": Trouble.LINK_LOOP,
        "itself.safetensors": Trouble.LINK_LOOP,
        "gone.safetensors": Trouble.DEAD_LINK,
    }


def test_the_state_of_a_model_follows_size_and_date_of_every_file_that_decides_it(tmp_path: Path) -> None:
    path = model(tmp_path / "one.safetensors")
    (tmp_path / "config.json").write_text("{}")
    (first,) = models_under([tmp_path])
    assert isinstance(first, FoundModel)
    before = first.state()
    assert first.state() == before
    (tmp_path / "config.json").write_text("{ }")
    assert first.state() != before
    before = first.state()
    os.utime(path, ns=(0, 1))
    assert first.state() != before
