"""The actions of menus, shortcuts and small buttons that belong to no other presenter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Slot
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import QFileDialog, QWidget

from app.look.theme import Theme, ThemeChoice
from app.storage import paths
from app.widgets.bar.bottom_bar import BottomBar
from app.widgets.basics.dialogs import ShortcutsDialog
from app.widgets.basics.shortcuts import Command
from app.widgets.help.about_dialog import AboutDialog
from app.widgets.models.models_row import ModelsRow
from app.widgets.queue.panel import QueuePanel
from app.widgets.result.files_panel import FilesPanel
from app.widgets.settings.lora_panel import OptionsPanel
from app.widgets.tabs.layers_tab import LayersTab
from app.window.frame import Tab, ViewStack
from app.window.menus import Menus
from app.window.model import WindowModel

# Commands that would change the request, or need the device or the files that something works with.
NOT_WHILE_LOCKED: tuple[Command, ...] = (
    "open_finetuned",
    "open_original",
    "output_folder",
    "swap",
    "verify",
    "run_queue",
)


@dataclass(frozen=True)
class CommandViews:
    """What commands act on."""

    models: ModelsRow
    options: OptionsPanel
    stack: ViewStack
    layers: LayersTab
    files: FilesPanel
    queue: QueuePanel
    bar: BottomBar


class WindowCommands(QObject):
    """Connects actions of the menus with views and dialogs, and offers what makes sense at the moment."""

    def __init__(self, window: QWidget, model: WindowModel, menus: Menus, views: CommandViews, theme: Theme) -> None:
        super().__init__(window)
        self._window, self._model, self._menus, self._theme = window, model, menus, theme
        self._stack, self._tabs, self._table = views.stack, views.stack.tabs, views.layers.table
        actions = menus.actions
        actions["open_finetuned"].triggered.connect(views.models.finetuned.ask_for_file)
        actions["open_original"].triggered.connect(views.models.original.ask_for_file)
        actions["swap"].triggered.connect(views.models.swap_models)
        actions["output_folder"].triggered.connect(self.choose_output_folder)
        actions["quit"].triggered.connect(window.close)
        actions["find"].triggered.connect(self._find)
        actions["shortcuts"].triggered.connect(self._show_shortcuts)
        tabs = {f"tab_{tab.value}": tab for tab in Tab}
        for command, action in actions.items():
            if command in tabs:
                action.setData(tabs[command])
                action.triggered.connect(self._show_tab)
        menus.show_output.triggered.connect(self._show_output_folder)
        menus.show_logs.triggered.connect(self._show_log_folder)
        menus.reset_options.triggered.connect(views.options.reset)
        menus.about.triggered.connect(self._about)
        menus.theme_chosen.connect(self._choose_theme)
        views.bar.folder_clicked.connect(self.choose_output_folder)
        views.bar.open_folder_clicked.connect(self.open_folder)
        views.files.open_folder_clicked.connect(self.open_folder)
        views.queue.open_folder_clicked.connect(self.open_folder)
        model.locked_changed.connect(self._on_locked)
        theme.changed.connect(self._check_theme)
        self._check_theme()
        self._on_locked(model.locked)

    @Slot(bool)
    def set_extract_enabled(self, enabled: bool) -> None:
        """Offer Extract only when it can start."""
        for action in (self._menus.actions["extract"], self._menus.start_over, self._menus.copy_command):
            action.setEnabled(enabled)

    @Slot()
    def choose_output_folder(self) -> None:
        """Let the person pick the folder that LoRAs are written to."""
        now = str(self._model.request.output_dir)
        folder = QFileDialog.getExistingDirectory(self._window, self.tr("Output folder"), now)
        if folder:
            self._model.set_output_dir(Path(folder))

    @Slot(object)
    def open_folder(self, folder: Path) -> None:
        """Show a folder in the system's file browser."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    @Slot(bool)
    def _on_locked(self, locked: bool) -> None:
        """Offer what makes sense while something works, or while nothing does."""
        menus = self._menus
        menus.actions["stop"].setEnabled(locked)
        for action in (menus.reset_options, menus.free_memory, menus.demo):
            action.setEnabled(not locked)
        for command in NOT_WHILE_LOCKED:
            menus.actions[command].setEnabled(not locked)
        if locked:
            self.set_extract_enabled(False)

    @Slot()
    def _find(self) -> None:
        self._tabs.show_tab(Tab.LAYERS)
        self._table.search.setFocus()
        self._table.search.selectAll()

    @Slot()
    def _show_tab(self) -> None:
        action = self.sender()
        assert isinstance(action, QAction)
        self._stack.end_welcome()
        self._tabs.show_tab(action.data())

    @Slot()
    def _show_shortcuts(self) -> None:
        ShortcutsDialog(self._window).exec()

    @Slot()
    def _about(self) -> None:
        AboutDialog(self._window).exec()

    @Slot()
    def _show_output_folder(self) -> None:
        folder = self._model.request.output_dir
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        self.open_folder(folder)

    @Slot()
    def _show_log_folder(self) -> None:
        paths.log_dir().mkdir(parents=True, exist_ok=True)
        self.open_folder(paths.log_dir())

    @Slot(str)
    def _choose_theme(self, choice: ThemeChoice) -> None:
        self._theme.set_choice(choice)

    @Slot()
    def _check_theme(self) -> None:
        self._menus.check_theme(self._theme.choice)
