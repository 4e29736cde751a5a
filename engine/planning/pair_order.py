"""Which of two models is the original: what names, metadata and dates say. Headers and small texts beside them only.

A pair the wrong way round gives the inverse LoRA with equally good figures, so nothing that is measured can tell. What
is said here is evidence for a question and never more. Not used, as it says nothing of the order: sizes and EMA copies
(originals and fine-tunes come with and without), and which side has more numbers that look rounded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from engine.checkpoints import Checkpoint
from engine.checkpoints.containers import model_endings
from engine.checkpoints.dtypes import DTYPES
from engine.checkpoints.model_config import read_config
from engine.checkpoints.names_of_files import COMPONENTS, MODEL_INDEX, model_name
from engine.checkpoints.stored import RAW
from engine.errors import EngineError

Sure = Literal["certain", "likely", "weak"]


class OrderReason(str, Enum):
    """What speaks for an order of two models. The values are part of the command line's JSON and never change."""

    NAMES_ITS_BASE = "names_its_base"
    TRAINING_METADATA = "training_metadata"
    HEADER_DATES = "header_dates"
    NAMES = "names"
    BASE_NAME = "base_name"
    STEPS = "steps"
    WIDER_NUMBERS = "wider_numbers"
    FILE_DATES = "file_dates"


@dataclass(frozen=True)
class OrderEvidence:
    """One thing that speaks for an order.

    Attributes:
        reason: what it is.
        sure: ``certain`` for what a model says of itself, ``likely`` for what decides where nothing is certain,
            ``weak`` for what may have many reasons and decides nothing.
        swapped: whether it says that the model given as the original is the fine-tuned one.
        name: of the model that it says to be the fine-tuned one.
        other: of the other model.
        detail: what was found, such as the words of the header.
    """

    reason: OrderReason
    sure: Sure
    swapped: bool
    name: str
    other: str
    detail: str = ""


@dataclass(frozen=True)
class PairOrder:
    """All that speaks for an order of two models, the surest first."""

    evidence: tuple[OrderEvidence, ...] = ()

    @property
    def swapped(self) -> bool:
        """Whether the two are probably the wrong way round: the surest kind of evidence speaks for it alone."""
        for sure in ("certain", "likely"):
            found = [item.swapped for item in self.evidence if item.sure == sure]
            if found:
                return all(found)
        return False

    @property
    def against(self) -> tuple[OrderEvidence, ...]:
        """What speaks for the other way round, the surest first; empty where they are not `swapped`."""
        return tuple(item for item in self.evidence if item.swapped) if self.swapped else ()

    def document(self) -> dict[str, Any]:
        """As JSON."""
        evidence = [
            {"reason": item.reason.value, "sure": item.sure, "swapped": item.swapped, "detail": item.detail}
            for item in self.evidence
        ]
        return {"swapped": self.swapped, "evidence": evidence}


_BASE = frozenset(["base", "original", "vanilla", "pretrained", "foundation"])
_TUNED = frozenset(
    (
        "finetune", "finetuned", "tuned", "trained", "dreambooth", "custom", "merge", "merged", "style", "styles",
        "mix", "ft", "sft", "dpo", "orpo", "kto", "rlhf", "instruct", "chat", "it", "lightning", "turbo", "distilled",
        "lcm",
    )
)  # fmt: skip
_FORM = re.compile(  # how a model is stored, which says nothing of what it was made from
    r"(?:fp|bf|f|int)\d+|e\dm\d(?:fn)?|scaled|q\d\w*|iq\d\w*|gguf|nf4|fp4|bnb|\dbit|awq|gptq|pruned|ema|emaonly|only|"
    r"no|non|nonema|noema|\d*vae|unet|model|diffusion|pytorch|safetensors|comfy|comfyui|hf|k|m|s|l"
)
_VERSION = re.compile(r"v?\d+[a-z]?")
_STEPS = re.compile(r"(?:step|steps|epoch|checkpoint|ckpt|e|s)?0*(\d+)")
_STEP_WORDS = frozenset(["step", "steps", "epoch", "epochs", "checkpoint", "ckpt"])
_RELEASES = frozenset(  # names under which originals are published that have no word of `_BASE`, as words in a row
    tuple(name.split())
    for name in (
        "v1 4", "sd v1 4", "v1 5", "sd v1 5", "stable diffusion v1 5", "v2 1 768", "flux1 dev", "flux 1 dev",
        "flux1 schnell", "flux 1 schnell", "sd3 medium", "sd3 5 large", "sd3 5 medium",
    )
)  # fmt: skip
_NAMING = (
    # keys of headers and configurations that name the model which one was made from
    "base_model", "base_model_name_or_path", "_name_or_path", "ss_sd_model_name", "ss_pretrained_model_name",
    "modelspec.merged_from", "sd_merge_models", "general.base_model.0.name", "general.base_model.0.repo_url",
)  # fmt: skip
_TRAINING = ("ss_steps", "ss_max_train_steps", "ss_learning_rate", "ss_num_epochs", "ss_training_started_at")
_TRAINERS_FILES = ("trainer_state.json", "training_args.bin", "optimizer.pt", "optimizer.bin")
_FINISHED, _DATE = "ss_training_finished_at", "modelspec.date"
_DAY = 86400.0
_LARGEST_CARD = 1 << 16
_LEAST_NAME = 5  # letters and digits of a name that can be told from others


