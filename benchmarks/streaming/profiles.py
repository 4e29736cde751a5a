"""``profiles`` and ``gpu``: the shipped profiles against Safe, and a second run of the same session at rank 48."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from benchmarks.streaming.data import Pair
from benchmarks.streaming.measuring import GIB, Ran, Workplace, run
from benchmarks.streaming.tables import given_way, mib
from engine.devices.device import choose_devices
from engine.errors import EngineError
from engine.presets import HARDWARE_PROFILES
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

FIRST, SECOND = "first, rank 32", "second, rank 48"
_SETTINGS = {FIRST: ExtractionSettings(rank=32), SECOND: ExtractionSettings(rank=48, resume=False)}
_BUDGET = 2 * GIB
_SAFE = next(iter(HARDWARE_PROFILES))


@dataclass(frozen=True)
class ProfileRow:
    """One run under one profile; bytes and seconds.

    Attributes:
        speed: seconds of the same run under Safe over its own.
        resident_bytes: what stayed on the device after it.
    """

    device: str
    profile: str
    which: str
    seconds: float
    speed: float
    peak_bytes: int
    read_bytes: int
    copied_bytes: int
    waited_share: float
    resident_bytes: int
    events: dict[str, int]


@dataclass(frozen=True)
class _Timed:
    ran: Ran
    resident_bytes: int


def profile_rows(place: Workplace) -> list[ProfileRow]:
    """On the processor, with a budget, so that blocks may stay."""
    return _rows(place, {"device": "cpu", "memory_budget": _BUDGET})


def gpu_rows(place: Workplace) -> list[ProfileRow]:
    """On the accelerator; none where there is none."""
    try:
        (device, *_) = choose_devices(HardwareSettings(device=place.device))
    except EngineError:
        return []
    return [] if device.host else _rows(place, {"device": place.device})


def _rows(place: Workplace, where: dict[str, object]) -> list[ProfileRow]:
    pair = place.pair(place.share(0.25))
    profiles = {name: profile.model_copy(update=where) for name, profile in HARDWARE_PROFILES.items()}
    _both(place, pair, profiles[_SAFE])  # first use of every library
    best: dict[tuple[str, str], _Timed] = {}
    for _ in range(place.repeats):
        for name, hardware in profiles.items():
            for which, timed in _both(place, pair, hardware).items():
                known = best.get((name, which), timed)
                best[name, which] = min(known, timed, key=lambda one: one.ran.result.seconds)
    return [
        _row(str(where["device"]), name, which, timed, best[_SAFE, which])
        for which in _SETTINGS
        for (name, run_of), timed in best.items()
        if run_of == which
    ]


def _both(place: Workplace, pair: Pair, hardware: HardwareSettings) -> dict[str, _Timed]:
    with Session(*pair) as session:
        return {
            which: _Timed(run(session, settings, hardware, place.output), session.resident_bytes)
            for which, settings in _SETTINGS.items()
        }


def _row(device: str, profile: str, which: str, timed: _Timed, safe: _Timed) -> ProfileRow:
    result = timed.ran.result
    return ProfileRow(
        device=device,
        profile=profile,
        which=which,
        seconds=result.seconds,
        speed=safe.ran.result.seconds / result.seconds,
        peak_bytes=result.peak_device_bytes,
        read_bytes=result.read_bytes,
        copied_bytes=result.copied_bytes,
        waited_share=result.waited_share,
        resident_bytes=timed.resident_bytes,
        events=timed.ran.events,
    )


def profile_table(rows: list[ProfileRow]) -> Table:
    """All profiles, first runs and then second ones."""
    if not rows:
        return Table(title="gpu: no accelerator on this machine, nothing was measured")
    table = Table(
        *("run", "profile", "s", "Safe / it", "engine's peak MiB", "read MiB", "copied MiB", "waited", "stays MiB"),
        "gave way",
        title=f"profiles on {rows[0].device}",
    )
    for row in rows:
        sizes = map(mib, (row.peak_bytes, row.read_bytes, row.copied_bytes))
        times = f"{row.seconds:.3f}", f"{row.speed:.2f}"
        rest = f"{row.waited_share:.0%}", mib(row.resident_bytes), given_way(row.events)
        table.add_row(row.which, row.profile, *times, *sizes, *rest)
    return table
