"""What a bundle leaves out is left out, what the program needs stays, and the program runs without the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from installers import bundling
from installers.contents import Part, sift
from installers.left_out import PARTS, is_stripped

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = """
import sys
sys.path.insert(0, {root!r})
from installers.left_out import PARTS

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if any(part.holds(name, "PYMODULE") for part in PARTS):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
import installers.without_opengl
from app.__main__ import main
sys.argv = ["lora-extractor", *sys.argv[1:]]
sys.exit(main())
"""


def without(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program where no module can be imported that a bundle leaves out."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", WITHOUT.format(root=str(ROOT)), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def left(name: str, kind: str = "BINARY") -> bool:
    return sift([(name, "/nowhere", kind)], PARTS)[0] == []


def test_the_whole_program_works_without_the_modules_that_are_left_out() -> None:
    run = without("--self-test")
    assert run.returncode == 0, run.stderr
    assert "Self-test passed." in run.stdout


@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
@pytest.mark.parametrize("lora_type", ["standard", "full", "adaptive_ratio", "adaptive_energy"])
def test_every_way_to_extract_works_without_them(tmp_path: Path, lora_type: str, algorithm: str) -> None:
    demo = ROOT / "resources" / "demo"
    pair = (str(demo / "finetuned.safetensors"), str(demo / "original.safetensors"))
    options = ("--lora-type", lora_type, "--algorithm", algorithm, "--output-dir", str(tmp_path))
    run = without("extract", *pair, *options)
    assert run.returncode == 0, run.stderr
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


@pytest.mark.parametrize(
    "name",
    [
        "torch/lib/libtorch_cpu.so",
        "torch/bin/torch_shm_manager",
        "PySide6/QtNetwork.abi3.so",
        "PySide6/Qt/lib/libQt6Network.so.6",
        "PySide6/Qt/lib/libQt6Svg.so.6",
        "PySide6/Qt/lib/libQt6DBus.so.6",
        "PySide6/Qt/lib/libQt6WaylandClient.so.6",
        "PySide6/Qt/plugins/platforms/libqxcb.so",
        "PySide6/Qt/plugins/platforms/libqwayland.so",
        "PySide6/Qt/plugins/platforms/libqoffscreen.so",
        "PySide6/Qt/plugins/imageformats/libqsvg.so",
        "PySide6/plugins/platforms/qwindows.dll",
        "PySide6/Qt6Core.dll",
        "PySide6/Qt/lib/QtGui.framework/Versions/A/QtGui",
        "resources/translations/de.qm",
        "libcrypto.so.3",
    ],
)
def test_what_the_program_needs_stays(name: str) -> None:
    assert not left(name)


@pytest.mark.parametrize(
    "name",
    [
        "torch/bin/protoc",
        "torch/bin/test_jit",
        "torch/lib/libtorchbind_test.so",
        "torch/_inductor/codegen/cpp.py",
        "PySide6/Qt/lib/libQt6Qml.so.6",
        "PySide6/Qt6Quick.dll",
        "PySide6/opengl32sw.dll",
        "PySide6/Qt/lib/QtQuick.framework/Versions/A/QtQuick",
        "PySide6\\plugins\\tls\\qopensslbackend.dll",
        "PySide6/Qt/plugins/platforms/libqvnc.so",
        "libX11.so.6",
        "libstdc++.so.6",
    ],
)
def test_what_it_does_not_need_goes(name: str) -> None:
    assert left(name)


def test_a_module_goes_with_its_package_and_not_with_its_namesakes() -> None:
    assert left("torch._inductor.codegen", "PYMODULE")
    assert not left("torch._inductor_free", "PYMODULE")
    assert left("torch.testing._internal.common_utils", "PYMODULE")
    assert not left("torch.testing._internal.logging_tensor", "PYMODULE")
    assert not left("torch/testing/_internal/logging_tensor.py", "DATA")


def test_a_link_goes_with_the_file_that_it_points_to() -> None:
    assert left("libQt6Qml.so.6", "SYMLINK")
    assert sift([("some-name", "PySide6/Qt/lib/libQt6Qml.so.6", "SYMLINK")], PARTS)[0] == []


def test_bytes_are_those_of_the_files(tmp_path: Path) -> None:
    file = tmp_path / "libQt6Qml.so.6"
    file.write_bytes(b"x" * 123)
    part = Part("QML", "no QML", ("*libQt6Qml*",))
    kept, found = sift([("a/libQt6Qml.so.6", str(file), "BINARY"), ("b", str(file), "BINARY")], (part,))
    assert [name for name, _, _ in kept] == ["b"]
    assert [(each.part, each.files, each.bytes) for each in found] == [(part, ["a/libQt6Qml.so.6"], 123)]


def test_every_part_has_a_title_of_its_own_and_a_reason() -> None:
    assert len({part.title for part in PARTS}) == len(PARTS)
    assert all(part.reason and (part.files or part.modules) for part in PARTS)


def test_libraries_that_were_edited_after_linking_keep_their_symbols() -> None:
    assert is_stripped("torch/lib/libtorch_cpu.so")
    assert not is_stripped("numpy.libs/libscipy_openblas64_-32a4b2a6.so")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ELF")
def test_a_library_that_needs_what_was_left_out_stops_the_build() -> None:
    import PySide6

    gui = Path(PySide6.__file__).parent / "Qt" / "lib" / "libQt6Gui.so.6"
    kept, found = sift(
        [("libQt6Gui.so.6", str(gui), "BINARY"), ("libQt6Core.so.6", "/nowhere", "BINARY")],
        (Part("the core", "a mistake", ("libQt6Core*",)),),
    )
    with pytest.raises(RuntimeError, match=r"libQt6Gui.so.6 needs libQt6Core.so.6"):
        bundling.refuse_missing(kept, found)
