"""What the settings dialog changes, and the file of those that have no other home.

Each setting lives in one place: theme and output folder in the session, the device and its budget in the hardware
panel, the cache's limit beside the cache. Only what the start itself must know, and what none of these holds, is
kept here, in ``preferences.json``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from app.storage import paths
from app.storage.json_store import JsonStore

if TYPE_CHECKING:
    from app.look.theme import ThemeChoice

PREFERENCES_VERSION = 1
AS_SYSTEM = "system"

_SIZE = re.compile(r"(\d{1,19}(?:[.,]\d{1,2})?)\s*(bytes|b|kb|mb|gb|tb|kib|mib|gib|tib)", re.IGNORECASE)
_UNITS = {"b": 1, "bytes": 1} | {
    f"{letter}{middle}b": base**power
    for power, letter in enumerate("kmgt", start=1)
    for middle, base in (("", 1000), ("i", 1024))
}
_SHOWN_UNITS = ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB")
LARGEST_BYTES = 2**60


class Preferences(BaseModel):
    """What the program must know before it has a window, or keeps nowhere else.

    Attributes:
        language: a language's code, or ``system``.
        notify: notify on the desktop when a run ends while another window is in front.
        single_instance: a second start hands its files to the first.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int = PREFERENCES_VERSION
    language: str = AS_SYSTEM
    notify: bool = True
    single_instance: bool = True


class PreferenceStore(JsonStore):
    """Reads and writes the preferences' file."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or paths.config_dir() / "preferences.json", PREFERENCES_VERSION)
        self._read: Preferences | None = None

    def load(self) -> Preferences:
        """The preferences of the file, read once; a missing or broken file gives the defaults."""
        self._read = self._read or self.read_as(Preferences) or Preferences()
        return self._read

    def save(self, preferences: Preferences) -> bool:
        """Write the preferences, unless the file there is a newer program's or could not be read.

        Returns:
            Whether they were written.

        Raises:
            OSError: the file cannot be written.
        """
        written = self.write_model(preferences)
        if written:
            self._read = preferences
        return written


@dataclass(frozen=True)
class DialogValues:
    """Everything that the settings dialog shows.

    Attributes:
        language: a language's code, or ``system``.
        theme: ``system``, ``light`` or ``dark``.
        notify: see `Preferences`.
        single_instance: see `Preferences`.
        output_dir: folder that LoRAs are written to.
        cache_limit_bytes: the most that decompositions may take on the disk.
        device: as in `HardwareSettings`.
        memory_budget: in bytes; None for automatic.
    """

    language: str
    theme: ThemeChoice
    notify: bool
    single_instance: bool
    output_dir: Path
    cache_limit_bytes: int
    device: str
    memory_budget: int | None

    def preferences(self) -> Preferences:
        """The part that belongs into the preferences' file."""
        return Preferences(language=self.language, notify=self.notify, single_instance=self.single_instance)


@dataclass(frozen=True)
class SettingsChange:
    """What the person saved: all values before and after."""

    before: DialogValues
    after: DialogValues

    @property
    def names(self) -> frozenset[str]:
        """Names of the values that changed."""
        names = (item.name for item in fields(DialogValues))
        return frozenset(name for name in names if getattr(self.before, name) != getattr(self.after, name))

    def changed(self, *names: str) -> bool:
        """Whether any of these values changed."""
        return not self.names.isdisjoint(names)


def parse_size(text: str) -> int | None:
    """Bytes of a size such as ``10 GB``, ``2,5 GB`` or ``8GiB``; None where it is none.

    A comma is a decimal one, as many languages write it; three digits behind it could mean thousands and are refused.
    """
    if text.strip() == "0":
        return 0
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    whole, _point, part = match[1].replace(",", ".").partition(".")
    unit = _UNITS[match[2].lower()]
    size = int(whole) * unit + (int(part) * unit // 10 ** len(part) if part else 0)
    return size if size <= LARGEST_BYTES else None


def size_text(size: int) -> str:
    """A size as the person would type it; `parse_size` gives exactly the same bytes back."""
    for shown in _SHOWN_UNITS:
        unit = _UNITS[shown.lower()]
        if size >= unit and size * 10 % unit == 0:
            whole, tenth = divmod(size * 10 // unit, 10)
            return f"{whole}.{tenth} {shown}" if tenth else f"{whole} {shown}"
    return f"{size} bytes"
