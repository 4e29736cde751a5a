"""What the queue says about its jobs: state, settings in short, what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.storage.job_queue import Job, JobResult, Jobs, JobState, QueueStore, count
from app.storage.json_store import StoreTrouble
from app.text.estimates import capital
from app.text.headline import capital_clause, coverage_title, coverage_warning, unrelated_warning
from app.text.noise import real_clause, real_sentence, real_sentences, real_share_text
from app.text.notices import counted, format_bytes, format_seconds, format_share
from app.text.outputs import files_counted, kept_range, names_of
from app.text.programs import USUAL, Target
from app.text.translation import plural, short_number, translator
from app.work.queue_runner import QueueSummary
from engine.events import Progress

_tr = translator("queue")

DOT = " \u00b7 "


@dataclass(frozen=True)
class Outcome:
    """What stands at the right of a job: one or two lines; `wraps` where the first may take both.

    `tone` is a text colour of the theme: ``bad``, ``warning``, or empty for the usual ones.
    """

    first: str = ""
    second: str = ""
    tone: str = ""
    wraps: bool = False


def state_word(state: JobState) -> str:
    """Where a job stands, in a word."""
    words = {
        JobState.WAITING: _tr("Waiting"),
        JobState.RUNNING: _tr("Running"),
        JobState.DONE: _tr("Done"),
        JobState.FAILED: _tr("Failed"),
        JobState.STOPPED: _tr("Stopped"),
    }
    return words[state]


def settings_words(job: Job) -> str:
    """Type, rank or size, precision, and what it is for where that is not the usual, in short."""
    settings = job.extraction
    types = {
        "standard": _tr("Rank {rank}"),
        "full": _tr("Full difference"),
        "adaptive_ratio": _tr("Ratio {value}, rank up to {rank}"),
        "adaptive_quantile": _tr("Quantile {value}, rank up to {rank}"),
        "adaptive_energy": _tr("Energy {value}, rank up to {rank}"),
        "adaptive_noise": _tr("Above rounding noise, rank up to {rank}"),
        "adaptive_fro": _tr("Frobenius {value}, rank up to {rank}"),
    }
    ranks = ", ".join(dict.fromkeys(str(item.rank) for item in job.files))
    kind = types[settings.lora_type].format(rank=ranks, value=short_number(settings.adaptive_param))
    sizes = dict.fromkeys(format_bytes(item.target_size) for item in job.files if item.target_size is not None)
    if sizes:
        kind = _tr("Up to {sizes}").format(sizes=", ".join(sizes))
    programs = dict.fromkeys(map(Target.of, job.files))
    named = () if list(programs) == [USUAL] else (", ".join(target.title for target in programs),)
    return DOT.join((kind, settings.output_dtype, *(_tr("for {programs}").format(programs=text) for text in named)))


def output_words(job: Job) -> str:
    """The file that was written, or the beginning of the name that it will have."""
    if job.result is not None:
        return names_of(job.result.files)
    return f"{Path(job.extraction.filename_prefix).as_posix()}\u2026"


def outcome(job: Job, progress: Progress | None, *, stopping: bool = False) -> Outcome:
    """What came of a job so far."""
    if job.state is JobState.RUNNING:
        return _running(progress, stopping=stopping)
    if job.state is JobState.DONE and job.result is not None:
        return _written(job.result)
    if job.state is JobState.FAILED and job.failure is not None:
        return Outcome(job.failure.message, job.failure.remedy, tone="bad", wraps=True)
    if job.layers_kept is not None:
        done, total = job.layers_kept
        return Outcome(_tr("{done} of {total} layers are kept").format(done=done, total=total), _goes_on(job))
    if job.state is JobState.STOPPED:
        return Outcome(_tr("Nothing was written"), _tr("Starts from the first layer"))
    if job.interrupted:
        return Outcome(_tr("Was interrupted"), _goes_on(job))
    return _waiting(job)


def job_tooltip(job: Job) -> str:
    """Everything about a job that its row has no room for."""
    lines = [
        _tr("Fine-tuned: {path}").format(path=job.finetuned),
        _tr("Original: {path}").format(path=job.original),
        _tr("Writes to: {path}").format(path=job.output_dir),
    ]
    if job.result is not None:
        lines[2:] = [_tr("Wrote: {path}").format(path=file) for file in job.result.files]
        lines += _of_result(job.result)
    elif job.coverage is not None and not job.coverage.enough:
        lines.append(coverage_warning(job.coverage))
    lines.append(settings_words(job))
    if job.failure is not None:
        lines += [job.failure.message, job.failure.remedy]
    return "\n".join(line for line in lines if line)


def spoken(job: Job, progress: Progress | None, row: int, rows: int) -> str:
    """A job as a screen reader says it."""
    said = outcome(job, progress)
    place = _tr("job {number} of {total}").format(number=row + 1, total=rows)
    parts = (state_word(job.state), job.finetuned.name, settings_words(job), said.first, said.second, place)
    return ", ".join(part for part in parts if part)


def queue_words(jobs: Jobs) -> str:
    """The whole queue in a line beside its title."""
    if not jobs:
        return ""
    shown = (
        (_tr("{count} running"), JobState.RUNNING),
        (_tr("{count} waiting"), JobState.WAITING),
        (_tr("{count} stopped"), JobState.STOPPED),
        (_tr("{count} done"), JobState.DONE),
        (_tr("{count} failed"), JobState.FAILED),
    )
    parts = [text.format(count=count(jobs, state)) for text, state in shown if count(jobs, state)]
    return DOT.join((counted(len(jobs), "job"), *parts))


def summary_words(summary: QueueSummary) -> str:
    """What came of one run of the queue, in a line."""
    parts = [_tr("{count} done").format(count=summary.done)]
    for number, text in (
        (summary.failed, _tr("{count} failed")),
        (summary.stopped, _tr("{count} stopped")),
        (summary.waiting, _tr("{count} waiting")),
    ):
        if number:
            parts.append(text.format(count=number))
    return _tr("The queue has ended: {counts}").format(counts=", ".join(parts))


def removed_words(number: int) -> str:
    """How many jobs were just taken out."""
    return plural("queue", "Removed {count} job.", "Removed {count} jobs.", number).format(count=number)


def store_words(store: QueueStore) -> str:
    """What was wrong with the saved queue; empty where nothing was."""
    problem = store.problem
    if problem is None:
        return ""
    aside = problem.set_aside.name if problem.set_aside is not None else problem.file.name
    if problem.trouble is StoreTrouble.NEWER:
        text = _tr("{file} was written by a newer version. It is left as it is, and this queue is not saved.")
    elif problem.trouble is StoreTrouble.UNREADABLE:
        text = _tr("{file} cannot be read. It is left as it is, and this queue is not saved.")
    elif store.damaged:
        text = plural(
            "queue",
            "{count} saved job was damaged and left out; the whole list is kept as {aside}.",
            "{count} saved jobs were damaged and left out; the whole list is kept as {aside}.",
            store.damaged,
        )
    else:
        text = _tr("The saved queue was damaged. It is kept as {aside}; this one starts empty.")
    return text.format(file=problem.file.name, aside=aside, count=store.damaged)


def write_failed_words(error: OSError) -> str:
    """The queue could not be written down."""
    text = _tr("The queue could not be saved; after a restart it is as it was before this change ({reason}).")
    return text.format(reason=error.strerror or error)


def failure_details(job: Job) -> str:
    """What a report of a failure needs."""
    if job.failure is None:
        return ""
    return "\n".join(part for part in (job.failure.message, job.failure.remedy, job.failure.details) if part)


def _of_result(result: JobResult) -> list[str]:
    """The sentence on what a file keeps, and what speaks against it."""
    real = real_sentence(result.mean, result.noise, result.coverage)
    found = (
        real or capital_clause(result.mean, result.coverage),
        *(real_sentences(result.noise)[1:] if real else ()),
        unrelated_warning(result.large_changes),
        coverage_warning(result.coverage),
    )
    return [text for text in found if text]


def _written(result: JobResult) -> Outcome:
    """How good the file of a job is; what its share does not speak of comes with it."""
    size = result.size_bytes + sum(other.size_bytes for other in result.others)
    counted_files = (files_counted(len(result.files)),) if result.others else ()
    facts = DOT.join((*counted_files, format_bytes(size), format_seconds(result.seconds)))
    unrelated = unrelated_warning(result.large_changes)
    if unrelated:
        return Outcome(_tr("\u26a0 {text}").format(text=unrelated), facts, tone="bad", wraps=True)
    if not result.coverage.complete:
        sentence = capital_clause(result.mean, result.coverage)
        text = sentence if result.speaks else _tr("\u26a0 {text}").format(text=sentence)
        return Outcome(text, facts, tone="" if result.speaks else "warning", wraps=True)
    if result.others:
        shares = [result.mean, *(other.mean for other in result.others)]
        return Outcome(capital(kept_range(min(shares), max(shares))), facts)
    if real_clause(result.mean, result.noise, result.coverage):
        return Outcome(_real(result), facts)
    kept = _tr("Keeps {mean}, weakest layer {worst}")
    return Outcome(kept.format(mean=format_share(result.mean), worst=format_share(result.worst)), facts)


def _real(result: JobResult) -> str:
    """Of a file of a difference that is partly rounding: the real change kept beside the plain share."""
    real = None if result.noise is None or result.noise.all_noise else result.noise.real_energy_retained
    if real is None:
        return _tr("Keeps {mean} as stored; all of it rounding").format(mean=format_share(result.mean))
    text = _tr("Keeps {real} of the real change, {mean} as stored")
    return text.format(real=real_share_text(real), mean=format_share(result.mean))


def _waiting(job: Job) -> Outcome:
    """Nothing, or the warning that little of the models can be compared."""
    title = coverage_title(job.coverage) if job.coverage is not None else ""
    return Outcome(_tr("\u26a0 {text}").format(text=title), tone="warning", wraps=True) if title else Outcome()


def _running(progress: Progress | None, *, stopping: bool) -> Outcome:
    if stopping:
        return Outcome(_tr("Stopping\u2026"))
    if progress is None:
        return Outcome(_tr("Preparing\u2026"))
    layer = min(progress.layers_total, progress.layers_done + 1)
    parts = [_tr("Layer {layer} of {total}").format(layer=layer, total=progress.layers_total)]
    if progress.remaining is not None:
        parts.append(_tr("{time} left").format(time=format_seconds(progress.remaining)))
    return Outcome(DOT.join(parts))


def _goes_on(job: Job) -> str:
    if job.extraction.resume:
        return _tr("Goes on where it stopped")
    return _tr("Starts from the first layer")
