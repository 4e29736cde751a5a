"""Makes the .deb and the .tar.gz of a Linux bundle.

The package has no scripts: desktops notice new entries, icons and types by dpkg's triggers, and removal leaves nothing.
What it depends on is computed from the libraries that the bundle's own name and the bundle does not contain.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

from installers.bundling import LICENCES, needed
from installers.edition import SENTENCES, edition, suffix
from installers.identity import (
    BUILD,
    BUNDLE,
    COMMAND,
    COMPONENT_ID,
    DIST,
    MIME_TYPE,
    ROOT,
    SUMMARY,
    VERSION,
    WINDOW_PROGRAM,
)

HERE = Path(__file__).resolve().parent
HOME = f"usr/lib/{COMMAND}"
MAINTAINER = "The LoRA Extractor developers <maintainers@lora-extractor.invalid>"
# Loaded by Qt only where the desktop has them: GTK gives GNOME's file dialogs.
OPTIONAL = ("libqgtk3.so",)
SUGGESTS = ("libgtk-3-0",)
# Without any font a window has no text, and no library asks for one.
FONTS = "fonts-dejavu-core | fonts-freefont-ttf | fonts-noto-core"
# Part of a graphics driver, which is whatever the machine has.
DRIVERS = ("libcuda.so.1", "libnvidia-ml.so.1", "libze_loader.so.1")
DESCRIPTION = """\
 Pick a fine-tuned model and the original it was made from, and get a LoRA: the
 low-rank difference of their weights, ready for ComfyUI. With a window and a
 command line, in little memory, with a report of every layer's error.
 .
 This package {does}.
 It brings Python, Qt and PyTorch along.
"""


def make(*, fast: bool) -> None:
    """Write ``lora-extractor_<version>_<architecture>.deb`` and the archive for every Linux into ``dist``.

    Args:
        fast: compress quickly instead of well.

    Raises:
        RuntimeError: a tool refused what we made; with its words.
    """
    tree = BUILD / "linux-tree"
    shutil.rmtree(tree, ignore_errors=True)
    fill(tree)
    validate(tree)
    architecture = output("dpkg", "--print-architecture").strip()
    package = DIST / f"{COMMAND}{suffix()}_{VERSION}_{architecture}.deb"
    started = time.monotonic()
    make_deb(tree, package, architecture, fast=fast)
    say(package, started)
    archive = DIST / f"{COMMAND}{suffix()}-{VERSION}-linux-{os.uname().machine}.tar.gz"
    started = time.monotonic()
    make_tar(tree, archive, fast=fast)
    say(archive, started)


def fill(tree: Path) -> None:
    """Lay out a file system: the bundle in /usr/lib, its commands in /usr/bin, and what desktops read in /usr/share."""
    shutil.copytree(BUNDLE, tree / HOME, symlinks=True)
    for name in (COMMAND, WINDOW_PROGRAM):
        link = tree / "usr/bin" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../lib/{COMMAND}/{name}")
    share = tree / "usr/share"
    put(share / f"applications/{COMMAND}.desktop", (HERE / "lora-extractor.desktop").read_text(encoding="utf-8"))
    put(share / f"metainfo/{COMPONENT_ID}.metainfo.xml", metainfo())
    put(share / f"mime/packages/{COMMAND}.xml", (HERE / "lora-extractor.mime.xml").read_text(encoding="utf-8"))
    shutil.copytree(BUILD / "icons" / "hicolor", share / "icons" / "hicolor")
    documents = share / "doc" / COMMAND
    put(documents / "copyright", copyright_text())
    shutil.copy(LICENCES, documents / LICENCES.name)
    log = (ROOT / "CHANGELOG.md").read_bytes()
    (documents / "changelog.gz").write_bytes(gzip.compress(log, mtime=0))
    for place in (tree, *tree.rglob("*")):
        if not place.is_symlink():
            executable = place.is_dir() or os.access(place, os.X_OK)
            place.chmod(0o755 if executable else 0o644)


def metainfo() -> str:
    """The AppStream description, with our name, version and the day of the build."""
    text = (HERE / "metainfo.xml").read_text(encoding="utf-8")
    day = time.strftime("%Y-%m-%d", time.gmtime(build_time()))
    return text.format(id=COMPONENT_ID, mime=MIME_TYPE, version=VERSION, date=day)


def build_time() -> float:
    """Now, or what SOURCE_DATE_EPOCH says for a reproducible build."""
    return float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())


def copyright_text() -> str:
    """Debian's machine-readable copyright file."""
    return (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: LoRA Extractor\n\nFiles: *\nCopyright: {time.gmtime(build_time()).tm_year} "
        "the LoRA Extractor developers\nLicense: Apache-2.0\n\n"
        f"Files: usr/lib/{COMMAND}/_internal/*\nCopyright: the authors of each component\nLicense: various\n"
        f" Python, Qt, PyTorch and the other components under their own licences, which are all in\n"
        f" /usr/share/doc/{COMMAND}/{LICENCES.name}.\n\n"
        "License: Apache-2.0\n The text is in /usr/share/common-licenses/Apache-2.0 on Debian systems.\n"
    )


def validate(tree: Path) -> None:
    """Let the desktops' own tools judge what they will read.

    Raises:
        RuntimeError: one refused it.
    """
    share = tree / "usr/share"
    for command in (
        ("desktop-file-validate", str(share / f"applications/{COMMAND}.desktop")),
        ("appstreamcli", "validate", "--no-net", str(share / f"metainfo/{COMPONENT_ID}.metainfo.xml")),
    ):
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode or run.stdout.strip().startswith("error"):
            raise RuntimeError(f"{command[0]}: {run.stdout}{run.stderr}")


