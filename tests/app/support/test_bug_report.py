import getpass
import json
import re
import socket
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.look.theme import Theme
from app.support.bug_report import ErrorFacts, ReportFacts, error_facts, report_text, trace_facts, versions
from app.support.redaction import FINETUNED, HOME, HOST, ORIGINAL, OUTPUT, PATH, USER, PrivateWords, private_words
from app.widgets.help.bug_report_dialog import BugReportDialog
from app.work.requests import DeviceInfo
from engine.errors import EngineError, ErrorCode
from engine.settings import ExtractionSettings, HardwareSettings

SECRET = "zqsecretqz"  # in every part of every path, and nowhere else
NAMED = PrivateWords(
    places=(
        ("/home/anna/models/Tuned Style.safetensors", FINETUNED),
        ("Tuned Style.safetensors", FINETUNED),
        ("D:\\Models\\base.safetensors", ORIGINAL),
        ("/mnt/big disk/loras", OUTPUT),
        ("/home/anna", HOME),
    ),
    names=(("anna", USER), ("WORKSTATION-7", HOST)),
    program="/opt/lora-extractor",
)
READABLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/\\")


@st.composite
def parts(draw: st.DrawFn) -> list[str]:
    """Names of folders and a file, each with the secret in it and anything else around it."""
    words = st.text(READABLE, max_size=6)
    names = [draw(words) + SECRET + draw(words) for _ in range(draw(st.integers(1, 4)))]
    names[0] = "x" + names[0]  # a space behind the first slash is a slash in prose
    return names


@st.composite
def paths(draw: st.DrawFn) -> str:
    """An absolute path of any system, in any spelling that ends up in texts."""
    names = draw(parts())
    slash, back = "/".join(names), "\\".join(names)
    drive = draw(st.sampled_from("CdZ"))
    path = draw(
        st.sampled_from(
            [
                f"/{slash}",
                f"//{slash}",
                f"{drive}:/{slash}",
                f"{drive}:\\{back}",
                f"\\\\{back}\\share{SECRET}\\x",
                f"//server{SECRET}/{slash}",
                f"\\\\?\\{drive}:\\{back}",
                f"~/{slash}",
                f"~user/{slash}",
                f"\\{back}\\{SECRET}",
                f"file:///{slash}",
            ]
        )
    )
    spelled = draw(st.sampled_from(["plain", "repr", "json", "doubled"]))
    if spelled == "repr":
        return repr(path)[1:-1]
    if spelled == "json":
        return json.dumps(path)[1:-1]
    return path.replace("\\", "\\\\") if spelled == "doubled" else path


CONTEXTS = (
    "{}",
    "{} does not exist. Check the path, or whether the drive is connected.",
    "Cannot write to {}: Permission denied.",
    "12:00:01  error    {} and {} have no weight in common",
    "FileNotFoundError: [Errno 2] No such file or directory: '{}'",
    'OSError: [Errno 5] Input/output error: "{}"',
    "OSError: [Errno 18] Invalid cross-device link: '{}' -> '{}'",
    '  File "{}", line 12, in load',
    '  File "{}", line 12 in load',
    "file_missing, file={}, tensor=a.b.weight",
    "Wrote {} (310 MB)",
    "PYTHONPATH=/usr/lib:{}",
    "({})",
    "[{}]",
    "profile \u201c{}\u201d",
    "a -> {}",
    "a->{}",
)


@given(paths(), st.sampled_from(CONTEXTS))
@example(f"/x it's {SECRET}/y", CONTEXTS[4])
@example(f'/x "{SECRET}" y/z', CONTEXTS[7])
@example(f"C:\\x (old) {SECRET}, {SECRET}.safetensors: {SECRET}", CONTEXTS[0])
def test_no_part_of_any_path_is_left(path: str, context: str) -> None:
    hidden = NAMED.hide("before\n" + context.replace("{}", path) + "\nbehind")
    assert SECRET not in hidden
    assert hidden.startswith("before\n")
    assert hidden.endswith("\nbehind")


@given(paths())
def test_no_part_of_any_path_is_left_in_an_errors_data(path: str) -> None:
    data = {"file": path, "layers": [path, 3], "inner": {"other": Path(path), path: None}}
    text = report_text(ReportFacts((), error=ErrorFacts("file_missing", data)), NAMED)
    assert SECRET not in text


@given(parts(), st.booleans())
def test_a_path_with_line_breaks_is_hidden_as_a_value(names: list[str], windows: bool) -> None:
    path = ("C:\\" + "\\".join(names) if windows else "/" + "/".join(names)) + f"\n{SECRET}\r{SECRET}"
    assert SECRET not in json.dumps(NAMED.hide_in({"file": path}))


