"""Random pairs of models and hardware for tests of the streaming runtime."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from model_files import save_model
from simulated_device import Memory, SimulatedDevice

from engine.cancel import CancelToken
from engine.decompose.method import LayerMethod
from engine.devices.device import Device
from engine.events import Event, Finished
from engine.extraction.block_cache import BlockCache
from engine.extraction.executor import LocalExecutor
from engine.extraction.extraction import extract
from engine.planning.costs import need
from engine.planning.plan import Plan
from engine.results import ExtractionResult
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_TYPES = ("standard", "adaptive_energy", "adaptive_quantile", "full")


@dataclass(frozen=True)
class Workload:
    """A pair of files and what to extract from it."""

    pair: tuple[Path, Path]
    settings: ExtractionSettings
    needs: tuple[int, ...]

    @property
    def largest(self) -> int:
        return max(self.needs)


def random_workload(folder: Path, number: int, blocks: int = 5, **chosen: Any) -> Workload:
    """A small model with blocks, norms, biases and odd shapes, in random dtypes."""
    rng, generator = random.Random(number), torch.Generator().manual_seed(number)
    shapes = [(rng.choice([48, 200, 320]), rng.choice([64, 272, 400])) for _ in range(3)]
    tuned: dict[str, torch.Tensor] = {}
    base: dict[str, torch.Tensor] = {}
    dtypes = rng.choice(_DTYPES), rng.choice(_DTYPES)
    for block in range(blocks):
        for name, shape in (*((f"l{i}.weight", shape) for i, shape in enumerate(shapes)), ("norm.weight", (64,))):
            values = 0.05 * torch.randn(shape, generator=generator)
            change = 0.02 * torch.randn(shape, generator=generator)
            base[f"blocks.{block}.{name}"] = values.to(dtypes[1])
            tuned[f"blocks.{block}.{name}"] = (values + change).to(dtypes[0])
    folder.mkdir(parents=True, exist_ok=True)
    pair = save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)
    values = {"filename_prefix": "lora", "rank": rng.choice([4, 8, 24]), "lora_type": rng.choice(_TYPES)}
    values |= {"adaptive_param": 0.6, "output_dtype": "fp32", **chosen}
    settings = ExtractionSettings(**values)
    with Session(*pair) as session:
        weights = session.weights(settings)
    return Workload(
        pair, settings, tuple(need(weight, LayerMethod.of(settings), host=False).total for weight in weights)
    )


def random_hardware(number: int) -> HardwareSettings:
    rng = random.Random(number)
    return HardwareSettings(
        vram_usage_mode=rng.choice(["conservative", "balanced", "aggressive"]),
        blocks_in_gpu=rng.choice([0, 2, 5, 40]),
        batch_size=rng.randint(1, 8),
        prefetch_ahead=rng.choice([0, 1, 2, 10]),
        memory_threshold=rng.choice([0.5, 0.7, 0.85, 0.95]),
    )


@dataclass(frozen=True)
class Simulated:
    """A finished run on simulated devices."""

    result: ExtractionResult
    events: list[Event]
    plan: Plan
    devices: tuple[SimulatedDevice, ...]


def simulate(
    workload: Workload,
    hardware: HardwareSettings,
    memories: tuple[Memory, ...],
    folder: Path,
    *,
    residents: BlockCache | None = None,
    watch: Callable[[Event], None] = lambda event: None,
) -> Simulated:
    """Extract on one simulated device for each memory."""
    made: list[SimulatedDevice] = []

    def devices(hardware: HardwareSettings) -> tuple[Device, ...]:
        made.extend(SimulatedDevice(f"sim:{i}", hardware, memory) for i, memory in enumerate(memories))
        return tuple(made)

    events: list[Event] = []
    with Session(*workload.pair) as session:
        plan = session.plan(workload.settings, hardware, folder)
        executor = partial(LocalExecutor, devices=devices, residents=residents)
        run = extract(plan, session.finetuned, session.original, CancelToken(), executor=executor)
        for event in run:
            watch(event)
            events.append(event)
    finished = events[-1]
    assert isinstance(finished, Finished)
    return Simulated(finished.result, events, plan, tuple(made))
