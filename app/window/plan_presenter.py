"""The plan of the request: asked for when that changes, shown on the third card and beside Extract."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal, Slot

from app.text.headline import (
    absent_sentences,
    before_the_start,
    coverage_title,
    short_title,
    unrelated_warning,
    whole_offer,
)
from app.text.notices import notice_text, rounding_warning
from app.text.translation import whole
from app.text.window_text import NOT_OF_THE_MODELS, why_not
from app.widgets.bar.bottom_bar import BottomBar
from app.widgets.basics.fields import component_title
from app.widgets.models.pair_card import PairCard
from app.widgets.settings.lora_panel import OptionsPanel
from app.window.model import WindowModel
from app.work.controller import ENDED, Controller, State
from app.work.requests import BackgroundAnswer, Extracted, Forecast, Models, PlanRequest, Prepared, RunAnswer
from engine.events import NoticeCode

# Remarks that the panels make themselves, or that matter only in the log.
SAID_ELSEWHERE = (NoticeCode.ADAPTIVE_PARAM_UNUSUAL,)


@dataclass(frozen=True)
class PlanViews:
    """What shows a plan: the card of the pair, the bar with Extract, and the options, of what programs load of it."""

    pair: PairCard
    bar: BottomBar
    options: OptionsPanel


class WindowPlan(QObject):
    """Plans the model's request and says what Extract will do, or why it cannot.

    Attributes:
        planning: a plan is about to be asked for.
        planned: the answer is there and shown.
        extract_offered: whether Extract can start now.
        kept_known: after a stop, the `Reusable` of what is there for the next run.
    """

    planning = Signal()
    planned = Signal()
    extract_offered = Signal(bool)
    kept_known = Signal(object)

    def __init__(self, parent: QObject, model: WindowModel, controller: Controller, views: PlanViews) -> None:
        super().__init__(parent)
        self._model, self._controller = model, controller
        self._pair, self._bar, self._options = views.pair, views.bar, views.options
        self._models: Models = (None, None)
        self._focus_extract = False
        self._known: tuple[Models, str] = ((None, None), "")
        model.request_changed.connect(self.replan)
        controller.answered.connect(self._on_answer)
        controller.run_event.connect(self._on_run_event)
        controller.state_changed.connect(self._on_state)

    @Slot()
    def replan(self) -> None:
        """Pair and plan what the window shows now; not while something works."""
        if self._model.locked:
            return
        request = self._model.request
        if request.models != self._models:
            self._models = request.models
            if None in request.models:
                self._pair.show_empty()
                self._options.show_pair(None)
            else:
                self._pair.show_working()
        self.planning.emit()
        controller = self._controller
        controller.prepare(request.models, request.extraction, request.hardware, request.output_dir, request.also)
        self._refresh_bar()

    def _refresh_bar(self) -> None:
        """Say beside Extract what it will do, or why it cannot."""
        controller, state = self._controller, self._controller.state
        if self._model.queue_running or state is State.VERIFYING:
            return
        current = controller.current
        ready = current is not None and current.plan is not None
        self.extract_offered.emit(ready and not controller.busy)
        if state in ENDED and current is not None and current.error is not None:
            self._show_why_not(current)
        elif state in ENDED:
            if state is State.STOPPED and current is not None and current.kept is not None:
                self.kept_known.emit(current.kept)
            self._bar.set_extract_enabled(ready)
            if ready and self._focus_extract:
                self._focus_extract = False
                self._bar.extract.setFocus()
        elif state is State.PLANNING:
            self._bar.show_planning()
        elif current is not None and current.plan is not None:
            plan = current.plan
            warning = next(iter(self._unrelated(current.request)), "") or coverage_title(plan.coverage)
            name, *others = (output.name for output in plan.outputs)
            self._bar.show_ready(name, plan.output_bytes, plan.folder, current.kept, warning, others)
        elif state is State.IDLE:
            self._show_why_not(current)

    def _show_why_not(self, current: Prepared | None) -> None:
        request = self._model.request
        reason = why_not(request.models, request.troubles, current.error if current else None)
        if reason is not None:
            self._bar.show_blocked(reason)

    @Slot(object)
    def _on_state(self, state: State) -> None:
        if state in ENDED:
            self._focus_extract = True  # once it can be pressed again
        self._refresh_bar()

    @Slot(object)
    def _on_answer(self, answer: BackgroundAnswer) -> None:
        match answer:
            case Prepared():
                self._on_prepared(answer)
            case Forecast(estimate=estimate):
                self._pair.show_estimate(estimate)

    def _on_prepared(self, answer: Prepared) -> None:
        if self._model.queue_running:
            return
        planned = answer.plan.outputs[0].output_bytes if answer.plan is not None else None
        self._options.show_pair(answer.family, planned, answer.sizes)
        if answer.plan is not None:
            plan = answer.plan
            remarks = [*self._unrelated(answer.request), *before_the_start(plan.coverage)]
            rounding = rounding_warning(plan.notices)
            if remarks and rounding:  # the card shows the first one
                remarks[0] = f"{remarks[0]} {rounding}"
            remarks += [whole_offer(plan.could_write_whole)] if plan.coverage.unmatched else []
            remarks += [notice_text(item) for item in plan.notices if item.code not in SAID_ELSEWHERE]
            remarks = list(dict.fromkeys((*remarks, *absent_sentences(plan.coverage))))
            parts = _parts_text(Counter(weight.component for weight in plan.layers))
            estimate = self._controller.estimate
            title = short_title(plan.coverage)
            if not title and self._unrelated(answer.request):
                title = self.tr("Little in common")
            size = plan.output_bytes
            files = len(plan.outputs)
            self._pair.show_pair(
                len(plan.layers), plan.left_out, size, parts, remarks, estimate, warning=title, files=files
            )
        elif answer.error is not None and answer.error.code in NOT_OF_THE_MODELS and answer.pair is not None:
            found = answer.pair
            parts, title = _parts_text(Counter(found.components)), short_title(found.coverage)
            remarks = before_the_start(found.coverage)
            self._pair.show_matched(found.matched, found.left_out, parts, remarks, warning=title)
        elif answer.error is not None:
            self._pair.show_error(answer.error)
        self._refresh_bar()
        self.planned.emit()

    @Slot(object)
    def _on_run_event(self, event: RunAnswer) -> None:
        """Remember of a finished run whether its two models have anything in common."""
        ran = self._controller.ran
        if isinstance(event, Extracted) and ran is not None:
            self._known = (ran.finetuned, ran.original), unrelated_warning(event.result.large_changes)

    def _unrelated(self, request: PlanRequest) -> list[str]:
        """What the last run found of this pair: that the original is probably another model's."""
        models, warning = self._known
        return [warning] if warning and models == (request.finetuned, request.original) else []


def _parts_text(counts: Counter[str]) -> str:
    """Which parts of the models the layers belong to, and how many to each."""
    return ", ".join(f"{component_title(name)} {whole(count)}" for name, count in counts.most_common())
