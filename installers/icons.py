"""Draws the program's icon in the sizes and containers that systems want: .ico, .icns and PNG, from the one SVG."""

from __future__ import annotations

import struct
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

from installers.identity import ROOT

SVG = ROOT / "resources" / "icons" / "app.svg"
WINDOWS_SIZES = (16, 20, 24, 32, 40, 48, 64, 128, 256)
LINUX_SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
# Apple's names of the kinds that hold a PNG, by width in pixels.
MAC_KINDS = (
    (b"icp4", 16),
    (b"icp5", 32),
    (b"icp6", 64),
    (b"ic07", 128),
    (b"ic08", 256),
    (b"ic09", 512),
    (b"ic10", 1024),
)


def png(size: int) -> bytes:
    """The icon as a PNG of ``size`` by ``size`` pixels."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(SVG)).render(painter)
    painter.end()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(data.data())


def ico(pictures: dict[int, bytes]) -> bytes:
    """A Windows icon of PNGs by width; Windows has read PNGs inside since Vista."""
    head = struct.pack("<HHH", 0, 1, len(pictures))
    place = len(head) + 16 * len(pictures)
    entries = b""
    for size, data in pictures.items():
        entries += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(data), place)
        place += len(data)
    return head + entries + b"".join(pictures.values())


def icns(pictures: dict[int, bytes]) -> bytes:
    """A macOS icon of PNGs by width."""
    parts = b"".join(kind + struct.pack(">I", 8 + len(pictures[size])) + pictures[size] for kind, size in MAC_KINDS)
    return b"icns" + struct.pack(">I", 8 + len(parts)) + parts


def write_icons(folder: Path) -> None:
    """Write ``app.ico``, ``app.icns`` and ``hicolor/<size>x<size>/apps/lora-extractor.png`` below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.ico").write_bytes(ico({size: png(size) for size in WINDOWS_SIZES}))
    (folder / "app.icns").write_bytes(icns({size: png(size) for _, size in MAC_KINDS}))
    for size in LINUX_SIZES:
        place = folder / "hicolor" / f"{size}x{size}" / "apps" / "lora-extractor.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(png(size))
    scalable = folder / "hicolor" / "scalable" / "apps" / "lora-extractor.svg"
    scalable.parent.mkdir(parents=True, exist_ok=True)
    scalable.write_bytes(SVG.read_bytes())
