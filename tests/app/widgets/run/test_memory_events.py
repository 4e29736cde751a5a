"""What a run does for want of memory, as the log, the plots and their words tell it."""

from dataclasses import replace

import pytest
from fakes import GB, FakeEngine, layer_result
from PySide6.QtCore import QEvent, QPoint, QPointF
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot
from window_steps import Pair, wait_for

from app.look.theme import Theme
from app.text.log_lines import Level, event_lines
from app.text.notices import format_moment, notice_text
from app.widgets.layers.layer_model import LayerModel
from app.widgets.run.memory_marks import KINDS, SYMBOLS
from app.widgets.tabs.run_tab import RunPanel
from app.window.main_window import MainWindow
from app.work.controller import State
from engine.events import (
    BatchDone,
    BatchSizeChanged,
    BlocksResident,
    Event,
    Finished,
    MemorySample,
    Notice,
    NoticeCode,
    Offloaded,
    OutOfMemory,
    Planned,
)
from engine.results import ExtractionResult, StageSeconds
from engine.settings import HardwareSettings

OFFLOADED = Offloaded(
    2.0, "resident", "threshold", ("denoiser:double_blocks.3",), int(1.2 * GB), 7, "cuda:0", int(17.1 * GB)
)
SMALLER = BatchSizeChanged(4.0, 4, 2, "threshold", "cuda:0")
ALONE = OutOfMemory(6.0, "diffusion_model.a.weight", "alone", "cuda:0")
PLANNED = Planned(12, (), "x", 1, "cuda:0", "RTX", 24 * GB, 18 * GB, int(20.4 * GB), 3 * GB)
RESULT = ExtractionResult((), tuple(layer_result(f"layer.{n}") for n in range(12)), (), 41.0, 9 * GB, 3 * GB)


@pytest.fixture
def panel(qtbot: QtBot, theme: Theme) -> RunPanel:
    shown = RunPanel(theme, LayerModel())
    qtbot.addWidget(shown)
    shown.resize(900, 600)
    shown.show()
    shown.take(PLANNED)
    for second in range(11):
        shown.take(MemorySample(float(second), 9 * GB, 12 * GB, 24 * GB, GB, int(1.2 * GB), int(0.4 * GB)))
    return shown


def only_line(event: Event) -> tuple[Level, str]:
    (line,) = event_lines(event)
    return line


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (
            OFFLOADED,
            Level.INFO,
            "Freed 1.2 GB: offloaded block double_blocks.3 (memory limit reached); 7 blocks stay",
        ),
        (
            replace(OFFLOADED, blocks=("a:x.1", "a:x.2", "a:x.3", "a:x.4", "a:x.5"), cause="ceiling", kept_blocks=1),
            Level.INFO,
            "Freed 1.2 GB: offloaded 5 blocks: x.1, x.2, x.3 and 2 more (this run's share is full); 1 block stays",
        ),
        (
            replace(OFFLOADED, what="prefetched", cause="out_of_memory", freed_bytes=400_000_000),
            Level.INFO,
            "Freed 400 MB: gave up block double_blocks.3, read ahead (out of memory); what was given up is read again",
        ),
        (SMALLER, Level.INFO, "From now on 2 layers at once instead of 4 (memory limit reached)"),
        (
            BatchSizeChanged(9.0, 2, 4, "recovered", "cuda:0"),
            Level.INFO,
            "There is memory again: 4 layers at once instead of 2",
        ),
        (ALONE, Level.INFO, "Out of memory in diffusion_model.a.weight: it is tried again alone"),
        (
            replace(ALONE, step="cpu"),
            Level.WARNING,
            "Out of memory in diffusion_model.a.weight: the processor works on it instead",
        ),
        (
            BlocksResident(7, 3, int(1.2 * GB), 12 * GB),
            Level.INFO,
            "7 blocks (1.2 GB) stay on the device for the next extraction; 3 did not fit",
        ),
    ],
)
def test_the_log_tells_it_in_plain_words(event: Event, level: Level, text: str) -> None:
    assert only_line(event) == (level, text)


def test_the_log_says_nothing_where_no_block_stays() -> None:
    assert list(event_lines(BlocksResident(0, 0, 0, 0))) == []


@pytest.mark.parametrize("step", ["drop_resident", "drop_prefetched", "halve_batch", "alone", "cpu"])
def test_every_step_after_an_allocation_failed_has_words(step: str) -> None:
    assert "weight: " in only_line(replace(ALONE, step=step))[1]


@pytest.mark.parametrize(
    ("code", "data", "text"),
    [
        (
            NoticeCode.RESUMED,
            {"layers": 214, "of": 304, "started": "2026-11-24T14:03:00"},
            "214 of 304 layers come from the run of 24 Nov 2026, 14:03 that was stopped; the others follow.",
        ),
        (
            NoticeCode.FROM_CACHE,
            {"layers": 304, "of": 304},
            "All 304 layers come from the cache; the models are not read.",
        ),
        (NoticeCode.FROM_CACHE, {"layers": 3, "of": 304}, "3 of 304 layers come from the cache; the others follow."),
        (NoticeCode.JOURNAL_SET_ASIDE, {"file": "j.broken-1"}, "A damaged journal was set aside: j.broken-1."),
        (
            NoticeCode.JOURNAL_OFF,
            {"reason": "the disk is full"},
            "This run keeps no journal: the disk is full. What it finishes from here on is not kept if it is stopped.",
        ),
    ],
)
def test_what_earlier_runs_left_is_told_in_plain_words(code: NoticeCode, data: dict[str, object], text: str) -> None:
    assert notice_text(Notice(code, data=data)) == text