@given(st.sampled_from([PurePosixPath("/home/anna"), PureWindowsPath("C:\\Users\\anna")]), parts())
def test_the_home_folder_is_hidden_on_every_system(home: PurePosixPath | PureWindowsPath, names: list[str]) -> None:
    assume(not any(":" in name for name in names))  # PureWindowsPath takes that for another drive
    words = PrivateWords(((str(home), HOME),), (("anna", USER),))
    for path in (str(home.joinpath(*names)), str(home.joinpath(*names)).replace("\\", "/"), repr(str(home / names[0]))):
        hidden = words.hide(f"Cannot open {path}")
        assert SECRET not in hidden
        assert "anna" not in hidden.casefold()


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("/home/anna/models/Tuned Style.safetensors is empty.", f"{FINETUNED} is empty."),
        ("open '/HOME/Anna/models/tuned style.safetensors'", f"open '{FINETUNED}'"),
        ("d:/models/BASE.safetensors does not exist.", f"{ORIGINAL} does not exist."),
        ("'D:\\\\Models\\\\base.safetensors'", f"'{ORIGINAL}'"),
        ("Tuned Style.safetensors was read", f"{FINETUNED} was read"),
        ("/home/anna", HOME),
        ("'/home/anna/x y'", f"'{HOME}/\u2026'"),
        ("Wrote /mnt/big disk/loras/a/b.safetensors (310 MB)", f"Wrote {OUTPUT}/\u2026 (310 MB)"),
        ("Cannot write to /mnt/big disk/loras: Permission denied.", f"Cannot write to {OUTPUT}: Permission denied."),
        ("/mnt/other/place: No space left on device", f"{PATH}: No space left on device"),
        ("anna's files on workstation-7", f"{USER}'s files on {HOST}"),
        ("the joannas and annas_models", "the joannas and annas_models"),
        ("writing my_model_rank_8.safetensors", "writing <file>.safetensors"),
        (
            '  File "/opt/lora-extractor/engine/decompose/delta.py", line 3, in f',
            '  File "<program>/engine/decompose/delta.py", line 3, in f',
        ),
        (
            '  File "C:\\Users\\anna\\env\\Lib\\site-packages\\torch\\nn\\x.py", line 3, in f',
            '  File "<path>/site-packages/torch/nn/x.py", line 3, in f',
        ),
        ('  File "/home/anna/own.py", line 3 in f', '  File "<path>", line 3 in f'),
        ('  File "<frozen runpy>", line 198, in _run', '  File "<frozen runpy>", line 198, in _run'),
    ],
)
def test_what_is_known_leaves_a_word_that_says_what_it_was(text: str, hidden: str) -> None:
    assert NAMED.hide(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "diffusion_model.double_blocks.1.img_attn.qkv.weight: rank 32, 93.8 % kept",
        "3 / 4 layers and/or blocks, 12 MB/s at 14:03",
        "https://example.org/how/to?x=1",
        "RuntimeError: shape (3072, 64) is not 2:1",
        "^^^^^^^~~~~",
        "denoiser:double_blocks.3",
        "",
    ],
)
def test_what_is_not_private_stays_as_it_is(text: str) -> None:
    assert NAMED.hide(text) == text


@pytest.mark.parametrize("name", ["jos\u00e9", "jose\u0301", "M\u00fcller-L\u00fcdenscheidt"])
def test_a_name_is_found_in_every_spelling(name: str) -> None:
    words = PrivateWords(names=((name, USER),))
    for spelled in (name, name.upper(), ascii(name)[1:-1], json.dumps(name)[1:-1]):
        assert words.hide(f"by {spelled} here") == f"by {USER} here"


def test_a_placeholder_is_not_taken_for_a_name() -> None:
    words = PrivateWords((("/home/user", HOME),), (("home", USER), ("user", USER), ("path", HOST)))
    assert words.hide("'/home/user' and '/else'".replace(" and", "\n")) == f"'{HOME}'\n '{PATH}'"


def test_this_computers_own_words_are_known(tmp_path: Path) -> None:
    model = tmp_path / "my tuned.safetensors"
    words = private_words(finetuned=model, original=None, output_dir=tmp_path / "out")
    text = "\n".join((f"{model} is empty.", f"{tmp_path}/out", str(Path.home() / "a b"), f"ask {getpass.getuser()}."))
    assert words.hide(text).split("\n")[:3] == [f"{FINETUNED} is empty.", OUTPUT, f"{HOME}/\u2026"]
    assert words.hide(f"ask {getpass.getuser()} or {socket.gethostname()}") in (
        f"ask {USER} or {HOST}",
        f"ask {HOST} or {HOST}",
        f"ask {USER} or {USER}",
    )


