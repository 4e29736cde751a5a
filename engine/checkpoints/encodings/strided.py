"""Numbers stored as they are, in another order than their tensor's: what a view of a storage is in a pickle."""

from __future__ import annotations

from collections.abc import Mapping

from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.encodings.encoding import Claim, Encoding
from engine.checkpoints.stored import StoredTensor, WeightSource


class StridedNumbers(Encoding):
    """A stored row of numbers, and the sizes and strides of the tensor that they are."""

    key = "strided"
    title = "plain numbers in another order"
    decoder = "engine.checkpoints.encodings.strided_decode"
    plain = True

    def claim(self, stored: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`."""
        return Claim(
            tuple(
                WeightSource(
                    part.name, part.view.shape, part.dtype, self.key, (part,), {"strides": list(part.view.strides)}
                )
                for part in stored.values()
                if part.view is not None and part.dtype in DTYPES
            )
        )
