"""What the menus and shortcuts of the window do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QUrl, Slot
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import QFileDialog

from app.storage import paths
from app.storage.json_store import StoreProblem, StoreTrouble
from app.text.log_lines import Level
from app.widgets.basics.dialogs import ShortcutsDialog
from app.widgets.basics.notice_bar import NoticeBar
from app.widgets.help.about_dialog import AboutDialog
from app.window.frame import Tab

if TYPE_CHECKING:
    from app.look.theme import ThemeChoice
    from app.window.main_window import MainWindow


class WindowCommands(QObject):
    """Connects every action of the menus."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        frame, menus = window.frame, window.menus
        triggers = {
            "open_finetuned": frame.models.finetuned.ask_for_file,
            "open_original": frame.models.original.ask_for_file,
            "output_folder": self.choose_output_folder,
            "quit": window.close,
            "extract": window.extract,
            "stop": window.ask_stop,
            "swap": frame.models.swap_models,
            "find": self._find,
            "shortcuts": self._show_shortcuts,
        }
        tabs = {f"tab_{tab.value}": tab for tab in Tab}
        for command, action in menus.actions.items():
            if command in triggers:
                action.triggered.connect(triggers[command])
            elif command in tabs:
                action.setData(tabs[command])
                action.triggered.connect(self._show_tab)
        menus.show_output.triggered.connect(self._show_output_folder)
        menus.show_logs.triggered.connect(self._show_log_folder)
        menus.reset_options.triggered.connect(frame.options.reset)
        menus.about.triggered.connect(self._about)
        menus.theme_chosen.connect(self.choose_theme)
        menus.check_theme(window.theme.choice)
        frame.bar.folder_clicked.connect(self.choose_output_folder)
        frame.bar.open_folder_clicked.connect(self.open_folder)
        frame.tabs.currentChanged.connect(self._tab_changed)
        self.set_running(False)

    def set_running(self, running: bool) -> None:
        """Offer what makes sense while a run goes on, or while none does."""
        menus = self._window.menus
        menus.actions["stop"].setEnabled(running)
        for command in ("open_finetuned", "open_original", "output_folder", "swap", "verify", "run_queue"):
            menus.actions[command].setEnabled(not running)
        for action in (menus.reset_options, menus.free_memory, menus.demo):
            action.setEnabled(not running)
        if running:
            self.set_extract_enabled(False)

    def set_extract_enabled(self, enabled: bool) -> None:
        """Offer Extract only when it can start."""
        menus = self._window.menus
        for action in (menus.actions["extract"], menus.start_over, menus.copy_command):
            action.setEnabled(enabled)

    def connect_controls(self) -> None:
        """Connect the commands of the window's other parts, once they are there."""
        window, menus = self._window, self._window.menus
        queue, verify, run, more = window.queue_control, window.verify_control, window.run_control, window.help
        menus.actions["add_to_queue"].triggered.connect(queue.add_current)
        menus.actions["run_queue"].triggered.connect(queue.run_all)
        menus.actions["verify"].triggered.connect(verify.choose)
        menus.actions["settings"].triggered.connect(more.settings)
        menus.start_over.triggered.connect(run.start_over)
        menus.free_memory.triggered.connect(window.controller.free_memory)
        menus.copy_command.triggered.connect(run.copy_command)
        menus.guide.triggered.connect(more.open_guide)
        menus.demo.triggered.connect(more.show_demo)
        menus.bug_report.triggered.connect(more.report)

    def tell_store_problems(self, *problems: StoreProblem | None, damaged: Sequence[str] = ()) -> None:
        """Write into the log which files of the last time could not be used, and which profiles."""
        for problem in problems:
            if problem is not None:
                text = self._store_problem_text(problem)
                self._window.frame.run.write(Level.WARNING, text)
                self._window.frame.notices.addWidget(NoticeBar(self._window.theme, text))
        for name in damaged:
            text = self.tr("The profile \u201c{name}\u201d has values that are not allowed and was left out.")
            self._window.frame.run.write(Level.WARNING, text.format(name=name))

    @Slot()
    def choose_output_folder(self) -> None:
        """Let the person pick the folder that LoRAs are written to."""
        window = self._window
        folder = QFileDialog.getExistingDirectory(window, self.tr("Output folder"), str(window.output_dir))
        if folder:
            window.set_output_dir(Path(folder))

    @Slot(object)
    def open_folder(self, folder: Path) -> None:
        """Show a folder in the system's file browser."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def _store_problem_text(self, problem: StoreProblem) -> str:
        if problem.trouble is StoreTrouble.NEWER:
            text = self.tr("{file} was written by a newer version of this program. It is left as it is and not used.")
        elif problem.trouble is StoreTrouble.UNREADABLE:
            text = self.tr("{file} cannot be read. It is left as it is and not used.")
        else:
            text = self.tr("{file} was damaged. It was set aside as {aside}; everything starts with its defaults.")
        return text.format(file=problem.file, aside=problem.set_aside.name if problem.set_aside else "")

    @Slot()
    def _find(self) -> None:
        frame = self._window.frame
        frame.show_tab(Tab.LAYERS)
        frame.run.layers.table.search.setFocus()
        frame.run.layers.table.search.selectAll()

    @Slot()
    def _show_tab(self) -> None:
        action = self.sender()
        assert isinstance(action, QAction)
        self._window.frame.end_welcome()
        self._window.frame.show_tab(action.data())

    @Slot()
    def _tab_changed(self) -> None:
        if self._window.frame.shown_tab() is Tab.LOG:
            self._window.frame.unmark_log()

    @Slot()
    def _show_shortcuts(self) -> None:
        ShortcutsDialog(self._window).exec()

    @Slot()
    def _about(self) -> None:
        AboutDialog(self._window).exec()

    @Slot()
    def _show_output_folder(self) -> None:
        folder = self._window.output_dir
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        self.open_folder(folder)

    @Slot()
    def _show_log_folder(self) -> None:
        paths.log_dir().mkdir(parents=True, exist_ok=True)
        self.open_folder(paths.log_dir())

    @Slot(str)
    def choose_theme(self, choice: ThemeChoice) -> None:
        """Show the window in another theme."""
        self._window.theme.set_choice(choice)
        self._window.menus.check_theme(choice)
