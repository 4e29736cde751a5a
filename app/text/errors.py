"""Every error in words: the cause and the remedy."""

from __future__ import annotations

import math
from collections.abc import Callable

from app.text.error_variants import VARIANTS
from app.text.notices import counted, format_bytes, names_text, reason_text
from app.text.translation import decimal, marked, plural, translate, whole
from engine.errors import EngineError, ErrorCode

ERRORS: dict[ErrorCode, tuple[str, str]] = {
    # code: cause, remedy; filled in from the error's data
    ErrorCode.FILE_MISSING: (
        marked("errors", "{file} does not exist."),
        marked("errors", "Check the path, or whether the drive is connected."),
    ),
    ErrorCode.IS_DIRECTORY: (
        marked("errors", "{file} is a folder."),
        marked("errors", "Choose a file."),
    ),
    ErrorCode.FILE_UNREADABLE: (
        marked("errors", "{file} cannot be read: {reason}."),
        marked("errors", "Check the file's permissions and the drive."),
    ),
    ErrorCode.FILE_EMPTY: (
        marked("errors", "{file} is empty."),
        marked("errors", "Download or copy it again."),
    ),
    ErrorCode.FILE_TRUNCATED: (
        marked("errors", "{file} is cut off: it has {actual} of at least {expected}."),
        marked("errors", "The download or copy did not finish; get the file again."),
    ),
    ErrorCode.HEADER_INVALID: (
        marked("errors", "The header of {file} is broken: {reason}."),
        marked("errors", "The file is damaged or was written by a faulty program; get it again."),
    ),
    ErrorCode.UNSUPPORTED_CONTAINER: (
        marked("errors", "{file} is a {container} file, which is not supported yet."),
        marked("errors", "Convert it to .safetensors first."),
    ),
    ErrorCode.UNSUPPORTED_DTYPE: (
        marked("errors", "{file} stores {tensor} as {dtype}, which is not known here."),
        marked("errors", "Use a version of the model in fp32, fp16, bf16 or fp8."),
    ),
    ErrorCode.QUANTISED: (
        marked("errors", "{file} holds quantised weights: {scheme} (seen at {tensor})."),
        marked(
            "errors",
            "Use the version it was made from (fp16, bf16), or one in fp8, int8, nvfp4, nf4 or GGUF.",
        ),
    ),
    ErrorCode.SAME_FILE: (
        marked("errors", "{file} was chosen for both models, so there is no difference to extract."),
        marked("errors", "Choose the original model that the fine-tuned one was made from."),
    ),
    ErrorCode.NO_COMMON_WEIGHTS: (
        marked("errors", "{file} and {other} have no weight in common (for instance {example} and {other_example})."),
        marked(
            "errors", "They are different kinds of model; choose the original that the fine-tuned model was made from."
        ),
    ),
    ErrorCode.NO_USABLE_WEIGHTS: (
        marked("errors", "{file} and {other} have the same weights by name, but none can be used: {example}, {why}."),
        marked("errors", "Choose versions of the two models with the same shapes and floating-point weights."),
    ),
    ErrorCode.PART_UNKNOWN: (
        marked("errors", "{file} holds no model {name}."),
        marked("errors", "Choose one of: {available}. Without a choice the first is used."),
    ),
    ErrorCode.NOTHING_SELECTED: (
        marked("errors", "None of the {matched} matching weights is selected."),
        marked("errors", "Change the parts, the name patterns, or the biases option."),
    ),
    ErrorCode.FORMAT_UNKNOWN: (
        marked("errors", "This version of LoRA Extractor knows no format {name}."),
        marked("errors", "Choose one of: {available}."),
    ),
    ErrorCode.FORMAT_UNSUITABLE: (
        marked("errors", "The format of {format} cannot be written for these models ({family})."),
        marked("errors", "Choose another format: {available}."),
    ),
    ErrorCode.SIZE_TOO_SMALL: (
        marked("errors", "{name} cannot be as small as {size}: with rank 1 in every layer it takes {least}."),
        marked("errors", "Choose a size of {least} or more, or fewer parts or layers."),
    ),
    ErrorCode.SIZE_UNSUITABLE: (
        marked("errors", "Ranks are chosen either for a size or by the type {lora_type}, not by both."),
        marked("errors", "Choose the type standard, or no size."),
    ),
    ErrorCode.PROGRAM_UNKNOWN: (
        marked("errors", "This version of LoRA Extractor knows no program {name}."),
        marked("errors", "Choose one of: {available}."),
    ),
    ErrorCode.PROGRAM_UNSUITABLE: (
        marked("errors", "{program} loads no LoRA for such models ({family})."),
        marked("errors", "Choose another program: {available}."),
    ),
    ErrorCode.NO_DIFFERENCE: (
        marked("errors", "The two models have the same values in all {layers} selected weights."),
        marked(
            "errors", "Choose another fine-tuned model or another original; one of them may be a copy of the other."
        ),
    ),
    ErrorCode.NON_FINITE: (
        marked("errors", "{tensor} in {file} contains NaN or infinite values. Nothing was written."),
        marked("errors", "Get an undamaged file, or leave such layers out with --skip-nonfinite."),
    ),
    ErrorCode.DTYPE_OVERFLOW: (
        marked("errors", "{tensor} holds the value {value:.3g}, which does not fit {dtype}. Nothing was written."),
        marked("errors", "Choose bf16 or fp32 as the precision."),
    ),
    ErrorCode.DTYPE_UNSUITABLE: (
        marked("errors", "This file cannot be written in {dtype}."),
        marked("errors", "Choose fp16 as the precision."),
    ),
    ErrorCode.DECODING_FAILED: (
        marked("errors", "{tensor} in {file} cannot be decoded as {encoding}: {reason}."),
        marked("errors", "The file is damaged or was written by a faulty program; get it again."),
    ),
    ErrorCode.DECOMPOSITION_FAILED: (
        marked("errors", "{tensor} could not be decomposed: {reason}."),
        marked("errors", "Try the other method, or leave this layer out; please report it."),
    ),
    ErrorCode.INPUT_CHANGED: (
        marked("errors", "{file} changed or vanished during the run."),
        marked("errors", "Wait until no other program writes to it, then start again."),
    ),
    ErrorCode.OUTPUT_UNWRITABLE: (
        marked("errors", "Cannot write to {file}: {reason}."),
        marked("errors", "Choose another output folder, or change the folder's permissions."),
    ),
    ErrorCode.OUTPUT_IS_INPUT: (
        marked("errors", "The output folder {file} is one of the two models."),
        marked("errors", "Choose a folder for the output."),
    ),
    ErrorCode.JOURNAL_INVALID: (
        marked("errors", "The saved layers in {file} cannot be used: {reason}."),
        marked("errors", "Start the extraction again; it works these layers out anew."),
    ),
    ErrorCode.DEVICE_UNAVAILABLE: (
        marked("errors", "There is no device {device} here."),
        marked("errors", "Available: {available}."),
    ),
    ErrorCode.OUT_OF_MEMORY: (
        marked("errors", "Not enough memory for {tensor}."),
        marked("errors", "Close other programs, or use svd_lowrank, which needs less."),
    ),
    ErrorCode.NOT_A_LORA: (
        marked("errors", "{file} is not a LoRA."),
        marked("errors", "Choose a file that was written by an extraction."),
    ),
    ErrorCode.SETTINGS_INVALID: (
        marked("errors", "{reason}."),
        marked("errors", "See --help for the options and their ranges."),
    ),
    ErrorCode.PROFILE_MISSING: (
        marked("errors", "There is no profile named {name}."),
        marked("errors", "Available: {available}."),
    ),
    ErrorCode.PROFILE_READ_ONLY: (
        marked("errors", "{name} is a shipped profile and cannot be changed."),
        marked("errors", "Save the settings under another name."),
    ),
    ErrorCode.PROFILE_EXISTS: (
        marked("errors", "{name} already exists."),
        marked("errors", "Choose another name."),
    ),
    ErrorCode.INTERNAL: (
        marked("errors", "Something went wrong that should not: {reason}."),
        marked("errors", "Please report it, with what the log says."),
    ),
}


