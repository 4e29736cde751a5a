"""Errors as a stable code plus data; the application words and translates them."""

from __future__ import annotations

from enum import Enum
from typing import Any


class ErrorCode(str, Enum):
    """What went wrong. The values are part of the command line's JSON and never change."""

    FILE_MISSING = "file_missing"
    IS_DIRECTORY = "is_directory"
    FILE_UNREADABLE = "file_unreadable"
    FILE_EMPTY = "file_empty"
    FILE_TRUNCATED = "file_truncated"
    HEADER_INVALID = "header_invalid"
    NOT_A_MODEL = "not_a_model"
    UNSUPPORTED_CONTAINER = "unsupported_container"
    UNSUPPORTED_DTYPE = "unsupported_dtype"
    QUANTISED = "quantised"
    SAME_FILE = "same_file"
    NO_COMMON_WEIGHTS = "no_common_weights"
    NO_USABLE_WEIGHTS = "no_usable_weights"
    NOTHING_SELECTED = "nothing_selected"
    FORMAT_UNKNOWN = "format_unknown"
    FORMAT_UNSUITABLE = "format_unsuitable"
    NO_DIFFERENCE = "no_difference"
    NON_FINITE = "non_finite"
    DTYPE_OVERFLOW = "dtype_overflow"
    DECODING_FAILED = "decoding_failed"
    DECOMPOSITION_FAILED = "decomposition_failed"
    INPUT_CHANGED = "input_changed"
    OUTPUT_UNWRITABLE = "output_unwritable"
    OUTPUT_ESCAPES = "output_escapes"
    OUTPUT_IS_INPUT = "output_is_input"
    DISK_FULL = "disk_full"
    JOURNAL_INVALID = "journal_invalid"
    NOT_CACHED = "not_cached"
    DEVICE_UNAVAILABLE = "device_unavailable"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_A_LORA = "not_a_lora"
    LORA_MISMATCH = "lora_mismatch"
    SETTINGS_INVALID = "settings_invalid"
    PROFILE_INVALID = "profile_invalid"
    PROFILE_MISSING = "profile_missing"
    PROFILE_READ_ONLY = "profile_read_only"
    PROFILE_EXISTS = "profile_exists"
    INTERNAL = "internal"
    SHARD_MISSING = "shard_missing"
    INDEX_INVALID = "index_invalid"
    PICKLE_REFUSED = "pickle_refused"
    PART_UNKNOWN = "part_unknown"
    DTYPE_UNSUITABLE = "dtype_unsuitable"
    SIZE_TOO_SMALL = "size_too_small"
    SIZE_UNSUITABLE = "size_unsuitable"
    PROGRAM_UNKNOWN = "program_unknown"
    PROGRAM_UNSUITABLE = "program_unsuitable"


class EngineError(Exception):
    """A failure that a person can act on.

    Attributes:
        code: the stable code.
        file: the file it speaks of, if any.
        tensor: the tensor or layer it speaks of, if any.
        data: further values for the wording, such as sizes or lists of names.
    """

    def __init__(self, code: ErrorCode, *, file: object = None, tensor: str | None = None, **data: Any) -> None:
        self.code = code
        self.file = None if file is None else str(file)
        self.tensor = tensor
        self.data = data
        super().__init__(code, self.file, tensor, data)

    def __reduce__(self) -> tuple[Any, ...]:
        return _error_again, (self.code, self.file, self.tensor, self.data)

    def __str__(self) -> str:
        parts = [self.code.value]
        parts += [f"{name}={value}" for name, value in (("file", self.file), ("tensor", self.tensor)) if value]
        parts += [f"{name}={value}" for name, value in self.data.items()]
        return ", ".join(parts)


def _error_again(code: ErrorCode, file: str | None, tensor: str | None, data: dict[str, Any]) -> EngineError:
    """An error that came from another process."""
    return EngineError(code, file=file, tensor=tensor, **data)


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The run was stopped on request; nothing half written remains."""