def pair_order(finetuned: Checkpoint, original: Checkpoint) -> PairOrder:
    """What speaks for either order of two models.

    Args:
        finetuned: given as the fine-tuned model.
        original: given as its original.
    """
    folders = [side.path if side.path.is_dir() else side.path.parent for side in (finetuned, original)]
    apart = folders[0] != folders[1]  # what lies beside both speaks of neither
    sides = (
        _Model(finetuned, folders[0] if apart else None),
        _Model(original, folders[1] if apart else None),
    )
    found = [
        *_bases(*sides),
        *_trained(*sides),
        *_header_dates(*sides),
        *order_of_names(finetuned.path, original.path),
        *_widths(*sides),
        *_file_dates(*sides),
    ]
    rank = ("certain", "likely", "weak")
    return PairOrder(tuple(sorted(found, key=lambda item: rank.index(item.sure))))


def order_of_names(finetuned: Path, original: Path) -> tuple[OrderEvidence, ...]:
    """What the names of two models say alone."""
    (ours, tuned), (theirs, base) = _called(finetuned), _called(original)
    names = ours, theirs
    if tuned == base:
        return ()

    def said(reason: OrderReason, swapped: bool) -> tuple[OrderEvidence, ...]:
        first, second = names[::-1] if swapped else names
        return (OrderEvidence(reason, "likely", swapped, first, second),)

    if _later(tuned, base) or _later(base, tuned):
        return said(OrderReason.STEPS, _later(base, tuned))
    for one, other, swapped in ((tuned, base, True), (base, tuned, False)):
        if _is_base(one) and not _is_base(other) and _is_tuned(other):
            return said(OrderReason.NAMES, swapped)
        extra = _without(other, one)
        if extra is not None and not _is_tuned(one) and _TUNED & set(extra):
            return said(OrderReason.NAMES, swapped)
    released = _released(tuned), _released(base)
    if released in ((True, False), (False, True)) and not _is_base(base if released[0] else tuned):
        return said(OrderReason.BASE_NAME, released[0])
    return ()


class _Model:
    """One side, and what its header and the small files beside it say; `folder` is None where it is not its own."""

    def __init__(self, checkpoint: Checkpoint, folder: Path | None) -> None:
        self.checkpoint, self.folder, self.name = checkpoint, folder, checkpoint.name
        self.texts: dict[str, str] = dict(checkpoint.metadata)
        if folder is not None:
            for config in (_config(folder), _table(folder / MODEL_INDEX)):
                self.texts |= {key: str(config[key]) for key in _NAMING if isinstance(config.get(key), str)}
            self.texts |= _card(folder)

    @property
    def names(self) -> set[tuple[str, ...]]:
        """What it is called, as words: its file, its folder, and what its header says."""
        texts = [self.name, self.checkpoint.path.stem, "" if self.folder is None else self.folder.name]
        texts += [self.texts[key] for key in ("modelspec.title", "general.name") if key in self.texts]
        return {words for words in map(_title, texts) if _telling(words)}

    def named(self) -> Iterator[tuple[str, str]]:
        """The models that it names as what it was made from, as (key, name)."""
        for key in _NAMING:
            text = self.texts.get(key, "")
            for name in _named_models(text):
                yield key, name


