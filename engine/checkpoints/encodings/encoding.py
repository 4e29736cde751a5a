"""What an encoding is: how numbers of a model are stored, recognised from headers and decoded after reading."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.checkpoints.quantisation import Quantisation
from engine.checkpoints.stored import StoredTensor, WeightSource

CASTING_BYTES = 16 * 1024 * 1024  # what a cast takes beside its result, see `engine.checkpoints.encodings.raw_round`


@dataclass(frozen=True)
class Claim:
    """What an encoding takes of a model's stored tensors.

    Attributes:
        weights: weights that it can decode.
        beside: names of stored tensors that belong to them and are no weights: markers, scales of inputs. The parts
            of the weights need not be among them.
        unreadable: a scheme of this kind that it recognises and cannot decode.
    """

    weights: tuple[WeightSource, ...] = ()
    beside: frozenset[str] = frozenset()
    unreadable: Quantisation | None = None


class Unclaimed(Mapping[str, StoredTensor]):
    """What no encoding has claimed yet, by name, in the order of the files."""

    def __init__(
        self,
        stored: Mapping[str, StoredTensor],
        read: Callable[[StoredTensor], bytes],
        config_of: Callable[[StoredTensor], Mapping[str, Any]],
    ) -> None:
        """Begin with everything that a model stores.

        Args:
            stored: by name.
            read: see `Checkpoint.read_small`.
            config_of: see `Checkpoint.config_of`.
        """
        self._stored, self._read, self._config_of = dict(stored), read, config_of

    def __getitem__(self, name: str) -> StoredTensor:
        return self._stored[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def read(self, part: StoredTensor) -> bytes:
        """The bytes of a small tensor, such as JSON or a shape; see `Checkpoint.read_small`."""
        return self._read(part)

    def config_of(self, part: StoredTensor) -> Mapping[str, Any]:
        """The ``config.json`` beside the file that a tensor lies in; see `Checkpoint.config_of`."""
        return self._config_of(part)

    def remove(self, names: Iterable[str]) -> None:
        """Take out what was claimed."""
        for name in names:
            self._stored.pop(name, None)


class Encoding(ABC):
    """One way to store weights. Its module imports no torch; `decode` stands in the module that `decoder` names.

    Attributes:
        key: stable identifier; part of the key of records in journals and the cache.
        title: what people call it.
        decoder: module with ``decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor``. The parts
            are on one device, in their stored shape and dtype ((nbytes,) uint8 where torch has no such dtype); the
            result has the source's shape and dtype and is on the same device. It must not change the parts. And with
            ``steps``, of the same arguments: how far apart the numbers are that can be stored, at each of these, as
            `engine.checkpoints.steps.rounding_steps` says; in the source's shape, float32. It takes no more memory
            than `decode`.
        rounding: module with ``round_like(values: torch.Tensor, source: WeightSource, parts: Sequence[torch.Tensor]) ->
            torch.Tensor``: numbers of the source's shape, in any floating dtype, as this weight would give them had
            they been stored in its place, with its own scales; in the source's shape and dtype. Finite numbers stay
            finite, others do not become finite. None where what encoders do cannot be repeated exactly.
        plain: whether the numbers are stored as they are, so that nobody needs to hear of it.
    """

    key: str
    title: str
    decoder: str
    rounding: str | None = None
    plain: bool = False

    @abstractmethod
    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """Find the weights of this encoding, by names, headers and the contents of small tensors.

        Args:
            stored: what no encoding before this one has claimed, in the order of the files; reads small tensors.
            metadata: the container's texts.

        Raises:
            EngineError: ``header_invalid`` with the tensor, where something belongs to this encoding and cannot be
                right. The file is added by the caller. Also what reading raises.
        """

    def title_of(self, source: WeightSource) -> str:
        """What people call the encoding of one weight, where there are several kinds of it."""
        return self.title

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource | None:
        """The source of the decoded rows `start` to `stop` alone; None where they cannot be read by themselves."""
        return None

    def cut(self, source: WeightSource, shape: tuple[int, ...]) -> WeightSource | None:
        """The source without padding, where its shape is a true one rounded up; None where that cannot be its shape."""
        return None

    def decoded_bytes(self, source: WeightSource) -> int:
        """Memory of the decoded tensor beside the parts."""
        return source.value_bytes

    def scratch_bytes(self, source: WeightSource) -> int:
        """Memory that `decode` takes beside the parts and its result."""
        return 0

    def repeats(self, source: WeightSource) -> bool:
        """Whether `round_like` repeats for a weight exactly what its encoder did."""
        return self.rounding is not None

    def rounding_bytes(self, source: WeightSource) -> int:
        """Memory that `round_like` takes beside its result."""
        return 0
