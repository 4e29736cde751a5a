"""What the pickles of torch say: tensors as views of storages, from a closed list of names. No torch, nothing is run.

Source: torch 2.5 to 2.13, ``torch/_utils.py`` (the functions that rebuild tensors) and ``torch/serialization.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard

from engine.checkpoints.containers.pickle_machine import Inert, Meaning, Name, PickleFormatError
from engine.checkpoints.dtypes import DTYPES

_STORAGES = {
    # torch's class -> dtype of its elements
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "ComplexFloatStorage": "C64",
}
_UNTYPED = (Name("torch.storage", "UntypedStorage"), Name("torch", "UntypedStorage"))
_TORCH_DTYPES = {info.torch_name: name for name, info in DTYPES.items() if info.bits >= 8}
_TORCH_DTYPES |= {"half": "F16", "float": "F32", "double": "F64"}
_ORDERED = (Name("collections", "OrderedDict"), Name("collections", "defaultdict"))
_PARAMETER = (Name("torch._utils", "_rebuild_parameter"), Name("torch._utils", "_rebuild_parameter_with_state"))
_REBUILD = {
    # function -> where its arguments have the dtype of the elements; None where the storage has it
    Name("torch._utils", "_rebuild_tensor"): None,
    Name("torch._utils", "_rebuild_tensor_v2"): None,
    Name("torch._utils", "_rebuild_tensor_v3"): 6,
}
_SUBCLASS = Name("torch._tensor", "_rebuild_from_type_v2")  # of a tensor with attributes: function, class, arguments
_PLAIN_CLASSES = (Name("torch", "Tensor"), Name("torch.nn.parameter", "Parameter"))
_SHAPES = (Name("torch", "Size"),)
_INERT = {
    # of trainers and of numpy: described, never made
    Name("torch", "device"),
    Name("torch.serialization", "_get_layout"),
    Name("_codecs", "encode"),
    Name("collections", "Counter"),
    Name("builtins", "set"),
    Name("__builtin__", "set"),
    Name("builtins", "frozenset"),
    Name("builtins", "bytearray"),
    Name("builtins", "complex"),
    Name("numpy", "dtype"),
    Name("numpy", "ndarray"),
    Name("numpy.core.multiarray", "scalar"),
    Name("numpy.core.multiarray", "_reconstruct"),
    Name("numpy._core.multiarray", "scalar"),
    Name("numpy._core.multiarray", "_reconstruct"),
    Name("argparse", "Namespace"),
    Name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    Name("lightning.pytorch.callbacks.model_checkpoint", "ModelCheckpoint"),
}


class PickleRefusal(Exception):  # noqa: N818 - what is refused is named by the error that is made of it
    """A pickle wants what is not on the list."""

    def __init__(self, name: str, reason: str = "class") -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason


@dataclass(frozen=True)
class Storage:
    """Numbers in a row.

    Attributes:
        key: names the bytes in the file.
        dtype: key of `DTYPES`; bytes where torch calls it untyped.
        numel: how many.
        start: which of the key's elements is its first.
    """

    key: str
    dtype: str
    numel: int
    start: int = 0


@dataclass(frozen=True)
class PickledTensor:
    """A tensor as a view of a storage; its strides count elements of its own dtype.

    Attributes:
        storage: what it is a view of.
        dtype: of its elements.
        start: which element of the storage is its first.
        shape: of the view.
        strides: elements between neighbours along each dimension.
    """

    storage: Storage
    dtype: str
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def contiguous(self) -> bool:
        """Whether its elements lie in its own order, without holes."""
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != step:
                return False
            step *= size
        return True

    @property
    def span(self) -> int:
        """How many elements of the storage it reaches over."""
        if not math.prod(self.shape):
            return 0
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))


@dataclass(frozen=True)
class _Shape:
    """A ``torch.Size``."""

    sizes: tuple[int, ...]


def torch_meaning(storages: dict[str, Storage]) -> Meaning:
    """What a pickle of torch may say; anything else raises `PickleRefusal`. Whole storages are noted by their keys."""
    return Meaning(_check_name, _call, lambda found: _storage(found, storages), _ignore_state)


def _check_name(name: Name) -> None:
    if name in _ORDERED or name in _PARAMETER or name in _REBUILD or name in _SHAPES or name in _INERT:
        return
    if name in _UNTYPED or name in _PLAIN_CLASSES or name == _SUBCLASS or _element_of(name) is not None:
        return
    if name.module == "torch" and name.name in _TORCH_DTYPES:
        return
    raise PickleRefusal(str(name))


def _element_of(kind: Name) -> str | None:
    """The dtype of a storage's elements by its class; None where it is none."""
    return _STORAGES.get(kind.name) if kind.module in ("torch", "torch.cuda") else None


