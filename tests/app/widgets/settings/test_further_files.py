"""What a run writes beside its first file: typed ranks and sizes, chosen programs; and a size instead of a rank."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.text.choices import BY_SIZE
from app.text.programs import USUAL, Target, targets
from app.widgets.settings.lora_panel import OptionsPanel
from engine.models.families import FAMILIES, GENERIC, Family
from engine.planning.sizing import SizeRange
from engine.presets import PRESETS
from engine.settings import ExtractionSettings

FORGE, A1111, KOHYA = Target("forge", "comfyui"), Target("a1111", "kohya"), Target("", "kohya")


def family(key: str) -> Family:
    return next(row for row in FAMILIES if row.key == key)


@pytest.fixture
def options(qtbot: QtBot, theme: Theme) -> OptionsPanel:
    panel = OptionsPanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


def combo(options: OptionsPanel, name: str) -> QComboBox:
    control = options.form.editor(name).control
    assert isinstance(control, QComboBox)
    return control


def type_ranks(options: OptionsPanel, text: str) -> None:
    options.further.ranks.setText(text)
    options.further.ranks.textEdited.emit(text)


def choose_also(options: OptionsPanel, *titles: str) -> None:
    for title in titles:
        next(action for action in options.further.programs.menu.actions() if action.text() == title).trigger()


def choose_for(options: OptionsPanel, target: Target) -> None:
    box = combo(options, "program")
    box.setCurrentIndex(next(place for place in range(box.count()) if box.itemData(place) == target))


def ranks_of(options: OptionsPanel) -> list[tuple[int, str, str]]:
    return [(item.rank, item.program, item.key_format) for item in options.files()]


def test_nothing_more_is_shown_or_written_unless_it_is_asked_for(options: OptionsPanel) -> None:
    assert options.files() == (ExtractionSettings(),)
    assert not options.further.isVisible()
    assert not options.form.rows["target_size"].isVisible()
    assert not options.form.rows["alpha"].isVisible()


def test_further_ranks_are_files_of_their_own_the_largest_first(options: OptionsPanel) -> None:
    type_ranks(options, "32, 128")
    assert [item.rank for item in options.files()] == [128, 32, 8]
    assert options.settings() == ExtractionSettings(rank=128)
    assert options.hint.text() == "3 files: rank 8, 32, 128, for ComfyUI"


@pytest.mark.parametrize("text", ["8", "8,8", " 8 ;", ""])
def test_the_rank_of_the_slider_is_not_written_twice(options: OptionsPanel, text: str) -> None:
    type_ranks(options, text)
    assert [item.rank for item in options.files()] == [8]


@pytest.mark.parametrize("text", ["many", "0", "5000", "32, x", "-4", "1.5"])
def test_a_rank_that_cannot_be_used_is_marked_as_it_is_typed(options: OptionsPanel, text: str) -> None:
    type_ranks(options, text)
    assert options.settings() is None
    assert options.troubles() == ("Also ranks",)
    assert options.further.ranks.property("trouble") is True
    assert options.trouble.isVisible()
    type_ranks(options, "16")
    assert options.troubles() == ()
    assert options.further.ranks.property("trouble") is False


def test_every_rank_is_written_for_every_program(options: OptionsPanel) -> None:
    type_ranks(options, "32")
    choose_also(options, "Forge", "Kohya")
    assert ranks_of(options) == [
        (32, "", "comfyui"),
        (8, "", "comfyui"),
        (32, "forge", "comfyui"),
        (8, "forge", "comfyui"),
        (32, "", "kohya"),
        (8, "", "kohya"),
    ]
    choose_also(options, "Forge")
    assert [item.program for item in options.files()] == [""] * 4


def test_what_the_first_file_is_for_is_not_offered_once_more(options: OptionsPanel) -> None:
    choose_also(options, "Forge")
    choose_for(options, FORGE)
    assert "Forge" not in [action.text() for action in options.further.programs.menu.actions()]
    assert ranks_of(options) == [(8, "forge", "comfyui")]


def test_further_files_come_back_as_they_were(options: OptionsPanel) -> None:
    type_ranks(options, "32, 128")
    choose_also(options, "Kohya")
    files = options.files()
    options.reset()
    assert len(options.files()) == 1
    options.show_settings(files[0], files[1:])
    assert set(options.files()) == set(files)
    assert len(options.files()) == len(files)


def test_the_whole_difference_is_one_file(options: OptionsPanel) -> None:
    type_ranks(options, "oops")
    combo(options, "lora_type").setCurrentIndex(combo(options, "lora_type").findData("full"))
    assert not options.further.isVisibleTo(options.form.advanced)
    assert options.files() == (ExtractionSettings(lora_type="full"),)


def test_a_program_brings_its_format_and_the_usual_one_names_none(options: OptionsPanel) -> None:
    choose_for(options, A1111)
    settings = options.settings()
    assert settings is not None
    assert (settings.program, settings.key_format) == ("a1111", "kohya")
    choose_for(options, USUAL)
    assert options.settings() == ExtractionSettings()


def test_a_key_format_chosen_by_hand_is_for_whatever_reads_it(options: OptionsPanel) -> None:
    choose_for(options, A1111)
    combo(options, "key_format").setCurrentIndex(combo(options, "key_format").findData("kohya"))
    combo(options, "key_format").setCurrentIndex(combo(options, "key_format").findData("comfyui"))
    settings = options.settings()
    assert settings is not None
    assert (settings.program, settings.key_format) == ("", "comfyui")
    assert combo(options, "program").currentText() == "ComfyUI"


def test_a_program_of_a_newer_version_is_shown_by_its_key(options: OptionsPanel) -> None:
    options.show_settings(ExtractionSettings(program="of_tomorrow"))
    assert combo(options, "program").currentText() == "of_tomorrow"
    settings = options.settings()
    assert settings is not None
    assert settings.program == "of_tomorrow"


def test_the_tooltips_say_what_a_program_does_not_load_of_the_pair(options: OptionsPanel) -> None:
    options.show_pair(family("sdxl"))
    choose_for(options, A1111)
    tip = combo(options, "program").toolTip()
    assert "AUTOMATIC1111" in tip
    assert "It does not load biases, norms" in tip
    assert "clip_g, clip_l" in tip


def test_a_program_without_a_loader_for_the_pair_is_not_offered_for_further_files(options: OptionsPanel) -> None:
    options.show_pair(family("wan"))
    actions = {action.text(): action for action in options.further.programs.menu.actions()}
    assert not actions["A1111"].isEnabled()
    assert "Not for these models" in actions["A1111"].toolTip()
    assert actions["InvokeAI"].isEnabled()
    options.show_pair(GENERIC)
    assert "Not for these models." in combo(options, "program").itemData(1, Qt.ItemDataRole.ToolTipRole)


def test_fp8_is_refused_where_a_chosen_program_does_not_load_it(options: OptionsPanel) -> None:
    box = combo(options, "output_dtype")
    place = box.findData("fp8_e4m3")
    model = box.model()
    assert isinstance(model, QStandardItemModel)
    options.show_pair(family("sdxl"))
    assert model.item(place).isEnabled()
    choose_also(options, "A1111")
    assert not model.item(place).isEnabled()
    assert box.itemData(place, Qt.ItemDataRole.ToolTipRole).startswith("A1111 does not load fp8.")
    choose_also(options, "A1111")
    assert model.item(place).isEnabled()


def test_all_programs_are_offered_and_formats_that_none_has_the_name_of(options: OptionsPanel) -> None:
    box = combo(options, "program")
    assert [box.itemData(place) for place in range(box.count())] == list(targets())
    assert targets()[0] == USUAL
    assert KOHYA in targets()


def test_a_size_takes_the_place_of_the_rank(options: OptionsPanel) -> None:
    options.show_pair(None, 387_654)
    combo(options, "lora_type").setCurrentIndex(combo(options, "lora_type").findData(BY_SIZE))
    rows = options.form.rows
    assert rows["target_size"].isVisible()
    assert not rows["rank"].isVisible()
    settings = options.settings()
    assert settings is not None
    assert (settings.lora_type, settings.target_size) == ("standard", 390_000)
    assert "rank" not in settings.model_fields_set
    combo(options, "lora_type").setCurrentIndex(combo(options, "lora_type").findData("standard"))
    assert options.settings() == ExtractionSettings()


def test_the_sizes_that_are_possible_stand_below_the_size(options: OptionsPanel) -> None:
    options.show_pair(None, 300_000, SizeRange(124_000, 5_200_000))
    assert not options.sizes.isVisible()
    options.show_settings(ExtractionSettings(target_size=300_000))
    assert options.sizes.isVisible()
    assert options.sizes.text() == "Possible: 124 kB to 5.2 MB"
    options.show_settings(ExtractionSettings())
    assert not options.sizes.isVisible()


def test_further_sizes_are_files_of_their_own(options: OptionsPanel) -> None:
    options.show_settings(ExtractionSettings(target_size=150_000_000))
    type_ranks(options, "50 MB, 1.5GB; 300 MB")
    assert [item.target_size for item in options.files()] == [1_500_000_000, 300_000_000, 150_000_000, 50_000_000]
    type_ranks(options, "50")
    assert options.troubles() == ("Also sizes",)


def test_a_size_and_further_sizes_come_back_as_they_were(options: OptionsPanel) -> None:
    options.show_settings(ExtractionSettings(target_size=150_000_000))
    type_ranks(options, "50 MB")
    files = options.files()
    options.reset()
    options.show_settings(files[0], files[1:])
    assert set(options.files()) == set(files)
    assert combo(options, "lora_type").currentData() == BY_SIZE


def test_a_size_that_cannot_be_used_is_marked(options: OptionsPanel) -> None:
    options.show_settings(ExtractionSettings(target_size=150_000_000))
    control = options.form.editor("target_size").control
    control.setText("a lot")  # type: ignore[attr-defined]
    options.form.editor("target_size").changed.emit()
    assert options.troubles() == ("Size",)


@pytest.mark.parametrize("first", PRESETS)
@pytest.mark.parametrize("second", PRESETS)
def test_a_preset_undoes_what_another_one_or_a_size_switched(options: OptionsPanel, first: str, second: str) -> None:
    actions = {action.data(): action for action in options.presets.menu().actions()}
    options.show_settings(ExtractionSettings(target_size=150_000_000, size_by="energy"))
    actions[first].trigger()
    actions[second].trigger()
    assert options.settings() == ExtractionSettings().model_copy(update=PRESETS[second])


@pytest.mark.parametrize(("typed", "alpha"), [("16", "16"), ("The rank", "rank"), ("rank", "rank"), ("auto", "auto")])
def test_an_alpha_is_chosen_or_typed(options: OptionsPanel, typed: str, alpha: str) -> None:
    combo(options, "alpha").setCurrentText(typed)
    settings = options.settings()
    assert settings is not None
    assert settings.alpha == alpha


def test_an_alpha_that_is_no_number_is_marked(options: OptionsPanel) -> None:
    combo(options, "alpha").setCurrentText("loud")
    assert options.troubles() == ("Alpha",)


def test_tab_goes_through_the_rows_as_they_are_seen(options: OptionsPanel) -> None:
    options.show_more(True)
    options.show_settings(ExtractionSettings(target_size=150_000_000))
    names = ("lora_type", "target_size", "algorithm", "output_dtype", "program", "key_format", "size_by", "alpha")
    controls = [options.form.editor(name).control for name in names]
    controls[5:5] = [options.further.ranks, options.further.programs]
    assert controls == sorted(controls, key=lambda control: control.mapTo(options, QPoint()).y())
    chain, widget = [controls[0]], controls[0].nextInFocusChain()
    while widget is not controls[0]:
        chain += [widget] if widget in controls else []
        widget = widget.nextInFocusChain()
    assert chain == controls
