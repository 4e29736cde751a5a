import pytest
from explored_runs import finished
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.text.knee import beyond_sentence, knee_line, points_text
from app.text.notices import format_bytes
from app.text.quality import share_text
from app.widgets.result.explore_panel import ExplorePanel
from app.widgets.result.quality_panel import QualityPanel
from engine.analysis.knee import find_knee
from engine.analysis.quality import judge


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0.0 %"), (0.0004, "0.04 %"), (0.007, "0.7 %"), (0.0996, "10 %"), (0.41, "41 %")]
)
def test_what_a_higher_rank_adds_has_a_digit_that_says_something(share: float, text: str) -> None:
    assert points_text(share) == text


def test_the_advice_names_both_ranks_and_what_they_cost() -> None:
    _, _, exploration = finished(rank=32, slope=1.5, clamp_quantile=False)
    knee, line = find_knee(exploration), knee_line(find_knee(exploration))
    assert knee is not None
    assert line is not None
    at, top = exploration.at_rank(knee.at.rank), exploration.at_rank(32)
    added, more = points_text(top.mean.low - at.mean.low), format_bytes(top.size.high - at.size.high)
    kept = f"Rank {knee.at.rank} keeps {share_text(at.mean.low)} in {format_bytes(at.size.high)}"
    assert line.text == f"{kept}; 32 adds {added} for {more} more."
    assert [link.rank for link in line.links] == [knee.at.rank]
    assert beyond_sentence(knee).startswith("Above rank 32 only bounds are known: rank 48 keeps ")


def test_the_advice_sets_that_rank_to_try(qtbot: QtBot, theme: Theme) -> None:
    settings, result, exploration = finished(rank=32, slope=1.5, clamp_quantile=False)
    panel, explore = QualityPanel(), ExplorePanel(theme)
    for widget in (panel, explore):
        qtbot.addWidget(widget)
    panel.try_rank.connect(explore.show_rank)
    explore.show_exploration(exploration)
    knee = find_knee(exploration)
    assert knee is not None
    panel.show_quality(judge(settings, result, exploration), knee=knee)
    assert not panel.knee.isHidden()
    panel.knee.linkActivated.emit(f"rank:{knee.at.rank}")
    assert explore.answer is not None
    assert explore.answer.policy.rank == knee.at.rank


def test_a_curve_without_a_knee_gives_no_advice(qtbot: QtBot, theme: Theme) -> None:
    settings, result, exploration = finished(rank=8, slope=0.05)
    panel = QualityPanel()
    qtbot.addWidget(panel)
    panel.show_quality(judge(settings, result, exploration), knee=find_knee(exploration))
    assert panel.knee.isHidden()
