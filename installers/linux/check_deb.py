"""Installs the .deb into an otherwise bare Debian and uses it there, so that a missing library or font shows.

    .venv-build/bin/python installers/linux/check_deb.py [PACKAGE]

Needs root, debootstrap, Xvfb, xwininfo and xdotool here; there, nothing but the package and its dependencies. In that
root: the self-test, an extraction on the command line, and the window with the demo pair on a real X server, where a
key press extracts; its picture is ``dist/window-in-bare-root.png``. Then the package is removed, and every file of the
root is compared with before.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from installers.identity import COMMAND, DIST, NAME, VERSION, WINDOW_PROGRAM  # noqa: E402

SUITE = "bookworm"
PICTURE = DIST / "window-in-bare-root.png"
WINDOW_SECONDS = 60
# What apt and dpkg themselves write while a package comes and goes, and what its dependencies' triggers make.
CHANGING = (
    "var/lib/apt",
    "var/lib/dpkg",
    "var/cache",
    "var/log",
    "etc/ld.so.cache",
    "tmp",
    "root",
    "home",
    "proc",
    "sys",
    "dev",
    "run",
)


class CheckError(Exception):
    """Something in the bare root is not as promised."""


def main(arguments: Sequence[str]) -> int:
    """Check; returns 0, or 1 with the reason."""
    package = Path(arguments[0]) if arguments else next(iter(sorted(DIST.glob(f"{COMMAND}_{VERSION}_*.deb"))), None)
    missing = [tool for tool in ("debootstrap", "Xvfb", "xwininfo", "xdotool", "chroot") if shutil.which(tool) is None]
    if package is None or not package.is_file() or missing or os.geteuid() != 0:
        reason = f"these are missing: {', '.join(missing)}" if missing else "it needs root and a package in dist/"
        print(f"The package cannot be checked: {reason}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="lora-extractor-root-") as folder:
        root = Path(folder) / "root"
        try:
            check(package, root)
        except (CheckError, subprocess.CalledProcessError) as error:
            print(f"The package failed in a bare root: {error}", file=sys.stderr)
            return 1
        finally:
            unmount(root)
    tell("The package passed in a bare root.")
    return 0


def check(package: Path, root: Path) -> None:
    """Make a root, install, use, remove.

    Raises:
        CheckError: something is not as promised.
    """
    step = time.monotonic()
    run("debootstrap", "--variant=minbase", SUITE, str(root))
    for folder in ("proc", "sys", "dev"):
        run("mount", "--bind", f"/{folder}", str(root / folder))
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    step = told("a bare root", step)
    inside(root, "apt-get", "update", "-qq")
    names = dependencies_of(package)
    inside(root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *first_choices(root, names))
    before = files_of(root)
    step = told(f"{len(names)} declared dependencies", step)
    shutil.copy(package, root / "tmp" / package.name)
    install = ("apt-get", "install", "-y", "--no-install-recommends", f"/tmp/{package.name}")
    planned = [line for line in inside(root, *install, "--simulate").splitlines() if line.startswith("Inst ")]
    if len(planned) != 1:
        raise CheckError(f"the package wants more than it declares: {planned}")
    inside(root, *install)
    step = told("installation with nothing but those", step)
    tell(inside(root, f"/usr/bin/{COMMAND}", "--self-test").rstrip())
    step = told("self-test", step)
    extract(root)
    step = told("extraction on the command line", step)
    inside(root, COMMAND, "cache", "clear")  # or the window had nothing to compute
    show_window(root)
    step = told("window", step)
    profiles = root / "root/.config" / NAME / "profiles.json"
    inside(root, COMMAND, "profiles", "save", "Mine", "--batch-size", "2")
    if not profiles.is_file():
        raise CheckError(f"no profile was saved under {profiles}")
    inside(root, "apt-get", "purge", "-y", "-qq", COMMAND)
    compare(before, files_of(root))
    if not profiles.is_file():
        raise CheckError("removal took the person's profiles")
    told("removal, nothing left but the person's own files", step)


def extract(root: Path) -> None:
    """Extract the demo pair from the place where the package put it, and judge the file by its own report."""
    demo = f"/usr/lib/{COMMAND}/_internal/resources/demo"
    pair = (f"{demo}/finetuned.safetensors", f"{demo}/original.safetensors")
    answer = json.loads(
        inside(root, COMMAND, "extract", *pair, "--rank", "16", "--output-dir", "/root/loras", "--json", quiet=True)
    )
    lora = root / answer["output"].lstrip("/")
    if not lora.is_file() or lora.stat().st_size != answer["size_bytes"] or not answer["mean_energy_retained"] > 0.77:
        raise CheckError(f"the extraction answered {answer}")
    judged = json.loads(inside(root, COMMAND, "verify", answer["output"], *pair, "--json", quiet=True))
    if abs(judged["mean_energy_retained"] - answer["mean_energy_retained"]) > 1e-3:
        raise CheckError("verify does not agree with the extraction")
    tell(f"  {lora.name}: keeps {judged['mean_energy_retained']:.3f}")


def show_window(root: Path) -> None:
    """Open the window on an X server out here, with the demo pair in its cards, extract by a key, and take its picture.

    Raises:
        CheckError: no window with our title came, it wrote no LoRA, or it is empty.
    """
    number = next(n for n in range(90, 200) if not Path(f"/tmp/.X11-unix/X{n}").exists())
    for folder in (Path("/tmp/.X11-unix"), root / "tmp/.X11-unix"):
        folder.mkdir(mode=0o1777, exist_ok=True)
    run("mount", "--bind", "/tmp/.X11-unix", str(root / "tmp/.X11-unix"))
    demo = f"/usr/lib/{COMMAND}/_internal/resources/demo"
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-screen", "0", "1440x900x24", "-nolisten", "tcp"], stderr=subprocess.DEVNULL
    )
    program = None
    try:
        wait_for(lambda: Path(f"/tmp/.X11-unix/X{number}").exists(), "the X server did not start")
        program = subprocess.Popen(
            [
                *(
                    "env",
                    "-i",
                    f"DISPLAY=:{number}",
                    "HOME=/root",
                    "LANG=C.UTF-8",
                    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                    "chroot",
                    str(root),
                ),
                *(WINDOW_PROGRAM, f"{demo}/finetuned.safetensors", f"{demo}/original.safetensors"),
            ]
        )
        wait_for(lambda: window_is_there(number), "no window with our title came", program)
        time.sleep(5)  # until the demo pair is planned
        press_extract(number)
        loras = root / "root/Documents" / NAME / "loras"
        wait_for(lambda: any(loras.glob("*.safetensors")), "Ctrl+Enter in the window extracted nothing", program)
        time.sleep(2)
        colours = take_picture(number)
        if colours < 64:
            raise CheckError(f"the window shows only {colours} colours")
        tell(f"  a window of {colours} colours: {PICTURE}")
    finally:
        for process in (program, server):
            if process is not None:
                process.terminate()
                process.wait(timeout=20)


def window_is_there(number: int) -> bool:
    """Whether a window with our title is mapped."""
    tree = subprocess.run(
        ["xwininfo", "-display", f":{number}", "-root", "-tree"], capture_output=True, text=True
    ).stdout
    return f'"{NAME}"' in tree


def press_extract(number: int) -> None:
    """Press Ctrl+Enter in the window, which extracts."""
    environment = {**os.environ, "DISPLAY": f":{number}"}
    search = ["xdotool", "search", "--onlyvisible", "--name", f"^{NAME}$"]
    window = subprocess.run(search, env=environment, capture_output=True, text=True, check=True).stdout.split()[0]
    for action in (("windowfocus", "--sync", window), ("key", "ctrl+Return")):
        subprocess.run(["xdotool", *action], env=environment, check=True)


def take_picture(number: int) -> int:
    """Write the screen to `PICTURE` by Qt of this environment; returns how many colours it has."""
    code = (
        "import sys; from PySide6.QtGui import QGuiApplication; application = QGuiApplication(sys.argv); "
        "image = application.primaryScreen().grabWindow(0).toImage(); assert image.save(sys.argv[1]); "
        "print(len({image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}))"
    )
    environment = {**os.environ, "DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
    command = [sys.executable, "-c", code, str(PICTURE)]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def wait_for(done: object, otherwise: str, program: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something is so.

    Raises:
        CheckError: it was not within a minute, or the program ended.
    """
    assert callable(done)
    until = time.monotonic() + WINDOW_SECONDS
    while not done():
        if time.monotonic() > until or (program is not None and program.poll() is not None):
            raise CheckError(otherwise)
        time.sleep(0.2)