def _call(name: Name, arguments: tuple[object, ...]) -> object:
    if name in _INERT:
        return Inert()
    if name in _ORDERED:
        return _ordered(arguments)
    if name in _SHAPES:
        if len(arguments) != 1 or not _is_sizes(arguments[0]):
            raise PickleFormatError("the shape of a tensor in it is none")
        return _Shape(tuple(arguments[0]))
    if name in _PARAMETER:
        if not arguments or not isinstance(arguments[0], PickledTensor):
            raise PickleFormatError("a parameter in it has no tensor")
        return arguments[0]
    if name in _REBUILD:
        return _tensor(name, arguments)
    if name == _SUBCLASS and len(arguments) >= 3 and arguments[1] in _PLAIN_CLASSES:
        function, inner = arguments[0], arguments[2]
        if isinstance(function, Name) and (function in _REBUILD or function in _PARAMETER) and isinstance(inner, tuple):
            return _call(function, inner)
    raise PickleRefusal(str(name))


def _ordered(arguments: tuple[object, ...]) -> dict[object, object]:
    """An ordered table: empty, or from pairs, as protocols before 2 write it."""
    pairs = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else ()
    table: dict[object, object] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise PickleFormatError("an ordered table in it has no pairs")
        table[pair[0] if isinstance(pair[0], str | int) else Inert()] = pair[1]
    return table


def _tensor(name: Name, arguments: tuple[object, ...]) -> PickledTensor:
    if len(arguments) < 4:
        raise PickleFormatError("a tensor in it has no shape")
    storage, start, shape, strides = arguments[:4]
    shape = shape.sizes if isinstance(shape, _Shape) else shape
    if not isinstance(storage, Storage):
        raise PickleFormatError("a tensor in it has no storage")
    if type(start) is not int or start < 0 or not _is_sizes(shape) or not _is_sizes(strides):
        raise PickleFormatError("the shape of a tensor in it is none")
    if len(shape) != len(strides):
        raise PickleFormatError("a tensor in it has another number of strides than of sizes")
    place = _REBUILD[name]
    dtype = storage.dtype if place is None else _dtype(arguments, place)
    extras = arguments[6 if place is None else 7 :]
    if any(isinstance(extra, dict) and any(extra.values()) for extra in extras):
        raise PickleRefusal("conj or neg", "negated")  # the numbers in the file are not those of the tensor
    return PickledTensor(storage, dtype, start, tuple(shape), tuple(strides))


def _dtype(arguments: tuple[object, ...], place: int) -> str:
    found = arguments[place] if len(arguments) > place else None
    if not isinstance(found, Name) or found.module != "torch" or found.name not in _TORCH_DTYPES:
        raise PickleFormatError("a tensor in it has no dtype that is known")
    return _TORCH_DTYPES[found.name]


def _storage(found: object, known: dict[str, Storage]) -> Storage:
    """The storage of a persistent id: ``("storage", class, key, device, numel)``, and the view in older files."""
    if not isinstance(found, tuple) or len(found) < 5 or found[0] != "storage":
        raise PickleFormatError("it refers to something that is no storage")
    kind, key, numel = found[1], found[2], found[4]
    if not isinstance(kind, Name) or not isinstance(key, str) or type(numel) is not int or numel < 0:
        raise PickleFormatError("it refers to a storage that makes no sense")
    dtype = "U8" if kind in _UNTYPED else _element_of(kind)
    if dtype is None:
        raise PickleRefusal(str(kind))
    storage = Storage(key, dtype, numel)
    if known.setdefault(key, storage) != storage:
        raise PickleFormatError(f"it says two things of storage {key}")
    if len(found) > 5 and found[5] is not None:
        view = found[5]
        if not isinstance(view, tuple) or len(view) != 3 or not _is_sizes(view[1:]) or view[1] + view[2] > numel:
            raise PickleFormatError("it refers to a storage that makes no sense")
        return Storage(key, dtype, view[2], view[1])
    return storage


def _ignore_state(target: object, state: object) -> None:
    """Attributes of a tensor change none of its numbers; nothing else can have any."""
    if not isinstance(target, PickledTensor):
        raise PickleFormatError("it sets the state of something that has none")


def _is_sizes(value: object) -> TypeGuard[tuple[int, ...]]:
    return isinstance(value, tuple) and all(type(item) is int and 0 <= item < 1 << 62 for item in value)
