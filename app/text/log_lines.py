"""What a run says in the log: one plain line per event, with its level."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from app.text.headline import absent_sentences, coverage_warning, kept_sentence, rounding_text
from app.text.memory import batch_size_text, blocks_kept_text, offloaded_text, out_of_memory_text
from app.text.notices import (
    counted,
    finishing_text,
    format_bytes,
    format_seconds,
    format_share,
    left_out_text,
    notice_text,
    reason_text,
)
from app.text.outputs import and_more
from app.text.translation import translator
from app.text.window_text import window_error_text
from engine.errors import EngineError
from engine.events import (
    BatchDone,
    BatchSizeChanged,
    BlocksResident,
    Event,
    Finished,
    FinishingStep,
    LayerDone,
    LayerSkipped,
    Notice,
    NoticeCode,
    Offloaded,
    OutOfMemory,
    Planned,
)
from engine.results import ExtractionResult

_tr = translator("RunLog")


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
    NoticeCode.NOT_IN_FORMAT,
    NoticeCode.NOT_LOADED,
    NoticeCode.DIFFUSERS_READS_BLOCKS,
    NoticeCode.DIFFUSERS_REFUSES,
    NoticeCode.DIFFUSERS_READS_NOTHING,
    NoticeCode.LAYERS_CAPPED,
    NoticeCode.NON_FINITE_FOUND,
    NoticeCode.NON_FINITE_SKIPPED,
    NoticeCode.JOURNAL_SET_ASIDE,
    NoticeCode.JOURNAL_OFF,
    NoticeCode.OVER_BUDGET,
    NoticeCode.FINETUNED_COARSER,
    NoticeCode.ORIGINAL_COARSER,
)


def event_lines(event: Event) -> Iterator[Line]:
    """The lines for an event; most events have none or one."""
    if isinstance(event, Planned):
        text = _tr("Extracting {layers} on {device}; {left_out} left out; writing {name}")
        yield (
            Level.INFO,
            text.format(
                layers=counted(event.layers, "layer"),
                device=event.device_title,
                left_out=len(event.left_out),
                name=and_more(event.output_name, max(0, len(event.output_names) - 1)),
            ),
        )
        warning = coverage_warning(event.coverage)
        if warning:
            yield Level.WARNING, warning
        yield from ((Level.INFO, sentence) for sentence in absent_sentences(event.coverage))
    elif isinstance(event, Notice):
        yield (Level.WARNING if event.code in WARNINGS else Level.INFO), notice_text(event)
    elif isinstance(event, LayerDone):
        row = event.row
        rank = _tr("whole") if row.rank is None else _tr("rank {rank}").format(rank=row.rank)
        text = _tr("{name}: {rank}, {kept} kept, {time}")
        time = format_seconds(row.seconds.total)
        yield Level.DEBUG, text.format(name=row.name, rank=rank, kept=format_share(row.energy_retained), time=time)
    elif isinstance(event, LayerSkipped):
        reason = left_out_text(event.left_out) if event.left_out.rounded_to else reason_text(event.left_out.reason)
        yield Level.INFO, _tr("{name} is left out: {reason}").format(name=event.left_out.name, reason=reason)
    elif isinstance(event, BatchDone) and (event.wall_seconds or event.seconds.total) > 60:
        text = _tr("Batch {number} took {time}")
        time = format_seconds(event.wall_seconds or event.seconds.total)
        yield Level.INFO, text.format(number=event.index + 1, time=time)
    elif isinstance(event, FinishingStep):
        yield Level.INFO, finishing_text(event)
    elif isinstance(event, Finished):
        yield from result_lines(event.result)
    else:
        yield from memory_lines(event)


def memory_lines(event: Event) -> Iterator[Line]:
    """What was done for want of memory, and what stays on the device."""
    if isinstance(event, Offloaded):
        yield Level.INFO, offloaded_text(event)
    elif isinstance(event, BatchSizeChanged):
        yield Level.INFO, batch_size_text(event)
    elif isinstance(event, OutOfMemory):
        yield (Level.WARNING if event.step == "cpu" else Level.INFO), out_of_memory_text(event)
    elif isinstance(event, BlocksResident) and event.kept:
        yield Level.INFO, blocks_kept_text(event)


def result_lines(result: ExtractionResult) -> Iterator[Line]:
    """What was written, and how good it is."""
    for output in result.outputs:
        yield Level.INFO, _tr("Wrote {path} ({size})").format(path=output.path, size=format_bytes(output.size_bytes))
        text = _tr("It {kept}; {time}")
        kept = kept_sentence(output.mean_energy_retained, output.worst_energy_retained, output.coverage)
        level = Level.INFO if output.coverage.enough else Level.WARNING
        yield level, text.format(kept=kept, time=format_seconds(result.seconds))
        rounding = rounding_text(output.noise)
        if rounding:
            yield Level.WARNING if output.noise and output.noise.all_noise else Level.INFO, rounding
    if result.layers_reused:
        text = _tr("{kept} of {layers} came from earlier runs")
        yield Level.INFO, text.format(kept=result.layers_reused, layers=counted(result.layers_looked_at, "layer"))
    if result.capped:
        text = _tr("{layers} asked for more than the highest rank allowed")
        yield Level.WARNING, text.format(layers=counted(result.capped, "layer"))


def error_lines(error: EngineError) -> Iterator[Line]:
    """What went wrong and what to do."""
    message, remedy = window_error_text(error)
    yield Level.ERROR, f"{message} {remedy}".strip()
