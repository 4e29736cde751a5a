"""Which numbers of a model are compared with those of others: a few rows of every weight of its main part. No torch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.checkpoints import Checkpoint, WeightView
from engine.models.common_parts import is_vocabulary
from engine.models.names import name_tensors
from engine.models.pairing import PairedWeight, Pairing

VALUES = 1 << 18  # of a model, and so 1 MiB of its sample in the index
LEAST_VALUES, MOST_WEIGHTS = 256, 1024  # of each weight; that are sampled
_MOST_BYTES, _LEAST_WEIGHTS = 1 << 26, 4  # read of a model whose weights cannot be read by rows; read whatever it takes
_PARTS = ("denoiser", "text_encoders", "other", "vae")  # the first of these that a model has is compared
ReadBytes = Callable[[WeightView, "Rows"], int]


@dataclass(frozen=True, order=True)
class Rows:
    """Numbers of a weight that are sampled: some of those of neighbouring rows.

    Attributes:
        name: canonical, of the weight.
        start: first row.
        stop: the one after the last.
        skipped: numbers of these rows that are passed over.
        count: numbers that are taken behind them.
    """

    name: str
    start: int
    stop: int
    skipped: int
    count: int

    @classmethod
    def of(cls, name: str, shape: Sequence[int], count: int) -> Rows:
        """About `count` numbers of a weight, chosen by its name and shape alone."""
        rows, width = (shape[0], math.prod(shape[1:])) if shape else (1, 1)
        taken = min(rows, max(1, -(-count // max(1, width))))
        draw = int.from_bytes(hashlib.sha256(f"{name} {list(shape)}".encode()).digest()[:16], "little")
        start = (draw >> 64) % (rows - taken + 1)
        most = min(count, taken * width)
        return cls(name, start, start + taken, draw % (taken * width - most + 1), most)


@dataclass(frozen=True)
class SampleChoice:
    """What of a model is compared.

    Attributes:
        part: the component, such as ``denoiser``.
        numel: its parameters in matrices and convolutions.
        count: numbers that are taken of each weight.
        forms: how its weights are stored, see `form_of`.
        key: of all that decides which rows are sampled: samples with one key fit together.
    """

    part: str
    numel: int
    count: int
    forms: tuple[str, ...]
    key: str

    @classmethod
    def of(cls, model: Checkpoint) -> SampleChoice:
        """Choose by the names and shapes of a model."""
        views = {name: view for name, view in name_tensors(model).views.items() if view.is_weight}
        part = next((part for part in _PARTS if _compared(views, part)), "other")
        chosen = _compared(views, part) or views
        shapes = sorted((name, list(view.shape)) for name, view in chosen.items())
        count = max(LEAST_VALUES, VALUES // max(1, len(chosen)))
        words = json.dumps([part, count, VALUES, LEAST_VALUES, MOST_WEIGHTS, shapes])
        numel = sum(math.prod(view.shape) for view in chosen.values())
        forms = tuple(sorted({form_of(view) for view in chosen.values()}))
        return cls(part, numel, count, forms, hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest())

    def weights_of(self, pairing: Pairing) -> list[PairedWeight]:
        """The weights of a pair that can be sampled, in an order of their names that is no order of depth."""
        whole = [weight for weight in pairing.weights if weight.common is None]
        kinds = [weight for weight in whole if weight.kind in ("matrix", "conv") and not is_vocabulary(weight.name)]
        found = [weight for weight in kinds if weight.component == self.part] or kinds or whole
        return sorted(found, key=lambda weight: hashlib.sha256(weight.name.encode("utf-8", "surrogatepass")).digest())

    def rows_of(self, pairing: Pairing, read_bytes: ReadBytes | None) -> list[tuple[PairedWeight, Rows]]:
        """The rows of a pair to compare, at most about `VALUES` numbers.

        Args:
            pairing: the model and a candidate.
            read_bytes: what reading some rows of a weight takes, which bounds how many are read; None for no bound.
        """
        chosen: list[tuple[PairedWeight, Rows]] = []
        left = _MOST_BYTES
        for weight in self.weights_of(pairing)[:MOST_WEIGHTS]:
            rows = Rows.of(weight.name, weight.shape, self.count)
            if read_bytes is not None:
                left -= max(read_bytes(view, rows) for view in (weight.finetuned, weight.original))
                if left < 0 and len(chosen) >= _LEAST_WEIGHTS:
                    break
            chosen.append((weight, rows))
        return chosen

    def all_rows(self, pairing: Pairing) -> list[tuple[PairedWeight, Rows]]:
        """Rows of every weight that both have, of all parts."""
        whole = (weight for weight in pairing.weights if weight.common is None)
        return [(weight, Rows.of(weight.name, weight.shape, self.count)) for weight in whole]


def form_of(view: WeightView) -> str:
    """How a weight is stored, as one word to compare."""
    forms = dict.fromkeys(f"{piece.source.encoding}/{piece.source.stored_dtype}" for piece in view.pieces)
    return "+".join(forms)


def _compared(views: dict[str, WeightView], part: str) -> dict[str, WeightView]:
    return {
        name: view
        for name, view in views.items()
        if view.component == part and len(view.shape) > 1 and not is_vocabulary(name)
    }
