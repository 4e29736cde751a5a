"""Where this program keeps things of one person: settings, logs, and the LoRAs it writes.

The environment variable ``LORA_EXTRACTOR_HOME`` replaces all of these folders by one of the
caller's choice, so that tests and portable installations never touch the real ones.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP_NAME = "LoRA Extractor"
HOME_VARIABLE = "LORA_EXTRACTOR_HOME"


def _home() -> Path | None:
    value = os.environ.get(HOME_VARIABLE, "").strip()
    return Path(value) if value else None


def config_dir() -> Path:
    """Folder of the session and the hardware profiles. It may not exist yet."""
    home = _home()
    return home / "config" if home else Path(platformdirs.user_config_dir(APP_NAME, appauthor=False))


def log_dir() -> Path:
    """Folder of the log files. It may not exist yet."""
    home = _home()
    return home / "logs" if home else Path(platformdirs.user_log_dir(APP_NAME, appauthor=False))


def cache_dir() -> Path:
    """Folder of unfinished runs and finished decompositions. It may not exist yet."""
    home = _home()
    return home / "cache" if home else Path(platformdirs.user_cache_dir(APP_NAME, appauthor=False))


def default_output_dir() -> Path:
    """Folder that LoRAs go to until the person chooses another. It may not exist yet."""
    home = _home()
    return home / "output" if home else Path(platformdirs.user_documents_dir()) / APP_NAME
