"""Experts of a mixture: a tensor that holds all of them is one matrix for each, as if each had its own.

Programs keep the experts of a layer in one tensor with three dimensions, ``mlp.experts.gate_up_proj``, or write a
matrix for each, ``mlp.experts.7.gate_proj.weight``. Under the names made here both meet: ``mlp.experts.7.gate_up_proj.
weight``, (out, in), whose first half of rows is the gate where a program keeps it with the projection up in one.

Sources of the names and of how they are divided: transformers 5, conversion_mapping.py and models/*/modeling_*.py.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from engine.checkpoints import Piece, StoredTensor, WeightSource, WeightView
from engine.checkpoints.encodings import piece_of
from engine.checkpoints.stored import RAW
from engine.events import Notice, NoticeCode

Views = dict[str, WeightView]
Singles = Mapping[str, Mapping[int, Mapping[str, str]]]
"""Matrices that an expert has for itself: by module, number and what they are called, their canonical names."""
LAYOUT = "experts"
"""In the key of records: those of files that were read as a whole tensor never answer for one expert of it."""
GATE_UP, DOWN = "gate_up_proj", "down_proj"
_ONE_NAME = {"input_linear": GATE_UP, "w13_weight": GATE_UP, "output_linear": DOWN, "w2_weight": DOWN}
_INTO = {
    GATE_UP,
    "gate_proj",
    "up_proj",
    "w1",
    "w3",
    "v1",
    "fc1",
    "fc3",
    "wi",
    "wi_0",
    "wi_1",
}  # from the model's width
_OUT_OF = {DOWN, "w2", "fc2", "wo"}  # back to it
_HALVES = (("gate_proj", "up_proj"), ("w1", "w3"))  # the gate, and the projection up
_ROUTERS = ("gate.weight", "router.weight", "router.linear.weight", "router.layer.weight")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight")
_IN_MEMORY = (  # names of modules in files, in memory, and what tells that a model has the latter
    (".block_sparse_moe.", ".mlp.", ".mlp.experts."),  # Mixtral
    (".block_sparse_moe.router.layer.", ".block_sparse_moe.router.", ".block_sparse_moe.router."),  # GraniteMoE
)
_USUAL = {"w1": "gate_proj", "w3": "up_proj", "w2": DOWN}  # Mixtral's names of matrices, and everybody else's
_MIXTRALS = re.compile(r"(\.experts\.(?:\d+\.)?)(w[123])(?=\.weight$|$)")
_GATES = re.compile(r"\.experts\.(?:\d+\.)?gate_proj(?:\.weight)?$")
_LONGEST_KERNEL = 16  # of a convolution along one dimension, as far as its shape can tell
_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


@dataclass(frozen=True)
class _Stack:
    """A tensor of all experts of a layer.

    Attributes:
        name: canonical, of the tensor.
        view: of it, (experts, rows, columns).
        module: in whose names the experts' numbers stand, ``...mlp.experts``.
        leaf: what each expert's matrix is called.
    """

    name: str
    view: WeightView
    module: str
    leaf: str

    @property
    def moe(self) -> str:
        """The module that the router stands in, too."""
        return self.module.removesuffix(".experts")


@dataclass(frozen=True)
class Aligned:
    """Both models' weights by canonical name, and what there is to say."""

    tuned: Views
    base: Views
    notices: tuple[Notice, ...] = ()


