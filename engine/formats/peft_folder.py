"""Write PEFT's folder: weights, ``adapter_config.json``, model card and report, made whole by one rename.

Factors that PEFT keeps for all experts of a layer together are joined here, as soon as the last of them came:
``lora_A`` holds the experts one below the other, (experts * rank, in), ``lora_B`` lets them alternate, (out, rank *
experts). Source: PEFT 0.21, tuners/lora/layer.py, ``ParamWrapper``.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from engine.disk import disk_errors, sync_folder, write_synced
from engine.errors import EngineError
from engine.formats.output_path import REPORT
from engine.formats.peft import Peft
from engine.formats.peft_config import ALPHA, BIAS, MARK, WHOLE, Adapter, Stack, adapter_config, model_card
from engine.formats.safetensors_writer import Added, SafetensorsWriter

WEIGHTS, CONFIG, CARD = "adapter_model.safetensors", "adapter_config.json", "README.md"


class AdapterFolder(SafetensorsWriter):
    """One folder being written. Close it with `publish` or `abort`; until then it has a temporary name."""

    def __init__(self, folder: Path, header_bytes: int, adapter: Adapter) -> None:
        """Create the temporary folder.

        Args:
            folder: which the adapter's own folder goes into; made if it does not exist, and removed again by `abort`.
            header_bytes: room for the weights' header, see `SafetensorsWriter`.
            adapter: what the keys stand for.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        self._temporary = folder / f".lora-{secrets.token_hex(8)}.part"
        self._adapter = adapter
        self._ranks: dict[str, int] = {}
        self._alphas: dict[str, float] = {}
        self._whole: list[str] = []
        self._config: dict[str, Any] = {}
        self._open: dict[str, dict[tuple[int, int], dict[str, torch.Tensor]]] = {}
        try:
            super().__init__(self._temporary, header_bytes, self._temporary / WEIGHTS)
        except EngineError as error:
            raise EngineError(error.code, file=folder, **error.data) from error
        self.folder = folder

    @property
    def part(self) -> Path:
        """The temporary folder."""
        return self._temporary

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Append a tensor, or keep it until the others of its stack have come.

        Args:
            name: a key of the format, see `engine.formats.peft_config.Adapter`.
            tensor: a factor, an alpha, or a whole weight.

        Raises:
            EngineError: ``output_unwritable`` or ``disk_full``.
        """
        key, *marks = name.split(MARK)
        if key in self._adapter.stacks:
            expert, half, part = int(marks[0]), int(marks[1].partition("of")[0]), marks[2]
            members = self._open.setdefault(key, {})
            members.setdefault((expert, half), {})[part] = tensor.detach().cpu().clone()
            stack = self._adapter.stacks[key]
            if len(members) == stack.experts * stack.halves and all(len(item) == 3 for item in members.values()):
                self._close_stack(key)
        elif key.endswith(ALPHA) and key.removesuffix(ALPHA) in self._adapter.targets:
            self._alphas[key.removesuffix(ALPHA)] = float(tensor)
        elif marks == [BIAS]:  # comes when all factors have come
            self._add_whole(f"{key}.base_layer.bias" if key in self._ranks else f"{key}.bias", tensor)
        elif marks == [WHOLE]:
            self._add_whole(key, tensor)
        else:
            target = self._adapter.target_of(key)
            if target is not None:
                self._ranks[target.key] = tensor.shape[0]
            super().add(key, tensor)

    def _add_whole(self, key: str, tensor: torch.Tensor) -> None:
        super().add(key, tensor)
        self._whole.append(key)

    def added(self, name: str, tensor: torch.Tensor) -> Added:
        """No journal goes on with a folder.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(name)

    def _close_stack(self, key: str) -> None:
        stack, members = self._adapter.stacks[key], self._open.pop(key, {})
        first = next(iter(members.values()), None)  # all are multiplied by the same number
        scale = 1.0 if first is None else float(first["alpha"]) / len(first["down"])
        down, up = _stacked(stack, members, scale)
        self._ranks[key] = down.shape[0] // stack.experts
        self._alphas[key] = scale * self._ranks[key]
        super().add(f"{key}.lora_A.weight", down)
        super().add(f"{key}.lora_B.weight", up)

    def seal(self, metadata: Mapping[str, str]) -> int:
        """Finish weights and configuration; returns their size in bytes. See `SafetensorsWriter.seal`."""
        for key in [*self._open]:
            self._close_stack(key)
        for key in [*self._adapter.outer_of(self._ranks)]:
            self._close_stack(key)
        size = super().seal(metadata)
        self._config = adapter_config(self._adapter, self._ranks, self._alphas, self._whole)
        text = json.dumps(self._config, indent=2, ensure_ascii=False) + "\n"
        with disk_errors(self.folder):
            write_synced(self._temporary / CONFIG, text)
        return size + len(text.encode())

    def place(self, path: Path) -> bool:
        """Add the report and the card, and give the folder its name unless the name is taken, in one step.

        Raises:
            OSError: it has its temporary name still.
        """
        report = self._temporary.with_suffix(".report").read_text(encoding="utf-8")
        write_synced(self._temporary / REPORT, report)
        write_synced(self._temporary / CARD, model_card(self._adapter, json.loads(report), path.name, self._config))
        sync_folder(self._temporary)
        return _take(self._temporary, path)

    def withdraw(self, path: Path) -> None:
        """See `SafetensorsWriter.withdraw`."""
        os.rename(path, self._temporary)

    def _remove(self) -> None:
        for name in (CONFIG, CARD, REPORT):
            with suppress(OSError):
                (self._temporary / name).unlink(missing_ok=True)
        super()._remove()


