"""An engine without mathematics: answers at once, or when the test says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from app.work.requests import DeviceInfo
from engine.analysis.pair_verdict import PairSample
from engine.cancel import CancelToken
from engine.checkpoints import StoredTensor, WeightSource, WeightView
from engine.checkpoints.stored import RAW
from engine.decompose.method import LayerMethod
from engine.errors import EngineError
from engine.events import (
    BatchDone,
    Event,
    Finished,
    LayerDone,
    LayerStarted,
    MemorySample,
    Notice,
    NoticeCode,
    Planned,
    Progress,
    VerifyProgress,
)
from engine.formats.output_path import Target
from engine.models.blocks import Block
from engine.models.families import FAMILIES, Family
from engine.models.layer_blocks import block_of
from engine.models.pairing import PairedWeight
from engine.planning.estimates import Speed
from engine.planning.inspection import ModelSummary, PairSummary
from engine.planning.output import Output
from engine.planning.pair_order import PairOrder
from engine.planning.plan import Plan
from engine.planning.work import work
from engine.results import (
    Coverage,
    ExtractionResult,
    LayerResult,
    LeaveOutReason,
    LeftOut,
    OutputFile,
    Reusable,
    StageSeconds,
    Verification,
    VerifiedLayer,
)
from engine.settings import ExtractionSettings, HardwareSettings

GB = 10**9
LEFT_OUT = (
    LeftOut("diffusion_model.new.weight", LeaveOutReason.ONLY_FINETUNED),
    LeftOut("diffusion_model.img_in.weight", LeaveOutReason.SHAPE_DIFFERS, "64 x 32 and 64 x 16"),
)


class FakeWeight(PairedWeight):
    """A matrix of 3072 x 3072 in bf16 in both models."""

    def __init__(self, name: str, component: Any = "denoiser") -> None:
        shape = (3072, 3072)
        stored = StoredTensor(name, "BF16", shape, 2 * 3072 * 3072)
        view = WeightView.of(WeightSource(name, shape, "BF16", RAW, (stored,)), component)
        super().__init__(name, "matrix", component, shape, view, view, Block())


def fake_target(folder: Path, settings: ExtractionSettings) -> Target:
    kind = "" if settings.key_format == "comfyui" else f"{settings.key_format}_"
    ending = "" if settings.key_format == "peft" else ".safetensors"
    return Target(folder, f"fake_{kind}rank_{settings.rank}_", ending=ending)


def fake_verification(layers: int = 12, mean: float = 0.938, worst: float = 0.874) -> Verification:
    names = (f"diffusion_model.blocks.{number}.attn.qkv.weight" for number in range(layers))
    found = tuple(VerifiedLayer(name, 8, worst, (1 - worst) ** 0.5) for name in names)
    return Verification(found, (), (), mean, worst, "comfyui", "ComfyUI")


def layer_result(name: str, kept: float = 0.9, rank: int | None = 8) -> LayerResult:
    return LayerResult(
        name=name,
        kind="matrix",
        block=block_of(name),
        shape=(3072, 3072),
        rank=rank,
        energy_retained=kept,
        energy_before=kept,
        relative_error=(1 - kept) ** 0.5,
        relative_change=0.01,
        delta_energy=1.0,
        singular_values=(2.0, 1.0),
        capped=False,
        clamp="clamped",
        stored_dtype="F16",
        solver="gram",
        seconds=StageSeconds(0.01, 0.02, 0.1, 0.005),
    )


@dataclass
class FakeSession:
    engine: FakeEngine
    closed: bool = False
    resident_bytes: int = 0

    @property
    def pairing(self) -> Any:
        return SimpleNamespace(family=self.engine.family)

    def kept(self, plan: Plan) -> Reusable:
        self.engine.kept_threads.append(threading.current_thread())
        if isinstance(self.engine.kept, Exception):
            raise self.engine.kept
        return self.engine.kept or Reusable(0, len(plan.layers), False, "")

    def summary(self, _settings: ExtractionSettings) -> PairSummary:
        denoiser = {"denoiser": self.engine.layers}
        return PairSummary(self.engine.layers, LEFT_OUT, "flux", "Flux.1", denoiser, 57, order=self.engine.order)

    def sample(self, settings: ExtractionSettings, cancel: CancelToken) -> PairSample | None:
        self.engine.sample_threads.append(threading.current_thread())
        self.engine.samples.append(settings)
        while not self.engine.hold_sample.wait(0.005):
            cancel.check()
        if self.engine.sample_error is not None:
            raise self.engine.sample_error
        return self.engine.sample

    def free_memory(self) -> int:
        self.engine.free_threads.append(threading.current_thread())
        if self.engine.free_error is not None:
            raise self.engine.free_error
        freed, self.resident_bytes = self.resident_bytes, 0
        return freed

    def plan(
        self,
        settings: ExtractionSettings,
        hardware: HardwareSettings,
        output_dir: Path,
        also: Sequence[ExtractionSettings] = (),
    ) -> Plan:
        self.engine.plans.append((settings, hardware, output_dir))
        self.engine.also.append(tuple(also))
        if self.engine.plan_error is not None:
            raise self.engine.plan_error
        names = (f"diffusion_model.blocks.{n}.attn.qkv.weight" for n in range(self.engine.layers))
        layers = tuple(FakeWeight(name) for name in names)
        number = self.engine.runs + 1
        method = LayerMethod.of(settings)
        known: dict[str, Any] = {
            "settings": settings,
            "method": method,
            "hardware": hardware,
            "resume": settings.resume,
            "skip_nonfinite": settings.skip_nonfinite,
            "layers": layers,
            "measured": (),
            "costs": tuple(work(layer, method) for layer in layers),
            "journal_bytes": 100_000_000,
            "notices": self.engine.notices,
            "could_write_whole": 0,
        }
        outputs: list[dict[str, Any]] = [
            {
                "made_with": chosen.model_dump(mode="json"),
                "left_out": LEFT_OUT,
                "target": fake_target(output_dir, chosen),
                "counter": number,
                "output_bytes": 310_000_000,
                "coverage": self.engine.coverage,
            }
            for chosen in (settings, *also)
        ]
        known["outputs"] = tuple(
            Output(**{item.name: output.get(item.name) for item in fields(Output)}) for output in outputs
        )
        return Plan(**{item.name: known.get(item.name) for item in fields(Plan)})

    def extract(self, plan: Plan, cancel: CancelToken) -> Iterator[Event]:
        self.engine.runs += 1
        self.engine.run_plans.append(plan)
        self.engine.run_threads.append(threading.current_thread())
        try:
            yield from self.engine.events(plan, cancel)
        finally:
            self.resident_bytes = self.engine.resident_after_run
            self.engine.closed_runs += 1

    def verify(self, lora: Path, cancel: CancelToken) -> Iterator[VerifyProgress | Verification]:
        self.engine.verified.append(lora)
        self.engine.verify_threads.append(threading.current_thread())
        total = self.engine.layers
        for number in range(total):
            if number == total // 2:
                self.engine.verifications_held += not self.engine.hold_verification.is_set()
                while not self.engine.hold_verification.wait(0.005):
                    if not self.engine.stalled:
                        cancel.check()
                if self.engine.verify_error is not None:
                    raise self.engine.verify_error
            cancel.check()
            yield VerifyProgress(number + 1, total, f"layer {number}")
        yield self.engine.verification

    def close(self) -> None:
        self.closed = True
        self.resident_bytes = 0


@dataclass
class FakeEngine:
    """What it answers can be set; `hold_run`, `hold_inspection` and `hold_verification` make it wait for `let_go`.

    A verification that is held still looks at its cancel token, unless the drive is `stalled`.
    `news` are events that a run tells right after it has begun, `result` replaces fields of its result.
    """

    layers: int = 12
    inspect_error: EngineError | None = None
    pair_error: EngineError | None = None
    plan_error: EngineError | None = None
    run_error: BaseException | None = None
    hold_run: threading.Event = field(default_factory=threading.Event)
    hold_inspection: threading.Event = field(default_factory=threading.Event)
    plans: list[tuple[ExtractionSettings, HardwareSettings, Path]] = field(default_factory=list)
    also: list[tuple[ExtractionSettings, ...]] = field(default_factory=list)
    inspections: list[Path] = field(default_factory=list)
    run_threads: list[threading.Thread] = field(default_factory=list)
    sessions: list[FakeSession] = field(default_factory=list)
    kept: Reusable | Exception | None = None
    news: tuple[Event, ...] = ()
    result: dict[str, Any] = field(default_factory=dict)
    resident_after_run: int = 0
    free_error: Exception | None = None
    device: DeviceInfo = field(default_factory=lambda: DeviceInfo("cuda", "NVIDIA RTX 4090", 24 * 1024**3))
    run_plans: list[Plan] = field(default_factory=list)
    kept_threads: list[threading.Thread] = field(default_factory=list)
    free_threads: list[threading.Thread] = field(default_factory=list)
    verify_error: Exception | None = None
    verification: Verification = field(default_factory=fake_verification)
    hold_verification: threading.Event = field(default_factory=threading.Event)
    stalled: bool = False
    verifications_held: int = 0
    verified: list[Path] = field(default_factory=list)
    verify_threads: list[threading.Thread] = field(default_factory=list)
    speed: Speed | None = field(default_factory=lambda: Speed(1e12, 1e9, 0.001))
    calibrations: list[ExtractionSettings] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)
    notices: tuple[Notice, ...] = ()
    family: Family = field(default_factory=lambda: next(row for row in FAMILIES if row.key == "flux"))
    order: PairOrder = field(default_factory=PairOrder)
    sample: PairSample | None = None
    sample_error: Exception | None = None
    hold_sample: threading.Event = field(default_factory=threading.Event)
    sample_threads: list[threading.Thread] = field(default_factory=list)
    samples: list[ExtractionSettings] = field(default_factory=list)
    runs: int = 0
    closed_runs: int = 0

    def __post_init__(self) -> None:
        self.let_go()

    def let_go(self) -> None:
        self.hold_run.set()
        self.hold_inspection.set()
        self.hold_verification.set()
        self.hold_sample.set()

    def inspect(self, path: Path) -> ModelSummary:
        self.inspections.append(path)
        self.hold_inspection.wait(10)
        if self.inspect_error is not None:
            raise self.inspect_error
        return ModelSummary(
            path=path,
            size_bytes=22_200_000_000,
            container="safetensors",
            tensors=780,
            parameters=11_900_000_000,
            dtypes=(("BF16", 780),),
            family="flux",
            family_title="Flux.1",
            components={"denoiser": 780},
            blocks=57,
            encodings=(),
            quantisation=None,
        )

    def open_pair(self, finetuned: Path, original: Path) -> Any:
        if self.pair_error is not None:
            raise self.pair_error
        session = FakeSession(self)
        self.sessions.append(session)
        return session

    def describe_device(self, hardware: HardwareSettings) -> DeviceInfo:
        return self.device

    def calibrate(self, settings: ExtractionSettings, hardware: HardwareSettings) -> Speed | None:
        self.calibrations.append(settings)
        return self.speed

    def events(self, plan: Plan, cancel: CancelToken) -> Iterator[Event]:
        total = len(plan.layers)
        yield Planned(
            layers=total,
            left_out=plan.left_out,
            output_name=plan.output_name,
            output_bytes=plan.output_bytes,
            device="cuda:0",
            device_title="NVIDIA RTX 4090",
            device_total_bytes=24 * GB,
            ceiling_bytes=18 * GB,
            threshold_bytes=int(20.4 * GB),
            device_used_bytes=3 * GB,
            settings=plan.settings,
            hardware=plan.hardware,
            coverage=plan.coverage,
            output_names=tuple(output.name for output in plan.outputs),
        )
        yield Notice(NoticeCode.LARGE_CHANGE, data={"layers": 3, "of": total})
        yield from self.news
        rows = []
        for index, weight in enumerate(plan.layers):
            if index == total // 2:
                while not self.hold_run.wait(0.005):
                    cancel.check()
                if self.run_error is not None:
                    raise self.run_error
            cancel.check()
            yield LayerStarted(index, weight.name)
            row = layer_result(weight.name, 0.8 + 0.19 * index / total)
            rows.append(row)
            yield LayerDone(index, row)
            yield BatchDone(index, (weight.name,), row.seconds, 9 * GB + index, 12 * GB)
            yield MemorySample(index * 0.25, 9 * GB + index, 12 * GB, 24 * GB, 3 * GB)
            yield Progress(index + 1, total, (index + 1) / total, index * 0.25, (total - index) * 0.25, 0.9)
        outputs = tuple(
            OutputFile(
                output.folder / output.name,
                output.folder / "report.json",
                str(output.made_with["rank"]),
                output.made_with["key_format"],
                310_000_000 + place,
                0.938 - 0.1 * place,
                0.874 - 0.1 * place,
                plan.coverage,
                rows=tuple(replace(row, rank=output.made_with["rank"]) for row in rows),
                left_out=plan.left_out,
            )
            for place, output in enumerate(plan.outputs)
        )
        result = ExtractionResult(outputs, tuple(rows), plan.left_out, 41.0, 9 * GB, 3 * GB)
        yield Finished(replace(result, **self.result))
