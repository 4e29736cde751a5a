"""What an encoding is: how numbers of a model are stored, recognised from headers and decoded after reading."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from engine.checkpoints.stored import StoredTensor, WeightSource


@dataclass(frozen=True)
class Claim:
    """What an encoding takes of a model's stored tensors.

    Attributes:
        weights: weights that it can decode.
        beside: names of stored tensors that belong to them and are no weights: markers, scales of inputs. The parts
            of the weights need not be among them.
    """

    weights: tuple[WeightSource, ...] = ()
    beside: frozenset[str] = frozenset()


class Encoding(ABC):
    """One way to store weights. Its module imports no torch; `decode` stands in the module that `decoder` names.

    Attributes:
        key: stable identifier; part of the key of records in journals and the cache.
        title: what people call it.
        decoder: module with ``decode(source: WeightSource, parts: Sequence[torch.Tensor]) -> torch.Tensor``. The parts
            are on one device, in their stored shape and dtype ((nbytes,) uint8 where torch has no such dtype); the
            result has the source's shape and dtype and is on the same device. It must not change the parts.
        plain: whether the numbers are stored as they are, so that nobody needs to hear of it.
    """

    key: str
    title: str
    decoder: str
    plain: bool = False

    @abstractmethod
    def claim(self, stored: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> Claim:
        """Find the weights of this encoding, by names and headers alone.

        Args:
            stored: what no encoding before this one has claimed, in the order of the files.
            metadata: the container's texts.

        Raises:
            EngineError: ``header_invalid`` with the tensor, where something belongs to this encoding and cannot be
                right. The file is added by the caller.
        """

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource | None:
        """The source of the decoded rows `start` to `stop` alone; None where they cannot be read by themselves."""
        return None

    def decoded_bytes(self, source: WeightSource) -> int:
        """Memory of the decoded tensor beside the parts."""
        return source.value_bytes

    def scratch_bytes(self, source: WeightSource) -> int:
        """Memory that `decode` takes beside the parts and its result."""
        return 0
