"""What the window does around a plan: the third card, and beside Extract what it will do or why it cannot."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from app.text.notices import notice_text
from app.text.translation import whole
from app.text.window_text import NOT_OF_THE_MODELS, why_not
from app.widgets.basics.fields import component_title
from app.work.controller import ENDED, State
from engine.events import NoticeCode

if TYPE_CHECKING:
    from app.window.main_window import MainWindow
    from app.work.requests import Prepared

# Remarks that the panels make themselves, or that matter only in the log.
SAID_ELSEWHERE = (NoticeCode.ADAPTIVE_PARAM_UNUSUAL,)


class WindowPlan(QObject):
    """Carries plans and their estimates from the controller into the window's parts."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._focus_extract = False
        window.controller.prepared.connect(self._on_prepared)
        window.controller.estimated.connect(window.frame.models.pair.show_estimate)

    def expect_focus(self) -> None:
        """A run has ended: Extract takes the focus once it can be pressed again."""
        self._focus_extract = True

    def refresh_bar(self) -> None:
        """Say beside Extract what it will do, or why it cannot."""
        window = self._window
        bar, controller = window.frame.bar, window.controller
        window.queue_control.offer()
        if window.queue_control.running or controller.state is State.VERIFYING:
            return
        current = controller.current
        ready = current is not None and current.plan is not None
        window.commands.set_extract_enabled(ready and not controller.busy)
        if controller.state in ENDED and current is not None and current.error is not None:
            self._show_why_not(current)
        elif controller.state in ENDED:
            if controller.state is State.STOPPED and current is not None and current.kept is not None:
                window.run_control.show_kept(current.kept)
            bar.set_extract_enabled(ready)
            if ready and self._focus_extract:
                self._focus_extract = False
                bar.extract.setFocus()
        elif controller.state is State.PLANNING:
            bar.show_planning()
        elif current is not None and current.plan is not None:
            bar.show_ready(current.plan.output_name, current.plan.output_bytes, current.plan.folder, current.kept)
        elif controller.state is State.IDLE:
            self._show_why_not(current)

    def _show_why_not(self, current: Prepared | None) -> None:
        frame = self._window.frame
        troubles = (*frame.options.troubles(), *frame.hardware.troubles())
        reason = why_not(frame.models.models(), troubles, current.error if current else None)
        if reason is not None:
            frame.bar.show_blocked(reason)

    @Slot(object)
    def _on_prepared(self, answer: Prepared) -> None:
        if self._window.queue_control.running:
            return
        pair = self._window.frame.models.pair
        if answer.plan is not None:
            plan = answer.plan
            remarks = [notice_text(item) for item in plan.notices if item.code not in SAID_ELSEWHERE]
            counts = Counter(weight.component for weight in plan.layers)
            parts = _parts_text(counts)
            estimate = self._window.controller.estimate
            pair.show_pair(len(plan.layers), plan.left_out, plan.output_bytes, parts, remarks, estimate)
        elif answer.error is not None and answer.error.code in NOT_OF_THE_MODELS and answer.pair is not None:
            found = answer.pair
            pair.show_matched(found.matched, found.left_out, _parts_text(Counter(found.components)))
        elif answer.error is not None:
            pair.show_error(answer.error)
        self.refresh_bar()
        self._window.run_control.start_if_wanted()


def _parts_text(counts: Counter[str]) -> str:
    """Which parts of the models the layers belong to, and how many to each."""
    return ", ".join(f"{component_title(name)} {whole(count)}" for name, count in counts.most_common())
