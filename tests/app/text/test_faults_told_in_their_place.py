"""What is wrong with the output or the device is not blamed on the pair, and says which folder or name it means."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from model_files import matrices, save_model, save_pair
from PySide6.QtWidgets import QApplication

from app.text.errors import error_text
from app.text.estimates import problem_text
from app.text.notices import notice_text
from app.text.window_text import NOT_OF_THE_MODELS, OF_THE_OUTPUT, OF_THE_PAIR, short_error_text
from app.work.engine_port import LocalEngine
from app.work.preparation import PreparationWorker
from app.work.requests import PlanRequest, PreparationAnswer, Prepared
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.planning.estimates import Problem, ProblemCode
from engine.settings import ExtractionSettings, HardwareSettings


class Asker:
    """A preparation worker on this thread, with the real engine."""

    def __init__(self) -> None:
        self.worker = PreparationWorker(LocalEngine())
        self.answers: list[Prepared] = []
        self.worker.answered.connect(self.take)

    def take(self, answer: PreparationAnswer) -> None:
        if isinstance(answer, Prepared):
            self.answers.append(answer)

    def ask(self, pair: tuple[Path, Path], folder: Path, prefix: str = "lora") -> Prepared:
        self.worker.newest_plan += 1
        extraction = ExtractionSettings(filename_prefix=prefix)
        self.worker.prepare(PlanRequest(self.worker.newest_plan, *pair, extraction, HardwareSettings(), folder))
        return self.answers[-1]


@pytest.fixture
def asker(qapp: QApplication) -> Iterator[Asker]:
    asker = Asker()
    yield asker
    asker.worker.close_pair()


@pytest.mark.parametrize("prefix", ["../x", "con", "   ", "a/"])
def test_a_bad_file_name_leaves_the_pair_as_it_is(asker: Asker, tmp_path: Path, prefix: str) -> None:
    pair = save_pair(tmp_path)
    good = asker.ask(pair, tmp_path)
    bad = asker.ask(pair, tmp_path, prefix)
    assert good.plan is not None
    assert (bad.plan, bad.paired) == (None, True)
    assert bad.error is not None
    assert bad.error.code in OF_THE_OUTPUT
    assert bad.pair is not None
    assert bad.pair.matched == len(good.plan.layers) > 0
    assert bad.pair.left_out == good.plan.left_out
    assert bad.session is good.session, "the pair is not opened again"


def test_an_output_folder_is_told_with_its_whole_path(asker: Asker, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    error = asker.ask(save_pair(tmp_path), tmp_path / "notes.txt", "loras/mine").error
    assert error is not None
    message, remedy = short_error_text(error)
    folder = tmp_path / "notes.txt" / "loras"
    assert message == f"The output folder {folder} cannot be made, because {tmp_path / 'notes.txt'} is a file."
    assert remedy == "Choose another output folder."


def test_models_are_still_told_by_their_names_only() -> None:
    error = EngineError(ErrorCode.FILE_EMPTY, file="/a/long/way/model.safetensors")
    assert short_error_text(error)[0] == "model.safetensors is empty."


def test_no_code_speaks_of_the_pair_and_of_something_else() -> None:
    assert set(OF_THE_PAIR) & set(NOT_OF_THE_MODELS) == set()
    assert ErrorCode.DEVICE_UNAVAILABLE in NOT_OF_THE_MODELS


def test_another_model_in_a_folder_is_opened_anew(asker: Asker, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    base = save_model(tmp_path / "base.safetensors", matrices(2, seed=9))
    save_model(tuned / "model.safetensors", matrices(2))
    first = asker.ask((tuned, base), tmp_path)
    assert asker.ask((tuned, base), tmp_path).session is first.session
    (tuned / "model.safetensors").write_bytes(save_model(tmp_path / "new", matrices(4)).read_bytes())
    second = asker.ask((tuned, base), tmp_path)
    assert second.session is not first.session
    assert second.session is not None
    assert second.session.finetuned.path == tuned / "model.safetensors"
    assert len(second.session.finetuned.stored) == 4


def test_a_layer_above_the_budget_is_told_as_what_happens() -> None:
    data = {"name": "diffusion_model.blocks.0.qkv.weight", "needed": 49_000_000, "budget": 3_000_000}
    problem = Problem(ProblemCode.LAYER_EXCEEDS_BUDGET, data)
    message, _ = problem_text(problem)
    assert message == "blocks.0.qkv needs 49 MB: it is worked on alone, above the memory budget of 3.0 MB."
    told = notice_text(Notice(NoticeCode.OVER_BUDGET, "blocks.0.qkv", {**data, "layers": 2}))
    assert told.startswith("The memory budget of 3.0 MB is too small for 2 layers; blocks.0.qkv needs the most, 49 MB.")
    assert told.endswith("above the budget; a budget of 49 MB or a lower rank would do.")


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (178_832, 85_852_160, "179 kB of at least 86 MB"),
        (85_852_159, 85_852_160, "85,852,159 bytes of at least 85,852,160 bytes"),
        (3, 8, "3 bytes of at least 8 bytes"),
        (1, 8, "1 byte of at least 8 bytes"),
    ],
)
def test_sizes_in_errors_are_told_as_sizes(actual: int, expected: int, words: str) -> None:
    error = EngineError(ErrorCode.FILE_TRUNCATED, file="m", actual=actual, expected=expected)
    assert error_text(error)[0] == f"m is cut off: it has {words}."


def test_counts_in_errors_are_written_in_groups() -> None:
    assert "12,345" in error_text(EngineError(ErrorCode.NOTHING_SELECTED, matched=12_345))[0]