def dependencies_of(package: Path) -> list[str]:
    """The package's dependencies without versions, alternatives kept apart by ``|``."""
    field = subprocess.run(
        ["dpkg-deb", "-f", str(package), "Depends"], capture_output=True, text=True, check=True
    ).stdout
    return [
        "|".join(choice.split("(")[0].strip().split(":")[0] for choice in each.split("|")) for each in field.split(",")
    ]


def first_choices(root: Path, names: list[str]) -> list[str]:
    """The first alternative of each dependency that the root's Debian has."""
    chosen = []
    for name in names:
        choices = name.split("|")
        chosen.append(
            next((each for each in choices if inside(root, "apt-cache", "show", each, quiet=True)), choices[0])
        )
    return chosen


def files_of(root: Path) -> set[str]:
    """Every path of a root, but for what the package tools themselves change."""
    found: set[str] = set()
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if str(here / name) not in CHANGING]
        found |= {str(here / name) for name in (*folders, *files)}
    return found


def compare(before: set[str], after: set[str]) -> None:
    """Fail where the removal left something, or took something else along.

    Raises:
        CheckError: names it.
    """
    left, gone = sorted(after - before), sorted(before - after)
    if left or gone:
        raise CheckError(f"left behind: {left[:20]}; gone: {gone[:20]}")


def inside(root: Path, *command: str, quiet: bool = False) -> str:
    """Run a command in the root with a bare environment; returns its stdout.

    Raises:
        CheckError: it failed; with its last words.
    """
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    environment["DEBIAN_FRONTEND"] = "noninteractive"
    environment |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    done = subprocess.run(["chroot", str(root), *command], env=environment, capture_output=True, text=True)
    if done.returncode and not (quiet and command[0] == "apt-cache"):
        raise CheckError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        )
    return done.stdout


def unmount(root: Path) -> None:
    """Take everything off the root that was mounted there, or its removal would reach out of it.

    Raises:
        RuntimeError: something is still mounted; the folder must not be removed then.
    """
    for folder in ("tmp/.X11-unix", "dev", "sys", "proc"):
        if os.path.ismount(root / folder) or folder.startswith("tmp"):
            subprocess.run(["umount", str(root / folder)], capture_output=True)
    mounted = Path("/proc/self/mounts").read_text(encoding="utf-8")
    if f" {root}/" in mounted:
        raise RuntimeError(f"{root} still has something mounted; unmount it before you remove it")


def run(*command: str) -> None:
    """Run a command quietly.

    Raises:
        CheckError: it failed; with its last words.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CheckError(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def told(what: str, since: float) -> float:
    """Tell how long a step took; returns now."""
    now = time.monotonic()
    tell(f"--- {what}: {now - since:.0f} s")
    return now


def tell(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
