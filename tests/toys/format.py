"""A format of the tests alone: the parts of a name stand in the opposite order, with endings of its own."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from engine.decompose.method import StoredPart
from engine.formats import registry
from engine.formats.lora_format import LayerKeys, LoraFacts, LoraFormat, LoraIndex, index_of
from engine.models.families import Family

ENDINGS: dict[str, StoredPart] = {
    ":left": "up", ":right": "down", ":gain": "alpha", ":change": "difference",
}  # fmt: skip


class ToyFormat(LoraFormat):
    """Holds factors and differences; each layer has an alpha of its own."""

    key = "toy"
    title = "Toy"

    def keys(self, family: Family, name: str, kind: str, *, factors: bool) -> LayerKeys:
        base = "/".join(reversed(name.split(".")))
        return {part: base + ending for ending, part in ENDINGS.items() if factors is (part != "difference")}

    def parse(self, keys: Iterable[str]) -> LoraIndex | None:
        return index_of(keys, ENDINGS)

    def metadata(self, facts: LoraFacts) -> dict[str, str]:
        return {"toy.rank": str(facts.largest_rank)}


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that makes it a format of the program: its row."""
    monkeypatch.setattr(registry, "FORMATS", (*registry.FORMATS, ToyFormat()))
