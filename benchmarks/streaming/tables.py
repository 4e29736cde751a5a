"""How figures and verdicts are worded in every table."""

from __future__ import annotations

from benchmarks.streaming.measuring import MIB

MET, MISSED = "met", "MISSED"


def verdict(met: bool) -> str:
    """A target that was or was not met."""
    return MET if met else MISSED


def marked(word: str) -> str:
    """A verdict in rich's colours."""
    return {MET: f"[green]{word}[/]", MISSED: f"[bold red]{word}[/]"}.get(word, word)


def mib(count: int) -> str:
    """Bytes in MiB."""
    return f"{count / MIB:.0f}"


def given_way(events: dict[str, int]) -> str:
    """How often a run had to give way."""
    return ", ".join(f"{count} {name}" for name, count in events.items()) or "-"
