"""Reads the instructions of a pickle without running anything: what they would call is described, never called.

Python's own `pickle.Unpickler` calls whatever a file names, and its memo grows to any index that a file claims. This
machine knows the instructions as data alone. Classes and functions are `Name`s; what may be done with one is decided
by the caller's closed list. Source of the instructions: the standard library's ``pickletools``, protocols 0 to 5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MOST_INSTRUCTIONS = 2_000_000
MOST_CONTAINERS = 500_000  # lists, tables and tuples: what costs memory though the file has a byte for it
MOST_MARKS = 1000
MOST_INTEGER_BYTES = 16
MOST_LINE_BYTES = 1024


@dataclass(frozen=True)
class Name:
    """A class or a function that a pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Inert:
    """Something that a pickle describes and that no tensor needs: a number of numpy, the state of an optimiser."""


class PickleFormatError(Exception):
    """The instructions make no sense, or are more than a model has."""


class Bytes(Protocol):
    """Where the instructions come from."""

    def read(self, length: int) -> bytes:
        """Exactly so many bytes. Raises `PickleFormatError` where there are fewer, before any memory is taken."""

    def line(self, most: int) -> bytes:
        """Up to the next line feed, without it. Raises `PickleFormatError` where none comes within `most` bytes."""


@dataclass(frozen=True)
class Meaning:
    """What a caller lets a pickle say.

    Attributes:
        name: whether a class or function may be named at all; raises what the caller likes.
        call: the value that stands for calling it with some arguments, likewise.
        persistent: the value of a persistent id.
        state: notes a state that is set on a value of `call`.
    """

    name: Callable[[Name], None]
    call: Callable[[Name, tuple[object, ...]], object]
    persistent: Callable[[object], object]
    state: Callable[[object, object], None]


def read_pickle(source: Bytes, meaning: Meaning) -> object:
    """The value of the pickle that begins where the source stands; stops right behind it.

    Values are None, bool, int, float, str, bytes, tuple, list, dict (also for ordered ones), `Name`, `Inert`, and
    whatever `meaning` gives. A key that is no plain value is an `Inert`.

    Raises:
        PickleFormatError: what it is.
    """
    machine = _Machine(source, meaning)
    try:
        return machine.run()
    except (IndexError, KeyError):
        raise PickleFormatError("its instructions take what is not there") from None
    except UnicodeError:
        raise PickleFormatError("a text in it is not valid") from None


class _Stopped(Exception):  # noqa: N818 - the end of every pickle
    """The value is there."""


