"""Runs of a session in small limits: on the processor read in parts, and on a simulated device."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from simulated_device import Memory, SimulatedDevice
from torch_memory import peak_bytes

from engine.cancel import CancelToken
from engine.devices.buffer_pool import BufferPool
from engine.devices.device import Device
from engine.devices.memory_rules import Way
from engine.events import Event, Finished
from engine.extraction.block_cache import BlockCache
from engine.extraction.executor import LocalExecutor
from engine.extraction.extraction import extract
from engine.layer import work_on
from engine.models.pairing import PairedWeight
from engine.planning.costs import need, need_within
from engine.planning.plan import Plan
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.streamed_delta import UnreadPair


def shrink_limits(monkeypatch: pytest.MonkeyPatch, *, part_values: int = 1 << 12) -> None:
    """Make everything smaller that does not grow with a layer, so that small layers are large ones."""
    monkeypatch.setattr("engine.decompose.delta._CHUNK", 1 << 10)
    for module in ("engine.streamed_delta", "engine.planning.costs"):
        monkeypatch.setattr(f"{module}.PART_VALUES", part_values)
    for module in ("decompose.workspace", "decompose.delta", "decompose.factors", "streamed_delta", "planning.costs"):
        monkeypatch.setattr(f"engine.{module}.CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr("engine.decompose.workspace._LARGE", 2048 * 64)


def tensors_of(events: list[Event]) -> bytes:
    """The file that a run wrote, behind its header."""
    assert isinstance(events[-1], Finished)
    data = events[-1].result.outputs[0].path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


def simulated_run(
    session: Session,
    settings: ExtractionSettings,
    folder: Path,
    memory: Memory,
    residents: BlockCache | None = None,
    **hardware: Any,
) -> list[Event]:
    """A run on a simulated device."""
    plan = session.plan(settings, HardwareSettings(**hardware), folder)

    def devices(hardware: HardwareSettings) -> tuple[Device, ...]:
        return (SimulatedDevice("sim:0", hardware, memory),)

    executor = partial(LocalExecutor, devices=devices, residents=residents)
    return list(extract(plan, session.finetuned, session.original, CancelToken(), executor=executor))


def taken_in_parts(session: Session, plan: Plan, weight: PairedWeight, way: Way) -> tuple[int, int] | None:
    """Bytes that a layer takes where it is read that way, and the bytes that are stated; None where it never is."""
    ceiling = need(weight, plan.method, host=True).total
    needed = need_within(weight, plan.method, ceiling, measured=False)
    while needed.way != way and ceiling > 1000:
        ceiling = int(0.97 * ceiling)
        needed = need_within(weight, plan.method, ceiling, measured=False)
    if needed.way != way:
        return None
    unread = UnreadPair((session.finetuned, session.original), weight, lambda count: None)

    def work() -> object:
        if way == "pieces":
            return work_on(weight, unread.measured(), plan.method)
        return work_on(weight, unread.filled(BufferPool(0).acquire(4 * weight.numel)), plan.method)

    return peak_bytes(work), needed.work
