"""A short run of the damage that ``tests/fuzz_gguf.py`` does to GGUF files."""

from __future__ import annotations

import fuzz_gguf


def test_a_damaged_file_opens_or_is_refused_in_words() -> None:
    ends = fuzz_gguf.run(cases=600, seed=2)
    assert ends.total() == 600
    assert {"opened", "header_invalid", "file_truncated", "unsupported_container"} <= set(ends)


def test_a_case_is_the_same_each_time() -> None:
    import random

    data = bytes(range(200))
    assert fuzz_gguf.damaged(data, random.Random("1 5")) == fuzz_gguf.damaged(data, random.Random("1 5")) != data
