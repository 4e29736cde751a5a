import pytest
from fakes import layer_result
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_columns import LEAST_NAME, MARGIN
from app.widgets.layers.layer_model import LayerModel
from app.widgets.layers.layer_names import first_parts, fitted_name
from app.widgets.spectrum.panel import SpectrumPanel

INNER = "input_blocks.4.1.transformer_blocks.{}.{}"
KINDS = ("attn1.to_q", "attn1.to_k", "attn2.to_q", "attn2.to_out.0", "ff.net.0.proj", "ff.net.2")


@pytest.mark.parametrize(
    ("name", "width", "text"),
    [
        ("input_blocks.4.1.transformer_blocks.3.attn1.to_q", 60, "input_blocks.4.1.transformer_blocks.3.attn1.to_q"),
        ("input_blocks.4.1.transformer_blocks.3.attn1.to_q", 26, "inpu\u20264.1.tran\u20263.attn1.to_q"),
        (
            "down_blocks.1.attentions.0.transformer_blocks.9.ff.net.0.proj",
            35,
            "down\u20261.atte\u20260.tran\u20269.ff.net.0.proj",
        ),
        ("double_blocks.3.img_mlp.0", 18, "double\u20263.img_mlp.0"),
        ("input_blocks.4.0.in_layers.2", 22, "input_\u20264.0.in_layers.2"),
        ("text_encoders.clip_l.transformer.text_model.encoder.layers.11.mlp.fc1", 35, "clip_l"),
        ("blocks.4.mlp.fc1", 11, "\u20264.mlp.fc1"),
        ("a_long_name_without_any_dot", 8, "\u2026any_dot"),
        ("x", 0, "\u2026"),
    ],
)
def test_names_lose_what_is_before_the_block_first(name: str, width: int, text: str) -> None:
    fitted = fitted_name(name, width, len)
    assert text in fitted
    assert len(fitted) <= max(1, width)
    if text != "clip_l" and "." in text and text != "\u2026any_dot":
        assert fitted == text


@pytest.mark.parametrize("points", [9, 13.5])
def test_in_the_table_each_name_of_sdxl_keeps_its_block_and_kind(qapp: QApplication, points: float) -> None:
    font = qapp.font()
    font.setPointSizeF(points)
    metrics = QFontMetrics(font)
    width = LEAST_NAME * max(1.0, metrics.height() / 16) - 2 * MARGIN
    names = {(number, kind): INNER.format(number, kind) for number in range(10) for kind in KINDS}
    fitted = {key: fitted_name(name, width, metrics.horizontalAdvance) for key, name in names.items()}
    assert len(set(fitted.values())) == len(names)
    for (number, kind), text in fitted.items():
        assert text.endswith(f"{number}.{kind}")
        assert "4.1." in text
        assert text.startswith("in")
        assert metrics.horizontalAdvance(text) <= width


def test_a_line_has_as_many_parts_as_fit() -> None:
    assert first_parts(["one", "two", "three"], 40, len) == "one \u00b7 two \u00b7 three"
    assert first_parts(["one", "two", "three"], 10, len) == "one \u00b7 two"
    assert first_parts(["one", "two", "three"], 1, len) == "one"
    assert first_parts([], 10, len) == ""


@pytest.mark.parametrize("width", [330, 420, 560, 900])
def test_the_spectrum_says_block_and_layer_at_any_width(qtbot: QtBot, theme: Theme, width: int) -> None:
    model, choice = LayerModel(), LayerChoice()
    name = INNER.format(7, "attn2.to_out.0")
    model.add(layer_result(f"diffusion_model.{name}.weight"))
    model.flush()
    panel = SpectrumPanel(theme, model, choice)
    qtbot.addWidget(panel)
    panel.resize(width, 220)
    panel.show()
    choice.choose([f"diffusion_model.{name}.weight"])
    qtbot.wait(20)
    labels = [label for label in (panel.detail, panel._name) if label.isVisible() and label.text()]
    assert len(labels) == 1
    label = labels[0]
    assert "7.attn2.to_out.0" in label.text()
    assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width()
    assert (label.text() == f"{name} \u00b7 2 of 3,072 values known") == (width == 900)