class _Machine:
    """A stack, the stacks below its marks, and a memo."""

    def __init__(self, source: Bytes, meaning: Meaning) -> None:
        self.source, self.meaning = source, meaning
        self.stack: list[object] = []
        self.below: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.containers = 0

    def run(self) -> object:
        read, steps = self.source.read, _STEPS
        for _ in range(MOST_INSTRUCTIONS):
            code = read(1)[0]
            step = steps.get(code)
            if step is None:
                raise PickleFormatError(f"it has the instruction {code:#04x}, which no model needs")
            try:
                step(self)
            except _Stopped:
                if self.below:
                    raise PickleFormatError("it ends inside a list") from None
                return self.stack[-1]
        raise PickleFormatError(f"it has more than {MOST_INSTRUCTIONS:,} instructions")

    def counted(self, container: object) -> None:
        """Push a container, of which there may be only so many."""
        self.containers += 1
        if self.containers > MOST_CONTAINERS:
            raise PickleFormatError(f"it has more than {MOST_CONTAINERS:,} lists, tables and tuples")
        self.stack.append(container)

    def mark(self) -> None:
        if len(self.below) >= MOST_MARKS:
            raise PickleFormatError(f"its lists are nested more than {MOST_MARKS} deep")
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[object]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.source.read(struct.calcsize(form)))[0]
        return value

    def integer(self, length: int) -> None:
        if not 0 <= length <= MOST_INTEGER_BYTES:
            raise PickleFormatError(f"it has a whole number of {length:,} bytes")
        self.stack.append(int.from_bytes(self.source.read(length), "little", signed=True))

    def decimal(self) -> None:
        """A number as text; ``01`` and ``00`` are true and false."""
        text = self.source.line(32).decode("ascii").removesuffix("L")
        if text in ("00", "01"):
            self.stack.append(text == "01")
            return
        try:
            self.stack.append(int(text))
        except ValueError:
            raise PickleFormatError("a number in it is none") from None

    def real(self) -> None:
        try:
            self.stack.append(float(self.source.line(64)))
        except ValueError:
            raise PickleFormatError("a number in it is none") from None

    def text(self, form: str) -> None:
        self.stack.append(self.source.read(self.number(form)).decode("utf-8"))

    def old_text(self, form: str) -> None:
        """A text of Python 2, which has no encoding."""
        self.stack.append(self.source.read(self.length(form)).decode("latin-1"))

    def raw(self, form: str) -> None:
        self.stack.append(self.source.read(self.length(form)))

    def length(self, form: str) -> int:
        length = self.number(form)
        if length < 0:
            raise PickleFormatError("a length in it is negative")
        return length

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def place(self) -> int:
        text = self.source.line(16)
        if not text.isdigit():
            raise PickleFormatError("a place in its memo is no number")
        return int(text)

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) < count:
            raise IndexError
        del self.stack[-count:]
        self.counted(items)

    def append(self, items: list[object]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target += items
        elif not isinstance(target, Inert):
            raise PickleFormatError("it adds to something that is no list")

    def set_items(self, items: list[object]) -> None:
        target = self.stack[-1]
        if len(items) % 2:
            raise PickleFormatError("a table in it has a name without a value")
        if isinstance(target, dict):
            for name, value in zip(items[::2], items[1::2], strict=True):
                target[name if _is_key(name) else Inert()] = value
        elif not isinstance(target, Inert):
            raise PickleFormatError("it gives values to something that is no table")

    def table(self, items: list[object]) -> None:
        self.counted({})
        self.set_items(items)

    def named(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleFormatError("it names something without a text")
        found = Name(module, name)
        self.meaning.name(found)
        self.stack.append(found)

    def name_lines(self) -> tuple[str, str]:
        module = self.source.line(MOST_LINE_BYTES).decode("utf-8")
        return module, self.source.line(MOST_LINE_BYTES).decode("utf-8")

    def call(self, arguments: object) -> None:
        called = self.stack.pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise PickleFormatError("it calls something that it does not name")
        self.counted(self.meaning.call(called, arguments))

    def call_with_names(self) -> None:
        names, arguments = self.stack.pop(), self.stack.pop()
        if names != {}:
            raise PickleFormatError("it calls something with names for the arguments")
        self.call(arguments)

    def instance(self) -> None:
        """An object of the oldest protocols: its class is named, as after all others."""
        arguments = self.marked()
        self.named(*self.name_lines())
        self.call(tuple(arguments))

    def object(self) -> None:
        items = self.marked()
        self.stack.append(items[0])
        self.call(tuple(items[1:]))

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, dict | Inert):
            self.meaning.state(target, state)

    def extension(self) -> None:
        raise PickleFormatError("it names something by a number of Python's registry of extensions")

    def stop(self) -> None:
        raise _Stopped


def _is_key(value: object) -> bool:
    """Whether a value can be a key at no cost: no tuple that is nested deeply, no numbers made to have one hash."""
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    return value is None or isinstance(value, (str, float, bytes, Name))


def _swallow(length: int) -> Callable[[_Machine], object]:
    return lambda machine: machine.source.read(length)


def _global(machine: _Machine) -> None:
    machine.named(*machine.name_lines())


def _stack_global(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.named(module, name)


def _constant(value: object) -> Callable[[_Machine], object]:
    return lambda machine: machine.stack.append(value)


def _set_item(machine: _Machine) -> None:
    value, name = machine.stack.pop(), machine.stack.pop()
    machine.set_items([name, value])


def _append(machine: _Machine) -> None:
    value = machine.stack.pop()
    machine.append([value])


def _reduce(machine: _Machine) -> None:
    arguments = machine.stack.pop()
    machine.call(arguments)


def _persistent_line(machine: _Machine) -> None:
    machine.stack.append(machine.meaning.persistent(machine.source.line(MOST_LINE_BYTES).decode("utf-8")))


_STEPS: dict[int, Callable[[_Machine], object]] = {
    # framing and the stack
    0x80: _swallow(1),  # PROTO
    0x95: _swallow(8),  # FRAME
    ord("."): _Machine.stop,
    ord("("): _Machine.mark,
    ord("0"): lambda machine: machine.stack.pop(),
    ord("1"): _Machine.marked,
    ord("2"): lambda machine: machine.stack.append(machine.stack[-1]),
    # plain values
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("J"): lambda machine: machine.stack.append(machine.number("<i")),
    ord("K"): lambda machine: machine.stack.append(machine.number("<B")),
    ord("M"): lambda machine: machine.stack.append(machine.number("<H")),
    0x8A: lambda machine: machine.integer(machine.number("<B")),
    0x8B: lambda machine: machine.integer(machine.number("<i")),
    ord("I"): _Machine.decimal,
    ord("L"): _Machine.decimal,
    ord("G"): lambda machine: machine.stack.append(struct.unpack(">d", machine.source.read(8))[0]),
    ord("F"): _Machine.real,
    ord("X"): lambda machine: machine.text("<I"),
    0x8C: lambda machine: machine.text("<B"),
    0x8D: lambda machine: machine.text("<Q"),
    ord("V"): lambda machine: machine.stack.append(machine.source.line(MOST_LINE_BYTES).decode("raw-unicode-escape")),
    ord("T"): lambda machine: machine.old_text("<i"),
    ord("U"): lambda machine: machine.old_text("<B"),
    ord("B"): lambda machine: machine.raw("<I"),
    ord("C"): lambda machine: machine.raw("<B"),
    0x8E: lambda machine: machine.raw("<Q"),
    0x96: lambda machine: machine.raw("<Q"),
    # containers; a set has nothing that a model needs
    ord(")"): _constant(()),
    ord("t"): lambda machine: machine.counted(tuple(machine.marked())),
    0x85: lambda machine: machine.tuple_of(1),
    0x86: lambda machine: machine.tuple_of(2),
    0x87: lambda machine: machine.tuple_of(3),
    ord("]"): lambda machine: machine.counted([]),
    ord("l"): lambda machine: machine.counted(machine.marked()),
    ord("a"): _append,
    ord("e"): lambda machine: machine.append(machine.marked()),
    ord("}"): lambda machine: machine.counted({}),
    ord("d"): lambda machine: machine.table(machine.marked()),
    ord("s"): _set_item,
    ord("u"): lambda machine: machine.set_items(machine.marked()),
    0x8F: lambda machine: machine.counted([]),
    0x90: lambda machine: machine.append(machine.marked()),
    0x91: lambda machine: machine.counted(machine.marked()),
    # the memo
    ord("p"): lambda machine: machine.put(machine.place()),
    ord("q"): lambda machine: machine.put(machine.number("<B")),
    ord("r"): lambda machine: machine.put(machine.number("<I")),
    0x94: lambda machine: machine.put(len(machine.memo)),
    ord("g"): lambda machine: machine.get(machine.place()),
    ord("h"): lambda machine: machine.get(machine.number("<B")),
    ord("j"): lambda machine: machine.get(machine.number("<I")),
    # names, and what is made with them
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): _reduce,
    0x81: _reduce,
    0x92: _Machine.call_with_names,
    ord("i"): _Machine.instance,
    ord("o"): _Machine.object,
    ord("b"): _Machine.build,
    ord("Q"): lambda machine: machine.stack.append(machine.meaning.persistent(machine.stack.pop())),
    ord("P"): _persistent_line,
    0x82: _Machine.extension,
    0x83: _Machine.extension,
    0x84: _Machine.extension,
}
