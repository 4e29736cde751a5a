"""A pair of models for another process: where its files are and what must be in them. Can be pickled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.opening import open_checkpoint
from engine.errors import EngineError, ErrorCode


@dataclass(frozen=True)
class ModelRef:
    """One model.

    Attributes:
        paths: all its files; the first is the one to open.
        fingerprint: see `Checkpoint.fingerprint`.
        part: see `Checkpoint.part`.
    """

    paths: tuple[Path, ...]
    fingerprint: str
    part: str = ""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> ModelRef:
        """Of an open model; reads up to 16 MiB of it, once.

        Raises:
            EngineError: see `Checkpoint.read_into`.
        """
        paths = dict.fromkeys(path.absolute() for path in (checkpoint.path, *checkpoint.paths))
        return cls(tuple(paths), checkpoint.fingerprint(), checkpoint.part)

    def open(self) -> Checkpoint:
        """Open the model again.

        Raises:
            EngineError: ``input_changed`` where it is not the same; see `open_checkpoint`.
        """
        checkpoint = open_checkpoint(self.paths[0])
        checkpoint.part = self.part
        try:
            if checkpoint.fingerprint() != self.fingerprint:
                raise EngineError(ErrorCode.INPUT_CHANGED, file=self.paths[0])
        except BaseException:
            checkpoint.close()
            raise
        return checkpoint


@dataclass(frozen=True)
class PairRef:
    """A fine-tuned model and its original."""

    finetuned: ModelRef
    original: ModelRef

    @classmethod
    def of(cls, finetuned: Checkpoint, original: Checkpoint) -> PairRef:
        """Of an open pair; see `ModelRef.of`."""
        return cls(ModelRef.of(finetuned), ModelRef.of(original))

    def open(self) -> tuple[Checkpoint, Checkpoint]:
        """Open both; the caller closes them. See `ModelRef.open`."""
        finetuned = self.finetuned.open()
        try:
            return finetuned, self.original.open()
        except BaseException:
            finetuned.close()
            raise
