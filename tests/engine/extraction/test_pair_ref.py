"""An executor elsewhere: a pair by its files, tasks and a method, in a process that knows nothing else."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from model_files import matrices, random_tensor, save_model

from engine.checkpoints import Checkpoint
from engine.checkpoints.pair_ref import PairRef
from engine.checkpoints.tensors import read_view
from engine.decompose.delta import subtract
from engine.decompose.method import LayerMethod
from engine.errors import EngineError, ErrorCode
from engine.extraction.layer_executor import DeviceFacts, ExecutorSample, RunInputs
from engine.layer import LayerOutcome, work_on
from engine.planning.plan import Plan
from engine.planning.task import Task
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

_opened: list[tuple[Checkpoint, Checkpoint]] = []  # of a worker process


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    base = matrices(3, shape=(90, 50))
    tuned = {name: tensor + 0.1 * random_tensor(*tensor.shape, seed=9) for name, tensor in base.items()}
    return save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)


def begin(ref: PairRef) -> None:
    """The start of a worker process."""
    torch.set_num_threads(1)
    _opened.append(ref.open())


def outcome_there(task: Task, method: LayerMethod) -> tuple[int, bytes]:
    """How often the worker has opened the pair, and the outcome of a layer."""
    return len(_opened), pickle.dumps(outcome_of(task, method, _opened[0]))


def outcome_of(task: Task, method: LayerMethod, models: tuple[Checkpoint, Checkpoint]) -> LayerOutcome:
    views = task.weight.finetuned, task.weight.original
    tuned, base = (read_view(model, view) for model, view in zip(models, views, strict=True))
    return work_on(task.weight, subtract(tuned, base), method)


def plan_of(session: Session, folder: Path) -> Plan:
    settings = ExtractionSettings(rank=7, lora_type="adaptive_energy", adaptive_param=0.6)
    return session.plan(settings, HardwareSettings(device="cpu"), folder)


def test_a_worker_process_opens_the_pair_once_and_computes_the_same_bytes(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    spawn = multiprocessing.get_context("spawn")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with Session(*pair) as session:
        plan, models = plan_of(session, tmp_path / "out"), (session.finetuned, session.original)
        ref = PairRef.of(*models)
        with ProcessPoolExecutor(1, spawn, begin, (ref,)) as worker:
            answers = list(worker.map(outcome_there, plan.tasks, [plan.method] * len(plan.tasks)))
        here = [outcome_of(task, plan.method, models) for task in plan.tasks]
    torch.set_num_threads(threads)
    assert len(answers) == 3
    for (opened, answer), expected in zip(answers, here, strict=True):
        there = pickle.loads(answer)
        assert opened == 1
        assert there.row == expected.row
        assert there.nbytes == expected.nbytes
        for part in ("u", "s", "vh"):
            assert torch.equal(getattr(there.svd, part), getattr(expected.svd, part))


def test_what_an_executor_is_given_and_gives_survives_pickling(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with Session(*pair) as session:
        plan = plan_of(session, tmp_path / "out")
        ref = PairRef.of(session.finetuned, session.original)
    inputs = RunInputs(plan.layers, plan.method, plan.hardware)
    for thing in (ref, inputs, plan.tasks, ExecutorSample(run_bytes=3), DeviceFacts("cpu", "CPU")):
        assert pickle.loads(pickle.dumps(thing)) == thing


@pytest.mark.parametrize("side", [0, 1])
def test_a_model_with_other_contents_is_refused_by_name(side: int, pair: tuple[Path, Path]) -> None:
    with Session(*pair) as session:
        ref = PairRef.of(session.finetuned, session.original)
    for model in ref.open():
        model.close()
    with pair[side].open("r+b") as stream:
        stream.seek(-4, 2)
        stream.write(b"\0\0\0\0")
    with pytest.raises(EngineError) as caught:
        ref.open()
    assert (caught.value.code, caught.value.file) == (ErrorCode.INPUT_CHANGED, str(pair[side]))
