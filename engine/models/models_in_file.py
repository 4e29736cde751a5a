"""Which models one file holds: a generator, its EMA copy, a critic; and which tensors stand beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.checkpoints import WeightSource
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.models import wrappers
from engine.models.families import EMA_PREFIXES
from engine.models.recognition import DENOISER, Sources, behind, kind_of, recognised
from engine.results import LeaveOutReason, LeftOut

_EMA_COUNTERS = {"decay", "num_updates", "n_averaged", "initted", "step"}  # that averaging keeps beside the weights


@dataclass(frozen=True)
class ModelsInFile:
    """The tensors of a file by the model that they belong to.

    Attributes:
        models: recognised ones, by the beginning of their names, which is taken off; the likeliest first.
        plain: whatever has no model's word in front, or one that turned out to be a module.
        left_out: what has no place.
    """

    models: dict[str, Sources]
    plain: Sources
    left_out: tuple[LeftOut, ...]

    def chosen(self, model: str | None) -> str:
        """The model that was asked for, or the likeliest; empty where the file is one model.

        Raises:
            EngineError: ``part_unknown`` where no model's names begin so.
        """
        if model is None:
            return next(iter(self.models), "")
        begin = model.rstrip(".") + "."
        found = next((start for start in self.models if model == start or start.startswith(begin)), None)
        if found is None:
            available = [start.rstrip(".") for start in self.models if start]
            reason = "" if available else "one_model"
            raise EngineError(ErrorCode.PART_UNKNOWN, name=model.rstrip("."), available=available, reason=reason)
        return found

    def others(self, chosen: str) -> list[LeftOut]:
        """The tensors of all other models."""
        return [
            LeftOut(source.name, LeaveOutReason.EMA_COPY if is_ema(start) else LeaveOutReason.OTHER_MODEL)
            for start, sources in self.models.items()
            if start != chosen
            for source in sources.values()
        ]

    def notices(self, file: str, chosen: str) -> Iterator[Notice]:
        """What is to be said of the choice: nothing where only EMA copies of what is used were left out."""
        others = [start for start in self.models if start != chosen]
        if is_ema(chosen) and not others:
            yield Notice(NoticeCode.EMA_USED, chosen.rstrip("."), {"file": file})
        elif is_ema(chosen) or any(not is_ema(start) for start in others):
            data = {"file": file, "others": [start.rstrip(".") for start in others]}
            yield Notice(NoticeCode.SEVERAL_MODELS, chosen.rstrip("."), data)


def is_ema(start: str) -> bool:
    """Whether the beginning of a name says that an EMA copy follows."""
    return any(map(wrappers.is_ema, start.split(".")))


def duplicate(source: WeightSource, used: WeightSource) -> LeftOut:
    """A tensor whose place another one has."""
    return LeftOut(source.name, LeaveOutReason.DUPLICATE_NAME, f"{used.name} has the same place and is used")


def models_in(weights: Mapping[str, WeightSource]) -> ModelsInFile:
    """Find the models in a file: what stands under a word of its own and carries a family's names."""
    sources, left_out = _without_always(weights)
    groups: dict[str, Sources] = {"": {}}
    for name, source in _without_module(sources).items():
        groups.setdefault(wrappers.model_start(name), {})[name] = source
    plain = groups.pop("")
    models: dict[str, Sources] = {}
    copies: dict[str, Sources] = {}
    for group, members in groups.items():
        named = _dotted(group, members)
        found = recognised(named, group)
        if found is not None:
            start, inner = found
            counters = _EMA_COUNTERS & inner.keys() if is_ema(group) else set()
            left_out += [LeftOut(inner[name].name, LeaveOutReason.EMA_COPY) for name in sorted(counters)]
            models[start] = {name: source for name, source in inner.items() if name not in counters}
            plain |= {name: source for name, source in named.items() if not name.startswith(start)}
        elif is_ema(group):
            copies[group] = members
        else:
            plain |= members
    for group, members in copies.items():
        inner = behind(group, members)
        if not plain and not models:
            models[group] = inner
        elif group.startswith(EMA_PREFIXES) or _is_copy(inner, plain):
            left_out += [LeftOut(source.name, LeaveOutReason.EMA_COPY) for source in members.values()]
        else:
            plain |= members
    if models:
        found = recognised(plain)
        if found is not None and _has_model(found[1]):
            start, models[found[0]] = found
            plain = {name: source for name, source in plain.items() if not name.startswith(start)}
    ordered = sorted(models.items(), key=lambda item: wrappers.preference(item[0]))
    return ModelsInFile(dict(ordered), plain, tuple(left_out))


def _without_always(weights: Mapping[str, WeightSource]) -> tuple[Sources, list[LeftOut]]:
    """The tensors by their names without the words that no module is called; of two that meet the plain one stays."""
    found: Sources = {name: source for name, source in weights.items() if wrappers.without_always(name) == name}
    left_out = []
    for name, source in weights.items():
        short = wrappers.without_always(name)
        if short != name and short in found:
            left_out.append(duplicate(source, found[short]))
        else:
            found[short] = source
    return found, left_out


def _without_module(weights: Sources) -> Sources:
    """The tensors without the word ``module`` inside their names, where only then a family recognises them."""
    short = {wrappers.without_module(name): source for name, source in weights.items()}
    if short.keys() == weights.keys() or len(short) < len(weights):
        return weights
    return short if recognised(weights) is None and recognised(short) is not None else weights


def _dotted(group: str, sources: Sources) -> Sources:
    """The names of an EMA copy with the dots that some programs take out; as they are where they have them."""
    if not is_ema(group):
        return sources
    return {group + (wrappers.dotted(name[len(group) :]) or name[len(group) :]): it for name, it in sources.items()}


def _has_model(sources: Sources) -> bool:
    """Whether there is more than what accompanies a denoiser."""
    return kind_of(sources) is not None or any(
        name.startswith(("model.diffusion_model.", DENOISER)) for name in sources
    )


def _is_copy(inner: Sources, others: Sources) -> bool:
    """Whether an EMA copy's names are all names of other weights, whatever stands in front of those."""
    known = {wrappers.bare(name) for name in others}
    return all(wrappers.bare(name) in known for name in inner)
