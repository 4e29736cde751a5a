import json
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QCoreApplication, QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.storage import paths
from app.storage.decompositions import open_store
from app.storage.json_store import StoreTrouble
from app.storage.preferences import DialogValues, Preferences, PreferenceStore, SettingsChange, parse_size, size_text
from app.widgets.settings.cache_row import CacheRow
from app.widgets.settings.settings_dialog import SettingsDialog
from app.work import cache_worker
from app.work.cache_worker import DecompositionCache
from engine.errors import EngineError, ErrorCode

LANGUAGES = (("system", "As the system"), ("en", "English"), ("de", "Deutsch"))
GB = 10**9


def values(**changes: Any) -> DialogValues:
    return replace(DialogValues("de", "dark", True, True, paths.default_output_dir(), 10 * GB, "auto", None), **changes)


@pytest.fixture
def cache(qapp: object) -> Iterator[DecompositionCache]:
    cache = DecompositionCache()
    yield cache
    cache.shut_down()


@pytest.fixture
def make_dialog(qtbot: QtBot, theme: Theme, cache: DecompositionCache) -> Any:
    def make(shown: DialogValues | None = None, **options: Any) -> SettingsDialog:
        dialog = SettingsDialog(shown or values(), LANGUAGES, cache, **options)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return make


def changes_of(dialog: SettingsDialog) -> list[SettingsChange]:
    told: list[SettingsChange] = []
    dialog.saved.connect(told.append)
    return told


def store_something(size: int) -> None:
    pair = open_store().folder / "0123456789abcdef0123456789abcdef"
    pair.mkdir(parents=True)
    (pair / "20260101T000000.journal").write_bytes(b"x" * size)


# the preferences' file


def test_saved_preferences_come_back_and_their_file_is_json_with_a_version(home: Path) -> None:
    assert PreferenceStore().load() == Preferences()
    assert PreferenceStore().save(Preferences(language="de", notify=False))
    content = json.loads((home / "config" / "preferences.json").read_text(encoding="utf-8"))
    assert content == {"version": 1, "language": "de", "notify": False, "single_instance": True}
    assert PreferenceStore().load() == Preferences(language="de", notify=False)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"version": 1, "notify": "perhaps"}', "\x00\xff"])
def test_broken_preferences_are_set_aside_and_told(home: Path, content: str) -> None:
    path = home / "config" / "preferences.json"
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="latin-1")
    store = PreferenceStore()
    assert store.load() == Preferences()
    assert store.problem is not None
    assert store.problem.set_aside is not None
    assert store.problem.set_aside.read_text(encoding="latin-1") == content
    assert store.save(Preferences(language="en"))
    assert PreferenceStore().load().language == "en"


def test_newer_preferences_are_not_used_and_not_overwritten(home: Path) -> None:
    path = home / "config" / "preferences.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 2, "language": "eo"}')
    store = PreferenceStore()
    assert store.load() == Preferences()
    assert store.problem is not None
    assert store.problem.trouble is StoreTrouble.NEWER
    assert not store.save(Preferences())
    assert json.loads(path.read_text()) == {"version": 2, "language": "eo"}


# sizes


@given(st.integers(0, 2**60))
def test_a_size_is_shown_so_that_it_is_read_as_the_same_bytes(size: int) -> None:
    assert parse_size(size_text(size)) == size


@given(
    st.integers(0, 9999),
    st.sampled_from(["", ".5", ",5", ".25", ",75"]),
    st.sampled_from([("kB", 10**3), ("MB", 10**6), ("GB", 10**9), ("KiB", 2**10), ("MiB", 2**20), ("gib", 2**30)]),
    st.sampled_from(["", " "]),
)
def test_sizes_mean_what_they_say(whole: int, part: str, unit: tuple[str, int], gap: str) -> None:
    exact = Fraction(f"{whole}{part.replace(',', '.')}") * unit[1]
    assert parse_size(f" {whole}{part}{gap}{unit[0]} ") == int(exact)


