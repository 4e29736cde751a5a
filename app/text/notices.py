"""The engine's codes in words: cause and remedy. The only place where they are worded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from app.text.translation import decimal, marked, plural, short_number, translate, whole
from engine.events import FinishingStep, Notice, NoticeCode
from engine.results import LeaveOutReason, LeftOut
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM
from engine.steps import StepKind

CONTEXT = "messages"
_NAMES_SHOWN = 4
_NEW = re.compile(r"(\d+) new (row|output|input)s?")  # the detail of a grown part, which reports have in English

REASONS: dict[LeaveOutReason, str] = {
    LeaveOutReason.ONLY_FINETUNED: marked("messages", "only in the fine-tuned model"),
    LeaveOutReason.ONLY_ORIGINAL: marked("messages", "only in the original model"),
    LeaveOutReason.SHAPE_DIFFERS: marked("messages", "the shapes differ"),
    LeaveOutReason.NOT_FLOAT: marked("messages", "not a floating-point weight"),
    LeaveOutReason.EMPTY: marked("messages", "has no elements"),
    LeaveOutReason.TOO_MANY_DIMENSIONS: marked("messages", "has more dimensions than a convolution"),
    LeaveOutReason.EMA_COPY: marked("messages", "an EMA copy of another weight"),
    LeaveOutReason.DUPLICATE_NAME: marked("messages", "a second tensor for a weight that is there already"),
    LeaveOutReason.COMPONENT_NOT_CHOSEN: marked("messages", "belongs to a part that is not selected"),
    LeaveOutReason.EXCLUDED: marked("messages", "not selected by name"),
    LeaveOutReason.BIASES_OFF: marked("messages", "a bias, norm or parameter, and those are switched off"),
    LeaveOutReason.NOT_IN_FORMAT: marked("messages", "the chosen format has no place for it"),
    LeaveOutReason.UNCHANGED: marked("messages", "the same in both models"),
    LeaveOutReason.BELOW_MIN_CHANGE: marked("messages", "changed less than the limit"),
    LeaveOutReason.NON_FINITE: marked("messages", "contains NaN or infinite values"),
    LeaveOutReason.GROWN_PART: marked("messages", "a part that the original does not have"),
    LeaveOutReason.OTHER_MODEL: marked("messages", "belongs to another model in the same file"),
    LeaveOutReason.NOT_LOADED: marked("messages", "the program that it is for does not load it"),
    LeaveOutReason.ONLY_NOISE: marked("messages", "nothing in it stands out of rounding noise"),
}

UNCHANGED_BUT_ROUNDED = marked("messages", "the same in both models but for rounding to {form}")

NOTICES: dict[NoticeCode, str] = {
    NoticeCode.LARGE_CHANGE: marked(
        "messages",
        "These two are probably not a model and its original: {count} of {of} layers changed by more than half of "
        "their weight.",
    ),
    NoticeCode.NO_COMFYUI_LOADER: marked(
        "messages",
        "ComfyUI has no LoRA loader for this kind of model ({name}); the file is written under ComfyUI's naming "
        "rules all the same. PEFT loads such models: choose it under \u201cFor\u201d (--for peft).",
    ),
    NoticeCode.NOT_IN_FORMAT: marked(
        "messages",
        "The format of {format} has no place for {tensors}, such as {name}: they are left out, and what changed in "
        "them counts as not kept.",
    ),
    NoticeCode.NOT_LOADED: marked(
        "messages",
        "{program} does not load {tensors} of this, such as {name}: they are left out, and what changed in them counts "
        "as not kept.",
    ),
    NoticeCode.RANK_OPTION: marked(
        "messages", "{program} takes this file when it is started with {option}; without that its limit is {limit}."
    ),
    NoticeCode.DIFFUSERS_READS_BLOCKS: marked(
        "messages", "Of this file for {name}, diffusers loads only the layers in blocks."
    ),
    NoticeCode.DIFFUSERS_REFUSES: marked("messages", "diffusers may refuse this file for {name}."),
    NoticeCode.DIFFUSERS_READS_NOTHING: marked("messages", "diffusers loads nothing of this file for {name}."),
    NoticeCode.COMMON_PART_PAIRED: marked("messages", "{name}: {extents}. What both models have is compared.{remedy}"),
    NoticeCode.TAKEN_FOR_CONVOLUTIONS: marked(
        "messages",
        "{tensors}, such as {name}, may be the experts of a mixture by their shape, or convolutions; nothing says "
        "which, so they are taken for convolutions.",
    ),
    NoticeCode.EXPERTS_INTERLEAVED: marked(
        "messages",
        "{tensors}, such as {name}, keep the rows of two projections in turns, which the other model has in tensors of "
        "their own. They are left out.",
    ),
    NoticeCode.EXPERTS_SQUARE: marked(
        "messages",
        "{tensors} of experts, such as {name}, hold square matrices, and nothing says which side is the output; the "
        "rows are taken for it.",
    ),
    NoticeCode.EMBEDDINGS_TIED: marked(
        "messages",
        "{name} is stored in one of the models alone, as the other one uses its embeddings for it; it is compared with "
        "these.",
    ),
    NoticeCode.STORED_FP32: marked("messages", "{name} is stored in fp32: {dtype} would lose too much of it."),
    NoticeCode.STORED_FP16: marked("messages", "{name} is stored in fp16: {dtype} would lose too much of it."),
    NoticeCode.FP8_HALVES: marked(
        "messages",
        "A file in fp8 takes half the bytes of one in fp16: rank {double} takes what rank {rank} takes there, and "
        "keeps more.",
    ),
    NoticeCode.LAYERS_CAPPED: marked(
        "messages", "The rank limit of {rank} cut {layers} short; raise the rank to keep what the rule asked for."
    ),
    NoticeCode.ADAPTIVE_PARAM_UNUSUAL: marked(
        "messages",
        "{value} is unusual for {lora_type}: between {low} and {high} is recommended, for instance {best}.",
    ),
    NoticeCode.CLAMP_KEPT: marked(
        "messages", "{layers} kept unclamped factors, because clamping would have cost too much."
    ),
    NoticeCode.NON_FINITE_FOUND: marked(
        "messages",
        "{name} contains NaN or infinite values ({detail}). The other layers are finished, then the run will end with "
        "an error and write nothing; stop it now and skip broken layers to get a LoRA without them.",
    ),
    NoticeCode.NON_FINITE_SKIPPED: marked("messages", "{name} contains NaN or infinite values and is left out."),
    NoticeCode.LAYER_ON_CPU: marked(
        "messages", "{name} was worked on by the CPU: the device had no room for it or lacks an operation."
    ),
    NoticeCode.OVER_BUDGET: marked(
        "messages",
        "The memory budget of {budget} is too small for {layers}; {name} needs the most, {needed}. Such layers are "
        "worked on alone, above the budget; a budget of {needed} or a lower rank would do.",
    ),
    NoticeCode.READ_IN_PARTS: marked(
        "messages",
        "{layers}, {name} the largest, do not fit into the memory whole and are read part by part, which takes longer.",
    ),
    NoticeCode.RESUMED: marked(
        "messages", "{count} of {all_layers} come from the run of {moment} that was stopped; the others follow."
    ),
    NoticeCode.FROM_CACHE: marked("messages", "{count} of {all_layers} come from the cache; the others follow."),
    NoticeCode.JOURNAL_SET_ASIDE: marked("messages", "A damaged journal was set aside: {file}."),
    NoticeCode.JOURNAL_OFF: marked(
        "messages",
        "This run keeps no journal: {reason}. What it finishes from here on is not kept if it is stopped.",
    ),
    NoticeCode.RECORD_DAMAGED: marked("messages", "What was kept of {name} is damaged; it is computed again."),
    NoticeCode.ENERGY_BOUNDS: marked(
        "messages",
        "{layers} with clamped factors came from the cache: their share of the change is a lower bound here; "
        "verify measures it.",
    ),
    NoticeCode.SIZE_DOUBTFUL: marked(
        "messages",
        "The file may be too small to hold rank 1 of every layer: {layers} are read first, to see which ones changed.",
    ),
    NoticeCode.SIZE_SURVEYED: marked(
        "messages",
        "First {layers} are decomposed, then ranks are chosen for the size, and then the file is written.",
    ),
    NoticeCode.SIZE_CONTINUED: marked(
        "messages", "{layers} may get higher ranks than were computed and are decomposed again, up to rank {rank}."
    ),
    NoticeCode.RANKS_SHARED: marked(
        "messages",
        "Ranks from {lowest} to {largest} fit the size of {name}; half of the layers have {median} or fewer.",
    ),
    NoticeCode.PARTS_OPENED: marked("messages", "{name} is one of {files} files of a model; all of them are opened."),
    NoticeCode.PARTS_WITHOUT_INDEX: marked(
        "messages", "{name} is one of {files} numbered files without an index; all of them are opened as one model."
    ),
    NoticeCode.FILE_CHOSEN: marked(
        "messages", "The folder holds more than one model: {name} is opened, and not {names}."
    ),
    NoticeCode.STATE_CHOSEN: marked(
        "messages", "Of {file} the weights under {name} are used, and not those under {names}."
    ),
    NoticeCode.OTHER_DENOISERS: marked(
        "messages", "The model has more than one denoiser: {name} is used. For {names} choose that folder by itself."
    ),
    NoticeCode.COMPONENTS_ABSENT: marked(
        "messages", "{name} names parts that are not in the folder or have no weights: {names}."
    ),
    NoticeCode.EMA_USED: marked(
        "messages", "{file} holds the weights of this model only as an EMA copy ({name}): that copy is used."
    ),
    NoticeCode.SEVERAL_MODELS: marked(
        "messages",
        "{file} holds several models: {name} is used, not {others}. On the command line {file}#{other} chooses "
        "another.",
    ),
    NoticeCode.COMPARED_ROUNDED: marked(
        "messages",
        "The fine-tuned model stores {layers} of {of} in {finetuned}, the original in {original}: they are compared "
        "with the original rounded the same way.",
    ),
    NoticeCode.FINETUNED_COARSER: marked(
        "messages",
        "The fine-tuned model stores {layers} of {of} in {finetuned}, the original in {original}. They are compared as "
        "stored, so the LoRA will hold that rounding too; with \u201cRound the original\u201d it does not.",
    ),
    NoticeCode.ORIGINAL_COARSER: marked(
        "messages",
        "The original stores {layers} of {of} in {original}, the fine-tuned model in {finetuned}. They are compared as "
        "stored, so the LoRA will undo that rounding too; an original in a finer format would need none of that.",
    ),
}
SIZE_SURVEYED_TWICE = marked(
    "messages",
    "First {layers} are decomposed, then ranks are chosen for the size. As nothing can be kept in between, the layers "
    "are decomposed a second time for the file.",
)
ROUNDING = marked("messages", "Most of the difference can only be rounding.")
NOT_REPEATABLE = marked(
    "messages",
    "The fine-tuned model stores {layers} of {of} in {finetuned}, the original in {original}. That rounding cannot be "
    "repeated exactly, so the LoRA will hold it too; a fine-tuned model in a finer format would be better.",
)
ROUNDED_FINETUNED = marked(
    "messages",
    "The original stores {layers} of {of} in {original}, the fine-tuned model in {finetuned}: they are compared with "
    "the fine-tuned model rounded the same way.",
)
ABOUT_ALL_LAYERS: dict[NoticeCode, str] = {
    # the same where it is true of every layer
    NoticeCode.RESUMED: marked("messages", "All {all_layers} come from the run of {moment} that was stopped."),
    NoticeCode.FROM_CACHE: marked("messages", "All {all_layers} come from the cache; the models are not read."),
}

FINISHING: dict[StepKind, str] = {
    "eigh": marked("messages", "Finishing a step of {name}, up to {time}: eigenvectors of {rows} x {columns} values."),
    "eigvalsh": marked(
        "messages", "Finishing a step of {name}, up to {time}: eigenvalues of {rows} x {columns} values."
    ),
    "svd": marked(
        "messages", "Finishing a step of {name}, up to {time}: singular vectors of {rows} x {columns} values."
    ),
    "svdvals": marked(
        "messages", "Finishing a step of {name}, up to {time}: singular values of {rows} x {columns} values."
    ),
    "qr": marked("messages", "Finishing a step of {name}, up to {time}: a basis for {rows} x {columns} values."),
}

MONTHS = (
    marked("months", "Jan"),
    marked("months", "Feb"),
    marked("months", "Mar"),
    marked("months", "Apr"),
    marked("months", "May"),
    marked("months", "Jun"),
    marked("months", "Jul"),
    marked("months", "Aug"),
    marked("months", "Sep"),
    marked("months", "Oct"),
    marked("months", "Nov"),
    marked("months", "Dec"),
)


def reason_text(reason: LeaveOutReason) -> str:
    """Why a tensor is left out, as the end of a sentence."""
    return translate(CONTEXT, REASONS[reason])


def left_out_text(item: LeftOut) -> str:
    """The same with what there is to say about it."""
    if item.rounded_to:
        return translate(CONTEXT, UNCHANGED_BUT_ROUNDED).format(form=item.rounded_to)
    words = reason_text(item.reason)
    if item.reason is LeaveOutReason.GROWN_PART:
        return f"{words} ({_NEW.sub(lambda found: _new(found[2], int(found[1])), item.detail)})"
    return f"{words} ({item.detail})" if item.detail else words


def notice_text(notice: Notice) -> str:
    """A remark as one or two plain sentences."""
    data = notice.data
    count, of = data.get("layers", 0), data.get("of", 0)
    about_all = notice.code in ABOUT_ALL_LAYERS and count == of
    template = ABOUT_ALL_LAYERS[notice.code] if about_all else _template(notice)
    values = {**data, "name": notice.name, "count": count, "of": of}
    if isinstance(data.get("names"), list):
        values["names"] = names_text(data["names"])
    if isinstance(count, int):
        values["count"] = whole(count)
        values["layers"], values["tensors"] = counted(count, "layer"), counted(count, "tensor")
    if isinstance(of, int):
        values["all_layers"], values["of"] = counted(of, "layer"), whole(of)
    if notice.code is NoticeCode.RESUMED:
        values["moment"] = format_moment(str(data.get("started", "")))
    if notice.code is NoticeCode.OVER_BUDGET:
        values |= {name: format_bytes(data[name]) for name in ("needed", "budget")}
    if notice.code is NoticeCode.COMMON_PART_PAIRED:
        values["extents"] = "; ".join(_extents(data))
        values["remedy"] = _remedy_of_growth(data)
    if notice.code is NoticeCode.ADAPTIVE_PARAM_UNUSUAL:
        values["best"] = short_number(RECOMMENDED_ADAPTIVE_PARAM[data["lora_type"]][2])
        values |= {name: short_number(data[name]) for name in ("value", "low", "high")}
    if notice.code is NoticeCode.SEVERAL_MODELS:
        unnamed = translate(CONTEXT, "the one without a prefix")
        values["name"] = notice.name or unnamed
        values["others"] = ", ".join(name or unnamed for name in data["others"])
        values["other"] = next(filter(None, data["others"]), notice.name)
    text = translate(CONTEXT, template).format_map(values)
    return f"{translate(CONTEXT, ROUNDING)} {text}" if data.get("most") else text


def rounding_warning(notices: Sequence[Notice]) -> str:
    """That most of the difference can only be rounding, in few words; empty where it is not said."""
    return translate(CONTEXT, ROUNDING) if any(notice.data.get("most") for notice in notices) else ""


def _template(notice: Notice) -> str:
    if notice.code is NoticeCode.SIZE_SURVEYED and notice.data.get("again"):
        return SIZE_SURVEYED_TWICE
    if notice.code is NoticeCode.FINETUNED_COARSER and not notice.data.get("repeatable"):
        return NOT_REPEATABLE
    if notice.code is NoticeCode.ORIGINAL_COARSER and notice.data.get("rounded"):
        return ROUNDED_FINETUNED
    return NOTICES[notice.code]


def _remedy_of_growth(data: dict[str, Any]) -> str:
    """What can be done about the new part of a weight: a sentence, or nothing where there is none."""
    if not data["grown"] or data["enlarged"]:
        return ""
    if data["offered"]:
        text = translate("messages", "Switch on “{setting}” ({option}) to write the new part too, for {program}.")
        return " " + text.format(setting=translate("settings", "New weights"), option="--set-weight", program="ComfyUI")
    if data.get("program"):
        text = translate(
            "messages", "{program} has no way to enlarge it; the fine-tuned model itself has the new part."
        )
        return " " + text.format(program=data["program"])
    return " " + translate(
        "messages", "The chosen format has no way to enlarge it; the fine-tuned model itself has the new part."
    )


def names_text(names: Sequence[str]) -> str:
    """``a, b``, and no more of them than are read at a glance: ``a, b, c, d and 7 more``."""
    listed = ", ".join(names[:_NAMES_SHOWN])
    if len(names) <= _NAMES_SHOWN:
        return listed
    text = translate("errors", "{names} and {count} more")
    return text.format(names=listed, count=whole(len(names) - _NAMES_SHOWN))


def _extents(data: dict[str, Any]) -> Iterator[str]:
    """What either side of a weight has beyond the other, as parts of a sentence."""
    for word, count in data["grown"].items():
        yield (_written if data["enlarged"] else _not_written)(word, count).format(count=whole(count))
    for word, count in data["lacking"].items():
        yield _lacking(word, count).format(count=whole(count))


def _new(word: str, count: int) -> str:
    if word == "row":
        text = plural("messages", "{count} new row", "{count} new rows", count)
    elif word == "output":
        text = plural("messages", "{count} new output channel", "{count} new output channels", count)
    else:
        text = plural("messages", "{count} new input channel", "{count} new input channels", count)
    return text.format(count=whole(count))


def _not_written(word: str, count: int) -> str:
    if word == "rows":
        return plural("messages", "{count} new row is not in the file", "{count} new rows are not in the file", count)
    if word == "outputs":
        return plural(
            "messages",
            "{count} new output channel is not in the file",
            "{count} new output channels are not in the file",
            count,
        )
    return plural(
        "messages",
        "{count} new input channel is not in the file",
        "{count} new input channels are not in the file",
        count,
    )


def _written(word: str, count: int) -> str:
    if word == "rows":
        return plural(
            "messages",
            "{count} new row is written as it is, which enlarges the weight",
            "{count} new rows are written as they are, which enlarges the weight",
            count,
        )
    return plural(
        "messages",
        "{count} new input channel is written as it is, which enlarges the weight",
        "{count} new input channels are written as they are, which enlarges the weight",
        count,
    )


def _lacking(word: str, count: int) -> str:
    if word == "rows":
        return plural(
            "messages",
            "{count} row of the original is not in the fine-tuned model and stays as it is",
            "{count} rows of the original are not in the fine-tuned model and stay as they are",
            count,
        )
    if word == "outputs":
        return plural(
            "messages",
            "{count} output channel of the original is not in the fine-tuned model and stays as it is",
            "{count} output channels of the original are not in the fine-tuned model and stay as they are",
            count,
        )
    return plural(
        "messages",
        "{count} input channel of the original is not in the fine-tuned model and stays as it is",
        "{count} input channels of the original are not in the fine-tuned model and stay as they are",
        count,
    )


def finishing_text(event: FinishingStep) -> str:
    """What a run that was stopped still waits for, and how long at most: one sentence."""
    (rows, columns), seconds = event.size, math.ceil(event.most_seconds)
    return translate(CONTEXT, FINISHING[event.step]).format(
        name=event.name.removeprefix("diffusion_model.").removesuffix(".weight"),
        time=f"{seconds} s" if seconds < 60 else format_seconds(seconds),
        rows=whole(rows),
        columns=whole(columns),
    )


def format_moment(text: str) -> str:
    """``24 Nov 2026, 14:03`` in local time, from an ISO 8601 text; the text itself where it is none."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
    except ValueError:
        return text
    month = translate("months", MONTHS[moment.month - 1])
    time = f"{moment.hour:02}:{moment.minute:02}"
    template = translate("messages", "{day} {month} {year}, {time}")
    return template.format(day=moment.day, month=month, year=moment.year, time=time)


