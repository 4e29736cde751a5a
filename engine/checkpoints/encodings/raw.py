"""Numbers stored as they are: every tensor that no other encoding claims."""

from __future__ import annotations

from collections.abc import Mapping

from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.encodings.encoding import CASTING_BYTES, Claim, Encoding, Unclaimed
from engine.checkpoints.stored import RAW, WeightSource


class Raw(Encoding):
    """Each stored tensor is a weight of its own, in its own dtype."""

    key = RAW
    title = "plain numbers"
    decoder = "engine.checkpoints.encodings.raw_decode"
    rounding = "engine.checkpoints.encodings.raw_round"
    plain = True

    def claim(self, stored: Unclaimed, metadata: Mapping[str, str]) -> Claim:
        """See `Encoding.claim`; takes all whose dtype is known."""
        return Claim(
            tuple(
                WeightSource(part.name, part.shape, part.dtype, self.key, (part,))
                for part in stored.values()
                if part.dtype in DTYPES
            )
        )

    def rows(self, source: WeightSource, start: int, stop: int) -> WeightSource:
        """See `Encoding.rows`."""
        part = source.parts[0].rows(start, stop)
        return WeightSource(source.name, part.shape, source.dtype, self.key, (part,))

    def decoded_bytes(self, source: WeightSource) -> int:
        """See `Encoding.decoded_bytes`: the part itself is the result."""
        return 0

    def rounding_bytes(self, source: WeightSource) -> int:
        """See `Encoding.rounding_bytes`."""
        return CASTING_BYTES
