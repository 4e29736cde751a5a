"""Files in fp8: their headers and sizes, what an independent reader makes of them, and where there are none."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extraction_runs import run, verified
from model_files import PREFIX, Tensors, random_tensor, save_model
from numpy.typing import NDArray
from session_runs import shrink_limits
from torch_memory import peak_bytes

from engine.cancel import CancelToken
from engine.decompose.delta import subtract
from engine.errors import EngineError, ErrorCode
from engine.events import Finished, Notice, NoticeCode
from engine.formats.programs import with_its_format
from engine.formats.safetensors_writer import SafetensorsWriter
from engine.layer import work_on
from engine.lora.lora_file import LoraFile
from engine.planning.costs import need
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

FP8 = {"output_dtype": "fp8_e4m3"}
SHAPES: dict[str, tuple[int, ...]] = {
    "blocks.0.attn.q.weight": (64, 48),
    "blocks.0.attn.k.weight": (31, 17),  # factors whose sizes are no multiple of 8
    "blocks.0.mlp.up.weight": (256, 32),
    "blocks.0.mlp.down.weight": (32, 256),
    "blocks.0.conv.weight": (24, 16, 3, 3),
    "blocks.0.conv3.weight": (8, 4, 2, 3, 3),
    "blocks.0.tiny.weight": (40, 40),
    "blocks.0.huge.weight": (40, 40),
    "blocks.0.attn.q.bias": (64,),
    "blocks.0.norm.weight": (48,),
}
SCALES = {"blocks.0.tiny.weight": 1e-7, "blocks.0.huge.weight": 1e4}


def made(folder: Path) -> tuple[Tensors, Tensors, tuple[Path, Path]]:
    base = {PREFIX + name: random_tensor(*shape, seed=number) for number, (name, shape) in enumerate(SHAPES.items())}
    base[PREFIX + "blocks.0.tiny.weight"].zero_()
    tuned = {
        PREFIX + name: base[PREFIX + name] + SCALES.get(name, 0.02) * random_tensor(*shape, seed=90 + number)
        for number, (name, shape) in enumerate(SHAPES.items())
    }
    return tuned, base, (save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base))


def values_of(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of the bytes of float8_e4m3fn, by its definition."""
    exponent, fraction = (codes >> 3) & 15, (codes & 7).astype(np.float64)
    sizes = np.where(exponent == 0, fraction * 2.0**-9, (8.0 + fraction) * np.exp2(exponent - 10.0))
    return np.where(codes & 128, -sizes, sizes)


