import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.cli.options import files_from, hardware_from
from app.cli.parser import build_parser
from app.text.command_line import command_arguments, command_line
from engine.settings import ExtractionSettings, HardwareSettings

MODELS = Path("/models/my fine-tune (v2).safetensors"), Path("/models/it's $HOME.safetensors")
WORDS = st.text(st.characters(exclude_characters=",\0", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12)
EXTRACTIONS = st.builds(
    ExtractionSettings,
    filename_prefix=WORDS.map(lambda text: f"-{text} x"),
    lora_type=st.sampled_from(["standard", "full", "adaptive_fro"]),
    rank=st.integers(1, 4096),
    adaptive_param=st.floats(0, 1),
    clamp_max_loss=st.floats(0, 1),
    bias_diff=st.booleans(),
    set_weight=st.booleans(),
    resume=st.booleans(),
    components=st.sampled_from([("denoiser",), ("vae", "other"), ("denoiser", "text_encoders")]),
    include=st.lists(WORDS, max_size=3).map(tuple),
    exclude=st.lists(WORDS, max_size=3).map(tuple),
)
HARDWARE = st.builds(
    HardwareSettings,
    vram_usage_mode=st.sampled_from(["conservative", "balanced", "aggressive"]),
    batch_size=st.integers(1, 8),
    memory_threshold=st.floats(0.5, 0.95),
    debug_mode=st.booleans(),
    device=st.sampled_from(["auto", "cpu", "cuda:0,cuda:1"]),
    memory_budget=st.one_of(st.none(), st.integers(1, 10**12)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EXTRACTIONS, HARDWARE)
def test_the_command_means_the_same_settings(extraction: ExtractionSettings, hardware: HardwareSettings) -> None:
    line = command_line(MODELS, extraction, hardware, Path("/out put"), windows=False)
    program, *arguments = shlex.split(line)
    parsed = build_parser().parse_args(arguments)
    assert program == "lora-extractor"
    assert parsed.command == "extract"
    assert (parsed.finetuned, parsed.original, parsed.output_dir) == (*MODELS, Path("/out put"))
    assert (files_from(parsed), hardware_from(parsed, None)) == ((extraction,), hardware)


def test_only_what_differs_from_the_defaults_is_said() -> None:
    extraction = ExtractionSettings(rank=32, bias_diff=False)
    arguments = command_arguments(MODELS, extraction, HardwareSettings(debug_mode=True), Path("/out"))
    assert arguments[3:] == ["--output-dir=/out", "--rank=32", "--no-bias-diff", "--debug-mode"]


@pytest.mark.skipif(os.name == "nt", reason="asks a POSIX shell")
def test_a_shell_takes_the_command_apart_as_it_was_meant(tmp_path: Path) -> None:
    program = tmp_path / "lora-extractor"
    program.write_text(f'#!{sys.executable}\nimport sys\nprint("\\0".join(sys.argv[1:]), end="")\n')
    program.chmod(0o755)
    extraction = ExtractionSettings(filename_prefix="a 'b' \"c\" $d `e` *;&|", include=("*.attn?",))
    line = command_line(MODELS, extraction, HardwareSettings(), tmp_path, windows=False)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    told = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=True).stdout
    assert told.split("\0") == command_arguments(MODELS, extraction, HardwareSettings(), tmp_path)


def test_windows_quotes_with_double_quotes() -> None:
    line = command_line(MODELS, ExtractionSettings(), HardwareSettings(), Path("/out"), windows=True)
    assert '"/models/my fine-tune (v2).safetensors"' in line.replace("\\", "/")
    assert "'/models/my" not in line


def test_paths_do_not_depend_on_where_the_command_is_run() -> None:
    arguments = command_arguments((Path("a"), Path("b")), ExtractionSettings(), HardwareSettings(), Path("c"))
    here = Path.cwd()
    assert arguments[:4] == ["extract", str(here / "a"), str(here / "b"), f"--output-dir={here / 'c'}"]
