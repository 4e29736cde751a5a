"""What the bottom bar says of a finished run: figures, the layers that lost most, what a verification found. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from app.text.headline import coverage_warning, kept_clause, kept_sentence, together, unrelated_warning
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
        mark = "\u26a0" if self.tone == "warning" or self.warns else "\u2713"
        return translate("result", "{mark} {name}").format(mark=mark, name=self.path.name)

    @property
    def warns(self) -> bool:
        """Whether its figures speak of too little, or of models that do not belong together."""
        return not self.result.coverage.enough or self.result.large_changes.unrelated

    def detail(self) -> str:
        """Size, time and quality; the quality first where nobody may miss a part of it."""
        output = self.result.outputs[0]
        quality = self.quality or kept_sentence(
            output.mean_energy_retained, output.worst_energy_retained, output.coverage
        )
        facts = (format_bytes(output.size_bytes), format_seconds(self.result.seconds))
        parts = (*facts, quality, self.verdict) if output.coverage.complete else (quality, self.verdict, *facts)
        return SEPARATOR.join(part for part in parts if part)

    def extra(self) -> str:
        """What is wrong with it, or else the layers that lost most; empty where there is neither."""
        if self.tone and self.lines:
            return translate("result", "\u26a0 {text}").format(text=" ".join(self.lines[1:] or self.lines))
        if self.warns:
            unrelated = unrelated_warning(self.result.large_changes)
            return translate("result", "\u26a0 {text}").format(text=unrelated or together())
        weakest = self._weakest(NAMES_SHOWN)
        return translate("result", "Kept least: {layers}").format(layers=SEPARATOR.join(weakest)) if weakest else ""

    def tooltip(self) -> str:
        """All of it, a line each."""
        lines = [*self.lines, *self._warnings()]
        weakest = self._weakest(NAMES_IN_TOOLTIP)
        if weakest:
            lines += [translate("result", "The layers that lost most, with the share they keep:"), *weakest]
        return "\n".join(lines)

    @property
    def extra_tone(self) -> str:
        """Of the third line."""
        return self.tone or ("warning" if self.warns else "")

    def warning(self) -> str:
        """What speaks against it, in a clause; empty where nothing does."""
        unrelated = unrelated_warning(self.result.large_changes)
        output = self.result.outputs[0]
        if self.result.coverage.enough:
            return unrelated
        return kept_clause(output.mean_energy_retained, output.coverage)

    def _warnings(self) -> list[str]:
        """That the models may not belong together, or that too little was compared; the worst first."""
        found = (unrelated_warning(self.result.large_changes), coverage_warning(self.result.coverage))
        return [text for text in found if text]

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
    sound = agrees(verification, claimed) and not verification.unknown_keys
    return "" if sound and verification.coverage.enough else "warning"
