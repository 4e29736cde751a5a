import math
from dataclasses import replace

import numpy as np
import pytest
from fakes import layer_result
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from app.theme import DARK, LIGHT, Theme, contrast
from app.widgets.change_map import ChangeMap
from app.widgets.change_map_colours import map_colour
from app.widgets.change_map_data import BIASES, NORMS, OTHERS, OUTSIDE, arrange, place_of, robust_scale
from app.widgets.layer_choice import LayerChoice
from app.widgets.layer_model import LayerModel
from engine.results import LayerResult

DENOISER = "diffusion_model."
CLIP = "text_encoders.clip_l.transformer.text_model.encoder.layers"
FLUX = [
    f"{DENOISER}{stack}.{number}.{kind}.weight"
    for stack, count, kinds in (
        ("double_blocks", 19, ("img_attn.qkv", "img_mlp.0", "txt_attn.qkv", "txt_mlp.0")),
        ("single_blocks", 38, ("linear1", "linear2")),
    )
    for number in range(count)
    for kind in kinds
]


def result(name: str, change: float = 0.01, energy: float = 1.0, kept: float = 0.9) -> LayerResult:
    return replace(layer_result(name, kept), relative_change=change, delta_energy=energy)


def grid_of(names: list[str], kinds: int = 40, columns: int = 200) -> dict[str, tuple[str, str]]:
    """Each layer's row and column by their titles."""
    grid = arrange(names, most_kinds=kinds, most_columns=columns)
    places = (divmod(int(cell), len(grid.columns)) for cell in grid.cells)
    return {name: (grid.kinds[row], grid.columns[column]) for name, (row, column) in zip(names, places, strict=True)}


class Shown:
    """A map with its model and its choice."""

    def __init__(self, qtbot: QtBot, theme: Theme, rows: list[LayerResult]) -> None:
        self.model, self.choice = LayerModel(), LayerChoice()
        self.map = ChangeMap(theme, self.model, self.choice)
        qtbot.addWidget(self.map)
        self.map.resize(900, 400)
        self.map.show()
        self.add(rows)

    def add(self, rows: list[LayerResult]) -> None:
        for row in rows:
            self.model.add(row)
        self.model.flush()
        self.map.refresh()

    def cell(self, name: str) -> int:
        grid = self.map.grid()
        return next(cell for cell in range(grid.size) if name in self.names_in(cell))

    def names_in(self, cell: int) -> list[str]:
        return [self.map._names[number] for number in self.map.grid().layers_in(cell)]

    def value(self, name: str) -> float:
        return float(self.map.values()[self.cell(name)])

    def point(self, cell: int) -> QPoint:
        return self.map.canvas.rectangle(cell).center().toPoint()


@pytest.mark.parametrize(
    ("name", "block", "kind"),
    [
        ("diffusion_model.double_blocks.3.img_mlp.0.weight", ("double_blocks", 3), "img_mlp.0"),
        ("diffusion_model.double_blocks.3.img_mlp.0.bias", ("double_blocks", 3), BIASES),
        ("diffusion_model.double_blocks.3.img_attn.norm.query_norm.scale", ("double_blocks", 3), NORMS),
        ("diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight", ("input_blocks", 4), "attn1.to_q"),
        ("diffusion_model.input_blocks.4.0.in_layers.2.weight", ("input_blocks", 4), "in_layers.2"),
        ("diffusion_model.input_blocks.0.0.weight", ("input_blocks", 0), "conv"),
        (
            "diffusion_model.middle_block.1.transformer_blocks.3.ff.net.0.proj.weight",
            ("middle_block", 0),
            "ff.net.0.proj",
        ),
        ("diffusion_model.down_blocks.1.attentions.0.proj_in.weight", ("down_blocks", 1), "proj_in"),
        ("diffusion_model.label_emb.0.0.weight", ("", 0), "label_emb"),
        ("diffusion_model.time_embed.2.weight", ("", 0), "time_embed"),
        ("diffusion_model.blocks.0.modulation", ("blocks", 0), "modulation"),
        (f"{CLIP}.11.mlp.fc1.weight", (CLIP, 11), "mlp.fc1"),
        ("model.layers.11.self_attn.q_proj.weight", ("model.layers", 11), "self_attn.q_proj"),
        ("lm_head.weight", ("", 0), "lm_head"),
    ],
)
def test_a_name_says_block_and_kind(name: str, block: tuple[str, int], kind: str) -> None:
    place = place_of(name)
    assert (place.block, place.kind) == (block, kind)


