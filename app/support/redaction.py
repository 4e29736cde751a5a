"""Takes out of a text what identifies its user: paths, the user's name, the computer's name.

Every absolute path goes, and with it the rest of its line: where a path with spaces ends cannot be known, so only an
end that is known to be harmless is kept. What is known (home, models, output folder) leaves a word that says what
stood there, and paths of the program and of installed packages keep the part inside these.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import re
import socket
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.checkpoints.containers import model_endings

PATH = "<path>"
USER = "<user>"
HOST = "<host>"
HOME = "<home>"
FINETUNED = "<fine-tuned model>"
ORIGINAL = "<original model>"
OUTPUT = "<output folder>"
FILE = "<file>"

_LEAST_INSIDE_WORDS = 5  # a name of so many letters is replaced inside of words too
_PLACEHOLDER = re.compile(r"(<[a-z -]+>)")
_ROOT = re.compile(
    r"""
      file:/                                # an address of a file
    | (?<![\w.~/\\])~[\w.-]*[\\/]          # ~/ and ~name/
    | (?<![A-Za-z])[A-Za-z]:[\\/]           # of a drive
    | \\\\(?=\S)                            # of a server, also with doubled backslashes
    | (?<![A-Za-z0-9_.\\:])\\(?=\S.*\\)      # from the root of a drive
    | (?<![A-Za-z0-9_./\\:])/(?=\S)          # /folder
    | (?<=:)/(?!/)(?=\S)                    # /folder behind a colon, as in lists of folders; no http://
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUOTES = {"'": "'", '"': '"', "\u201c": "\u201d", "\u201e": "\u201c", "`": "`"}
_FRAME = re.compile(r'^(?P<before>\s*File ")(?P<file>.*)(?P<after>", line \d+.*)$')
_NO_FILE = re.compile(r"<[\w. ]+>")  # <string>, <frozen importlib._bootstrap>
_OURS = re.compile(r"/(?:app|engine|resources)/[\w/.-]+\.py")
_INSTALLED = re.compile(r".*/(?P<tail>(?:(?:site|dist)-packages|lib/python3\.\d+)/[\w./-]+\.py)", re.IGNORECASE)
_ENDS = (
    r" \(\d[\d.,]* (?:bytes|kB|MB|GB|TB)\)",
    r" does not exist\.",
    r" is (?:a folder|empty|not a safetensors model|a LoRA already, not a model)\.",
    r" is cut off: it has \d+ of at least \d+ bytes\.",
    r" changed or vanished during the run\.",
)


