"""The engine's codes in words: what happened, what to do. The only place where they are worded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.events import Notice, NoticeCode
from engine.results import LeaveOutReason
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM

_REASONS: dict[LeaveOutReason, str] = {
    LeaveOutReason.ONLY_FINETUNED: "only in the fine-tuned model",
    LeaveOutReason.ONLY_ORIGINAL: "only in the original model",
    LeaveOutReason.SHAPE_DIFFERS: "the shapes differ",
    LeaveOutReason.NOT_FLOAT: "not a floating-point weight",
    LeaveOutReason.EMPTY: "has no elements",
    LeaveOutReason.TOO_MANY_DIMENSIONS: "has more dimensions than a convolution",
    LeaveOutReason.EMA_COPY: "an EMA copy of another weight",
    LeaveOutReason.DUPLICATE_NAME: "a second tensor for a weight that is there already",
    LeaveOutReason.COMPONENT_NOT_CHOSEN: "belongs to a part that is not selected",
    LeaveOutReason.EXCLUDED: "not selected by name",
    LeaveOutReason.BIASES_OFF: "a bias, norm or parameter, and those are switched off",
    LeaveOutReason.UNCHANGED: "the same in both models",
    LeaveOutReason.BELOW_MIN_CHANGE: "changed less than the limit",
    LeaveOutReason.NON_FINITE: "contains NaN or infinite values",
}

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def reason_text(reason: LeaveOutReason) -> str:
    """Why a tensor is left out, as the end of a sentence."""
    return _REASONS[reason]


def notice_text(notice: Notice) -> str:
    """A remark as one or two plain sentences."""
    data = notice.data
    count = data.get("layers", 0)
    layers = counted(count, "layer") if isinstance(count, int) else ""
    texts = {
        NoticeCode.LARGE_CHANGE: f"{count} of {data.get('of', 0)} layers changed by more than half of their weight. "
        "Is this the right original model?",
        NoticeCode.NO_COMFYUI_LOADER: f"ComfyUI has no LoRA loader for this kind of model ({notice.name}); the file "
        "is written under ComfyUI's naming rules all the same.",
        NoticeCode.COMMON_ROWS_PAIRED: f"{notice.name}: the vocabulary was resized; the {data.get('common')} common "
        f"rows of {data.get('original')} are used.",
        NoticeCode.STORED_FP32: f"{notice.name} is stored in fp32: {data.get('dtype')} would lose too much of it.",
        NoticeCode.LAYERS_CAPPED: f"The rank limit of {data.get('rank')} cut {layers} short; raise the rank to keep "
        "what the rule asked for.",
        NoticeCode.CLAMP_KEPT: f"{layers} kept unclamped factors, because clamping would have cost too much.",
        NoticeCode.NON_FINITE_FOUND: f"{notice.name} contains NaN or infinite values ({data.get('detail')}). The other "
        "layers are finished, then the run will end with an error and write nothing; stop it now and skip broken "
        "layers to get a LoRA without them.",
        NoticeCode.NON_FINITE_SKIPPED: f"{notice.name} contains NaN or infinite values and is left out.",
        NoticeCode.LAYER_ON_CPU: f"{notice.name} was worked on by the CPU: the device had no room for it or lacks an "
        "operation.",
        NoticeCode.RESUMED: f"{_of_all(data)} come from the run of {format_moment(str(data.get('started', '')))} that "
        f"was stopped{_others_follow(data)}.",
        NoticeCode.FROM_CACHE: f"{_of_all(data)} come from the cache"
        f"{_others_follow(data) or '; the models are not read'}.",
        NoticeCode.JOURNAL_SET_ASIDE: f"A damaged journal was set aside: {data.get('file')}.",
        NoticeCode.JOURNAL_OFF: f"This run keeps no journal: {data.get('reason')}. What it finishes from "
        "here on is not kept if it is stopped.",
        NoticeCode.RECORD_DAMAGED: f"What was kept of {notice.name} is damaged; it is computed again.",
        NoticeCode.ENERGY_BOUNDS: f"{layers} with clamped factors came from the cache: their share of the change is "
        "a lower bound here; verify measures it.",
    }
    if notice.code is NoticeCode.ADAPTIVE_PARAM_UNUSUAL:
        best = RECOMMENDED_ADAPTIVE_PARAM[data["lora_type"]][2]
        return (
            f"{data['value']:g} is unusual for {data['lora_type']}: between {data['low']:g} and {data['high']:g} "
            f"is recommended, for instance {best:g}."
        )
    return texts[notice.code]


def format_moment(text: str) -> str:
    """``24 Nov 2026, 14:03`` in local time, from an ISO 8601 text; the text itself where it is none."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
    except ValueError:
        return text
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment.hour:02}:{moment.minute:02}"


def counted(count: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def format_bytes(count: float) -> str:
    """``310 MB``, in powers of 1000 as file managers and drives count."""
    for unit in ("bytes", "kB", "MB"):
        if count < 999.5:
            digits = 1 if unit != "bytes" and count < 10 else 0
            return f"{count:.{digits}f} {unit}"
        count /= 1000
    return f"{count:.1f} GB" if count < 999.5 else f"{count / 1000:.1f} TB"


def format_seconds(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
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
    text = f"{percent:.{digits}f}"
    return f"{'99.999' if text == '100.000' and share < 1 else text} %"


def _of_all(data: dict[str, Any]) -> str:
    layers, of = data.get("layers", 0), data.get("of", 0)
    return f"All {counted(of, 'layer')}" if layers == of else f"{layers} of {counted(of, 'layer')}"


def _others_follow(data: dict[str, Any]) -> str:
    return "" if data.get("layers") == data.get("of") else "; the others follow"
