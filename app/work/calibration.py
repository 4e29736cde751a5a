"""The speed of a device, measured on synthetic layers before the first run measures it."""

from __future__ import annotations

import math
import time

import torch

from app.storage.speeds import GUESS
from engine.checkpoints import StoredTensor, WeightSource, WeightView
from engine.checkpoints.stored import RAW
from engine.decompose.delta import subtract
from engine.decompose.method import LayerMethod
from engine.devices.device import Device, choose_devices
from engine.layer import work_on
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.planning.estimates import Speed
from engine.planning.work import work
from engine.settings import ExtractionSettings, HardwareSettings

CALIBRATION_SECONDS, CALIBRATION_ROUNDS = 0.15, 16
AROUND_SECONDS = 0.002  # reading, emitting events, writing and syncing a small layer, on a usual drive
SMALL_SIDE, HOST_SIDE, DEVICE_SIDE = 32, 1024, 3072


def calibrate(settings: ExtractionSettings, hardware: HardwareSettings) -> Speed:
    """Time the real work on made-up layers, one large and one small, in a fraction of a second.

    The device is used as by one layer at a time, so where layers side by side are faster it promises too little.

    Raises:
        EngineError: ``device_unavailable``.
    """
    device, method = choose_devices(hardware)[0], LayerMethod.of(settings)
    side = HOST_SIDE if device.host else DEVICE_SIDE
    small, large = _made_up(SMALL_SIDE), _made_up(side)
    of_small, of_large = _timed(small, method, device), _timed(large, method, device)
    more = max(of_large - of_small, 0.1 * of_large)
    speed = (work(large, method) - work(small, method)) / more
    beside = max(0.0, of_small - work(small, method) / speed)
    return Speed(speed, GUESS.read_per_second, beside + AROUND_SECONDS)


def _made_up(side: int) -> PairedWeight:
    stored = StoredTensor("made_up", "F32", (side, side), 4 * side * side)
    view = WeightView.of(WeightSource("made_up", stored.shape, "F32", RAW, (stored,)), "denoiser")
    return PairedWeight("made_up.weight", "matrix", "denoiser", (side, side), view, view, Block())


def _timed(weight: PairedWeight, method: LayerMethod, device: Device) -> float:
    """Seconds of the work on a layer whose change decays as that of a usual fine-tune does."""
    side, generator = weight.shape[0], torch.Generator().manual_seed(0)
    index = torch.arange(1, side + 1, dtype=torch.float32)
    left, right, base = (torch.randn((side, side), generator=generator) / math.sqrt(side) for _ in range(3))
    change = left * (index**-0.45 * torch.exp(-index / (0.3 * side)) + 0.02) @ right
    sides = device.upload((base + 0.05 * change).to(torch.bfloat16)), device.upload(base.to(torch.bfloat16))

    def once() -> float:
        started = time.perf_counter()
        with device.computing():
            work_on(weight, subtract(*sides), method)
            device.wait()
        return time.perf_counter() - started

    once()  # the first call loads what all others find
    took: list[float] = []
    while sum(took) < CALIBRATION_SECONDS and len(took) < CALIBRATION_ROUNDS:
        took.append(once())
    return sorted(took)[len(took) // 2]