def open_writer(folder: Path, header_bytes: int, lora_format: Peft) -> AdapterFolder:
    """What `LoraFormat.writer` names: a new folder in a folder."""
    return AdapterFolder(folder, header_bytes, lora_format.adapter)


def _stacked(
    stack: Stack, members: Mapping[tuple[int, int], Mapping[str, torch.Tensor]], by: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The factors of all experts: ``lora_A`` (experts * rank, in) and ``lora_B`` (out, rank * experts).

    Of two joined matrices, the gate and the projection up, each has rows of its own in ``lora_A`` and its half of the
    rows of ``lora_B``. An expert with a lower rank than others, or without a change, has zeros.

    Args:
        stack: where the experts stand.
        members: the factors and the alpha of each.
        by: what the product of the stack is multiplied by.
    """
    ranks = [
        max((len(item["down"]) for (_, half), item in members.items() if half == at), default=1 if at == 0 else 0)
        for at in range(stack.halves)
    ]
    rank, rows = sum(ranks), stack.rows // stack.halves
    down = torch.zeros(stack.experts, rank, stack.columns)
    up = torch.zeros(stack.experts, stack.rows, rank)
    dtypes = {tensor.dtype for item in members.values() for part, tensor in item.items() if part != "alpha"}
    for (expert, half), item in members.items():
        begin, count = sum(ranks[:half]), len(item["down"])
        scale = float(item["alpha"]) / count / by
        down[expert, begin : begin + count] = item["down"].to(torch.float32)
        up[expert, half * rows : (half + 1) * rows, begin : begin + count] = scale * item["up"].to(torch.float32)
    joined_down, joined_up = down.flatten(0, 1), up.permute(1, 2, 0).flatten(1)
    if stack.swapped:  # PEFT multiplies lora_B and lora_A to what it takes for (out, in), here (in, out)
        joined_down, joined_up = up.transpose(1, 2).flatten(0, 1), down.permute(2, 1, 0).flatten(1)
    dtype = dtypes.pop() if len(dtypes) == 1 else torch.float32
    return _in_dtype(joined_down, joined_up, dtype)


def _in_dtype(down: torch.Tensor, up: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in a dtype, in float32 where they overflow it."""
    narrow = down.to(dtype), up.to(dtype)
    return narrow if all(bool(torch.isfinite(tensor).all()) for tensor in narrow) else (down, up)


def _take(temporary: Path, path: Path) -> bool:
    """Give a finished folder its name unless the name is taken.

    The rename itself refuses a name that a file or a folder with something in it has.
    """
    if os.path.lexists(path):
        return False
    try:
        os.rename(temporary, path)
    except OSError:
        if os.path.lexists(path):
            return False
        raise
    return True
