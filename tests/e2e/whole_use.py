"""One whole use of the program by its real widgets: pick, extract, stop, continue, judge, try a rank, verify, queue.

Run as a program of its own, with a screen: ``python whole_use.py FOLDER``. Pictures go into FOLDER/pictures, and what
was seen into FOLDER/seen.json. The device is made slow, so that there is a middle to stop in.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
FOLDER = Path(sys.argv[1])
os.environ["LORA_EXTRACTOR_HOME"] = str(FOLDER / "LoRA Extractor")

from person import Person, with_dialog  # noqa: E402
from PySide6.QtCore import QPoint, Qt  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QApplication, QDialog, QSpinBox, QWidget  # noqa: E402

from app.demo.pair import FINETUNED, ORIGINAL  # noqa: E402
from app.storage.preferences import PreferenceStore  # noqa: E402
from app.widgets.result.files_panel import FileRow  # noqa: E402
from app.window.application import begin  # noqa: E402
from app.window.frame import Tab  # noqa: E402
from app.window.main_window import MainWindow  # noqa: E402
from app.work.controller import State  # noqa: E402
from engine.devices.device import Device  # noqa: E402

SECONDS_PER_LAYER = 0.09
RANK, OTHER_RANK = 32, 16
CHOSEN_ROWS = (3, 5, 8)
FURTHER_RANKS = (2, 16)


def slow_device() -> None:
    """Let the work on every layer take its time."""
    computing = Device.computing

    @contextmanager
    def slowly(device: Device) -> Iterator[None]:
        time.sleep(SECONDS_PER_LAYER)
        with computing(device):
            yield

    Device.computing = slowly  # type: ignore[assignment, method-assign]


class WholeUse:
    """The steps, in their order; `seen` is what the test checks afterwards."""

    def __init__(self, window: MainWindow) -> None:
        self.window, self.frame = window, window.frame
        self.person = Person(window, FOLDER / "pictures")
        self.seen: dict[str, object] = {}

    def all(self) -> None:
        """From the first start to the last click."""
        self.greet()
        self.pick()
        self.extract_and_stop()
        self.go_on()
        self.look_at_layers()
        self.write_another_rank()
        self.verify()
        self.queue()
        self.several()
        self.settings_and_log()

    def greet(self) -> None:
        """The first start names a profile."""
        cards = [item for item in self.window.findChildren(QWidget) if type(item).__name__ == "WelcomeCard"]
        assert len(cards) == 1
        self.person.wait(lambda: cards[0].use.isEnabled(), "the suggested profile")  # type: ignore[attr-defined]
        self.person.picture("first-start")
        self.person.click(cards[0].use)  # type: ignore[attr-defined]

    def pick(self) -> None:
        """Both models by the cards' buttons, a rank by its number."""
        self.person.choose_file(self.frame.models.finetuned.browse, FINETUNED)
        self.person.choose_file(self.frame.models.original.browse, ORIGINAL)
        self.person.wait(lambda: self.window.controller.state is State.READY, "the pair")
        self.type_rank(RANK)
        self.person.wait(lambda: f"rank_{RANK}_" in self.frame.bar.headline.text(), "the plan")
        self.person.wait(lambda: self.window.controller.estimate is not None, "the estimate")
        self.person.picture("ready")
        self.seen["layers"] = len(self.window.controller.current.plan.layers)  # type: ignore[union-attr]

    def extract_and_stop(self) -> None:
        """Ctrl+Return, look, Esc in the middle, and the answer that stops."""
        total = int(str(self.seen["layers"]))
        self.person.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
        self.person.wait(lambda: self.frame.run.layers_done() > total // 4, "a quarter of the layers")
        self.person.picture("running")
        self.person.choose_in_message(lambda: self.person.press(Qt.Key.Key_Escape), "Stop", "stop-question")
        self.person.wait(lambda: self.ended(State.STOPPED), "the stop")
        self.seen["stopped_after"] = self.frame.run.layers_done()
        self.seen["written_when_stopped"] = self.written()
        self.person.picture("stopped")

    def go_on(self) -> None:
        """Extract goes on where it stopped, without a question."""
        self.person.click(self.frame.bar.extract)
        self.person.wait(lambda: self.ended(State.DONE), "the LoRA")
        self.seen["first"] = self.written()
        self.seen["kept"] = self.frame.run.panel.batches.detail.text()
        assert self.frame.tabs.shown_tab() is Tab.RESULT
        self.person.picture("result")

    def look_at_layers(self) -> None:
        """Several layers side by side."""
        self.person.show_tab(self.frame.run.layers.table)
        table = self.frame.run.layers.table.table
        self.person.click(table.horizontalHeader().viewport(), self.header_of(4))
        for number in CHOSEN_ROWS:
            place = table.visualRect(table.model().index(number, 0)).center()
            held = Qt.KeyboardModifier.ControlModifier if number != CHOSEN_ROWS[0] else Qt.KeyboardModifier.NoModifier
            QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, held, place)
        self.seen["chosen"] = len(self.frame.run.choice.names)
        self.person.picture("layers")

    def write_another_rank(self) -> None:
        """A smaller rank from the decomposition at hand."""
        self.person.show_tab(self.frame.run.result)
        explore = self.frame.run.result.explore
        self.type_number(explore.slider, OTHER_RANK)
        self.person.wait(lambda: explore.write.isEnabled(), "an answer")
        self.seen["promised_bytes"] = explore.answer.size.low if explore.answer else 0
        self.person.picture("explore")
        self.person.click(explore.write)
        self.person.wait(lambda: len(self.written()) == 2 and self.ended(State.DONE), "the second LoRA")
        self.seen["second"] = self.written()

    def verify(self) -> None:
        """Measure the new file against both models."""
        self.person.click(self.frame.bar.verify)
        self.person.wait(lambda: not self.window.controller.busy and self.frame.bar.extract.isEnabled(), "verified")
        self.seen["verified"] = self.frame.bar.detail.text()
        self.person.picture("verified")

    def queue(self) -> None:
        """Two jobs, one after the other."""
        self.person.show_tab(self.frame.queue)
        for rank in (4, 8):
            self.type_rank(rank)
            self.person.rest()
            self.person.press(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier)
        self.person.picture("queue")
        self.window.menus.actions["run_queue"].trigger()
        self.person.wait(lambda: len(self.written()) == 4 and not self.window.model.queue_running, "the queue")
        self.seen["queue"] = self.written()
        self.person.picture("queue-done")

    def several(self) -> None:
        """Three ranks in one run, from what is at hand, and the layers of the second file."""
        options = self.frame.options
        self.person.click(options.more)
        QTest.keyClicks(options.further.ranks, ", ".join(map(str, FURTHER_RANKS)))
        count = str(1 + len(FURTHER_RANKS))
        self.person.wait(lambda: self.frame.models.pair.detail.text().find(f"{count} files") >= 0, "the plan of all")
        self.person.click(options.more)
        self.person.click(self.frame.bar.extract)
        self.person.wait(lambda: len(self.written()) == 7 and self.ended(State.DONE), "three LoRAs")
        self.seen["several"] = self.written()[-3:]
        self.person.show_tab(self.frame.run.result)
        files = self.frame.run.result.files
        self.person.picture("several")
        self.person.click(list(files.findChildren(FileRow))[1].shown)
        self.seen["shown"] = self.frame.run.result.quality.detail.text()

    def settings_and_log(self) -> None:
        """Look into the settings, and at the log."""

        def look(dialog: QDialog) -> None:
            for theme in ("light", "dark"):
                self.window.theme.set_choice(theme)  # type: ignore[arg-type]
                self.person.rest()
                self.person.picture_of(dialog, f"settings-{theme}")
            dialog.reject()

        with_dialog(self.person, self.window.menus.actions["settings"].trigger, look)
        self.person.show_tab(self.frame.run.log)
        self.person.picture("log")
        self.seen["log"] = self.frame.run.log.as_text()

    def ended(self, state: State) -> bool:
        """Whether a run has ended, and the next one could begin."""
        controller = self.window.controller
        return controller.state is state and not controller.busy and self.frame.bar.extract.isEnabled()

    def type_rank(self, rank: int) -> None:
        """Type the rank into its field on the left."""
        self.type_number(self.frame.options.form.rows["rank"].editor, rank)

    def type_number(self, control: QWidget, number: int) -> None:
        """Type a number into the field beside a slider."""
        field = control.findChild(QSpinBox)
        assert field is not None
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, str(number))
        QTest.keyClick(field, Qt.Key.Key_Tab)

    def header_of(self, column: int) -> QPoint:
        """The middle of a column's title."""
        header = self.frame.run.layers.table.table.horizontalHeader()
        place = header.sectionViewportPosition(column) + header.sectionSize(column) // 2
        return QPoint(place, header.height() // 2)

    def written(self) -> list[str]:
        """Names of the LoRAs that are there, oldest first."""
        files = (self.window.model.request.output_dir / "loras").glob("*.safetensors")
        return [file.name for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]


def main() -> int:
    """Use the window, close it, and write down what was seen."""
    slow_device()
    application, _reporter = begin(PreferenceStore().load().language)
    window = MainWindow()
    window.theme.set_choice("light")
    window.move(0, 0)
    window.show()
    window.activateWindow()
    use = WholeUse(window)
    try:
        use.all()
    except BaseException:
        traceback.print_exc()
        use.person.picture_of(window, "where-it-stood")
        os._exit(1)  # threads are on their way still
    (FOLDER / "seen.json").write_text(json.dumps(use.seen, indent=1))
    window.close()
    QApplication.processEvents()
    assert not window.isVisible()
    del application
    return 0


if __name__ == "__main__":
    sys.exit(main())
