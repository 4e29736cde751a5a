"""The plan of a run, as data: which layers in which order, what they may cost, what will be written. Headers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from engine.checkpoints import WeightView
from engine.checkpoints.rounding import Rounding
from engine.decompose.method import LayerMethod
from engine.events import Notice, NoticeCode
from engine.formats.programs import with_its_format
from engine.models.pairing import PairedWeight, Pairing, select
from engine.planning.costs import journal_bytes
from engine.planning.output import Output, output_notices, plan_outputs
from engine.planning.residency import batches, block_positions
from engine.planning.sizing import begun
from engine.planning.task import Task
from engine.planning.work import measuring_work, work
from engine.results import Coverage, LeftOut
from engine.settings import RECOMMENDED_ADAPTIVE_PARAM, ExtractionSettings, HardwareSettings

_COARSE_BITS = 8  # of a number; in more its rounding is small beside what training changes
_OF_AN_OUTPUT = {"key_format", "program", "filename_prefix", "output_dtype", "clamp_quantile", "clamp_max_loss"}
_OF_AN_OUTPUT |= {"rank", "target_size", "size_by", "alpha", "strength"}


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        settings: as they were asked for; what comes after planning decides by the fields below alone.
        resume: whether records of earlier runs may be used.
        skip_nonfinite: whether layers that are not finite are left out rather than an error.
        method: how each layer is decomposed and stored, resolved from `settings`; a rule of storing for each output.
        layers: weights to extract, in the order of work: those that at least one output holds.
        measured: matched weights that no output holds; their change is measured, for the share kept.
        new: weights that are written whole, by canonical name: those that only the fine-tuned model has, and those
            that a format keeps as that model has them.
        costs: estimated work per entry of `layers` and then of `measured`, in arbitrary units.
        outputs: the files to write; one decomposition serves them all.
        journal_bytes: largest size of the run's journal.
        batches: which of `layers` are worked on together.
        notices: remarks that can be made before the start.
        could_write_whole: how many weights that only the fine-tuned model has the first file would hold if
            ``set_weight`` were on.
    """

    pairing: Pairing
    settings: ExtractionSettings
    hardware: HardwareSettings
    resume: bool
    skip_nonfinite: bool
    method: LayerMethod
    layers: tuple[PairedWeight, ...]
    measured: tuple[PairedWeight, ...]
    new: dict[str, WeightView]
    costs: tuple[float, ...]
    outputs: tuple[Output, ...]
    journal_bytes: int
    batches: tuple[tuple[int, ...], ...]
    notices: tuple[Notice, ...]
    could_write_whole: int

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The layers and then the measured weights, as the run's threads take them."""
        weights = (*self.layers, *self.measured)
        positions = block_positions(weights)
        return tuple(
            Task(index, weight, positions[index], measured=index >= len(self.layers))
            for index, weight in enumerate(weights)
        )

    def starting_over(self) -> Plan:
        """The same plan, for a run that uses no record of earlier ones."""
        over = {"resume": False}
        outputs = tuple(replace(output, made_with=output.made_with | over) for output in self.outputs)
        return replace(self, settings=self.settings.model_copy(update=over), resume=False, outputs=outputs)

    @property
    def sized(self) -> bool:
        """Whether ranks are still to be chosen for the size of a file."""
        return any(output.goal is not None and output.storing.ranks is None for output in self.outputs)

    def decomposed_by(self, method: LayerMethod, outputs: tuple[Output, ...] | None = None) -> Plan:
        """The same plan, by another method, and with other ranks in its files."""
        return replace(
            self,
            method=method,
            outputs=self.outputs if outputs is None else outputs,
            costs=(*(work(weight, method) for weight in self.layers), *map(measuring_work, self.measured)),
            journal_bytes=sum(journal_bytes(weight, method) for weight in self.layers),
        )

    @property
    def widest(self) -> ExtractionSettings:
        """The settings that the decomposition is made by: those of the first file with the largest rank of all."""
        return self.settings.model_copy(update={"rank": self.method.policy.rank})

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What is not in the first file, and why."""
        return self.outputs[0].left_out

    @property
    def coverage(self) -> Coverage:
        """Of how much of the models the first file's figures will speak."""
        return self.outputs[0].coverage

    @property
    def folder(self) -> Path:
        """Where the first file goes."""
        return self.outputs[0].folder

    @property
    def output_name(self) -> str:
        """The name of the first file that is free now."""
        return self.outputs[0].name

    @property
    def output_bytes(self) -> int:
        """Largest size of all files together."""
        return sum(output.output_bytes for output in self.outputs)


