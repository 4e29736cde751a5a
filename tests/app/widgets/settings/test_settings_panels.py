from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.parameters import FieldSpec, field_specs
from app.storage.profiles import ProfileStore
from app.text.choices import BY_SIZE
from app.widgets.basics.fields import FieldEditor, NumberEditor, editor_for
from app.widgets.basics.sliders import NumberSlider
from app.widgets.settings.hardware_panel import HardwarePanel
from app.widgets.settings.lora_panel import OptionsPanel
from app.work.requests import DeviceInfo
from engine.errors import EngineError, ErrorCode
from engine.events import Planned
from engine.models.families import FAMILIES, Family
from engine.presets import PRESET_WORDS, PRESETS, PURPOSE_PRESETS, RANK_STOPS, RECOMMENDED_RANKS
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM, ExtractionSettings, HardwareSettings

ALL_SPECS = (*field_specs(ExtractionSettings), *field_specs(HardwareSettings))


@pytest.fixture
def options(qtbot: QtBot, theme: Theme) -> OptionsPanel:
    panel = OptionsPanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


@pytest.fixture
def hardware(qtbot: QtBot, theme: Theme) -> HardwarePanel:
    panel = HardwarePanel(ProfileStore())
    qtbot.addWidget(panel)
    panel.show()
    return panel


def number_slider(editor: FieldEditor) -> NumberSlider:
    assert isinstance(editor, NumberEditor)
    assert isinstance(editor.control, NumberSlider)
    return editor.control


def test_the_panels_show_exactly_the_fields_of_the_settings(options: OptionsPanel, hardware: HardwarePanel) -> None:
    assert list(options.form.rows) == list(ExtractionSettings.model_fields)
    assert list(hardware.form.rows) == list(HardwareSettings.model_fields)


def test_the_panels_start_with_the_defaults(options: OptionsPanel, hardware: HardwarePanel) -> None:
    assert options.settings() == ExtractionSettings()
    assert hardware.settings() == HardwareSettings()


@pytest.mark.parametrize("spec", ALL_SPECS, ids=lambda spec: spec.name)
def test_every_editor_gives_back_the_value_it_is_given(qtbot: QtBot, theme: Theme, spec: FieldSpec) -> None:
    model = ExtractionSettings if spec.name in ExtractionSettings.model_fields else HardwareSettings
    samples: dict[str, list[Any]] = {
        "bool": [True, False],
        "choice": list(spec.choices),
        "int": [spec.minimum, spec.maximum, spec.default],
        "float": [spec.minimum, spec.maximum, spec.default],
        "text": ["12.5"] if spec.name == "alpha" else ["cpu"],
        "list": [spec.choices or ("*attn*", "*mlp*")],
        "size": [None, 8 * 1024**3, 1_000_000_001],
    }
    editor = editor_for(spec)
    qtbot.addWidget(editor)
    for value in [spec.default, *samples[spec.kind]]:
        editor.set_value(value)
        settings = model.model_validate({spec.name: editor.value()})
        assert getattr(settings, spec.name) == value


@pytest.mark.parametrize("spec", [s for s in ALL_SPECS if s.kind in ("int", "float")], ids=lambda spec: spec.name)
def test_sliders_have_the_range_of_their_parameter(qtbot: QtBot, theme: Theme, spec: FieldSpec) -> None:
    editor = editor_for(spec)
    qtbot.addWidget(editor)
    if not isinstance(editor, NumberEditor):
        return
    control = number_slider(editor)
    for position, expected in ((control.slider.minimum(), spec.minimum), (control.slider.maximum(), spec.maximum)):
        control.slider.setValue(position)
        assert editor.value() == pytest.approx(expected)
    control.slider.setValue(control.slider.minimum())
    assert editor.value() == pytest.approx(spec.minimum)


def test_slider_and_number_follow_each_other_and_tell_once(qtbot: QtBot, theme: Theme) -> None:
    control = NumberSlider(0, 40)
    qtbot.addWidget(control)
    told: list[float] = []
    control.changed.connect(lambda: told.append(control.value()))
    control.slider.setValue(7)
    assert (control.number.value(), told) == (7, [7])
    control.number.setValue(9)  # type: ignore[arg-type]
    assert (control.slider.value(), told) == (9, [7, 9])


def test_any_rank_can_be_typed_between_the_stops_of_its_slider(options: OptionsPanel) -> None:
    number_slider(options.form.editor("rank")).number.setValue(37)  # type: ignore[arg-type]
    settings = options.settings()
    assert settings is not None
    assert settings.rank == 37


