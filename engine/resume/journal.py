"""The journal of one run: reads the layers of earlier runs of its pair, and records its own for later ones.

A finished layer counts as done when its record is on the disk. Where no journal can be kept the run goes on without
one and says so. For ``full`` the output's temporary file is the journal's other half: the records say which bytes of it
are known to be right, and a later run goes on behind them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from engine.checkpoints import Checkpoint, pair_fingerprint
from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.header_snapshot import remember
from engine.disk import free_bytes, same_disk
from engine.errors import EngineError, ErrorCode
from engine.events import Event, Notice, NoticeCode
from engine.formats.safetensors_writer import Added, SafetensorsWriter
from engine.layer import LayerOutcome
from engine.planning.output import Output
from engine.planning.plan import Plan
from engine.resume.earlier_runs import EarlierRuns, earlier_runs, part_file
from engine.resume.loader import RecordLoader
from engine.resume.records import make_record, restore
from engine.resume.reuse import superseded
from engine.store import DecompositionStore, Entry, JournalWriter, PairStore, Record


class RunJournal:
    """Reads and writes the store for one run.

    Attributes:
        earlier: the records that stand for work.
        started: date of the run, or of the stopped one that it goes on from; ISO 8601.
        threads: the processor's cores per layer of that run; None for a new one.
    """

    def __init__(
        self,
        store: DecompositionStore | None,
        plan: Plan,
        checkpoints: tuple[Checkpoint, Checkpoint],
        emit: Callable[[Event], None],
    ) -> None:
        """Look for earlier runs.

        Raises:
            EngineError: on reading the models for their fingerprint.
        """
        self._plan = plan
        self._store, self._emit = store, emit
        self._models = checkpoints
        self._files = (checkpoints[0].paths, checkpoints[1].paths)
        self._pair: PairStore | None = None
        self._writer: JournalWriter | None = None
        self._part_lock: FileLock | None = None
        self._loader: RecordLoader | None = None
        self._damaged: set[tuple[Path, str]] = set()
        self._outputs: list[Path] = []
        self._generation = secrets.token_hex(8)  # a temporary file that was begun anew has nothing to do with the old
        self.part: Path | None = None
        self.earlier = EarlierRuns()
        if store is not None:
            fingerprint = pair_fingerprint(*checkpoints)
            pair = self._pair = store.open(fingerprint, (checkpoints[0].name, checkpoints[1].name))
            full = plan.method.full
            self.part = self._locked(part_file(plan, pair), store) if full else None
            if full and self.part is None:
                self._pair = None
            else:
                self.earlier = earlier_runs(plan, pair)
            if full and self.earlier.layers:
                self._generation = str(self.earlier.layers[0].fields["generation"])
            for path in pair.set_aside:
                emit(Notice(NoticeCode.JOURNAL_SET_ASIDE, data={"file": str(path)}))
        self.started = self.earlier.started or _now()
        self.threads = self.earlier.threads

    def _locked(self, part: Path, store: DecompositionStore) -> Path | None:
        """The temporary file of ``full``, for this run alone; None where another run has it."""
        lock = FileLock(store.folder / f"{part.name}.lock", timeout=0, thread_local=False)
        try:
            store.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except (OSError, Timeout):  # the same run twice at once: each its own file, this one without a journal
            self._emit(Notice(NoticeCode.JOURNAL_OFF, data={"reason": "the same extraction is on its way already"}))
            return None
        self._part_lock = lock
        return part

    def load_ahead(self, workers: int) -> None:
        """Start the threads that load records. Before any that computes: see `RecordLoader`."""

        def outcome(index: int) -> LayerOutcome:
            entry, weight = entries[index], self._plan.layers[index]
            return restore(entry, weight, self._plan.method, self._files, self.earlier.noise.get(index))

        entries = dict(self.earlier.layers)
        self._loader = RecordLoader(entries, outcome, workers=workers)

    def announce(self) -> None:
        """Emit a notice of how many layers come from earlier runs."""
        counts = {"layers": len(self.earlier.layers), "of": len(self._plan.layers)}
        if self.earlier.layers and self.earlier.stopped:
            self._emit(Notice(NoticeCode.RESUMED, data={**counts, "started": self.started}))
        elif self.earlier.layers:
            self._emit(Notice(NoticeCode.FROM_CACHE, data=counts))

    def open_outputs(self) -> tuple[SafetensorsWriter, ...]:
        """The outputs' temporary files: new ones, or for ``full``, which has one, that which a stopped run left.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``; then there is none.
        """
        writers: list[SafetensorsWriter] = []
        try:
            for output in self._plan.outputs:
                writers.append(self._opened(output))
        except BaseException:
            for writer in reversed(writers):
                writer.abort()
            raise
        self._outputs = [writer.part for writer in writers]
        return tuple(writers)

    def _opened(self, output: Output) -> SafetensorsWriter:
        if self.part is None:
            make: Callable[..., SafetensorsWriter] = import_module(output.format.writer).open_writer
            return make(output.folder, output.header_bytes, output.format)
        if self.earlier.layers:
            with suppress(EngineError, OSError):
                added = [item for index in sorted(self.earlier.layers) for item in self._added(index)]
                return SafetensorsWriter.continued(output.folder, output.header_bytes, self.part, added)
            self.earlier, self._generation = EarlierRuns(), secrets.token_hex(8)
            self._emit(Notice(NoticeCode.JOURNAL_SET_ASIDE, data={"file": str(self.part)}))
        return SafetensorsWriter(output.folder, output.header_bytes, self.part)

    def begin(self, *, threads: int, device: str) -> None:
        """Begin the run's journal; emits `JOURNAL_OFF` and goes on without one where that is impossible."""
        if self._store is None or self._pair is None:
            return
        if not self._plan.method.full:
            self._store.make_room(self._plan.journal_bytes, keep=self._pair)
        if not self._has_room(self._store.folder):
            self._give_up(EngineError(ErrorCode.DISK_FULL, file=self._store.folder, reason="there is no room for it"))
            return
        head: dict[str, Any] = {
            "started": self.started,
            "threads": threads,
            "device": device,
            "settings": self._plan.outputs[0].made_with,
            "hardware": self._plan.hardware.model_dump(mode="json"),
            "batches": [list(batch) for batch in self._plan.batches],
        }
        if len(self._plan.outputs) > 1:
            head["further_settings"] = [output.made_with for output in self._plan.outputs[1:]]
        if self._outputs:
            first, *further = (str(part.absolute()) for part in self._outputs)
            head |= {"part_file": first} | ({"further_part_files": further} if further else {})
        finetuned, original = self._models
        try:
            self._writer = self._pair.begin(head)
            self._pair.remember(lambda: {"finetuned": remember(finetuned), "original": remember(original)})
            self._take_over()
        except EngineError as error:
            self._give_up(error)

    def _has_room(self, folder: Path) -> bool:
        """Whether the disk has room for the journal beside the output; the output comes first."""
        free, plan = free_bytes(folder), self._plan
        if free is None or not plan.method.exact_size:  # for the others only a bound is known
            return True
        done = sum(entry.payload_bytes for entry in self.earlier.layers.values())
        there = [output for output in plan.outputs if same_disk(folder, output.folder) and self.part is None]
        return max(0, plan.journal_bytes - done) + sum(output.output_bytes for output in there) <= free

    def _take_over(self) -> None:
        """Copy the small records that this run uses, so that the journals they are in need not stay for them alone."""
        if self._writer is None or len(self.earlier.layers) == len(self._plan.layers) or self.part is not None:
            return
        for entry in self.earlier.layers.values():
            if entry.fields["what"] != "factors":
                with suppress(EngineError):
                    self._writer.append(entry.load())
        self._writer.sync()

    @property
    def on(self) -> bool:
        """Whether finished layers are kept."""
        return self._writer is not None

    def write(self, finished: list[tuple[int, LayerOutcome]], added: dict[int, list[Added]] | None = None) -> None:
        """Have finished layers on the disk before this returns.

        Args:
            finished: indices and outcomes.
            added: for ``full``, what was added to the output for each, which is on the disk already.
        """
        if self._writer is None or not finished:
            return
        weights = (*self._plan.layers, *self._plan.measured)
        try:
            for index, outcome in finished:
                record = make_record(weights[index], outcome, self._plan.method, self._files[0])
                self._writer.append(record if added is None else self._with_part(record, added.get(index, [])))
            self._writer.sync()
        except EngineError as error:
            self._give_up(error)

    def load(self, index: int) -> LayerOutcome | None:
        """The outcome of a layer from its record; None, with a notice, where the record is damaged or gone."""
        assert self._loader is not None
        try:
            return self._loader.take(index)
        except EngineError as error:
            if error.code is not ErrorCode.JOURNAL_INVALID:
                raise
            entry = self.earlier.layers.pop(index)
            self._damaged.add((entry.path, entry.name))
            self._emit(Notice(NoticeCode.RECORD_DAMAGED, entry.name, {"file": str(entry.path)}))
            return None

    def without_noise(self) -> set[int]:
        """Of the layers and weights that records stand for those that changed and whose rounding no record tells."""
        if self.part is not None:  # whose records speak of the bytes in it alone
            return set()
        earlier = self.earlier
        energies = {index: float(entry.fields["delta_energy"]) for index, entry in earlier.layers.items()}
        energies |= {index: energy for index, (energy, _) in earlier.measured.items()}
        return {index for index, energy in energies.items() if energy > 0.0 and index not in earlier.noise}

    def close(self, *, finished: bool) -> None:
        """End the journal. That of a finished run stays as part of the cache."""
        if self._loader is not None:
            self._loader.close()
        if self._pair is None or self._store is None:
            return
        self._pair.finish(finished, self._superseded, continued=[journal.path for journal in self.earlier.stopped])
        self._pair.touch()
        if finished:
            self._store.make_room()
        self._writer = None
        if self._part_lock is not None:
            self._part_lock.release()
            with suppress(OSError):
                Path(self._part_lock.lock_file).unlink(missing_ok=True)

    def _superseded(self, old: Entry, new: Entry) -> bool:
        return (new.path, new.name) not in self._damaged and superseded(old, new)

    def _give_up(self, error: EngineError) -> None:
        self._writer = None
        if self._pair is not None:
            self._pair.finish(False, goes_on=True)
        reason = str(error.data.get("reason") or error.code.value)
        self._emit(Notice(NoticeCode.JOURNAL_OFF, data={"reason": reason}))

    def _with_part(self, record: Record, added: list[Added]) -> Record:
        assert self.part is not None
        items = [{**vars(item), "waiting": None, "shape": list(item.shape)} for item in added]
        arrays = {item.name: _raw(item.waiting) for item in added if item.waiting is not None}
        return Record(
            record.name,
            {**record.fields, "part": self.part.name, "generation": self._generation, "added": items},
            arrays,
        )

    def _added(self, index: int) -> list[Added]:
        record = self.earlier.layers[index].load()
        return [_added(item, record) for item in record.fields["added"]]


def _added(item: dict[str, Any], record: Record) -> Added:
    raw, shape = record.arrays.get(item["name"]), tuple(item["shape"])
    waiting = None
    if raw is not None:
        dtype = getattr(torch, DTYPES[item["dtype"]].torch_name)
        waiting = torch.from_numpy(raw).view(dtype).reshape(shape)
    return Added(item["name"], item["dtype"], shape, item["nbytes"], item["digest"], waiting)


def _raw(tensor: torch.Tensor) -> Any:
    return tensor.reshape(-1).view(torch.uint8).numpy()


def _now() -> str:
    """The date of a new run, or ``SOURCE_DATE_EPOCH`` for reproducible files, https://reproducible-builds.org."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(epoch), timezone.utc) if epoch.isdigit() else datetime.now(timezone.utc)
    return now.isoformat(timespec="seconds")
