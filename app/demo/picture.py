"""Draw the demo's comparison as one picture: three models, their samples, their losses."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QImage, QPainter

_CELL, _GAP, _MARGIN, _CAPTION = 64, 8, 40, 56
_BACKGROUND, _TEXT, _MUTED, _GOOD, _BORDER = "#f4f5f8", "#1a1e27", "#5d6675", "#1b8a5f", "#dfe3ea"


@dataclass(frozen=True)
class Strip:
    """One model's samples: rows of pictures, each 8-bit grey as bytes with its side in pixels, and two captions."""

    title: str
    caption: str
    rows: tuple[tuple[bytes, ...], ...]
    side: int


def draw_comparison(heading: str, footer: str, strips: tuple[Strip, ...], path: Path) -> None:
    """Write a PNG with the strips below each other."""
    application = _application()
    columns, rows = len(strips[0].rows[0]), len(strips[0].rows)
    width = 2 * _MARGIN + columns * (_CELL + _GAP) - _GAP
    strip_height = _CAPTION + rows * (_CELL + _GAP) + _GAP
    height = 2 * _MARGIN + 40 + len(strips) * strip_height + 24
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor(_BACKGROUND))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
    _text(painter, QRect(_MARGIN, _MARGIN - 8, width - 2 * _MARGIN, 32), heading, 20, bold=True)
    top = _MARGIN + 40
    for strip in strips:
        area = QRect(_MARGIN, top, width - 2 * _MARGIN, _CAPTION - 12)
        _text(painter, area, strip.title, 16, bold=True)
        _text(painter, area, strip.caption, 14, colour=_MUTED, right=True)
        for row, pictures in enumerate(strip.rows):
            for column, grey in enumerate(pictures):
                picture = QImage(grey, strip.side, strip.side, strip.side, QImage.Format.Format_Grayscale8)
                left, cell_top = _MARGIN + column * (_CELL + _GAP), top + _CAPTION - 8 + row * (_CELL + _GAP)
                cell = QRect(left, cell_top, _CELL, _CELL)
                painter.drawImage(cell, picture)
                painter.setPen(QColor(_BORDER))
                painter.drawRect(cell.adjusted(0, 0, -1, -1))
        top += strip_height
    _text(painter, QRect(_MARGIN, top, width - 2 * _MARGIN, 28), footer, 16, bold=True, colour=_GOOD)
    painter.end()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not image.save(str(path)):
        raise OSError(f"cannot write {path}")
    del application


def _application() -> QGuiApplication:
    """Fonts need an application object; without a screen it draws into memory."""
    existing = QGuiApplication.instance()
    if isinstance(existing, QGuiApplication):
        return existing
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    return QGuiApplication(sys.argv[:1])


def _text(
    painter: QPainter,
    area: QRect,
    text: str,
    pixels: int,
    *,
    bold: bool = False,
    colour: str = _TEXT,
    right: bool = False,
) -> None:
    font = QFont()
    font.setPixelSize(pixels)
    font.setBold(bold)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    painter.drawText(area, side | Qt.AlignmentFlag.AlignVCenter, text)
