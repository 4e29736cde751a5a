"""The window opens what version 0.1.0 wrote: session, profiles, preferences, speeds and the queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from earlier_home import EarlierHome, assert_best_at_rank, open_earlier_home, stored_changes
from pytestqt.qtbot import QtBot
from safetensors import safe_open

from app.storage.job_queue import JobState
from app.storage.preferences import PreferenceStore
from app.storage.speeds import SpeedStore, method_of
from app.window.main_window import MainWindow
from app.work.engine_port import LocalEngine
from app.work.live_queue import LiveQueue
from engine.settings import ExtractionSettings, HardwareSettings

CHOSEN = ExtractionSettings(
    filename_prefix="loras/mine",
    lora_type="adaptive_energy",
    rank=12,
    adaptive_param=0.9,
    algorithm="svd_lowrank",
    lowrank_iters=4,
    output_dtype="bf16",
    seed=5,
    min_change=0.001,
    components=("denoiser", "other"),
    exclude=("*norm*", "*bias*"),
)
ATTIC = HardwareSettings(device="cpu", batch_size=3, prefetch_ahead=1, memory_threshold=0.8, memory_budget=3 * 2**30)
QUEUE_MS = 120_000
WindowMaker = Callable[..., MainWindow]


@pytest.fixture
def earlier(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> EarlierHome:
    return open_earlier_home(tmp_path / "earlier", monkeypatch)


def test_the_window_comes_back_as_it_was_left(earlier: EarlierHome, make_window: WindowMaker) -> None:
    window = make_window()
    frame = window.frame
    assert frame.options.settings() == CHOSEN
    assert frame.hardware.settings() == ATTIC
    assert frame.hardware.profiles.name == "Attic computer"
    assert frame.options.more_shown()
    assert frame.hardware.more_shown()
    assert frame.models.models() == (earlier.model("chosen"), earlier.original)
    assert window.model.request.output_dir == earlier.out
    assert window.theme.choice == "dark"
    assert window.model.session.recent_finetuned == [earlier.model("chosen").as_posix()]
    assert window.model.session.welcomed
    assert not earlier.set_aside()


def test_own_profiles_are_there_to_be_chosen(earlier: EarlierHome, make_window: WindowMaker) -> None:
    profiles = make_window().profiles
    assert profiles.own_names() == ("Attic computer", "Büro")
    assert profiles.get("Attic computer") == ATTIC
    assert profiles.get("Büro").blocks_in_gpu == 7
    assert (profiles.problem, profiles.damaged) == (None, ())


def test_preferences_come_back(earlier: EarlierHome) -> None:
    store = PreferenceStore()
    read = store.load()
    assert (read.language, read.notify, read.single_instance) == ("de", False, False)
    assert store.problem is None


def test_what_was_learnt_of_this_machine_is_known(earlier: EarlierHome) -> None:
    store = SpeedStore()
    assert store.knows("CPU, 2 cores", method_of(CHOSEN))
    speed = store.find("CPU, 2 cores", method_of(CHOSEN))
    assert speed is not None
    assert (speed.read_per_second, speed.layer_seconds) == (1000000000.0, 0.4039820915234274)
    assert 1e8 < speed.work_per_second < 1e11  # was 5e10 floating point operations; the unit is a nanosecond now
    assert store.problem is None


def test_the_queue_shows_what_became_of_each_job(earlier: EarlierHome, make_window: WindowMaker) -> None:
    window = make_window(queue=LiveQueue())
    model = window.frame.queue.model
    jobs = [model.job(row) for row in range(model.rowCount())]
    assert [(job.finetuned, job.extraction.rank, job.state) for job in jobs] == [
        (earlier.model("queued"), 4, JobState.DONE),
        (earlier.model("gone"), 4, JobState.FAILED),
        (earlier.model("queued"), 10, JobState.STOPPED),
        (earlier.model("queued"), 8, JobState.WAITING),
        (earlier.model("queued"), 2, JobState.WAITING),
    ]
    done, failed, stopped, running, waiting = jobs
    assert done.result is not None
    assert done.result.file.parent == earlier.out / "loras"
    assert done.result.mean == pytest.approx(0.8508802935412737)
    assert failed.failure is not None
    assert failed.failure.message == "gone.safetensors does not exist."
    assert stopped.layers_kept == (3, 7)
    assert running.interrupted
    assert (running.extraction.lora_type, running.extraction.algorithm) == ("adaptive_energy", "svd_lowrank")
    assert (waiting.extraction.lora_type, waiting.interrupted, waiting.started) == ("full", False, None)
    assert {job.hardware for job in jobs} == {HardwareSettings(device="cpu", batch_size=1, prefetch_ahead=0)}
    assert not earlier.set_aside()


def test_the_queue_goes_on_where_it_was_killed(earlier: EarlierHome, make_window: WindowMaker, qtbot: QtBot) -> None:
    queue = LiveQueue()
    window = make_window(queue=queue, engine=LocalEngine())
    with qtbot.waitSignal(window.queue_control.ended, timeout=QUEUE_MS):
        window.queue_control.run_all()
    states = [job.state for job in queue.jobs]
    assert states == [JobState.DONE, JobState.FAILED, JobState.DONE, JobState.DONE, JobState.DONE]
    dates = []
    for job in queue.jobs[2:]:
        assert job.result is not None
        with safe_open(job.result.file, "np") as file:
            dates.append(file.metadata()["modelspec.date"])
    assert dates[:2] == ["2026-11-27T11:08:10+00:00", "2026-11-27T11:08:11+00:00"]  # when the killed ones began
    result = queue.jobs[2].result
    assert result is not None
    added = stored_changes(result.file)
    wanted = {name: change for name, change in earlier.changes("queued").items() if name in added}
    assert len(added) == 7
    assert_best_at_rank(added, wanted, 10)
