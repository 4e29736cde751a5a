"""Named hardware settings: the shipped ones, which never change, and the person's own.

One versioned JSON file per person holds the own profiles; a single profile can be exported to a
file of the same form and imported elsewhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.storage import paths
from app.storage.json_store import JsonStore, StoreTrouble
from engine.errors import EngineError, ErrorCode
from engine.presets import HARDWARE_PROFILES
from engine.settings import HardwareSettings

PROFILES_VERSION = 1


class ProfileStore(JsonStore):
    """Shipped and own profiles by name; the file holds the own ones.

    Attributes:
        damaged: names of own profiles that were left out because their values are not valid.
    """

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or paths.config_dir() / "profiles.json", PROFILES_VERSION)
        self.damaged: tuple[str, ...] = ()
        self._own: dict[str, HardwareSettings] = {}
        self._kept_damaged: dict[str, Any] = {}
        data = self.read()
        if data is not None:
            self._take(data)

    def names(self) -> tuple[str, ...]:
        """All names: the shipped ones in their order, then the own ones by the alphabet."""
        return (*HARDWARE_PROFILES, *self.own_names())

    def own_names(self) -> tuple[str, ...]:
        """Names of the person's own profiles."""
        return tuple(sorted(self._own, key=str.casefold))

    def is_shipped(self, name: str) -> bool:
        """Whether a profile is one of ours and so cannot be changed."""
        return name in HARDWARE_PROFILES

    def get(self, name: str) -> HardwareSettings:
        """Settings of a profile.

        Raises:
            EngineError: ``profile_missing``.
        """
        settings = HARDWARE_PROFILES.get(name) or self._own.get(name)
        if settings is None:
            raise EngineError(ErrorCode.PROFILE_MISSING, name=name, available=list(self.names()))
        return settings

    def save(self, name: str, settings: HardwareSettings) -> None:
        """Create or replace an own profile.

        Raises:
            EngineError: ``profile_read_only`` for a shipped name, ``profile_invalid`` for an empty one.
        """
        name = _checked_name(name)
        self._refuse_shipped(name)
        self._write_own({**self._own, name: settings})

    def rename(self, old: str, new: str) -> None:
        """Give an own profile another name.

        Raises:
            EngineError: ``profile_missing``, ``profile_read_only``, ``profile_exists`` or ``profile_invalid``.
        """
        new = _checked_name(new)
        self._refuse_shipped(old)
        settings = self.get(old)
        if new == old:
            return
        if new in self.names():
            raise EngineError(ErrorCode.PROFILE_EXISTS, name=new)
        remaining = {name: value for name, value in self._own.items() if name != old}
        self._write_own({**remaining, new: settings})

    def delete(self, name: str) -> None:
        """Remove an own profile.

        Raises:
            EngineError: ``profile_missing`` or ``profile_read_only``.
        """
        self._refuse_shipped(name)
        self.get(name)
        self._write_own({other: value for other, value in self._own.items() if other != name})

    def export_file(self, name: str, target: Path) -> None:
        """Write one profile, shipped or own, to a file that `import_file` reads."""
        profiles = {name: self.get(name).model_dump(mode="json")}
        try:
            JsonStore(target, PROFILES_VERSION).write({"profiles": profiles})
        except OSError as error:
            raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=target, detail=str(error)) from error

    def import_file(self, source: Path) -> tuple[str, ...]:
        """Add the profiles of an exported file; a name that is taken gets a number behind it.

        Raises:
            EngineError: ``profile_invalid`` for a broken or newer file, ``file_missing``.
        """
        imported = {**self._own}
        names = []
        for wanted, settings in _read_exported(source).items():
            name = _free_name(wanted, {*HARDWARE_PROFILES, *imported})
            imported[name] = settings
            names.append(name)
        self._write_own(imported)
        return tuple(names)

    def _take(self, data: dict[str, Any]) -> None:
        profiles = data.get("profiles")
        for name, values in profiles.items() if isinstance(profiles, dict) else ():
            if name in HARDWARE_PROFILES:
                continue
            try:
                self._own[name] = HardwareSettings.model_validate(values)
            except ValidationError:
                self._kept_damaged[name] = values
        self.damaged = tuple(self._kept_damaged)

    def _refuse_shipped(self, name: str) -> None:
        if self.is_shipped(name):
            raise EngineError(ErrorCode.PROFILE_READ_ONLY, name=name)

    def _write_own(self, own: dict[str, HardwareSettings]) -> None:
        if self.problem is not None and self.problem.trouble is StoreTrouble.NEWER:
            raise EngineError(ErrorCode.PROFILE_INVALID, file=self.path, reason="newer")
        if self.problem is not None and self.problem.trouble is StoreTrouble.UNREADABLE:
            raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=self.path, detail="unreadable")
        profiles = {**self._kept_damaged, **{name: value.model_dump(mode="json") for name, value in own.items()}}
        try:
            self.write({"profiles": profiles})
        except OSError as error:
            raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=self.path, detail=str(error)) from error
        self._own = own


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise EngineError(ErrorCode.PROFILE_INVALID, reason="name", name=name)
    return name


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} ({number})", number + 1
    return name


def _read_exported(source: Path) -> dict[str, HardwareSettings]:
    """Read an exported file; unlike our own store it belongs to the person and is never renamed."""
    try:
        data = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EngineError(ErrorCode.FILE_MISSING, file=source) from error
    except (OSError, ValueError) as error:
        raise EngineError(ErrorCode.PROFILE_INVALID, file=source, reason="corrupt") from error
    if not isinstance(data, dict) or not isinstance(data.get("profiles"), dict) or not data["profiles"]:
        raise EngineError(ErrorCode.PROFILE_INVALID, file=source, reason="corrupt")
    version = data.get("version")
    if not isinstance(version, int) or version > PROFILES_VERSION:
        raise EngineError(ErrorCode.PROFILE_INVALID, file=source, reason="newer")
    try:
        return {
            _checked_name(str(name)): HardwareSettings.model_validate(value) for name, value in data["profiles"].items()
        }
    except ValidationError as error:
        raise EngineError(ErrorCode.PROFILE_INVALID, file=source, reason="values", detail=str(error)) from error
