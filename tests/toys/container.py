"""A container: an index that begins with ``TOYMODEL``, and its tensors in any number of files beside it."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from engine.checkpoints import Checkpoint, StoredTensor
from engine.checkpoints.containers import Container
from engine.checkpoints.model_file import ModelFile

MAGIC = b"TOYMODEL"
_DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.uint8: "U8",
    torch.float8_e4m3fn: "F8_E4M3",
}


def recognises(path: Path, head: bytes) -> bool:
    """See `Container.recognises`."""
    return head.startswith(MAGIC)


def open_file(path: Path) -> Checkpoint:
    """See `Container.open`."""
    files = [ModelFile(path)]
    try:
        header = files[0].bytes_at(len(MAGIC), files[0].size_bytes - len(MAGIC))
        index = json.loads(header)
        files[0].note_header(header, files[0].size_bytes)
        files += [ModelFile(path.parent / name) for name in index["files"]]
        stored = {
            name: StoredTensor(name, dtype, tuple(shape), nbytes, file, offset)
            for name, dtype, shape, nbytes, file, offset in index["tensors"]
        }
        return Checkpoint(path, "toy", files, stored, {})
    except BaseException:
        for file in files:
            file.close()
        raise


TOY_CONTAINER = Container("toy", (".toy",), recognises, open_file)


def save_toy(path: Path, tensors: dict[str, torch.Tensor], files: int = 2) -> Path:
    """Write a model: its tensors go to the files in turn."""
    names = [f"{path.stem}.{number}.bin" for number in range(files)]
    data = [bytearray(b"some header") for _ in names]
    entries = []
    for number, (name, tensor) in enumerate(tensors.items()):
        file, raw = number % files, tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        entries.append((name, _DTYPES[tensor.dtype], list(tensor.shape), len(raw), file + 1, len(data[file])))
        data[file] += raw
    for file_name, content in zip(names, data, strict=True):
        (path.parent / file_name).write_bytes(content)
    path.write_bytes(MAGIC + json.dumps({"files": names, "tensors": entries}).encode())
    return path
