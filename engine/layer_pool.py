"""The layers of a run, worked on side by side: outcomes in the order of the plan, files hashed meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import TypeVar

from engine.checkpoints import Checkpoint
from engine.deltas import PairBuffers
from engine.device import Device
from engine.errors import EngineError
from engine.layer_work import LayerOutcome, extract_layer, measure_change
from engine.pairing import PairedWeight
from engine.planning import Plan
from engine.side_by_side import in_order

T = TypeVar("T")
_KEPT_BUFFERS = 64  # a buffer above this part of the ceiling is given back after its weight


class LayerPool:
    """Works on the weights of a plan, as many at once as `batch_size` and the memory allow.

    Args:
        plan: what to do.
        finetuned: the fine-tuned model.
        original: the original.
        device: where.
        check: raises where the run is to stop; called before every weight, on the worker's thread.
        begun: told the index and the name of a layer that is begun, on the worker's thread.
    """

    def __init__(
        self,
        plan: Plan,
        finetuned: Checkpoint,
        original: Checkpoint,
        device: Device,
        *,
        check: Callable[[], None],
        begun: Callable[[int, str], None],
    ) -> None:
        self._plan, self._finetuned, self._original, self._device = plan, finetuned, original, device
        self._check, self._begun = check, begun
        self._local = threading.local()

    def outcomes(self) -> Iterator[tuple[int, LayerOutcome]]:
        """What came of each layer, with its index, in the order of the plan.

        Raises:
            EngineError: see `extract_layer`.
        """
        return self._in_order(self._extract, self._plan.layers)

    def changes(self) -> Iterator[tuple[int, float]]:
        """|delta|^2 of each weight that is measured only, with its index."""
        return self._in_order(self._measure, self._plan.measured)

    def hash_meanwhile(self) -> None:
        """Hash both files on a thread of its own; the report waits for it, and meets any error again."""

        def hash_both() -> None:
            with suppress(EngineError):
                self._finetuned.fingerprint()
                self._original.fingerprint()

        threading.Thread(target=hash_both, name="fingerprints", daemon=True).start()

    def _in_order(
        self, work: Callable[[tuple[int, PairedWeight]], T], weights: Sequence[PairedWeight]
    ) -> Iterator[tuple[int, T]]:
        workers, threads = self._device.side_by_side(self._plan.hardware)
        tasks = ((item, self._plan.working_bytes(item[1])) for item in enumerate(weights))
        room = self._device.ceiling_bytes
        with closing(in_order(work, tasks, workers=workers, threads=threads, room=room)) as results:
            yield from enumerate(results)

    def _extract(self, item: tuple[int, PairedWeight]) -> LayerOutcome:
        self._check()
        self._begun(item[0], item[1].name)
        buffers, settings = self._buffers(), self._plan.settings
        outcome = extract_layer(self._finetuned, self._original, item[1], settings, self._device, buffers)
        tensors = {ending: buffers.kept(tensor) for ending, tensor in outcome.tensors.items()}
        buffers.shrink(self._device.ceiling_bytes // _KEPT_BUFFERS)
        return replace(outcome, tensors=tensors)

    def _measure(self, item: tuple[int, PairedWeight]) -> float:
        self._check()
        return measure_change(self._finetuned, self._original, item[1], self._buffers())

    def _buffers(self) -> PairBuffers:
        """Buffers of the thread that asks."""
        if not hasattr(self._local, "buffers"):
            self._local.buffers = PairBuffers()
        buffers: PairBuffers = self._local.buffers
        return buffers
