"""The plan of the request: asked for when that changes, shown on the third card and beside Extract."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from app.text.headline import (
    absent_sentences,
    before_the_start,
    coverage_title,
    short_title,
    unrelated_warning,
    whole_offer,
)
from app.text.log_lines import Level
from app.text.notices import notice_text, rounding_warning
from app.text.outputs import shown_name
from app.text.pair import (
    Finding,
    change_text,
    hardly_changed,
    looked_at,
    order_lines,
    order_text,
    unrelated,
    wrong_way_round,
)
from app.text.translation import whole
from app.text.window_text import NOT_OF_THE_MODELS, why_not
from app.widgets.bar.bottom_bar import BottomBar
from app.widgets.basics.fields import component_title
from app.widgets.models.pair_card import PairCard
from app.widgets.settings.lora_panel import OptionsPanel
from app.window.model import WindowModel
from app.work.controller import ENDED, Controller, State
from app.work.requests import BackgroundAnswer, Extracted, Forecast, Models, PlanRequest, Prepared, RunAnswer, Sampled
from engine.events import NoticeCode
from engine.planning.plan import Plan
from engine.results import Coverage

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
            found = self._findings(current, plan.coverage)
            name, *others = (shown_name(Path(output.name)) for output in plan.outputs)
            warning, alarm = (found[0].line, found[0].alarm) if found else ("", False)
            size = plan.output_bytes
            self._bar.show_ready(name, size, plan.folder, current.kept, warning, others, alarm=alarm)
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
            case Sampled():
                self._on_sampled(answer)

    def _on_sampled(self, answer: Sampled) -> None:
        """Say what the sample found, where the window still shows what it was taken of."""
        current = self._controller.current
        if self._model.queue_running or current is None:
            return
        self._show_pair(current)
        self._refresh_bar()
        finding = unrelated(answer.sample, "") or hardly_changed(answer.sample)
        if finding is not None:
            self._model.write(Level.WARNING, finding.text)

    def _on_prepared(self, answer: Prepared) -> None:
        if self._model.queue_running:
            return
        planned = answer.plan.outputs[0].output_bytes if answer.plan is not None else None
        self._options.show_pair(answer.family, planned, answer.sizes)
        self._show_pair(answer)
        self._refresh_bar()
        self.planned.emit()

    def _show_pair(self, answer: Prepared) -> None:
        """What the third card says of an answer."""
        sample = self._controller.sample
        order = answer.pair.order if answer.pair is not None else None
        changed = change_text(sample) if sample is not None and sample.changed else ""
        swap = order_text(order) if order is not None else ""
        if answer.plan is not None:
            plan = answer.plan
            found = self._findings(answer, plan.coverage)
            remarks = self._remarks(answer, plan)
            notes = [*(order_lines(order)[1:] if order else ()), *([looked_at(sample)] if sample else ())]
            parts = _parts_text(Counter(weight.component for weight in plan.layers))
            self._pair.show_pair(
                len(plan.layers),
                plan.left_out,
                plan.output_bytes,
                parts,
                remarks,
                self._controller.estimate,
                warning=found[0].title if found else "",
                alarm=bool(found) and found[0].alarm,
                notes=notes,
                files=len(plan.outputs),
                changed=changed,
                swap=swap,
            )
        elif answer.error is not None and answer.error.code in NOT_OF_THE_MODELS and answer.pair is not None:
            pair = answer.pair
            found = self._findings(answer, pair.coverage)
            remarks = list(
                dict.fromkeys((*(item.text for item in found if item.text), *before_the_start(pair.coverage)))
            )
            self._pair.show_matched(
                pair.matched,
                pair.left_out,
                _parts_text(Counter(pair.components)),
                remarks,
                warning=found[0].title if found else "",
                alarm=bool(found) and found[0].alarm,
                changed=changed,
                swap=swap,
            )
        elif answer.error is not None:
            self._pair.show_error(answer.error)

    def _findings(self, answer: Prepared, coverage: Coverage) -> list[Finding]:
        """What should be known before the start, the gravest first."""
        sample = self._controller.sample
        order = answer.pair.order if answer.pair is not None else None
        covered = short_title(coverage)
        found = (
            unrelated(sample, self._unrelated(answer.request)),
            wrong_way_round(order),
            Finding(covered, coverage_title(coverage), "") if covered else None,
            hardly_changed(sample),
        )
        return [finding for finding in found if finding is not None]

    def _remarks(self, answer: Prepared, plan: Plan) -> list[str]:
        """Everything to know of a plan, the first of it for the card and all for its tooltip."""
        found = self._findings(answer, plan.coverage)
        first = [item.text for item in found if item.text]
        covered = before_the_start(plan.coverage)
        if found and not found[0].text:  # that little is compared is the gravest
            first, covered = covered[:1], [*first, *covered[1:]]
        remarks = [*first, *covered]
        rounding = rounding_warning(plan.notices)
        if remarks and rounding and not (found and found[0].alarm):  # the card shows the first one
            remarks[0] = f"{remarks[0]} {rounding}"
        remarks += [whole_offer(plan.could_write_whole)] if plan.coverage.unmatched else []
        remarks += [notice_text(item) for item in plan.notices if item.code not in SAID_ELSEWHERE]
        return list(dict.fromkeys((*remarks, *absent_sentences(plan.coverage))))

    @Slot(object)
    def _on_run_event(self, event: RunAnswer) -> None:
        """Remember of a finished run whether its two models have anything in common."""
        ran = self._controller.ran
        if isinstance(event, Extracted) and ran is not None:
            self._known = (ran.finetuned, ran.original), unrelated_warning(event.result.large_changes)

    def _unrelated(self, request: PlanRequest) -> str:
        """What the last run found of this pair: that the two do not belong together; empty where it did not."""
        models, warning = self._known
        return warning if models == (request.finetuned, request.original) else ""


def _parts_text(counts: Counter[str]) -> str:
    """Which parts of the models the layers belong to, and how many to each."""
    return ", ".join(f"{component_title(name)} {whole(count)}" for name, count in counts.most_common())