def choose_type(options: OptionsPanel, lora_type: str) -> None:
    options.form.editor("lora_type").control.setCurrentIndex(  # type: ignore[attr-defined]
        options.form.editor("lora_type").control.findData(lora_type)  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize(
    ("lora_type", "rank", "adaptive"),
    [("standard", True, False), ("adaptive_energy", True, True), ("full", False, False)],
)
def test_only_what_matters_to_the_type_is_shown(
    options: OptionsPanel, lora_type: str, rank: bool, adaptive: bool
) -> None:
    choose_type(options, lora_type)
    rows = options.form.rows
    assert rows["rank"].isVisible() == rank
    assert rows["adaptive_param"].isVisible() == adaptive
    assert not rows["lowrank_iters"].isVisible()


@pytest.mark.parametrize(("lora_type", "shown"), [("standard", True), ("full", False)])
def test_the_seed_is_shown_where_something_is_decomposed(options: OptionsPanel, lora_type: str, shown: bool) -> None:
    options.show_more(True)
    choose_type(options, lora_type)
    assert options.form.rows["seed"].isVisible() == shown


def test_iterations_are_shown_for_the_randomised_method_only(options: OptionsPanel) -> None:
    options.form.editor("algorithm").control.setCurrentIndex(1)  # type: ignore[attr-defined]
    assert options.form.rows["lowrank_iters"].isVisible()


@pytest.mark.parametrize("lora_type", RECOMMENDED_ADAPTIVE_PARAM)
def test_the_recommended_adaptive_value_is_one_click_away(options: OptionsPanel, lora_type: str) -> None:
    choose_type(options, lora_type)
    options.form.show_values({"adaptive_param": 0.999})
    options.note.show_for(lora_type, 0.999)
    options.note._link.click()
    settings = options.settings()
    assert settings is not None
    assert settings.adaptive_param == RECOMMENDED_ADAPTIVE_PARAM[lora_type][2]


def test_more_options_reach_every_advanced_field(options: OptionsPanel) -> None:
    options.more.click()
    for spec in field_specs(ExtractionSettings):
        if spec.advanced and spec.name != "size_by":
            assert options.form.rows[spec.name].isVisible(), spec.name
    choose_type(options, BY_SIZE)
    assert options.form.rows["size_by"].isVisible()
    options.more.click()
    assert not options.form.advanced.isVisible()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_its_fields_and_leaves_the_others(options: OptionsPanel, preset: str) -> None:
    options.show_settings(ExtractionSettings(filename_prefix="mine", output_dtype="bf16"))
    action = next(action for action in options.presets.menu().actions() if action.data() == preset)
    action.trigger()
    expected = ExtractionSettings(filename_prefix="mine", output_dtype="bf16").model_copy(update=PRESETS[preset])
    assert options.settings() == expected


def test_every_preset_says_in_the_menu_when_to_use_it(options: OptionsPanel) -> None:
    offered = {action.data(): action.text() for action in options.presets.menu().actions() if action.data()}
    assert offered == {name: f"{name}\t{PRESET_WORDS[name]}" for name in PRESETS}


def test_purposes_that_need_every_direction_have_a_high_rank_and_no_clamping() -> None:
    turbo = PURPOSE_PRESETS["Turbo or distilled minus base"]
    assert turbo["clamp_quantile"] is False
    assert turbo["rank"] == max(values["rank"] for values in PRESETS.values())  # type: ignore[type-var]


def family(key: str) -> Family:
    return next(family for family in FAMILIES if family.key == key)


def test_a_recommended_rank_is_a_button_and_nothing_sets_it_but_a_click(options: OptionsPanel) -> None:
    assert options.recommended.isHidden()
    options.show_pair(family("sdxl"))
    assert options.recommended.isVisible()
    assert options.recommended.link.text() == "recommended for SDXL: 32"
    assert options.settings() == ExtractionSettings(), "the pair changes nothing by itself"
    changes: list[None] = []
    options.changed.connect(lambda: changes.append(None))
    options.recommended.link.click()
    assert (options.settings(), len(changes)) == (ExtractionSettings(rank=32), 1)
    assert options.recommended.isHidden(), "it is that rank already"
    options.reset()
    assert options.settings() == ExtractionSettings()
    assert options.recommended.isVisible()


def test_no_rank_is_recommended_for_unknown_models_or_where_none_is_asked_for(options: OptionsPanel) -> None:
    options.show_pair(family("sdxl"))
    choose_type(options, BY_SIZE)
    assert options.recommended.isHidden()
    choose_type(options, "full")
    assert options.recommended.isHidden()
    choose_type(options, "standard")
    assert options.recommended.isVisible()
    options.show_pair(family("bert"))
    assert options.recommended.isHidden()
    options.show_pair(None)
    assert options.recommended.isHidden()


def test_recommended_ranks_are_of_known_families_and_the_default_stays_that_of_older_tools() -> None:
    assert set(RECOMMENDED_RANKS) <= {family.key for family in FAMILIES}
    assert set(RECOMMENDED_RANKS.values()) <= set(RANK_STOPS)
    assert ExtractionSettings().rank == 8
    assert HardwareSettings.model_fields.keys() & {"rank"} == set(), "profiles have no rank"


def test_a_value_that_cannot_be_used_is_marked_and_named(options: OptionsPanel) -> None:
    options.form.editor("min_change").control.setText("a lot")  # type: ignore[attr-defined]
    options.form.editor("min_change").changed.emit()
    assert options.settings() is None
    assert options.troubles() == ("Leave out below",)
    assert options.trouble.isVisible()


def test_a_star_marks_unsaved_changes_of_a_profile(hardware: HardwarePanel) -> None:
    assert "\u2731" not in hardware.profiles.combo.currentText()
    number_slider(hardware.form.editor("batch_size")).slider.setValue(5)
    assert "\u2731" in hardware.profiles.combo.currentText()
    hardware.profiles.reset()
    assert "\u2731" not in hardware.profiles.combo.currentText()
    assert hardware.settings() == HardwareSettings()


def test_a_device_that_is_not_there_is_named_in_place_of_the_one_before(hardware: HardwarePanel) -> None:
    hardware.show_device(DeviceInfo("cpu", "CPU, 2 cores", 8 * 1024**3))
    hardware.show_missing_device(EngineError(ErrorCode.DEVICE_UNAVAILABLE, device="cuda:0", available=["cpu"]))
    assert "no device cuda:0" in hardware.suggestion.text()
    assert "processor" not in hardware.suggestion.text()


def test_an_idle_card_is_told_of_before_and_during_a_run(hardware: HardwarePanel) -> None:
    hardware.show_device(DeviceInfo("cpu", "CPU, 2 cores", 8 * 1024**3, idle_card="NVIDIA RTX 4090"))
    assert hardware.suggestion.text().startswith("The NVIDIA RTX 4090 is idle")
    hardware.show_planned_device(Planned(1, (), "a.safetensors", 1, "cpu", "CPU, 2 cores", 8 * 1024**3, 1, 1, 0))
    assert hardware.suggestion.text().startswith("The NVIDIA RTX 4090 is idle")
    hardware.show_device(DeviceInfo("cuda", "NVIDIA RTX 4090", 24 * 1024**3))
    assert "idle" not in hardware.suggestion.text()


@pytest.mark.parametrize(
    ("kind", "changes", "shown"),
    [
        ("cpu", {}, True),
        ("cpu", {"memory_budget": 8 * 1024**3}, False),
        ("cpu", {"blocks_in_gpu": 0}, False),
        ("cuda", {}, False),
        ("cuda", {"device": "cpu"}, True),
    ],
)
def test_a_processor_without_a_budget_keeps_no_blocks_and_the_panel_says_so(
    hardware: HardwarePanel, kind: str, changes: dict[str, Any], shown: bool
) -> None:
    hardware.show_device(DeviceInfo(kind, "Here", 8 * 1024**3))
    hardware.show_settings(HardwareSettings(**changes))
    assert hardware.blocks_hint.isVisible() == shown


def test_the_hint_about_blocks_is_gone_once_a_budget_is_typed(hardware: HardwarePanel) -> None:
    hardware.show_device(DeviceInfo("cpu", "Here", 8 * 1024**3))
    hardware.form.editor("memory_budget").control.setText("8GiB")  # type: ignore[attr-defined]
    hardware.form.editor("memory_budget").changed.emit()
    assert not hardware.blocks_hint.isVisible()


def test_choosing_a_profile_shows_its_settings(hardware: HardwarePanel) -> None:
    hardware.profiles.choose("Safe (8 GB)")
    assert hardware.settings() == ProfileStore().get("Safe (8 GB)")


def test_saving_under_a_name_makes_a_profile_of_ones_own(
    hardware: HardwarePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    number_slider(hardware.form.editor("batch_size")).slider.setValue(5)
    monkeypatch.setattr(hardware.profiles, "_ask_name", lambda *_: "Mine")
    hardware.profiles.save_as()
    assert hardware.profiles.name == "Mine"
    assert not hardware.profiles.unsaved()
    assert ProfileStore().get("Mine").batch_size == 6
    monkeypatch.setattr(hardware.profiles, "_ask_name", lambda *_: "Studio")
    hardware.profiles.rename()
    assert ProfileStore().own_names() == ("Studio",)
