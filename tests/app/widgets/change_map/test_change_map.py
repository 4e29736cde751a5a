import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from fakes import layer_result
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFontMetrics
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.look.tokens import DARK, LIGHT, contrast
from app.widgets.change_map.canvas import OUTLINED
from app.widgets.change_map.colours import map_colour
from app.widgets.change_map.geometry import lay_out
from app.widgets.change_map.grid import OTHERS, OUTER, OUTSIDE, arrange
from app.widgets.change_map.panel import ChangeMap
from app.widgets.change_map.places import BIASES, NORMS, place_of
from app.widgets.change_map.values import LEAST_SPAN, change_scale, kept_scale
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_model import LayerModel
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
    placed = {}
    for name, cell in zip(names, grid.cells, strict=True):
        row, column = grid.place(int(cell))
        placed[name] = (OUTSIDE, str(column)) if row == len(grid.kinds) else (grid.kinds[row], grid.columns[column])
    return placed


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
        (
            "diffusion_model.input_blocks.4.1.transformer_blocks.7.attn1.to_q.weight",
            ("input_blocks.4.1.transformer_blocks", 7),
            "attn1.to_q",
        ),
        ("diffusion_model.input_blocks.4.0.in_layers.2.weight", ("input_blocks", 4), "in_layers.2"),
        ("diffusion_model.input_blocks.0.0.weight", ("input_blocks", 0), "conv"),
        (
            "diffusion_model.middle_block.1.transformer_blocks.3.ff.net.0.proj.weight",
            ("middle_block.1.transformer_blocks", 3),
            "ff.net.0.proj",
        ),
        ("diffusion_model.middle_block.1.proj_in.weight", ("middle_block", 0), "proj_in"),
        ("diffusion_model.down_blocks.1.attentions.0.proj_in.weight", ("down_blocks.1.attentions", 0), "proj_in"),
        (
            "down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_out.0.weight",
            ("down_blocks.1.attentions.0.transformer_blocks", 1),
            "attn2.to_out.0",
        ),
        ("down_blocks.1.resnets.1.conv1.weight", ("down_blocks.1.resnets", 1), "conv1"),
        ("down_blocks.1.downsamplers.0.conv.weight", ("down_blocks", 1), "downsamplers.0.conv"),
        ("layers.2.mlp.experts.7.w1.weight", ("layers", 2), "mlp.experts.7.w1"),
        (
            "text_encoders.t5xxl.transformer.encoder.block.5.layer.1.DenseReluDense.wo.weight",
            ("text_encoders.t5xxl.transformer.encoder.block", 5),
            "DenseReluDense.wo",
        ),
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


def sdxl_names() -> list[str]:
    """As in SDXL: blocks of a U-Net with convolutions, with 0, 2 or 10 transformer blocks in each."""
    depths = {"input_blocks": (0, 0, 0, 0, 2, 2, 0, 10, 10), "output_blocks": (10, 10, 10, 2, 2, 2, 0, 0, 0)}
    found = [f"{DENOISER}time_embed.0.weight", f"{DENOISER}label_emb.0.0.weight"]
    outer = [(f"{stack}.{number}", depth) for stack, counts in depths.items() for number, depth in enumerate(counts)]
    for block, depth in [*outer, ("middle_block", 10)]:
        found += [f"{DENOISER}{block}.0.{kind}.weight" for kind in ("in_layers.2", "emb_layers.1", "out_layers.3")]
        kinds = [f"attn{number}.to_{part}" for number in (1, 2) for part in ("q", "k", "v", "out.0")]
        for number in range(depth):
            inner = f"{DENOISER}{block}.1.transformer_blocks.{number}"
            found += [f"{inner}.{kind}.weight" for kind in (*kinds, "ff.net.0.proj", "ff.net.2")]
    return found


def test_each_transformer_block_of_sdxl_has_its_own_column() -> None:
    names = sdxl_names()
    placed, grid = grid_of(names), arrange(names, most_kinds=40, most_columns=200)
    assert len(set(placed.values())) == len(names)
    inner = [title for title in grid.columns if "transformer_blocks" in title]
    assert len(inner) == 70
    assert len(grid.columns) == 70 + 9 + 1 + 9
    ten = [f"input_blocks.7.1.transformer_blocks.{number}" for number in range(10)]
    begin = grid.columns.index("input_blocks.7")
    assert list(grid.columns[begin : begin + 12]) == ["input_blocks.7", *ten, "input_blocks.8"]
    assert [group.title for group in grid.groups] == ["input_blocks", "middle_block", "output_blocks"]
    assert {kind for kind, column in placed.values() if column in ten} == {
        *(f"attn{number}.to_{part}" for number in (1, 2) for part in ("q", "k", "v", "out.0")),
        "ff.net.0.proj",
        "ff.net.2",
    }
    assert placed[f"{DENOISER}input_blocks.7.0.in_layers.2.weight"] == ("in_layers.2", "input_blocks.7")


