"""``gguf``: what GGUF files take, read and resident, against the same pair in bfloat16; how fast they are decoded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from rich.table import Table
from safetensors import safe_open

from benchmarks.streaming.data import PREFIX, Pair
from benchmarks.streaming.measuring import GIB, Workplace, fresh, run
from benchmarks.streaming.tables import marked, mib, verdict
from engine.checkpoints import WeightView, open_checkpoint
from engine.checkpoints.tensors import read_encoded
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

_DECODED_ROWS, _DECODED_COLUMNS = 2048, 4096
_TYPES = ("Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q3_K", "Q2_K", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS")
_TOKENS = 150_000
_ROUNDED = 1.05  # buffers are lent in rounded sizes


@dataclass(frozen=True)
class GgufRow:
    """A pair, a type, or an opening.

    Attributes:
        file_bytes: of both models; of the one that is decoded or opened.
        seconds: of a second run, all of whose blocks are resident, of decoding, or of opening.
        read_bytes: of the first run.
        resident_bytes: what stays of the pair between the runs.
        peak_bytes: the most that the engine holds.
        reference_seconds: the gguf package's decoding of the same blocks; 0 where there is none.
        target: the aim, and whether it is met.
    """

    what: str
    file_bytes: int
    seconds: float
    read_bytes: int = 0
    resident_bytes: int = 0
    peak_bytes: int = 0
    reference_seconds: float = 0.0
    target: str = ""


def gguf_rows(place: Workplace) -> list[GgufRow]:
    """Pairs first, then types, then the opening of a file with a large tokenizer."""
    tuned, base = place.pair(place.share(0.25))
    pairs: dict[str, Pair] = {"bf16, bf16": (tuned, base)}
    for kind in ("Q8_0", "Q4_0"):
        files = [fresh(write_gguf, path, path.with_suffix(f".{kind}.gguf"), kind) for path in (tuned, base)]
        pairs |= {f"{kind}, bf16": (files[0], base), f"{kind}, {kind}": (files[0], files[1])}
    rows = [_pair_row(place, what, pair) for what, pair in pairs.items()]
    rows += [_decoding_row(place, kind) for kind in _TYPES]
    return [*rows, _opening_row(place)]


def write_gguf(source: Path, path: Path, kind: str) -> Path:
    """Write a bfloat16 safetensors model as GGUF: matrices in a type that the package encodes, else fp32."""
    writer = gguf.GGUFWriter(path, "wan")
    with safe_open(source, "pt") as file:
        for name in file.keys():  # noqa: SIM118 - no mapping
            values = file.get_tensor(name).float().numpy()
            quantised = gguf.GGMLQuantizationType[kind] if values.ndim == 2 else gguf.GGMLQuantizationType.F32
            data = gguf.quantize(values, quantised)
            writer.add_tensor(name.removeprefix(PREFIX), data, raw_dtype=quantised)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _pair_row(place: Workplace, what: str, pair: Pair) -> GgufRow:
    size = sum(path.stat().st_size for path in pair)
    hardware = HardwareSettings(
        device="cpu", blocks_in_gpu=40, vram_usage_mode="aggressive", memory_budget=4 * size + 4 * GIB
    )
    settings = ExtractionSettings(rank=32, resume=False)
    with Session(*pair) as session:
        first = run(session, settings, hardware, place.output).result
        second = run(session, settings, hardware, place.output).result
        resident = session.resident_bytes
    return GgufRow(
        what,
        size,
        second.seconds,
        first.read_bytes,
        resident,
        first.peak_device_bytes,
        target=verdict(resident <= _ROUNDED * size and second.read_bytes == 0),
    )


def _decoding_row(place: Workplace, kind: str) -> GgufRow:
    """The best of several decodings of one matrix of random blocks, and the package's own."""
    values, nbytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    count = _DECODED_ROWS * _DECODED_COLUMNS // values
    blocks = np.random.default_rng(0).integers(0, 256, (count, nbytes), dtype=np.uint8)
    data = blocks.reshape(_DECODED_ROWS, -1)
    path = place.folder / f"{kind}.gguf"
    writer = gguf.GGUFWriter(path, "wan")
    writer.add_tensor("a.weight", data, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ours, theirs = [], []
    with open_checkpoint(path) as model:
        weight = read_encoded(model, WeightView.of(model.weights["a.weight"], ""))
        for _ in range(place.repeats + 1):
            started = time.perf_counter()
            weight.decoded()
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            with np.errstate(all="ignore"):
                gguf.dequantize(data, gguf.GGMLQuantizationType[kind])
            theirs.append(time.perf_counter() - started)
    path.unlink()
    return GgufRow(f"decode {kind}", data.nbytes, min(ours), reference_seconds=min(theirs))


def _opening_row(place: Workplace) -> GgufRow:
    path = place.folder / "tokens.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list([f"token{number}" for number in range(_TOKENS)])
    writer.add_token_merges([f"to ken{number}" for number in range(_TOKENS)])
    writer.add_token_scores([0.0] * _TOKENS)
    writer.add_tensor("a.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    seconds = []
    for _ in range(place.repeats + 1):
        started = time.perf_counter()
        open_checkpoint(path).close()
        seconds.append(time.perf_counter() - started)
    what = f"open {_TOKENS:,} tokens and merges"
    return GgufRow(what, path.stat().st_size, min(seconds), target=verdict(min(seconds) < 0.1))


def gguf_table(rows: list[GgufRow]) -> Table:
    """All of them."""
    table = Table(
        *("what", "files MiB", "s", "read MiB", "stays MiB", "engine's peak MiB", "package / it", "target"),
        title="gguf: read and resident bytes stay encoded (rank 32, processor); decoding of 2048 x 4096 values",
    )
    for row in rows:
        sizes = (mib(size) if size else "" for size in (row.read_bytes, row.resident_bytes, row.peak_bytes))
        ratio = f"{row.reference_seconds / row.seconds:.1f}" if row.reference_seconds else ""
        table.add_row(row.what, mib(row.file_bytes), f"{row.seconds:.3f}", *sizes, ratio, marked(row.target))
    return table
