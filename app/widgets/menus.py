"""The menu bar: every entry works, and every command has one action for menu, key and button."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMainWindow, QMenu

from app.shortcuts import SHORTCUTS, Command
from app.theme import ThemeChoice


class Menus(QObject):
    """Builds the menu bar of a window.

    Attributes:
        actions: by command.
        theme_chosen: emitted with ``system``, ``light`` or ``dark``.
    """

    theme_chosen = Signal(str)

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.actions: dict[Command, QAction] = {}
        file = self._menu(self.tr("&File"))
        self._command(file, "open_finetuned", self.tr("Open &fine-tuned model\u2026"))
        self._command(file, "open_original", self.tr("Open &original model\u2026"))
        file.addSeparator()
        self._command(file, "output_folder", self.tr("Output &folder\u2026"))
        self.show_output = file.addAction(self.tr("&Show output folder"))
        file.addSeparator()
        self._command(file, "quit", self.tr("&Quit"))
        tools = self._menu(self.tr("&Tools"))
        self._command(tools, "extract", self.tr("&Extract"))
        self._command(tools, "stop", self.tr("&Stop"))
        tools.addSeparator()
        self._command(tools, "swap", self.tr("S&wap the models"))
        self.reset_options = tools.addAction(self.tr("&Reset LoRA options"))
        view = self._menu(self.tr("&View"))
        self._command(view, "tab_memory", self.tr("&Memory and time"))
        self._command(view, "tab_layers", self.tr("&Layers"))
        self._command(view, "tab_log", self.tr("L&og"))
        self._command(view, "find", self.tr("&Find a layer"))
        view.addSeparator()
        self._themes = QActionGroup(self)
        titles: dict[ThemeChoice, str] = {
            "system": self.tr("Theme: as the s&ystem"),
            "light": self.tr("Theme: l&ight"),
            "dark": self.tr("Theme: &dark"),
        }
        for choice, title in titles.items():
            action = view.addAction(title)
            action.setCheckable(True)
            action.setData(choice)
            self._themes.addAction(action)
        self._themes.triggered.connect(self._theme_chosen)
        about = self._menu(self.tr("&Help"))
        self._command(about, "shortcuts", self.tr("&Keyboard shortcuts"))
        self.show_logs = about.addAction(self.tr("Show &log files"))
        self.about = about.addAction(self.tr("&About LoRA Extractor"))

    def check_theme(self, choice: ThemeChoice) -> None:
        """Mark the theme in use."""
        for action in self._themes.actions():
            action.setChecked(action.data() == choice)

    def _menu(self, title: str) -> QMenu:
        menu = self._window.menuBar().addMenu(title)
        menu.setAccessibleName(title.replace("&", ""))
        return menu

    def _command(self, menu: QMenu, command: Command, title: str) -> None:
        action = menu.addAction(title)
        action.setShortcuts(SHORTCUTS[command].sequences())
        self.actions[command] = action

    @Slot(QAction)
    def _theme_chosen(self, action: QAction) -> None:
        self.theme_chosen.emit(action.data())