@pytest.mark.parametrize(
    "text", ["", "10", "ten GB", "-5 GB", "1,000 GB", "1.000 GB", "7 parsecs", "nan GB", "1e3 GB", "5000000 TB"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    assert parse_size(text) is None


# the dialog


def test_it_shows_the_values_and_saving_them_unchanged_tells_nothing(make_dialog: Any) -> None:
    shown = values(
        theme="light", notify=False, device="cuda:1", memory_budget=8 * 2**30, cache_limit_bytes=2_500_000_000
    )
    dialog = make_dialog(shown)
    told = changes_of(dialog)
    assert dialog.values() == shown
    assert dialog.cache._line.text() == "2.5 GB"
    assert dialog.budget.text() == "8 GiB"
    dialog.save.click()
    assert told == []
    assert not dialog.isVisible()


def test_saving_tells_exactly_what_changed(make_dialog: Any, tmp_path: Path) -> None:
    dialog = make_dialog()
    told = changes_of(dialog)
    dialog.language.setCurrentIndex(dialog.language.findData("en"))
    dialog.theme.setCurrentIndex(dialog.theme.findData("light"))
    dialog.folder.setText(str(tmp_path))
    dialog.cache._line.setText("20 GB")
    dialog.device.control.setCurrentText("cpu")
    dialog.budget.setText("6 GiB")
    dialog.save.click()
    assert [change.after for change in told] == [
        values(
            language="en",
            theme="light",
            output_dir=tmp_path,
            cache_limit_bytes=20 * GB,
            device="cpu",
            memory_budget=6 * 2**30,
        )
    ]
    assert told[0].names == {"language", "theme", "output_dir", "cache_limit_bytes", "device", "memory_budget"}
    assert told[0].changed("theme", "notify")
    assert not told[0].changed("notify")


def test_escape_changes_nothing(qtbot: QtBot, make_dialog: Any) -> None:
    dialog = make_dialog()
    told = changes_of(dialog)
    dialog.notify.setChecked(False)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert told == []


def test_the_return_key_saves(qtbot: QtBot, make_dialog: Any) -> None:
    dialog = make_dialog()
    told = changes_of(dialog)
    dialog.notify.setChecked(False)
    qtbot.keyClick(dialog.budget, Qt.Key.Key_Return)
    assert [change.names for change in told] == [{"notify"}]


def test_an_empty_folder_line_means_the_usual_folder(make_dialog: Any, tmp_path: Path) -> None:
    dialog = make_dialog(values(output_dir=tmp_path))
    told = changes_of(dialog)
    dialog.folder.setText("  ")
    dialog.save.click()
    assert told[0].after.output_dir == paths.default_output_dir()


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("limit", "12 parsecs"),
        ("limit", ""),
        ("budget", "0"),
        ("budget", "much"),
        ("device", "gpu"),
        ("folder", "loras"),
    ],
)
def test_what_cannot_be_used_is_said_beside_the_field_and_not_saved(make_dialog: Any, what: str, text: str) -> None:
    dialog = make_dialog()
    told = changes_of(dialog)
    rows = {
        "limit": dialog.cache.limit,
        "budget": dialog.budget_row,
        "device": dialog.device_row,
        "folder": dialog.folder_row,
    }
    control = rows[what].control
    control.setCurrentText(text) if isinstance(control, QComboBox) else control.setText(text)
    dialog.save.click()
    assert dialog.isVisible()
    assert told == []
    assert {name for name, row in rows.items() if row.trouble.isVisible()} == {what}
    assert rows[what].control.accessibleDescription() in rows[what].trouble.text()
    assert control.property("trouble") is True


