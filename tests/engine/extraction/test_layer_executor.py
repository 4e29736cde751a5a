"""A run knows its executor by the protocol alone, so that another one can do the work."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pytest
from model_files import matrices, save_model

from engine.cancel import CancelToken
from engine.events import Finished
from engine.extraction.executor import LocalExecutor
from engine.extraction.extraction import extract
from engine.extraction.layer_executor import ExecutorSample, LayerExecutor, RunInputs
from engine.layer import LayerOutcome
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings


class Counting:
    """Passes the protocol on to the local executor and counts the results; has nothing else of it."""

    def __init__(self, inputs: RunInputs) -> None:
        self._local, self.inputs = LocalExecutor(inputs), inputs
        self.threads = self._local.threads
        self.taken: list[int] = []
        self.released: list[int] = []
        self.remarks, self.submit, self.observe = self._local.remarks, self._local.submit, self._local.observe
        self.steps = self._local.steps

    def __enter__(self) -> LayerExecutor:
        self._local.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._local.__exit__(kind, error, trace)

    def take(self, timeout: float) -> list[tuple[int, LayerOutcome]]:
        taken = self._local.take(timeout)
        self.taken += [index for index, _ in taken]
        return taken

    def leftover(self) -> list[tuple[int, LayerOutcome]]:
        return self._local.leftover()

    def release(self, index: int) -> None:
        self.released.append(index)
        self._local.release(index)

    def sample(self) -> ExecutorSample:
        return self._local.sample()


def test_another_executor_gives_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    made: list[Counting] = []

    def counting(inputs: RunInputs) -> LayerExecutor:
        made.append(Counting(inputs))
        return made[-1]

    pair = (
        save_model(tmp_path / "tuned.safetensors", matrices(8, seed=1)),
        save_model(tmp_path / "base.safetensors", matrices(8, seed=50)),
    )
    written = []
    for number, executor in enumerate((LocalExecutor, counting)):
        with Session(*pair) as session:
            folder = tmp_path / str(number)
            plan = session.plan(ExtractionSettings(rank=3), HardwareSettings(device="cpu", batch_size=2), folder)
            *_, last = extract(plan, session.finetuned, session.original, CancelToken(), executor=executor)
        assert isinstance(last, Finished)
        written.append(last.result.outputs[0].path.read_bytes())
    assert written[0] == written[1]
    (counted,) = made
    assert sorted(counted.taken) == counted.released == list(range(8)), "results are released in the order of the plan"
    assert [task.index for task in counted.inputs.tasks] == list(range(8))
    assert last.result.read_bytes == counted.sample().read_bytes > 0
