from pathlib import Path

from fakes import layer_result
from pytestqt.qtbot import QtBot

from app.storage.job_queue import Job, JobResult, JobState
from app.widgets.bar.result_card import ResultCard
from app.widgets.queue.texts import job_tooltip, outcome
from app.widgets.result.quality_panel import QualityPanel
from engine.analysis.exploration import Exploration
from engine.analysis.quality import judge
from engine.results import ExtractionResult, NoiseFigures, OutputFile
from engine.settings import ExtractionSettings, HardwareSettings

SMALL_CHANGE = NoiseFigures(0.19, 0.28, 0.99, (0.96, 1.0), 0.97, 0.81)
CLAUSE = "eeps 99.0 % of the real change (80.1 % of the stored difference; 19 % of it is rounding)"


def result(noise: NoiseFigures | None) -> ExtractionResult:
    rows = tuple(layer_result(f"diffusion_model.{name}.weight", 0.801) for name in "ab")
    output = OutputFile(Path("/l/a.safetensors"), Path("/l/a.json"), "8", "comfyui", 10**6, 0.801, 0.801, noise=noise)
    return ExtractionResult((output,), rows, (), 2.0, 0, 0)


def test_the_result_says_in_its_tooltip_what_the_real_change_kept_assumes(qtbot: QtBot) -> None:
    panel = QualityPanel()
    qtbot.addWidget(panel)
    finished, settings = result(SMALL_CHANGE), ExtractionSettings()
    panel.show_quality(judge(settings, finished, Exploration.of_result(settings, finished)))
    assert "real change" in panel.of_what.text()
    assert "between 96.0 % and 100 %" in panel.of_what.toolTip()
    assert "rounded once" in panel.of_what.toolTip()


def test_the_card_of_a_run_has_the_same_words_and_the_assumption_in_its_tooltip() -> None:
    card = ResultCard(result(SMALL_CHANGE))
    assert "keeps 99.0 % of the real change (80.1 % as stored, 19 % rounding)" in card.detail()
    assert f"K{CLAUSE}." in card.tooltip()
    assert "rounded once" in card.tooltip()
    plain = ResultCard(result(None))
    assert "real change" not in plain.detail() + plain.tooltip()


def job_with(noise: NoiseFigures | None) -> Job:
    written = JobResult(Path("/l/a.safetensors"), 10**6, 0.801, 0.7, 2.0, noise=noise)
    settings, hardware = ExtractionSettings(), HardwareSettings()
    return Job("a", Path("/m/a"), Path("/m/b"), settings, hardware, Path("/l"), JobState.DONE, written)


def test_a_job_in_the_queue_shows_the_real_change_beside_the_plain_share() -> None:
    assert outcome(job_with(SMALL_CHANGE), None).first == "Keeps 99.0 % of the real change, 80.1 % as stored"
    assert "rounded once" in job_tooltip(job_with(SMALL_CHANGE))
    assert outcome(job_with(None), None).first == "Keeps 80.1 %, weakest layer 70.0 %"
    alone = NoiseFigures(0.95, 1.0, None, None, None, 0.0)
    assert outcome(job_with(alone), None).first == "Keeps 80.1 % as stored; all of it rounding"
