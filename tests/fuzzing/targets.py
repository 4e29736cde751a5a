"""What is made in bad versions: a row for each kind of file."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from . import gguf
from .mutations import bytes_of, json_of

TENSORS = {
    "a.weight": torch.ones(4, 3),
    "a.bias": torch.ones(4, dtype=torch.bfloat16),
    "blocks.0.attn.to_q.weight": torch.ones(6, 6, dtype=torch.float16),
    "count": torch.tensor(3),
    "turned.weight": torch.ones(5, 4).t(),
}
STATE = {"state_dict": TENSORS, "epoch": 3}


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        title: for the reports.
        write: makes a bad version in a folder that is empty, and returns the path to choose.
        valid: makes what `write` damages in a folder that is empty, and returns the paths to choose.
    """

    title: str
    write: Callable[[Path, random.Random], Path]
    valid: Callable[[Path], list[Path]]


@cache
def _safetensors() -> bytes:
    return save({name: tensor.contiguous() for name, tensor in TENSORS.items()}, {"format": "pt"})


def _parted(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def safetensors_header(folder: Path, rng: random.Random) -> Path:
    """A header whose values were exchanged, with a right length most times."""
    header, data = _parted(_safetensors())
    text = json_of(header, rng)
    length = (
        len(text) if rng.random() < 0.9 else rng.choice((0, 1, max(0, len(text) - 1), len(text) + 1, 1 << 40, 1 << 63))
    )
    return _written(folder / "model.safetensors", struct.pack("<Q", length) + text + data)


def safetensors_bytes(folder: Path, rng: random.Random) -> Path:
    """Any bytes of a file exchanged."""
    return _written(folder / "model.safetensors", bytes_of(_safetensors(), rng))


def _valid_safetensors(folder: Path) -> list[Path]:
    return [_written(folder / "model.safetensors", _safetensors())]


def _shards(folder: Path) -> tuple[Path, dict[str, Any], list[Path]]:
    """A valid index of two files: its path, what it says, and the files."""
    files = [folder / f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    halves = [dict(list(TENSORS.items())[:2]), dict(list(TENSORS.items())[2:])]
    names: dict[str, str] = {}
    for file, half in zip(files, halves, strict=True):
        _written(file, save({key: tensor.contiguous() for key, tensor in half.items()}))
        names |= dict.fromkeys(half, file.name)
    table = {"metadata": {"total_size": 1}, "weight_map": names}
    return _written(folder / "model.safetensors.index.json", json.dumps(table).encode()), table, files


def index(folder: Path, rng: random.Random) -> Path:
    """An index of two files, with exchanged values, or a broken file behind it."""
    path, table, files = _shards(folder)
    for file in files:
        if rng.random() < 0.1:
            _written(file, bytes_of(file.read_bytes(), rng))
    _written(path, json_of(table, rng) if rng.random() < 0.7 else bytes_of(path.read_bytes(), rng))
    return rng.choice((folder, path, *files))


def _pipeline(folder: Path) -> tuple[Path, dict[str, Any], list[Path]]:
    """A valid model in folders: the path of its index, what it says, and the files."""
    table = {
        "_class_name": "FluxPipeline",
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    files = [folder / name / "diffusion_pytorch_model.safetensors" for name in ("transformer", "vae")]
    for file in files:
        file.parent.mkdir()
        _written(file, _safetensors())
    return _written(folder / "model_index.json", json.dumps(table).encode()), table, files


def pipeline(folder: Path, rng: random.Random) -> Path:
    """The index of a model in folders."""
    path, table, files = _pipeline(folder)
    for file in files:
        if rng.random() < 0.3:
            _written(file, bytes_of(file.read_bytes(), rng))
    _written(path, json_of(table, rng))
    return rng.choice((folder, path))


@cache
def _zipped() -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream)
    return stream.getvalue()


class _OlderPickler(pickle.Pickler):
    """Counts the storages; torch's own names them by their addresses, which differ each time."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=2)
        self.storages: list[Any] = []

    def persistent_id(self, thing: object) -> tuple[object, ...] | None:
        if not isinstance(thing, torch.storage.TypedStorage):
            return None
        self.storages.append(thing)
        kind = getattr(torch, thing.pickle_storage_type())
        return "storage", kind, str(len(self.storages) - 1), "cpu", thing.size(), None


@cache
def _unzipped() -> bytes:
    """The form before the archives: four pickles, the keys of the storages, and these with their lengths."""
    stream = io.BytesIO()
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    for value in (0x1950A86A20F9469CFC6C, 1001, system):
        pickle.dump(value, stream, protocol=2)
    pickler = _OlderPickler(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that typed storages are deprecated; the form has no others
        pickler.dump(STATE)
        pickle.dump([str(number) for number in range(len(pickler.storages))], stream, protocol=2)
        for storage in pickler.storages:
            stream.write(struct.pack("<q", storage.size()) + bytes(storage.untyped()))
    return stream.getvalue()


def _valid_pickles(folder: Path) -> list[Path]:
    return [_written(folder / "model.pt", _zipped()), _written(folder / "model.ckpt", _unzipped())]


def _instructions(data: bytes, rng: random.Random) -> bytes:
    """Instructions of a pickle put between others, or bytes exchanged."""
    if rng.random() < 0.5:
        return bytes_of(data, rng)
    found = bytearray(data)
    codes = b".(012NJKMILGFXVTUBC)t]lae}dsupqrghjcRiobQP\x80\x95\x81\x92\x93\x94" + bytes(range(0x85, 0x92)) + b"\x96"
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(found))
        extra = rng.choice((b"", b"\0", b"\1\0\0\0", b"os\nsystem\n", b"\xff\xff\xff\x7f", rng.randbytes(4)))
        found[place : place + rng.randrange(3)] = bytes([rng.choice(codes)]) + extra
    return bytes(found)


def zip_pickle(folder: Path, rng: random.Random) -> Path:
    """A good archive around a bad pickle."""
    with zipfile.ZipFile(io.BytesIO(_zipped())) as good, zipfile.ZipFile(folder / "model.pt", "w") as bad:
        for entry in good.infolist():
            content = good.read(entry)
            bad.writestr(entry, _instructions(content, rng) if entry.filename.endswith(".pkl") else content)
    return folder / "model.pt"


def zip_bytes(folder: Path, rng: random.Random) -> Path:
    """Any bytes of an archive, its directory most of all."""
    data = _zipped()
    start = data.rfind(b"PK\1\2", 0, data.rfind(b"PK\5\6")) if rng.random() < 0.3 else data.find(b"PK\1\2")
    if rng.random() < 0.2:
        start = 0
    return _written(folder / "model.pt", data[:start] + bytes_of(data[start:], rng))


def legacy_pickle(folder: Path, rng: random.Random) -> Path:
    """The form before the archives."""
    data = _unzipped()
    head = data[:15] if rng.random() < 0.9 else b""
    return _written(folder / "model.ckpt", head + _instructions(data[len(head) :], rng))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


TARGETS: list[Target] = [
    Target("safetensors header", safetensors_header, _valid_safetensors),
    Target("safetensors bytes", safetensors_bytes, _valid_safetensors),
    Target("index of shards", index, lambda folder: [_shards(folder)[0]]),
    Target("diffusers folders", pipeline, lambda folder: [_pipeline(folder)[0]]),
    Target("pickle in an archive", zip_pickle, _valid_pickles),
    Target("archive of a pickle", zip_bytes, _valid_pickles),
    Target("pickle of the older form", legacy_pickle, _valid_pickles),
    Target("GGUF", gguf.gguf, gguf.valid),
]
if find_spec("compressed_tensors") is not None:  # which is not there for Python 3.10
    from . import side_data

    TARGETS.append(Target("quantisation side data", side_data.side_data, side_data.valid))