def test_blocks_stand_in_the_order_of_the_model() -> None:
    names = [
        f"{CLIP}.0.mlp.fc1.weight",
        "diffusion_model.output_blocks.1.0.op.weight",
        "diffusion_model.middle_block.0.op.weight",
        "diffusion_model.input_blocks.10.0.op.weight",
        "diffusion_model.input_blocks.9.0.op.weight",
    ]
    grid = arrange(names, most_kinds=9, most_columns=99)
    assert grid.columns == ("input_blocks.9", "input_blocks.10", "middle_block", "output_blocks.1", f"{CLIP}.0")
    assert [(group.first, group.columns) for group in grid.groups] == [(0, 2), (2, 1), (3, 1), (4, 1)]
    assert grid.blocks == 5


def test_every_layer_has_the_cell_of_its_block_and_kind() -> None:
    placed = grid_of(FLUX)
    assert placed[f"{DENOISER}double_blocks.11.txt_mlp.0.weight"] == ("txt_mlp.0", "double_blocks.11")
    assert placed[f"{DENOISER}single_blocks.37.linear2.weight"] == ("linear2", "single_blocks.37")
    assert len(set(placed.values())) == len(FLUX)


def test_too_many_kinds_are_put_together_by_stream_then_by_beginning_then_by_number() -> None:
    assert {kind for kind, _ in grid_of(FLUX, kinds=4).values()} == {"attn.qkv", "mlp.0", "linear1", "linear2"}
    names = [f"blocks.{n}.{k}.weight" for n in range(3) for k in ("a.x", "a.y", "b.x", "b.y", "c", "d")]
    assert {kind for kind, _ in grid_of(names, kinds=5).values()} == {"a", "b", "c", "d"}
    experts = [f"blocks.{n}.mlp.w{k}.weight" for n in range(3) for k in range(9) if k < 5 or n == 0]
    assert {kind for kind, _ in grid_of(experts, kinds=6).values()} == {*(f"mlp.w{k}" for k in range(5)), OTHERS}


def test_too_many_blocks_share_columns_with_their_neighbours() -> None:
    names = [f"blocks.{number}.w.weight" for number in range(1000)]
    grid = arrange(names, most_kinds=5, most_columns=100)
    assert len(grid.columns) == 100
    assert grid.columns[1] == "blocks.10\u201319"
    assert sorted(len(grid.layers_in(cell)) for cell in range(100)) == [10] * 100
    assert grid.blocks == 1000


def test_layers_outside_the_blocks_have_a_row_of_their_own() -> None:
    names = [*FLUX, f"{DENOISER}img_in.weight", f"{DENOISER}txt_in.weight"]
    placed = grid_of(names)
    assert [placed[name][0] for name in names[-2:]] == [OUTSIDE, OUTSIDE]
    assert placed[names[-1]] != placed[names[-2]]