def test_a_file_is_no_output_folder(make_dialog: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    dialog = make_dialog(values(output_dir=file / "below"))
    dialog.save.click()
    assert dialog.isVisible()
    assert str(file) in dialog.folder_row.trouble.text()


def test_while_an_extraction_runs_its_settings_cannot_be_changed(make_dialog: Any) -> None:
    dialog = make_dialog(running=True)
    told = changes_of(dialog)
    assert not any(control.isEnabled() for control in (dialog.folder, dialog.device.control, dialog.budget))
    dialog.theme.setCurrentIndex(dialog.theme.findData("light"))
    dialog.save.click()
    assert [change.names for change in told] == [{"theme"}]


def test_every_control_has_an_accessible_name(make_dialog: Any) -> None:
    dialog = make_dialog()
    kinds = (QAbstractButton, QComboBox, QLineEdit)
    controls = [
        child for kind in kinds for child in dialog.findChildren(kind) if not isinstance(child.parent(), QComboBox)
    ]
    assert len(controls) >= 12
    assert [type(control).__name__ for control in controls if not control.accessibleName()] == []


def test_every_control_is_reached_by_tab(make_dialog: Any) -> None:
    dialog = make_dialog()
    seen: list[QWidget] = []
    widget: QWidget | None = dialog.language
    while widget is not None and widget not in seen:
        seen.append(widget)
        widget = widget.nextInFocusChain()
    wanted = [dialog.language, dialog.theme, dialog.notify, dialog.single_instance, dialog.folder, dialog.browse]
    wanted += [dialog.cache.clear, dialog.cache._line, dialog.device.control, dialog.budget, dialog.save]
    order = [seen.index(widget) for widget in wanted]
    assert order == sorted(order)
    assert all(widget.focusPolicy() & Qt.FocusPolicy.TabFocus for widget in wanted)


# the cache


def test_the_cache_is_measured_off_the_gui_thread(
    qtbot: QtBot, make_dialog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_something(3_000_000)
    threads: list[threading.Thread] = []

    def opened() -> Any:
        threads.append(threading.current_thread())
        return open_store()

    monkeypatch.setattr(cache_worker, "open_store", opened)
    dialog = make_dialog()
    qtbot.waitUntil(lambda: "in use" in dialog.cache.used.text())
    assert threads
    assert threading.main_thread() not in threads
    assert dialog.cache.used.text() == "3.0 MB in use"
    assert dialog.cache.folder.text() == str(open_store().folder)
    assert dialog.cache.clear.isEnabled()


def test_clearing_asks_first_and_says_what_was_removed(
    qtbot: QtBot, make_dialog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_something(2_000_000)
    dialog = make_dialog()
    qtbot.waitUntil(lambda: dialog.cache.clear.isEnabled())
    answer = QMessageBox.ButtonRole.RejectRole

    def click(box: QMessageBox) -> int:
        next(button for button in box.buttons() if box.buttonRole(button) is answer).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", click)
    before = open_store().size_bytes
    dialog.cache.clear.click()
    assert open_store().size_bytes == before
    answer = QMessageBox.ButtonRole.DestructiveRole
    dialog.cache.clear.click()
    qtbot.waitUntil(lambda: "Removed" in dialog.cache.used.text())
    assert open_store().size_bytes == 0
    assert not dialog.cache.clear.isEnabled()


def test_a_limit_is_written_where_runs_read_it_and_makes_the_cache_smaller(
    qtbot: QtBot, cache: DecompositionCache
) -> None:
    store_something(2_000_000)
    with qtbot.waitSignal(cache.answered) as told:
        cache.set_limit(1_000_000)
    assert told.args is not None
    assert told.args[0].freed_bytes >= 2_000_000
    assert open_store().limit_bytes == 1_000_000
    assert json.loads((open_store().folder / "cache.json").read_text())["limit_bytes"] == 1_000_000


def test_a_limit_that_cannot_be_written_is_told(qtbot: QtBot, cache: DecompositionCache, home: Path) -> None:
    (home / "cache").parent.mkdir(parents=True)
    (home / "cache").write_text("a file where the folder should be")
    with qtbot.waitSignal(cache.answered) as told:
        cache.set_limit(1)
    assert told.args is not None
    assert told.args[0].error.code is ErrorCode.OUTPUT_UNWRITABLE


def test_what_went_wrong_with_the_cache_is_said(qtbot: QtBot, theme: Theme, cache: DecompositionCache) -> None:
    row = CacheRow(cache, GB)
    qtbot.addWidget(row)
    row.show_error(EngineError(ErrorCode.OUTPUT_UNWRITABLE, file="/c", reason="Permission denied"))
    assert "Permission denied" in row.used.text()
    assert row.used.property("tone") == "bad"


def test_shutting_down_finishes_what_was_asked_for(qtbot: QtBot, cache: DecompositionCache) -> None:
    cache.set_limit(123_456)
    cache.shut_down()
    assert open_store().limit_bytes == cache.limit_bytes == 123_456


def test_the_dialog_s_fields_do_not_take_the_paths_of_dragged_files(make_dialog: Any) -> None:
    dialog, file = make_dialog(), QMimeData()
    file.setUrls([QUrl.fromLocalFile("/models/a.safetensors")])
    file.setData("text/plain", b"/models/a.safetensors")
    fields = [field for field in dialog.findChildren(QLineEdit) if field.acceptDrops()]
    assert len(fields) >= 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the event's constructor; tests have no other way
        actions = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction
        for field in fields:
            enter = QDragEnterEvent(
                QPoint(5, 5), actions, file, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
            )
            QCoreApplication.sendEvent(field, enter)
            assert not enter.isAccepted(), field.accessibleName()
