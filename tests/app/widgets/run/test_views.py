from datetime import datetime

import pytest
from fakes import layer_result
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.text.log_lines import Level
from app.text.window_text import short_seconds
from app.widgets.basics.basics import ElidedLabel
from app.widgets.basics.plot import round_step
from app.widgets.layers.layer_model import COLUMNS, LayerModel
from app.widgets.layers.layer_table import LayersPanel, NewestLayers
from app.widgets.run.log_view import LogPanel
from app.widgets.run.plots import BatchPlot, MemoryPlot, size_text
from engine.events import MemorySample
from engine.results import StageSeconds

KEYS = [column.key for column in COLUMNS]


def filled_model() -> LayerModel:
    model = LayerModel()
    for number, (name, kept) in enumerate((("b.attn", 0.91), ("a.mlp", 0.99), ("c.attn", 0.5))):
        model.add(layer_result(f"diffusion_model.{name}.weight", kept, rank=number + 9))
    model.flush()
    return model


def shown_names(panel: LayersPanel) -> list[str]:
    model = panel.table.model()
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def test_layers_are_sorted_by_value_and_not_by_text(qtbot: QtBot, theme: Theme) -> None:
    panel = LayersPanel(theme, filled_model())
    qtbot.addWidget(panel)
    panel.table.sortByColumn(KEYS.index("rank"), panel.table.horizontalHeader().sortIndicatorOrder().AscendingOrder)
    assert shown_names(panel) == ["b.attn", "a.mlp", "c.attn"]
    panel.table.sortByColumn(KEYS.index("kept"), panel.table.horizontalHeader().sortIndicatorOrder().AscendingOrder)
    assert shown_names(panel) == ["c.attn", "b.attn", "a.mlp"]


def test_layers_are_found_by_a_part_of_their_name(qtbot: QtBot, theme: Theme) -> None:
    panel = LayersPanel(theme, filled_model())
    qtbot.addWidget(panel)
    panel.search.setText("ATTN")
    assert shown_names(panel) == ["b.attn", "c.attn"]
    assert panel.detail.text() == "2 of 3"


def test_the_small_table_has_the_newest_layer_first(qtbot: QtBot, theme: Theme) -> None:
    table = NewestLayers(theme, filled_model())
    qtbot.addWidget(table)
    assert table.table.model().index(0, 0).data() == "c.attn"


def test_rows_that_come_together_are_inserted_together(qtbot: QtBot) -> None:
    model = LayerModel()
    with qtbot.waitSignal(model.rowsInserted) as inserted:
        for number in range(1000):
            model.add(layer_result(f"layer.{number}"))
    assert inserted.args is not None
    assert inserted.args[1:] == [0, 999]


@pytest.mark.parametrize(("rank", "text"), [(8, "8"), (None, "whole")])
def test_a_stored_difference_has_no_rank(qtbot: QtBot, rank: int | None, text: str) -> None:
    model = LayerModel()
    model.add(layer_result("x", rank=rank))
    model.flush()
    assert model.index(0, KEYS.index("rank")).data() == text


def test_the_log_shows_time_level_and_text_and_filters_by_level(qtbot: QtBot, theme: Theme) -> None:
    log = LogPanel(theme)
    qtbot.addWidget(log)
    for level in Level:
        log.add((level, f"a {level.value} line"))
    assert len(log.as_text().splitlines()) == 3
    log.level.setCurrentIndex(0)
    assert len(log.as_text().splitlines()) == 4
    log.level.setCurrentIndex(2)
    assert [line.split()[1] for line in log.as_text().splitlines()] == ["warning", "error"]
    datetime.strptime(log.as_text().split()[0], "%H:%M:%S")
    assert log.text.toPlainText() == log.as_text()


def test_the_memory_plot_takes_sizes_beyond_32_bits(qtbot: QtBot, theme: Theme) -> None:
    plot = MemoryPlot(theme, "memory")
    qtbot.addWidget(plot)
    plot.start(48 * 10**9, 40 * 10**9, "limit 85 %")
    for second in range(300):
        plot.add(MemorySample(second, 20 * 10**9 + second, 30 * 10**9, 48 * 10**9, 10**9))
    assert plot.peak_bytes == pytest.approx(20 * 10**9 + 299)
    assert plot.viewRange()[0] == pytest.approx([0, 299])
    plot.show_recent_only(True)
    assert plot.viewRange()[0] == pytest.approx([179, 299])


def test_a_run_far_below_the_limit_is_drawn_at_its_own_scale(qtbot: QtBot, theme: Theme) -> None:
    plot = MemoryPlot(theme, "memory")
    qtbot.addWidget(plot)
    plot.resize(600, 200)
    plot.show_device(False)
    plot.start(12 * 10**9, 10 * 10**9, "limit 10 GB")
    assert plot.viewRange()[1][1] >= 12, "nothing is drawn yet"
    plot.add(MemorySample(0.0, 70 * 10**6, 70 * 10**6, 12 * 10**9, 0))
    assert 0.07 < plot.viewRange()[1][1] < 0.14
    assert plot._limit.label.format == "\u2191 limit 10 GB"
    texts = [text for _, text in plot.getPlotItem().getAxis("left")._tickLevels[0]]
    assert texts
    assert all(text.endswith(" MB") for text in texts)
    plot.add(MemorySample(1.0, 6 * 10**9, 6 * 10**9, 12 * 10**9, 0))
    assert plot.viewRange()[1][1] >= 12
    assert plot._limit.label.format == "limit 10 GB"
    assert plot._limit.value() == pytest.approx(10)


@pytest.mark.parametrize(("gigabytes", "text"), [(2.0, "2 GB"), (1.0, "1 GB"), (0.06, "60 MB"), (0.0003, "300 kB")])
def test_a_size_at_the_axis_has_the_unit_that_suits_it(gigabytes: float, text: str) -> None:
    assert size_text(gigabytes) == text


def test_the_batch_plot_stacks_the_stages_of_the_newest_batches(qtbot: QtBot, theme: Theme) -> None:
    plot = BatchPlot(theme, "batches")
    qtbot.addWidget(plot)
    plot.add([StageSeconds(0.1, 0.2, 0.3, 0.4)] * 100)
    assert len(plot._bars["write"].opts["x"]) == 60
    assert plot._bars["write"].opts["y0"][0] == pytest.approx(0.6)


@pytest.mark.parametrize(("about", "step"), [(6.0, 6), (5.9, 4), (0.25, 0.2), (1.0, 1), (24.0, 20), (0.0, 1e-6)])
def test_ticks_are_round(about: float, step: float) -> None:
    assert round_step(about) == pytest.approx(step)


@pytest.mark.parametrize(("seconds", "text"), [(0.0004, "0.4 ms"), (0.0123, "12 ms"), (0.9, "900 ms"), (2.0, "2.0 s")])
def test_short_times_are_told_in_milliseconds(seconds: float, text: str) -> None:
    assert short_seconds(seconds) == text


def test_a_long_name_is_shortened_and_whole_in_the_tooltip(qtbot: QtBot, theme: Theme) -> None:
    label = ElidedLabel()
    qtbot.addWidget(label)
    label.resize(80, 20)
    label.show()
    label.setText("a_very_long_model_name_indeed_v2.safetensors")
    assert label.toolTip() == label.text()
    label.setText("short")
    assert label.toolTip() == ""