@dataclass(frozen=True)
class PrivateWords:
    """What must not be in a text that is given away.

    Attributes:
        places: a path or a file's name, and the word that stands for it.
        names: a person's or a computer's name, and the word that stands for it.
        program: the folder that holds the program's packages.
    """

    places: tuple[tuple[str, str], ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    program: str = ""

    def hide(self, text: str) -> str:
        """The text without private words; line by line."""
        return "\n".join(self._hide_line(line) for line in text.split("\n"))

    def hide_in(self, value: Any) -> Any:
        """The same for every text inside of a value that JSON can hold; anything else becomes a text."""
        if isinstance(value, dict):
            return {self.hide(str(name)): self.hide_in(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.hide_in(inner) for inner in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        text = str(value)
        first = text.partition("\n")[0]
        # A value that begins as a path is one, whatever line breaks its name may have.
        return self._label(text) if first[:1] in ("/", "\\") or _ROOT.match(first) else self.hide(text)

    def _hide_line(self, line: str) -> str:
        frame = _FRAME.match(line)
        if frame is not None:
            line = f"{frame['before']}{self._source_file(frame['file'])}{self._hide_paths(frame['after'])}"
        else:
            line = self._hide_paths(line)
        return self._hide_names(line)

    def _source_file(self, file: str) -> str:
        """A source file's path, with the part that is the same on every computer."""
        if _NO_FILE.fullmatch(file):
            return file
        slashed, program = file.replace("\\", "/"), self.program.replace("\\", "/").rstrip("/")
        inside = slashed[len(program) :] if program and slashed.startswith(f"{program}/") else ""
        if _OURS.fullmatch(inside):
            return f"<program>{inside}"
        installed = _INSTALLED.fullmatch(slashed)
        return f"{PATH}/{installed['tail']}" if installed else PATH

    def _hide_paths(self, line: str) -> str:
        root = _ROOT.search(line)
        if root is None:
            return line
        at = root.start()
        before, rest = line[:at], line[at:]
        closing = _QUOTES.get(before[-1:])
        if closing is not None and closing in rest:
            path, _quote, after = rest.rpartition(closing)
            return f"{before}{self._label(path)}{closing}{self._hide_paths(after)}"
        end = _harmless_end().search(rest)
        if end is None:
            end = self._behind_known_file(rest)
        after = end[0] if end is not None else ""
        return f"{before}{self._label(rest[: len(rest) - len(after)])}{after}"

    def _behind_known_file(self, rest: str) -> re.Match[str] | None:
        """What follows a known file's path, where nothing in it can belong to a longer path."""
        slashed = _slashed(rest)
        for place, _word in self.places:
            known = _slashed(place)
            if not Path(place).suffix or len(slashed) != len(rest) or not slashed.startswith(known):
                continue
            after = re.compile(r"[\s.,:;)][^\\/]*").fullmatch(rest, len(known))
            if after is not None:
                return after
        return None

    def _label(self, path: str) -> str:
        """The word for a path: of what it is, of the known folder that it lies in, or of none."""
        slashed = _slashed(path)
        for place, word in sorted(self.places, key=lambda item: -len(item[0])):
            for known in {_slashed(spelled) for spelled in (place, ascii(place)[1:-1], json.dumps(place)[1:-1])}:
                if slashed == known:
                    return word
                if "/" in known and slashed.startswith(f"{known}/"):
                    return f"{word}/\u2026"
        return PATH

    def _hide_names(self, text: str) -> str:
        for pattern, word in _name_patterns(self.names, self.places):
            parts = _PLACEHOLDER.split(text)
            parts[::2] = [pattern.sub(word, part) for part in parts[::2]]
            text = "".join(parts)
        return text


def private_words(
    *, finetuned: Path | None = None, original: Path | None = None, output_dir: Path | None = None
) -> PrivateWords:
    """What is private on this computer, to this person, with these models and this output folder."""
    known = ((finetuned, FINETUNED), (original, ORIGINAL), (output_dir, OUTPUT), (Path.home(), HOME))
    places = [(text, word) for path, word in known if path is not None for text in (str(path), os.path.realpath(path))]
    places += [(path.name, word) for path, word in known[:2] if path is not None]
    return PrivateWords(tuple(dict.fromkeys(places)), _own_names(), str(Path(__file__).resolve().parents[2]))


def _own_names() -> tuple[tuple[str, str], ...]:
    users = {os.environ.get(variable, "") for variable in ("USER", "USERNAME", "LOGNAME")} | {Path.home().name}
    with suppress(OSError, KeyError, ImportError):
        users.add(getpass.getuser())
    host = socket.gethostname()
    hosts = {host, host.partition(".")[0], os.environ.get("COMPUTERNAME", "")}
    named = {name: word for names, word in ((hosts, HOST), (users, USER)) for name in names if len(name) > 1}
    return tuple(sorted(named.items()))


def _slashed(path: str) -> str:
    """A path in the one spelling in which two are compared."""
    return re.sub(r"[\\/]+", "/", unicodedata.normalize("NFC", path)).casefold().rstrip("/")


@lru_cache(maxsize=8)
def _name_patterns(
    names: tuple[tuple[str, str], ...], places: tuple[tuple[str, str], ...]
) -> tuple[tuple[re.Pattern[str], str], ...]:
    """How names of files, people and computers are found; longest first, and names of model files at last."""
    files = [(name, word) for name, word in places if not re.search(r"[\\/]", name)]
    found = []
    for name, word in sorted((*files, *names), key=lambda item: -len(item[0])):
        forms = {name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}
        spellings = {spelled for form in forms for spelled in (form, ascii(form)[1:-1], json.dumps(form)[1:-1])}
        spellings |= {quote(form) for form in forms}
        pattern = "|".join(re.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True))
        if len(name) < _LEAST_INSIDE_WORDS:
            pattern = rf"(?<![^\W\d_])(?:{pattern})(?![^\W\d_])"
        found.append((re.compile(pattern, re.IGNORECASE), word))
    found.append((_model_file(), rf"{FILE}\1"))
    return tuple(found)


def _model_file() -> re.Pattern[str]:
    """The name of a file that may be a model, with its ending as a group."""
    endings = "|".join(re.escape(ending) for ending in model_endings())
    return re.compile(rf"[^\s\"'<>()\[\],;]+({endings})\b", re.IGNORECASE)


@lru_cache(maxsize=1)
def _harmless_end() -> re.Pattern[str]:
    """Ends of lines that can be kept whatever they stand behind: sizes, the system's reasons, our own sentences."""
    reasons = sorted({os.strerror(number) for number in errno.errorcode}, key=len, reverse=True)
    return re.compile("(?:" + "|".join((*_ENDS, *(rf": {re.escape(reason)}\.?" for reason in reasons))) + ")$")
