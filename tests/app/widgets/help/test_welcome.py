import pytest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.look.tokens import contrast
from app.widgets.help.welcome import WelcomeCard
from app.work.requests import DeviceInfo
from engine.errors import EngineError, ErrorCode
from engine.presets import HARDWARE_PROFILES

GIB = 1024**3


@pytest.fixture
def card(qtbot: QtBot, theme: Theme) -> WelcomeCard:
    card = WelcomeCard(theme)
    qtbot.addWidget(card)
    card.show()
    return card


def test_nothing_is_suggested_before_the_device_is_known(card: WelcomeCard) -> None:
    assert not card.use.isEnabled()
    assert card.another.isEnabled()
    assert card.demo.isEnabled()


@pytest.mark.parametrize(
    ("gib", "profile"),
    [(6, "Safe (8 GB)"), (12, "Balanced (12 GB)"), (16, "Performance (16 GB+)"), (80, "Maximum speed (24 GB+)")],
)
def test_the_profile_follows_the_devices_memory_and_says_why(
    qtbot: QtBot, card: WelcomeCard, gib: int, profile: str
) -> None:
    card.show_device(DeviceInfo("cuda", "Some Card", gib * GIB))
    assert card.profile.text() == profile
    assert "Some Card" in card.why.text()
    with qtbot.waitSignal(card.profile_chosen) as chosen:
        card.use.click()
    assert chosen.args == [profile]
    assert profile in card.taken.text()
    assert not card.use.isVisible()


def test_on_a_processor_it_says_so_and_offers_the_usual_profile(card: WelcomeCard) -> None:
    card.show_device(DeviceInfo("cpu", "CPU, 8 cores", 8 * GIB))
    assert card.profile.text() == "Balanced (12 GB)"
    assert "No graphics card" in card.why.text()


def test_a_device_that_cannot_be_used_is_said(card: WelcomeCard) -> None:
    card.show_missing_device(EngineError(ErrorCode.DEVICE_UNAVAILABLE, device="cuda:7", available=["cpu"]))
    assert "cuda:7" in card.why.text()
    assert card.use.isEnabled()


def test_every_shipped_profile_can_be_chosen_instead(qtbot: QtBot, card: WelcomeCard) -> None:
    card.show_device(DeviceInfo("cuda", "Some Card", 12 * GIB))
    actions = card.another.menu().actions()
    assert [action.text() for action in actions] == list(HARDWARE_PROFILES)
    with qtbot.waitSignal(card.profile_chosen) as chosen:
        actions[0].trigger()
    assert chosen.args == ["Safe (8 GB)"]
    assert "Safe (8 GB)" in card.taken.text()
    assert card.use.isVisible()  # the suggestion can still be taken


def test_demo_guide_and_the_cross_are_told(qtbot: QtBot, card: WelcomeCard) -> None:
    for button, told in ((card.demo, card.demo_clicked), (card.guide, card.guide_clicked)):
        with qtbot.waitSignal(told):
            button.click()
        assert card.isVisible()
    with qtbot.waitSignal(card.dismissed):
        card.close_button.click()
    assert not card.isVisible()


def test_every_button_has_a_name(card: WelcomeCard) -> None:
    buttons = card.findChildren(QAbstractButton)
    assert len(buttons) == 5
    assert all(button.accessibleName() for button in buttons)


def test_long_names_are_shown_whole(qtbot: QtBot, card: WelcomeCard) -> None:
    card.show_device(DeviceInfo("cuda", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition, " * 4, 96 * GIB))
    qtbot.wait(50)
    assert card.why.height() >= card.why.heightForWidth(card.why.width())
    assert card.use.height() >= card.use.sizeHint().height()


def test_its_text_can_be_read_in_both_themes(card: WelcomeCard, theme: Theme) -> None:
    for choice in ("dark", "light"):
        theme.set_choice(choice)
        assert contrast(theme.tokens.text, theme.tokens.accent_background) >= 4.5
