"""Finds the records of earlier runs that a plan can reuse. Reads the journals' headers only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.planning.plan import Plan
from engine.results import Reusable
from engine.resume.known_layers import furthest
from engine.resume.reuse import find, find_measured, find_noise
from engine.settings import ExtractionSettings
from engine.store import Entry, Journal, PairStore
from engine.store.locks import in_use


@dataclass(frozen=True)
class EarlierRuns:
    """Records that can stand for work.

    Attributes:
        layers: by index in the plan's layers.
        measured: |delta|^2 and the energy of what has grown, by index behind the layers.
        noise: what is known of the rounding errors of either, by index.
        stopped: journals of stopped runs among those that the records are in, newest first.
    """

    layers: dict[int, Entry] = field(default_factory=dict)
    measured: dict[int, tuple[float, float]] = field(default_factory=dict)
    stopped: tuple[Journal, ...] = ()
    noise: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def started(self) -> str:
        """When the last stopped run began, or the first of those that it went on from; ISO 8601, or empty."""
        return str(self.stopped[-1].head.get("started", "")) if self.stopped else ""

    @property
    def threads(self) -> int | None:
        """The processor's cores per layer that it worked with."""
        value = self.stopped[-1].head.get("threads") if self.stopped else None
        return value if isinstance(value, int) and value > 0 else None


def earlier_runs(plan: Plan, pair: PairStore) -> EarlierRuns:
    """Find the records that a plan can reuse: in the journals, or for ``full`` in its temporary file."""
    return _in_part(plan, pair) if plan.method.full else _in_journals(plan, pair)


def part_file(plan: Plan, pair: PairStore) -> Path:
    """The temporary file of ``full``; its name stands for everything that decides the bytes in it."""
    (output,) = plan.outputs
    name = hashlib.sha256(f"{pair.fingerprint}\n{output.identity}".encode()).hexdigest()[:16]
    return output.folder / f".lora-{name}.part"


def _in_journals(plan: Plan, pair: PairStore) -> EarlierRuns:
    """Find the records for a plan in the journals; none where ``resume`` is off."""
    if not plan.resume:
        return EarlierRuns()
    layers: dict[int, Entry] = {}
    for index, weight in enumerate(plan.layers):
        # before ranks are chosen a record to any rank is of use
        best = furthest if plan.sized and plan.method.stores_factors(weight.kind) else find
        entry = best(pair.entries(weight.name), weight, plan.method)
        if entry is not None:
            layers[index] = entry
    measured: dict[int, tuple[float, float]] = {}
    for index, weight in enumerate(plan.measured, len(plan.layers)):
        energy = find_measured(pair.entries(weight.name), weight)
        if energy is not None:
            measured[index] = energy
    stopped = _stopped(plan, pair.journals, (entry.path for entry in layers.values()))
    return EarlierRuns(layers, measured, stopped, _noise(plan, pair, (*layers, *measured)))


def _noise(plan: Plan, pair: PairStore, indices: Iterable[int]) -> dict[int, dict[str, Any]]:
    weights = (*plan.layers, *plan.measured)
    found = {index: find_noise(pair.entries(weights[index].name), weights[index]) for index in indices}
    return {index: noise for index, noise in found.items() if noise is not None}


def _in_part(plan: Plan, pair: PairStore) -> EarlierRuns:
    """Find what stopped runs of ``full`` wrote into their temporary file, as far as it goes without a gap."""
    part = part_file(plan, pair)
    if not plan.resume or not part.exists():
        return EarlierRuns()
    layers: dict[int, Entry] = {}
    for index, weight in enumerate(plan.layers):
        entries = pair.entries(weight.name)
        entry = next((entry for entry in entries if entry.fields.get("part") == part.name), None)
        if entry is None or (layers and entry.fields["generation"] != layers[0].fields["generation"]):
            break
        layers[index] = entry
    stopped = _stopped(plan, pair.journals, (entry.path for entry in layers.values()))
    return EarlierRuns(layers, {}, stopped, _noise(plan, pair, layers))


def summary(plan: Plan, earlier: EarlierRuns) -> Reusable:
    """How many layers of a plan are reused, as the application shows it."""
    at_hand = frozenset((*earlier.layers, *earlier.measured))
    return Reusable(len(earlier.layers), len(plan.layers), bool(earlier.stopped), earlier.started, at_hand)


def _stopped(plan: Plan, journals: Iterable[Journal], used: Iterable[Path]) -> tuple[Journal, ...]:
    """Of the journals that are used those of stopped runs of this very kind; of others only records are taken."""
    paths, wanted = set(used), [_that_matter(output.made_with) for output in plan.outputs]
    return tuple(
        journal
        for journal in journals
        if journal.path in paths
        and not journal.finished
        and _settings_of(journal) == wanted
        and not in_use(journal.path)
    )


def _settings_of(journal: Journal) -> list[dict[str, Any]]:
    """The settings of each file that a run was to write."""
    head = journal.head
    return [_that_matter(settings) for settings in (head.get("settings", {}), *head.get("further_settings", []))]


def _that_matter(settings: dict[str, Any]) -> dict[str, Any]:
    """Those that decide numbers; what an older version did not ask was as it is by default now."""
    settings = ExtractionSettings().model_dump(mode="json") | settings
    return {name: value for name, value in settings.items() if name not in ("resume", "filename_prefix")}
