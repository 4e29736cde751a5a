"""Makes the macOS disk image of a bundle, and has it notarised where the environment says by whom."""

from __future__ import annotations

import os
import platform
import subprocess

from installers.identity import BUILD, DIST, NAME, VERSION


def make() -> None:
    """Write ``dist/LoRA-Extractor-<version>-macos-<machine>.dmg``: the application, and a link to put it into.

    The application was signed by PyInstaller where LORA_EXTRACTOR_SIGNING_IDENTITY names a certificate, else ad hoc.
    LORA_EXTRACTOR_NOTARY_PROFILE names a profile of notarytool's keychain; without it nothing is sent to Apple.

    Raises:
        subprocess.CalledProcessError: a tool failed.
    """
    application = DIST / f"{NAME}.app"
    image = DIST / f"LoRA-Extractor-{VERSION}-macos-{platform.machine()}.dmg"
    folder = BUILD / "disk-image"
    folder.mkdir(parents=True)
    (folder / "Applications").symlink_to("/Applications")
    subprocess.run(["ditto", str(application), str(folder / application.name)], check=True)
    create = ["hdiutil", "create", "-volname", NAME, "-srcfolder", str(folder), "-format", "UDZO", str(image)]
    subprocess.run(create, check=True)
    profile = os.environ.get("LORA_EXTRACTOR_NOTARY_PROFILE")
    if profile:
        notarise = ["xcrun", "notarytool", "submit", str(image), "--keychain-profile", profile, "--wait"]
        subprocess.run(notarise, check=True)
        subprocess.run(["xcrun", "stapler", "staple", str(image)], check=True)
    print(f"{image}: {image.stat().st_size / 1e6:.0f} MB", flush=True)
