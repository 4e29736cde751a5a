"""`python3 start.py build`: the bundle, its self-test, and this system's packages, in the environment of start.py."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from installers import identity  # noqa: E402
from installers.edition import edition  # noqa: E402
from installers.icons import write_icons  # noqa: E402

LIMIT = 600_000_000  # bytes, of the Linux bundle with torch's build for processors
SELF_TEST_SECONDS = 300
ODD_NAME = "J\u00f6rg's programs"


def main(arguments: Sequence[str]) -> int:
    """Build; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python3 start.py build", description=__doc__)
    parser.add_argument("--bundle-only", action="store_true", help="make and test the bundle, but no packages")
    parser.add_argument("--fast", action="store_true", help="compress packages quickly, for a trial")
    parser.add_argument(
        "--check", action="store_true", help="install the .deb into a bare root and use it there; needs Debian and root"
    )
    parsed = parser.parse_args(arguments)
    try:
        make_bundle()
        test_elsewhere()
        if not parsed.bundle_only:
            make_packages(fast=parsed.fast)
        if parsed.check:
            from installers.linux import check_deb

            return check_deb.main([])
    except (RuntimeError, subprocess.CalledProcessError) as error:
        say(f"The build failed: {error}")
        return 1
    return 0


def make_bundle() -> None:
    """Run PyInstaller in a fresh folder and tell the size.

    Raises:
        RuntimeError: the bundle is larger than it may be.
    """
    for folder in (identity.BUILD, identity.DIST):
        shutil.rmtree(folder, ignore_errors=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    write_icons(identity.BUILD / "icons")
    say("Making the bundle with PyInstaller ...")
    started = time.monotonic()
    log = identity.BUILD / "pyinstaller.log"
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level", "WARN"]
    with log.open("w", encoding="utf-8") as output:
        run = subprocess.run([*command, "build_installer.spec"], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    if run.returncode:
        raise RuntimeError("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]))
    if sys.platform.startswith("linux"):
        (identity.BUNDLE / identity.WINDOW_PROGRAM).symlink_to(identity.COMMAND)
    tell_size(time.monotonic() - started)


def tell_size(seconds: float) -> None:
    """Print what the bundle takes and what was left out.

    Raises:
        RuntimeError: a bundle for processors is larger than it may be.
    """
    size = folder_bytes(identity.BUNDLE)
    say(f"{identity.BUNDLE}: {size / 1e6:.0f} MB, made in {seconds:.0f} s. Left out, in bytes:")
    left = json.loads((identity.BUILD / "left-out.json").read_text(encoding="utf-8"))
    for title, part in left["parts"].items():
        say(f"  {part['bytes']:>13,}  {title}: {part['reason']}")
    say(f"  {sum(left['stripped'].values()):>13,}  symbol tables of {len(left['stripped'])} libraries")
    if size > LIMIT and not edition() and sys.platform.startswith("linux"):
        raise RuntimeError(f"the bundle takes {size:,} bytes, more than {LIMIT:,}.")


def folder_bytes(folder: Path) -> int:
    """The sizes of all files below a folder; links count nothing."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def test_elsewhere() -> None:
    """Self-test both programs while the bundle lies in a folder of another name, and an odd one, as people have them.

    Raises:
        RuntimeError: a program failed.
    """
    place = identity.DIST / ODD_NAME
    identity.BUNDLE.rename(place)
    try:
        for program in (identity.COMMAND, identity.WINDOW_PROGRAM):
            self_test(identity.program(place, program))
    finally:
        place.rename(identity.BUNDLE)


def self_test(program: Path) -> None:
    """Run a program's self-test away from the sources.

    Raises:
        RuntimeError: it failed; with its words.
    """
    kept = ("PATH", "HOME", "SYSTEMROOT", "TEMP", "TMP", "USERPROFILE")
    environment = {"LANG": "C.UTF-8", **{name: os.environ[name] for name in kept if name in os.environ}}
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [str(program), "--self-test"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SELF_TEST_SECONDS,
        )
    say(f"--- {program.name} --self-test\n{(run.stdout + run.stderr).rstrip()}")
    if run.returncode:
        raise RuntimeError(f"{program.name} --self-test ended with {run.returncode}.")


def make_packages(*, fast: bool) -> None:
    """Make what people download on this system.

    Raises:
        RuntimeError: a tool is missing or failed.
    """
    if sys.platform.startswith("linux"):
        from installers.linux import package

        package.make(fast=fast)
    elif sys.platform == "win32":
        from installers.windows import setup

        setup.make()
    else:
        from installers.macos import disk_image

        disk_image.make()


def say(text: str) -> None:
    """Tell a person."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