def _bases(tuned: _Model, base: _Model) -> Iterator[OrderEvidence]:
    """Where one says that it was made from the other."""
    for one, other, swapped in ((base, tuned, True), (tuned, base, False)):
        for key, name in one.named():
            words = _title(name)
            if words in other.names and words not in one.names:
                detail = f"{key}: {name}"
                yield OrderEvidence(OrderReason.NAMES_ITS_BASE, "certain", swapped, one.name, other.name, detail)
                break


def _trained(tuned: _Model, base: _Model) -> Iterator[OrderEvidence]:
    """Where one alone has what a trainer leaves in a header, or beside it."""
    marks = [_training_mark(side) for side in (tuned, base)]
    if bool(marks[0]) != bool(marks[1]):
        swapped = bool(marks[1])
        one, other = (base, tuned) if swapped else (tuned, base)
        detail = marks[swapped]
        yield OrderEvidence(OrderReason.TRAINING_METADATA, "likely", swapped, one.name, other.name, detail)


def _training_mark(side: _Model) -> str:
    for key in _TRAINING:
        if key in side.texts:
            return key
    if side.folder is None:
        return ""
    folder = side.folder
    with suppress(OSError):
        return next((name for name in _TRAINERS_FILES if (folder / name).is_file()), "")
    return ""


def _header_dates(tuned: _Model, base: _Model) -> Iterator[OrderEvidence]:
    """Where both headers say when their model was made."""
    dates = [_header_date(side.texts) for side in (tuned, base)]
    if dates[0] is None or dates[1] is None or not _DAY <= abs(dates[0] - dates[1]) < math.inf:
        return
    swapped = dates[1] > dates[0]
    one, other = (base, tuned) if swapped else (tuned, base)
    yield OrderEvidence(OrderReason.HEADER_DATES, "likely", swapped, one.name, other.name)


def _header_date(texts: Mapping[str, str]) -> float | None:
    with suppress(ValueError):
        return float(texts[_FINISHED]) if _FINISHED in texts else _moment(texts.get(_DATE, ""))
    return None


def _moment(text: str) -> float | None:
    if not re.match(r"\d{4}-\d{2}-\d{2}", text):
        return None
    return datetime.fromisoformat(text[:10]).replace(tzinfo=timezone.utc).timestamp()


def _widths(tuned: _Model, base: _Model) -> Iterator[OrderEvidence]:
    """A fine-tune is seldom stored in wider numbers than its original."""
    bits = [_bits(side.checkpoint) for side in (tuned, base)]
    if bits[0] and bits[1] and bits[0] != bits[1]:
        swapped = bits[0] > bits[1]
        one, other = (base, tuned) if swapped else (tuned, base)
        yield OrderEvidence(OrderReason.WIDER_NUMBERS, "weak", swapped, one.name, other.name)


def _bits(checkpoint: Checkpoint) -> int:
    """Bits of most of the plain numbers; 0 where the weights are encoded."""
    sizes: dict[int, int] = {}
    for source in checkpoint.weights.values():
        if not source.is_weight:
            continue
        bits = DTYPES[source.dtype].bits if source.encoding == RAW else 0
        sizes[bits] = sizes.get(bits, 0) + source.numel
    return max(sizes, key=lambda bits: sizes[bits], default=0)


def _file_dates(tuned: _Model, base: _Model) -> Iterator[OrderEvidence]:
    """The fine-tuned model comes later, unless its original was downloaded later."""
    try:
        dates = [max(path.stat().st_mtime for path in side.checkpoint.paths) for side in (tuned, base)]
    except (OSError, ValueError):
        return
    if abs(dates[0] - dates[1]) >= _DAY:
        swapped = dates[1] > dates[0]
        one, other = (base, tuned) if swapped else (tuned, base)
        yield OrderEvidence(OrderReason.FILE_DATES, "weak", swapped, one.name, other.name)


def _called(path: Path) -> tuple[str, tuple[str, ...]]:
    """What a model is called, and the words and numbers of that without organisation, ending, and how it is stored.

    Of a file such as ``model.safetensors``, and of a component, that is the name of the folder around it.
    """
    name = model_name(path)
    words = _title("/".join(part for part in name.split("/") if part not in COMPONENTS))
    if words:
        return name, words
    around = next((model_name(folder) for folder in path.parents if folder.name not in ("", *COMPONENTS)), "")
    return around or name, _title(around)