def test_kinds_of_outer_blocks_are_put_together_before_those_of_inner_ones() -> None:
    kinds = {kind for kind, _ in grid_of(sdxl_names(), kinds=12).values()}
    assert {OUTER, OUTSIDE, "attn1.to_q", "ff.net.2"} <= kinds
    assert len(kinds) == 12
    assert {kind for kind, _ in grid_of(sdxl_names(), kinds=6).values()} == {OUTER, OUTSIDE, "attn1", "attn2", "ff"}


def test_the_blocks_of_a_diffusers_unet_are_columns_in_the_order_of_their_numbers() -> None:
    stem = "down_blocks.1"
    names = [f"{stem}.attentions.{a}.transformer_blocks.{t}.attn1.to_q.weight" for a in (1, 0) for t in (10, 9)]
    names += [f"{stem}.attentions.{a}.proj_in.weight" for a in (0, 1)] + [f"{stem}.resnets.0.conv1.weight"]
    grid = arrange(names, most_kinds=9, most_columns=99)
    inner = [[f"{stem}.attentions.{a}.transformer_blocks.{t}" for t in (9, 10)] for a in (0, 1)]
    first, second = (f"{stem}.attentions.{a}" for a in (0, 1))
    assert list(grid.columns) == [first, *inner[0], second, *inner[1], f"{stem}.resnets.0"]
    assert [group.title for group in grid.groups] == ["down_blocks"]


def test_where_inner_blocks_have_no_room_the_outer_ones_have_the_columns() -> None:
    names = [f"stages.{a}.{part}.blocks.{b}.w.weight" for a in range(30) for part in "xyz" for b in range(3)]
    grid = arrange(names, most_kinds=9, most_columns=40)
    assert grid.columns == tuple(f"stages.{number}" for number in range(30))
    assert sorted(len(grid.layers_in(cell)) for cell in range(30)) == [9] * 30


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


def test_layers_outside_the_blocks_stand_apart_from_the_columns_of_blocks() -> None:
    outside = [f"{DENOISER}{name}.weight" for name in ("txt_in", "img_in", "final_layer.linear")]
    names = [f"{DENOISER}blocks.{number}.w.weight" for number in range(2)] + outside
    grid = arrange(names, most_kinds=9, most_columns=50)
    assert (grid.kinds, grid.columns, grid.outside, grid.rows) == (("w",), ("blocks.0", "blocks.1"), 3, 2)
    cells = [[names[layer] for layer in grid.layers_in(cell)] for cell in range(grid.size)]
    assert cells == [[names[0]], [names[1]], [outside[2]], [outside[1]], [outside[0]]]
    place = lay_out(grid, width=500, height=120, titles=60, tallest_row=36, axis=16)
    block, strip = place.cell(0, 1), [place.cell(*grid.place(cell)) for cell in (2, 3, 4)]
    assert min(area.top() for area in strip) >= block.bottom() + 16
    assert max(area.bottom() for area in strip) <= 120
    assert {area.left() for area in strip}.isdisjoint(place.lefts[1:])
    assert [place.place_at(area.center().x(), area.center().y()) for area in strip] == [(1, 0), (1, 1), (1, 2)]
    assert place.place_at(strip[2].right() + 3, strip[2].center().y()) is None
    assert place.place_at(block.center().x(), block.bottom() + 8) is None


def test_the_keyboard_goes_down_to_the_layers_outside_the_blocks_and_back(qtbot: QtBot, theme: Theme) -> None:
    shown = Shown(qtbot, theme, [result(f"blocks.{n}.w.weight") for n in range(5)] + [result("head.weight")])
    canvas = shown.map.canvas
    for key in (Qt.Key.Key_End, Qt.Key.Key_Down):
        qtbot.keyClick(canvas, key)
    assert canvas.accessibleDescription().startswith("head: changed")
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    qtbot.keyClick(canvas, Qt.Key.Key_Down)
    assert canvas.accessibleDescription().startswith("head: changed")
    qtbot.keyClick(canvas, Qt.Key.Key_Up)
    assert canvas.accessibleDescription().startswith("blocks.0.w: changed")
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=shown.point(shown.cell("head.weight")))
    assert shown.choice.names == ("head.weight",)


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
        name = f"{DENOISER}blocks.4.{number}.to_q.weight"
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
    values = np.append(np.linspace(0.0, 0.02, 200), [5.0, np.inf, np.nan])
    scale = change_scale(values)
    assert scale.high < 0.03
    assert scale.above
    placed = scale.place(values)
    assert np.ptp(placed[:200]) > 0.9
    assert list(placed[200:202]) == [1.0, 1.0]
    assert np.isnan(placed[202])


