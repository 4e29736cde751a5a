"""The engine's codes in words: what happened, what to do. The only place where they are worded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.results import LeaveOutReason
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM

_ERRORS: dict[ErrorCode, tuple[str, str]] = {
    # code: what happened, what to do; filled in from the error's data
    ErrorCode.FILE_MISSING: ("{file} does not exist.", "Check the path, or whether the drive is connected."),
    ErrorCode.IS_DIRECTORY: ("{file} is a folder.", "Choose a single .safetensors file."),
    ErrorCode.FILE_UNREADABLE: ("{file} cannot be read: {reason}.", "Check the file's permissions and the drive."),
    ErrorCode.FILE_EMPTY: ("{file} is empty.", "Download or copy it again."),
    ErrorCode.FILE_TRUNCATED: (
        "{file} is cut off: it has {actual} of at least {expected} bytes.",
        "The download or copy did not finish; get the file again.",
    ),
    ErrorCode.HEADER_INVALID: (
        "The header of {file} is broken{at_tensor}: {reason}.",
        "The file is damaged or was written by a faulty program; get it again.",
    ),
    ErrorCode.UNSUPPORTED_CONTAINER: (
        "{file} is a {container} file, which is not supported yet.",
        "Convert it to .safetensors first.",
    ),
    ErrorCode.UNSUPPORTED_DTYPE: (
        "{file} stores {tensor} as {dtype}, which is not known here.",
        "Use a version of the model in fp32, fp16, bf16 or fp8.",
    ),
    ErrorCode.QUANTISED: (
        "{file} holds quantised weights: {scheme} (seen at {tensor}).",
        "Use the model's fp16, bf16 or plain fp8 version; quantised ones are not supported yet.",
    ),
    ErrorCode.SAME_FILE: (
        "{file} was chosen for both models, so there is no difference to extract.",
        "Choose the original model that the fine-tuned one was made from.",
    ),
    ErrorCode.NO_COMMON_WEIGHTS: (
        "{file} and {other} have no weight in common (for instance {example} and {other_example}).",
        "They are different kinds of model; choose the original that the fine-tuned model was made from.",
    ),
    ErrorCode.NO_USABLE_WEIGHTS: (
        "{file} and {other} have the same weights by name, but none can be used: {example}, {why}.",
        "Choose versions of the two models with the same shapes and floating-point weights.",
    ),
    ErrorCode.NOTHING_SELECTED: (
        "None of the {matched} matching weights is selected.",
        "Change the parts, the name patterns, or the biases option.",
    ),
    ErrorCode.NO_DIFFERENCE: (
        "The two models have the same values in all {layers} selected weights.",
        "Choose another fine-tuned model or another original; one of them may be a copy of the other.",
    ),
    ErrorCode.NON_FINITE: (
        "{tensor} in {file} contains NaN or infinite values{and_more}. Nothing was written.",
        "Get an undamaged file, or leave such layers out with --skip-nonfinite.",
    ),
    ErrorCode.DTYPE_OVERFLOW: (
        "{tensor} holds the value {value:.3g}, which does not fit {dtype}. Nothing was written.",
        "Choose bf16 or fp32 as the precision.",
    ),
    ErrorCode.DECOMPOSITION_FAILED: (
        "{tensor} could not be decomposed: {reason}.",
        "Try the other method, or leave this layer out; please report it.",
    ),
    ErrorCode.INPUT_CHANGED: (
        "{file} changed or vanished during the run.",
        "Wait until no other program writes to it, then start again.",
    ),
    ErrorCode.OUTPUT_UNWRITABLE: (
        "Cannot write to {file}: {reason}.",
        "Choose another output folder, or change the folder's permissions.",
    ),
    ErrorCode.OUTPUT_IS_INPUT: (
        "The output folder {file} is one of the two models.",
        "Choose a folder for the output.",
    ),
    ErrorCode.JOURNAL_INVALID: (
        "The saved layers in {file} cannot be used: {reason}.",
        "Start the extraction again; it works these layers out anew.",
    ),
    ErrorCode.DEVICE_UNAVAILABLE: ("There is no device {device} here.", "Available: {available}."),
    ErrorCode.OUT_OF_MEMORY: (
        "Not enough memory for {tensor}.",
        "Close other programs, or use svd_lowrank, which needs less.",
    ),
    ErrorCode.NOT_A_LORA: ("{file} is not a LoRA.", "Choose a file that was written by an extraction."),
    ErrorCode.SETTINGS_INVALID: ("{reason}.", "See --help for the options and their ranges."),
    ErrorCode.PROFILE_MISSING: ("There is no profile named {name}.", "Available: {available}."),
    ErrorCode.PROFILE_READ_ONLY: (
        "{name} is a shipped profile and cannot be changed.",
        "Save the settings under another name.",
    ),
    ErrorCode.PROFILE_EXISTS: ("{name} already exists.", "Choose another name."),
    ErrorCode.INTERNAL: (
        "Something went wrong that should not: {reason}.",
        "Please report it, with what the log says.",
    ),
}
_VARIANTS: dict[tuple[ErrorCode, str], tuple[str, str]] = {
    # the same code with a reason of its own
    (ErrorCode.NOT_A_MODEL, "no_header"): (
        "{file} is not a safetensors model.",
        "Choose a .safetensors file with a model's weights.",
    ),
    (ErrorCode.NOT_A_MODEL, "no_tensors"): ("{file} holds no tensors.", "Choose a file with a model's weights."),
    (ErrorCode.NOT_A_MODEL, "is_lora"): (
        "{file} is a LoRA already, not a model.",
        "Choose a full fine-tuned model and its original.",
    ),
    (ErrorCode.OUTPUT_ESCAPES, "leaves"): (
        "The file name {file} leads out of the output folder.",
        "Use a name, or a subfolder and a name; choose the place with the output folder.",
    ),
    (ErrorCode.OUTPUT_ESCAPES, "no_name"): ("The file name {file} ends in a folder.", "Add a name after it."),
    (ErrorCode.OUTPUT_ESCAPES, "bad_name"): (
        "The file name {file} cannot be a file's name on every system.",
        'Leave out < > : " | ? * and names such as CON.',
    ),
    (ErrorCode.OUTPUT_ESCAPES, "too_long"): ("The file name {file} is too long.", "Choose a shorter one."),
    (ErrorCode.PROFILE_INVALID, "corrupt"): (
        "{file} is not a hardware profile.",
        "Choose a file written by a profile export.",
    ),
    (ErrorCode.PROFILE_INVALID, "newer"): (
        "{file} was written by a newer version of LoRA Extractor.",
        "Update LoRA Extractor, or export the profile again with this version.",
    ),
    (ErrorCode.PROFILE_INVALID, "values"): (
        "{file} holds values that no profile can have.",
        "Choose a file written by a profile export.",
    ),
    (ErrorCode.PROFILE_INVALID, "name"): (
        "{name} cannot be a profile's name.",
        "Use 1 to 80 printable characters.",
    ),
    (ErrorCode.PROFILE_INVALID, "occupied"): (
        "{file} exists and is not a hardware profile, so it is not overwritten.",
        "Choose another file name.",
    ),
    (ErrorCode.LORA_MISMATCH, "foreign"): (
        "{file} does not belong to these models: no key such as {tensor} matches a weight.",
        "Choose the two models that the LoRA was extracted from.",
    ),
    (ErrorCode.LORA_MISMATCH, "non_finite"): (
        "{tensor} in {file} contains NaN or infinite values.",
        "The LoRA is broken; extract it again.",
    ),
    (ErrorCode.LORA_MISMATCH, "shape"): (
        "{tensor} in {file} has another shape than the weight it belongs to.",
        "Choose the two models that the LoRA was extracted from.",
    ),
}
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


def error_text(error: EngineError) -> tuple[str, str]:
    """What happened, and what to do about it, in one plain sentence each."""
    template = _VARIANTS.get((error.code, str(error.data.get("reason")))) or _ERRORS.get(error.code)
    if error.code is ErrorCode.DISK_FULL:
        return _disk_full(error)
    if template is None:
        template = _ERRORS[ErrorCode.INTERNAL]
    layers = error.data.get("layers")
    more = len(layers) - 1 if isinstance(layers, list) else 0
    values = {
        "reason": error.data.get("detail", error.code.value),
        **error.data,
        "file": error.file or "the file",
        "tensor": error.tensor or "a tensor",
        "at_tensor": f" at {error.tensor}" if error.tensor else "",
        "and_more": f", and {counted(more, 'more layer')}" if more else "",
    }
    if isinstance(values.get("available"), list):
        values["available"] = ", ".join(values["available"])
    if "reason_code" in error.data:
        values["why"] = reason_text(error.data["reason_code"])
    message, remedy = (text.format_map(values) for text in template)
    return message, remedy


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
        NoticeCode.JOURNAL_OFF: f"This run keeps no journal: {data.get('reason')}. If it is stopped, it begins anew.",
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


def _disk_full(error: EngineError) -> tuple[str, str]:
    remedy = "Free some space or choose another output folder."
    if "needed" in error.data:
        needed, free = format_bytes(error.data["needed"]), format_bytes(error.data["free"])
        return f"The LoRA needs up to {needed} and {error.file} has {free} free.", remedy
    return f"There is no space left to write to {error.file}. Nothing was kept of the file.", remedy
