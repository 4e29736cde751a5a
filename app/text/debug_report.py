"""The detailed report of ``debug_mode``: the events of a run as lines, with measured numbers alone."""

from __future__ import annotations

from engine.events import (
    BatchDone,
    BatchSizeChanged,
    BlocksResident,
    Event,
    Finished,
    LayerSkipped,
    MemorySample,
    Offloaded,
    OutOfMemory,
    Planned,
)
from engine.results import ExtractionResult, OutputFile

_RULE = "=" * 60
_MIB = 1024 * 1024
_NAMES_SHOWN = 6
_STEPS = {
    "drop_resident": "resident blocks leave",
    "drop_prefetched": "what was read ahead leaves",
    "halve_batch": "half as many layers at once",
    "alone": "this layer alone",
    "cpu": "this layer on the CPU",
}


class DebugReport:
    """Turns the events of one run into lines; keeps only what the lines need."""

    def __init__(self) -> None:
        self._planned: Planned | None = None
        self._last_sample: MemorySample | None = None
        self._above = False
        self._seconds = {"read": 0.0, "upload": 0.0, "compute": 0.0, "write": 0.0}

    def lines(self, event: Event) -> list[str]:
        """The lines that an event adds to the report."""
        if isinstance(event, Planned):
            self._planned = event
            return self._banner(event)
        if isinstance(event, MemorySample):
            self._last_sample = event
            return self._threshold(event.device_used_bytes)
        if isinstance(event, BatchDone):
            return self._batch(event)
        if isinstance(event, LayerSkipped):
            return [f"Layer left out: {event.left_out.name} ({event.left_out.reason.value})"]
        if isinstance(event, Finished):
            return self._totals(event)
        return self._memory_lines(event)

    def _banner(self, planned: Planned) -> list[str]:
        hardware, settings = planned.hardware, planned.settings
        return [
            _RULE,
            "LoRA Extractor - detailed report",
            f"Device: {planned.device} ({planned.device_title}), {planned.device_total_bytes / _MIB:,.0f} MiB",
            f"VRAM mode: {hardware.vram_usage_mode} (a ceiling of {planned.ceiling_bytes / _MIB:,.0f} MiB)",
            f"Blocks in GPU: {hardware.blocks_in_gpu}{self._residency(planned)}",
            f"Batch size: {hardware.batch_size} ({self._side_by_side(planned)})",
            f"Prefetch ahead: {hardware.prefetch_ahead} blocks",
            f"Memory threshold: {100 * hardware.memory_threshold:.1f}%",
            f"Initial {self._memory}: {self._share(planned.device_used_bytes)}",
            f"Layers: {planned.layers}, left out: {len(planned.left_out)}",
            f"Type: {settings.lora_type}, rank {settings.rank}, {settings.algorithm}, {settings.output_dtype}",
            *([f"Files: {', '.join(planned.output_names)}"] if len(planned.output_names) > 1 else []),
            _RULE,
        ]

    def _residency(self, planned: Planned) -> str:
        if planned.device == "cpu" and planned.hardware.memory_budget is None:
            return " (none: a processor keeps blocks only within a memory budget)"
        return ""

    def _side_by_side(self, planned: Planned) -> str:
        if planned.hardware.vram_usage_mode == "conservative":
            return "conservative: one layer at a time, so many read ahead"
        return "layers side by side, as far as memory allows"

    def _batch(self, batch: BatchDone) -> list[str]:
        for stage in self._seconds:
            self._seconds[stage] += getattr(batch.seconds, stage)
        seconds, count = batch.seconds, len(batch.names)
        return [
            f"Processing batch of {count} layer{'s' if count > 1 else ''}: {', '.join(batch.names)}",
            f"Batch processed in {batch.wall_seconds:.2f}s (summed over its layers: read {seconds.read:.2f}, "
            f"upload {seconds.upload:.2f}, compute {seconds.compute:.2f}, write {seconds.write:.2f}), "
            f"{self._memory}: {self._share(batch.device_used_bytes)}",
            *self._threshold(batch.device_used_bytes),
        ]

    def _memory_lines(self, event: Event) -> list[str]:
        if isinstance(event, Offloaded):
            names = ", ".join(event.blocks[:_NAMES_SHOWN]) + (", ..." if len(event.blocks) > _NAMES_SHOWN else "")
            what = "Strategic offload" if event.what == "resident" else "Read-ahead dropped"
            return [
                f"{what} ({event.cause.replace('_', ' ')}): {names}; {event.freed_bytes / _MIB:,.1f} MiB freed, "
                f"kept {event.kept_blocks} blocks",
                f"{self._memory} after offload: {self._share(event.device_used_bytes)}",
            ]
        if isinstance(event, BatchSizeChanged):
            return [f"Batch size {event.before} -> {event.after} ({event.cause.replace('_', ' ')})"]
        if isinstance(event, OutOfMemory):
            return [f"Out of memory in {event.name} on {event.device}: {_STEPS[event.step]}"]
        if isinstance(event, BlocksResident):
            return [
                f"Strategic offload: Kept {event.kept} blocks, offloaded {event.offloaded} blocks",
                f"{self._memory} after offload: {self._share(event.device_used_bytes)}, "
                f"{event.kept_bytes / _MIB:,.0f} MiB kept",
            ]
        return []

    def _threshold(self, used: int) -> list[str]:
        """Say once each time the use rises over the threshold; what follows from it are events of their own."""
        planned = self._planned
        above = planned is not None and used > planned.threshold_bytes
        rose, self._above = above and not self._above, above
        if planned is None or not rose:
            return []
        limit = f"{100 * planned.hardware.memory_threshold:.1f}%"
        return [f"{self._memory} threshold exceeded ({self._share(used)} > {limit})"]

    def _totals(self, finished: Finished) -> list[str]:
        result = finished.result
        stages = ", ".join(f"{stage} {seconds:.2f}s" for stage, seconds in self._seconds.items())
        final = self._share(self._last_sample.device_used_bytes) if self._last_sample else "not sampled"
        return [
            _RULE,
            f"Extraction completed in {result.seconds:.2f} seconds (summed over the layers: {stages})",
            f"The device waited for data {100 * result.waited_share:.1f}% of the time; "
            f"{result.read_bytes / _MIB:,.1f} MiB read, {result.copied_bytes / _MIB:,.1f} MiB copied to it",
            f"Final {self._memory}: {final}, peak {self._share(result.peak_device_bytes)}{self._promised(result)}, "
            f"peak host memory {result.peak_rss_bytes / _MIB:,.0f} MiB",
            f"Layers: {result.layers} written, {result.skipped} left out, {result.capped} cut by the rank cap, "
            f"{self._unclamped(result)}{result.layers_reused} of {result.layers_looked_at} from earlier runs",
            *(line for output in result.outputs for line in _file_lines(output)),
            _RULE,
        ]

    def _promised(self, result: ExtractionResult) -> str:
        promised = result.promised_device_bytes
        return f" of at most {self._share(promised)} promised" if promised else ""

    def _unclamped(self, result: ExtractionResult) -> str:
        own = self._planned is not None and self._planned.settings.own_clamp_limit
        return f"{result.kept_unclamped} kept unclamped, " if own else ""

    @property
    def _memory(self) -> str:
        """The device's memory in a word; a processor has no VRAM."""
        return "memory" if self._planned and self._planned.device == "cpu" else "VRAM"

    def _share(self, used: int) -> str:
        total = self._planned.device_total_bytes if self._planned else 0
        return f"{100 * used / total:.1f}%" if total else f"{used / _MIB:,.0f} MiB"


def _file_lines(output: OutputFile) -> list[str]:
    return [
        f"Energy retained: mean {100 * output.mean_energy_retained:.2f}%, "
        f"worst {100 * output.worst_energy_retained:.2f}%; "
        f"{100 * output.coverage.share:.2f}% of the parameters compared",
        f"LoRA saved to: {output.path}",
    ]
