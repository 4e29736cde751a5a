"""Sets LoRA Extractor up and starts it: one file, the standard library, any platform.

    python3 start.py            the window
    python3 start.py demo       a LoRA from the demo pair, with a picture and the losses
    python3 start.py test       all checks; with --full the fault tests run as often as the project promises
    python3 start.py build      programs and packages to double-click, into dist/
    python3 start.py ...        anything else goes to the command line, see: python3 start.py --help

The first start makes .venv beside this file and installs the program into it; later starts take seconds.
Another version of Python gets an environment of its own beside it, .venv-<version>-<platform>.
"""

import contextlib
import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BUILDING = sys.argv[1:2] == ["build"]
# A bundle is made from an environment of its own, so that no test tool and nobody's additions end up in it.
USUAL = ROOT / (".venv-build" if BUILDING else ".venv")
VENV = USUAL  # this and the paths in it are set anew by use()
MADE_FOR = VENV / "made-for.txt"
STAMP = VENV / "installed.txt"
LOG = VENV / "install.log"
CONSTRAINTS = ROOT / "constraints.txt"
# Where torch comes from, if not from pip's usual index: the address of one with its CUDA, ROCm, XPU or CPU build.
TORCH_INDEX = "LORA_EXTRACTOR_TORCH_INDEX"
WINDOWS = sys.platform == "win32"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
# Not "-m app": that would prefer a folder named app in the folder where the person stands.
ENTRY = f"import sys; sys.path[0] = {str(ROOT)!r}; from app.__main__ import main; sys.exit(main())"
CHECKS = (
    # the tool in .venv, and its arguments
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
    ("pytest", "-n", "2"),
)
QT_LIBRARIES = {
    # library: Debian's package, Fedora's package
    "libEGL.so.1": ("libegl1", "libglvnd-egl"),
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11"),
    "libdbus-1.so.3": ("libdbus-1-3", "dbus-libs"),
    "libfontconfig.so.1": ("libfontconfig1", "fontconfig"),
    "libfreetype.so.6": ("libfreetype6", "freetype"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2"),
    "libX11-xcb.so.1": ("libx11-xcb1", "libX11-xcb"),
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms"),
    "libxcb-randr.so.0": ("libxcb-randr0", "libxcb"),
    "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil"),
    "libxcb-shape.so.0": ("libxcb-shape0", "libxcb"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb"),
}
FONT = ("fonts-dejavu-core", "dejavu-sans-fonts")
# What a build needs: a program or a library, and Debian's package. dpkg-shlibdeps reads whose the libraries are.
BUILD_TOOLS = {
    "objdump": "binutils",
    "dpkg-shlibdeps": "dpkg-dev",
    "desktop-file-validate": "desktop-file-utils",
    "appstreamcli": "appstream",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libxcb-util.so.1": "libxcb-util1",
}
X_TOOLS = {"Xvfb": "xvfb", "openbox": "openbox", "xdotool": "xdotool"}  # program: Debian's package
CHECK_TOOLS = {"debootstrap": "debootstrap", "Xvfb": "xvfb", "xwininfo": "x11-utils", "xdotool": "xdotool"}


def main():
    """Prepare what the wish needs, then hand over; returns the exit code."""
    if sys.version_info < (3, 10):  # noqa: UP036 - whoever has an older one shall read a sentence
        return fail(f"LoRA Extractor needs Python 3.10 or newer; this is {sys.version.split()[0]}.")
    wish = sys.argv[1:]
    testing = wish[:1] == ["test"]
    with alone():
        problem = prepare_environment("build" if BUILDING else "test" if testing else "")
    if problem:
        return fail(problem)
    if testing or BUILDING or wish[:1] in ([], ["demo"]) or Path(wish[0]).exists():
        prepare_qt()
    if testing:
        prepare_x_server()
        return run_checks(wish[1:])
    if BUILDING:
        prepare_build_tools("--check" in wish)
        return hand_over([str(PYTHON), str(ROOT / "installers" / "build.py"), *wish[1:]])
    return hand_over([str(PYTHON), "-c", ENTRY, *wish])


@contextlib.contextmanager
def alone():
    """Let one start at a time prepare the environment; another one waits until that has ended, however it ends."""
    try:
        lock = open(USUAL.with_name(USUAL.name + ".lock"), "w")  # noqa: SIM115 - closed by the with below
    except OSError:  # a folder that cannot be written: nothing can be prepared in it either
        yield
        return
    with lock:
        if not locked(lock):
            say("Another start is preparing the environment; waiting for it ...")
            while not locked(lock):
                time.sleep(0.5)
        yield


def locked(file):
    """Lock a file if nobody else has; the system lets go of it when the process ends."""
    try:
        if WINDOWS:
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def prepare_environment(extra):
    """Find or make an environment and install what is missing in it; words if it fails."""
    place, fitting = choose_environment()
    if not fitting:
        return build_environment(place, extra)
    use(place)
    return install_missing(extra)


def install_missing(extra):
    """Install into the environment in use what this state of the project needs; words if it fails."""
    state = fingerprint()
    done = read(STAMP).split()
    if done[:1] == [state] and (not extra or extra in done[1:]):
        return None
    extras = sorted({*done[1:], *([extra] if extra else [])})
    target = "." + ("[{}]".format(",".join(extras)) if extras else "")
    what = "the test tools" if done[:1] == [state] else "LoRA Extractor and what it needs, PyTorch above all"
    say(f"Installing {what}. This happens once and takes 1 to 10 minutes, by the speed of the network.")
    code = install(target)
    if code:
        words = "\n  ".join(read(LOG).splitlines()[-15:])
        return f"The installation failed:\n  {words}\nThe whole log is {LOG}. Mend that, then start again."
    STAMP.write_text(" ".join([state, *extras]), encoding="utf-8")
    say("Installed.")
    return None


def use(place):
    """Let everything that follows run in the environment at a place."""
    global VENV, MADE_FOR, STAMP, LOG, PYTHON
    VENV, MADE_FOR, STAMP, LOG = place, place / "made-for.txt", place / "installed.txt", place / "install.log"
    PYTHON = python_in(place)


def python_in(place):
    """The Python of the environment at a place."""
    return place / ("Scripts/python.exe" if WINDOWS else "bin/python")


def choose_environment():
    """The place of the environment for this Python, and whether the one that is there can be used as it is."""
    tag = python_tag()
    names = [USUAL.name, f"{USUAL.name}-{tag}", *(f"{USUAL.name}-{tag}-{number}" for number in range(2, 100))]
    places = [USUAL.with_name(name) for name in names]
    for place in places:
        if not place.exists() and old_of(place).exists():  # a start was killed in the middle of `swap`
            old_of(place).rename(place)
        if fits(place):
            return place, True
    return next(place for place in places if replaceable(place)), False


def fits(place):
    """Whether the environment at a place was made by this script for this folder, and runs this version of Python."""
    recorded = read(place / "made-for.txt")
    return recorded.endswith("\n" + folder_line()) and tag_in(place) == python_tag()


def replaceable(place):
    """Whether a place is free, or holds an environment that serves nobody: neither us nor another Python."""
    if not place.exists():
        return True
    if place.resolve() == Path(sys.prefix).resolve():
        return False
    recorded = read(place / "made-for.txt")
    if recorded.endswith("\n" + folder_line()) and tag_in(place):
        return tag_in(place) == python_tag()
    if not WINDOWS:
        return True
    aside = place.with_name(place.name + "-moving")
    try:  # a folder in which a program runs cannot be renamed there
        place.rename(aside)
        aside.rename(place)
    except OSError:
        return False
    return True


def python_tag():
    """Version and platform of this Python, the same from an environment as from its base."""
    free_threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    version = "{}.{}".format(*sys.version_info[:2])
    return f"{sys.implementation.name}{version}{free_threaded}-{sysconfig.get_platform()}"


def tag_in(place):
    """What python_tag() is in the environment at a place; empty where its Python does not run (any more)."""
    ask = (  # without pip it has lost its packages: the Python that it points to is another version now
        "import importlib.util, sys, sysconfig; assert importlib.util.find_spec('pip');"
        " print(sys.implementation.name + '%d.%d' % sys.version_info[:2]"
        " + ('t' if sysconfig.get_config_var('Py_GIL_DISABLED') else '') + '-' + sysconfig.get_platform())"
    )
    try:
        asked = subprocess.run([str(python_in(place)), "-I", "-c", ask], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip()


def folder_line():
    """The folder of the project, and for a bundle the build of torch: an environment serves these alone."""
    torch_index = os.environ.get(TORCH_INDEX, "") if BUILDING else ""
    return f"{ROOT}{torch_index and chr(10) + torch_index}"


def made_for():
    """What an environment cannot survive a change of: Python's version and platform, and the folder."""
    return f"{python_tag()}\n{folder_line()}"


def build_environment(place, extra):
    """Make an environment beside its place and put it there when it is whole; words if it fails."""
    # A name as long as the last one: Windows' launchers hold their path in a binary file.
    beside = place.with_name(place.name.replace(".venv", ".vnew", 1))
    say(f"Making a Python environment in {place.name} ...")
    extras = read(place / "installed.txt").split()[1:] if (place / "made-for.txt").exists() else []
    use(beside)
    problem = make_venv()
    if problem:
        return problem
    if extras:
        STAMP.write_text(" ".join(["none", *extras]), encoding="utf-8")
    problem = install_missing(extra)
    if problem:
        return problem
    MADE_FOR.write_text(made_for(), encoding="utf-8")
    rewrite_paths(beside, place)
    return swap(beside, place)


def rewrite_paths(beside, place):
    """Name the last place of an environment in its scripts, launchers and settings."""
    for path in [beside / "pyvenv.cfg", *python_in(beside).parent.iterdir()]:
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        final = content.replace(os.fsencode(beside), os.fsencode(place))
        if final != content:
            path.write_bytes(final)


def old_of(place):
    """Where the environment that was at a place waits until the new one is there."""
    return place.with_name(place.name.replace(".venv", ".vold", 1))


def swap(beside, place):
    """Put a whole environment in its place; the one that was there goes, one that is not ours is kept aside."""
    set_foreign_aside(place)
    old = old_of(place)
    shutil.rmtree(old, ignore_errors=True)
    try:
        if place.exists():
            place.rename(old)
        beside.rename(place)
    except OSError as error:
        if old.exists() and not place.exists():
            old.rename(place)
        return (
            f"The new environment cannot take its place, {place}: {error}. Close what runs from it, then start again."
        )
    shutil.rmtree(old, ignore_errors=True)
    use(place)
    return None


def fingerprint():
    """Hash of everything that decides what has to be installed."""
    digest = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", CONSTRAINTS):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read(path):
    """A small text file's text; empty where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def make_venv():
    """Make the environment in use anew; on Debian the module may be a package of its own. Words if it fails."""
    command = [getattr(sys, "_base_executable", None) or sys.executable, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True)
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if made.returncode and "ensurepip" in made.stdout + made.stderr and install_debian([package]):
        made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        hint = f" On Debian or Ubuntu: sudo apt install {package}" if shutil.which("apt-get") else ""
        return f"Python cannot make an environment: {(made.stdout + made.stderr).strip()}{hint}"
    return None


def set_foreign_aside(place):
    """Keep an environment that somebody else made in our place: rename it rather than delete it."""
    ours = (place / "install.log").exists() or (place / "made-for.txt").exists()
    if ours or not (place / "pyvenv.cfg").exists():
        return
    number = 1
    while (aside := place.with_name(f"{place.name}-aside-{number}")).exists():
        number += 1
    place.rename(aside)
    say(f"There was an environment in {place.name} that this program did not make; it is {aside.name} now.")


def install(target):
    """Install the project, editable, with its constraints; returns the exit code."""
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    constraints = ["-c", str(CONSTRAINTS)]
    index = os.environ.get(TORCH_INDEX)
    if index:
        code = logged([*command, "--index-url", index, "--no-deps", *constraints, "torch"])
        if code:
            return code
    elif WINDOWS and has_nvidia_card() and not BUILDING:
        say("An NVIDIA card is here: installing PyTorch's CUDA build.")
        code = logged([*command, "uv"])
        if code:
            return code
        command = [str(PYTHON), "-m", "uv", "pip", "install", "--python", str(PYTHON), "--torch-backend=auto"]
    further = ["--extra-index-url", index] if index else []  # some builds of torch need packages that are only there
    return logged([*command, *further, *constraints, "-e", target])


def logged(command):
    """Run with the output in the log, telling every quarter of a minute that it goes on; returns the exit code."""
    started = last_said = time.monotonic()
    with open(LOG, "a") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - last_said >= 15:
                last_said = time.monotonic()
                lines = read(LOG).split("\n")
                step = next((line.strip() for line in reversed(lines) if line.strip()), "")
                say(f"  {last_said - started:.0f} s: {step[:100]}")
    return process.returncode


def has_nvidia_card():
    """Whether NVIDIA's driver sees a card."""
    tool = shutil.which("nvidia-smi") or str(Path(os.environ.get("SYSTEMROOT", "")) / "System32/nvidia-smi.exe")
    try:
        return subprocess.run([tool, "-L"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def prepare_qt():
    """On Linux: see whether Qt's system libraries are there; name the missing packages, or install them as root."""
    if not sys.platform.startswith("linux"):
        return
    missing = [packages for library, packages in QT_LIBRARIES.items() if not loads(library)]
    if not any(Path("/usr/share/fonts").rglob("*.[to]tf")):
        missing.append(FONT)
    if not missing:
        return
    debian, fedora = (sorted({packages[system] for packages in missing}) for system in (0, 1))
    if install_debian(debian):
        return
    say("The window needs system libraries that are missing here. Install them with")
    say("  Debian, Ubuntu:  sudo apt install " + " ".join(debian))
    say("  Fedora:          sudo dnf install " + " ".join(fedora))


def prepare_build_tools(checking):
    """On Debian, as root: install what a bundle, its packages and their check need, where it is missing."""
    wanted = BUILD_TOOLS | (CHECK_TOOLS if checking else {})
    missing = sorted({package for tool, package in wanted.items() if not (shutil.which(tool) or loads(tool))})
    if missing and sys.platform.startswith("linux") and not install_debian(missing):
        say("A build needs these of Debian's packages, or the like of them: " + " ".join(missing))


def prepare_x_server():
    """On Linux some tests use the window on a real X server: see whether its programs are there, or install as root."""
    missing = sorted(package for program, package in X_TOOLS.items() if not shutil.which(program))
    if sys.platform.startswith("linux") and missing and not install_debian(missing):
        say("The window is not tried on a real X server, or not wholly. To have that tried as well, install")
        say("  Debian, Ubuntu:  sudo apt install " + " ".join(missing))
        say("  Fedora:          sudo dnf install xorg-x11-server-Xvfb openbox xdotool")


def loads(library):
    """Whether the system's loader finds a shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install_debian(packages):
    """Install Debian packages where this is Debian and we are root, as in containers; tells whether it did."""
    if not (shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0):
        return False
    say("Installing system packages with apt-get: " + " ".join(packages))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    if subprocess.run(command, **quiet).returncode:
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        return subprocess.run(command, **quiet).returncode == 0
    return True


def run_checks(arguments):
    """Run every check, also after one failed; returns 0 only if all passed. Arguments go to pytest."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    failed = []
    for tool, *options in CHECKS:
        title = " ".join([tool, *options])
        say("--- " + title)
        command = [str(PYTHON.parent / tool), *options, *(arguments if tool == "pytest" else [])]
        started = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, env=environment).returncode
        if code:
            failed.append(title)
        say("--- {}: {} in {:.0f} s".format(title, "FAILED" if code else "passed", time.monotonic() - started))
    say("All checks passed." if not failed else "FAILED: " + ", ".join(failed))
    return 1 if failed else 0


def hand_over(command):
    """Become the program, or where that cannot be, wait for it; Ctrl-C is the program's to handle."""
    sys.stdout.flush()
    if not WINDOWS:
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return subprocess.run(command).returncode


def say(text):
    """Tell a person on stderr, so that stdout stays the command's."""
    print(text, file=sys.stderr, flush=True)


def fail(text):
    """Tell what went wrong; returns the exit code."""
    say("Error: " + text)
    if WINDOWS and len(sys.argv) == 1:  # started by a double click: the console would close at once
        input("Press Enter to close.")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("Stopped. Start again to go on.")
        sys.exit(130)
