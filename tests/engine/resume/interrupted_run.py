"""A run in a process of its own, to be killed: prints each layer that counts as done.

python interrupted_run.py FINETUNED ORIGINAL STORE OUTPUT SETTINGS_JSON [SECONDS_PER_LAYER]

The settings are a list of those of each file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from watched_processor import Watch, pause, watched_by

from engine.cancel import CancelToken
from engine.events import Finished, LayerDone
from engine.extraction.extraction import extract
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings
from engine.store.store import DecompositionStore


def main(finetuned: str, original: str, store: str, output: str, settings: str, seconds: str = "0") -> None:
    """Extract; every layer takes at least `seconds`, so that there is time to be killed in."""
    torch.set_num_threads(2)
    hardware = HardwareSettings(device="cpu", batch_size=2)
    with Session(Path(finetuned), Path(original)) as session:
        first, *further = (ExtractionSettings(**values) for values in json.loads(settings))
        plan = session.plan(first, hardware, Path(output), further)
        print("planned", flush=True)
        executor, kept = watched_by(Watch(pause(float(seconds)))), DecompositionStore(Path(store))
        for event in extract(plan, session.finetuned, session.original, CancelToken(), store=kept, executor=executor):
            if isinstance(event, LayerDone):
                print("done", event.index, flush=True)
            elif isinstance(event, Finished):
                result = event.result
                print("finished", result.outputs[0].path, result.layers_reused, result.read_bytes, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
