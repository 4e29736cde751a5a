"""The output file's name says what it was made with, and never leads out of the output folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError, ErrorCode
from engine.formats.output_path import Target, first_free, numbered, output_folder_and_stem, report_path
from engine.settings import ExtractionSettings, HardwareSettings

HERE = Path("/somewhere/output")
PARTS = st.text(st.sampled_from("ab .~-_é漢\\:*\x00\u202e"), min_size=1, max_size=6)
PREFIXES = st.lists(
    st.one_of(PARTS, st.sampled_from(["..", ".", "", "CON", "C:", "lora"])), min_size=1, max_size=4
).map("/".join)


def placed(prefix: str, folder: Path = HERE, **settings: object) -> tuple[Path, str]:
    chosen = ExtractionSettings(filename_prefix=prefix, **settings)  # type: ignore[arg-type]
    return output_folder_and_stem(folder, chosen, HardwareSettings())


@given(prefix=PREFIXES.filter(bool))
def test_any_prefix_is_refused_or_stays_in_the_output_folder(prefix: str) -> None:
    try:
        folder, stem = placed(prefix)
    except EngineError as error:
        assert error.code is ErrorCode.OUTPUT_ESCAPES  # noqa: PT017 - the other outcome that is allowed
        return
    target = (folder / numbered(stem, 1)).resolve()
    assert target.is_relative_to(HERE)
    assert not set(target.name) & set('<>:"|?*\\/\0')
    assert ".." not in folder.parts


@pytest.mark.parametrize(
    "prefix",
    ["../x", "a/../../x", "a/..", "/abs/x", "\\abs\\x", "C:/x", "C:x", "c:\\x", "..\\x", "a/", "a/.", "CON", "aux/x",
     "nul.txt", "a\nb", "what?", "a\x00b", "\\\\server\\share\\x"],
)  # fmt: skip
def test_what_cannot_be_a_file_name_below_the_output_folder_is_refused(prefix: str) -> None:
    with pytest.raises(EngineError) as caught:
        placed(prefix)
    assert caught.value.code is ErrorCode.OUTPUT_ESCAPES


@pytest.mark.parametrize("prefix", ["x" * 300, "y" * 256 + "/x", "漢" * 90], ids=["name", "folder", "bytes"])
def test_a_name_that_no_file_system_takes_is_refused(prefix: str) -> None:
    with pytest.raises(EngineError) as caught:
        placed(prefix)
    assert caught.value.data["reason"] == "too_long"


def test_a_link_that_leads_out_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "door").symlink_to(tmp_path)
    with pytest.raises(EngineError) as caught:
        placed("door/lora", tmp_path / "out")
    assert caught.value.code is ErrorCode.OUTPUT_ESCAPES


@pytest.mark.parametrize("prefix", ["lora", "a/lora", "a\\lora", "./a//lora", "läufer 2", "v1.5", "漢字"])
def test_ordinary_names_are_taken_as_they_are(prefix: str) -> None:
    folder, stem = placed(prefix)
    assert stem.startswith(re.split(r"[\\/]", prefix)[-1] + "_rank_")
    assert folder == (HERE / "a" if "a" in re.split(r"[\\/]", prefix)[:-1] else HERE)


@given(
    rank=st.integers(1, 4096),
    dtype=st.sampled_from(["fp16", "bf16", "fp32"]),
    mode=st.sampled_from(["conservative", "balanced", "aggressive"]),
    blocks=st.integers(0, 40),
    batch=st.integers(1, 8),
    counter=st.integers(1, 99999),
)
def test_the_name_can_be_read_back(rank: int, dtype: str, mode: str, blocks: int, batch: int, counter: int) -> None:
    settings = ExtractionSettings(filename_prefix="my_lora", rank=rank, output_dtype=dtype)  # type: ignore[arg-type]
    hardware = HardwareSettings(vram_usage_mode=mode, blocks_in_gpu=blocks, batch_size=batch)  # type: ignore[arg-type]
    name = numbered(output_folder_and_stem(HERE, settings, hardware)[1], counter)
    found = re.fullmatch(r"my_lora_rank_(\d+)_(\w+?)_(\w+)_b(\d+)_bs(\d)_(\d{5})_\.safetensors", name)
    assert found is not None
    assert found.groups() == (str(rank), dtype, mode, str(blocks), str(batch), f"{counter:05}")


def test_the_example_of_the_specification_is_spelled_as_there() -> None:
    settings = ExtractionSettings(filename_prefix="my_lora", lora_type="adaptive_fro", adaptive_param=0.85)
    hardware = HardwareSettings(vram_usage_mode="aggressive", blocks_in_gpu=20, batch_size=6)
    name = numbered(output_folder_and_stem(HERE, settings, hardware)[1], 1)
    assert name == "my_lora_rank_adaptive_fro_0.85_fp16_aggressive_b20_bs6_00001_.safetensors"


@given(taken=st.sets(st.integers(1, 12)), reports=st.sets(st.integers(1, 12)))
def test_the_counter_is_the_first_that_neither_a_file_nor_a_report_has(
    taken: set[int], reports: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("names")
    for counter in taken:
        (folder / numbered("x_", counter)).touch()
    for counter in reports:
        report_path(folder / numbered("x_", counter)).touch()
    assert first_free([Target(folder, "x_")]) == next(n for n in range(1, 99) if n not in taken | reports)
