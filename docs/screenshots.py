"""Makes the pictures of the window in this folder: the real window, the real engine, the demo pair.

Run from the project's root: ``python docs/screenshots.py``. It needs no screen and touches no personal files.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "resources" / "demo"
HOME = Path(tempfile.mkdtemp()) / "LoRA Extractor"
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the demo's small matrices need no more
os.environ["LORA_EXTRACTOR_HOME"] = str(HOME)
sys.path.insert(0, str(ROOT))

from PySide6.QtWidgets import QApplication  # noqa: E402

from app.controller import State  # noqa: E402
from app.widgets.main_window import MainWindow  # noqa: E402
from app.window import make_application  # noqa: E402
from engine.settings import ExtractionSettings, HardwareSettings  # noqa: E402

SIZE = (1280, 800)
PATIENCE = 120.0
OPTIONS = ExtractionSettings(filename_prefix="digits_style", rank=16, bias_diff=False)
MACHINE = HardwareSettings(device="cpu", memory_budget=96 * 1024**2)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def wait_until(application: QApplication, reached: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Let the window live until something is reached."""
    end = time.monotonic() + patience
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError("the window did not get there")
        application.processEvents()
        time.sleep(0.002)


def settle(application: QApplication, seconds: float = 0.4) -> None:
    """Let the window draw what is waiting."""
    end = time.monotonic() + seconds
    wait_until(application, lambda: time.monotonic() > end)


def half_done(window: MainWindow) -> bool:
    """Whether a good part of the run is over and drawn."""
    run = window.frame.run
    return run.layers_done() >= run.layers_total // 2 and bool(run.panel.batches.detail.text())


def main() -> None:
    """Extract a LoRA from the demo pair and take the pictures."""
    application = make_application()
    models = [shutil.copy(DEMO / f"{name}.safetensors", HOME.parent / target) for name, target in MODELS.items()]
    window = MainWindow()
    window.resize(*SIZE)
    window.frame.options.show_settings(OPTIONS)
    window.frame.hardware.show_settings(MACHINE)
    window.show()
    settle(application)
    window.grab().save(str(ROOT / "docs" / "window-empty.png"))
    window.set_models(Path(models[0]), Path(models[1]))
    wait_until(application, lambda: window.controller.state is State.READY)
    window.extract()
    wait_until(application, lambda: half_done(window))
    window.grab().save(str(ROOT / "docs" / "window-running.png"))
    wait_until(application, lambda: window.controller.state in (State.DONE, State.FAILED))
    wait_until(application, window.frame.bar.extract.isEnabled)
    window.setFocus()
    for theme in THEMES:
        window.theme.set_choice(theme)
        settle(application)
        window.grab().save(str(ROOT / "docs" / f"window-{theme}.png"))
    window.frame.tabs.setCurrentIndex(1)
    settle(application)
    window.grab().save(str(ROOT / "docs" / "window-layers.png"))
    window.close()
    shutil.rmtree(HOME.parent, ignore_errors=True)


MODELS = {"finetuned": "digits-finetune.safetensors", "original": "digits-original.safetensors"}


if __name__ == "__main__":
    main()
