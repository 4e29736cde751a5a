"""What the window does around a verification: choosing the file, starting, showing how far it is and its outcome."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QFileDialog

from app.text.log_lines import Level, error_lines
from app.text.verification import ClaimedQuality, verification_lines
from app.work.controller import State
from engine.errors import EngineError

if TYPE_CHECKING:
    from app.window.main_window import MainWindow
    from engine.results import Verification


class WindowVerify(QObject):
    """Carries verifications from the controller into the window's parts."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._lora: Path | None = None
        controller = window.controller
        window.frame.bar.verify_clicked.connect(self.verify)
        controller.verify_progress.connect(window.frame.bar.show_verify_progress)
        controller.verified.connect(self._on_verified)
        controller.verify_failed.connect(self._on_failed)

    @Slot()
    def choose(self) -> None:
        """Let the person pick any LoRA, and measure it against the two models of the window."""
        window = self._window
        caption, kinds = self.tr("Verify a LoRA against the two models"), self.tr("LoRA (*.safetensors)")
        name, _filter = QFileDialog.getOpenFileName(window, caption, str(window.output_dir), kinds)
        if name:
            self.verify(Path(name))

    @Slot(object)
    def verify(self, lora: Path) -> None:
        """Measure a LoRA against the two models of the window."""
        if not self._window.queue_control.running and self._window.controller.verify(lora):
            self._lora = lora
            self._window.frame.bar.show_verifying(lora)

    def show_state(self, state: State) -> None:
        """After a verification that was stopped, the bar goes back to what it said before."""
        if self._lora is not None and state is not State.VERIFYING:
            self._lora = None
            self._window.frame.bar.show_verify_ended()

    def stop(self) -> None:
        """Stop the verification; nothing is lost by it, so nobody is asked."""
        self._window.frame.bar.show_verify_stopping()
        self._window.controller.stop()

    @Slot(object, object, object)
    def _on_verified(self, verification: Verification, lora: Path, claimed: ClaimedQuality | None) -> None:
        frame = self._window.frame
        for line in verification_lines(lora, verification, claimed):
            frame.run.write(Level.INFO, line)
        frame.bar.show_verified(lora, verification, claimed)

    @Slot(object)
    def _on_failed(self, error: EngineError) -> None:
        frame = self._window.frame
        for line in error_lines(error):
            frame.run.write(*line)
        if self._lora is not None:
            frame.bar.show_verify_failed(self._lora, error)
