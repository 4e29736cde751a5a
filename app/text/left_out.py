"""What is left out, in a few lines: grouped by the reason and by what the names have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.text.notices import counted, left_out_text, reason_text
from app.text.translation import decimal, plural, translator, whole
from engine.results import LeaveOutReason, LeftOut

CONTEXT = "left_out"
_tr = translator("left_out")
MOST_LINES = 10
_MOST_KINDS = 6  # groups of names that differ in numbers alone; where there are more, whole stacks are easier to read
_REASONS = tuple(LeaveOutReason)


@dataclass(frozen=True)
class LeftOutGroup:
    """Tensors that are left out for the same reason.

    Attributes:
        reason: of all of them.
        pattern: their name, with ``*`` for what differs.
        items: at least one.
    """

    reason: LeaveOutReason
    pattern: str
    items: tuple[LeftOut, ...]

    @property
    def numel(self) -> int:
        """Parameters of all of them."""
        return sum(item.numel for item in self.items)

    @property
    def why(self) -> str:
        """The reason in words, with the detail where all of them share one."""
        texts = {left_out_text(item) for item in self.items}
        return texts.pop() if len(texts) == 1 else reason_text(self.reason)

    @property
    def size(self) -> str:
        """How many tensors and parameters; of a single tensor the parameters alone."""
        parts = [counted(len(self.items), "tensor")] if len(self.items) > 1 or not self.numel else []
        return ", ".join((*parts, parameters_text(self.numel)) if self.numel else parts)


def group_left_out(left_out: Iterable[LeftOut], most: int = MOST_LINES) -> tuple[LeftOutGroup, ...]:
    """Group by reason, and by names as far as there are at most so many groups.

    Names that differ in numbers alone go together; where these are too many, those of one stack of blocks; then those
    of one part of the model; then all of one reason. The order is that of the reasons, the largest groups first.
    """
    items = tuple(left_out)
    groups = _grouped(items, _REMAINING[0])
    for pattern in _REMAINING[1:]:
        if len(groups) <= (min(most, _MOST_KINDS) if pattern is _stack else most):
            break
        groups = _grouped(items, pattern)
    return groups


def left_out_lines(left_out: Sequence[LeftOut], most: int = MOST_LINES) -> list[str]:
    """A line for each group, at most so many; the last one counts the rest."""
    groups = group_left_out(left_out, most)
    shown = groups if len(groups) <= most else groups[: most - 1]
    text = _tr("{pattern}: {why} \u00b7 {size}")
    lines = [text.format(pattern=group.pattern, why=group.why, size=group.size) for group in shown]
    rest = tuple(item for group in groups[len(shown) :] for item in group.items)
    if rest:
        more = LeftOutGroup(rest[0].reason, "", rest)
        lines.append(_tr("and more: {size}").format(size=more.size))
    return lines


def parameters_text(count: int) -> str:
    """``1,440 parameters``, ``4.7 million parameters``, ``11.9 billion parameters``."""
    if count < 999_500:
        return plural(CONTEXT, "{count} parameter", "{count} parameters", count).format(count=whole(count))
    if count < 999_500_000:
        millions = count / 1e6
        return _tr("{count} million parameters").format(count=decimal(millions, 1 if millions < 99.95 else 0))
    return _tr("{count} billion parameters").format(count=decimal(count / 1e9, 1))


def _grouped(items: Sequence[LeftOut], pattern: Callable[[LeftOut], str]) -> tuple[LeftOutGroup, ...]:
    found: dict[tuple[LeaveOutReason, str], list[LeftOut]] = {}
    for item in items:
        found.setdefault((item.reason, pattern(item)), []).append(item)
    groups = [
        LeftOutGroup(reason, group[0].name if len(group) == 1 else name, tuple(group))
        for (reason, name), group in found.items()
    ]
    return tuple(sorted(groups, key=lambda group: (_REASONS.index(group.reason), -group.numel, group.pattern)))


def _without_numbers(item: LeftOut) -> str:
    return re.sub(r"(?<=[._])\d+(?=[._]|$)", "*", item.name)


def _stack(item: LeftOut) -> str:
    name = _without_numbers(item)
    return name[: name.index("*") + 1] if "*" in name else ".".join(name.split(".")[:2]) + ".*"


def _part(item: LeftOut) -> str:
    return item.name.split(".")[0] + ".*"


def _anything(item: LeftOut) -> str:
    return "*"


_REMAINING = (_without_numbers, _stack, _part, _anything)
