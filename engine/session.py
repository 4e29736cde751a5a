"""What outlives one extraction: the open pair of models, matched once.

The window keeps one session per pair of cards, the command line one per call. Opening and planning read headers
only and do not import torch; extracting and verifying do.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint, pair_fingerprint
from engine.checkpoints.header_snapshot import HeaderSnapshot
from engine.devices.process_memory import trim_heap
from engine.errors import EngineError, ErrorCode
from engine.events import Event, VerifyProgress
from engine.models.pairing import PairedWeight, pair, select
from engine.planning.inspection import PairSummary, inspect_model, open_model, summarise_pair
from engine.planning.pair_order import PairOrder, pair_order
from engine.planning.plan import Plan, make_plan
from engine.planning.sizing import SizeRange, size_range
from engine.results import Reusable, Verification
from engine.resume.earlier_runs import earlier_runs, summary
from engine.settings import MOST_RANK, ExtractionSettings, HardwareSettings
from engine.store import DecompositionStore

if TYPE_CHECKING:
    from engine.analysis.pair_verdict import PairSample
    from engine.extraction.block_cache import BlockCache

__all__ = ["Session", "inspect_model"]


class Session:
    """A fine-tuned model and its original, opened read-only and matched."""

    def __init__(self, finetuned: Path, original: Path, store: DecompositionStore | None = None) -> None:
        """Open and match.

        Args:
            finetuned: the fine-tuned model: a file, or a folder with one model in it.
            original: the model it was made from, likewise.
            store: keeps finished layers for later runs; None keeps nothing.

        Raises:
            EngineError: ``same_file``, ``no_common_weights``, ``quantised``, and all that opening may raise.
        """
        self._store = store
        self._residents: BlockCache | None = None
        self.finetuned: Checkpoint = open_model(finetuned)
        try:
            self.original: Checkpoint = open_model(original)
            try:
                if self.finetuned.is_same(self.original):
                    raise EngineError(ErrorCode.SAME_FILE, file=self.finetuned.path)
                self.pairing = pair(self.finetuned, self.original)
            except BaseException:
                self.original.close()
                raise
        except BaseException:
            self.finetuned.close()
            raise

    @classmethod
    def from_cache(cls, store: DecompositionStore, start: str) -> Session:
        """A session for a pair that is in a store, without its files: what the store can answer it can extract.

        Args:
            store: the store.
            start: the pair's fingerprint, or the start of it.

        Raises:
            EngineError: ``not_cached``.
        """
        found = store.find(start)
        session = cls.__new__(cls)
        session._store, session._residents = store, None
        try:
            models = found.models
            session.finetuned = HeaderSnapshot(models["finetuned"])
            session.original = HeaderSnapshot(models["original"])
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(ErrorCode.NOT_CACHED, name=start, available=[], reason="no_pair") from error
        session.pairing = pair(session.finetuned, session.original)
        return session

    def summary(self, settings: ExtractionSettings) -> PairSummary:
        """What would be extracted under some settings."""
        return summarise_pair(self.pairing, settings, self.order)

    @cached_property
    def order(self) -> PairOrder:
        """What speaks for either model being the original: names, headers, small texts beside them, and dates."""
        return pair_order(self.finetuned, self.original)

    def plan(
        self,
        settings: ExtractionSettings,
        hardware: HardwareSettings,
        output_dir: Path,
        also: Sequence[ExtractionSettings] = (),
    ) -> Plan:
        """Plan an extraction; headers only. See `engine.planning.plan.make_plan`.

        Raises:
            EngineError: ``output_escapes``, ``output_is_input``, ``output_unwritable``, ``format_unknown``,
                ``format_unsuitable``, ``nothing_selected``, ``disk_full``.
        """
        try:
            for checkpoint in (self.finetuned, self.original):
                if output_dir.is_file() and any(output_dir.samefile(path) for path in checkpoint.paths):
                    raise EngineError(ErrorCode.OUTPUT_IS_INPUT, file=output_dir)
            return make_plan(self.pairing, settings, hardware, output_dir, also)
        except OSError as error:  # a folder that may not even be looked into
            reason = error.strerror or str(error)
            raise EngineError(ErrorCode.OUTPUT_UNWRITABLE, file=output_dir, reason=reason) from error

    def sizes(self, plan: Plan) -> tuple[SizeRange, ...]:
        """The sizes that each file of a plan could have, from rank 1 of every layer to all ranks; headers only.

        In the order of `Plan.outputs`. Where layers turn out to be unchanged a file can be smaller than the least.
        """
        return tuple(
            size_range(plan.method, output, plan.layers, cap=MOST_RANK if output.goal is None else output.goal.cap)
            for output in plan.outputs
        )

    def extract(self, plan: Plan, cancel: CancelToken) -> Generator[Event, None, None]:
        """Run a plan; see `engine.extraction.extraction.extract`."""
        from engine.extraction.block_cache import BlockCache
        from engine.extraction.executor import LocalExecutor
        from engine.extraction.extraction import extract

        self._residents = self._residents or BlockCache()
        here = partial(LocalExecutor, residents=self._residents)
        return extract(plan, self.finetuned, self.original, cancel, store=self._store, executor=here)

    def kept(self, plan: Plan) -> Reusable:
        """What earlier runs of this pair left for a plan. Reads up to 32 MiB of the models, once, and needs no torch.

        Raises:
            EngineError: ``input_changed`` or ``file_unreadable``.
        """
        if self._store is None:
            return Reusable(0, len(plan.layers), False, "")
        fingerprint = pair_fingerprint(self.finetuned, self.original)
        pair_store = self._store.open(fingerprint, (self.finetuned.name, self.original.name))
        return summary(plan, earlier_runs(plan, pair_store))

    @property
    def keeps_layers(self) -> bool:
        """Whether finished layers stay for later runs."""
        return self._store is not None

    @property
    def resident_bytes(self) -> int:
        """What stays on devices for the next extraction."""
        return 0 if self._residents is None else self._residents.nbytes

    def free_memory(self) -> int:
        """Give it back; returns its bytes. Not while an extraction is on its way."""
        if self._residents is None:
            return 0
        freed = self._residents.clear()
        trim_heap()
        return freed

    def weights(self, settings: ExtractionSettings) -> tuple[PairedWeight, ...]:
        """The weights that would be extracted under some settings."""
        return select(self.pairing, settings).extracted

    def compare(self, weights: tuple[PairedWeight, ...], cancel: CancelToken) -> Iterator[tuple[PairedWeight, bool]]:
        """Tell which weights differ by value; see `engine.analysis.comparison.compare_weights`."""
        from engine.analysis.comparison import compare_weights

        return compare_weights(self.finetuned, self.original, weights, cancel)

    def sample(self, settings: ExtractionSettings, cancel: CancelToken) -> PairSample | None:
        """What some rows of some layers say of the pair, before a run; see `engine.analysis.sampled_pair.sample_pair`.

        None where nothing would be extracted under these settings. Any thread may call it, beside a run, too.
        """
        from engine.analysis.sampled_pair import sample_pair

        weights = self.weights(settings)
        return sample_pair(self.finetuned, self.original, weights, cancel) if weights else None

    def verify(self, lora: Path, cancel: CancelToken) -> Iterator[VerifyProgress | Verification]:
        """Judge a LoRA against the pair; see `engine.analysis.verify.verify`."""
        from engine.analysis.verify import verify

        return verify(lora, self.finetuned, self.original, self.pairing, cancel, residents=self._residents)

    def close(self) -> None:
        """Give both files and all memory back to the system."""
        self.free_memory()
        self.finetuned.close()
        self.original.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