def make_plan(
    pairing: Pairing,
    settings: ExtractionSettings,
    hardware: HardwareSettings,
    output_dir: Path,
    also: Sequence[ExtractionSettings] = (),
) -> Plan:
    """Plan an extraction.

    Args:
        pairing: the two models.
        settings: what is extracted, and the first file.
        hardware: how the machine is used.
        output_dir: the output folder.
        also: a further file each, from the same decomposition, which reaches to the largest rank of all; may differ
            from `settings` in the rank, the format, the program, the file name, and how layers are stored.

    Raises:
        EngineError: ``output_escapes``, ``format_unknown``, ``format_unsuitable``, ``program_unknown``,
            ``program_unsuitable``, ``nothing_selected``,
            ``output_unwritable`` where a folder takes no file, ``disk_full`` where the files cannot fit, or
            ``size_unsuitable`` or ``size_too_small`` where one cannot have the size that it is to have.
        ValueError: for further files that need another decomposition, and for any beside one of ``full``.
    """
    settings, also = with_its_format(settings), [with_its_format(other) for other in also]
    selection = select(pairing, settings)
    _check_one_decomposition(settings, also)
    largest = max(one.rank_cap for one in (settings, *also))
    method = LayerMethod.of(settings.model_copy(update={"rank": largest}))
    unusual = _unusual(settings)
    outputs = plan_outputs(pairing, selection, (settings, *also), hardware, method, output_dir)
    held = {name for output in outputs for name in output.places}
    layers = tuple(weight for weight in selection.extracted if weight.name in held)
    chosen = {weight.name: weight for weight in (*selection.measured, *selection.extracted)}
    measured = tuple(
        chosen[weight.name] for weight in pairing.weights if weight.name in chosen and weight.name not in held
    )
    method, outputs = begun(method, outputs, layers)
    written_whole = {name for output in outputs for name in output.whole_keys}
    kept_whole = {name for output in outputs for name in output.kept_whole}
    return Plan(
        pairing=pairing,
        settings=settings,
        hardware=hardware,
        resume=settings.resume,
        skip_nonfinite=settings.skip_nonfinite,
        method=method,
        layers=layers,
        measured=measured,
        new={name: view for name, view in selection.new.items() if name in written_whole}
        | {weight.name: weight.finetuned for weight in selection.extracted if weight.name in kept_whole},
        costs=(*(work(weight, method) for weight in layers), *map(measuring_work, measured)),
        outputs=outputs,
        journal_bytes=sum(journal_bytes(weight, method) for weight in layers),
        batches=batches(layers, hardware.batch_size, hardware.prefetch_ahead),
        notices=(
            *_rounding((*layers, *measured)),
            *pairing.notices,
            *unusual,
            *_once(notice for output in outputs for notice in output_notices(output, pairing.family)),
            *_resized(layers, outputs, pairing, method),
        ),
        could_write_whole=_could_write_whole(pairing, settings, outputs[0]),
    )


def _once(notices: Iterable[Notice]) -> list[Notice]:
    """Remarks without those that two files have in common."""
    found: list[Notice] = []
    for notice in notices:
        if notice not in found:
            found.append(notice)
    return found


def _could_write_whole(pairing: Pairing, settings: ExtractionSettings, output: Output) -> int:
    views = {} if settings.set_weight else pairing.only_finetuned
    return sum(
        view.is_weight and view.component in settings.components and output.whole_key(pairing.family, name) is not None
        for name, view in views.items()
    )


