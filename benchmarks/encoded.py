"""``python -m benchmarks.encoded``: what a pair takes in files, on its way and in memory: whole, in parts, in nf4.

The same pair in bf16, one file a side and many, and in nf4 with nested factors, encoded by bitsandbytes; every run in a
process of its own.
Resident bytes are those of blocks that stay for the next run, on a processor with a budget in which all have room.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks.measuring import machine
from benchmarks.streaming.data import Pair, transformer, width_for, write_pair
from benchmarks.streaming.measuring import GIB, fresh, run, watched
from benchmarks.streaming.tables import mib
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

_RANK, _PARTS = 32, 20


@dataclass(frozen=True)
class EncodedRow:
    """One pair in one form; bytes.

    Attributes:
        stored: both files.
        decoded: the numbers of both sides in float32.
        read: by the first run.
        resident: of the blocks that stay after it.
        growth: memory that belongs to no file, above the imports, of a run in which nothing stays.
        peak: the most that that run held by its own count.
        seconds: of that run.
    """

    form: str
    stored: int
    decoded: int
    read: int
    resident: int
    growth: int
    peak: int
    seconds: float


def main() -> int:
    """Write the pairs, measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoded", description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0, help="size of a side in bf16")
    parser.add_argument("--json", type=Path, default=Path("encoded.json"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layout = transformer(chosen.gib * GIB, width_for(chosen.gib * GIB))
        plain = fresh(write_pair, layout, folder)
        pairs = {
            "bf16": plain,
            f"bf16 in {_PARTS} files": (fresh(in_parts, plain[0]), fresh(in_parts, plain[1])),
            "nf4": (fresh(encoded, plain[0]), fresh(encoded, plain[1])),
        }
        rows = [fresh(measured, form, pair, folder) for form, pair in pairs.items()]
    chosen.json.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1))
    table = Table(
        *("form", "files MiB", "as float32 MiB", "read MiB", "stays MiB", "growth MiB", "engine's peak MiB", "s"),
        title=f"a pair of {chosen.gib:g} GiB a side in bf16, rank {_RANK}, processor",
    )
    for row in rows:
        sizes = (row.stored, row.decoded, row.read, row.resident, row.growth, row.peak)
        table.add_row(row.form, *map(mib, sizes), f"{row.seconds:.1f}")
    Console().print(table)
    return 0


def in_parts(path: Path) -> Path:
    """A model spread over numbered files with an index, as transformers writes it; returns its folder."""
    folder = path.with_name(f"parts-{path.stem}")
    folder.mkdir()
    places: dict[str, str] = {}
    with safe_open(path, "pt") as file:
        names = sorted(file.keys())
        for part in range(_PARTS):
            title = f"model-{part + 1:05}-of-{_PARTS:05}.safetensors"
            tensors = {name: file.get_tensor(name) for name in names[part::_PARTS]}
            save_file(tensors, folder / title)
            places |= dict.fromkeys(tensors, title)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def encoded(path: Path) -> Path:
    """A model with its matrices in nf4, all else as it is; returns its path."""
    from bitsandbytes import functional

    tensors = {}
    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118 - not a mapping
            tensor = file.get_tensor(name)
            if tensor.dim() != 2:
                tensors[name] = tensor
                continue
            stored, state = functional.quantize_4bit(tensor, blocksize=64, compress_statistics=True, quant_type="nf4")
            tensors[name] = stored
            tensors |= {f"{name}.{part}": value for part, value in state.as_dict(packed=True).items()}
    found = path.with_name(f"nf4-{path.name}")
    save_file(tensors, found)
    return found


def measured(form: str, pair: Pair, folder: Path) -> EncodedRow:
    """One run in which all blocks stay, and one in which nothing does."""
    settings = ExtractionSettings(rank=_RANK, resume=False)
    with Session(*pair) as session:
        decoded = sum(4 * weight.numel for weight in session.weights(settings))
        keeping = HardwareSettings(
            device="cpu", blocks_in_gpu=40, vram_usage_mode="aggressive", memory_budget=6 * decoded + 4 * GIB
        )
        first = run(session, settings, keeping, folder).result
        resident = session.resident_bytes
    files = (file for path in pair for file in (path.iterdir() if path.is_dir() else (path,)))
    stored = sum(file.stat().st_size for file in files)
    growth = fresh(_alone, pair, folder)
    return EncodedRow(form, stored, 2 * decoded, first.read_bytes, resident, *growth)


def _alone(pair: Pair, folder: Path) -> tuple[int, int, float]:
    with watched() as watch, Session(*pair) as session:
        result = run(
            session, ExtractionSettings(rank=_RANK, resume=False), HardwareSettings(device="cpu"), folder
        ).result
    return watch.growth, result.peak_device_bytes, result.seconds


if __name__ == "__main__":
    raise SystemExit(main())
