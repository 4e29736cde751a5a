"""The request on the left and above: cards of the models, forms of the settings."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, QSignalBlocker, Slot

from app.widgets.models.models_row import ModelsRow
from app.widgets.settings.hardware_panel import HardwarePanel
from app.widgets.settings.lora_panel import OptionsPanel
from app.window.model import WindowModel
from app.work.controller import Controller
from app.work.requests import BackgroundAnswer, Inspected


@dataclass(frozen=True)
class RequestViews:
    """What a request is edited with."""

    models: ModelsRow
    options: OptionsPanel
    hardware: HardwarePanel


class WindowRequest(QObject):
    """Keeps the model's request and the cards and forms the same, and has chosen models inspected."""

    def __init__(self, parent: QObject, model: WindowModel, controller: Controller, views: RequestViews) -> None:
        super().__init__(parent)
        self._model, self._controller, self._views = model, controller, views
        views.models.changed.connect(self._models_chosen)
        for panel in (views.options, views.hardware):
            panel.changed.connect(self._note_settings)
            panel.shown.connect(self._note_settings)
        model.models_changed.connect(self._on_models)
        model.extraction_wanted.connect(views.options.show_settings)
        model.hardware_wanted.connect(views.hardware.show_values)
        model.locked_changed.connect(self._on_locked)
        controller.answered.connect(self._on_answer)
        self._note_settings()

    @Slot()
    def _models_chosen(self) -> None:
        self._model.set_models(*self._views.models.models())

    @Slot()
    def _note_settings(self) -> None:
        options, hardware = self._views.options, self._views.hardware
        troubles = (*options.troubles(), *hardware.troubles())
        self._model.note_settings(options.settings(), hardware.settings(), troubles, options.also())

    @Slot()
    def _on_models(self) -> None:
        """Show the models where something else than the cards chose them, and find out what they are."""
        row, models = self._views.models, self._model.request.models
        if row.models() != models:
            with QSignalBlocker(row):
                row.set_models(*models)
        finetuned, original = models
        self._controller.inspect("finetuned", finetuned)
        self._controller.inspect("original", original)

    @Slot(bool)
    def _on_locked(self, locked: bool) -> None:
        """Refuse changes of what a run, a verification or the queue works with."""
        self._views.models.set_locked(locked)
        self._views.options.setEnabled(not locked)
        self._views.hardware.setEnabled(not locked)

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        if not isinstance(answer, Inspected):
            return
        models = self._views.models
        card = models.finetuned if answer.request.side == "finetuned" else models.original
        if answer.error is not None:
            card.show_error(answer.error)
        elif answer.summary is not None:
            card.show_summary(answer.summary)
