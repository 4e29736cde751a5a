"""What every test gets: a home of its own, so that nobody's settings are read or changed."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Small matrices gain nothing from threads that wait for each other on busy cores. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("here", deadline=None, max_examples=60)
settings.load_profile("here")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="repeat the fault tests as often as the project promises")


@pytest.fixture
def often(request: pytest.FixtureRequest) -> int:
    """How often a fault test tries something new: 200 times with --full, 12 times without."""
    return 200 if request.config.getoption("--full") else 12


@pytest.fixture(autouse=True)
def garbage_on_this_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Qt objects in cycles must not be destroyed by the collector on a worker's thread; see `app.system.gui_gc`."""
    if not {"app", "demo"} & set(request.path.parts):
        yield
        return
    gc.disable()
    gc.freeze()  # else every test would end with a look at all of torch and Qt
    yield
    gc.enable()
    gc.collect()


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORA_EXTRACTOR_HOME", str(tmp_path_factory.mktemp("home")))
