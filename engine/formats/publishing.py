"""Puts the finished outputs of a run in place: all of them under one number, or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.disk import disk_errors, sync_folder, write_synced
from engine.formats.output_path import Target, first_free


class UnplacedOutput(Protocol):
    """An output under its temporary name in the folder that it is to stay in: a file, or a folder of files."""

    @property
    def part(self) -> Path:
        """Its temporary path."""

    def seal(self, metadata: Mapping[str, str]) -> int:
        """Finish what was written, with texts for the header, and have it on the disk; returns its size in bytes."""

    def place(self, path: Path) -> bool:
        """Give it its name in one step, replacing nothing; False where the name is taken."""

    def withdraw(self, path: Path) -> None:
        """Take the name away again: it stands under its temporary one, as before `place`."""


@dataclass(frozen=True)
class Publication:
    """An output that is ready to be put in place.

    Attributes:
        target: where it goes.
        output: what goes there; sealed.
        size: of it, in bytes.
        make_report: the text of the report beside it, from its final path, its size, and the names of all outputs.
    """

    target: Target
    output: UnplacedOutput
    size: int
    make_report: Callable[[Path, int, tuple[str, ...]], str]

    @property
    def report_part(self) -> Path:
        """The report under its temporary name."""
        return self.output.part.with_suffix(".report")


def publish(publications: Sequence[Publication]) -> list[tuple[Path, Path]]:
    """Give outputs, each with its report, the first number that is free for all of them.

    Names are taken in one order whoever takes them, and given back where one of them is taken meanwhile. So two runs
    that publish at once never share a number, and neither waits for the other.

    Returns:
        Paths of each output and its report, in the order given. On any error none of them exists, and each output
        stands under its temporary name.

    Raises:
        EngineError: ``output_unwritable`` or ``disk_full``.
    """
    targets = [publication.target for publication in publications]
    in_order = sorted(publications, key=lambda item: (item.target.stem, item.target.copy, str(item.target.folder)))
    counter = first_free(targets)
    while not _published(in_order, counter, tuple(target.path(counter).name for target in targets)):
        counter = first_free(targets, counter + 1)
    return [(target.path(counter), target.report(counter)) for target in targets]


def _published(publications: Sequence[Publication], counter: int, names: tuple[str, ...]) -> bool:
    """Put all in place under a number; False where one of the names is taken."""
    placed: list[Publication] = []
    reports: list[Path] = []
    done = False
    try:
        for item in publications:
            with disk_errors(item.target.folder):
                write_synced(item.report_part, item.make_report(item.target.path(counter), item.size, names))
        for item in publications:
            with disk_errors(item.target.folder):
                if not item.output.place(item.target.path(counter)):
                    return False
            placed.append(item)
        for item in publications:
            with disk_errors(item.target.folder):
                os.replace(item.report_part, item.target.report(counter))
            reports.append(item.target.report(counter))
        for folder in {item.target.folder for item in publications}:
            sync_folder(folder)
        done = True
        return True
    finally:
        if not done:
            _take_back(publications, placed, reports, counter)


def _take_back(
    publications: Sequence[Publication], placed: Sequence[Publication], reports: Sequence[Path], counter: int
) -> None:
    for report in (*reports, *(item.report_part for item in publications)):
        with suppress(OSError):
            report.unlink(missing_ok=True)
    for item in reversed(placed):
        with suppress(OSError):
            item.output.withdraw(item.target.path(counter))
