from dataclasses import replace

import numpy as np
import pytest
from fakes import layer_result
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_model import LayerModel
from app.widgets.spectrum.data import (
    Measure,
    distinct_names,
    kept_by_rank,
    largest_tail,
    last_rank_shown,
    most_kept,
    spectrum_of,
)
from app.widgets.spectrum.panel import SpectrumPanel
from app.widgets.spectrum.plot import COMPARED, DASHES, TOKENS
from engine.results import LayerResult


def matrix(seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((40, 6)) @ generator.standard_normal((6, 30)) + 0.1 * generator.standard_normal(
        (40, 30)
    )


def row_of(delta: NDArray[np.float64], name: str = "diffusion_model.a.weight", rank: int = 4) -> LayerResult:
    """What a run says of a delta from whose singular values it computed the first six."""
    values = np.linalg.svd(delta, compute_uv=False)
    energy = float((delta**2).sum())
    return replace(
        layer_result(name, float((values[:rank] ** 2).sum()) / energy, rank),
        shape=delta.shape,
        singular_values=tuple(values[:6].tolist()),
        delta_energy=energy,
    )


class Shown:
    """A panel with its model and its choice."""

    def __init__(self, qtbot: QtBot, theme: Theme, rows: list[LayerResult]) -> None:
        self.model, self.choice = LayerModel(), LayerChoice()
        for row in rows:
            self.model.add(row)
        self.model.flush()
        self.panel = SpectrumPanel(theme, self.model, self.choice)
        qtbot.addWidget(self.panel)
        self.panel.resize(500, 200)

    def drawn(self) -> int:
        return len(self.panel.plot.spectra)

    def hint(self) -> str:
        return self.panel._hint.text() if self.panel._stack.currentIndex() == 0 else ""


@pytest.mark.parametrize("seed", range(5))
def test_what_each_rank_keeps_is_what_the_truncated_matrix_keeps(seed: int) -> None:
    delta = matrix(seed)
    spectrum = spectrum_of(row_of(delta))
    assert spectrum is not None
    up, values, down = np.linalg.svd(delta, full_matrices=False)
    for rank, kept in enumerate(kept_by_rank(spectrum)):
        rest = delta - (up[:, :rank] * values[:rank]) @ down[:rank]
        assert kept == pytest.approx(1 - (rest**2).sum() / (delta**2).sum(), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_unknown_values_are_within_the_hatched_area(seed: int) -> None:
    delta = matrix(seed)
    spectrum = spectrum_of(row_of(delta))
    assert spectrum is not None
    values = np.linalg.svd(delta, compute_uv=False)
    ranks = np.arange(7.0, 31.0)
    bounds = largest_tail(spectrum, ranks)
    assert (values[6:] <= bounds + 1e-12).all()
    assert bounds[-1] < values[5]
    shares = np.cumsum(values**2)[6:] / (values**2).sum()
    assert (shares <= most_kept(spectrum, ranks) + 1e-12).all()
    assert (shares >= kept_by_rank(spectrum)[-1]).all()


def test_a_convolution_has_as_many_values_as_its_matrix() -> None:
    row = replace(layer_result("conv"), shape=(320, 4, 3, 3))
    spectrum = spectrum_of(row)
    assert spectrum is not None
    assert spectrum.full == 36


def test_the_plot_ends_where_there_are_no_more_values() -> None:
    delta = matrix(1)
    complete = replace(row_of(delta), singular_values=tuple(np.linalg.svd(delta, compute_uv=False).tolist()))
    spectra = [spectrum for row in (complete, row_of(delta)) if (spectrum := spectrum_of(row)) is not None]
    assert last_rank_shown(spectra[:1]) == 30
    assert last_rank_shown(spectra[1:]) == 11


def test_one_layer_has_its_cut_and_a_hatched_tail(qtbot: QtBot, theme: Theme) -> None:
    row = row_of(matrix(2))
    shown = Shown(qtbot, theme, [row])
    shown.choice.choose([row.name])
    ranks, heights = shown.panel.plot.curve_points(0)
    assert heights == pytest.approx(np.linalg.svd(matrix(2), compute_uv=False)[:6])
    assert list(ranks) == [1, 2, 3, 4, 5, 6]
    assert shown.panel.plot.cut_text == f"rank 4 keeps {100 * row.energy_retained:.1f} %"
    area = shown.panel.plot.hatching.area().boundingRect()
    assert (area.left(), area.right()) == (6, 11)
    assert shown.panel.plot.hatching.isVisible()


def test_nothing_is_hatched_where_all_values_are_known(qtbot: QtBot, theme: Theme) -> None:
    values = np.linalg.svd(matrix(2), compute_uv=False)
    shown = Shown(qtbot, theme, [replace(row_of(matrix(2)), singular_values=tuple(values.tolist()))])
    shown.choice.choose(["diffusion_model.a.weight"])
    assert shown.panel.plot.hatching.area().isEmpty()
    assert "hatched" not in shown.panel.detail.text()


def test_the_scale_can_be_logarithmic_or_what_is_kept(qtbot: QtBot, theme: Theme) -> None:
    row = row_of(matrix(3))
    shown = Shown(qtbot, theme, [row])
    shown.choice.choose([row.name])
    values = np.linalg.svd(matrix(3), compute_uv=False)
    shown.panel.measure.setCurrentIndex(list(Measure).index(Measure.LOG))
    assert shown.panel.plot.curve_points(0)[1] == pytest.approx(np.log10(values[:6]))
    shown.panel.measure.setCurrentIndex(list(Measure).index(Measure.KEPT))
    shares = np.cumsum(values**2)[:6] / (values**2).sum()
    assert shown.panel.plot.curve_points(0)[1] == pytest.approx([0, *shares])


def test_several_layers_are_compared_by_shares_of_their_largest(qtbot: QtBot, theme: Theme) -> None:
    rows = [row_of(10.0**seed * matrix(seed), f"diffusion_model.blocks.3.w{seed}.weight") for seed in range(8)]
    shown = Shown(qtbot, theme, rows)
    shown.choice.choose(row.name for row in rows)
    assert shown.drawn() == COMPARED
    for seed in range(COMPARED):
        values = np.linalg.svd(matrix(seed), compute_uv=False)
        assert shown.panel.plot.curve_points(seed)[1] == pytest.approx(values[:6] / values[0])
    assert not shown.panel.plot.hatching.isVisible()
    assert shown.panel.plot.cut_text == ""
    assert [entry.text().split()[0] for entry in shown.panel.legend] == [f"w{seed}" for seed in range(6)]
    assert shown.panel.detail.text().startswith("blocks.3 \u00b7 the first 6 of 8")


def test_curves_differ_in_colour_and_in_dashes(theme: Theme) -> None:
    assert len({getattr(theme.tokens, token) for token in TOKENS}) == len(set(DASHES)) == COMPARED


def test_a_stored_difference_and_no_choice_have_their_own_words(qtbot: QtBot, theme: Theme) -> None:
    stored = replace(layer_result("diffusion_model.n.weight", 1.0, rank=None), singular_values=(), shape=(64,))
    shown = Shown(qtbot, theme, [stored, row_of(matrix(1))])
    nothing = shown.hint()
    shown.choice.choose([stored.name])
    whole = shown.hint()
    assert nothing.startswith("Choose a layer")
    assert whole.startswith("The difference itself")
    assert shown.panel.detail.text() == "n"
    shown.choice.choose([stored.name, "diffusion_model.a.weight"])
    assert (shown.drawn(), shown.hint()) == (1, "")
    assert "1 more has none" in shown.panel.detail.text()
    shown.choice.clear()
    assert shown.hint() == nothing


def test_a_chosen_layer_is_drawn_when_the_run_comes_to_it(qtbot: QtBot, theme: Theme) -> None:
    row = row_of(matrix(1))
    shown = Shown(qtbot, theme, [])
    shown.choice.choose([row.name])
    assert shown.drawn() == 0
    shown.model.add(row)
    shown.model.flush()
    assert shown.drawn() == 1
    shown.model.start()
    assert (shown.drawn(), shown.hint()[:6]) == (0, "Choose")


@pytest.mark.parametrize("values", [(1.0,), (0.0, 0.0), (1.0, 0.0, 0.0), (1e-30, 1e-31)])
@pytest.mark.parametrize("measure", range(3))
def test_odd_spectra_are_drawn(qtbot: QtBot, theme: Theme, values: tuple[float, ...], measure: int) -> None:
    energy = sum(value**2 for value in values)
    row = replace(layer_result("odd", 1.0, rank=1), shape=(3, 4), singular_values=values, delta_energy=energy)
    shown = Shown(qtbot, theme, [row])
    shown.panel.measure.setCurrentIndex(measure)
    shown.choice.choose(["odd"])
    shown.panel.show()
    shown.panel.grab()
    ranks, heights = shown.panel.plot.curve_points(0)
    assert len(ranks) >= 2
    assert np.isfinite(heights).all()


def test_the_numbers_under_the_mouse_are_told(qtbot: QtBot, theme: Theme) -> None:
    row = row_of(matrix(2))
    shown = Shown(qtbot, theme, [row])
    shown.choice.choose([row.name])
    shown.panel.show()
    plot = shown.panel.plot
    view = plot.getPlotItem().getViewBox()
    at_three = plot.mapFromScene(view.mapViewToScene(QPointF(3.0, 0.0)))
    value = np.linalg.svd(matrix(2), compute_uv=False)[2]
    assert f"value 3 is {value:.4g}, rank 3 keeps" in plot.text_at(at_three)
    beyond = plot.mapFromScene(view.mapViewToScene(QPointF(9.0, 0.0)))
    assert plot.text_at(beyond) == "a: only the first 6 of 30 values were computed"


def test_names_lose_what_they_share() -> None:
    assert distinct_names(["b.3.attn.q", "b.3.mlp"]) == ("b.3", ("attn.q", "mlp"))
    assert distinct_names(["b.3", "b.3.x"]) == ("b", ("3", "3.x"))
    assert distinct_names(["b.3.attn"]) == ("", ("b.3.attn",))
    assert distinct_names([]) == ("", ())
