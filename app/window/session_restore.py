"""Carries the last session into the window at the start, and out of it at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray

from app.storage.session import SessionState

if TYPE_CHECKING:
    from app.window.main_window import MainWindow


def restore_session(window: MainWindow) -> None:
    """Show the last session: settings, profile, recent files, geometry, and the two models."""
    session, frame = window.session, window.frame
    frame.options.show_settings(session.extraction_settings())
    frame.options.show_more(session.more_options)
    frame.hardware.profiles.set_name(session.profile_name())
    if session.hardware:
        frame.hardware.show_settings(session.hardware_settings())
    else:
        frame.hardware.show_settings(window.profiles.get(frame.hardware.profiles.name))
    frame.hardware.show_more(session.more_hardware)
    frame.models.finetuned.set_recent(session.recent_finetuned)
    frame.models.original.set_recent(session.recent_original)
    if session.geometry:
        window.restoreGeometry(QByteArray.fromBase64(session.geometry.encode()))
    finetuned, original = (Path(text) if text else None for text in (session.finetuned, session.original))
    window.set_models(finetuned, original)


def session_of(window: MainWindow) -> SessionState:
    """The session as the window shows it; settings that cannot be used stay as they were."""
    finetuned, original = window.frame.models.models()
    options, hardware = window.frame.options, window.frame.hardware
    extraction, machine = options.settings(), hardware.settings()
    return window.session.model_copy(
        update={
            "finetuned": str(finetuned) if finetuned else None,
            "original": str(original) if original else None,
            "extraction": extraction.model_dump(mode="json") if extraction else window.session.extraction,
            "hardware": machine.model_dump(mode="json") if machine else window.session.hardware,
            "profile": hardware.profiles.name,
            "output_dir": str(window.output_dir),
            "theme": window.theme.choice,
            "geometry": bytes(window.saveGeometry().toBase64().data()).decode(),
            "more_options": options.more_shown(),
            "more_hardware": hardware.more_shown(),
        }
    )
