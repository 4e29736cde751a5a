import csv
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import layer_result
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.widgets.basics.kept_drawing import kept_colour
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_columns import LEAST_NAME, columns_for
from app.widgets.layers.layer_model import COLUMN, COLUMNS, LayerModel, change_text
from app.widgets.layers.layer_order import Show
from app.widgets.layers.layer_table import LayersPanel
from engine.analysis.quality import SHORT
from engine.results import LayerResult, NoiseFigures

ASCENDING, DESCENDING = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


def sorting_of_real(row: LayerResult) -> float:
    if row.noise is None:
        return -3.0
    return -2.0 if row.noise.real_energy_retained is None else row.noise.real_energy_retained


EXPECTED: dict[str, Callable[[LayerResult], Any]] = {
    "shape": lambda row: row.shape[0] * row.shape[1],
    "rank": lambda row: row.rank,
    "change": lambda row: row.relative_change,
    "kept": lambda row: row.energy_retained,
    "noise": lambda row: -1.0 if row.noise is None else row.noise.noise_share,
    "real": sorting_of_real,
    "error": lambda row: row.relative_error,
    "time": lambda row: row.seconds.total,
}


def rounding(share: float, real: float) -> NoiseFigures:
    return NoiseFigures(share, 1.5 * share, real, (real - 0.02, min(1.0, real + 0.01)), real - 0.1, 0.5)


ALL_OF_IT = NoiseFigures(0.95, 1.0, None, None, None, 0.0)


def many_rows(count: int = 60) -> list[LayerResult]:
    chance = random.Random(4)
    rows = []
    for number in range(count):
        row = layer_result(f"diffusion_model.blocks.{number}.attn.weight", chance.random(), chance.choice((8, 16, 32)))
        shape = (chance.choice((64, 128)), 3072)
        seconds = replace(row.seconds, compute=chance.random())
        noise = chance.choice((None, ALL_OF_IT, rounding(chance.random() / 2, chance.random())))
        rows.append(replace(row, shape=shape, relative_change=chance.random(), seconds=seconds, noise=noise))
    chance.shuffle(rows)
    return rows


def panel_with(qtbot: QtBot, theme: Theme, rows: list[LayerResult], choice: LayerChoice | None = None) -> LayersPanel:
    model = LayerModel()
    for row in rows:
        model.add(row)
    model.flush()
    panel = LayersPanel(theme, model, choice)
    qtbot.addWidget(panel)
    return panel


def names(panel: LayersPanel) -> list[str]:
    return [row.name for row in panel.shown_layers()]


def select(panel: LayersPanel, *rows: int) -> None:
    selection = panel.table.selectionModel()
    selection.clearSelection()
    flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    for row in rows:
        selection.select(panel.table.model().index(row, 0), flags)


def selected_names(panel: LayersPanel) -> set[str]:
    shown = names(panel)
    return {shown[index.row()] for index in panel.table.selectionModel().selectedRows()}


@pytest.mark.parametrize("order", [ASCENDING, DESCENDING])
@pytest.mark.parametrize("key", list(EXPECTED))
def test_every_column_sorts_as_python_does_and_equals_stay(
    qtbot: QtBot, theme: Theme, key: str, order: Qt.SortOrder
) -> None:
    rows = many_rows()
    panel = panel_with(qtbot, theme, rows)
    panel.table.sortByColumn(COLUMN[key], order)
    assert panel.shown_layers() == sorted(rows, key=EXPECTED[key], reverse=order == DESCENDING)


def test_block_ten_comes_after_block_nine(qtbot: QtBot, theme: Theme) -> None:
    panel = panel_with(qtbot, theme, many_rows(12))
    panel.table.sortByColumn(COLUMN["name"], ASCENDING)
    assert names(panel) == [f"diffusion_model.blocks.{number}.attn.weight" for number in range(12)]