def _check_one_decomposition(settings: ExtractionSettings, also: Sequence[ExtractionSettings]) -> None:
    ours = settings.model_dump(exclude=_OF_AN_OUTPUT)
    if any(other.model_dump(exclude=_OF_AN_OUTPUT) != ours for other in also):
        raise ValueError(f"files of one run differ in {', '.join(sorted(_OF_AN_OUTPUT))} alone")
    if also and settings.lora_type == "full":
        raise ValueError("full writes one file: its temporary file is the journal")


def _unusual(settings: ExtractionSettings) -> tuple[Notice, ...]:
    """A remark on an adaptive value outside of the sensible ones."""
    recommended = RECOMMENDED_ADAPTIVE_PARAM.get(settings.lora_type)
    if recommended is None or recommended[0] <= settings.adaptive_param <= recommended[1]:
        return ()
    data = {
        "lora_type": settings.lora_type,
        "value": settings.adaptive_param,
        "low": recommended[0],
        "high": recommended[1],
    }
    return (Notice(NoticeCode.ADAPTIVE_PARAM_UNUSUAL, data=data),)


def _rounding(weights: Sequence[PairedWeight]) -> tuple[Notice, ...]:
    """Remarks on weights that one side stores more coarsely than the other, so that much of their change is rounding.

    Their data says what the two forms are, how many layers have them, and whether most of the difference can only be
    rounding: numbers of eight bits or fewer differ by some percent from what they were, and most of the model has them.
    """
    groups: dict[NoticeCode, list[PairedWeight]] = {}
    for weight in weights:
        code = _rounding_code(weight.rounding)
        if code is not None:
            groups.setdefault(code, []).append(weight)
    return tuple(_rounding_notice(code, group, weights) for code, group in groups.items())


def _rounding_code(rounding: Rounding | None) -> NoticeCode | None:
    if rounding is None:
        return None
    if rounding.coarser == "original":
        return NoticeCode.ORIGINAL_COARSER
    if rounding.rounded == "original":
        return NoticeCode.COMPARED_ROUNDED
    return NoticeCode.FINETUNED_COARSER if rounding.coarser == "finetuned" else None


def _rounding_notice(code: NoticeCode, group: Sequence[PairedWeight], weights: Sequence[PairedWeight]) -> Notice:
    largest = max(group, key=lambda weight: weight.numel)
    rounding = largest.rounding
    assert rounding is not None, "others have no such remark"
    coarse = sum(weight.numel for weight in group if weight.rounding and weight.rounding.bits <= _COARSE_BITS)
    data = {
        "layers": len(group),
        "of": len(weights),
        "finetuned": rounding.forms[0],
        "original": rounding.forms[1],
        "most": 2 * coarse > sum(weight.numel for weight in weights),
        "rounded": rounding.rounded,
        "repeatable": bool(rounding.alike),
    }
    return Notice(code, largest.name, data)


def _resized(
    weights: Sequence[PairedWeight], outputs: Sequence[Output], pairing: Pairing, method: LayerMethod
) -> tuple[Notice, ...]:
    """A remark on each weight of which the common part alone is paired, and what becomes of the new one."""

    def notice(weight: PairedWeight) -> Notice:
        able = weight.may_be_enlarged and method.stores_factors(weight.kind)
        data = {
            "grown": weight.grown,
            "lacking": weight.lacking,
            "parameters": weight.grown_numel,
            "enlarged": all(weight.name in output.enlarged for output in outputs),
            "offered": able and all(_enlarges(output, weight) for output in outputs),
        }
        unable = [output.program.title for output in outputs if output.program and not _enlarges(output, weight)]
        return Notice(NoticeCode.COMMON_PART_PAIRED, weight.name, data | ({"program": unable[0]} if unable else {}))

    def _enlarges(output: Output, weight: PairedWeight) -> bool:
        return output.may_enlarge(pairing.family, weight.name)

    return tuple(notice(weight) for weight in weights if weight.common is not None)
