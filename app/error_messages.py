"""What went wrong in words: what happened, and what to do about it. The only place where errors are worded."""

from __future__ import annotations

from app.messages import counted, format_bytes, reason_text
from engine.errors import EngineError, ErrorCode

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
    (ErrorCode.NOT_CACHED, "no_pair"): (
        "No pair of models in the cache begins with {name}.",
        "There are: {available}.",
    ),
    (ErrorCode.NOT_CACHED, "several"): ("More than one pair begins with {name}.", "Give more of it: {available}."),
    (ErrorCode.NOT_CACHED, "layers"): (
        "{missing} of {of} layers are not in the cache at these settings.",
        "Ask for a rank at or below the one that was computed, or extract from the two models.",
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


def _disk_full(error: EngineError) -> tuple[str, str]:
    remedy = "Free some space or choose another output folder."
    if "needed" in error.data:
        needed, free = format_bytes(error.data["needed"]), format_bytes(error.data["free"])
        return f"The LoRA needs up to {needed} and {error.file} has {free} free.", remedy
    return f"There is no space left to write to {error.file}. Nothing was kept of the file.", remedy