@pytest.mark.parametrize("text", ["", "yesterday"])
def test_a_moment_that_is_none_is_shown_as_it_is(text: str) -> None:
    assert format_moment(text) == text


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_after_the_run_its_peak_is_told_instead_of_nothing(panel: RunPanel, device: str) -> None:
    panel.take(replace(PLANNED, device=device))
    panel.take(MemorySample(0.0, 7 * GB, 12 * GB, 24 * GB, 0))
    panel.take(MemorySample(1.0, 0, 3 * GB, 24 * GB, 0))
    assert "this run: peak 7.0 GB of 24 GB" in panel.memory.detail.text()
    assert "0 bytes" not in panel.memory.detail.text()


def test_the_memory_that_was_promised_stands_beside_the_most_that_was_used(panel: RunPanel) -> None:
    panel.take(replace(PLANNED, device="cpu", hardware=HardwareSettings(memory_budget=24 * GB)))
    panel.take(MemorySample(0.0, 7 * GB, 12 * GB, 24 * GB, 0))
    panel.take(Finished(replace(RESULT, promised_device_bytes=int(11.8 * GB))))
    assert panel.memory.detail.text().endswith("peak 7.0 GB of 24 GB budget \u00b7 at most 12 GB promised")


def test_each_kind_of_mark_has_a_shape_of_its_own() -> None:
    assert len({SYMBOLS[kind] for kind in KINDS}) == len(KINDS)


def test_marks_stand_at_the_moment_and_what_happens_at_once_stays_apart(panel: RunPanel) -> None:
    for event in (OFFLOADED, replace(SMALLER, seconds=2.0), replace(ALONE, seconds=2.0)):
        panel.take(event)
    marks = panel.memory.plot.marks
    heights = []
    for kind in KINDS:
        times, tops = marks.symbols[kind].getData()
        assert list(times) == [2.0]
        assert list(marks.lines[kind].xData) == [2.0, 2.0]
        assert list(marks.lines[kind].yData) == [0.0, tops[0]]
        heights.append(tops[0])
    assert len(set(heights)) == len(KINDS)
    assert max(heights) < panel.memory.plot.viewRange()[1][1]


def test_the_legend_names_and_counts_only_what_happened(panel: RunPanel) -> None:
    marks = panel.memory.marks
    assert not any(entry.isVisible() for entry in marks.values())
    panel.take(OFFLOADED)
    assert marks["offloaded"].text() == "offloaded"
    panel.take(replace(OFFLOADED, seconds=3.0))
    panel.take(SMALLER)
    assert marks["offloaded"].text() == "offloaded 2\u00d7"
    assert marks["batch"].isVisible()
    assert not marks["out_of_memory"].isVisible()


def test_pointing_at_a_mark_says_what_was_done(panel: RunPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.take(OFFLOADED)
    panel.take(ALONE)
    plot = panel.memory.plot
    QApplication.processEvents()

    def place(seconds: float) -> QPoint:
        point: QPoint = plot.mapFromScene(plot.getPlotItem().getViewBox().mapViewToScene(_point(seconds)))
        return point

    said: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda _place, text, *_rest: said.append(text))
    for seconds in (2.0, 6.0, 8.0):
        at = place(seconds)
        help_event = QHelpEvent(QEvent.Type.ToolTip, at, plot.mapToGlobal(at))
        QApplication.sendEvent(plot.viewport(), help_event)
    assert "offloaded block double_blocks.3" in said[0]
    assert "Out of memory" in said[1]
    assert said[2] == ""


def _point(seconds: float) -> QPointF:
    return QPointF(seconds, 1.0)


def test_a_new_run_shows_no_marks_of_the_last_one(panel: RunPanel) -> None:
    panel.take(OFFLOADED)
    panel.clear()
    panel.take(PLANNED)
    assert panel.memory.plot.marks.near(2.0, 100.0) == ()
    assert not panel.memory.marks["offloaded"].isVisible()


def test_what_is_kept_and_read_ahead_is_drawn_as_layers_and_said_in_words(panel: RunPanel) -> None:
    curves = panel.memory.plot._curves
    assert curves["resident"].yData[-1] == pytest.approx(1.2)
    assert curves["prefetched"].yData[-1] == pytest.approx(1.6), "it lies on top of what is kept"
    assert panel.memory.kept.text() == "1.2 GB kept for the next run"
    assert panel.memory.ahead.text() == "400 MB read ahead"


def test_the_words_vanish_with_what_they_speak_of(panel: RunPanel) -> None:
    panel.take(MemorySample(12.0, 9 * GB, 12 * GB, 24 * GB, GB))
    assert not panel.memory.kept.isVisible()
    assert not panel.memory.ahead.isVisible()


