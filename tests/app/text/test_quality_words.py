"""Quality in words: levels, what fell short, and advice that keeps what it promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from explored_runs import finished, name, spectra
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.look.tokens import DARK, LIGHT
from app.text.quality import (
    RECOVERED,
    Line,
    advice_line,
    answer_words,
    experience,
    explanation,
    headline,
    mean_text,
    of_what,
    remarks,
    share_text,
    span_text,
    weakest_line,
)
from app.widgets.result.quality_panel import GOOD, WARNING, QualityPanel
from engine.analysis.exploration import Span
from engine.analysis.quality import Level, Quality, Step, judge
from engine.results import LeaveOutReason, LeftOut, NoiseFigures
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM


def text(line: Line | None) -> str:
    assert line is not None
    return line.text


def with_mean(mean: float) -> Quality:
    settings, result, exploration = finished()
    output = replace(result.outputs[0], mean_energy_retained=mean)
    return judge(settings, replace(result, outputs=(output,)), exploration)


@pytest.mark.parametrize(
    ("mean", "level", "good"),
    [
        (1.0, Level.NEARLY_ALL, True),
        (0.95, Level.NEARLY_ALL, True),
        (0.93, Level.MOST, True),
        (0.8999, Level.MUCH, True),
        (0.75, Level.MUCH, True),
        (0.7499, Level.PART, False),
        (0.6, Level.PART, False),
        (0.2, Level.LITTLE, False),
        (0.0, Level.LITTLE, False),
        (-0.1, Level.LITTLE, False),
    ],
)
def test_a_mean_has_a_level(mean: float, level: Level, good: bool) -> None:
    quality = with_mean(mean)
    assert quality.level is level
    assert quality.good is good


def with_noise(mean: float, share: float, interval: tuple[float, float] | None) -> Quality:
    settings, result, exploration = finished()
    real = None if interval is None else sum(interval) / 2
    noise = NoiseFigures(share, share, real, interval, real, 1.0)
    output = replace(result.outputs[0], mean_energy_retained=mean, noise=noise)
    return judge(settings, replace(result, outputs=(output,)), exploration)


def test_rounding_that_was_left_out_is_not_called_missing() -> None:
    assert with_noise(0.74, 0.3, (0.96, 0.98)).level is Level.NEARLY_ALL
    assert with_mean(0.74).level is Level.PART


def test_rounding_that_came_along_does_not_make_a_whole_difference_poor() -> None:
    assert with_noise(1.0, 0.1, (0.85, 0.93)).level is Level.NEARLY_ALL


def test_words_follow_the_lower_bound_and_say_the_doubt() -> None:
    doubtful = with_noise(0.6, 0.3, (0.7, 0.92))
    assert headline(doubtful) == headline(with_mean(0.7))
    assert not doubtful.good
    assert of_what(doubtful) == (
        "30.0 % of the difference is rounding; of the real change the LoRA keeps 70.0 to 92.0 %: "
        "it is judged by the lower figure."
    )
    assert of_what(with_noise(0.6, 0.3, (0.91, 0.92))).endswith("the LoRA keeps 91.0 to 92.0 %.")
    assert of_what(with_noise(0.88, 0.1, (0.7, 0.92))).endswith("the LoRA keeps 70.0 to 92.0 %."), "judged by 88 %"
    assert of_what(with_noise(0.6, 0.001, (0.6, 0.6))) == ""


def test_nothing_but_rounding_has_words_of_its_own_and_says_what_to_do() -> None:
    nothing = with_noise(0.4, 0.95, None)
    assert headline(nothing) == "Nothing here can be told from rounding"
    assert "If the fine-tuned model exists in higher precision, use that." in of_what(nothing)
    assert not nothing.good
    assert advice_line(nothing) is None
    assert weakest_line(nothing) is None
    assert experience(nothing) == ""


def test_a_layer_of_rounding_alone_is_not_called_weak() -> None:
    noise = NoiseFigures(0.95, 0.95, None, None, None, 0.0)
    weak = {4: {"energy_retained": 0.2}}
    assert [row.name for row in judge(*finished(count=5, slope=2.0, changes=weak)).short] == [name(4)]
    weak[4]["noise"] = noise  # type: ignore[assignment]
    assert not judge(*finished(count=5, slope=2.0, changes=weak)).short


def test_where_rounding_was_not_measured_it_is_said() -> None:
    assert "rounding not measured" in remarks(with_mean(0.9))
    assert "rounding not measured" not in remarks(with_noise(0.9, 0.01, (0.9, 0.91)))


def test_what_trained_tasks_recovered_is_said_of_each_level_and_falls_with_it() -> None:
    assert "recovered 85 to 99 % of what the fine-tune had learned" in experience(with_mean(0.779))
    least = [RECOVERED[level][0] for level in Level]
    assert least == sorted(least, reverse=True)


def test_each_level_has_words_of_its_own_and_none_speaks_of_looks() -> None:
    words = {headline(with_mean(level.value)) for level in Level}
    assert len(words) == len(Level)
    assert not any(promise in word.lower() for word in words for promise in ("look", "image", "picture", "quality"))
    assert "only pictures show" in explanation()


def test_layers_that_fell_short_are_counted_and_the_weakest_named_first() -> None:
    settings, result, exploration = finished(count=25, rank=4)
    line = weakest_line(judge(settings, result, exploration))
    kept = {name(index): np.sum(values[:4] ** 2) / np.sum(values**2) for index, values in enumerate(spectra(25, 1.0))}
    short = sorted((layer for layer, share in kept.items() if share < 0.6), key=lambda layer: kept[layer])
    assert line is not None
    assert {link.layer for link in line.links} <= set(short)
    assert len(line.links) == 3
    assert kept[line.links[0].layer] == pytest.approx(kept[short[0]], abs=1e-9)
    assert text(line).startswith(f"{len(short)} layers keep less than 60 %: ")
    assert text(line).endswith(f" and {len(short) - 3} more.")


def test_the_average_is_not_called_whole_where_a_layer_lost_something() -> None:
    quality = with_mean(1.0)
    assert quality.weakest is not None
    lossy = replace(quality, weakest=replace(quality.weakest, energy_retained=0.99999), short=())
    assert mean_text(lossy) == "99.999 %"
    assert "keeps 99.999 %" in text(weakest_line(lossy))
    assert mean_text(replace(quality, weakest=replace(quality.weakest, energy_retained=1.0))) == "100 %"


def test_many_more_layers_are_written_in_groups() -> None:
    settings, result, exploration = finished(count=5, rank=8)
    quality = judge(settings, result, exploration)
    line = weakest_line(replace(quality, short=quality.short * 2000))
    assert text(line).endswith("and 1,997 more.")


def test_sizes_that_hardly_differ_are_alike() -> None:
    _, _, exploration = finished()
    now = exploration.at_rank(8)
    other = exploration.at_rank(7)
    alike = replace(other, size=Span(now.size.high + 8, now.size.high + 8))
    assert answer_words(exploration, alike).startswith("As large as the run's file")
    assert "smaller than the run's file" in answer_words(exploration, other)


def test_a_single_layer_that_fell_short_is_named_with_its_share() -> None:
    settings, result, exploration = finished(count=5, rank=8)
    line = weakest_line(judge(settings, result, exploration))
    share = np.sum(spectra(5, 1.0)[4][:8] ** 2) / np.sum(spectra(5, 1.0)[4] ** 2)
    assert text(line) == f"One layer keeps only {100 * share:.1f} %: double_blocks.4.img_attn.qkv."


def test_where_none_fell_short_the_weakest_is_named_all_the_same() -> None:
    settings, result, exploration = finished(count=4, rank=16)
    assert text(weakest_line(judge(settings, result, exploration))).startswith("Even the weakest layer keeps 9")


def test_a_low_mean_is_answered_with_a_rank_and_what_it_surely_keeps() -> None:
    settings, result, exploration = finished(slope=0.6, rank=8)
    quality = judge(settings, result, exploration)
    assert quality.advice is not None
    assert quality.advice.step is Step.HIGHER_RANK
    assert quality.advice.mean is not None
    assert quality.advice.rank == 16
    squares = [values**2 for values in spectra(10, 0.6)]
    truth = sum(part[:16].sum() for part in squares) / sum(part.sum() for part in squares)
    assert quality.advice.mean.low <= truth <= quality.advice.mean.high
    line = advice_line(quality)
    assert line is not None
    assert line.links[0].rank == 16
    assert line.text.startswith("Rank 16 would keep ")


def test_where_a_smaller_rank_would_do_the_smallest_such_is_named() -> None:
    settings, result, exploration = finished(count=4, slope=2.0, rank=32)
    quality = judge(settings, result, exploration)
    squares = [values**2 for values in spectra(4, 2.0)]
    means = {
        rank: sum(part[:rank].sum() for part in squares) / sum(part.sum() for part in squares)
        for rank in (1, 2, 4, 8, 16, 24)
    }
    assert quality.advice is not None
    assert quality.advice.step is Step.SMALLER_RANK
    assert quality.advice.rank == min(rank for rank, mean in means.items() if mean >= 0.98)
    assert "would still keep" in text(advice_line(quality))


def test_one_weak_layer_among_good_ones_is_answered_with_a_rank_per_layer() -> None:
    weak = spectra(5, 1.5)[4] / 10  # it changed little, so that the mean hardly feels it
    changes = {4: {"delta_energy": float(np.sum(weak**2)), "singular_values": tuple(weak[:8].tolist())}}
    quality = judge(*finished(count=5, slope=1.5, rank=8, changes=changes))
    assert quality.level.good
    assert quality.advice is not None
    assert quality.advice.step is Step.RANK_PER_LAYER


def test_layers_cut_by_the_limit_are_answered_with_a_higher_limit() -> None:
    settings, result, exploration = finished(lora_type="adaptive_energy", adaptive_param=0.95, rank=8)
    quality = judge(settings, result, exploration)
    cut = sum(int(np.searchsorted(np.cumsum(v**2) / np.sum(v**2), 0.95)) + 1 > 8 for v in spectra(10, 1.0))
    assert cut > 0
    line = advice_line(quality)
    assert text(line) == f"The rank limit of 8 holds {cut} layers back. Try a limit of 16."
    assert line is not None
    assert line.links[0].rank == 16


@pytest.mark.parametrize(
    ("lora_type", "value", "step"),
    [("adaptive_energy", 0.6, Step.LARGER_VALUE), ("adaptive_ratio", 0.9, Step.SMALLER_VALUE)],
)
def test_a_rule_that_keeps_little_is_answered_with_another_value(lora_type: str, value: float, step: Step) -> None:
    assert lora_type in RECOMMENDED_ADAPTIVE_PARAM
    quality = judge(*finished(lora_type=lora_type, adaptive_param=value, rank=48))
    assert quality.advice is not None
    assert quality.advice.step is step


def test_change_in_parts_that_were_left_out_on_purpose_comes_first() -> None:
    left_out = (LeftOut("vae.weight", LeaveOutReason.COMPONENT_NOT_CHOSEN),)
    quality = judge(*finished(lost=0.3, left_out=left_out))
    assert quality.left_out_share == pytest.approx(0.3)
    assert text(advice_line(quality)).startswith("30.0 % of the change is in weights that were left out")
    assert not any("left out" in remark for remark in remarks(quality))
    by_shape = judge(*finished(lost=0.3, left_out=(LeftOut("a", LeaveOutReason.SHAPE_DIFFERS),)))
    assert by_shape.advice is None or by_shape.advice.step is not Step.MORE_PARTS
    assert "30.0 % of the change left out" in remarks(by_shape)


def test_what_was_decided_on_the_way_is_remarked() -> None:
    changes = {
        0: {"stored_dtype": "F32"},
        1: {"clamp": "kept"},
        2: {"clamp": "kept"},
        3: {"energy_before": 0.99, "energy_retained": 0.9},
    }
    broken = (LeftOut("x", LeaveOutReason.NON_FINITE), LeftOut("y", LeaveOutReason.UNCHANGED))
    quality = judge(*finished(changes=changes, left_out=broken, rank=24, clamp_max_loss=1e-4))
    assert remarks(quality) == (
        "1 layer with broken values left out",
        "clamping cost 1 layer more than 1 %",
        "1 layer did not change",
        "2 layers were not clamped: clamping would have cost too much",
        "1 layer in fp32 to keep precision",
        "rounding not measured",
    )
    assert not quality.good
    unasked = judge(*finished(changes=changes, left_out=broken, rank=24))
    assert not any("clamped" in text for text in remarks(unasked))
    assert remarks(judge(*finished(changes={0: {"stored_dtype": "F32"}}, output_dtype="fp32"))) == (
        "rounding not measured",
    )


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "100 %"), (0.9999999999, "100 %"), (0.99999, "99.999 %"), (0.938, "93.8 %"), (-0.2, "0.0 %")],
)
def test_shares(share: float, words: str) -> None:
    assert share_text(share) == words


def test_bounds() -> None:
    assert span_text(Span(0.916, 0.94)) == "91.6 to 94.0 %"
    assert span_text(Span(0.9161, 0.9164)) == "91.6 %"
    assert span_text(Span(0.99, 0.99953)) == "99.0 to 99.9 %"
    assert span_text(Span(0.99, 1.0)) == "99.0 to 100 %"
    assert span_text(Span(0.916, 0.94), about=True) == "about 91.6 to 94.0 %"


@pytest.fixture
def panel(qtbot: QtBot, theme: Theme) -> QualityPanel:
    made = QualityPanel()
    made.resize(400, 160)
    qtbot.addWidget(made)
    made.show()
    return made


def test_the_card_marks_good_and_bad_with_a_sign_and_words(panel: QualityPanel) -> None:
    assert "After a run" in panel.weakest.text()
    assert not panel.advice.isVisible()
    panel.show_quality(with_mean(0.99))
    assert panel.title.text() == f"{GOOD} Keeps nearly all of the change"
    assert panel.detail.text() == "99.0 % on average"
    panel.show_quality(with_mean(0.779))
    assert panel.title.text() == "Keeps much of the change, often enough: try it"
    assert panel.title.property("tone") == ""
    panel.show_quality(with_mean(0.7))
    assert panel.title.text().startswith(WARNING)
    assert panel.title.property("tone") == "warning"
    panel.clear()
    assert panel.title.property("tone") == ""
    assert GOOD not in panel.title.text()


def test_the_links_lead_to_layers_and_to_a_rank_by_keyboard(qtbot: QtBot, panel: QualityPanel) -> None:
    panel.show_quality(judge(*finished(slope=0.6, rank=8)))
    for label in (panel.weakest, panel.advice):
        assert label.focusPolicy() == Qt.FocusPolicy.StrongFocus
    panel.weakest.setFocus()
    QTest.keyClick(panel.weakest, Qt.Key.Key_Tab)
    with qtbot.waitSignal(panel.layer_clicked) as signal:
        QTest.keyClick(panel.weakest, Qt.Key.Key_Return)
    assert signal.args[0] in {name(index) for index in range(10)}
    panel.advice.setFocus()
    QTest.keyClick(panel.advice, Qt.Key.Key_Tab)
    with qtbot.waitSignal(panel.try_rank) as signal:
        QTest.keyClick(panel.advice, Qt.Key.Key_Return)
    assert signal.args == [16]


def test_the_links_follow_the_theme(qtbot: QtBot, panel: QualityPanel, theme: Theme) -> None:
    panel.show_quality(judge(*finished(slope=0.6, rank=8)))
    qtbot.waitUntil(lambda: panel.advice.height() > 0)
    try:
        theme.set_choice("dark")
        assert QColor(DARK.accent).rgb() in _colours(panel.advice)
    finally:
        theme.set_choice("light")
    assert QColor(LIGHT.accent).rgb() in _colours(panel.advice)


def _colours(label: QLabel) -> set[int]:
    """Colours in the picture of a label: its underlines are lines of one colour."""
    picture = label.grab().toImage()
    return {picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}


def test_a_layers_name_is_shown_as_it_is(qtbot: QtBot, panel: QualityPanel) -> None:
    odd = 'diffusion_model.<b>"{0}"&.weight'
    panel.show_quality(judge(*finished(count=1, rank=16, changes={0: {"name": odd}})))
    assert "&lt;b&gt;" in panel.weakest.text()
    assert '<b>"{0}"&' in panel.weakest.accessibleName()
    with qtbot.waitSignal(panel.layer_clicked) as signal:
        panel.weakest.linkActivated.emit("layer:" + odd)
    assert signal.args == [odd]