# the report


def facts(tmp_path: Path) -> ReportFacts:
    error = EngineError(
        ErrorCode.INTERNAL,
        file=tmp_path / "in" / "x.safetensors",
        tensor="a.b",
        detail="ValueError: 3",
        traceback=f'Traceback (most recent call last):\n  File "{tmp_path}/y.py", line 3, in f\nValueError: 3',
    )
    return ReportFacts(
        versions=versions(),
        device=DeviceInfo("cuda", "NVIDIA RTX 4090", 24 * 2**30),
        extraction=ExtractionSettings(rank=77, filename_prefix="for/berta"),
        hardware=HardwareSettings(batch_size=3),
        error=error_facts(error),
        crash=f'Fatal Python error: Segmentation fault\n  File "{tmp_path}/z.py", line 9 in g',
        log=tuple(f"line {number} of {tmp_path}" for number in range(150)),
    )


def test_the_report_says_everything_that_helps(tmp_path: Path) -> None:
    text = report_text(facts(tmp_path), private_words())
    for wanted in (
        f"Python: {sys.version.split()[0]}",
        "NVIDIA RTX 4090 (cuda), 25,769,803,776 bytes",
        "Code: internal",
        '"detail": "ValueError: 3"',
        "line 3, in f",
        "Segmentation fault",
        "line 149 of ",
        "line 50 of ",
    ):
        assert wanted in text
    assert "line 49 of" not in text
    blocks = [json.loads(block) for block in re.findall(r"^\{$.*?^\}$", text, re.DOTALL | re.MULTILINE)]
    assert blocks[0]["rank"] == 77
    assert blocks[1]["batch_size"] == 3


def test_private_words_are_in_the_report_only_where_they_are_wanted(tmp_path: Path) -> None:
    known = facts(tmp_path)
    hidden, open_text = (
        report_text(known, private_words(finetuned=tmp_path / "in" / "x.safetensors")),
        report_text(known, None),
    )
    assert str(tmp_path) not in hidden
    assert "berta" not in hidden
    assert open_text.count(str(tmp_path)) == 103
    assert "for/berta" in open_text


def test_with_nothing_known_it_is_still_a_report() -> None:
    text = report_text(ReportFacts(versions()), private_words())
    assert "not known yet" in text
    assert text.count("some fields cannot be used") == 2
    assert "Last error" not in text


def test_an_ordinary_exception_keeps_its_traceback() -> None:
    try:
        int("three")
    except ValueError as error:
        known = error_facts(error)
    assert known.code == "ValueError"
    assert "int(" in known.trace
    assert trace_facts(known.trace).code == "ValueError"
    assert trace_facts(known.trace).data["message"] == known.data["message"]
    assert trace_facts("").code == "unknown"


def test_a_very_long_traceback_is_cut_in_its_middle() -> None:
    trace = "\n".join(f"line {number}" for number in range(100_000))
    text = report_text(ReportFacts((), error=ErrorFacts("RecursionError", {}, trace)), None)
    assert len(text) < 30_000
    assert "line 0\n" in text
    assert "line 99999" in text


def test_making_a_report_loads_no_torch() -> None:
    script = (
        "import sys; from app.support.bug_report import ReportFacts, report_text, versions; "
        "from app.support.redaction import private_words; "
        "text = report_text(ReportFacts(versions()), private_words()); "
        "assert 'torch: ' in text; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# the dialog


def test_the_preview_shows_exactly_what_is_copied(
    qtbot: QtBot, theme: Theme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = BugReportDialog(facts(tmp_path), private_words())
    qtbot.addWidget(dialog)
    dialog.show()
    assert str(tmp_path) not in dialog.text.toPlainText()
    dialog.copy.click()
    assert QGuiApplication.clipboard().text() == dialog.text.toPlainText()
    assert dialog.note.text() == "Copied"
    dialog.with_paths.click()
    assert dialog.note.text() == ""
    assert str(tmp_path) in dialog.text.toPlainText()
    target = tmp_path / "report.txt"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    dialog.save.click()
    assert target.read_text(encoding="utf-8").strip() == dialog.text.toPlainText().strip()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "no" / "where"), ""))
    dialog.save.click()
    assert dialog.note.property("tone") == "bad"