def test_at_the_end_the_words_say_what_stays_and_that_nothing_is_read_ahead(panel: RunPanel) -> None:
    panel.take(BlocksResident(7, 3, int(1.2 * GB), 12 * GB))
    assert panel.memory.kept.text() == "1.2 GB kept for the next run (7 blocks)"
    assert not panel.memory.ahead.isVisible()


def test_the_limit_is_said_in_percent_and_in_bytes(panel: RunPanel) -> None:
    assert panel.memory.plot._limit.label.format == "limit 85 %, 20 GB"


def test_the_items_of_the_plot_are_made_once(panel: RunPanel) -> None:
    before = len(panel.memory.plot.getPlotItem().items)
    for second in range(20):
        panel.take(replace(OFFLOADED, seconds=float(second)))
        panel.take(MemorySample(12.0 + second, 9 * GB, 12 * GB, 24 * GB, GB))
    panel.take(PLANNED)
    assert len(panel.memory.plot.getPlotItem().items) == before


def test_the_stages_are_told_as_shares_and_their_sums_over_layers_in_a_tooltip(panel: RunPanel) -> None:
    panel.take(BatchDone(0, ("a",), StageSeconds(1.0, 0.5, 6.0, 0.5), 0, 0))
    panel.take(BatchDone(1, ("b",), StageSeconds(1.0, 0.5, 6.0, 0.5), 0, 0))
    panel.take(Finished(replace(RESULT, waited_share=0.021)))
    texts = {stage: entry.text() for stage, entry in panel.batches.stages.items()}
    assert texts["read"] == "read 12 %"
    assert texts["compute"] == "compute 75 %"
    assert panel.batches.stages["compute"].toolTip().startswith("12 s of 16 s, added up over layers")
    assert "mean 8.0 s" in panel.batches.detail.text()
    assert "the device waited 2.1 % of the time for data" in panel.batches.detail.text()


def test_a_batch_is_said_to_take_what_the_clock_shows_not_the_sum_over_its_layers(panel: RunPanel) -> None:
    panel.take(BatchDone(0, ("a", "b", "c"), StageSeconds(2.0, 0.0, 6.0, 0.0), 0, 0, wall_seconds=3.0))
    panel.take(Finished(RESULT))
    assert "mean 3.0 s" in panel.batches.detail.text()


def test_a_stage_that_the_device_does_not_need_takes_no_time(panel: RunPanel) -> None:
    panel.take(BatchDone(0, ("a",), StageSeconds(1.0, 0.0, 6.0, 0.5), 0, 0))
    panel.take(Finished(RESULT))
    assert panel.batches.stages["upload"].text() == "upload 0 %"


def test_batches_that_are_only_written_have_no_bar_and_do_not_lower_the_mean(panel: RunPanel) -> None:
    panel.take(BatchDone(0, ("a",), StageSeconds(write=0.5), 0, 0))
    panel.take(BatchDone(1, ("b",), StageSeconds(1.0, 0.5, 6.0, 0.5), 0, 0))
    panel.take(Finished(RESULT))
    assert len(panel.batches.plot._batches) == 1
    assert "mean 8.0 s" in panel.batches.detail.text()
    assert panel.batches.stages["write"].text() == "write 12 %"


def test_layers_that_needed_no_work_are_counted_at_the_end(panel: RunPanel) -> None:
    panel.take(Finished(replace(RESULT, layers_reused=5)))
    assert "5 of 12 layers came from earlier runs" in panel.batches.detail.text()


def test_layers_that_came_from_earlier_runs_are_counted_of_all_that_were_looked_at(panel: RunPanel) -> None:
    panel.take(Finished(replace(RESULT, layers_reused=15, layers_planned=16)))
    assert "15 of 16 layers came from earlier runs" in panel.batches.detail.text()


def test_a_run_without_any_work_says_nothing_of_waiting(panel: RunPanel) -> None:
    panel.take(Finished(replace(RESULT, layers_reused=12)))
    assert panel.batches.detail.text() == "12 of 12 layers came from earlier runs"


def test_a_whole_run_shows_all_of_it_in_the_window(
    qtbot: QtBot, window: MainWindow, engine: FakeEngine, pair: Pair
) -> None:
    engine.news = (OFFLOADED, SMALLER, replace(ALONE, step="cpu"), BlocksResident(7, 3, int(1.2 * GB), 12 * GB))
    engine.result = {"layers_reused": 5, "waited_share": 0.02}
    window.set_models(*pair)
    window.extract()
    wait_for(qtbot, window, State.DONE)
    panel, log = window.frame.run.panel, window.frame.run.log.as_text()
    assert not any(entry.isHidden() for entry in panel.memory.marks.values())
    assert "offloaded block double_blocks.3" in log
    assert "7 blocks (1.2 GB) stay" in log
    assert "5 of 12 layers came from earlier runs" in panel.batches.detail.text()
    assert "\u26a0" in window.frame.tabs.tabText(window.frame.tabs.count() - 1), (
        "the processor had to help, which is a warning"
    )
