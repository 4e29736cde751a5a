"""What ComfyUI says of its quantised layers: JSON in a uint8 tensor ``.comfy_quant`` of each layer, or in the header.

The header's ``_quantization_metadata`` is ``{"layers": {name: {...}}}``; its names include the prefix, as in
``model.diffusion_model.blocks.0.attn.qkv``, and where both stand there the header counts. Some programs leave the
prefix out, or take it off the tensors alone, or write the format alone instead of a table. Options stand at top level
or under ``params``.
Source: ComfyUI, comfy/utils.py ``convert_old_quants`` and comfy/ops.py ``_load_quantized_module``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.checkpoints.encodings.encoding import Unclaimed
from engine.checkpoints.encodings.side_data import described, modules, needed, refuse, size_in, table_of
from engine.checkpoints.stored import StoredTensor

METADATA = "_quantization_metadata"
MARKER = "comfy_quant"
_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "model.", "transformer.", "net.")
_SCALE = "weight_scale"


@dataclass(frozen=True)
class Layer:
    """One quantised layer.

    Attributes:
        module: its name, with its dot.
        says: what describes it, for errors: the marker, or the header's table.
        options: what is said of it.
        weight: what is stored.
        stored: where its other tensors are.
    """

    module: str
    says: str
    options: Mapping[str, Any]
    weight: StoredTensor
    stored: Unclaimed

    @property
    def format(self) -> str | None:
        """The format's name; None where there is none."""
        name = self.options.get("format")
        return name if isinstance(name, str) else None

    def option(self, name: str, default: Any = None) -> Any:
        """A value at top level, else under ``params``."""
        nested = self.options.get("params")
        return self.options.get(name, nested.get(name, default) if isinstance(nested, dict) else default)

    def size(self, name: str, default: int) -> int:
        """A length among the options.

        Raises:
            EngineError: ``header_invalid``.
        """
        return size_in({name: self.option(name, default)}, name, self.says)

    def part(self, last: str) -> StoredTensor | None:
        """A tensor of the layer by the last word of its name."""
        return self.stored.get(self.module + last)

    def needed(self, last: str, *dtypes: str) -> StoredTensor:
        """The same where it must be there, in one of some dtypes.

        Raises:
            EngineError: ``header_invalid``.
        """
        part = needed(self.stored, self.module + last, self.weight.name)
        if part.dtype not in dtypes:
            refuse(part.name, f"{described(part)} does not fit the format {self.format}")
        return part

    def check_weight(self, *dtypes: str) -> None:
        """Refuse a weight that is no matrix in one of some dtypes, or has nothing in it.

        Raises:
            EngineError: ``header_invalid``.
        """
        weight = self.weight
        if weight.dtype not in dtypes or len(weight.shape) < 2 or not weight.nbytes:
            refuse(weight.name, f"{described(weight)} does not fit the format {self.format}")

    def beside(self, *lasts: str) -> set[str]:
        """Names of those of its tensors that are there."""
        return {self.module + last for last in (MARKER, *lasts) if self.module + last in self.stored}


def layers(stored: Unclaimed, metadata: Mapping[str, str]) -> Iterator[Layer]:
    """All quantised layers whose weights are there.

    Raises:
        EngineError: ``header_invalid`` where what describes them cannot be read, or a marker has no weight.
    """
    found = _of_header(stored, metadata)
    in_header = {module: options for _, module, options in found if module is not None}
    for module, options in in_header.items():
        yield Layer(module, METADATA, options, stored[f"{module}weight"], stored)
    for module, marker in modules(stored, MARKER):
        if module in in_header:
            continue
        weight = needed(stored, f"{module}weight", marker.name)
        if marker.dtype != "U8":
            refuse(marker.name, f"{described(marker)} is not the JSON of a quantised layer")
        yield Layer(module, marker.name, table_of(stored.read(marker), marker.name), weight, stored)


def merged_tables(texts: Sequence[str]) -> str:
    """The tables of several files of one model as one: each may describe the layers that lie in it alone.

    Args:
        texts: of the headers, in the order of the files. The first one is returned where one of them is no table.
    """
    whole: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for text in reversed(texts):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return texts[0]
        if not isinstance(found, dict) or not isinstance(found.get("layers", {}), dict):
            return texts[0]
        whole |= found
        tables |= found.get("layers", {})
    return json.dumps({**whole, "layers": tables})


def undescribed(stored: Unclaimed, metadata: Mapping[str, str]) -> StoredTensor | None:
    """A scale of a layer that the header does not name, where it names others that are not there.

    Then the layers have other names than their description, and none of them can be read for certain.

    Raises:
        EngineError: see `layers`.
    """
    found = {module for _, module, _ in _of_header(stored, metadata)}
    if None not in found:
        return None
    scales = (scale for module, scale in modules(stored, _SCALE) if f"{module}{MARKER}" not in stored)
    return next((scale for scale in scales if scale.name.removesuffix(_SCALE) not in found), None)


def _of_header(stored: Unclaimed, metadata: Mapping[str, str]) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
    """The layers of the header, the first name that they may have of those whose weights are there, and the options."""
    text = metadata.get(METADATA)
    if text is None:
        return
    tables = table_of(text, METADATA).get("layers", {})
    if not isinstance(tables, dict):
        refuse(METADATA, f"{METADATA} has no table of layers")
    for name, options in tables.items():
        table = {"format": options} if isinstance(options, str) else options
        if not isinstance(table, dict):
            refuse(METADATA, f"{METADATA} does not say how {name} is quantised")
        yield name, next((one for one in _modules_of(name) if f"{one}weight" in stored), None), table


def _modules_of(name: str) -> Iterator[str]:
    """The names that a layer of the header may have in the file, with their dots: with another prefix, or without."""
    for prefix in ("", *_PREFIXES):
        yield f"{prefix}{name}."
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            for other in ("", *_PREFIXES):
                yield f"{other}{name.removeprefix(prefix)}."
