"""What is made in bad versions: a row for each kind of file."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from .mutations import bytes_of, json_of

TENSORS = {
    "a.weight": torch.ones(4, 3),
    "a.bias": torch.ones(4, dtype=torch.bfloat16),
    "blocks.0.attn.to_q.weight": torch.ones(6, 6, dtype=torch.float16),
    "count": torch.tensor(3),
    "turned.weight": torch.ones(5, 4).t(),
}


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        title: for the reports.
        write: makes a bad version in a folder that is empty, and returns the path to choose.
    """

    title: str
    write: Callable[[Path, random.Random], Path]


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


def index(folder: Path, rng: random.Random) -> Path:
    """An index of two files, with exchanged values, or a broken file behind it."""
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    halves = [dict(list(TENSORS.items())[:2]), dict(list(TENSORS.items())[2:])]
    table = {"metadata": {"total_size": 1}, "weight_map": {}}
    for name, half in zip(names, halves, strict=True):
        data = save({key: tensor.contiguous() for key, tensor in half.items()})
        _written(folder / name, bytes_of(data, rng) if rng.random() < 0.1 else data)
        table["weight_map"] |= dict.fromkeys(half, name)  # type: ignore[operator]
    path = folder / "model.safetensors.index.json"
    text = json.dumps(table).encode()
    _written(path, json_of(table, rng) if rng.random() < 0.7 else bytes_of(text, rng))
    return rng.choice((folder, path, *(folder / name for name in names)))


def pipeline(folder: Path, rng: random.Random) -> Path:
    """The index of a model in folders."""
    table = {
        "_class_name": "FluxPipeline",
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    for name in ("transformer", "vae"):
        (folder / name).mkdir()
        data = _safetensors()
        file = folder / name / "diffusion_pytorch_model.safetensors"
        _written(file, bytes_of(data, rng) if rng.random() < 0.3 else data)
    path = _written(folder / "model_index.json", json_of(table, rng))
    return rng.choice((folder, path))


@cache
def _pickled(zipped: bool) -> bytes:
    stream = io.BytesIO()
    torch.save({"state_dict": TENSORS, "epoch": 3}, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


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
    with zipfile.ZipFile(io.BytesIO(_pickled(True))) as good, zipfile.ZipFile(folder / "model.pt", "w") as bad:
        for entry in good.infolist():
            content = good.read(entry)
            bad.writestr(entry.filename, _instructions(content, rng) if entry.filename.endswith(".pkl") else content)
    return folder / "model.pt"


def zip_bytes(folder: Path, rng: random.Random) -> Path:
    """Any bytes of an archive, its directory most of all."""
    data = _pickled(True)
    start = data.rfind(b"PK\1\2", 0, data.rfind(b"PK\5\6")) if rng.random() < 0.3 else data.find(b"PK\1\2")
    if rng.random() < 0.2:
        start = 0
    return _written(folder / "model.pt", data[:start] + bytes_of(data[start:], rng))


def legacy_pickle(folder: Path, rng: random.Random) -> Path:
    """The form before the archives."""
    data = _pickled(False)
    head = data[:15] if rng.random() < 0.9 else b""
    return _written(folder / "model.ckpt", head + _instructions(data[len(head) :], rng))


def _schemes() -> list[tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, Any]]]:
    """Quantised layers: tensors, the JSON among them by name, and the config beside the file."""
    fp8 = torch.ones(130, 40).to(torch.float8_e4m3fn)
    state = {"blocksize": 64, "dtype": "bfloat16", "shape": [8, 64], "quant_type": "nf4"}
    weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    packed = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}
    return [
        (
            {"a.weight": fp8, "a.scale_weight": torch.tensor(0.5), "scaled_fp8": torch.zeros(2).to(fp8.dtype)},
            {},
            {},
        ),
        (
            {"a.weight": fp8, "a.weight_scale": torch.tensor(0.5)},
            {"a.comfy_quant": {"format": "float8_e4m3fn", "params": {}}},
            {},
        ),
        (
            {
                "a.weight": torch.ones(256, 1, dtype=torch.uint8),
                "a.weight.absmax": torch.ones(8),
                "a.weight.quant_map": torch.linspace(-1, 1, 16),
            },
            {"a.weight.quant_state.bitsandbytes__nf4": state},
            {},
        ),
        (
            {"a.weight": fp8, "a.weight_scale_inv": torch.ones(2, 1)},
            {},
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
        ),
        (
            {
                "a.weight_packed": torch.ones(8, 8, dtype=torch.int32),
                "a.weight_scale": torch.ones(8, 2, dtype=torch.bfloat16),
                "a.weight_shape": torch.tensor([8, 64]),
            },
            {},
            {"quantization_config": packed},
        ),
    ]


def side_data(folder: Path, rng: random.Random) -> Path:
    """Quantised layers whose scales, descriptions or config do not fit them."""
    tensors, texts, config = rng.choice(_schemes())
    for name, value in texts.items():
        text = json_of(value, rng) if rng.random() < 0.6 else json.dumps(value).encode()
        tensors[name] = torch.tensor(list(text) or [0], dtype=torch.uint8)
    for _ in range(rng.choice((0, 1, 1, 2))):
        name = rng.choice(list(tensors))
        tensor = tensors.pop(name)
        dtype = rng.choice((torch.float32, torch.uint8, torch.bfloat16, torch.int32, torch.float8_e4m3fn, torch.int64))
        shapes = ((), (0,), (1,), (3,), tuple(tensor.shape[::-1]), tensor.shape[1:], (1, *tensor.shape), (257, 3))
        match rng.randrange(4):
            case 0:
                tensors[name] = torch.zeros(rng.choice(shapes), dtype=tensor.dtype)
            case 1:
                tensors[name] = torch.full(tensor.shape, rng.choice((0, 1, 100)), dtype=torch.float32).to(dtype)
            case 2:
                tensors[rng.choice(("b.weight", "a.bias", "a.weight.absmax", "a.weight_scale", name + "x"))] = tensor
    metadata = {
        "_quantization_metadata": json_of({"layers": {"a": {"format": "mxfp8"}}}, rng).decode("utf-8", "ignore")
    }
    if config:
        _written(folder / "config.json", json_of(config, rng) if rng.random() < 0.5 else json.dumps(config).encode())
    tensors = tensors or {"a.weight": torch.ones(2)}
    text = save(tensors, metadata if rng.random() < 0.2 else None)
    return _written(folder / "model.safetensors", text)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


TARGETS: list[Target] = [
    Target("safetensors header", safetensors_header),
    Target("safetensors bytes", safetensors_bytes),
    Target("index of shards", index),
    Target("diffusers folders", pipeline),
    Target("pickle in an archive", zip_pickle),
    Target("archive of a pickle", zip_bytes),
    Target("pickle of the older form", legacy_pickle),
    Target("quantisation side data", side_data),
]
