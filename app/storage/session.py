"""What comes back at the next start: files, settings, profile, output folder, theme, geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.parameters import offered
from app.storage import paths
from app.storage.json_store import JsonStore
from engine.presets import DEFAULT_PROFILE
from engine.settings import ExtractionSettings, HardwareSettings

SESSION_VERSION = 1
RECENT_LIMIT = 8

SettingsModel = TypeVar("SettingsModel", bound=BaseModel)


class SessionState(BaseModel):
    """The window as it was left. Settings are kept loosely: one bad value must not cost the others."""

    model_config = ConfigDict(extra="ignore")

    version: int = SESSION_VERSION
    finetuned: str | None = None
    original: str | None = None
    recent_finetuned: list[str] = Field(default_factory=list)
    recent_original: list[str] = Field(default_factory=list)
    extraction: dict[str, Any] = Field(default_factory=dict)
    also: list[dict[str, Any]] = Field(default_factory=list)
    hardware: dict[str, Any] = Field(default_factory=dict)
    profile: str | None = None
    output_dir: str | None = None
    theme: Literal["system", "light", "dark"] = "system"
    geometry: str = ""
    more_options: bool = False
    more_hardware: bool = False
    welcomed: bool = False
    search_folders: list[str] = Field(default_factory=list)

    def extraction_settings(self) -> ExtractionSettings:
        """The extraction settings; values that are no longer valid fall back to their defaults."""
        return valid_part(ExtractionSettings, self.extraction)

    def further_settings(self) -> tuple[ExtractionSettings, ...]:
        """The settings of each further file of a run, likewise."""
        return tuple(valid_part(ExtractionSettings, values) for values in self.also)

    def hardware_settings(self) -> HardwareSettings:
        """The hardware settings; values that are no longer valid fall back to their defaults."""
        return valid_part(HardwareSettings, self.hardware)

    def profile_name(self) -> str:
        """The profile that was chosen, or the one every start begins with."""
        return self.profile or DEFAULT_PROFILE

    def output_folder(self) -> Path:
        """The chosen output folder, or the default one."""
        return Path(self.output_dir) if self.output_dir else paths.default_output_dir()


def remember_recent(recent: list[str], path: Path) -> list[str]:
    """Put a file at the head of a list of recent files, once."""
    text = str(path)
    return [text, *(other for other in recent if other != text)][:RECENT_LIMIT]


def valid_part(model: type[SettingsModel], values: dict[str, Any]) -> SettingsModel:
    """Build settings from values of which some may be unknown or out of range."""
    kept = {name: value for name, value in offered(values).items() if name in model.model_fields}
    while True:
        try:
            return model.model_validate(kept)
        except ValidationError as error:
            bad = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
            remaining = {name: value for name, value in kept.items() if name not in bad}
            if len(remaining) == len(kept):
                return model()
            kept = remaining


class SessionStore(JsonStore):
    """Reads and writes the session file."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or paths.config_dir() / "session.json", SESSION_VERSION)

    def load(self) -> SessionState:
        """Read the last session; a missing or broken file gives a fresh one."""
        return self.read_as(SessionState) or SessionState()

    def save(self, state: SessionState) -> None:
        """Write the session, unless the file there belongs to a newer version of this program.

        Raises:
            OSError: the file cannot be written.
        """
        self.write_model(state)


class PassingSession(SessionStore):
    """A session that begins with what it is given and leaves nothing behind; the person's file is not even read."""

    def __init__(self, state: SessionState) -> None:
        super().__init__()
        self._state = state

    def load(self) -> SessionState:
        """What it was given."""
        return self._state

    def save(self, state: SessionState) -> None:
        """Forget it."""
