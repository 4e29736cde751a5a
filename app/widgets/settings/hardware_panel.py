"""The panel that says how to use the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QCoreApplication, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout

from app.storage.profiles import ProfileStore
from app.system.idle_gpu import advice_text
from app.text.notices import format_bytes
from app.text.window_text import window_error_text
from app.widgets.basics.basics import Panel, link_button, push_button, set_look, text_label, wrapped_label
from app.widgets.basics.form import SettingsForm
from app.widgets.settings.profile_bar import ProfileBar, profile_title
from app.work.requests import DeviceInfo
from engine.errors import EngineError
from engine.events import Planned
from engine.presets import suggest_profile
from engine.settings import HardwareSettings

UNDER_MORE = ("debug_mode", "device", "memory_budget")


class HardwarePanel(Panel):
    """Every field of `HardwareSettings`, and the profiles.

    Attributes:
        changed: emitted after the person changed anything.
        shown: emitted after the program showed other settings.
        free_clicked: emitted when the person wants the memory back that is kept on the device.
        form: the rows.
        profiles: the profile list.
    """

    changed = Signal()
    shown = Signal()
    free_clicked = Signal()

    def __init__(self, store: ProfileStore) -> None:
        super().__init__(QCoreApplication.translate("HardwarePanel", "Hardware"))
        self._store = store
        self.profiles = ProfileBar(store)
        self.more = link_button(self.tr("more"))
        self.more.clicked.connect(self._toggle_more)
        self.header.addWidget(self.profiles.menu_button)
        self.header.addWidget(self.more)
        self.form = SettingsForm(HardwareSettings, lambda spec: spec.name in UNDER_MORE)
        self._suggested = self._device_text = self._device_kind = self._idle_card = ""
        self.blocks_hint = wrapped_label(self.tr("Kept only with a memory budget."), "small")
        plain = self.form.plain
        plain.insertWidget(plain.indexOf(self.form.rows["blocks_in_gpu"]) + 1, self.blocks_hint)
        self.suggestion = wrapped_label("", "small")
        self.suggestion.hide()
        self.use_suggestion = link_button("")
        self.use_suggestion.setAccessibleName(self.tr("Use the suggested profile"))
        self.use_suggestion.hide()
        self.use_suggestion.clicked.connect(self._use_suggested)
        suggested = QHBoxLayout()
        suggested.setSpacing(6)
        suggested.addWidget(self.suggestion, 1)
        suggested.addWidget(self.use_suggestion)
        self.trouble = wrapped_label("", "small")
        set_look(self.trouble, "tone", "bad")
        self.trouble.hide()
        self.free = push_button("", small=True)
        self.free.setToolTip(
            self.tr(
                "Blocks kept on the device for the next extraction; they are freed after five idle minutes, "
                "or at once with this button."
            )
        )
        self.free.hide()
        self.freed_in = text_label("", "small")
        self.freed_in.hide()
        self.free.clicked.connect(self._free_clicked)
        self.body.addWidget(self.profiles)
        self.body.addWidget(self.form.widget)
        self.body.addWidget(self.form.advanced)
        self.body.addLayout(suggested)
        self.body.addWidget(self.trouble)
        freeing = QHBoxLayout()
        freeing.setSpacing(8)
        freeing.addWidget(self.free)
        freeing.addWidget(self.freed_in, 1)
        self.body.addLayout(freeing)
        self.body.addStretch(1)
        self.profiles.chosen.connect(self._profile_chosen)
        self.form.changed.connect(self._changed)
        self.show_settings(store.get(self.profiles.name))

    def settings(self) -> HardwareSettings | None:
        """What the panel shows; None while something in it cannot be used."""
        return self.form.check()[0]

    def troubles(self) -> tuple[str, ...]:
        """Titles of the fields that cannot be used."""
        return self.form.check()[1]

    def show_settings(self, settings: HardwareSettings) -> None:
        """Show settings; `changed` is not emitted."""
        self.form.show_settings(settings)
        self._refresh()
        self.shown.emit()

    def show_values(self, values: Mapping[str, Any]) -> None:
        """Show the values of some settings; `changed` is not emitted."""
        self.form.show_values(values)
        self._refresh()
        self.shown.emit()

    def more_shown(self) -> bool:
        """Whether the further settings are open."""
        return not self.form.advanced.isHidden()

    def show_more(self, shown: bool) -> None:
        """Open or close the further settings."""
        self.form.advanced.setVisible(shown)
        self.more.setText(self.tr("less") if shown else self.tr("more"))
        self.more.setAccessibleName(self.tr("Fewer hardware settings") if shown else self.tr("More hardware settings"))

    @Slot(object)
    def show_device(self, device: DeviceInfo) -> None:
        """Suggest a profile for the device that will compute."""
        set_look(self.suggestion, "tone", "")
        self._device_kind = device.kind
        size = format_bytes(device.total_bytes)
        self._idle_card = device.idle_card
        self._suggested = "" if device.kind == "cpu" else suggest_profile(device.total_bytes)
        if device.idle_card:
            self._device_text = advice_text(device.idle_card)
        elif device.kind == "cpu":
            words = self.tr("No graphics card in use: the processor computes, with {size} to work in.")
            self._device_text = words.format(size=size)
        else:
            words = self.tr("This profile suits the {device} with {size}.")
            self._device_text = words.format(device=device.title, size=size)
        self.suggestion.setToolTip(f"{device.title}, {size}")
        self._refresh_suggestion()
        self._refresh_blocks_hint()

    @Slot(object)
    def show_kept_memory(self, size: int) -> None:
        """Offer to free what is kept on the device for the next extraction, in bytes."""
        self.free.setVisible(size > 0)
        self.free.setEnabled(size > 0)
        self.free.setText(self.tr("Free memory ({size})").format(size=format_bytes(size)))
        self.free.setAccessibleName(self.free.text())
        self.free.setAccessibleDescription(self.free.toolTip())

    @Slot(object)
    def show_missing_device(self, error: EngineError) -> None:
        """Say why the chosen device cannot be used."""
        self._suggested = ""
        self._device_text = f"\u26a0 {' '.join(window_error_text(error))}"
        self.suggestion.setToolTip("")
        set_look(self.suggestion, "tone", "bad")
        self._refresh_suggestion()

    def show_planned_device(self, planned: Planned) -> None:
        """The same, from what a run says of its device."""
        kind = planned.device.partition(":")[0]
        idle = self._idle_card if kind == "cpu" else ""
        self.show_device(DeviceInfo(kind, planned.device_title, planned.device_total_bytes, idle_card=idle))

    @Slot()
    def _use_suggested(self) -> None:
        self.profiles.choose(self._suggested)

    @Slot(object)
    def show_minutes_left(self, minutes: int | None) -> None:
        """Say when what is kept on the device will be freed by itself; None where nothing is counted."""
        self.freed_in.setVisible(minutes is not None)
        if minutes is not None:
            self.freed_in.setText(self.tr("by itself in {count} min").format(count=max(1, minutes)))

    @Slot()
    def _free_clicked(self) -> None:
        self.free.setEnabled(False)  # until the answer is there
        self.free_clicked.emit()

    @Slot()
    def _toggle_more(self) -> None:
        self.show_more(not self.more_shown())

    @Slot(object)
    def _profile_chosen(self, settings: HardwareSettings) -> None:
        self.show_settings(settings)
        self.changed.emit()

    @Slot(str)
    def _changed(self, _name: str) -> None:
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        settings, troubles = self.form.check()
        if settings is not None:
            self.profiles.refresh(settings)
        self.trouble.setVisible(bool(troubles))
        self.trouble.setText(self.tr("Cannot be used: {titles}.").format(titles=", ".join(troubles)))
        self._refresh_suggestion()
        self._refresh_blocks_hint()

    def _refresh_blocks_hint(self) -> None:
        """On a processor blocks are only kept within a budget that was set."""
        settings = self.settings()
        kept_none = settings is not None and settings.memory_budget is None and settings.blocks_in_gpu > 0
        kind = settings.device if settings is not None and settings.device != "auto" else self._device_kind
        self.blocks_hint.setVisible(kept_none and kind == "cpu")

    def _refresh_suggestion(self) -> None:
        offered = bool(self._suggested) and self._suggested != self.profiles.name
        self.suggestion.setVisible(bool(self._device_text))
        self.suggestion.setText(self.tr("Suggested:") if offered else self._device_text)
        self.use_suggestion.setVisible(offered)
        self.use_suggestion.setText(profile_title(self._suggested))
        self.use_suggestion.setToolTip(self.tr("Use the profile for {device}").format(device=self.suggestion.toolTip()))
