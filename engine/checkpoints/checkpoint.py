"""What every model on disk looks like to the rest of the engine, whatever its container and its encodings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from engine.checkpoints.encodings import ClaimedWeights, Unclaimed, claim_weights
from engine.checkpoints.model_config import read_config
from engine.checkpoints.model_file import ModelFile
from engine.checkpoints.names_of_files import PART, model_name
from engine.checkpoints.quantisation import Quantisation
from engine.checkpoints.stored import StoredTensor, WeightSource
from engine.errors import EngineError, ErrorCode
from engine.events import Notice

_Self = TypeVar("_Self", bound="Checkpoint")
_SMALL_BYTES = 1 << 16  # of a tensor that is read to understand others
_ALL_SMALL_BYTES = 1 << 26  # of all of them: what is read stays in memory


class Checkpoint:
    """A model opened read-only: its headers in memory, its tensors on disk in one or many files.

    Attributes:
        path: what stands for the model: its file, or of several the one that was chosen.
        container: the container in words, ``safetensors``.
        files: all files of the model.
        stored: everything that is stored, by name, in the order of the files.
        metadata: the container's own texts.
        components: of a model in folders, one for each part: what its names begin with in `stored`, and its own texts.
        notices: what the container has to say of it, such as that one part was chosen and all were opened.
        part: which of several models in the file is meant, by the words before its names; empty for the likeliest.
        size_bytes: of all files together.
        header_sha256: hash of the header, or of the headers' hashes; hexadecimal.
    """

    def __init__(
        self,
        path: Path,
        container: str,
        files: Sequence[ModelFile],
        stored: Mapping[str, StoredTensor],
        metadata: Mapping[str, str],
        notices: Sequence[Notice] = (),
        components: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Put together what a container found.

        Args:
            path: see the attributes.
            container: likewise.
            files: opened; closed with the checkpoint.
            stored: `StoredTensor.file` is an index into `files`.
            metadata: texts.
            notices: see the attributes.
            components: likewise; the encodings see each by itself, under its own names.
        """
        self.path, self.container, self.files = path, container, tuple(files)
        self.stored, self.metadata, self.notices = stored, metadata, tuple(notices)
        self.components: Mapping[str, Mapping[str, str]] = components or {}
        self.part = ""
        self.size_bytes = sum(file.size_bytes for file in self.files)
        self.header_sha256 = _one_hash([file.header_sha256 for file in self.files])
        self._small: dict[str, bytes] = {}
        self._small_bytes = 0
        self._configs: dict[int, dict[str, Any]] = {}

    @property
    def weights(self) -> Mapping[str, WeightSource]:
        """Everything that is a weight, or another tensor that stands for itself, by its name in the file.

        Raises:
            EngineError: ``header_invalid`` where the parts of an encoded weight do not fit together.
        """
        return self._claimed.weights

    @property
    def quantisation(self) -> Quantisation | None:
        """The scheme of quantised weights that no encoding can read; None where everything can be read."""
        return self._claimed.unreadable

    def weights_in(self, start: str) -> Mapping[str, WeightSource]:
        """The weights of one of `components`, by their names in its own files."""
        inner = ((name.removeprefix(start), weight) for name, weight in self.weights.items() if name.startswith(start))
        return {name: replace(weight, name=name) for name, weight in inner}

    @cached_property
    def _claimed(self) -> ClaimedWeights:
        if not self.components:
            return self._claim(self.stored, self.metadata)
        claims = [self._claim(self._stored_in(start), texts, start) for start, texts in self.components.items()]
        weights = {name: weight for claim in claims for name, weight in claim.weights.items()}
        return ClaimedWeights(weights, next((claim.unreadable for claim in claims if claim.unreadable), None))

    def _stored_in(self, start: str) -> dict[str, StoredTensor]:
        """What a component stores, by its names in its own files."""
        inner = ((name.removeprefix(start), part) for name, part in self.stored.items() if name.startswith(start))
        return {name: replace(part, name=name) for name, part in inner}

    def _claim(
        self, stored: Mapping[str, StoredTensor], metadata: Mapping[str, str], start: str = ""
    ) -> ClaimedWeights:
        """Divide what a component stores among the encodings, and give the weights their names in the model."""
        try:
            claimed = claim_weights(Unclaimed(stored, partial(self._read_small_in, start), self.config_of), metadata)
        except EngineError as error:
            if error.file is not None:
                raise
            part = stored.get(error.tensor or "")
            file = self.path if part is None else self.file_of(part)
            tensor = start + error.tensor if error.tensor else None
            raise EngineError(error.code, file=file, tensor=tensor, **error.data) from error
        if not start:
            return claimed
        weights = {start + name: replace(weight, name=start + name) for name, weight in claimed.weights.items()}
        unreadable = claimed.unreadable and replace(claimed.unreadable, example=start + claimed.unreadable.example)
        return ClaimedWeights(weights, unreadable)

    def _read_small_in(self, start: str, part: StoredTensor) -> bytes:
        """What `read_small` gives for a tensor of a component, by its name in its own files."""
        return self.read_small(replace(part, name=start + part.name))

    @property
    def name(self) -> str:
        """What people call the model, see `model_name`."""
        return model_name(self.path) + (PART + self.part if self.part else "")

    @property
    def paths(self) -> tuple[Path, ...]:
        """Of all files."""
        return tuple(file.path for file in self.files)

    def is_same(self, other: Checkpoint) -> bool:
        """Whether both are the same model of the very same files, whatever their paths are called."""
        if self.part != other.part:
            return False
        mine, theirs = ([path.stat() for path in model.paths] for model in (self, other))
        return {(file.st_dev, file.st_ino) for file in mine} == {(file.st_dev, file.st_ino) for file in theirs}

    def file_of(self, part: StoredTensor) -> Path:
        """The file that a stored tensor lies in."""
        return self.files[part.file].path

    def read_into(self, part: StoredTensor, buffer: memoryview) -> None:
        """Read a stored tensor's bytes, as they lie in its file, into a buffer of exactly its size.

        Raises:
            EngineError: ``input_changed`` where the file shrank or vanished, ``file_unreadable`` on a disk error.
        """
        if len(buffer) != part.nbytes:
            raise ValueError(f"{part.name}: buffer of {len(buffer)} bytes for {part.nbytes}")
        self.files[part.file].read(buffer, part.offset, part.name)

    def read_small(self, part: StoredTensor) -> bytes:
        """The contents of a small tensor that says how others are to be read: JSON, a shape. Kept once read.

        Raises:
            EngineError: ``header_invalid`` where it is too large for that; see `read_into`.
        """
        if part.name not in self._small:
            self._small_bytes += part.nbytes
            if part.nbytes > _SMALL_BYTES or self._small_bytes > _ALL_SMALL_BYTES:
                reason = f"{part.name} has {part.nbytes:,} bytes, which is too much for a description of weights"
                raise EngineError(ErrorCode.HEADER_INVALID, file=self.file_of(part), tensor=part.name, reason=reason)
            content = bytearray(part.nbytes)
            self.read_into(part, memoryview(content))
            self._small[part.name] = bytes(content)
        return self._small[part.name]

    def config_of(self, part: StoredTensor) -> Mapping[str, Any]:
        """The ``config.json`` in the folder of the file that a stored tensor lies in; empty where there is none.

        What of it decides numbers goes into `WeightSource.parameters`, and so into the keys of records.

        Raises:
            EngineError: ``file_unreadable`` or ``header_invalid``, with that file.
        """
        if part.file not in self._configs:
            self._configs[part.file] = read_config(self.file_of(part).parent)
        return self._configs[part.file]

    def descriptions(self) -> tuple[Mapping[str, bytes], Mapping[int, Mapping[str, Any]]]:
        """What was read so far beside the headers: contents of small tensors by name, configs by the files' indexes."""
        return self._small, self._configs

    def fingerprint(self) -> str:
        """Identify the contents of all files, see `ModelFile.fingerprint`, and the part that is meant; hexadecimal.

        Raises:
            EngineError: see `read_into`.
        """
        contents = _one_hash([file.fingerprint(len(self.files)) for file in self.files])
        return hashlib.sha256(f"{contents}{PART}{self.part}".encode()).hexdigest() if self.part else contents

    def check_unchanged(self) -> None:
        """Raise `EngineError` ``input_changed`` if one of the files is not the one that was opened."""
        for file in self.files:
            file.check_unchanged()

    def close(self) -> None:
        """Give the files back to the system."""
        for file in self.files:
            file.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pair_fingerprint(finetuned: Checkpoint, original: Checkpoint) -> str:
    """Identify a pair of models by their contents: SHA-256 over both fingerprints, hexadecimal."""
    return hashlib.sha256((finetuned.fingerprint() + original.fingerprint()).encode()).hexdigest()


def _one_hash(hashes: list[str]) -> str:
    """The hash of one file itself; of several the hash over all of theirs."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
