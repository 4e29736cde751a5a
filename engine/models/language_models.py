"""What files of language models hide: matrices stored as (in, out), and embeddings that are the last layer too.

Sources: transformers 5, pytorch_utils.Conv1D and the models that use it (models/gpt2, openai, imagegpt, ...), and
``tie_word_embeddings`` of modeling_utils.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.checkpoints import WeightView
from engine.events import Notice, NoticeCode
from engine.results import LeaveOutReason, LeftOut

Views = dict[str, WeightView]
_SHARED, _ALIASES = "shared.weight", ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")  # T5's embeddings
CONV1D = "conv1d"
"""Layout in the key of records: those that were made of the matrix as it is stored never answer for the turned one."""
_CONV1D_MODULES = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight", ".q_attn.weight")
# The last layer, and the embeddings that it is tied to.
_TIED = {
    "lm_head.weight": ("embed_tokens.weight", "wte.weight", "shared.weight", "word_embeddings.weight"),
    "cls.predictions.decoder.weight": ("word_embeddings.weight",),
    "predictions.decoder.weight": ("word_embeddings.weight",),
}

_OTHER_HEADS = ("score.weight", "classifier.weight", "v_head.summary.weight", "value_head.weight")  # of reward models


def turn_conv1d(views: Views) -> Views:
    """Matrices of GPT-2's Conv1D as (out, in); those of programs that keep them as other models do stay as they are.

    The bias of a matrix is as long as its output. A square matrix is stored as the others of its model are.
    """
    names = [name for name, view in views.items() if name.endswith(_CONV1D_MODULES) and len(view.shape) == 2]
    found = {_is_turned(name, views) for name in names} - {None}
    if found != {True}:
        return views
    chosen = {name for name in names if len(views[name].pieces) == 1}
    return {name: _turned(view) if name in chosen else view for name, view in views.items()}


def _is_turned(name: str, views: Views) -> bool | None:
    rows, columns = views[name].shape
    bias = views.get(name.removesuffix("weight") + "bias")
    if rows == columns:
        return None
    if bias is not None and bias.shape in ((rows,), (columns,)):
        return bias.shape == (columns,)
    return columns == 3 * rows if name.endswith(".c_attn.weight") and 3 in (rows / columns, columns / rows) else None


def _turned(view: WeightView) -> WeightView:
    (piece,) = view.pieces
    pieces = (replace(piece, transposed=not piece.transposed),)
    return replace(view, shape=view.shape[::-1], pieces=pieces, layout=CONV1D)


def pair_tied(
    tuned: Views, base: Views, configs: tuple[Mapping[str, object], Mapping[str, object]] = ({}, {})
) -> tuple[Views, Views, tuple[Notice, ...]]:
    """Give a side that stores its embeddings alone the last layer that they are, where the other side stores both.

    A model without its last layer looks alike, such as a text encoder, which needs none: it is told apart by its
    ``config.json``, else by the other model's where that has a last layer of its own, else by its names, which then
    begin at the embeddings, or have another last layer.

    Args:
        tuned: the fine-tuned model by canonical name.
        base: the original.
        configs: of each, what its ``config.json`` says; empty where there is none.

    Returns:
        Both, and what there is to say.
    """
    notices: list[Notice] = []
    sides = []
    for mine, other, (own, others) in ((tuned, base, configs), (base, tuned, configs[::-1])):
        said = own.get("tie_word_embeddings")
        if said is None and others.get("tie_word_embeddings") is False:
            said = False
        added = {}
        for head, view in other.items():
            if head in mine or not head.endswith(tuple(_TIED)):
                continue
            embeddings = _embeddings(head, view, mine, said)
            if embeddings is not None:
                added[head] = embeddings
                notices.append(Notice(NoticeCode.EMBEDDINGS_TIED, head, {"by": embeddings.source.name}))
        sides.append(mine | added)
    return sides[0], sides[1], tuple(notices)


def _embeddings(head: str, view: WeightView, views: Views, said: object) -> WeightView | None:
    """The embeddings of a model that are its last layer, too; None where it has none, or nothing says so.

    Args:
        head: canonical name of the last layer.
        view: of it, on the other side.
        views: of the side that lacks it.
        said: what a ``config.json`` says; None for nothing.
    """
    ending = max((name for name in _TIED if head.endswith(name)), key=len)
    start = head.removesuffix(ending)
    found = [
        other
        for name, other in views.items()
        if name.startswith(start) and name.endswith(_TIED[ending]) and other.component == view.component
    ]
    if len(found) != 1 or len(view.shape) != 2 or found[0].shape[1:] != view.shape[1:]:
        return None
    if said is None:
        replaced = any(start + other in views for other in _OTHER_HEADS)
        encoder = view.component == "text_encoders"
        tied = "." in found[0].source.name.removesuffix(".weight") and not replaced and not encoder
    else:
        tied = bool(said)
    return found[0] if tied else None


def name_shared(tuned: Views, base: Views) -> tuple[Views, Views, tuple[LeftOut, ...]]:
    """T5's embeddings under one name: the halves of the model have them under names of their own, the same numbers.

    Returns:
        Both, and the tensors of one side that have the place of another one that is used.
    """
    left_out: list[LeftOut] = []

    def named(mine: Views, other: Views) -> Views:
        for alias in [name for name in mine if name.endswith(_ALIASES) and name not in other]:
            shared = alias.removesuffix(next(ending for ending in _ALIASES if alias.endswith(ending))) + _SHARED
            if shared in mine:
                detail = f"{shared} has the same place and is used"
                left_out.append(LeftOut(alias, LeaveOutReason.DUPLICATE_NAME, detail, component=mine[alias].component))
                mine = {name: view for name, view in mine.items() if name != alias}
            elif shared in other:
                mine = {shared if name == alias else name: view for name, view in mine.items()}
        return mine

    return named(tuned, base), named(base, tuned), tuple(left_out)
