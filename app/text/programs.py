"""The programs that a LoRA can be for, in words: what each is, and what it will not load of a family of models."""

from __future__ import annotations

from dataclasses import dataclass

from app.text.translation import marked, translator, whole
from engine.formats.programs import PROGRAMS, Loads, limits
from engine.formats.registry import FORMATS, format_titles
from engine.models.families import Family
from engine.settings import ExtractionSettings

_tr = translator("programs")

ABOUT: dict[str, str] = {
    # a program or a format -> what it is
    "comfyui": marked("programs", "One file for ComfyUI. It can hold everything, of every kind of model."),
    "forge": marked("programs", "One file for Stable Diffusion WebUI Forge."),
    "a1111": marked("programs", "One file for AUTOMATIC1111's WebUI, under the names that Kohya's trainers use."),
    "invokeai": marked("programs", "One file for InvokeAI, under the names that Kohya's trainers use."),
    "kohya": marked(
        "programs",
        "One file under the names of Kohya's trainers, which go on from it; most programs read it. It holds no biases, "
        "norms and bare parameters.",
    ),
    "diffusers": marked("programs", "One file for the Python library diffusers and what is built on it."),
    "peft": marked("programs", "A folder for the Python library PEFT, mostly of language models."),
    "vllm": marked("programs", "A folder for the server vLLM, as PEFT writes it."),
}


@dataclass(frozen=True)
class Target:
    """What a file is for: a program, or where none is named all that read a format."""

    program: str
    key_format: str

    @classmethod
    def of(cls, settings: ExtractionSettings) -> Target:
        """What settings are for."""
        return cls(settings.program, _format_of(settings.program) or settings.key_format)

    @property
    def changes(self) -> dict[str, str]:
        """Its fields of the settings."""
        return {"program": self.program, "key_format": self.key_format}

    @property
    def title(self) -> str:
        """The program's name, or that of the format."""
        if self.program:
            return next((row.title for row in PROGRAMS if row.key == self.program), self.program)
        return format_titles().get(self.key_format, self.key_format)

    @property
    def about(self) -> str:
        """What it is, in a sentence; empty where nothing is known of it."""
        text = ABOUT.get(self.program or self.key_format, "")
        return _tr(text) if text else ""

    def loads(self, family: Family) -> Loads | None:
        """What is loaded of a family; None where nothing is, or nothing is known of it."""
        if not self.program:
            return limits(self.key_format, family)
        return next((row.loads(family) for row in PROGRAMS if row.key == self.program), None)

    def suits(self, family: Family) -> bool:
        """Whether a file can be written for a family."""
        known = {row.key: row for row in FORMATS}.get(self.key_format)
        writable = known is not None and known.problem(family) is None
        return writable and (not self.program or self.loads(family) is not None)

    def words(self, family: Family | None) -> str:
        """What it is, and where a family is known what will not be loaded of it: a line each."""
        lines = [self.about]
        if family is not None and not self.suits(family):
            text = _tr("Not for these models: {family}.")
            if family.key == "generic":
                text = _tr("Not for these models.")
            lines.append(text.format(family=family.title))
        elif family is not None:
            found = self.loads(family)
            lines += [] if found is None else _limits(found, family)
        return "\n".join(line for line in lines if line)


USUAL = Target("", "comfyui")


def targets() -> tuple[Target, ...]:
    """What can be chosen: all programs in their order, and formats that no program has the name of."""
    formats = {row.key for row in FORMATS}
    found = [USUAL if row.key == USUAL.key_format else Target(row.key, row.format) for row in PROGRAMS]
    named = {row.key for row in PROGRAMS}
    alone = [Target("", row.key) for row in FORMATS if row.key not in named]
    return tuple(target for target in (*found, *alone) if target.key_format in formats)


def _format_of(program: str) -> str:
    return next((row.format for row in PROGRAMS if row.key == program), "")


def _limits(loads: Loads, family: Family) -> list[str]:
    """What a program does not load of a family, and what it wants: a sentence each."""
    sentences = []
    if loads.scope:
        text = _tr("Of {family} it loads the layers in blocks alone.")
        sentences.append(text.format(family=family.title))
    missing = [word for word, loaded in _kinds(loads) if not loaded]
    if missing:
        text = _tr("It does not load {things}: they are left out.")
        sentences.append(text.format(things=_listed(missing)))
    if loads.text_encoders is not None:
        text = _tr("Of the text encoders it loads {names}.")
        if not loads.text_encoders:
            text = _tr("It loads no text encoder.")
        sentences.append(text.format(names=", ".join(sorted(loads.text_encoders))))
    if loads.rank_limit is not None:
        sentences.append(_tr("Ranks up to {rank}.").format(rank=whole(loads.rank_limit)))
    return sentences


def _kinds(loads: Loads) -> list[tuple[str, bool]]:
    return [
        (_tr("biases"), loads.biases),
        (_tr("norms"), loads.norms),
        (_tr("bare parameters"), loads.parameters),
        (_tr("convolutions"), loads.convolutions),
        (_tr("whole differences"), loads.differences),
        (_tr("new weights"), loads.whole),
    ]


def _listed(things: list[str]) -> str:
    *others, last = things
    return _tr("{others} and {last}").format(others=", ".join(others), last=last) if others else last
