"""The session: restored at the start, saved at the end, with warnings about files that could not be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QByteArray, QObject, Slot
from PySide6.QtWidgets import QBoxLayout, QWidget

from app.look.theme import Theme
from app.storage.json_store import StoreProblem, StoreTrouble
from app.storage.profiles import ProfileStore
from app.storage.session import SessionState, SessionStore, remember_recent
from app.text.log_lines import Level
from app.widgets.basics.notice_bar import NoticeBar
from app.widgets.models.models_row import ModelsRow
from app.widgets.settings.hardware_panel import HardwarePanel
from app.widgets.settings.lora_panel import OptionsPanel
from app.window.model import WindowModel
from app.work.controller import Controller
from app.work.requests import BackgroundAnswer, Inspected


@dataclass(frozen=True)
class SessionViews:
    """What a session remembers of the window beside the request, and where notices go."""

    models: ModelsRow
    options: OptionsPanel
    hardware: HardwarePanel
    notices: QBoxLayout


class WindowSession(QObject):
    """Restores and saves the model's session, and keeps its lists of recent files."""

    def __init__(
        self,
        window: QWidget,
        model: WindowModel,
        controller: Controller,
        store: SessionStore,
        views: SessionViews,
        theme: Theme,
    ) -> None:
        super().__init__(window)
        self._window, self._model, self._store, self._theme = window, model, store, theme
        self._models, self._options, self._hardware = views.models, views.options, views.hardware
        self._notices = views.notices
        controller.answered.connect(self._on_answer)

    def restore(self, profiles: ProfileStore) -> None:
        """Show the last session: settings, profile, recent files, geometry, and the two models."""
        session, hardware = self._model.session, self._hardware
        self._model.show_extraction(session.extraction_settings(), session.further_settings())
        self._options.show_more(session.more_options)
        hardware.profiles.set_name(session.profile_name())
        machine = session.hardware_settings() if session.hardware else profiles.get(hardware.profiles.name)
        self._model.show_hardware(machine.model_dump())
        hardware.show_more(session.more_hardware)
        self._models.finetuned.set_recent(session.recent_finetuned)
        self._models.original.set_recent(session.recent_original)
        if session.geometry:
            self._window.restoreGeometry(QByteArray.fromBase64(session.geometry.encode()))
        finetuned, original = (Path(text) if text else None for text in (session.finetuned, session.original))
        self._model.set_models(finetuned, original)

    @Slot()
    def save(self) -> None:
        """Save the session; a failure is a warning in the log."""
        self._model.session = self._session()
        try:
            self._store.save(self._model.session)
        except OSError as error:
            text = self.tr("The session could not be saved: {error}")
            self._model.write(Level.WARNING, text.format(error=error))

    def report_problems(self, *problems: StoreProblem | None, damaged: Sequence[str] = ()) -> None:
        """Write into the log which files of the last time could not be used, and which profiles."""
        for problem in problems:
            if problem is not None:
                text = self._problem_text(problem)
                self._model.write(Level.WARNING, text)
                self._notices.addWidget(NoticeBar(self._theme, text))
        for name in damaged:
            text = self.tr("The profile \u201c{name}\u201d has values that are not allowed and was left out.")
            self._model.write(Level.WARNING, text.format(name=name))

    def _session(self) -> SessionState:
        """The session as the window shows it; settings that cannot be used stay as they were."""
        request, last, options, hardware = self._model.request, self._model.session, self._options, self._hardware
        finetuned, original = request.models
        extraction, machine = request.extraction, request.hardware
        return last.model_copy(
            update={
                "finetuned": str(finetuned) if finetuned else None,
                "original": str(original) if original else None,
                "extraction": extraction.model_dump(mode="json") if extraction else last.extraction,
                "also": [item.model_dump(mode="json") for item in request.also] if extraction else last.also,
                "hardware": machine.model_dump(mode="json") if machine else last.hardware,
                "profile": hardware.profiles.name,
                "output_dir": str(request.output_dir),
                "theme": self._theme.choice,
                "geometry": bytes(self._window.saveGeometry().toBase64().data()).decode(),
                "more_options": options.more_shown(),
                "more_hardware": hardware.more_shown(),
            }
        )

    def _problem_text(self, problem: StoreProblem) -> str:
        if problem.trouble is StoreTrouble.NEWER:
            text = self.tr("{file} was written by a newer version of this program. It is left as it is and not used.")
        elif problem.trouble is StoreTrouble.UNREADABLE:
            text = self.tr("{file} cannot be read. It is left as it is and not used.")
        else:
            text = self.tr("{file} was damaged. It was set aside as {aside}; everything starts with its defaults.")
        return text.format(file=problem.file, aside=problem.set_aside.name if problem.set_aside else "")

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        """A model that could be read is offered as a recent one."""
        if isinstance(answer, Inspected) and answer.error is None and answer.summary is not None:
            side, session = answer.request.side, self._model.session
            recent = remember_recent(getattr(session, f"recent_{side}"), answer.summary.path)
            setattr(session, f"recent_{side}", recent)
            card = self._models.finetuned if side == "finetuned" else self._models.original
            card.set_recent(recent)