def error_text(error: EngineError) -> tuple[str, str]:
    """The cause and the remedy of an error, in one plain sentence each."""
    layers = error.data.get("layers")
    more = len(layers) - 1 if isinstance(layers, list) else 0
    template = VARIANTS.get((error.code, _variant(error, more))) or ERRORS.get(error.code) or ERRORS[ErrorCode.INTERNAL]
    values = {
        "reason": error.data.get("detail", error.code.value),
        **error.data,
        "file": error.file or translate("errors", "the file"),
        "tensor": error.tensor or translate("errors", "a tensor"),
        "more": counted(more, "more layer"),
    }
    values |= {name: format_bytes(values[name]) for name in ("needed", "free") if name in error.data}
    if error.code is ErrorCode.SIZE_TOO_SMALL:
        size, least = error.data["size"], error.data["least"]
        values |= {"size": _megabytes(size, math.floor), "least": _megabytes(least, math.ceil)}
    if "expected" in error.data:
        values |= _two_sizes(actual=error.data["actual"], expected=error.data["expected"])
    values |= {name: whole(value) for name, value in values.items() if type(value) is int}
    if isinstance(values.get("available"), list):
        values["available"] = ", ".join(values["available"])
    if isinstance(values.get("names"), list):
        values["names"] = names_text(values["names"])
    if "reason_code" in error.data:
        values["why"] = reason_text(error.data["reason_code"])
    message, remedy = (translate("errors", text).format_map(values) for text in template)
    return message, remedy


def _megabytes(size: int, whole_number: Callable[[float], int]) -> str:
    """A size in MB as it can be typed, rounded down or up, so that what is named as enough is enough."""
    digits = 3 if size < 10 * 10**6 else 1
    return f"{decimal(whole_number(size / 10 ** (6 - digits)) / 10**digits, digits)} MB"


def _two_sizes(**sizes: int) -> dict[str, str]:
    """Sizes to compare: rounded, but to the byte where they would look the same or are of a few bytes."""
    rounded = {name: format_bytes(size) for name, size in sizes.items()}
    if len(set(rounded.values())) == len(sizes):
        return rounded
    return {
        name: plural("errors", "{count} byte", "{count} bytes", size).format(count=whole(size))
        for name, size in sizes.items()
    }


def _variant(error: EngineError, more_layers: int) -> str:
    """Which of a code's wordings fits; most codes have one only."""
    if error.code is ErrorCode.DISK_FULL:
        return "before" if "needed" in error.data else "while"
    if error.code is ErrorCode.NON_FINITE and more_layers:
        return "several"
    if error.code is ErrorCode.QUANTISED and str(error.data.get("scheme")).startswith("GGUF "):
        return "gguf"
    if error.code is ErrorCode.HEADER_INVALID and error.tensor:
        return "tensor"
    return str(error.data.get("reason"))