@pytest.mark.parametrize("count", [1, 7, 10_000])
def test_a_model_without_blocks_has_a_row_for_each_beginning(count: int) -> None:
    names = [f"part{chr(97 + number % 3)}.w{number}" for number in range(count)]
    grid = arrange(names, most_kinds=8, most_columns=50)
    assert grid.kinds == tuple(sorted({name[:5] for name in names}))
    assert (grid.blocks, len(grid.columns)) == (0, min(50, -(-count // 3)))
    assert sum(len(grid.layers_in(cell)) for cell in range(grid.size)) == count
    assert all(grid.kinds[cell // len(grid.columns)] == name[:5] for name, cell in zip(names, grid.cells, strict=True))


def test_a_cell_of_several_layers_has_the_change_and_share_of_all_of_them(qtbot: QtBot, theme: Theme) -> None:
    """Against the norms of the weights themselves."""
    generator = np.random.default_rng(5)
    originals = [generator.standard_normal((6, 5)), generator.standard_normal((9, 5))]
    deltas = [0.3 * generator.standard_normal((6, 5)), 0.01 * generator.standard_normal((9, 5))]
    rows = []
    for number, (original, delta, kept) in enumerate(zip(originals, deltas, (0.5, 0.9), strict=True)):
        change = np.linalg.norm(delta) / np.linalg.norm(original)
        name = f"{DENOISER}input_blocks.4.1.transformer_blocks.{number}.attn1.to_q.weight"
        rows.append(result(name, float(change), float((delta**2).sum()), kept))
    shown = Shown(qtbot, theme, rows)
    assert shown.map.grid().size == 1
    together = np.linalg.norm(np.concatenate(deltas)) / np.linalg.norm(np.concatenate(originals))
    assert shown.value(rows[0].name) == pytest.approx(together)
    shown.map.value.setCurrentIndex(1)
    energies = [float((delta**2).sum()) for delta in deltas]
    lost = (0.5 * energies[0] + 0.1 * energies[1]) / sum(energies)
    assert shown.value(rows[0].name) == pytest.approx(1 - lost)


def test_a_change_from_zero_and_one_of_zero_are_shown(qtbot: QtBot, theme: Theme) -> None:
    shown = Shown(qtbot, theme, [result("b.0.x.weight", math.inf), result("b.1.x.weight", 0.0, 0.0)])
    assert shown.value("b.0.x.weight") == math.inf
    assert shown.value("b.1.x.weight") == 0.0
    assert "from zero" in shown.map.words(shown.cell("b.0.x.weight"))
    shown.map.grab()


def test_a_few_extreme_layers_do_not_take_the_contrast_from_the_others() -> None:
    values = np.append(np.linspace(0.01, 0.02, 200), [5.0, np.inf, np.nan])
    scale = robust_scale(values)
    assert scale.high < 0.03
    placed = scale.place(values)
    assert np.ptp(placed[:200]) > 0.9
    assert list(placed[200:202]) == [1.0, 1.0]
    assert np.isnan(placed[202])


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda tokens: str(tokens.name))
def test_more_change_stands_out_more_from_the_panel(
    theme: Theme, tokens: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theme, "_tokens", tokens)
    panel = theme.tokens.panel
    steps = [contrast(map_colour(theme, place, kept=False).name(), panel) for place in np.linspace(0, 1, 20)]
    assert steps == sorted(steps)
    assert steps[-1] > 2 * steps[0]


def test_what_a_run_will_do_is_there_from_its_beginning(qtbot: QtBot, theme: Theme) -> None:
    shown = Shown(qtbot, theme, [])
    shown.model.start()
    shown.map.expect(FLUX)
    before = shown.map.grid()
    assert np.isnan(shown.map.values()).all()
    assert "not finished yet" in shown.map.words(shown.cell(FLUX[5]))
    shown.add([result(FLUX[5], 0.02)])
    assert shown.map.grid() is before
    assert shown.value(FLUX[5]) == pytest.approx(0.02)
    assert np.isfinite(shown.map.values()).sum() == 1


def test_rows_are_drawn_a_moment_after_they_came(qtbot: QtBot, theme: Theme) -> None:
    shown = Shown(qtbot, theme, [])
    shown.model.add(result(FLUX[0]))
    qtbot.waitUntil(lambda: shown.map.grid().size == 1)
    shown.model.start()
    assert shown.map.grid().size == 0


def test_a_click_chooses_the_layers_of_the_cell(qtbot: QtBot, theme: Theme) -> None:
    shown = Shown(qtbot, theme, [result(name) for name in FLUX])
    for name in (FLUX[0], FLUX[90]):
        with qtbot.waitSignal(shown.map.picked):
            qtbot.mouseClick(shown.map.canvas, Qt.MouseButton.LeftButton, pos=shown.point(shown.cell(name)))
        assert shown.choice.names == (name,)
    control = Qt.KeyboardModifier.ControlModifier
    qtbot.mouseClick(shown.map.canvas, Qt.MouseButton.LeftButton, control, shown.point(shown.cell(FLUX[7])))
    assert shown.choice.names == (FLUX[90], FLUX[7])


def test_a_cell_of_several_layers_chooses_all_of_them(qtbot: QtBot, theme: Theme) -> None:
    names = [f"{DENOISER}input_blocks.4.1.transformer_blocks.{number}.attn1.to_q.weight" for number in range(10)]
    shown = Shown(qtbot, theme, [result(name) for name in names])
    qtbot.mouseClick(shown.map.canvas, Qt.MouseButton.LeftButton, pos=shown.point(0))
    assert shown.choice.names == tuple(names)
    assert shown.map.words(0).splitlines()[-1] == "+ 2 more"


def test_arrows_move_a_cell_and_return_chooses_it(qtbot: QtBot, theme: Theme) -> None:
    shown = Shown(qtbot, theme, [result(f"blocks.{n}.{k}.weight") for n in range(3) for k in ("a", "b")])
    canvas = shown.map.canvas
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_Right):
        qtbot.keyClick(canvas, key)
    assert canvas.accessibleDescription().startswith("blocks.2.b: changed 1.00 %, 90.0 % of it kept")
    qtbot.keyClick(canvas, Qt.Key.Key_Return)
    assert shown.choice.names == ("blocks.2.b.weight",)
    qtbot.keyClick(canvas, Qt.Key.Key_Home)
    qtbot.keyClick(canvas, Qt.Key.Key_Space, Qt.KeyboardModifier.ControlModifier)
    assert shown.choice.names == ("blocks.2.b.weight", "blocks.0.b.weight")


def test_an_empty_cell_says_so_and_chooses_nothing(qtbot: QtBot, theme: Theme) -> None:
    shown = Shown(qtbot, theme, [result(name) for name in FLUX])
    empty = next(cell for cell in range(shown.map.grid().size) if not shown.names_in(cell))
    with qtbot.assertNotEmitted(shown.map.picked):
        qtbot.mouseClick(shown.map.canvas, Qt.MouseButton.LeftButton, pos=shown.point(empty))
    assert shown.choice.names == ()
    assert ": no " in shown.map.words(empty)


def test_cells_are_painted_in_their_colour_and_empty_ones_are_not(qtbot: QtBot, theme: Theme) -> None:
    rows = [result("blocks.0.a.weight", 0.001), result("blocks.1.a.weight", 0.1), result("blocks.1.b.weight", 0.05)]
    shown = Shown(qtbot, theme, rows)
    picture = shown.map.canvas.grab().toImage()

    def colour(cell: int) -> str:
        return picture.pixelColor(shown.point(cell) + QPoint(5, 4)).name()

    assert colour(shown.cell("blocks.1.a.weight")) == theme.tokens.accent
    assert colour(shown.cell("blocks.0.a.weight")) == map_colour(theme, 0.0, kept=False).name()
    empty = next(cell for cell in range(4) if not shown.names_in(cell))
    filled = {colour(cell) for cell in range(4) if cell != empty}
    assert colour(empty) not in filled


def test_ten_thousand_layers_are_all_there(qtbot: QtBot, theme: Theme) -> None:
    rows = [result(f"layers.{block}.mlp.experts{kind}.w.weight") for block in range(500) for kind in range(20)]
    shown = Shown(qtbot, theme, rows)
    assert sum(len(shown.map.grid().layers_in(cell)) for cell in range(shown.map.grid().size)) == 10_000
    assert np.isfinite(shown.map.values()).all()
    shown.map.grab()
