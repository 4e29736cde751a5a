"""The licences name everything the program needs, with the texts."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from app.support import licences
from app.support.licences import Component


def test_every_requirement_is_named_with_its_version_and_licence() -> None:
    text = licences.licence_text()
    for name in ("torch", "numpy", "PySide6_Essentials", "shiboken6", "safetensors", "pydantic", "rich"):
        assert f"\n{name} {metadata.version(name)}\nLicence: " in text


def test_test_tools_are_not_part_of_the_program() -> None:
    names = {licences.normalised(name) for name in licences.requirements(licences.OURS)}
    assert "typing-extensions" in names
    assert not names & {"pytest", "diffusers", "mypy", "lora-extractor"}


def test_the_notices_of_what_torch_contains_are_there() -> None:
    titles = [title for title, _ in licences.component("torch").texts]
    assert "LICENSE" in titles
    assert any("third_party/fmt" in title for title in titles)


def test_qt_comes_with_both_texts_of_the_lgpl() -> None:
    titles = [title for title, _ in licences.component("PySide6_Essentials").texts]
    assert titles == ["note", "LGPL-3.0.txt", "GPL-3.0.txt"]


def test_every_component_of_the_program_has_a_text_or_is_known_to_ship_none() -> None:
    silent = {name for name in licences.requirements(licences.OURS) if not licences.component(name).texts}
    assert silent == set()


def test_a_text_is_printed_once() -> None:
    parts = [Component(name, "1", "MIT", "", (("LICENSE", "Permission is granted.\n"),)) for name in ("one", "two")]
    text = licences.render(parts)
    assert text.count("Permission is granted.") == 1
    assert "The same text as above: one, LICENSE" in text


def test_a_bundle_shows_the_file_of_its_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / licences.FILE).write_text("collected by the build", encoding="utf-8")
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert licences.licence_text() == "collected by the build"
