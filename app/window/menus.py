"""The menu bar: every command has one action for menu, key and button."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMainWindow, QMenu

from app.look.theme import ThemeChoice
from app.widgets.basics.shortcuts import SHORTCUTS, Command


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
        self._file_menu()
        self._queue_menu()
        self._tools_menu()
        view = self._menu(self.tr("&View"))
        self._command(view, "tab_memory", self.tr("&Memory and time"))
        self._command(view, "tab_result", self.tr("&Result"))
        self._command(view, "tab_layers", self.tr("&Layers"))
        self._command(view, "tab_queue", self.tr("&Queue"))
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
        self.guide = about.addAction(self.tr("&User guide"))
        self.demo = about.addAction(self.tr("Try it with the &demo"))
        self._command(about, "shortcuts", self.tr("&Keyboard shortcuts"))
        about.addSeparator()
        self.bug_report = about.addAction(self.tr("Copy &report for a bug\u2026"))
        self.show_logs = about.addAction(self.tr("Show &log files"))
        self.about = about.addAction(self.tr("&About LoRA Extractor"))

    def check_theme(self, choice: ThemeChoice) -> None:
        """Mark the theme in use."""
        for action in self._themes.actions():
            action.setChecked(action.data() == choice)

    def _file_menu(self) -> None:
        file = self._menu(self.tr("&File"))
        self._command(file, "open_finetuned", self.tr("Open &fine-tuned model\u2026"))
        self._command(file, "open_original", self.tr("Open &original model\u2026"))
        self._command(file, "swap", self.tr("S&wap the models"))
        file.addSeparator()
        self._command(file, "output_folder", self.tr("Output fol&der\u2026"))
        self.show_output = file.addAction(self.tr("&Show output folder"))
        file.addSeparator()
        self._command(file, "settings", self.tr("S&ettings\u2026"))
        self._command(file, "quit", self.tr("&Quit"))

    def _queue_menu(self) -> None:
        queue = self._menu(self.tr("&Queue"))
        self._command(queue, "add_to_queue", self.tr("&Add what is shown"))
        self._command(queue, "run_queue", self.tr("&Run all"))

    def _tools_menu(self) -> None:
        tools = self._menu(self.tr("&Tools"))
        self._command(tools, "extract", self.tr("&Extract"))
        self.start_over = tools.addAction(self.tr("Start &over"))
        self.start_over.setToolTip(self.tr("Extract all layers anew, also those that are finished"))
        self._command(tools, "stop", self.tr("&Stop"))
        tools.addSeparator()
        self._command(tools, "verify", self.tr("&Verify a LoRA\u2026"))
        self.free_memory = tools.addAction(self.tr("&Free device memory"))
        self.copy_command = tools.addAction(self.tr("&Copy as command line"))
        tools.addSeparator()
        self.reset_options = tools.addAction(self.tr("&Reset LoRA options"))

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
