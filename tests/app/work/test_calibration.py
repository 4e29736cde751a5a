"""A device that no run has used yet is tried out on made-up layers."""

from app.work.calibration import calibrate
from engine.settings import ExtractionSettings, HardwareSettings


def test_the_calibration_measures_the_real_solver() -> None:
    speed = calibrate(ExtractionSettings(rank=16), HardwareSettings(device="cpu"))
    assert 1e7 < speed.work_per_second < 1e13
    assert 0.0 < speed.layer_seconds < 0.5
