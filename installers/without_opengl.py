"""Run by a bundle before the program: stands in for Qt's OpenGL modules, which pyqtgraph imports and hardly uses.

Our plots are drawn without OpenGL, and Qt's modules for it take 10 MB.
"""

import sys
import types


class QOpenGLWidget:
    """What pyqtgraph derives a class from that is never made."""


sys.modules["PySide6.QtOpenGL"] = types.ModuleType("PySide6.QtOpenGL")
sys.modules["PySide6.QtOpenGLWidgets"] = types.ModuleType("PySide6.QtOpenGLWidgets")
sys.modules["PySide6.QtOpenGLWidgets"].QOpenGLWidget = QOpenGLWidget  # type: ignore[attr-defined]
