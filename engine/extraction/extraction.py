"""One extraction from plan to files, as a generator of events.

The work runs on threads of its own, so that events and memory samples keep coming during a long layer: one thread for
the run, which is also the writer, and those of the executor. They live inside the generator: closing it stops them and
waits for them. Layers in work are abandoned at once, except during a single LAPACK call: then `FinishingStep` says how
long that can take. A drive that does not answer is not waited for.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator

from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint
from engine.devices.device import exact_float32
from engine.devices.process_memory import trim_heap
from engine.errors import Cancelled
from engine.events import Event, Finished, FinishingStep
from engine.extraction.executor import STALLED_SECONDS, LocalExecutor
from engine.extraction.layer_executor import ExecutorChoice
from engine.extraction.run import ExtractionRun
from engine.planning.plan import Plan
from engine.steps import ThreadWork, stoppable
from engine.store import DecompositionStore

_TICK = 0.1
_WORTH_TELLING = 0.5  # seconds after a stop from which on the step that is waited for is emitted


def extract(
    plan: Plan,
    finetuned: Checkpoint,
    original: Checkpoint,
    cancel: CancelToken,
    *,
    store: DecompositionStore | None = None,
    executor: ExecutorChoice = LocalExecutor,
) -> Generator[Event, None, None]:
    """Run a plan.

    Args:
        plan: what to do.
        finetuned: the fine-tuned model.
        original: the original.
        cancel: stops it.
        store: keeps finished layers for later runs; None keeps nothing.
        executor: makes what works on the layers.

    Yields:
        Events, `Planned` first and `Finished` last; `MemorySample` and `Progress` four times a second.

    Raises:
        EngineError: what went wrong; no file is left behind but the journal.
        Cancelled: where `cancel` was used; the same.
    """
    stop = CancelToken()
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    run = ExtractionRun(
        plan,
        (finetuned, original),
        (cancel, stop),
        events.put,
        store=store,
        executor=executor,
    )

    own = ThreadWork(lambda: cancel.cancelled or stop.cancelled)

    def work() -> None:
        try:
            with exact_float32(), stoppable(own):
                events.put(Finished(run.run()))
        except BaseException as error:
            events.put(error)

    thread = threading.Thread(target=work, name="extraction", daemon=True)
    thread.start()
    try:
        yield from _events_until_end(events, run, cancel)
    finally:
        stop.cancel()
        try:
            while thread.is_alive() and not run.stalled(STALLED_SECONDS):
                thread.join(_TICK)
        except BaseException:  # interrupted a second time while it waits for the layers in work
            run.discard()
            raise
        if thread.is_alive():
            run.discard()
        trim_heap()


def _events_until_end(
    events: queue.SimpleQueue[Event | BaseException], run: ExtractionRun, cancel: CancelToken
) -> Iterator[Event]:
    """Yields the events as they come, and after a stop the step that is waited for."""
    announced: FinishingStep | None = None
    while True:
        step = run.finishing() if cancel.cancelled else None
        if step is not None and step.most_seconds > _WORTH_TELLING and not _same(step, announced):
            announced = step
            yield step
        try:
            event = events.get(timeout=_TICK)
        except queue.Empty:
            if cancel.cancelled and run.stalled(STALLED_SECONDS):
                raise Cancelled from None
            continue
        if isinstance(event, BaseException):
            raise event
        yield event
        if isinstance(event, Finished):
            return


def _same(step: FinishingStep, other: FinishingStep | None) -> bool:
    """Whether both speak of one call: after a stop no thread begins another one."""
    return other is not None and (step.name, step.step, step.size) == (other.name, other.step, other.size)
