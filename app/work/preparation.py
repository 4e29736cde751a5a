"""The object that reads headers, pairs models and plans, on its own thread, so that the window never waits for a disk.

Requests carry a number. A newer request makes an older one stale: it is skipped if it has not begun, and
the controller drops its answer if it has.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from app.work.engine_port import Engine, as_engine_error
from app.work.requests import (
    DeviceAnswer,
    DeviceFound,
    DeviceMissing,
    DeviceRequest,
    FreeMemory,
    Inspected,
    InspectRequest,
    LeavePair,
    MemoryFreed,
    MemoryKept,
    PlanRequest,
    PreparationRequest,
    Prepared,
    Sampled,
    SampleRequest,
)
from engine.checkpoints.folder import files_of_models
from engine.planning.plan import Plan
from engine.planning.sizing import SizeRange
from engine.results import Reusable

if TYPE_CHECKING:
    from engine.session import Session


class PreparationWorker(QObject):
    """Answers requests one after the other and owns the open pair.

    Attributes:
        newest_plan: number of the newest plan request; set by the controller from its thread.
        newest_inspection: the same for each side.
        answered: a `PreparationAnswer`.
    """

    answered = Signal(object)

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._session: Session | None = None
        self._key: tuple[Any, ...] | None = None
        self.newest_plan = 0
        self.newest_inspection: dict[str, int] = {}

    @Slot(object)
    def take(self, request: PreparationRequest) -> None:
        """Work on a request."""
        match request:
            case InspectRequest():
                self.inspect(request)
            case PlanRequest():
                self.prepare(request)
            case LeavePair():
                self.leave_pair()
            case FreeMemory():
                self.free_memory()

    def inspect(self, request: InspectRequest) -> None:
        """Describe a model."""
        if request.number != self.newest_inspection.get(request.side):
            return
        summary, failure = None, None
        try:
            summary = self._engine.inspect(request.path)
        except BaseException as error:
            failure = as_engine_error(error)
        self.answered.emit(Inspected(request, summary, failure))

    def prepare(self, request: PlanRequest) -> None:
        """Pair, unless this pair is open already, and plan."""
        if request.number != self.newest_plan:
            return
        session, plan, failure, paired = None, None, None, False
        kept, pair, family, sizes = None, None, None, None
        try:
            session = self._pair(request.finetuned, request.original)
            paired = True
            with suppress(Exception):  # for the card only: whatever is wrong the plan says better
                pair = session.summary(request.extraction)
                family = session.pairing.family
            plan = session.plan(request.extraction, request.hardware, request.output_dir, request.also)
            kept, sizes = _kept(session, plan), _sizes(session, plan)
        except BaseException as error:
            failure = as_engine_error(error)
        self._emit_memory()
        self.answered.emit(Prepared(request, session, plan, failure, paired, kept, pair, family, sizes))

    def free_memory(self) -> None:
        """Give back what the open pair keeps on the device."""
        freed = 0
        if self._session is not None:
            with suppress(Exception):  # then the answer is that nothing was freed
                freed = self._session.free_memory()
        self.answered.emit(MemoryFreed(freed))
        self._emit_memory()

    def leave_pair(self) -> None:
        """Close the open pair, because the person took a model away."""
        self.close_pair()
        self._emit_memory()

    def close_pair(self) -> None:
        """Close the files of the open pair, and free what it keeps on the device."""
        session, self._session, self._key = self._session, None, None
        if session is not None:
            session.close()

    def _pair(self, finetuned: Path, original: Path) -> Session:
        key = (*_identity(finetuned), *_identity(original))
        if self._session is None or key != self._key:
            self.close_pair()
            self._session = self._engine.open_pair(finetuned, original)
            self._key = key
        return self._session

    def _emit_memory(self) -> None:
        self.answered.emit(MemoryKept(self._session.resident_bytes if self._session is not None else 0))


class SampleWorker(QObject):
    """Looks at some rows of an open pair; on a thread of its own, as it loads torch and waits for disks.

    Attributes:
        answered: a `Sampled`; nothing for a request that was cancelled.
    """

    answered = Signal(object)

    @Slot(object)
    def sample(self, request: SampleRequest) -> None:
        """Look at the pair. Its files may be closed meanwhile: then the request was cancelled before."""
        if request.cancel.cancelled:
            return
        sample = None
        with suppress(Exception):  # for the card only: whatever is wrong a run says better
            sample = request.session.sample(request.extraction, request.cancel)
        if not request.cancel.cancelled:
            self.answered.emit(Sampled(request, sample))


class DeviceWorker(QObject):
    """Finds the device that would compute; on a thread of its own, as loading torch takes seconds.

    Attributes:
        answered: a `DeviceAnswer`.
    """

    answered = Signal(object)

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    @Slot(object)
    def describe(self, request: DeviceRequest) -> None:
        """Describe the device, or say why it cannot be used."""
        answer: DeviceAnswer
        try:
            answer = DeviceFound(request.hardware, self._engine.describe_device(request.hardware))
        except BaseException as error:
            answer = DeviceMissing(request.hardware, as_engine_error(error))
        self.answered.emit(answer)


def _kept(session: Session, plan: Plan) -> Reusable | None:
    """What earlier runs left for a plan; an error here is no reason not to plan."""
    if not plan.resume:
        return None
    try:
        return session.kept(plan)
    except Exception:
        return None


def _sizes(session: Session, plan: Plan) -> SizeRange | None:
    """The sizes that the first file of a plan can have; an error here is no reason not to plan."""
    if plan.settings.target_size is None:
        return None
    try:
        return session.sizes(plan)[0]
    except Exception:
        return None


def _identity(path: Path) -> tuple[Any, ...]:
    """What changes when another file takes this path, a place in this folder, or that of a part of the same model."""
    try:
        inside = files_of_models(path)
    except OSError:
        inside = ()
    return tuple(map(_state, (path, *inside)))


def _state(path: Path) -> tuple[Any, ...]:
    try:
        status = path.stat()
    except OSError:
        return (path, None, None)
    return (path, status.st_size, status.st_mtime_ns)
