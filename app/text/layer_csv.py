"""The layers of a run as a CSV file, with the exact numbers, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.disk import disk_errors, write_text
from engine.results import LayerResult, NoiseFigures

Cell = str | int | float


def _of_noise(value: Callable[[NoiseFigures], float | None]) -> Callable[[LayerResult], Cell]:
    """A column about rounding noise; empty where that was not measured, or where all is noise."""

    def cell(row: LayerResult) -> Cell:
        found = None if row.noise is None else value(row.noise)
        return "" if found is None else found

    return cell


FIELDS: dict[str, Callable[[LayerResult], Cell]] = {
    "name": lambda row: row.name,
    "kind": lambda row: row.kind,
    "shape": lambda row: "x".join(map(str, row.shape)),
    "rank": lambda row: "" if row.rank is None else row.rank,
    "relative_change": lambda row: row.relative_change,
    "energy_retained": lambda row: row.energy_retained,
    "energy_before": lambda row: row.energy_before,
    "relative_error": lambda row: row.relative_error,
    "delta_energy": lambda row: row.delta_energy,
    "capped": lambda row: str(row.capped).lower(),
    "clamp": lambda row: row.clamp,
    "stored_dtype": lambda row: row.stored_dtype,
    "solver": lambda row: row.solver,
    "read_seconds": lambda row: row.seconds.read,
    "upload_seconds": lambda row: row.seconds.upload,
    "compute_seconds": lambda row: row.seconds.compute,
    "write_seconds": lambda row: row.seconds.write,
    "noise_share": _of_noise(lambda noise: noise.noise_share),
    "noise_share_both_sides": _of_noise(lambda noise: noise.noise_share_both_sides),
    "real_energy_retained": _of_noise(lambda noise: noise.real_energy_retained),
}
"""Column -> its value; the names are `LayerResult`'s, because scripts read them."""


def layers_csv(rows: Iterable[LayerResult]) -> str:
    """The rows under a line of titles, lines ended as RFC 4180 wants; numbers with all their digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(FIELDS)
    writer.writerows([value(row) for value in FIELDS.values()] for row in rows)
    return text.getvalue()


def write_layers(path: Path, rows: Iterable[LayerResult]) -> None:
    """Write the rows into a file, replacing one that is there in one step.

    Raises:
        EngineError: ``disk_full`` or ``output_unwritable``; an older file stands as it was.
    """
    with disk_errors(path):
        write_text(path, layers_csv(rows), newline="")
