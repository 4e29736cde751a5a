"""What the names of a model's files say: parts of one model, variants of it, components, and what people call it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PART = "#"
"""What stands between a path and the word for one of several models in its file."""
MODEL_INDEX = "model_index.json"
"""What lists the components of a model in diffusers' folders."""
DENOISERS = ("transformer", "unet", "transformer_2", "prior", "decoder")
TEXT_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3", "text_encoder_4")
COMPONENTS = (*DENOISERS, *TEXT_ENCODERS, "vae", "image_encoder", "controlnet", "connectors", "vqgan", "vqvae")
"""Folders of a model that diffusers saved, those that hold weights of interest."""

_INDEX = re.compile(r"(?P<stem>.+)\.index(?:\.(?P<variant>[^.]+))?\.json$", re.IGNORECASE)
_SHARD = re.compile(r"(?P<start>.*?)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<end>(?:\.[^.]+)?\.[^.]+)$")
_CACHE = "models--"  # how Hugging Face's cache begins the folder of a model: models--organisation--name
_DEVICES = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?:\..*)?$", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')


@dataclass(frozen=True)
class ShardName:
    """A file name of the form ``model-00002-of-00005.safetensors``.

    Attributes:
        start: what stands before the number.
        number: from 1 on, in a model that is whole.
        count: of all parts.
        end: what stands behind, the ending at least.
    """

    start: str
    number: int
    count: int
    end: str

    def siblings(self) -> tuple[str, ...]:
        """The names of all parts, in order."""
        return tuple(f"{self.start}-{number:05}-of-{self.count:05}{self.end}" for number in range(1, self.count + 1))


def shard_name(name: str) -> ShardName | None:
    """The parts of a file name that says it is one of several; None for any other, and for one of one."""
    match = _SHARD.match(name)
    if match is None or int(match["count"]) < 2:
        return None
    return ShardName(match["start"], int(match["number"]), int(match["count"]), match["end"])


def index_of(name: str) -> str | None:
    """Of the name of an index the file it stands for: ``model.safetensors`` of ``model.safetensors.index.json``.

    A variant goes where it stands in the names of files: ``model.safetensors.index.fp16.json`` indexes
    ``model.fp16.safetensors``.
    """
    match = _INDEX.match(name)
    if match is None or "." not in match["stem"]:
        return None
    if match["variant"] is None:
        return match["stem"]
    stem, _, ending = match["stem"].rpartition(".")
    return f"{stem}.{match['variant']}.{ending}"


def fault_of_name(name: object) -> str | None:
    """Why the name of a file in an index cannot be used as one, on any system; None for a plain name."""
    if not isinstance(name, str):
        return "it is not a text"
    if name in ("", ".", "..") or name != name.strip() or name.endswith("."):
        return "it is no name of a file"
    if _FORBIDDEN.search(name):
        return "it is a path, or has characters that names of files may not have"
    if _DEVICES.match(name):
        return "it is the name of a device"
    return "it is too long" if len(name.encode("utf-8", "surrogatepass")) > 255 else None


def split_part(path: Path) -> tuple[Path, str]:
    """A path, and which of several models in the file behind it is meant: what follows a ``#`` that is in no name.

    ``checkpoint.pt#critic`` is the critic in ``checkpoint.pt``, unless a file is called so.
    """
    name, mark, part = path.name.rpartition(PART)
    whole = path.with_name(name) if mark and name and part else path
    return (whole, part) if whole is not path and not path.exists() and whole.exists() else (path, "")


def model_name(path: Path) -> str:
    """What people call the model that a path stands for.

    The name of its file; for several files that of their folder, with the one above for a component; for a folder in
    Hugging Face's cache ``organisation/name``.
    """
    place = path.parent if index_of(path.name) or shard_name(path.name) else path
    parts = place.parts
    for index in range(len(parts) - 2, 0, -1):
        if parts[index] == "snapshots" and parts[index - 1].startswith(_CACHE):
            repository = parts[index - 1].removeprefix(_CACHE).replace("--", "/")
            return path.name if path == place and path.suffix else "/".join((repository, *parts[index + 2 :]))
    return f"{place.parent.name}/{place.name}" if place.name in COMPONENTS else place.name or path.name
