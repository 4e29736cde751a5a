"""A short run of the damage that ``tests/fuzz_side_data.py`` does to what stands beside encoded weights."""

from __future__ import annotations

import fuzz_side_data


def test_damaged_side_data_is_decoded_or_refused_in_words() -> None:
    ends = fuzz_side_data.run(cases=500, seed=2)
    assert ends.total() == 500
    assert {"decoded", "header_invalid", "refused by name"} <= set(ends)