def align_experts(
    tuned: Views, base: Views, configs: tuple[Mapping[str, object], Mapping[str, object]] = ({}, {})
) -> Aligned:
    """Divide tensors of many experts where the other side has experts in the same place, however it keeps them.

    Args:
        tuned: the fine-tuned model by canonical name.
        base: the original.
        configs: of each, what its ``config.json`` says; empty where there is none.
    """
    sides = _same_modules(tuned, base)
    counts = {config.get(key) for config in configs for key in _COUNTS} - {None, 0, 1}
    stacks = tuple(_stacks(side, counts) for side in sides)
    notices = _doubtful(sides, {stack.name for side in stacks for stack in side})
    if not any(stacks):
        return Aligned(*sides, notices)
    single = tuple(_single_experts(side) for side in sides)
    turned: list[dict[str, bool]] = []
    meeting: list[list[_Stack]] = []
    for at in (0, 1):
        modules = {stack.module for stack in stacks[1 - at]}
        alike = {(stack.module, stack.leaf) for stack in stacks[1 - at]}
        foreign = [
            stack for stack in stacks[at] if (stack.module, stack.leaf) not in alike and _interleaved(stack, sides[at])
        ]  # which joined halves do not give
        own = [stack for stack in stacks[at] if stack.module in {*modules, *single[1 - at]} and stack not in foreign]
        others = _shapes(own, sides[1 - at], single[1 - at])
        found = _orientations(sides[at], own, others)
        meeting.append(own)
        turned.append(found)
        notices += _said(
            NoticeCode.EXPERTS_INTERLEAVED, [item for item in foreign if item.module in {*modules, *single[1 - at]}]
        )
        guessed = [stack for stack in own if stack.name not in found and stack.name in others]
        notices += _said(NoticeCode.EXPERTS_SQUARE, guessed)
    divided = [_divided(sides[at], meeting[at], turned[at]) for at in (0, 1)]
    joined = [_joined(divided[at], meeting[1 - at]) for at in (0, 1)]
    return Aligned(joined[0], joined[1], notices)


def _same_modules(tuned: Views, base: Views) -> tuple[Views, Views]:
    """Both under the names in memory where one side has these and the other one those of its family's files."""

    def renamed(side: Views, other: Views) -> Views:
        for in_files, in_memory, mark in _IN_MEMORY:
            if not any(in_files in name for name in other) and any(mark in name for name in other):
                side = {name.replace(in_files, in_memory): view for name, view in side.items()}
        if any(_GATES.search(name) for name in other) and not any(_GATES.search(name) for name in side):
            side = {_MIXTRALS.sub(_by_usual_name, name): view for name, view in side.items()}
        return side

    return renamed(tuned, base), renamed(base, tuned)


def _by_usual_name(match: re.Match[str]) -> str:
    return match[1] + _USUAL[match[2]]


def _stacks(views: Views, counts: Collection[object]) -> list[_Stack]:
    """The tensors of many experts in a model; `counts` are the numbers of experts that a config names."""
    found = []
    for name, view in views.items():
        if len(view.shape) != 3 or 0 in view.shape or not view.is_weight:
            continue
        if len(view.pieces) != 1 or view.pieces[0].transposed:
            continue
        modules, leaf = _divided_name(name)
        by_name = _of_experts(modules, leaf)
        if by_name or (by_name is None and name.endswith(".weight") and view.shape[0] in counts):
            module = ".".join(modules if "experts" in modules else (*modules, "experts"))
            found.append(_Stack(name, view, module, _ONE_NAME.get(leaf, leaf)))
    return found


def _divided_name(name: str) -> tuple[list[str], str]:
    parts = name.removesuffix(".weight").split(".")
    return parts[:-1], parts[-1]


def _of_experts(modules: list[str], leaf: str) -> bool | None:
    """Whether a name is that of a tensor of many experts; None where it says neither that nor a convolution."""
    if any("conv" in part for part in (*modules, leaf)):
        return False
    if "experts" in modules:
        return not any(part.isdigit() for part in modules[modules.index("experts") :]) and "bias" not in leaf
    known = _ONE_NAME.get(leaf, leaf) in _INTO | _OUT_OF
    return True if known and any("moe" in part or "expert" in part for part in modules) else None