def test_nearly_equal_changes_have_nearly_equal_colours() -> None:
    """Colours are in proportion to the change, so that 5.14 % is as much stronger than 4.87 % as it is larger."""
    values = np.array([0.0487, 0.05, 0.0514])
    placed = change_scale(values).place(values)
    assert placed[2] == 1.0
    assert placed[0] / placed[2] == pytest.approx(0.0487 / 0.0514, rel=0.01)
    assert list(change_scale(np.zeros(4)).place(np.array([0.0, np.inf]))) == [0.0, 1.0]


@pytest.mark.parametrize(("low", "high"), [(0.766, 0.768), (0.0, 0.01), (0.995, 1.0), (0.4, 0.9)])
def test_a_scale_of_shares_spans_at_least_ten_points(low: float, high: float) -> None:
    values = np.linspace(low, high, 100)
    scale = kept_scale(values)
    assert scale.high - scale.low >= LEAST_SPAN - 1e-9
    assert -1e-9 <= scale.low <= np.median(values) <= scale.high <= 1.0
    assert np.ptp(scale.place(values)) <= min(1.0, (high - low) / LEAST_SPAN) + 1e-9


def test_the_ends_of_the_legend_are_true(qtbot: QtBot, theme: Theme) -> None:
    rows = [result(f"b.{number}.x.weight", 0.05, kept=0.766 + 0.002 * (number / 99)) for number in range(99)]
    shown = Shown(qtbot, theme, [*rows, result("b.99.x.weight", 0.9, kept=0.1)])
    assert (shown.map._low.text(), shown.map._high.text()) == ("0 %", "\u2265 5.00 %")
    shown.map.value.setCurrentIndex(1)
    assert (shown.map._low.text(), shown.map._high.text()) == ("\u2264 71.7 %", "81.7 %")


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
    names = [f"{DENOISER}blocks.4.{number}.to_q.weight" for number in range(10)]
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
    rows = [result("blocks.0.a.weight", 0.0, 0.0), result("blocks.1.a.weight", 0.1), result("blocks.1.b.weight", 0.05)]
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


def test_many_chosen_cells_are_not_outlined(qtbot: QtBot, theme: Theme) -> None:
    rows = [result(f"blocks.{block}.{kind}.weight") for block in range(8) for kind in ("a", "b", "c", "d")]
    shown = Shown(qtbot, theme, rows)

    def differing(names: list[str]) -> int:
        """How many cells have another left edge than without a choice."""
        shown.choice.clear()
        before = shown.map.canvas.grab().toImage()
        shown.choice.choose(names)
        after = shown.map.canvas.grab().toImage()
        edges = [shown.map.canvas.rectangle(shown.cell(row.name)) for row in rows]
        spots = [QPoint(round(area.left()), round(area.center().y())) for area in edges]
        return sum(before.pixelColor(spot) != after.pixelColor(spot) for spot in spots)

    names = [row.name for row in rows]
    assert differing(names[:3]) == 3
    assert differing(names[: OUTLINED + 4]) == 0
    shown.choice.clear()
    none = shown.map.canvas.grab().toImage()
    shown.choice.choose(names[: OUTLINED + 4])
    assert shown.map.canvas.grab().toImage() != none
    shown.choice.choose(names)
    assert shown.map.canvas.grab().toImage() == none


@pytest.mark.parametrize("height", [140, 160, 240, 400])
@pytest.mark.parametrize("points", [9, 14])
def test_titles_of_rows_never_overlap_and_low_maps_scroll(qtbot: QtBot, theme: Theme, height: int, points: int) -> None:
    shown = Shown(qtbot, theme, [result(name) for name in sdxl_names()])
    font = shown.map.font()
    font.setPointSize(points)
    shown.map.canvas.setFont(font)
    shown.map.resize(700, height)
    qtbot.wait(20)
    canvas, grid = shown.map.canvas, shown.map.grid()
    rows = [canvas.rectangle(grid.cell(row, 0) or 0) for row in range(grid.rows)]
    line = QFontMetrics(canvas._title_font()).height()
    assert all(below.top() - above.top() >= line - 0.01 for above, below in itertools.pairwise(rows))
    assert rows[-1].bottom() <= canvas.height()
    assert "attn1" in " ".join(grid.kinds)
    qtbot.keyClick(canvas, Qt.Key.Key_End)
    for _ in range(grid.rows):
        qtbot.keyClick(canvas, Qt.Key.Key_Down)
    seen = canvas.visibleRegion().boundingRect()
    assert seen.contains(canvas.rectangle(canvas.current).center().toPoint())
