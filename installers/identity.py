"""What the outside world calls the program: names, identifiers and version in one place for all three systems."""

from __future__ import annotations

import sys
from pathlib import Path

from engine import __version__

ROOT = Path(__file__).resolve().parent.parent
NAME = "LoRA Extractor"
COMMAND = "lora-extractor"
# On Windows and macOS people see the file; on Linux they see the desktop entry, and type the file's name.
WINDOW_PROGRAM = "lora-extractor-gui" if sys.platform.startswith("linux") else NAME
SUMMARY = "Extract a LoRA from a fine-tuned model and its original"
# The project owns no domain; .alt is the top-level domain that RFC 9476 keeps for names outside of the DNS.
COMPONENT_ID = "alt.lora_extractor.LoRAExtractor"
MAC_ID = "alt.lora-extractor.LoRAExtractor"  # macOS allows no underscores
VERSION = __version__
MIME_TYPE = "application/x-safetensors"
DIST = ROOT / "dist"
BUILD = ROOT / "build"
BUNDLE = DIST / COMMAND


def program(folder: Path, name: str) -> Path:
    """An executable of the bundle in a folder, by this system's custom."""
    return folder / (f"{name}.exe" if sys.platform == "win32" else name)


def windows_version_text() -> str:
    """The version resource of a Windows executable, in the form that PyInstaller reads."""
    numbers = (*map(int, VERSION.split(".")[:3]), 0)
    strings = {
        "CompanyName": NAME,
        "FileDescription": NAME,
        "FileVersion": VERSION,
        "InternalName": COMMAND,
        "LegalCopyright": "Apache License 2.0",
        "OriginalFilename": f"{NAME}.exe",
        "ProductName": NAME,
        "ProductVersion": VERSION,
    }
    table = ", ".join(f"StringStruct({key!r}, {value!r})" for key, value in strings.items())
    return (
        f"VSVersionInfo(ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0x0, OS=0x40004, "
        "fileType=0x1, subtype=0x0, date=(0, 0)), kids=["
        f"StringFileInfo([StringTable('040904B0', [{table}])]), "
        "VarFileInfo([VarStruct('Translation', [0x0409, 1200])])])\n"
    )
