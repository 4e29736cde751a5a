"""The card that tries other ranks: its figures against numpy, and what its button asks for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from explored_runs import OTHER_BYTES, file_bytes, finished, name, spectra
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QWidget
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.widgets.basics.kept_drawing import ShareBar
from app.widgets.result.explore_panel import WIDE, ExplorePanel
from engine.analysis.exploration import Exploration, Span
from engine.settings import ExtractionSettings

PanelMaker = Callable[..., ExplorePanel]


@pytest.fixture
def panel(qtbot: QtBot, theme: Theme) -> ExplorePanel:
    made = ExplorePanel(theme)
    made.resize(400, 200)
    qtbot.addWidget(made)
    made.show()
    return made


def choose(panel: ExplorePanel, title: str) -> None:
    panel.by.setCurrentIndex(panel.by.findText(title))
    assert panel.by.currentText() == title


def titles(panel: ExplorePanel) -> list[str]:
    return [panel.by.itemText(place) for place in range(panel.by.count())]


def shares(rank: int) -> tuple[float, float]:
    """Mean and worst share in percent that a rank keeps, in plain numpy."""
    squares = [values**2 for values in spectra(10, 1.0)]
    kept = [part[:rank].sum() for part in squares]
    whole = [part.sum() for part in squares]
    return 100 * sum(kept) / sum(whole), 100 * float(np.min(np.divide(kept, whole)))


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[\d.]+", text)]


def asked(qtbot: QtBot, panel: ExplorePanel) -> ExtractionSettings:
    with qtbot.waitSignal(panel.write_clicked) as signal:
        qtbot.mouseClick(panel.write, Qt.MouseButton.LeftButton)
    settings = signal.args[0]
    assert isinstance(settings, ExtractionSettings)
    return settings


def test_before_a_run_it_says_what_it_is_for(panel: ExplorePanel) -> None:
    assert not panel.write.isVisible()
    assert "After a run" in panel._hint.text()
    panel.show_rank(64)
    assert panel.answer is None


def test_it_begins_with_the_run_itself_which_need_not_be_written_again(panel: ExplorePanel) -> None:
    settings, result, exploration = finished()
    panel.show_exploration(exploration)
    assert panel.by.currentText() == "Rank"
    assert panel.slider.value() == settings.rank
    assert not panel.write.isEnabled()
    assert "what the run wrote" in panel.words.text()
    assert panel.answer is not None
    assert panel.answer.size.low == result.outputs[0].size_bytes
    assert panel.answer.mean.low == pytest.approx(result.outputs[0].mean_energy_retained, abs=1e-12)


def test_a_smaller_rank_is_written_without_the_models(qtbot: QtBot, panel: ExplorePanel) -> None:
    settings, _, exploration = finished(output_dtype="bf16", seed=7, resume=False)
    panel.show_exploration(exploration)
    panel.slider.number.setValue(3)
    mean, worst = shares(3)
    assert numbers(panel.mean_kept.text()) == [pytest.approx(mean, abs=0.051)]
    assert numbers(panel.worst_kept.text()) == [pytest.approx(worst, abs=0.051)]
    assert panel.answer is not None
    assert panel.answer.size.low == OTHER_BYTES + 10 * file_bytes(3)
    assert panel.file_size.text() == "12 kB"
    assert panel.write.text() == panel.write.accessibleName() == "Write this one"
    assert panel.detail.text() == "no models needed"
    assert asked(qtbot, panel) == settings.model_copy(update={"rank": 3, "resume": True})


def test_above_the_computed_rank_the_figures_are_bounds_and_the_models_are_needed(
    qtbot: QtBot, panel: ExplorePanel
) -> None:
    settings, _, exploration = finished()
    panel.show_exploration(exploration)
    panel.slider.number.setValue(16)
    for label, truth in zip((panel.mean_kept, panel.worst_kept), shares(16), strict=True):
        low, high = numbers(label.text())
        assert low - 0.051 <= truth <= high + 0.051
        assert low < high
    assert panel.write.text() == "Extract at 16"
    assert panel.detail.text() == "reads the models again"
    assert "only bounds" in panel.words.text()
    assert asked(qtbot, panel).rank == 16
    assert settings.rank == 8


def test_without_a_journal_every_other_rank_is_extracted(panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2], available=False)
    panel.slider.number.setValue(3)
    assert panel.write.text() == "Extract at 3"


def test_a_file_size_gives_the_largest_rank_that_fits(qtbot: QtBot, panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    choose(panel, "File size")
    assert panel.answer is not None
    assert panel.answer.policy.rank == 8  # as large as what was shown
    panel.slider.number.setValue(20)
    fitting = max(rank for rank in range(1, 49) if OTHER_BYTES + 10 * file_bytes(rank) <= 20_000)
    assert panel.answer.policy.rank == fitting
    assert f"rank {fitting}" in panel.file_size.text()
    assert asked(qtbot, panel).rank == fitting


def test_a_share_per_layer_gives_each_layer_its_own_rank(qtbot: QtBot, panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    choose(panel, "Kept per layer")
    panel.slider.number.setValue(80)
    assert panel.answer is not None
    squares = [np.cumsum(values**2) / np.sum(values**2) for values in spectra(10, 1.0)]
    assert panel.answer.ranks.tolist() == [min(8, int(np.searchsorted(part, 0.8)) + 1) for part in squares]
    assert "cuts 2 layers short" in panel.words.text()
    settings = asked(qtbot, panel)
    assert (settings.lora_type, settings.rank, settings.adaptive_param) == ("adaptive_energy", 8, 0.8)


def test_a_rarer_rule_is_offered_where_the_run_was_made_with_it(panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    assert titles(panel) == ["Rank", "Kept per layer", "Ratio", "File size"]
    panel.show_exploration(finished(lora_type="adaptive_fro", adaptive_param=0.8)[2])
    assert titles(panel) == ["Rank", "Kept per layer", "Ratio", "Frobenius", "File size"]
    assert panel.by.currentText() == "Frobenius"
    assert panel.answer is not None
    assert panel.answer.is_run


def test_a_value_that_the_slider_has_no_place_for_is_still_the_runs_own(panel: ExplorePanel) -> None:
    panel.show_exploration(finished(lora_type="adaptive_energy", adaptive_param=0.8765)[2])
    assert panel.answer is not None
    assert panel.answer.is_run
    assert panel.answer.policy.adaptive_param == 0.8765


def test_a_run_without_ranks_has_nothing_to_explore(panel: ExplorePanel) -> None:
    changes: dict[int, dict[str, Any]] = {0: {"rank": None, "singular_values": (), "kind": "bias"}}
    panel.show_exploration(finished(count=1, changes=changes)[2])
    assert not panel.write.isVisible()
    assert "no rank to choose" in panel._hint.text()


def test_while_a_run_goes_on_nothing_can_be_chosen(panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    panel.slider.number.setValue(3)
    panel.set_running(True)
    assert not any(part.isEnabled() for part in (panel.by, panel.slider.slider, panel.slider.number, panel.write))
    panel.set_running(False)
    assert all(part.isEnabled() for part in (panel.by, panel.slider.slider, panel.slider.number, panel.write))


def test_a_rank_that_somebody_else_names_is_shown(panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    choose(panel, "Ratio")
    panel.show_rank(12)
    assert panel.by.currentText() == "Rank"
    assert panel.slider.value() == 12
    assert panel.write.text() == "Extract at 12"
    panel.show_exploration(finished(lora_type="adaptive_energy", adaptive_param=0.9)[2])
    panel.show_rank(16)
    assert panel.answer is not None
    assert panel.answer.policy.rank == 16
    assert panel.answer.policy.lora_type == "adaptive_energy"


def test_the_keyboard_reaches_everything_in_order(qtbot: QtBot, panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    panel.activateWindow()
    panel.by.setFocus()
    QTest.keyClick(panel.by, Qt.Key.Key_Down)
    assert panel.by.currentText() == "Kept per layer"
    order: list[QWidget | None] = [panel.by]
    for _ in range(3):
        widget = panel.focusWidget()
        assert widget is not None
        QTest.keyClick(widget, Qt.Key.Key_Tab)
        order.append(panel.focusWidget())
    assert order == [panel.by, panel.slider.slider, panel.slider.number, panel.write]
    before = panel.answer
    QTest.keyClick(panel.slider.slider, Qt.Key.Key_Left)
    assert panel.answer is not before


def test_every_control_has_an_accessible_name(panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    kinds = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox)
    content = [part for part in panel.findChildren(QWidget) if isinstance(part, kinds) and part.isVisible()]
    assert len(content) == 4
    assert all(part.accessibleName() for part in content)


def test_the_curve_is_drawn_where_there_is_room(panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    assert not panel.curve.isVisible()
    panel.resize(2 * WIDE, 240)
    assert panel.curve.isVisible()
    panel.slider.number.setValue(2)
    small = panel.curve.grab().toImage()
    panel.slider.number.setValue(20)
    assert panel.curve.grab().toImage() != small


def test_what_is_uncertain_looks_different_from_what_is_known(qtbot: QtBot, theme: Theme) -> None:
    bar = ShareBar(theme)
    qtbot.addWidget(bar)
    bar.resize(100, 12)
    bar.set_span(Span(0.4, 0.4))
    known = bar.grab().toImage()
    bar.set_span(Span(0.4, 0.9))
    bounds = bar.grab().toImage()
    for x in (20, 95):
        assert bounds.pixel(x, 6) == known.pixel(x, 6)
    row = [bounds.pixel(x, 6) for x in range(45, 85)]
    assert len(set(row)) > 1  # hatched, so that it is not told by colour alone
    assert known.pixel(20, 6) not in row[2:-2] or known.pixel(60, 6) not in row


def test_the_weakest_layer_is_named(panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    panel.slider.number.setValue(2)
    worst = min(
        range(10), key=lambda index: np.sum(spectra(10, 1.0)[index][:2] ** 2) / np.sum(spectra(10, 1.0)[index] ** 2)
    )
    assert panel.worst_kept.toolTip() == name(worst)


def test_other_models_clear_it(panel: ExplorePanel) -> None:
    panel.show_exploration(finished()[2])
    panel.clear()
    assert panel.exploration is None
    assert panel.detail.text() == ""
    assert not panel.write.isVisible()


def test_a_file_of_a_wanted_size_begins_with_the_rank_whose_file_is_as_large(qtbot: QtBot, panel: ExplorePanel) -> None:
    _settings, result, _exploration = finished(rank=12)
    sized = Exploration.of_result(ExtractionSettings(target_size=result.outputs[0].size_bytes), result)
    panel.show_exploration(sized)
    assert panel.answer is not None
    assert panel.answer.policy.rank in (11, 12), "a rank in its settings takes a few bytes of the header"
    assert panel.write.isEnabled(), "what the run wrote has a rank for each layer"
    assert asked(qtbot, panel).target_size is None