def make_deb(tree: Path, package: Path, architecture: str, *, fast: bool) -> None:
    """Pack a tree; needs dpkg-deb and dpkg-shlibdeps.

    Raises:
        RuntimeError: a library belongs to no package, or packing failed.
    """
    control = tree / "DEBIAN"
    files = sorted(file for file in tree.rglob("*") if file.is_file() and not file.is_symlink())
    sums = "".join(f"{digest(file)}  {file.relative_to(tree)}\n" for file in files)
    kilobytes = sum(-(-file.stat().st_size // 1024) for file in files)
    depends = ", ".join((*dependencies(tree / HOME), FONTS))
    put(control / "md5sums", sums)
    put(
        control / "control",
        f"Package: {COMMAND}\nVersion: {VERSION}\nArchitecture: {architecture}\nMaintainer: {MAINTAINER}\n"
        f"Installed-Size: {kilobytes}\nDepends: {depends}\nSuggests: {', '.join(SUGGESTS)}\n"
        f"Section: graphics\nPriority: optional\nDescription: {SUMMARY}\n"
        + DESCRIPTION.format(does=SENTENCES[edition()]),
    )
    level = ("-z1",) if fast else ("-z6",)
    run = subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", *level, str(tree), str(package)],
        capture_output=True,
        text=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(int(build_time()))},
    )
    shutil.rmtree(control)
    if run.returncode:
        raise RuntimeError(f"dpkg-deb: {run.stderr}")


def dependencies(folder: Path) -> list[str]:
    """The Debian packages of all libraries that a bundle's own need and that are not in it, each with its version.

    dpkg-shlibdeps knows which version each symbol asks for. It also names packages of libraries that the bundle has
    copies of, where the system has them too; those are taken out again.

    Raises:
        RuntimeError: a library was found nowhere, or in no package.
    """
    binaries = [file for file in folder.rglob("*") if is_elf(file) and file.name not in OPTIONAL]
    own = {file.name for file in folder.rglob("*") if ".so" in file.name}
    outside = {name for file in binaries for name in needed(file)} - own - set(DRIVERS)
    wanted = owners(outside)
    place = BUILD / "shlibdeps"
    put(place / "debian" / "control", f"Source: {COMMAND}\n\nPackage: {COMMAND}\nArchitecture: any\n")
    folders = {f"-l{file.parent}" for file in folder.rglob("*.so*")}
    command = ["dpkg-shlibdeps", "-O", "--ignore-missing-info", *sorted(folders), *(f"-e{file}" for file in binaries)]
    run = subprocess.run(command, cwd=place, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"dpkg-shlibdeps: {run.stderr[-2000:]}")
    found = {
        each.split(" ")[0]: each for each in run.stdout.strip().removeprefix("shlibs:Depends=").split(", ") if each
    }
    if wanted - set(found):
        raise RuntimeError(f"dpkg-shlibdeps does not name {', '.join(sorted(wanted - set(found)))}")
    return [found[name] for name in sorted(wanted)]


def owners(libraries: set[str]) -> set[str]:
    """The Debian packages that libraries of this machine belong to.

    Raises:
        RuntimeError: one is not here, or belongs to none.
    """
    places = {
        line.split()[0]: line.rpartition(" => ")[2] for line in output("ldconfig", "-p").splitlines() if " => " in line
    }
    packages: set[str] = set()
    for name in sorted(libraries):
        if name not in places:
            raise RuntimeError(f"{name} is needed and not here, so its package is not known; install it")
        real = str(Path(places[name]).resolve())
        names = {places[name], real, real.removeprefix("/usr"), places[name].removeprefix("/usr")}
        run = subprocess.run(["dpkg-query", "--search", *sorted(names)], capture_output=True, text=True)
        owner = next(
            (line.split(":", 1)[0] for line in run.stdout.splitlines() if not line.startswith("diversion")), None
        )
        if owner is None:
            raise RuntimeError(f"{places[name]} belongs to no package")
        packages.add(owner)
    return packages


def is_elf(file: Path) -> bool:
    """Whether a file is a program or a library of this system."""
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def make_tar(tree: Path, archive: Path, *, fast: bool) -> None:
    """The bundle with the desktop's files beside it, for every Linux: unpack anywhere, and start.

    ``install.sh`` in it makes links and entries in the person's home, and takes them away again.
    """
    top = f"{COMMAND}-{VERSION}"

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info

    with tarfile.open(archive, "w:gz", compresslevel=1 if fast else 6) as tar:
        tar.add(tree / HOME, f"{top}", filter=plain)
        for name in ("applications", "metainfo", "mime", "icons"):
            tar.add(tree / "usr/share" / name, f"{top}/share/{name}", filter=plain)
        tar.add(HERE / "install.sh", f"{top}/install.sh", filter=plain)


def digest(file: Path) -> str:
    """MD5 as dpkg wants it."""
    sums = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            sums.update(block)
    return sums.hexdigest()


def put(file: Path, text: str) -> None:
    """Write a text, with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def output(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def say(file: Path, started: float) -> None:
    """Tell what was made."""
    print(f"{file}: {file.stat().st_size / 1e6:.0f} MB in {time.monotonic() - started:.0f} s", flush=True)