def test_without_a_sort_column_rows_are_in_the_order_they_came(qtbot: QtBot, theme: Theme) -> None:
    rows = many_rows(9)
    panel = panel_with(qtbot, theme, rows)
    panel.table.sortByColumn(COLUMN["kept"], DESCENDING)
    panel.table.sortByColumn(-1, ASCENDING)
    assert panel.shown_layers() == rows


def test_all_words_must_be_in_a_name_in_any_order(qtbot: QtBot, theme: Theme) -> None:
    found = [layer_result(f"double.{number}.{kind}") for number in (1, 11) for kind in ("mlp", "attn")]
    panel = panel_with(qtbot, theme, found)
    panel.search.setText(" MLP double.11 ")
    assert names(panel) == ["double.11.mlp"]
    panel.search.setText("nowhere")
    assert panel.shown() == 0
    assert panel.detail.text() == "0 of 4"
    assert not panel.export_button.isEnabled()


def test_kinds_of_layers_are_picked_out(qtbot: QtBot, theme: Theme) -> None:
    rows = [
        layer_result("short", 0.59),
        layer_result("enough", 0.6),
        replace(layer_result("cut", 0.9), capped=True),
        layer_result("whole", 1.0, rank=None),
        replace(layer_result("most", 0.95), relative_change=float("inf")),
    ]
    panel = panel_with(qtbot, theme, rows)
    picked = {}
    for number, show in enumerate(Show):
        panel.show_only.setCurrentIndex(number)
        picked[show] = names(panel)
    assert picked == {
        Show.ALL: ["short", "enough", "cut", "whole", "most"],
        Show.FELL_SHORT: ["short"],
        Show.CAPPED: ["cut"],
        Show.CHANGED_MOST: ["most"],
        Show.STORED_WHOLE: ["whole"],
    }


def test_the_tenth_that_changed_most_is_a_tenth(qtbot: QtBot, theme: Theme) -> None:
    rows = many_rows(50)
    panel = panel_with(qtbot, theme, rows)
    panel.show_only.setCurrentIndex(list(Show).index(Show.CHANGED_MOST))
    largest = sorted(rows, key=lambda row: row.relative_change)[-5:]
    assert set(names(panel)) == {row.name for row in largest}


def test_rows_that_come_later_find_their_place(qtbot: QtBot, theme: Theme) -> None:
    rows = many_rows(40)
    model = LayerModel()
    panel = LayersPanel(theme, model)
    qtbot.addWidget(panel)
    panel.table.sortByColumn(COLUMN["kept"], ASCENDING)
    for row in rows:
        model.add(row)
        model.flush()
    assert panel.shown_layers() == sorted(rows, key=lambda row: row.energy_retained)
    model.start()
    model.add(rows[3])
    model.flush()
    assert panel.shown_layers() == [rows[3]]


def test_selected_rows_are_chosen_and_stay_so_when_sorted(qtbot: QtBot, theme: Theme) -> None:
    panel = panel_with(qtbot, theme, many_rows(20))
    select(panel, 2, 3, 11)
    chosen = {names(panel)[row] for row in (2, 3, 11)}
    assert set(panel.choice.names) == chosen
    panel.table.sortByColumn(COLUMN["change"], DESCENDING)
    assert set(panel.choice.names) == chosen == selected_names(panel)


def test_what_is_chosen_elsewhere_is_selected_even_when_its_row_comes_later(qtbot: QtBot, theme: Theme) -> None:
    rows, choice, model = many_rows(5), LayerChoice(), LayerModel()
    panel = LayersPanel(theme, model, choice)
    qtbot.addWidget(panel)
    choice.choose([rows[4].name, "in another model"])
    for row in rows:
        model.add(row)
    model.flush()
    assert selected_names(panel) == {rows[4].name}
    assert choice.names == (rows[4].name, "in another model")


def test_a_choice_outlives_a_filter_that_hides_it(qtbot: QtBot, theme: Theme) -> None:
    panel = panel_with(qtbot, theme, many_rows(12))
    panel.choice.choose(["diffusion_model.blocks.3.attn.weight"])
    panel.search.setText("blocks.7")
    assert selected_names(panel) == set()
    panel.search.clear()
    assert selected_names(panel) == {"diffusion_model.blocks.3.attn.weight"}