def read(path: Path) -> tuple[dict[str, str], dict[str, NDArray[np.float64]], dict[str, tuple[int, int]]]:
    """Dtypes, values in float64, and places in the file, from the bytes alone."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    readers = {
        "F8_E4M3": lambda raw: values_of(np.frombuffer(raw, np.uint8)),
        "F16": lambda raw: np.frombuffer(raw, np.float16).astype(np.float64),
        "F32": lambda raw: np.frombuffer(raw, np.float32).astype(np.float64),
    }
    dtypes, values, places = {}, {}, {}
    for key, entry in header.items():
        begin, end = entry["data_offsets"]
        dtypes[key], places[key] = entry["dtype"], (8 + length + begin, 8 + length + end)
        values[key] = readers[entry["dtype"]](data[slice(*places[key])]).reshape(entry["shape"])
    return dtypes, values, places


def added(values: dict[str, NDArray[np.float64]], stem: str) -> NDArray[np.float64]:
    up, down = values[f"{stem}.lora_up.weight"], values[f"{stem}.lora_down.weight"]
    scale = float(values[f"{stem}.alpha"]) / down.shape[0]
    return scale * up.reshape(len(up), -1) @ down.reshape(len(down), -1)


def test_a_file_in_fp8_holds_what_its_report_says(tmp_path: Path) -> None:
    tuned, base, pair = made(tmp_path)
    ran = run(pair, tmp_path, rank=8, **FP8)
    assert ran.lora.name.startswith("lora_rank_8_fp8_e4m3_balanced_")
    dtypes, values, places = read(ran.lora)
    kinds = {key.rsplit(".lora_", 1)[-1].rpartition(".diff")[1] or key.rpartition(".")[2]: None for key in dtypes}
    assert set(kinds) == {"weight", "alpha", ".diff"}
    for key, dtype in dtypes.items():
        expected = "F32" if key.endswith(".alpha") else "F8_E4M3" if ".lora_" in key else "F16"
        assert dtype == expected, key
        assert places[key][0] % {"F32": 4, "F16": 2, "F8_E4M3": 1}[dtype] == 0
        assert np.isfinite(values[key]).all()
    total = lost = 0.0
    for row in ran.result.rows:
        name = row.name.replace("diffusion_model.", PREFIX)
        delta = (tuned[name] - base[name]).double().numpy()
        stem = row.name.removesuffix(".weight")
        if row.rank is None:
            key = next(key for key in values if ".diff" in key and key.startswith(stem.removesuffix(".bias")))
            change = values[key]
        else:
            change = added(values, stem)
            alpha = float(values[f"{stem}.alpha"])
            assert math.log2(alpha / row.rank).is_integer()
        energy, missed = float(np.sum(delta**2)), float(np.sum((delta.ravel() - change.ravel()) ** 2))
        assert abs(row.energy_retained - (1.0 - missed / energy)) < 2e-6
        total, lost = total + energy, lost + missed
    assert abs(ran.result.outputs[0].mean_energy_retained - (1.0 - lost / total)) < 2e-6
    report = json.loads(ran.result.outputs[0].report.read_text())
    assert report["totals"]["stored_fp16"] == 0
    factors = [layer for layer in report["layers"] if layer["rank"]]
    assert all(layer["stored_dtype"] == "F8_E4M3" and 0.0 <= layer["below_normal"] < 0.3 for layer in factors)
    checked = {layer.name: layer.energy_retained for layer in verified(pair, ran.lora).layers}
    assert checked == pytest.approx({row.name: row.energy_retained for row in ran.result.rows}, abs=2e-6)


def test_the_planned_size_is_that_of_the_file_and_half_of_fp16(tmp_path: Path) -> None:
    *_, pair = made(tmp_path)
    sizes = {}
    for dtype in ("fp8_e4m3", "fp16"):
        ran = run(pair, tmp_path, rank=4, bias_diff=False, output_dtype=dtype)
        with Session(*pair) as session:
            settings = ExtractionSettings(filename_prefix="lora", rank=4, bias_diff=False, output_dtype=dtype)
            plan = session.plan(settings, HardwareSettings(device="cpu"), tmp_path)
        assert plan.outputs[0].output_bytes == ran.lora.stat().st_size
        with ran.lora.open("rb") as stream:
            header = 8 + int.from_bytes(stream.read(8), "little")
        sizes[dtype] = ran.lora.stat().st_size - header
    alphas = 4 * sum(len(shape) > 1 for shape in SHAPES.values())
    assert sizes["fp8_e4m3"] - alphas == (sizes["fp16"] - alphas) // 2


def test_twice_the_rank_in_fp8_keeps_more_than_fp16_in_as_many_bytes(tmp_path: Path) -> None:
    *_, pair = made(tmp_path)
    half, eight = (run(pair, tmp_path, rank=rank, output_dtype=dtype) for rank, dtype in ((4, "fp16"), (8, "fp8_e4m3")))
    kept = [{row.name: row.energy_retained for row in ran.result.rows if row.rank} for ran in (half, eight)]
    assert all(kept[1][name] > kept[0][name] for name in kept[1])
    assert eight.lora.stat().st_size < 1.01 * half.lora.stat().st_size


def test_a_hint_says_before_the_start_that_twice_the_rank_takes_as_much(tmp_path: Path) -> None:
    *_, pair = made(tmp_path)
    with Session(*pair) as session:
        plans = [
            session.plan(ExtractionSettings(rank=12, output_dtype=dtype), HardwareSettings(), tmp_path)
            for dtype in ("fp8_e4m3", "fp16")
        ]
    hints = [[notice for notice in plan.notices if notice.code is NoticeCode.FP8_HALVES] for plan in plans]
    assert hints == [[Notice(NoticeCode.FP8_HALVES, data={"rank": 12, "double": 24})], []]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"key_format": "kohya"}, "format"), ({"lora_type": "full"}, "full"), ({"alpha": "4"}, "alpha")],
)
def test_fp8_is_refused_where_it_cannot_be_loaded_or_scaled(
    settings: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    base = {
        f"{PREFIX}blocks.{index}.self_attn.{part}.weight": random_tensor(24, 16, seed=index)
        for index in range(3)
        for part in "qk"
    }
    base[PREFIX + "head.modulation"] = random_tensor(1, 2, 24, seed=5)  # by which it is known as Wan
    tuned = {name: tensor + 0.02 * random_tensor(*tensor.shape, seed=3) for name, tensor in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    with Session(*pair) as session, pytest.raises(EngineError) as caught:
        session.plan(ExtractionSettings(**settings, **FP8), HardwareSettings(), tmp_path)
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.DTYPE_UNSUITABLE, reason)


def test_fp8_is_for_the_programs_that_load_it(tmp_path: Path) -> None:
    base = {f"{PREFIX}blocks.{index}.self_attn.q.weight": random_tensor(24, 16, seed=index) for index in range(3)}
    base[PREFIX + "head.modulation"] = random_tensor(1, 2, 24, seed=5)  # by which it is known as Wan
    tuned = {name: tensor + 0.02 * random_tensor(*tensor.shape, seed=3) for name, tensor in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    refused = {}
    with Session(*pair) as session:
        for program in ("comfyui", "forge", "diffusers", "invokeai"):
            settings = with_its_format(ExtractionSettings(program=program, **FP8))
            try:
                session.plan(settings, HardwareSettings(), tmp_path)
            except EngineError as error:
                refused[program] = error.code, error.data["reason"]
    assert refused.pop("diffusers") == refused.pop("invokeai") == (ErrorCode.PROGRAM_UNSUITABLE, "fp8")
    assert refused.keys() <= {"forge"}  # which has no loader for Wan
    assert all(reason == "family" for _code, reason in refused.values())


@pytest.mark.parametrize("strength", [0.7, -1.3])
def test_the_strength_stands_in_the_alpha_and_its_sign_in_a_factor(strength: float, tmp_path: Path) -> None:
    *_, pair = made(tmp_path)
    store = DecompositionStore(tmp_path / "store")
    plain, strong = (run(pair, tmp_path, rank=8, bias_diff=False, strength=value, **FP8) for value in (1.0, strength))
    (_, ours, _), (dtypes, theirs, _) = read(plain.lora), read(strong.lora)
    for row in strong.result.rows:
        stem = row.name.removesuffix(".weight")
        np.testing.assert_allclose(added(theirs, stem), strength * added(ours, stem), rtol=1e-6)
        assert dtypes[f"{stem}.lora_up.weight"] == "F8_E4M3"
    kept = [{row.name: row.energy_retained for row in ran.result.rows} for ran in (plain, strong)]
    assert kept[0] == pytest.approx(kept[1], abs=1e-7)
    settings = FP8 | {"strength": strength}
    first, _ = bytes_in_store(pair, tmp_path / "first", store, settings)
    again, reused = bytes_in_store(pair, tmp_path / "again", store, settings)
    assert reused == len(SHAPES)
    assert first == again


def test_each_of_several_ranks_in_fp8_is_the_file_of_its_own_run(tmp_path: Path) -> None:
    *_, pair = made(tmp_path)
    several, _ = bytes_in_store(pair, tmp_path / "several", None, FP8 | {"rank": 4}, FP8 | {"rank": 12})
    layers = dict(zip((4, 12), several, strict=True))
    assert len(layers[4]) < len(layers[12])
    for rank, data in layers.items():
        assert [data] == bytes_in_store(pair, tmp_path / f"{rank}", None, FP8 | {"rank": rank})[0]


def bytes_in_store(
    pair: tuple[Path, Path], folder: Path, store: DecompositionStore | None, *settings: dict[str, Any]
) -> tuple[list[bytes], int]:
    chosen = [ExtractionSettings(**{"filename_prefix": "lora", "rank": 8, **item}) for item in settings]
    with Session(*pair, store) as session:
        plan = session.plan(chosen[0], HardwareSettings(device="cpu"), folder, chosen[1:])
        *_, last = session.extract(plan, CancelToken())
    assert isinstance(last, Finished)
    data = [output.path.read_bytes() for output in last.result.outputs]
    return [item[8 + int.from_bytes(item[:8], "little") :] for item in data], last.result.layers_reused


@pytest.mark.parametrize("clamp", [1e-5, 1.0])
def test_an_export_of_an_earlier_run_and_a_run_of_its_own_give_the_same_bytes(clamp: float, tmp_path: Path) -> None:
    *_, pair = made(tmp_path)
    store, clamping = DecompositionStore(tmp_path / "store"), {"clamp_max_loss": clamp}
    (own,), _ = bytes_in_store(pair, tmp_path / "own", None, FP8 | clamping)
    bytes_in_store(pair, tmp_path / "half", store, clamping)
    (exported,), reused = bytes_in_store(pair, tmp_path / "exported", store, FP8 | clamping)
    (again,), _ = bytes_in_store(pair, tmp_path / "again", store, FP8 | clamping)
    assert reused == len(SHAPES)
    assert exported == again == own


def test_a_file_in_fp8_beside_one_in_fp16_is_the_one_of_its_own_run(tmp_path: Path) -> None:
    *_, pair = made(tmp_path)
    (half, eight), _ = bytes_in_store(pair, tmp_path / "both", None, {}, FP8)
    assert [half] == bytes_in_store(pair, tmp_path / "half", None, {})[0]
    assert [eight] == bytes_in_store(pair, tmp_path / "eight", None, FP8)[0]


def test_a_weight_that_is_enlarged_is_stored_in_fp16_with_its_new_part(tmp_path: Path) -> None:
    name, other = PREFIX + "img_in.weight", PREFIX + "blocks.0.k.weight"
    base = {name: random_tensor(24, 10, seed=1), other: random_tensor(24, 16, seed=2)}
    tuned = {key: tensor + 0.02 * random_tensor(*tensor.shape, seed=3) for key, tensor in base.items()}
    tuned[name] = torch.cat([tuned[name], random_tensor(24, 6, seed=4)], 1)
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    ran = run(pair, tmp_path, rank=4, set_weight=True, **FP8)
    dtypes, values, _ = read_with_shapes(ran.lora)
    assert dtypes["diffusion_model.img_in.lora_up.weight"] == "F16"
    assert dtypes["diffusion_model.blocks.0.k.lora_up.weight"] == "F8_E4M3"
    new = added(values, "diffusion_model.img_in")[:, 10:]
    expected = tuned[name][:, 10:].double().numpy()
    assert np.linalg.norm(new - expected) < 1e-3 * np.linalg.norm(expected)


def read_with_shapes(path: Path) -> tuple[dict[str, str], dict[str, NDArray[np.float64]], None]:
    with LoraFile(path) as file:
        tensors = {
            key: tensor
            for name, keys in file.layers.items()
            for part, tensor in file.read(name).parts.items()
            for key in (keys[part],)
        }
    names = {torch.float8_e4m3fn: "F8_E4M3", torch.float16: "F16", torch.float32: "F32"}
    dtypes = {key: names.get(tensor.dtype, "") for key, tensor in tensors.items()}
    return dtypes, {key: tensor.double().numpy() for key, tensor in tensors.items()}, None


@pytest.mark.parametrize("shape", [(700, 48), (48, 700), (128, 128)])
@pytest.mark.parametrize("rank", [4, 48, 128])
def test_a_layer_in_fp8_takes_no_more_memory_than_is_stated(
    shape: tuple[int, int], rank: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_limits(monkeypatch)
    for module in ("gram", "decomposition", "fp8_factors"):
        monkeypatch.setattr(f"engine.decompose.{module}.CHUNK_BYTES", 1 << 14)
    base = {PREFIX + "blocks.0.q.weight": random_tensor(*shape, seed=1)}
    tuned = {name: tensor + 0.02 * random_tensor(*shape, seed=2) for name, tensor in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(rank=rank, **FP8), HardwareSettings(device="cpu"), tmp_path)
        (weight,) = plan.layers
        sides = [tensors[PREFIX + "blocks.0.q.weight"] for tensors in (tuned, base)]
        took = peak_bytes(lambda: work_on(weight, subtract(*sides), plan.method))
        assert took <= need(weight, plan.method, host=True).work


def test_large_tensors_of_any_size_in_bytes_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.formats.safetensors_writer._LARGE", 100)
    writer, tensors, most = SafetensorsWriter(tmp_path, 8192), {}, 0
    for number in range(40):
        size = 101 + 37 * number
        tensor = (torch.arange(size) % 100 / 50.0).to(torch.float8_e4m3fn)
        tensors |= {f"{number}.up": tensor, f"{number}.alpha": torch.tensor(float(number))}
        writer.add(f"{number}.up", tensor)
        writer.add(f"{number}.alpha", tensors[f"{number}.alpha"])
        most = max(most, sum(item.element_size() == 1 for item in writer._waiting.values()))
    path, _ = writer.publish("file", {}, lambda path, size: "{}")
    assert 0 < most <= 7
    dtypes, values, places = read(path)
    for key, tensor in tensors.items():
        assert places[key][0] % (4 if dtypes[key] == "F32" else 1) == 0
        np.testing.assert_array_equal(values[key], tensor.double().numpy())