def _doubtful(sides: tuple[Views, Views], known: set[str]) -> tuple[Notice, ...]:
    """A remark on weights that may be experts by their shape and are taken for convolutions."""
    names = [
        name
        for name, view in sides[1].items()
        if len(view.shape) == 3
        and view.shape[2] > _LONGEST_KERNEL
        and name.endswith(".weight")
        and name in sides[0]
        and name not in known
        and _of_experts(*_divided_name(name)) is None
    ]
    return (Notice(NoticeCode.TAKEN_FOR_CONVOLUTIONS, names[0], {"layers": len(names)}),) if names else ()


def _said(code: NoticeCode, stacks: list[_Stack]) -> tuple[Notice, ...]:
    return (Notice(code, stacks[0].name, {"layers": len(stacks)}),) if stacks else ()


def _single_experts(views: Views) -> dict[str, dict[int, dict[str, str]]]:
    """The experts of a model that have matrices of their own, see `Singles`."""
    found: dict[str, dict[int, dict[str, str]]] = {}
    for name in views:
        if ".experts." not in name or not name.endswith(".weight"):
            continue
        module, _, rest = name.removesuffix(".weight").rpartition(".experts.")
        number, _, leaf = rest.partition(".")
        if number.isdigit() and leaf and "." not in leaf:
            found.setdefault(module + ".experts", {}).setdefault(int(number), {})[leaf] = name
    return found


def _shapes(stacks: list[_Stack], views: Views, single: Singles) -> dict[str, tuple[int, ...]]:
    """The shape of the other side's matrix of one expert, (out, in), by the name of the tensor that it meets."""
    found = {}
    for stack in stacks:
        names = next(iter(single.get(stack.module, {}).values()), {})
        halves = _halves(names) if stack.leaf == GATE_UP else None
        own = names.get(stack.leaf) or (_down(names) if stack.leaf == DOWN else None)
        if halves is not None:
            rows, *columns = views[halves[0]].shape
            found[stack.name] = (2 * rows, *columns)
        elif own is not None:
            found[stack.name] = views[own].shape
    return found


def _halves(names: Mapping[str, str]) -> tuple[str, str] | None:
    """Of an expert's matrices the gate and the projection up, if these are two."""
    found = next((pair for pair in _HALVES if all(half in names for half in pair)), None)
    return None if found is None else (names[found[0]], names[found[1]])


def _down(names: Mapping[str, str]) -> str | None:
    return names.get("w2")


def _orientations(views: Views, stacks: list[_Stack], others: Mapping[str, tuple[int, ...]]) -> dict[str, bool]:
    """Of each tensor by name whether its matrices are (in, out); those that nothing decides are left away.

    The other side's matrices decide, or the model's width; where a matrix is square, so do the other tensors of the
    layer, then those of the model, then the program that alone keeps them so.
    """
    width = next((view.shape[-1] for name, view in views.items() if name.endswith(_EMBEDDINGS)), 0)
    by_module: dict[str, list[_Stack]] = defaultdict(list)
    for stack in stacks:
        by_module[stack.module].append(stack)
    found: dict[str, bool] = {}
    for own in by_module.values():
        router = next((views[name] for end in _ROUTERS if (name := f"{own[0].moe}.{end}") in views), None)
        across = router.shape[-1] if router is not None and len(router.shape) == 2 else width
        for stack in own:
            ways = _by_other(stack, others), _by_width(stack, across), _by_sibling(stack, own)
            decided = next((way for way in ways if way is not None), None)
            if decided is not None:
                found[stack.name] = decided
        known = {found[stack.name] for stack in own if stack.name in found}
        if len(known) == 1:
            found |= dict.fromkeys((stack.name for stack in own), known.pop())
    usual = {turned for turned in found.values()} or {True for stack in stacks if _interleaved(stack, views)}
    if len(usual) == 1:
        found |= dict.fromkeys((stack.name for stack in stacks if stack.name not in found), usual.pop())
    return found


