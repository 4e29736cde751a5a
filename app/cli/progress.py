"""Progress on a terminal, plain lines elsewhere. Everything here goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from app.text.debug_report import DebugReport
from app.text.estimates import about_seconds, time_parts
from app.text.headline import kept_so_far
from app.text.notices import counted, finishing_text, format_bytes, notice_text
from app.work.time_left import TimeLeft
from engine.events import BatchSizeChanged, Event, FinishingStep, Notice, NoticeCode, OutOfMemory, Planned
from engine.events import Progress as ProgressEvent
from engine.results import Coverage

_PLAIN_SECONDS = 5.0
DOT = " · "
_PHASES = {"extract": "", "measure": "reading, ", "decompose": "decomposing, ", "write": "writing, "}


class Console:
    """Prints text for people, on stderr."""

    def __init__(self) -> None:
        self.rich = RichConsole(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    def line(self, text: str) -> None:
        """One line for a person."""
        self.rich.print(text, markup=False)

    def warning(self, text: str) -> None:
        """A line that must not be missed."""
        self.rich.print(f"Warning: {text}", markup=False, style="bold yellow")

    def alarm(self, text: str) -> None:
        """A line that says that the result is probably worth nothing."""
        self.rich.print(f"Warning: {text}", markup=False, style="bold red")

    def answer(self, text: str, json_wanted: bool, /) -> None:
        """A line that is the command's own answer: on stdout, unless JSON goes there."""
        print(text, file=sys.stderr if json_wanted else sys.stdout)

    def bar(self) -> Progress:
        """A progress bar in the house style; it vanishes when done."""
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            console=self.rich,
            transient=True,
            disable=not self.rich.is_terminal,
        )

    @contextmanager
    def counting(self, title: str, total: int | None) -> Iterator[Callable[..., None]]:
        """A bar that counts; yields the function that counts one more: ``step(name, total=None)``."""
        with self.bar() as bar:
            task = bar.add_task(title, total=total, words="")

            def step(name: str, total: int | None = None) -> None:
                if total is not None:
                    bar.update(task, total=total)
                bar.update(task, advance=1, words=name)

            yield step


class RunDisplay:
    """Shows one extraction while it runs.

    Attributes:
        kept: layers that a stop would leave for the next run, where the session keeps any.
        device_title: the device in words; empty before it is known.
    """

    def __init__(self, console: Console, expected: Callable[[str], float | None] = lambda _: None) -> None:
        """Begin.

        Args:
            console: where lines go.
            expected: the seconds that the run is estimated to take on a device of this title; None where nobody knows.
        """
        self._console = console
        self._expect = expected
        self._expected: float | None = None
        self._left = TimeLeft(None)
        self.device_title = ""
        self._report, self._detailed = DebugReport(), False
        self._coverage = Coverage()
        self.kept = 0
        self._keeps = True
        self._bar = console.bar()
        self._task: TaskID | None = None
        self._plain_due = time.monotonic() + _PLAIN_SECONDS

    def __enter__(self) -> RunDisplay:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        """Show what is worth showing of an event."""
        if isinstance(event, Planned):
            self._detailed, self._coverage = event.hardware.debug_mode, event.coverage
        lines = self._report.lines(event)
        for line in lines if self._detailed or isinstance(event, (OutOfMemory, BatchSizeChanged)) else ():
            self._console.line(line)
        if isinstance(event, Planned):
            self._console.line(
                f"{counted(event.layers, 'layer')} on {event.device_title}; "
                f"{counted(len(event.left_out), 'tensor')} left out; "
                f"{_files(event)} have up to {format_bytes(event.output_bytes)}."
            )
            self.device_title, self._expected = event.device_title, self._expect(event.device_title)
            self._left = TimeLeft(self._expected)
            if self._expected is not None:
                self._console.line(f"Takes {about_seconds(self._expected)}.")
            self._task = self._bar.add_task("extracting", total=1.0, words="")
        elif isinstance(event, Notice):
            self._keeps = self._keeps and event.code is not NoticeCode.JOURNAL_OFF
            say = self._console.alarm if event.code is NoticeCode.LARGE_CHANGE else self._console.line
            say(notice_text(event))
        elif isinstance(event, FinishingStep):
            self._console.line(finishing_text(event))
        elif isinstance(event, ProgressEvent):
            self._progress(event)

    def _progress(self, progress: ProgressEvent) -> None:
        if self._keeps:
            self.kept = max(self.kept, progress.kept)
        words = f"{_PHASES[progress.phase]}layer {progress.layers_done} of {progress.layers_total}"
        shown = replace(progress, remaining=self._left.take(progress))
        words = DOT.join((words, *time_parts(shown, self._expected)))
        if progress.energy_so_far is not None:
            words += f" · {kept_so_far(progress.energy_so_far, self._coverage)}"
        if self._task is not None:
            self._bar.update(self._task, completed=progress.share, words=words)
        if not self._console.rich.is_terminal and time.monotonic() >= self._plain_due:
            self._plain_due = time.monotonic() + _PLAIN_SECONDS
            self._console.line(words)


def _files(planned: Planned) -> str:
    count = len(planned.output_names)
    return "the file will" if count < 2 else f"the {count} files will together"