def _title(text: str) -> tuple[str, ...]:
    """The same of a name, a path, an address or a title."""
    text = re.split(r"[\\/]", text.strip().rstrip("/\\"))[-1]
    for ending in model_endings():
        text = text.removesuffix(ending)
    text = re.sub(r"(?i)[-._]i?q\d_(?:[01]|k(?:_[sml])?|xxs|xs|s|m|nl)\b", "", text)  # as llama.cpp calls its types
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", text)
    text = re.sub(r"(?i)fine[\s_-]?tun", "finetun", text)
    text = re.sub(r"(?i)dream[\s_-]?booth", "dreambooth", text)
    words = re.findall(r"[^\W_]+", text.casefold())
    return tuple(word for word in words if not _FORM.fullmatch(word))


def _telling(words: tuple[str, ...]) -> bool:
    """Whether a name can be told from others: ``model`` and ``output`` are many people's."""
    return len("".join(words)) >= _LEAST_NAME and words not in (("output",), ("final",), ("checkpoint",), ("merged",))


def _is_base(words: tuple[str, ...]) -> bool:
    return bool(_BASE & set(words)) and not _is_tuned(words)


def _is_tuned(words: tuple[str, ...]) -> bool:
    return bool(_TUNED & set(words))


def _released(words: tuple[str, ...]) -> bool:
    """Whether a name is an original's own: a known release, or one that ends with a word for it and its version."""
    if words in _RELEASES:
        return True
    rest = list(words)
    while rest and _VERSION.fullmatch(rest[-1]):
        rest.pop()
    return _is_base(words) and bool(rest) and rest[-1] in _BASE


def _without(longer: tuple[str, ...], shorter: tuple[str, ...]) -> list[str] | None:
    """The words that one name has beyond another; None where it lacks a word of that."""
    rest = list(longer)
    for word in shorter:
        if word not in rest:
            return None
        rest.remove(word)
    return rest if shorter else None


def _later(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether both are steps of the same training, and the first one the later."""
    if len(one) != len(other) or one[:-1] != other[:-1]:
        return False
    ours, theirs = _STEPS.fullmatch(one[-1]), _STEPS.fullmatch(other[-1])
    counted = any(word in _STEP_WORDS for word in one[:-1]) or (ours is not None and len(ours[0]) >= _LEAST_NAME)
    return bool(counted and ours and theirs and int(ours[1]) > int(theirs[1]))


def _named_models(text: str) -> Iterator[str]:
    """The names in a text that names models: one, several with commas, or JSON with names inside."""
    if len(text) > _LARGEST_CARD:
        return
    if text.startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            yield from _names_inside(json.loads(text))
        return
    yield from (name.strip() for name in text.split(",") if name.strip())


def _names_inside(document: object) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, list):
        for item in document:
            yield from _names_inside(item)
    elif isinstance(document, dict):
        for key, item in document.items():
            if isinstance(item, (dict, list)) or key in ("name", "model", "title"):
                yield from _names_inside(item)


def _config(folder: Path) -> Mapping[str, Any]:
    with suppress(EngineError):
        return read_config(folder)
    return {}


def _table(path: Path) -> Mapping[str, Any]:
    """A small JSON table; empty where there is none."""
    with suppress(OSError, ValueError, RecursionError):
        if path.is_file() and path.stat().st_size <= _LARGEST_CARD:
            document = json.loads(path.read_bytes())
            return document if isinstance(document, dict) else {}
    return {}


def _card(folder: Path) -> dict[str, str]:
    """What a model card says of the model's base: ``base_model`` at the head of ``README.md``, one or a list."""
    try:
        path = folder / "README.md"
        if not path.is_file():
            return {}
        with path.open("rb") as stream:
            text = stream.read(_LARGEST_CARD).decode("utf-8", "replace")
    except OSError:
        return {}
    head = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^base_model:[ \t]*(\S.*)?((?:\n[ \t]*- .*)*)", head[1], re.MULTILINE) if head else None
    if found is None:
        return {}
    names = [found[1] or "", *(line.strip().removeprefix("- ") for line in (found[2] or "").splitlines())]
    cleaned = ", ".join(name.strip(" \"'[]") for name in names if name.strip())
    return {"base_model": cleaned} if cleaned else {}
