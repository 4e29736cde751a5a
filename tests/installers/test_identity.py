"""One name, one version, on all three systems."""

from __future__ import annotations

import plistlib
from pathlib import Path

from engine import __version__
from installers import bundling, identity

ROOT = Path(__file__).resolve().parents[2]


def test_the_windows_version_is_ours_in_four_numbers() -> None:
    text = identity.windows_version_text()
    compile(text, "version.txt", "eval")
    assert f"filevers=({__version__.replace('.', ', ')}, 0)" in text
    assert f"StringStruct('ProductVersion', '{__version__}')" in text


def test_macos_opens_model_files_with_it_but_does_not_make_it_their_owner() -> None:
    properties = plistlib.loads(plistlib.dumps(bundling.mac_properties()))
    kind = properties["UTImportedTypeDeclarations"][0]
    assert kind["UTTypeTagSpecification"]["public.filename-extension"] == ["safetensors"]
    documents = properties["CFBundleDocumentTypes"][0]
    assert documents["LSItemContentTypes"] == [kind["UTTypeIdentifier"]]
    assert documents["LSHandlerRank"] == "Alternate"
    assert properties["CFBundleShortVersionString"] == __version__


def test_the_entitlements_are_a_property_list_of_switches() -> None:
    switches = plistlib.loads((ROOT / "installers" / "macos" / "entitlements.plist").read_bytes())
    assert switches
    assert set(switches.values()) == {True}
