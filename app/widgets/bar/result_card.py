"""What the bottom bar says of a finished run: figures, the layers that lost most, what a verification found. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.text.estimates import memory_sentence, memory_used
from app.text.headline import coverage_warning, kept_clause, together, unrelated_warning
from app.text.noise import real_clause, real_sentence, real_sentences
from app.text.notices import format_bytes, format_seconds, format_share
from app.text.outputs import all_keep, names_of, shown_name, size_written
from app.text.translation import translate, whole
from app.text.verification import ClaimedQuality, agrees, quality_text, verdict, verification_lines
from app.widgets.layers.layer_model import short_name
from engine.analysis.quality import layer_share
from engine.results import ExtractionResult, LayerResult, Verification

SEPARATOR = " \u00b7 "
NAMES_SHOWN = 3
NAMES_IN_TOOLTIP = 12
LOST_NOTHING = 1e-4


@dataclass(frozen=True)
class FileCheck:
    """What a verification found of one file of a run.

    Attributes:
        quality: how much the file keeps; empty where the verification failed.
        verdict: what it found, in a few words.
        lines: all of it.
        tone: ``warning`` or ``bad`` where it found something wrong.
    """

    quality: str = ""
    verdict: str = ""
    lines: tuple[str, ...] = ()
    tone: str = ""


NOT_CHECKED = FileCheck()


@dataclass(frozen=True)
class ResultCard:
    """A finished run and what is known of its files.

    Attributes:
        result: the run's.
        command: does the same on a command line; empty where that is not known.
        checks: what verifications found of its files.
    """

    result: ExtractionResult
    command: str = ""
    checks: Mapping[Path, FileCheck] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The LoRA; where there are several the first one."""
        return self.result.outputs[0].path

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return tuple(output.path for output in self.result.outputs)

    def verified(self, lora: Path, verification: Verification, claimed: ClaimedQuality | None) -> ResultCard:
        """The card with what a verification found of a file."""
        check = FileCheck(
            quality_text(verification),
            verdict(verification, claimed),
            tuple(verification_lines(lora, verification, claimed)),
            tone_of(verification, claimed),
        )
        return replace(self, checks={**self.checks, lora: check})

    def not_verified(self, lora: Path, reason: str) -> ResultCard:
        """The card with the reason why a verification of a file failed."""
        check = FileCheck(verdict=translate("result", "not verified"), lines=(reason,), tone="bad")
        return replace(self, checks={**self.checks, lora: check})

    def headline(self) -> str:
        """The file, or the first one and how many there are beside it."""
        mark = "\u26a0" if self.tone == "warning" or self.warns else "\u2713"
        return translate("result", "{mark} {name}").format(mark=mark, name=names_of(self.paths))

    @property
    def tone(self) -> str:
        """``bad`` or ``warning`` where a verification found something wrong."""
        found = {check.tone for check in self.checks.values()}
        return next((tone for tone in ("bad", "warning") if tone in found), "")

    @property
    def warns(self) -> bool:
        """Whether its figures speak of too little, or of models that do not belong together."""
        return not self.result.coverage.enough or self.result.large_changes.unrelated

    @property
    def own_tone(self) -> str:
        """``bad`` where the models do not belong together, ``warning`` where its figures speak of too little."""
        if self.result.large_changes.unrelated:
            return "bad"
        return "warning" if self.warns else ""

    def detail(self) -> str:
        """Size, time and quality; the quality first where nobody may miss a part of it."""
        outputs = self.result.outputs
        only = self.checks.get(self.path, NOT_CHECKED) if len(outputs) == 1 else NOT_CHECKED
        quality = only.quality or all_keep(outputs)
        found = only.verdict or self._verified_of_several()
        facts = (size_written(outputs), format_seconds(self.result.seconds), memory_used(self.result))
        parts = (*facts, quality, found) if self.result.coverage.complete else (quality, found, *facts)
        return SEPARATOR.join(part for part in parts if part)

    def _verified_of_several(self) -> str:
        """How many of several files were verified, where nothing was found to be wrong with them."""
        if not self.checks or self.tone or len(self.paths) == 1:
            return ""
        text = translate("result", "{count} of {total} verified")
        return text.format(count=whole(len(self.checks)), total=whole(len(self.paths)))

    def extra(self) -> str:
        """What is wrong with it, or else the layers that lost most; empty where there is neither."""
        worst = next((check for check in self.checks.values() if check.tone and check.tone == self.tone), None)
        if worst is not None and worst.lines:
            lines = worst.lines if len(self.paths) > 1 else worst.lines[1:] or worst.lines
            return translate("result", "\u26a0 {text}").format(text=" ".join(lines))
        if self.warns:
            unrelated = unrelated_warning(self.result.large_changes)
            return translate("result", "\u26a0 {text}").format(text=unrelated or together())
        weakest = self._weakest(NAMES_SHOWN)
        return translate("result", "Kept least: {layers}").format(layers=SEPARATOR.join(weakest)) if weakest else ""

    def tooltip(self) -> str:
        """All of it, a line each."""
        lines = [
            *self._files(),
            *self._real(),
            *filter(None, (memory_sentence(self.result),)),
            *(line for check in self.checks.values() for line in check.lines),
            *self._warnings(),
        ]
        weakest = self._weakest(NAMES_IN_TOOLTIP)
        if weakest:
            lines += [translate("result", "The layers that lost most, with the share they keep:"), *weakest]
        return "\n".join(lines)

    @property
    def extra_tone(self) -> str:
        """Of the third line."""
        return self.tone or self.own_tone

    def warning(self) -> str:
        """What speaks against it, in a clause; empty where nothing does."""
        unrelated = unrelated_warning(self.result.large_changes)
        output = self.result.outputs[0]
        if self.result.coverage.enough:
            return unrelated
        return kept_clause(output.mean_energy_retained, output.coverage)

    def _files(self) -> list[str]:
        """Where there are several files, a line for each."""
        if len(self.paths) == 1:
            return []
        text = translate("result", "{name}: {size}, {kept}")
        return [
            text.format(
                name=shown_name(output.path),
                size=format_bytes(output.size_bytes),
                kept=real_clause(output.mean_energy_retained, output.noise, output.coverage)
                or kept_clause(output.mean_energy_retained, output.coverage),
            )
            for output in self.result.outputs
        ]

    def _real(self) -> tuple[str, ...]:
        """What of the first file's change is real, and what that assumes; nothing where rounding is no part of it."""
        first = self.result.outputs[0]
        real = real_sentence(first.mean_energy_retained, first.noise, first.coverage)
        return (real, *real_sentences(first.noise)[1:]) if real and not self.checks else ()

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
    """The layers that lost most of their change, the worst first; those that lost nothing to speak of are none.

    What is judged is the real change where that is known: a layer that is all rounding lost nothing.
    """
    return sorted((row for row in rows if layer_share(row) < 1.0 - LOST_NOTHING), key=layer_share)[:count]


def tone_of(verification: Verification, claimed: ClaimedQuality | None) -> str:
    """``warning`` where a verification found something to look at; else empty."""
    sound = agrees(verification, claimed) and not verification.unknown_keys
    return "" if sound and verification.coverage.enough else "warning"
