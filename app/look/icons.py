"""Our few icons: small SVG drawings, recoloured to the theme when they are loaded."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

import resources

ICONS = Path(resources.__file__).parent / "icons"


def icon_file(theme: str, name: str) -> str:
    """Path of an icon that is drawn once per theme, in quotes, without which an umlaut breaks the style sheet."""
    path = (ICONS / theme / f"{name}.svg").as_posix()
    return '"{}"'.format(path.replace("\\", "\\\\").replace('"', '\\"'))


def app_icon() -> QIcon:
    """The icon of the application."""
    return QIcon(str(ICONS / "app.svg"))


def icon(name: str, colour: str, size: int = 18) -> QIcon:
    """An icon in one colour, sharp on displays up to three times the usual density."""
    drawing = (ICONS / f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", colour)
    renderer = QSvgRenderer(QByteArray(drawing.encode()))
    result = QIcon()
    for scale in (1, 2, 3):
        pixmap = QPixmap(size * scale, size * scale)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(0, 0, size * scale, size * scale))
        painter.end()
        pixmap.setDevicePixelRatio(scale)
        result.addPixmap(pixmap)
    return result
