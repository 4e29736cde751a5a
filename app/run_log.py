"""What a run says in the log: one plain line per piece of news, with its level."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from PySide6.QtCore import QCoreApplication

from app.messages import format_bytes, format_seconds, format_share, notice_text, reason_text
from app.wording import window_error_text
from engine.errors import EngineError
from engine.events import BatchDone, Event, Finished, LayerDone, LayerSkipped, Notice, NoticeCode, Planned
from engine.results import ExtractionResult


class Level(str, Enum):
    """How much a line matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Line = tuple[Level, str]

WARNINGS = (
    NoticeCode.LARGE_CHANGE,
    NoticeCode.ADAPTIVE_PARAM_UNUSUAL,
    NoticeCode.NO_COMFYUI_LOADER,
    NoticeCode.LAYERS_CAPPED,
    NoticeCode.NON_FINITE_FOUND,
    NoticeCode.NON_FINITE_SKIPPED,
)


def _tr(text: str) -> str:
    return QCoreApplication.translate("RunLog", text)


def event_lines(event: Event) -> Iterator[Line]:
    """The lines for an event; most events have none or one."""
    if isinstance(event, Planned):
        text = _tr("Extracting {layers} layers on {device}; {left_out} left out; writing {name}")
        yield (
            Level.INFO,
            text.format(
                layers=event.layers, device=event.device_title, left_out=len(event.left_out), name=event.output_name
            ),
        )
    elif isinstance(event, Notice):
        yield (Level.WARNING if event.code in WARNINGS else Level.INFO), notice_text(event)
    elif isinstance(event, LayerDone):
        row = event.row
        rank = _tr("whole") if row.rank is None else _tr("rank {rank}").format(rank=row.rank)
        text = _tr("{name}: {rank}, {kept} kept, {time}")
        time = format_seconds(row.seconds.total)
        yield Level.DEBUG, text.format(name=row.name, rank=rank, kept=format_share(row.energy_retained), time=time)
    elif isinstance(event, LayerSkipped):
        reason = reason_text(event.left_out.reason)
        yield Level.INFO, _tr("{name} is left out: {reason}").format(name=event.left_out.name, reason=reason)
    elif isinstance(event, BatchDone) and event.seconds.total > 60:
        text = _tr("Batch {number} took {time}")
        yield Level.INFO, text.format(number=event.index + 1, time=format_seconds(event.seconds.total))
    elif isinstance(event, Finished):
        yield from result_lines(event.result)


def result_lines(result: ExtractionResult) -> Iterator[Line]:
    """What was written, and how good it is."""
    for output in result.outputs:
        yield Level.INFO, _tr("Wrote {path} ({size})").format(path=output.path, size=format_bytes(output.size_bytes))
        text = _tr("Keeps {mean} of the change, {worst} in the weakest layer; {time}")
        yield (
            Level.INFO,
            text.format(
                mean=format_share(output.mean_energy_retained),
                worst=format_share(output.worst_energy_retained),
                time=format_seconds(result.seconds),
            ),
        )
    if result.capped:
        text = _tr("{count} layers asked for more than the highest rank allowed")
        yield Level.WARNING, text.format(count=result.capped)


def error_lines(error: EngineError) -> Iterator[Line]:
    """What went wrong and what to do."""
    message, remedy = window_error_text(error)
    yield Level.ERROR, f"{message} {remedy}".strip()
