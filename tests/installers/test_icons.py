"""Icons in every system's container, read back by another library."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from PySide6.QtWidgets import QApplication

from installers.icons import LINUX_SIZES, MAC_KINDS, WINDOWS_SIZES, icns, ico, png, write_icons


def test_the_windows_icon_has_all_sizes(qapp: QApplication) -> None:
    picture = Image.open(io.BytesIO(ico({size: png(size) for size in WINDOWS_SIZES})))
    assert picture.info["sizes"] == {(size, size) for size in WINDOWS_SIZES}
    picture.size = (48, 48)
    picture.load()
    assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 16


def test_the_mac_icon_has_all_sizes(qapp: QApplication) -> None:
    picture = Image.open(io.BytesIO(icns({size: png(size) for _, size in MAC_KINDS})))
    assert picture.size == (1024, 1024)
    assert {width * scale for width, _, scale in picture.info["sizes"]} >= {32, 128, 256, 512, 1024}


def test_the_linux_icons_lie_where_themes_look(qapp: QApplication, tmp_path: Path) -> None:
    write_icons(tmp_path)
    for size in LINUX_SIZES:
        with Image.open(tmp_path / f"hicolor/{size}x{size}/apps/lora-extractor.png") as picture:
            assert picture.size == (size, size)
            assert picture.mode == "RGBA"
    assert (tmp_path / "hicolor/scalable/apps/lora-extractor.svg").read_text(encoding="utf-8").startswith("<")