def test_choosing_the_same_again_says_nothing(qtbot: QtBot) -> None:
    choice = LayerChoice()
    choice.choose(["a", "b", "a"])
    assert choice.names == ("a", "b")
    with qtbot.assertNotEmitted(choice.changed):
        choice.choose(["a", "b"])
    with qtbot.waitSignal(choice.changed):
        choice.clear()


def test_copying_gives_a_table_with_titles(qtbot: QtBot, theme: Theme) -> None:
    panel = panel_with(qtbot, theme, many_rows(6))
    panel.show()
    panel.table.setFocus()
    panel.table.sortByColumn(COLUMN["name"], ASCENDING)
    select(panel, 1, 2)
    copy = next(action for action in panel.table.actions() if action.shortcut().toString() == "Ctrl+C")
    copy.trigger()
    lines = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
    assert [line[0] for line in lines] == ["Layer", *(f"diffusion_model.blocks.{n}.attn.weight" for n in (1, 2))]
    assert {len(line) for line in lines} == {len(COLUMNS)}


def test_the_button_saves_what_is_shown_in_its_order(
    qtbot: QtBot, theme: Theme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_with(qtbot, theme, many_rows(30))
    panel.search.setText("blocks.2")
    panel.table.sortByColumn(COLUMN["kept"], ASCENDING)
    file = tmp_path / "shown.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(file), ""))
    panel.export_button.click()
    qtbot.waitUntil(lambda: "shown.csv" in panel.note.text())
    assert panel.note.property("tone") == "good"
    with file.open(newline="", encoding="utf-8") as stream:
        saved = list(csv.DictReader(stream))
    assert [row["name"] for row in saved] == names(panel)
    assert len(saved) == 11
    kept = [float(row["energy_retained"]) for row in saved]
    assert kept == sorted(kept)


def test_a_file_that_cannot_be_written_is_told_in_words(qtbot: QtBot, theme: Theme, tmp_path: Path) -> None:
    panel = panel_with(qtbot, theme, many_rows(3))
    panel.export(tmp_path / "gone" / "layers.csv")
    qtbot.waitUntil(lambda: panel.note.text() != "")
    assert panel.note.property("tone") == "bad"
    assert "layers.csv" in panel.note.text()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (0.0124, "1.24 %"),
        (0.124, "12.4 %"),
        (1.5, "150 %"),
        (0.00031, "0.031 %"),
        (0.0, "0 %"),
        (float("inf"), "from zero"),
    ],
)
def test_changes_are_written_with_three_digits(qtbot: QtBot, change: float, text: str) -> None:
    assert change_text(change) == text


WIDTHS = {"shape": 120, "rank": 60, "change": 80, "kept": 160, "error": 60, "time": 70}


@pytest.mark.parametrize(
    ("room", "dropped"),
    [
        (2000, ()),
        (750, ()),
        (749, ("error",)),
        (690, ("error",)),
        (689, ("error", "time")),
        (620, ("error", "time")),
        (619, ("error", "time", "shape")),
        (300, ("error", "time", "shape")),
    ],
)
def test_columns_that_tell_least_go_where_there_is_no_room(room: int, dropped: tuple[str, ...]) -> None:
    gone, shown = columns_for(WIDTHS, room, name=250, spare=50)
    assert gone == dropped
    assert set(shown) == {"name", *WIDTHS} - set(dropped)
    assert sum(shown.values()) == max(room, 250 + 60 + 80 + 110)
    assert shown["name"] >= 250
    assert 110 <= shown["kept"] <= 160


