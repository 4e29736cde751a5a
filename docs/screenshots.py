"""Makes the pictures of the window in this folder: the real window, the real engine, a made-up pair of SDXL's layers.

Run from the project's root: ``python docs/screenshots.py``. It needs no screen and touches no personal files.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(tempfile.mkdtemp()) / "LoRA Extractor"
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["LORA_EXTRACTOR_HOME"] = str(HOME)
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from app.controller import State  # noqa: E402
from app.widgets.main_window import MainWindow  # noqa: E402
from app.window import make_application  # noqa: E402
from benchmarks.pairs import realistic  # noqa: E402
from engine.settings import ExtractionSettings, HardwareSettings  # noqa: E402

SIZE = (1280, 800)
PATIENCE = 120.0
OPTIONS = ExtractionSettings(filename_prefix="loras/watercolour", rank=64)
MACHINE = HardwareSettings(device="cpu", memory_budget=512 * 1024**2)
BLOCKS = 12
LAYERS = {
    "attn1.to_q": (640, 640),
    "attn1.to_k": (640, 640),
    "attn1.to_v": (640, 640),
    "attn1.to_out.0": (640, 640),
    "attn2.to_k": (640, 2048),
    "ff.net.0.proj": (5120, 640),
    "ff.net.2": (640, 2560),
}
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


def make_pair() -> tuple[Path, Path]:
    """Write two models with the names and shapes of some of SDXL's layers; returns fine-tuned and original."""
    generator = torch.Generator().manual_seed(0)
    original = {"label_emb.0.0.weight": torch.randn(1280, 2816, generator=generator)}
    finetuned = dict(original)
    for block in range(BLOCKS):
        for number, (layer, shape) in enumerate(LAYERS.items()):
            name = f"input_blocks.4.1.transformer_blocks.{block}.{layer}.weight"
            original[name] = torch.randn(shape, generator=generator) / shape[1] ** 0.5
            strength = 0.02 + 0.01 * (block % 5) + 0.004 * number
            finetuned[name] = original[name] + strength * realistic(shape, generator)
    paths = HOME.parent / "watercolour-xl.safetensors", HOME.parent / "sd_xl_base.safetensors"
    for path, tensors in zip(paths, (finetuned, original), strict=True):
        half = {f"model.diffusion_model.{name}": tensor.to(torch.float16) for name, tensor in tensors.items()}
        save_file(half, path)
    return paths


def main() -> None:
    """Extract a LoRA and take the pictures."""
    with ThreadPoolExecutor(1) as executor:  # a thread of its own leaves no OpenMP pool behind to slow the run
        models = executor.submit(make_pair).result()
    application = make_application()
    window = MainWindow()
    window.resize(*SIZE)
    window.frame.options.show_settings(OPTIONS)
    window.frame.hardware.show_settings(MACHINE)
    window.show()
    settle(application)
    window.grab().save(str(ROOT / "docs" / "window-empty.png"))
    window.set_models(*models)
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


if __name__ == "__main__":
    main()
