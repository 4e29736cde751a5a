"""What the bottom bar says of a finished run: figures, the layers that lost most, what a verification found. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from app.text.notices import format_bytes, format_seconds, format_share
from app.text.translation import translate
from app.text.verification import ClaimedQuality, agrees, quality_text, verdict, verification_lines
from app.widgets.layers.layer_model import short_name
from engine.results import ExtractionResult, LayerResult, Verification

SEPARATOR = " \u00b7 "
NAMES_SHOWN = 3
NAMES_IN_TOOLTIP = 12
LOST_NOTHING = 1e-4


@dataclass(frozen=True)
class ResultCard:
    """A finished run and what is known of its file.

    Attributes:
        result: the run's.
        command: does the same on a command line; empty where that is not known.
        quality: how much the file keeps, once a verification has measured it.
        verdict: what that found, in a few words.
        lines: all of it.
        tone: ``warning`` or ``bad`` where it found something wrong.
    """

    result: ExtractionResult
    command: str = ""
    quality: str = ""
    verdict: str = ""
    lines: tuple[str, ...] = ()
    tone: str = ""

    @property
    def path(self) -> Path:
        """The LoRA."""
        return self.result.outputs[0].path

    def verified(self, verification: Verification, claimed: ClaimedQuality | None) -> ResultCard:
        """The card with what a verification found."""
        return replace(
            self,
            quality=quality_text(verification),
            verdict=verdict(verification, claimed),
            lines=tuple(verification_lines(self.path, verification, claimed)),
            tone=tone_of(verification, claimed),
        )

    def not_verified(self, reason: str) -> ResultCard:
        """The card with the reason why a verification failed."""
        return replace(self, verdict=translate("result", "not verified"), lines=(reason,), tone="bad")

    def headline(self) -> str:
        """The file."""
        mark = "\u2713" if self.tone != "warning" else "\u26a0"
        return translate("result", "{mark} {name}").format(mark=mark, name=self.path.name)

    def detail(self) -> str:
        """Size, time and quality."""
        output = self.result.outputs[0]
        quality = translate("result", "keeps {mean} of the change, {worst} in the weakest layer").format(
            mean=format_share(output.mean_energy_retained), worst=format_share(output.worst_energy_retained)
        )
        parts = (
            format_bytes(output.size_bytes),
            format_seconds(self.result.seconds),
            self.quality or quality,
            self.verdict,
        )
        return SEPARATOR.join(part for part in parts if part)

    def extra(self) -> str:
        """What is wrong with it, or else the layers that lost most; empty where there is neither."""
        if self.tone and self.lines:
            return translate("result", "\u26a0 {text}").format(text=" ".join(self.lines[1:] or self.lines))
        weakest = self._weakest(NAMES_SHOWN)
        return translate("result", "Kept least: {layers}").format(layers=SEPARATOR.join(weakest)) if weakest else ""

    def tooltip(self) -> str:
        """All of it, a line each."""
        lines = list(self.lines)
        weakest = self._weakest(NAMES_IN_TOOLTIP)
        if weakest:
            lines += [translate("result", "The layers that lost most, with the share they keep:"), *weakest]
        return "\n".join(lines)

    def _weakest(self, count: int) -> list[str]:
        text = translate("result", "{name} {share}")
        return [
            text.format(name=short_name(row.name), share=format_share(row.energy_retained))
            for row in weakest_rows(self.result.rows, count)
        ]


@dataclass(frozen=True)
class CheckOutcome:
    """What a verification found of a file that is not the last run's.

    Attributes:
        path: the file.
        detail: the judgement, or what to do where the verification failed.
        lines: all of it.
        tone: ``warning`` or ``bad`` where it found something wrong.
        failure: why it failed; empty where it did not.
    """

    path: Path
    detail: str
    lines: tuple[str, ...]
    tone: str = ""
    failure: str = ""

    def headline(self) -> str:
        """A mark and the file, or why it could not be verified."""
        if not self.failure:
            mark = "\u26a0" if self.tone else "\u2713"
            return translate("result", "{mark} {name}").format(mark=mark, name=self.path.name)
        text = translate("result", "\u26a0 {name}: {reason}")
        if self.path.name in self.failure:
            text = translate("result", "\u26a0 {reason}")
        return text.format(name=self.path.name, reason=self.failure)

    def extra(self) -> str:
        """What is wrong with it; empty where nothing is."""
        if self.failure or not self.tone:
            return ""
        return translate("result", "\u26a0 {text}").format(text=" ".join(self.lines[1:] or self.lines))

    def tooltip(self) -> str:
        """All of it, a line each, and where the file is."""
        return "\n".join((*self.lines, str(self.path)))


def weakest_rows(rows: tuple[LayerResult, ...], count: int) -> list[LayerResult]:
    """The layers that lost most of their change, the worst first; those that lost nothing to speak of are none."""
    losing = (row for row in rows if row.energy_retained < 1.0 - LOST_NOTHING)
    return sorted(losing, key=lambda row: row.energy_retained)[:count]


def tone_of(verification: Verification, claimed: ClaimedQuality | None) -> str:
    """``warning`` where a verification found something to look at; else empty."""
    return "" if agrees(verification, claimed) and not verification.unknown_keys else "warning"