@pytest.mark.parametrize("width", [420, 600, 720, 900, 1500])
def test_every_column_shown_has_room_for_its_title_and_texts(qtbot: QtBot, theme: Theme, width: int) -> None:
    rows = [replace(row, shape=(1280, 2560, 3, 3)) if number == 37 else row for number, row in enumerate(many_rows())]
    panel = panel_with(qtbot, theme, rows)
    panel.resize(width, 400)
    panel.show()
    qtbot.wait(10)
    table, metrics = panel.table, panel.table.fontMetrics()
    shown = [number for number in range(len(COLUMNS)) if not table.isColumnHidden(number)]
    for number in shown:
        texts = [COLUMNS[number].text(row) for row in rows] if COLUMNS[number].key != "name" else [""]
        least = max(metrics.horizontalAdvance(text) for text in texts) + 2 * 11
        assert table.columnWidth(number) >= max(least, table.horizontalHeader().sectionSizeHint(number))
    assert table.columnWidth(COLUMN["name"]) >= LEAST_NAME
    assert (len(shown) == len(COLUMNS)) == (width == 1500)
    scrolls = table.horizontalScrollBar().maximum() > 0
    assert scrolls == (sum(map(table.columnWidth, shown)) > table.viewport().width()) == (width == 420)


def cell(panel: LayersPanel, name: str, key: str, role: Qt.ItemDataRole = Qt.ItemDataRole.DisplayRole) -> str:
    model = panel.table.model()
    return str(model.data(model.index(names(panel).index(name), COLUMN[key]), role))


def test_noise_and_the_real_change_kept_stand_beside_the_share_with_what_they_assume(
    qtbot: QtBot, theme: Theme
) -> None:
    known = replace(layer_result("a", 0.801), noise=rounding(0.2, 0.99))
    alone, unknown = replace(layer_result("b", 0.3), noise=ALL_OF_IT), layer_result("c")
    panel = panel_with(qtbot, theme, [known, alone, unknown])
    assert [(cell(panel, name, "noise"), cell(panel, name, "real")) for name in "abc"] == [
        ("20 %", "99.0 %"),
        ("all noise", "all noise"),
        ("not measured", "not measured"),
    ]
    tip = cell(panel, "a", "real", Qt.ItemDataRole.ToolTipRole)
    assert "between 97.0 % and 100 %" in tip
    assert "If the original had been rounded, too: 30 % noise, 89.0 % kept." in tip
    assumed = "computed in higher precision from the original as stored, and rounded once"
    for name in "ab":
        for key in ("noise", "real"):
            assert assumed in cell(panel, name, key, Qt.ItemDataRole.ToolTipRole)
    assert assumed not in cell(panel, "c", "real", Qt.ItemDataRole.ToolTipRole)


def test_a_layer_that_is_all_rounding_did_not_fall_short(qtbot: QtBot, theme: Theme) -> None:
    alone, short = replace(layer_result("a", 0.3), noise=ALL_OF_IT), layer_result("b", 0.3)
    saved = replace(layer_result("c", 0.3), noise=rounding(0.6, 0.99))
    panel = panel_with(qtbot, theme, [alone, short, saved])
    assert panel.detail.text() == f"3 \u00b7 1 kept below {round(100 * SHORT)} %"
    panel.show_only.setCurrentIndex(list(Show).index(Show.FELL_SHORT))
    assert names(panel) == ["b"]


def test_a_width_that_somebody_gave_a_column_stays(qtbot: QtBot, theme: Theme) -> None:
    panel = panel_with(qtbot, theme, many_rows())
    panel.resize(1200, 400)
    panel.show()
    qtbot.wait(10)
    panel.table.horizontalHeader().resizeSection(COLUMN["rank"], 140)
    panel.resize(1300, 400)
    qtbot.wait(10)
    assert panel.table.columnWidth(COLUMN["rank"]) == 140


def test_the_bar_of_a_layer_warns_where_the_words_name_it(theme: Theme) -> None:
    tokens = theme.tokens
    colours = [kept_colour(tokens, share).name() for share in (1.0, SHORT, 0.599, 0.0)]
    assert colours == [tokens.good, tokens.good, tokens.warning, tokens.warning]