def _by_other(stack: _Stack, others: Mapping[str, tuple[int, ...]]) -> bool | None:
    mine, theirs = stack.view.shape[1:], others.get(stack.name)
    if theirs is None or mine[0] == mine[1] or theirs not in (mine, mine[::-1]):
        return None
    return theirs != mine


def _by_width(stack: _Stack, width: int) -> bool | None:
    rows, columns = stack.view.shape[1:]
    if (rows == width) == (columns == width) or stack.leaf not in _INTO | _OUT_OF:
        return None
    return (rows == width) if stack.leaf in _INTO else (columns == width)


def _by_sibling(stack: _Stack, own: list[_Stack]) -> bool | None:
    """By the other tensor of a gated layer: the one has twice the rows that the other has columns, or the reverse."""
    other = next((item for item in own if {item.leaf, stack.leaf} == {GATE_UP, DOWN}), None)
    if other is None:
        return None
    into, back = (stack, other) if stack.leaf == GATE_UP else (other, stack)
    (rows, columns), (first, second) = into.view.shape[1:], back.view.shape[1:]
    plain, turned = (rows, columns) == (2 * second, first), (columns, rows) == (2 * first, second)
    return turned if plain != turned else None


def _interleaved(stack: _Stack, views: Views) -> bool:
    """GPT-OSS, which alone has biases of all experts, keeps the rows of gate and up in turns."""
    return stack.leaf == GATE_UP and stack.name + "_bias" in views


def _joined(views: Views, theirs: list[_Stack]) -> Views:
    """The same with matrices of single experts joined and named as the other side's tensors keep them."""
    single = _single_experts(views) if theirs else {}
    replaced: dict[str, tuple[str, WeightView]] = {}
    gone: set[str] = set()
    for stack in theirs:
        for number, names in single.get(stack.module, {}).items():
            name, halves = _name(stack, number), _halves(names) if stack.leaf == GATE_UP else None
            if halves is not None:
                gate, up = (views[half] for half in halves)
                if gate.shape == up.shape and len(gate.shape) == 2:
                    shape = (2 * gate.shape[0], gate.shape[1])
                    whole = replace(gate, shape=shape, pieces=(*gate.pieces, *up.pieces), layout=LAYOUT)
                    replaced[halves[0]] = name, whole
                    gone.add(halves[1])
            elif stack.leaf == DOWN and DOWN not in names and (down := _down(names)) is not None:
                replaced[down] = name, views[down]
    return dict(replaced.get(name, (name, view)) for name, view in views.items() if name not in gone)


def _divided(views: Views, stacks: list[_Stack], turned: Mapping[str, bool]) -> Views:
    """The same with every tensor of many experts replaced by its matrices."""
    by_name = {stack.name: stack for stack in stacks}
    found: Views = {}
    for name, view in views.items():
        stack = by_name.get(name)
        if stack is None:
            found[name] = view
            continue
        for number, piece in enumerate(_experts(view.pieces[0], turned=turned.get(name, False))):
            found[_name(stack, number)] = WeightView(view.component, piece.shape, (piece,), LAYOUT, number)
    return found


def _name(stack: _Stack, number: int) -> str:
    return f"{stack.module}.{number}.{stack.leaf}.weight"


def _experts(whole: Piece, *, turned: bool) -> Iterator[Piece]:
    """The matrices in a tensor with three dimensions, each read by itself where its encoding can do that."""
    source, first = whole.source, whole.rows[0] if whole.rows else 0
    count = whole.shape[0]
    if source.encoding != RAW:
        for number in range(first, first + count):
            yield replace(piece_of(source, number, number + 1, transposed=turned), single=True)
        return
    stored, shape = source.parts[0], source.shape[1:]
    size = stored.nbytes // source.shape[0]
    for number in range(first, first + count):
        part = StoredTensor(stored.name, stored.dtype, shape, size, stored.file, stored.offset + number * size)
        yield Piece(WeightSource(source.name, shape, source.dtype, RAW, (part,), source.parameters), None, turned)
