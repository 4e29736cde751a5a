"""Makes the Windows installer of a bundle with Inno Setup."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from installers.edition import suffix
from installers.identity import BUNDLE, DIST, VERSION

SCRIPT = Path(__file__).resolve().parent / "lora-extractor.iss"


def make() -> None:
    """Write ``dist/LoRA-Extractor-<version>-windows-setup.exe``; says so where Inno Setup is not installed.

    Raises:
        subprocess.CalledProcessError: Inno Setup failed.
    """
    compiler = find_compiler()
    if compiler is None:
        print("No installer was made: Inno Setup 6 is not installed. The bundle in dist works as it is.", flush=True)
        return
    subprocess.run(command(compiler), check=True)


def find_compiler() -> str | None:
    """Inno Setup's compiler, in the PATH or where its own installer puts it."""
    folders = [os.environ.get(name) for name in ("ProgramFiles(x86)", "ProgramFiles")]
    usual = (Path(folder) / "Inno Setup 6" / "ISCC.exe" for folder in folders if folder)
    return shutil.which("iscc") or next((str(place) for place in usual if place.exists()), None)


def command(compiler: str) -> list[str]:
    """How the compiler is called; LORA_EXTRACTOR_SIGNTOOL, where set, is the command line that signs."""
    sign = os.environ.get("LORA_EXTRACTOR_SIGNTOOL")
    signing = [f"/Slora={sign}", "/DSignTool=lora"] if sign else []
    return [
        compiler,
        f"/DVersion={VERSION}",
        f"/DEdition={suffix()}",
        f"/DBundle={BUNDLE}",
        f"/DOutput={DIST}",
        *signing,
        str(SCRIPT),
    ]
