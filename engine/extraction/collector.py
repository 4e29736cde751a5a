"""Collects the outcomes of a run into one output file and its report: tensors, rows, what is not in it, totals."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints import Checkpoint
from engine.checkpoints.tensors import read_view
from engine.decompose.enlarged import enlarge
from engine.decompose.real_change import Counted, Kept, LayerNoise, noise_figures, total_figures
from engine.decompose.stored_layer import Factors
from engine.extraction.report import Quality, Sources, chosen_ranks, metadata, quality, report
from engine.formats.publishing import Publication
from engine.formats.safetensors_writer import Added, SafetensorsWriter
from engine.layer import LayerOutcome, stored_row
from engine.planning.costs import matrix_shape
from engine.planning.output import Output, nothing_changed
from engine.planning.plan import Plan
from engine.results import LayerResult, LeaveOutReason, LeftOut, OutputFile
from engine.streamed_delta import read_grown


class OutputCollector:
    """Takes the outcomes in the order of the plan and writes those that its file holds.

    Attributes:
        writer: the file's temporary form.
        rows: of the report.
        left_out: tensors that are not in the file, with the reasons.
        lost_energy: |delta|^2 of what is not in the file, grown parts of weights included.
        whole_energy: of grown parts that the file holds as they are.
    """

    def __init__(
        self, plan: Plan, output: Output, checkpoints: tuple[Checkpoint, Checkpoint], writer: SafetensorsWriter
    ) -> None:
        self._plan, self._output, self.writer = plan, output, writer
        self._sources = Sources(*checkpoints)
        self._rule = plan.method.storing.index(output.storing)
        self.rows: list[LayerResult] = []
        self.left_out: list[LeftOut] = list(output.left_out)
        self.lost_energy = self.whole_energy = self._energy = self._energy_kept = 0.0
        self._misses_change = False
        self._missing = frozenset((*output.missing, *output.not_loaded))
        self._counted: list[Counted] = []
        self._whole: list[str] = []
        self._kept: list[str] = []
        self._changed: set[str] = set()  # modules that are kept as they are

    def write(self, index: int, outcome: LayerOutcome) -> LayerOutcome:
        """Add a layer's tensors to the file; returns the outcome with the seconds that took."""
        started = time.perf_counter()
        for key, tensor in self._tensors(index, outcome).items():
            self.writer.add(key, tensor)
        took = time.perf_counter() - started
        return replace(outcome, seconds=replace(outcome.seconds, write=outcome.seconds.write + took))

    def added(self, index: int, outcome: LayerOutcome) -> list[Added]:
        """The records of a layer's tensors that were just added to the file."""
        return [self.writer.added(key, tensor) for key, tensor in self._tensors(index, outcome).items()]

    def _tensors(self, index: int, outcome: LayerOutcome) -> dict[str, torch.Tensor]:
        weight = self._plan.layers[index]
        places = self._output.places.get(weight.name, ())
        layer = outcome.stored[self._rule].layer if outcome.stored and places else None
        if self._enlarges(weight.name) and _compared(outcome):
            assert layer is None or isinstance(layer, Factors), "differences enlarge nothing"
            new = read_grown(self._sources.finetuned, weight)
            rule, original = self._output.storing, matrix_shape(weight.shape)
            layer = enlarge(layer, new, original, weight.finetuned.shape, rule)
        return {} if layer is None else self._output.format.tensors(places, layer.parts)

    def write_whole(self, name: str, tensor: torch.Tensor) -> None:
        """Add a weight as it is: one that only the fine-tuned model has, or that the format keeps so if it changed."""
        key = self._output.whole_keys.get(name)
        if key is not None:
            self.writer.add(key, tensor)
            self._whole.append(name)
        elif self._is_kept_whole(name):
            tensor = self._as_kept(name, tensor)
            for copy in self._output.kept_whole[name]:
                self.writer.add(copy, tensor)
            self._kept.append(name)

    def _as_kept(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A fine-tuned weight as it goes into the file: its change times the strength, new rows as they are."""
        strength = self._output.storing.strength
        if strength == 1.0:
            return tensor  # in its own dtype: what rounding takes from the weight may be much of its change
        weight = next(task.weight for task in self._plan.tasks if task.weight.name == name)
        base = read_view(self._sources.original, weight.original).to(torch.float32)
        tensor = tensor.to(torch.float32, copy=True)
        common = tuple(map(slice, map(min, tensor.shape, base.shape)))
        tensor[common] = base[common] + strength * (tensor[common] - base[common])
        return tensor

    def _is_kept_whole(self, name: str) -> bool:
        return bool(self._modules_of(name) & self._changed)

    def _modules_of(self, name: str) -> set[str]:
        """The modules that a weight is kept as it is in, by their keys: each stands there with all that it has."""
        return {key.rpartition(".")[0] for key in self._output.kept_whole.get(name, ())}

    def finish(self, outcome: LayerOutcome) -> LayerResult | None:
        """Count a layer that is in the file, or is not; returns its row as it stands in this file."""
        name = outcome.row.name if outcome.row else outcome.left_out.name if outcome.left_out else ""
        held = name in self._output.places  # if not, the reason is among the plan's
        self._count_grown(name, outcome)
        if outcome.row is None or not held:
            self.measured(name, outcome.delta_energy, outcome.noise)
            if outcome.left_out is not None and held and not (self._enlarges(name) and _compared(outcome)):
                self.left_out.append(outcome.left_out)
            return None
        how = outcome.stored[self._rule].how
        row = stored_row(outcome.row, self._plan.method, self._output.storing, how, outcome.noise)
        row = replace(row, seconds=outcome.seconds)
        self.rows.append(row)
        self._counted.append(Counted(row.delta_energy, row.noise))
        self._energy += row.delta_energy
        self._energy_kept += row.energy_retained * row.delta_energy
        return row

    def _enlarges(self, name: str) -> bool:
        return name in self._output.enlarged

    def _count_grown(self, name: str, outcome: LayerOutcome) -> None:
        """Add the energy of what a weight has beyond the original's shape, against zero."""
        if (self._enlarges(name) and _compared(outcome)) or name in self._output.kept_whole:
            self.whole_energy += outcome.grown_energy
        else:
            self.lost_energy += outcome.grown_energy

    def measured(self, name: str, energy: float, noise: LayerNoise | None = None, grown: float = 0.0) -> None:
        """Add a weight that is not in the file as a change, such as one that is measured only.

        Args:
            name: of the weight.
            energy: |delta|^2.
            noise: the rounding errors in it; None where they were not measured.
            grown: energy of what it has beyond the original's shape.
        """
        held = name in self._output.kept_whole
        figures = None if noise is None else noise_figures(noise, Kept(energy, 1.0, 1.0, (1, 1), None))
        self._counted.append(Counted(energy, figures, kept=held, whole=held))
        energy += grown
        if name in self._output.kept_whole:
            self.whole_energy += energy
            self._changed |= self._modules_of(name) if energy > 0.0 else set()
            return
        self.lost_energy += energy
        self._misses_change = self._misses_change or (energy > 0.0 and name in self._missing)

    def leave_out(self, left_out: LeftOut) -> None:
        """Note a tensor that is not finite."""
        self.left_out.append(left_out)

    def refuse_empty(self) -> None:
        """Raise `EngineError` where all that changed is what the format has no place for, or the program ignores."""
        if not self.rows and self._misses_change:
            raise nothing_changed(self._output, self._plan.pairing.family)

    def seal(self, started: str, run: dict[str, Any]) -> Publication:
        """Finish the file under its temporary name.

        Args:
            started: date for the header.
            run: further totals of the report.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        plan, output, rows, sources = self._plan, self._output, self.rows, self._sources
        figures = self._figures()
        totals = run | {"set_weights": self._whole}
        if self._kept:
            totals |= {"kept_whole": self._kept}
        if output.enlarged:
            totals |= {"enlarged_weights": sorted(output.enlarged)}
        size = self.writer.seal(metadata(plan, output, sources, rows, figures, started))
        text = partial(report, plan, output, sources, rows, self.left_out, figures, totals)
        return Publication(output.target, self.writer, size, text)

    def output_file(self, path: Path, report_file: Path, size_bytes: int) -> OutputFile:
        """What there is to say of the file, once it is in place."""
        output, figures = self._output, self._figures()
        return OutputFile(
            path=path,
            report=report_file,
            rank=output.rank_label,
            key_format=output.format.key,
            size_bytes=size_bytes,
            mean_energy_retained=figures.mean,
            worst_energy_retained=figures.worst,
            coverage=output.coverage,
            ranks=chosen_ranks(output, self.rows),
            program="" if output.program is None else output.program.key,
            strength=output.storing.strength,
            rows=tuple(self.rows),
            left_out=tuple(self.left_out),
            noise=figures.noise,
        )

    def _figures(self) -> Quality:
        """How much of the change the file keeps, and of the real change."""
        found = quality(self.rows, self.lost_energy, self.whole_energy, self._output.enlarged)
        whole = self.whole_energy - sum(layer.energy for layer in self._counted if layer.whole)
        lost = self.lost_energy - sum(layer.energy for layer in self._counted if not layer.kept)
        return replace(found, noise=total_figures(self._counted, max(0.0, lost), max(0.0, whole)))

    def energy_so_far(self) -> float | None:
        """Share of the change kept over the layers done."""
        total = self._energy + self.lost_energy + self.whole_energy
        return (self._energy_kept + self.whole_energy) / total if self.rows and total else None


def _compared(outcome: LayerOutcome) -> bool:
    """Whether a layer was found sound: extracted, or so little changed that the common part is not worth it."""
    reason = None if outcome.left_out is None else outcome.left_out.reason
    return reason in (
        None,
        LeaveOutReason.UNCHANGED,
        LeaveOutReason.BELOW_MIN_CHANGE,
        LeaveOutReason.ONLY_NOISE,
    )
