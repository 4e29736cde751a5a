"""A verification: the file is chosen, measured against the two models, and its outcome shown in the bar and the log."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QFileDialog, QWidget

from app.text.log_lines import Level, error_lines
from app.text.verification import verdict, verification_lines
from app.text.window_text import short_error_text
from app.widgets.bar.bottom_bar import BottomBar
from app.widgets.bar.result_card import tone_of
from app.widgets.result.files_panel import FilesPanel
from app.window.model import WindowModel
from app.work.controller import Controller, State
from app.work.requests import VerificationFailed, Verified, VerifyAnswer
from engine.errors import EngineError
from engine.events import VerifyProgress


class WindowVerify(QObject):
    """Starts and stops verifications, and shows them."""

    def __init__(
        self, window: QWidget, model: WindowModel, controller: Controller, bar: BottomBar, files: FilesPanel
    ) -> None:
        super().__init__(window)
        self._window, self._model, self._controller, self._bar = window, model, controller, bar
        self._files = files
        self._lora: Path | None = None
        bar.verify_clicked.connect(self.verify)
        files.verify_clicked.connect(self.verify)
        model.locked_changed.connect(files.set_locked)
        controller.verify_event.connect(self._on_event)
        controller.state_changed.connect(self._on_state)

    @Slot()
    def choose(self) -> None:
        """Let the person pick any LoRA, and measure it against the two models of the window."""
        caption, kinds = self.tr("Verify a LoRA against the two models"), self.tr("LoRA (*.safetensors)")
        folder = str(self._model.request.output_dir)
        name, _filter = QFileDialog.getOpenFileName(self._window, caption, folder, kinds)
        if name:
            self.verify(Path(name))

    @Slot(object)
    def verify(self, lora: Path) -> None:
        """Measure a LoRA against the two models of the window."""
        if self._controller.verify(lora):
            self._lora = lora
            self._bar.show_verifying(lora)

    def stop(self) -> None:
        """Stop the verification; nothing is lost by it, so there is no question."""
        self._bar.show_verify_stopping()
        self._controller.stop()

    @Slot(object)
    def _on_state(self, state: State) -> None:
        """After a verification that was stopped, the bar goes back to what it said before."""
        if self._lora is not None and state is not State.VERIFYING:
            self._lora = None
            self._bar.show_verify_ended()

    @Slot(object)
    def _on_event(self, event: VerifyAnswer) -> None:
        match event:
            case VerifyProgress():
                self._bar.show_verify_progress(event.done, event.total)
            case Verified(lora, verification, claimed):
                lines = verification_lines(lora, verification, claimed)
                for line in lines:
                    self._model.write(Level.INFO, line)
                found, tone = verdict(verification, claimed), tone_of(verification, claimed)
                self._files.show_found(lora, found, "\n".join(lines), tone=tone)
                self._bar.show_verified(lora, verification, claimed)
            case VerificationFailed(lora, EngineError() as error):
                for level, text in error_lines(error):
                    self._model.write(level, text)
                if self._lora is not None:
                    self._files.show_found(
                        lora, self.tr("not verified"), "\n".join(short_error_text(error)), tone="bad"
                    )
                    self._bar.show_verify_failed(lora, error)
