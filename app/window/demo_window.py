"""The demo in the window: extracts from the pair that ships with the program, then shows what the LoRA can do.

The person's session is neither read nor written. The comparison needs torch and runs on a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer, Signal, Slot

from app.demo.pair import FINETUNED, ORIGINAL, PICTURE, SETTINGS, show
from app.storage.preferences import PreferenceStore
from app.storage.session import PassingSession, SessionState
from app.system.abandoned_threads import leave_process, left_behind
from app.widgets.help.demo_dialog import DemoDialog
from app.window.application import begin
from app.window.main_window import MainWindow
from app.work.background import thread_with
from app.work.engine_port import as_engine_error, without_traceback
from app.work.live_queue import LiveQueue, PassingQueue
from app.work.requests import Extracted, RunAnswer
from engine.cancel import CancelToken
from engine.errors import EngineError

INTERRUPTED = 130
CANCEL_CHECK_MS = 200


@dataclass(frozen=True)
class Comparing:
    """A LoRA to compare, the picture to draw, and what raises once the window is closed."""

    lora: Path
    picture: Path
    check: Callable[[], None]


@dataclass(frozen=True)
class Compared:
    """What `app.demo.pair.show` found."""

    found: dict[str, Any]


@dataclass(frozen=True)
class ComparisonFailed:
    """The comparison has ended without a picture."""

    error: EngineError


class ComparisonWorker(QObject):
    """Compares the three models and draws the picture.

    Attributes:
        answered: `Compared` or `ComparisonFailed`.
    """

    answered = Signal(object)

    @Slot(object)
    def compare(self, task: Comparing) -> None:
        """Work; takes some seconds."""
        answer: Compared | ComparisonFailed
        try:
            answer = Compared(show(task.lora, task.picture, task.check))
        except BaseException as error:
            answer = ComparisonFailed(without_traceback(as_engine_error(error)))
        self.answered.emit(answer)


class DemoGuide(QObject):
    """Leads a window through the demo: starts the extraction, and shows the comparison once there is a LoRA.

    Attributes:
        dialog: shows the comparison; hidden until the extraction is done.
    """

    _compare = Signal(object)

    def __init__(self, window: MainWindow, output_dir: Path) -> None:
        super().__init__()
        self._window = window
        self._output_dir = output_dir
        self._compared = False
        self._cancel = CancelToken()
        self.dialog = DemoDialog(window)
        self.dialog.folder_clicked.connect(window.commands.open_folder)
        self._worker = ComparisonWorker()
        self._thread = thread_with("comparison", self._worker)
        self._compare.connect(self._worker.compare)
        self._worker.answered.connect(self._on_answer)
        self._thread.start()
        window.controller.run_event.connect(self._on_run)

    def shut_down(self) -> None:
        """End the thread; waits for a comparison to reach its next check."""
        self._cancel.cancel()
        self._thread.quit()
        self._thread.wait()

    @Slot(object)
    def _on_run(self, event: RunAnswer) -> None:
        """Compare the first LoRA; what is extracted after it need not be of the demo pair."""
        if self._compared or not isinstance(event, Extracted):
            return
        self._compared = True
        self.dialog.show_working()
        self.dialog.show()
        self._compare.emit(Comparing(event.result.outputs[0].path, self._output_dir / PICTURE, self._cancel.check))

    @Slot(object)
    def _on_answer(self, answer: Compared | ComparisonFailed) -> None:
        match answer:
            case Compared(found):
                self.dialog.show_comparison(Path(found["picture"]), found["losses"], found["recovered"])
            case ComparisonFailed(error):
                self.dialog.show_error(error)


def make_demo_window(output_dir: Path) -> tuple[MainWindow, DemoGuide]:
    """A window that shows the demo pair and writes to a folder, and its guide."""
    output_dir = output_dir.resolve()
    state = SessionState(
        finetuned=str(FINETUNED),
        original=str(ORIGINAL),
        extraction=SETTINGS.model_dump(mode="json"),
        output_dir=str(output_dir),
    )
    window = MainWindow(PassingSession(state), queue=LiveQueue(PassingQueue()))
    return window, DemoGuide(window, output_dir)


def run_demo_window(output_dir: Path, cancel: CancelToken) -> int:
    """Show the demo until the window is closed or `cancel` is set.

    Returns:
        The application's exit status.
    """
    application, _reporter = begin(PreferenceStore().load().language)
    window, guide = make_demo_window(output_dir)
    window.show()

    def check() -> None:
        if cancel.cancelled:
            QCoreApplication.exit(INTERRUPTED)

    timer = QTimer()
    timer.timeout.connect(check)
    timer.start(CANCEL_CHECK_MS)
    QTimer.singleShot(0, window, window.extract)
    status = application.exec()
    timer.stop()
    window.hide()
    guide.shut_down()
    window.settings_control.shut_down()
    window.controller.shut_down()
    if left_behind():
        leave_process(status)
    # Deleted here and now: the garbage collector might do it later, in a bad order or on another thread.
    window.deleteLater()
    QCoreApplication.sendPostedEvents(window, QEvent.Type.DeferredDelete)
    return status
