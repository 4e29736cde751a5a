"""What the commands do: run the engine, print text for people on stderr, return what ``--json`` prints."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from app.cli.options import files_from, hardware_from
from app.cli.profiles import profile_name
from app.cli.progress import Console, RunDisplay
from app.storage.decompositions import open_store
from app.storage.profiles import ProfileStore
from app.storage.speeds import SpeedStore, method_of
from app.text.errors import error_text
from app.text.estimates import memory_sentence
from app.text.headline import (
    absent_sentences,
    compared_title,
    coverage_warning,
    kept_clause,
    kept_sentence,
    uncompared_sentences,
    unrelated_warning,
)
from app.text.knee import beyond_sentence, knee_line
from app.text.left_out import left_out_lines
from app.text.models import components_text, container_text, family_text, layout_text, link_text
from app.text.noise import assumption, real_change_text, real_clause
from app.text.notices import counted, format_bytes, format_seconds, format_share, notice_text
from app.text.pair import looked_at, order_consequence, order_lines, order_text, sample_text
from app.text.verification import plain_text, strength_text
from engine.analysis.exploration import Exploration
from engine.analysis.knee import Knee, find_knee
from engine.analysis.pair_verdict import PairSample, PairVerdict
from engine.cancel import CancelToken
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.events import Finished, VerifyProgress
from engine.formats.programs import program_titles
from engine.planning.estimates import seconds_for, workload
from engine.planning.inspection import ModelSummary, inspect_lora
from engine.planning.output import Output
from engine.planning.pair_order import PairOrder
from engine.planning.plan import Plan
from engine.results import (
    Coverage,
    ExtractionResult,
    LeftOut,
    Verification,
    VerifiedLayer,
    noise_document,
)
from engine.session import Session, inspect_model
from engine.settings import ExtractionSettings


def extract(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    """``lora-extractor extract``."""
    profile = ProfileStore()
    hardware = hardware_from(parsed, profile.get(profile_name(profile, parsed.profile)) if parsed.profile else None)
    files = files_from(parsed)
    console = Console()
    with Session(parsed.finetuned, parsed.original, open_store()) as session:
        plan = session.plan(files[0], hardware, parsed.output_dir, files[1:])
        order, sample = look_at_pair(session, files[0], cancel, console)
        result = run_extraction(session, plan, cancel, console)
    return extraction_object(plan, result, order, sample)


def export(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    """``lora-extractor export``: from the cache alone; the two models need not be there."""
    hardware = hardware_from(parsed, None)
    files = [settings.model_copy(update={"resume": True}) for settings in files_from(parsed)]
    console = Console()
    with Session.from_cache(open_store(), parsed.pair) as session:
        plan = session.plan(files[0], hardware, parsed.output_dir, files[1:])
        kept = session.kept(plan)
        if kept.layers < kept.of:
            missing = kept.of - kept.layers
            raise EngineError(ErrorCode.NOT_CACHED, missing=missing, of=kept.of, reason="layers")
        result = run_extraction(session, plan, cancel, console)
    return extraction_object(plan, result)


def look_at_pair(
    session: Session, settings: ExtractionSettings, cancel: CancelToken, console: Console
) -> tuple[PairOrder, PairSample | None]:
    """Whether the two are a model and its original, from a sample, and whether they are the right way round.

    Prints what it finds. What cannot be read is the run's to say: then there is no sample.
    """
    if session.order.swapped:
        lines = (order_text(session.order), *order_lines(session.order)[1:], order_consequence())
        console.warning(" ".join(lines))
    try:
        sample = session.sample(settings, cancel)
    except EngineError as error:
        console.line(f"No sample of the two models: {error_text(error)[0]}")
        return session.order, None
    if sample is None:
        return session.order, None
    if sample.verdict is PairVerdict.UNRELATED:
        console.alarm(sample_text(sample))
    elif sample.verdict is not PairVerdict.RELATED:
        console.warning(sample_text(sample))
    else:
        console.line(sample_text(sample))
    console.line(looked_at(sample))
    return session.order, sample


def run_extraction(session: Session, plan: Plan, cancel: CancelToken, console: Console) -> ExtractionResult:
    """Run on a terminal, showing progress."""
    _print_left_out(console, plan)
    speeds = SpeedStore()
    result: ExtractionResult | None = None
    try:
        expected = partial(_expected, speeds, session, plan)
        with RunDisplay(console, expected) as display, closing(session.extract(plan, cancel)) as events:
            for event in events:
                display.show(event)
                if isinstance(event, Finished):
                    result = event.result
    except Cancelled as stopped:
        if not (session.keeps_layers and display.kept):
            raise
        done = f"{display.kept} of {counted(len(plan.layers), 'layer')} are kept; the same command goes on from there."
        raise Cancelled(done) from stopped
    assert result is not None, "a run ends with Finished or an exception"
    with suppress(OSError):
        speeds.learn(display.device_title, plan, result)
    _print_result(console, plan, result)
    return result


def _expected(speeds: SpeedStore, session: Session, plan: Plan, device_title: str) -> float | None:
    """The seconds that a run takes by what earlier runs on the device taught; None where there were none like it."""
    speed = speeds.find(device_title, method_of(plan.widest))
    return None if speed is None else seconds_for(workload(plan, session.kept(plan)), speed)


def extraction_object(
    plan: Plan, result: ExtractionResult, order: PairOrder | None = None, sample: PairSample | None = None
) -> dict[str, Any]:
    """The JSON of a finished extraction; order and sample of the pair are null where the models were not at hand."""
    knee = _knee(plan, result)
    outputs = [
        {
            "path": str(output.path.resolve()),
            "report": str(output.report.resolve()),
            "rank": output.rank,
            "key_format": output.key_format,
            "program": output.program or None,
            "strength": output.strength,
            "layers": len(output.rows),
            "size_bytes": output.size_bytes,
            **({"ranks": asdict(output.ranks)} if output.ranks else {}),
            "mean_energy_retained": output.mean_energy_retained,
            "worst_energy_retained": output.worst_energy_retained,
            **noise_document(output.noise, "mean_"),
            "coverage": output.coverage.share,
        }
        for output in result.outputs
    ]
    first = outputs[0]
    return {
        "output": first["path"],
        "report": first["report"],
        "outputs": outputs,
        "seconds": result.seconds,
        "layers": result.layers,
        "skipped": result.skipped,
        "mean_energy_retained": first["mean_energy_retained"],
        "worst_energy_retained": first["worst_energy_retained"],
        **noise_document(result.outputs[0].noise, "mean_"),
        "size_bytes": first["size_bytes"],
        "peak_device_bytes": result.peak_device_bytes,
        "peak_rss_bytes": result.peak_rss_bytes,
        "promised_device_bytes": result.promised_device_bytes or None,
        "layers_planned": result.layers_looked_at,
        "layers_kept": result.layers_reused,
        "read_bytes": result.read_bytes,
        "copied_bytes": result.copied_bytes,
        "waited_share": result.waited_share,
        "large_changes": asdict(result.large_changes),
        "advice": knee and knee.document(),
        "order": order and order.document(),
        "sample": sample and sample.document(),
        **result.coverage.document(),
    }


def inspect(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    """``lora-extractor inspect``."""
    console = Console()
    if parsed.original is None:
        if parsed.deep:
            raise EngineError(ErrorCode.SETTINGS_INVALID, reason="--deep compares two models, and only one is given")
        try:
            summary = inspect_model(parsed.model)
        except EngineError as error:
            if error.data.get("reason") != "is_lora":
                raise
            return _inspect_lora(parsed.model, console)
        console.line(_model_words(summary))
        console.line(loaded_by(summary.programs))
        return _model_object(summary)
    settings = ExtractionSettings()
    with Session(parsed.model, parsed.original) as session:
        pair = session.summary(settings)
        for side, path in (("Fine-tuned", parsed.model), ("Original", parsed.original)):
            console.line(f"{side}: {_model_words(inspect_model(path))}")
        console.line(f"{counted(pair.matched, 'weight')} in common, {len(pair.left_out)} left out.")
        for line in left_out_lines(pair.left_out):
            console.line(f"  {line}")
        console.line(loaded_by(pair.programs))
        _print_coverage(console, pair.coverage)
        order, sample = look_at_pair(session, settings, cancel, console)
        answer: dict[str, Any] = {
            "matched": pair.matched,
            "left_out": [{"name": item.name, "reason": item.reason.value} | _detail(item) for item in pair.left_out],
            "family": pair.family,
            "family_title": pair.family_title,
            "components": pair.components,
            "blocks": pair.blocks,
            "programs": list(pair.programs),
            "compared": pair.coverage.document(),
            "order": order.document(),
            "sample": sample and sample.document(),
        }
        if parsed.deep:
            answer |= _deep(session, settings, cancel, console)
    return answer


def _inspect_lora(path: Path, console: Console) -> dict[str, Any]:
    lora = inspect_lora(path)
    ranks = [str(rank) for rank, _ in lora.ranks]
    rank = "rank " + (ranks[0] if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}")
    facts = [
        f"a LoRA in the format of {lora.format_title}",
        f"for {program_titles()[lora.program]}" if lora.program in program_titles() else "",
        f"{counted(lora.layers, 'layer')} of {rank}",
        f"{counted(lora.other, 'further tensor')}" if lora.other else "",
        ", ".join(name.lower() for name, _ in lora.dtypes[:3]),
        format_bytes(lora.size_bytes),
        f"of {lora.base}" if lora.base else "",
    ]
    console.line(f"{path.name}: " + " \u00b7 ".join(fact for fact in facts if fact))
    changes = {"path": str(path), "lora": True, "ranks": dict(lora.ranks), "dtypes": dict(lora.dtypes)}
    return asdict(lora) | changes | {"program": lora.program or None}


def _deep(
    session: Session, settings: ExtractionSettings, cancel: CancelToken, console: Console
) -> dict[str, list[str]]:
    found: dict[bool, list[str]] = {True: [], False: []}
    weights = session.weights(settings)
    with console.counting("comparing", len(weights)) as step:
        for weight, differs in session.compare(weights, cancel):
            found[differs].append(weight.name)
            step(weight.name)
    console.line(f"{counted(len(found[True]), 'weight')} changed, {len(found[False])} identical.")
    return {"differing": found[True], "identical": found[False]}


_FOREIGN_NAMES = "Its names are another tool's."


def verify(parsed: argparse.Namespace, cancel: CancelToken) -> dict[str, Any]:
    """``lora-extractor verify``."""
    console = Console()
    answer: Verification | None = None
    with Session(parsed.finetuned, parsed.original) as session, console.counting("verifying", None) as step:
        for event in session.verify(parsed.lora, cancel):
            if isinstance(event, VerifyProgress):
                step(event.name, event.total)
            else:
                answer = event
    assert answer is not None, "a verification ends with its judgement or an exception"
    _print_coverage(console, answer.coverage)
    kept = kept_sentence(answer.mean_energy_retained, answer.worst_energy_retained, answer.coverage)
    console.line(f"{counted(len(answer.layers), 'layer')}. The LoRA {kept}.")
    console.line(real_change_text(answer.noise))
    plain = plain_text(answer)
    if plain:
        console.line(plain)
    strength = strength_text(answer)
    if strength:
        console.line(strength)
    made_for = program_titles().get(answer.program)
    made = f", for {made_for}" if made_for else ""
    console.line(f"Its format is {answer.format_title}'s{made}." if answer.format_title else _FOREIGN_NAMES)
    if answer.left_out:
        console.line(f"{len(answer.left_out)} changed weights are not in the LoRA and count as nothing kept.")
    if answer.unknown_keys:
        console.line(f"{len(answer.unknown_keys)} keys belong to no weight, such as {answer.unknown_keys[0]}.")
    return {
        "layers": [_layer_object(layer) for layer in answer.layers],
        "left_out": [item.name for item in answer.left_out],
        "unknown_keys": list(answer.unknown_keys),
        "mean_energy_retained": answer.mean_energy_retained,
        "worst_energy_retained": answer.worst_energy_retained,
        **noise_document(answer.noise, "mean_"),
        "key_format": answer.key_format,
        "program": answer.program or None,
        **answer.coverage.document(),
        "round_original": answer.round_original,
        "plain_mean_energy_retained": answer.plain_mean_energy_retained,
        "plain_worst_energy_retained": answer.plain_worst_energy_retained,
        "strength": answer.strength,
    }


def _layer_object(layer: VerifiedLayer) -> dict[str, Any]:
    values = asdict(layer)
    del values["noise"]
    return values | noise_document(layer.noise)


def _model_object(summary: ModelSummary) -> dict[str, Any]:
    return asdict(summary) | {
        "path": str(summary.path),
        "dtypes": dict(summary.dtypes),
        "encodings": dict(summary.encodings),
        "name": summary.name,
        "link": None if summary.link is None else str(summary.link),
        "layouts": list(summary.layouts),
        "programs": list(summary.programs),
        "notices": [{"code": notice.code.value, "text": notice_text(notice)} for notice in summary.notices],
    }


def _model_words(summary: ModelSummary) -> str:
    dtypes = ", ".join(name.lower() for name, _ in summary.dtypes[:3])
    quantised = f"quantised, cannot be read: {summary.quantisation}" if summary.quantisation else ""
    encoded = [f"{count} in {title}" for title, count in summary.encodings]
    facts = [
        family_text(summary),
        layout_text(summary),
        components_text(summary),
        f"{summary.tensors} tensors",
        container_text(summary),
        dtypes,
        format_bytes(summary.size_bytes),
        *encoded,
        quantised,
        link_text(summary),
    ]
    words = " \u00b7 ".join(fact for fact in facts if fact)
    return "\n".join((f"{summary.name}: {words}", *map(notice_text, summary.notices)))


def loaded_by(programs: Sequence[str]) -> str:
    """Which programs load a LoRA of a model: what ``--for`` takes."""
    titles = program_titles()
    if not programs:
        return "No program that is known here loads a LoRA of it."
    return f"A LoRA of it can be for {', '.join(titles[key] for key in programs)} (--for)."


def _detail(item: LeftOut) -> dict[str, str]:
    return {"detail": item.detail} if item.detail else {}


def _print_left_out(console: Console, plan: Plan) -> None:
    """Before the start: what will not be in the files, and a warning where that is so much that it should be known."""
    for output in plan.outputs:
        if output.left_out:
            target = f" of the file for {file_target(output)}" if len(plan.outputs) > 1 else ""
            console.line(f"Left out{target}: {counted(len(output.left_out), 'tensor')}.")
        for line in left_out_lines(output.left_out):
            console.line(f"  {line}")
    whole = plan.could_write_whole
    if whole:
        console.line(f"--set-weight would write {counted(whole, 'weight')} of the fine-tuned model alone, whole.")
    _warn_of_coverage(console, plan.coverage)


def _print_coverage(console: Console, coverage: Coverage) -> None:
    """What cannot be compared, and a warning where that is so much that a share says little."""
    if not coverage_warning(coverage):
        for sentence in uncompared_sentences(coverage):
            console.line(sentence)
    _warn_of_coverage(console, coverage)


def _warn_of_coverage(console: Console, coverage: Coverage) -> None:
    for sentence in absent_sentences(coverage):
        console.line(sentence)
    warning = coverage_warning(coverage)
    if warning:
        console.warning(warning)


def file_target(output: Output) -> str:
    """Whom a file is for: a program, or those of its format."""
    return output.format.title if output.program is None else output.program.title


def _knee(plan: Plan, result: ExtractionResult) -> Knee | None:
    """The rank of the first file after which more ranks add little; None where there is none, or shares say nothing."""
    noise = result.outputs[0].noise
    all_noise = noise is not None and noise.all_noise
    if all_noise or not result.coverage.enough or result.large_changes.unrelated:
        return None
    return find_knee(Exploration.of_result(plan.settings, result))


def _print_result(console: Console, plan: Plan, result: ExtractionResult) -> None:
    output = result.outputs[0]
    planned = {item.name for item in plan.left_out}
    found = [item for item in result.left_out if item.name not in planned]
    if found:
        console.line(f"{counted(len(found), 'more tensor')} left out:")
    for line in left_out_lines(found):
        console.line(f"  {line}")
    several = len(result.outputs) > 1
    if several:
        files = f"{len(result.outputs)} files ({format_bytes(sum(file.size_bytes for file in result.outputs))})"
        console.line(f"Wrote {files} in {format_seconds(result.seconds)}:")
    else:
        console.line(f"Wrote {output.path} ({format_bytes(output.size_bytes)}) in {format_seconds(result.seconds)}.")
    for written in result.outputs if several else ():
        mean, worst = written.mean_energy_retained, written.worst_energy_retained
        clause = real_clause(mean, written.noise, written.coverage) or kept_clause(mean, written.coverage)
        size, layers = format_bytes(written.size_bytes), counted(len(written.rows), "layer")
        console.line(f"  {written.path}: {size}, {clause}, the weakest of {layers} {format_share(worst)}.")
    if several and real_clause(output.mean_energy_retained, output.noise, output.coverage):
        console.line(f"  {assumption()}")
    memory = memory_sentence(result)
    if memory:
        console.line(f"{memory}.")
    if result.layers_reused:
        console.line(f"{result.layers_reused} of {counted(result.layers_looked_at, 'layer')} came from earlier runs.")
    if output.noise is not None and output.noise.all_noise:
        console.warning(real_change_text(output.noise))
    elif not several:
        console.line(real_change_text(output.noise))
    unrelated, compared = unrelated_warning(result.large_changes), compared_title(output.coverage)
    if unrelated:
        console.alarm(unrelated)
    if compared:
        console.warning(compared)
    if output.strength != 1.0:
        console.line(f"Written at strength {output.strength:g}; shares are those of the change itself.")
    if several:
        return
    clause, worst_share = (
        kept_clause(output.mean_energy_retained, output.coverage),
        format_share(output.worst_energy_retained),
    )
    layers, left_out = counted(result.layers, "layer"), f"{counted(result.skipped, 'tensor')} left out."
    if output.coverage.complete:
        console.line(f"It {clause} in {layers}, {worst_share} in the weakest; {left_out}")
    else:
        console.line(f"It {clause}. The weakest of {layers} keeps {worst_share}; {left_out}")
    rounded = sum(bool(item.rounded_to) for item in result.left_out)
    if rounded:
        differ = "differs" if rounded == 1 else "differ"
        console.line(f"{counted(rounded, 'tensor')} of those {differ} by rounding alone, which is no change.")
    knee = _knee(plan, result)
    advice = knee_line(knee)
    if advice is not None:
        console.line(" ".join(part for part in (advice.text, beyond_sentence(knee)) if part))
