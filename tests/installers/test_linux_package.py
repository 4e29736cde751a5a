"""The .deb and the .tar.gz of a small stand-in bundle, read back by dpkg and tar."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import xml.etree.ElementTree as ElementTree
from configparser import RawConfigParser
from pathlib import Path

import pytest

from installers import identity
from installers.linux import check_deb, package

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb makes Debian's packages")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system as a package has it, of a bundle that is one script."""
    bundle, build = tmp_path / "bundle", tmp_path / "build"
    (bundle / "_internal").mkdir(parents=True)
    (bundle / "lora-extractor").write_text("#!/bin/sh\necho here\n")
    (bundle / "lora-extractor").chmod(0o700)
    (bundle / "lora-extractor-gui").symlink_to("lora-extractor")
    (bundle / "_internal" / "data").write_text("x" * 3000)
    (build / "icons" / "hicolor" / "16x16" / "apps").mkdir(parents=True)
    (build / "icons" / "hicolor" / "16x16" / "apps" / "lora-extractor.png").write_bytes(b"png")
    (build / "licences.txt").write_text("licences")
    monkeypatch.setattr(package, "BUNDLE", bundle)
    monkeypatch.setattr(package, "BUILD", build)
    monkeypatch.setattr(package, "LICENCES", build / "licences.txt")
    monkeypatch.setattr(package, "dependencies", lambda folder: ["libc6 (>= 2.34)", "libx11-6"])
    package.fill(tmp_path / "tree")
    return tmp_path / "tree"


@pytest.fixture
def deb(tree: Path, tmp_path: Path) -> Path:
    file = tmp_path / "lora-extractor.deb"
    package.make_deb(tree, file, "all", fast=True)
    return file


def read(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def field(deb: Path, name: str) -> str:
    return read("dpkg-deb", "-f", str(deb), name).strip()


def test_the_control_file_says_what_the_package_needs(deb: Path) -> None:
    assert field(deb, "Package") == "lora-extractor"
    assert field(deb, "Version") == identity.VERSION
    assert field(deb, "Depends").startswith("libc6 (>= 2.34), libx11-6, fonts-")
    assert "\n .\n" in "\n" + field(deb, "Description").replace("\n ", "\n ") + "\n"


def test_both_commands_are_in_the_path_and_start_the_bundle(deb: Path, tmp_path: Path) -> None:
    read("dpkg-deb", "-x", str(deb), str(tmp_path / "root"))
    for name in ("lora-extractor", "lora-extractor-gui"):
        assert read(str(tmp_path / "root" / "usr/bin" / name)) == "here\n"


def test_files_belong_to_root_and_everybody_may_read_them(deb: Path) -> None:
    for line in read("dpkg-deb", "-c", str(deb)).splitlines():
        assert line.split()[1] == "root/root"
        assert line.startswith(("drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx")), line


def test_sums_and_size_are_those_of_the_files(deb: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    read("dpkg-deb", "-R", str(deb), str(root))
    lines = (root / "DEBIAN" / "md5sums").read_text().splitlines()
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.md5((root / name).read_bytes()).hexdigest() == digest
    files = [file for file in (root / "usr").rglob("*") if file.is_file() and not file.is_symlink()]
    assert len(lines) == len(files)
    assert int(field(deb, "Installed-Size")) == sum(-(-file.stat().st_size // 1024) for file in files)


def test_the_package_has_no_scripts_that_could_leave_something(deb: Path, tmp_path: Path) -> None:
    read("dpkg-deb", "-e", str(deb), str(tmp_path / "control"))
    assert {file.name for file in (tmp_path / "control").iterdir()} == {"control", "md5sums"}


def test_desktop_entry_type_and_description_speak_of_the_same_program(tree: Path) -> None:
    entry = RawConfigParser()
    entry.optionxform = str  # type: ignore[assignment, method-assign]
    entry.read(tree / "usr/share/applications/lora-extractor.desktop")
    desktop = entry["Desktop Entry"]
    mime = ElementTree.parse(tree / "usr/share/mime/packages/lora-extractor.xml").getroot()
    space = "{http://www.freedesktop.org/standards/shared-mime-info}"
    kind = mime.find(f"{space}mime-type")
    assert kind is not None
    glob = kind.find(f"{space}glob")
    assert glob is not None
    assert glob.get("pattern") == "*.safetensors"
    assert desktop["MimeType"] == f"{kind.get('type')};" == f"{identity.MIME_TYPE};"
    assert desktop["Exec"] == "lora-extractor-gui %F"
    about = ElementTree.parse(tree / f"usr/share/metainfo/{identity.COMPONENT_ID}.metainfo.xml").getroot()
    assert about.findtext("id") == identity.COMPONENT_ID
    assert about.findtext("launchable") == "lora-extractor.desktop"
    release = about.find("releases/release")
    assert release is not None
    assert release.get("version") == identity.VERSION


@pytest.mark.skipif(
    not (shutil.which("desktop-file-validate") and shutil.which("appstreamcli")), reason="the desktops' own tools"
)
def test_the_desktops_own_tools_accept_it_and_refuse_a_mistake(tree: Path) -> None:
    package.validate(tree)
    entry = tree / "usr/share/applications/lora-extractor.desktop"
    entry.write_text(entry.read_text().replace("Type=Application", "Type=Nonsense"))
    with pytest.raises(RuntimeError, match="desktop-file-validate"):
        package.validate(tree)


def test_the_archive_installs_for_one_person_and_takes_all_of_it_away_again(tree: Path, tmp_path: Path) -> None:
    archive = tmp_path / "bundle.tar.gz"
    package.make_tar(tree, archive, fast=True)
    with tarfile.open(archive) as tar:
        assert {member.uname for member in tar.getmembers()} == {"root"}
        tar.extractall(tmp_path / "un & packed", filter="data")
    home = tmp_path / "a person's home"
    home.mkdir()
    top = tmp_path / "un & packed" / f"lora-extractor-{identity.VERSION}"
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    subprocess.run([top / "install.sh"], env=environment, check=True, capture_output=True)
    assert read(str(home / ".local/bin/lora-extractor-gui")) == "here\n"
    entry = (home / ".local/share/applications/lora-extractor.desktop").read_text()
    assert f'Exec="{top}/lora-extractor-gui" %F' in entry
    subprocess.run([top / "install.sh", "--remove"], env=environment, check=True, capture_output=True)
    assert [file for file in home.rglob("lora-extractor*") if file.is_file() or file.is_symlink()] == []


@pytest.mark.skipif(shutil.which("dpkg-shlibdeps") is None, reason="dpkg-shlibdeps finds the packages")
def test_dependencies_are_the_packages_of_the_libraries_that_are_not_in_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "BUILD", tmp_path)
    folder = tmp_path / "bundle"
    folder.mkdir()
    shutil.copy("/bin/ls", folder / "program")
    found = package.dependencies(folder)
    named = {each.split(" ")[0] for each in found}
    libraries = read("objdump", "-p", "/bin/ls")
    assert "libc6" in named
    assert ("libselinux1" in named) is ("libselinux.so.1" in libraries)


def test_what_a_removal_left_is_found() -> None:
    with pytest.raises(check_deb.CheckError, match="left behind: \\['usr/lib/lora-extractor'\\]"):
        check_deb.compare({"usr"}, {"usr", "usr/lib/lora-extractor"})
    with pytest.raises(check_deb.CheckError, match="gone: \\['usr/bin/ls'\\]"):
        check_deb.compare({"usr/bin/ls"}, set())