def counted(count: int, noun: str) -> str:
    """``1 layer``, ``2 layers``; in the person's language for the nouns below, else in English."""
    forms = {
        "layer": plural("counted", "{count} layer", "{count} layers", count),
        "more layer": plural("counted", "{count} more layer", "{count} more layers", count),
        "job": plural("counted", "{count} job", "{count} jobs", count),
        "block": plural("counted", "{count} block", "{count} blocks", count),
        "tensor": plural("counted", "{count} tensor", "{count} tensors", count),
        "weight": plural("counted", "{count} weight", "{count} weights", count),
    }
    english = f"{{count}} {noun}{'' if count == 1 else 's'}"
    return forms.get(noun, english).format(count=whole(count))


def format_bytes(count: float) -> str:
    """``310 MB``, in powers of 1000 as file managers and drives count."""
    if count < 999.5:
        number = round(count)
        return plural("messages", "{count} byte", "{count} bytes", number).format(count=number)
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 999.5:
            return f"{decimal(count, 1 if count < 10 else 0)} {unit}"
    count /= 1000
    return f"{decimal(count, 1)} GB" if count < 999.5 else f"{decimal(count / 1000, 1)} TB"


def format_seconds(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{decimal(seconds, 1)} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def format_share(share: float) -> str:
    """``93.8 %``; more digits near 100, so that a small loss is not rounded away."""
    percent = 100 * share
    digits = 1 if percent < 99.9 else 3
    if share < 1:
        percent = min(percent, 99.999)
    return f"{decimal(percent, digits)} %"
