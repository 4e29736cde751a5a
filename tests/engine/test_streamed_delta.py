"""A weight whose sides are left in their files gives the same delta, and the same LoRA, as one that is held."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_files import PREFIX, random_tensor, save_model
from spectra import delta_of, optimum, product_error
from torch_memory import peak_bytes

from engine.checkpoints import Checkpoint, Piece, WeightView, open_checkpoint
from engine.checkpoints.encodings import piece_of
from engine.checkpoints.rounded import compared
from engine.checkpoints.rounding import rounding_between
from engine.checkpoints.tensors import read_encoded, read_view
from engine.decompose import workspace
from engine.decompose.delta import Delta, subtract
from engine.decompose.method import LayerMethod
from engine.devices.buffer_pool import BufferPool
from engine.layer import LayerOutcome, work_on
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight, WeightKind
from engine.planning.costs import need, need_within
from engine.settings import ExtractionSettings, RoundOriginal
from engine.streamed_delta import MeasuredDelta, UnreadPair

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn]
CHUNK, PART = 1 << 8, 1 << 11  # of a delta, and of what is read at once: as they divide each other in the program


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small matrices are read in many parts and worked on in many pieces."""
    monkeypatch.setattr("engine.decompose.delta._CHUNK", CHUNK)
    monkeypatch.setattr("engine.streamed_delta.PART_VALUES", PART)
    for module in ("engine.decompose.delta", "engine.streamed_delta"):
        monkeypatch.setattr(f"{module}.CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr(workspace, "CHUNK_BYTES", 1 << 14)


@contextmanager
def opened(
    folder: Path, tuned: torch.Tensor, base: torch.Tensor, **changed: Any
) -> Iterator[tuple[tuple[Checkpoint, Checkpoint], PairedWeight]]:
    """Two files of one weight each, and the weight; `changed` replaces what the pairing found."""
    paths = (
        save_model(folder / "tuned.safetensors", {PREFIX + "layers.0.weight": tuned}),
        save_model(folder / "base.safetensors", {PREFIX + "layers.0.weight": base}),
    )
    with open_checkpoint(paths[0]) as finetuned, open_checkpoint(paths[1]) as original:
        views = [WeightView.of(next(iter(side.weights.values())), "denoiser") for side in (finetuned, original)]
        kind: WeightKind = {1: "bias", 2: "matrix"}.get(base.dim(), "conv")  # type: ignore[assignment]
        weight = PairedWeight("layers.0.weight", kind, "denoiser", views[1].shape, *views, Block("", "layers", 0))
        yield (finetuned, original), replace(weight, **changed)


def sides_of(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> tuple[torch.Tensor, torch.Tensor]:
    return read_view(checkpoints[0], weight.finetuned), read_view(checkpoints[1], weight.original)


def held(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> Delta:
    return subtract(read_view(checkpoints[0], weight.finetuned), read_view(checkpoints[1], weight.original))


def unread(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> UnreadPair:
    return UnreadPair(checkpoints, weight, lambda count: None)


def filled(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> Delta:
    return unread(checkpoints, weight).filled(BufferPool(0, pinned=False).acquire(4 * weight.numel))


Case = Callable[[Path], Any]


def plain(shape: tuple[int, ...], tuned: torch.dtype, base: torch.dtype, scale: float = 1.0) -> Case:
    sides = [(scale * random_tensor(*shape, seed=seed)).to(dtype) for seed, dtype in ((0, tuned), (1, base))]
    return lambda folder: opened(folder, *sides)


def resized(rows: tuple[int, int], columns: int) -> Case:
    return grown((rows[0], columns), (rows[1], columns))


def grown(tuned: tuple[int, ...], base: tuple[int, ...]) -> Case:
    """Sides whose shapes differ; their common part is paired."""
    sides = [random_tensor(*shape, seed=seed).bfloat16() for seed, shape in enumerate((tuned, base))]
    return lambda folder: opened(folder, *sides, common=tuple(map(min, tuned, base)))


def turned(which: tuple[bool, bool], shape: tuple[int, int] = (170, 37)) -> Case:
    """Sides that their files hold the other way round."""
    sides = [random_tensor(*(shape[::-1] if way else shape), seed=seed) for seed, way in enumerate(which)]

    @contextmanager
    def case(folder: Path) -> Iterator[Any]:
        with opened(folder, *sides, shape=shape) as (checkpoints, weight):
            views = [
                replace(view, shape=shape, pieces=(Piece(view.source, transposed=way),))
                for view, way in zip((weight.finetuned, weight.original), which, strict=True)
            ]
            yield checkpoints, replace(weight, finetuned=views[0], original=views[1])

    return case


def fused(shape: tuple[int, int] = (60, 37), at: int = 60) -> Case:
    """The fine-tuned side is some rows of a larger tensor."""
    tuned, base = random_tensor(3 * shape[0], shape[1], seed=0).half(), random_tensor(*shape, seed=1)

    @contextmanager
    def case(folder: Path) -> Iterator[Any]:
        with opened(folder, tuned, base) as (checkpoints, weight):
            view = replace(
                weight.finetuned, shape=shape, pieces=(piece_of(weight.finetuned.source, at, at + shape[0]),)
            )
            yield checkpoints, replace(weight, finetuned=view)

    return case


def in_pieces(*files: dict[str, torch.Tensor], turned: tuple[str, ...] = ()) -> Case:
    """Either side is all weights of its file, joined one below the other; some of them turned."""

    @contextmanager
    def case(folder: Path) -> Iterator[Any]:
        paths = [save_model(folder / f"{number}.safetensors", tensors) for number, tensors in enumerate(files)]
        with open_checkpoint(paths[0]) as finetuned, open_checkpoint(paths[1]) as original:
            views = []
            for model in (finetuned, original):
                pieces = [Piece(source, transposed=name in turned) for name, source in model.weights.items()]
                shape = (sum(piece.shape[0] for piece in pieces), pieces[0].shape[1])
                views.append(WeightView("denoiser", shape, tuple(pieces)))
            yield (
                (finetuned, original),
                PairedWeight("w.weight", "matrix", "denoiser", views[1].shape, *views, Block("", "layers", 0)),
            )

    return case


def scaled(*shape: int, seed: int, by_row: bool = False, name: str = "a") -> dict[str, torch.Tensor]:
    """A weight in ComfyUI's scaled fp8."""
    weight = random_tensor(*shape, seed=seed)
    scale = weight.abs().amax(dim=1, keepdim=True) / 448 if by_row else weight.abs().max() / 448
    parts = {"weight": (weight / scale).to(torch.float8_e4m3fn), "scale_weight": scale}
    return {"scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)} | {f"{name}.{part}": parts[part] for part in parts}


def plain_rows(rows: int, columns: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    return {"b.weight": random_tensor(rows, columns, seed=7).to(dtype)}


CASES: dict[str, Case] = {
    **{f"{str(dtype)[6:]} and bf16": plain((170, 37), dtype, torch.bfloat16) for dtype in DTYPES},
    "wide": plain((37, 170), torch.float32, torch.float16),
    "convolution": plain((24, 9, 3, 3), torch.float16, torch.float16),
    "bias": plain((5000,), torch.float32, torch.float32),
    "very small": plain((170, 37), torch.float32, torch.float32, scale=1e-25),
    "very large": plain((170, 37), torch.float32, torch.float32, scale=1e25),
    "larger vocabulary": resized((190, 170), 37),
    "smaller vocabulary": resized((130, 170), 37),
    "far smaller vocabulary": resized((3, 400), 37),
    "more inputs": grown((170, 53), (170, 37)),
    "fewer inputs": grown((170, 29), (170, 37)),
    "more of both": grown((190, 53), (170, 37)),
    "more outputs, fewer inputs": grown((190, 29), (170, 37)),
    "a convolution with more inputs": grown((24, 9, 3, 3), (24, 4, 3, 3)),
    "a convolution with more outputs": grown((33, 9, 3, 3), (24, 9, 3, 3)),
    "a longer bias": grown((5012,), (5000,)),
    "turned fine-tuned side": turned((True, False)),
    "turned original": turned((False, True)),
    "both turned": turned((True, True)),
    "wide and turned": turned((True, False), (37, 170)),
    "rows of a fused tensor": fused(),
    "joined of two": in_pieces(
        {"a.weight": random_tensor(80, 37, seed=3).half()} | plain_rows(90, 37, torch.float16), plain_rows(170, 37)
    ),
    "joined of two dtypes, one turned": in_pieces(
        {"a.weight": random_tensor(37, 80, seed=3)} | plain_rows(90, 37), plain_rows(170, 37), turned=("a.weight",)
    ),
    "scaled fp8": in_pieces(scaled(170, 37, seed=4), plain_rows(170, 37)),
    "both in scaled fp8, by row": in_pieces(scaled(170, 37, seed=4, by_row=True), scaled(170, 37, seed=5)),
    "wide in scaled fp8": in_pieces(scaled(37, 170, seed=4, by_row=True), plain_rows(37, 170)),
    "turned in scaled fp8": in_pieces(scaled(37, 170, seed=4), plain_rows(170, 37), turned=("a.weight",)),
    "scaled fp8 joined with plain rows": in_pieces(scaled(100, 37, seed=4) | plain_rows(70, 37), plain_rows(170, 37)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_delta_filled_from_the_files_is_the_same_bit_by_bit(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        whole, parts = held(checkpoints, weight), filled(checkpoints, weight)
        assert torch.equal(parts.values, whole.values)
        assert parts.values.shape == whole.values.shape == weight.shape
        assert parts.grown_energy == whole.grown_energy
        assert norms_of(parts) == same_norms(whole)


def norms_of(delta: Delta | MeasuredDelta) -> tuple[float, float]:
    return delta.energy, delta.original_energy


def same_norms(delta: Delta) -> object:
    """Its norms, exactly; to float64's digits where float32 has lost them and they were summed once more."""
    extreme = not 1e-25 < delta.original_energy < 1e30
    return pytest.approx(norms_of(delta), rel=1e-12, abs=0) if extreme else norms_of(delta)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_pieces_from_the_files_are_those_of_the_delta(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        whole, measured = held(checkpoints, weight), unread(checkpoints, weight).measured()
        matrix = whole.values.reshape(whole.values.shape[0], -1)
        pieces = measured.pieces
        assert pieces.shape == matrix.shape
        assert norms_of(measured) == same_norms(whole)
        for place, piece in pieces:
            assert torch.equal(piece, matrix[place] if pieces.tall else matrix[:, place])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_norms_are_those_that_numpy_finds(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        tuned, base = (side.to(torch.float32) for side in sides_of(checkpoints, weight))
        exact = base.double().numpy().copy()
        common = tuple(slice(0, min(sizes)) for sizes in zip(tuned.shape, base.shape, strict=True))
        delta = np.zeros_like(exact)
        delta[common] = (tuned[common] - base[common]).double().numpy()
        beyond = tuned.double().numpy().copy()
        beyond[common] = 0.0
        measured = unread(checkpoints, weight).measured()
        assert measured.grown_energy == pytest.approx(float(np.square(beyond).sum()), rel=1e-9, abs=0)
        assert measured.energy == pytest.approx(float(np.square(delta).sum()), rel=1e-6)
        assert measured.original_energy == pytest.approx(float(np.square(exact).sum()), rel=1e-6)


def outcome(case: Case, folder: Path, way: str, **chosen: Any) -> LayerOutcome:
    method = LayerMethod.of(ExtractionSettings(**{"rank": 6, "output_dtype": "fp32", **chosen}))
    with case(folder) as (checkpoints, weight):
        if way == "whole":
            return work_on(weight, held(checkpoints, weight), method)
        if way == "filled":
            return work_on(weight, filled(checkpoints, weight), method)
        return work_on(weight, unread(checkpoints, weight).measured(), method)


def assert_same(one: LayerOutcome, other: LayerOutcome) -> None:
    ours, theirs = (item.stored[0].layer for item in (one, other))
    assert ours is not None
    assert theirs is not None
    assert ours.parts.keys() == theirs.parts.keys()
    for part, tensor in ours.parts.items():
        assert torch.equal(tensor, theirs.parts[part]), part
    assert one.row == other.row


FACTORED = [
    name for name in CASES if not any(part in name for part in ("bias", "convolution", "very small", "very large"))
]
RULES = [
    ("standard", 0.15),
    ("adaptive_ratio", 0.3),
    ("adaptive_quantile", 0.2),
    ("adaptive_energy", 0.5),
    ("adaptive_fro", 0.6),
]


@pytest.mark.parametrize("name", FACTORED)
def test_a_layer_worked_on_in_pieces_is_stored_the_same_whichever_way_it_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.decompose.pieces.worked_in_pieces", lambda shape: True)
    whole, *others = (outcome(CASES[name], tmp_path, way) for way in ("whole", "filled", "pieces"))
    for other in others:
        assert_same(whole, other)


@pytest.mark.parametrize(("lora_type", "p"), RULES)
@pytest.mark.parametrize("algorithm", ["svd_linalg", "svd_lowrank"])
@pytest.mark.parametrize("clamp", [True, False])
def test_every_rule_stores_the_same_from_files_that_are_read_in_parts(
    tmp_path: Path, lora_type: str, p: float, algorithm: str, clamp: bool
) -> None:
    chosen = {"lora_type": lora_type, "adaptive_param": p, "algorithm": algorithm, "clamp_quantile": clamp}
    case = CASES["bfloat16 and bf16"]
    whole = outcome(case, tmp_path, "whole", **chosen, rank=20)
    assert_same(whole, outcome(case, tmp_path, "filled", **chosen, rank=20))
    assert whole.row is not None


@pytest.mark.parametrize("spectrum", ["power law", "merged LoRA", "flat noise", "exact low rank"])
@pytest.mark.parametrize("shape", [(410, 50), (50, 410), (90, 90)])
def test_a_layer_in_pieces_only_for_want_of_memory_keeps_the_promise(
    tmp_path: Path, shape: tuple[int, int], spectrum: str
) -> None:
    delta = delta_of(spectrum, shape)
    with opened(tmp_path, delta, torch.zeros(shape)) as (checkpoints, weight):
        method = LayerMethod.of(ExtractionSettings(rank=12, output_dtype="fp32", clamp_quantile=False))
        done = work_on(weight, unread(checkpoints, weight).measured(), method)
    assert done.svd is not None
    assert done.row is not None
    error, norm = product_error(delta, done.svd.u, done.svd.s, done.svd.vh), float(delta.double().norm())
    assert error <= (1 + 1e-5) * optimum(delta, 12) + 1e-6 * norm
    assert done.row.relative_error == pytest.approx(error / norm, rel=1e-3, abs=2e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("shape", [(170, 37), (37, 170)])
def test_a_value_that_is_not_finite_is_found_in_its_own_file(
    tmp_path: Path, shape: tuple[int, int], side: int, bad: float
) -> None:
    sides = [random_tensor(*shape, seed=seed) for seed in (0, 1)]
    sides[side][shape[0] - 1, shape[1] - 2] = bad
    with opened(tmp_path, *sides) as (checkpoints, weight):
        pair = unread(checkpoints, weight)
        assert not math.isfinite(pair.measured().energy)
        assert not math.isfinite(filled(checkpoints, weight).energy)
        assert pair.broken_file() == checkpoints[side].path


def test_every_byte_that_is_read_is_counted(tmp_path: Path) -> None:
    counted: list[int] = []
    with CASES["float16 and bf16"](tmp_path) as (checkpoints, weight):
        pair = UnreadPair(checkpoints, weight, counted.append)
        pair.measured()
        assert sum(counted) == 2 * 2 * 170 * 37
        for _ in pair:
            pass
        assert sum(counted) == 2 * 2 * 2 * 170 * 37
        assert pair.read_seconds > 0.0
        pair.free()


@pytest.mark.parametrize(("shape", "rank"), [((6000, 96), 48), ((96, 6000), 8)])
@pytest.mark.parametrize("way", ["filled", "pieces"])
def test_a_layer_read_in_parts_takes_no_more_than_was_planned(
    tmp_path: Path, way: str, shape: tuple[int, int], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine.planning.costs", "engine.streamed_delta"):
        monkeypatch.setattr(f"{module}.PART_VALUES", 1 << 14)
    monkeypatch.setattr("engine.decompose.delta._CHUNK", 1 << 13)
    for module in ("workspace", "gram", "decomposition", "factors"):
        monkeypatch.setattr(f"engine.decompose.{module}.CHUNK_BYTES", 1 << 18)
    monkeypatch.setattr("engine.planning.costs.CHUNK_BYTES", 1 << 18)
    method = LayerMethod.of(ExtractionSettings(rank=rank))
    with plain(shape, torch.bfloat16, torch.float16)(tmp_path) as (checkpoints, weight):
        whole = need(weight, method, host=True).total
        planned = [need_within(weight, method, whole - less, measured=False) for less in (1, whole)]
        stated = next(item.total for item in planned if item.way == way)

        def work() -> LayerOutcome:
            if way == "filled":
                return work_on(weight, filled(checkpoints, weight), method)
            return work_on(weight, unread(checkpoints, weight).measured(), method)

        assert peak_bytes(work) <= stated < whole


def rounded(case: Case, choice: RoundOriginal = "auto") -> Case:
    """The same pair of files, compared as the setting says."""

    @contextmanager
    def compared_case(folder: Path) -> Iterator[Any]:
        with case(folder) as (checkpoints, weight):
            found = rounding_between(weight.finetuned, weight.original)
            assert found is not None
            yield checkpoints, replace(weight, rounding=found.under(choice))

    return compared_case


def held_rounded(checkpoints: tuple[Checkpoint, Checkpoint], weight: PairedWeight) -> Delta | None:
    views = (weight.finetuned, weight.original)
    both = [read_encoded(model, view) for model, view in zip(checkpoints, views, strict=True)]
    numbers = compared((both[0], both[1]), weight.rounding)
    return None if numbers is None else subtract(*numbers)


ROUNDED: dict[str, Case] = {
    "fp8 against bf16": rounded(plain((170, 37), torch.float8_e4m3fn, torch.bfloat16)),
    "bf16 against fp32, wide": rounded(plain((37, 170), torch.bfloat16, torch.float32)),
    "bf16 against fp16": rounded(plain((170, 37), torch.bfloat16, torch.float16)),
    "bf16 against fp8, both ways": rounded(plain((170, 37), torch.bfloat16, torch.float8_e4m3fn), "on"),
    "larger vocabulary": rounded(
        lambda folder: opened(
            folder,
            random_tensor(190, 37, seed=0).to(torch.float8_e4m3fn),
            random_tensor(170, 37, seed=1),
            common=(170, 37),
        )
    ),
    "turned": rounded(
        in_pieces(
            {"a.weight": random_tensor(37, 170, seed=3).bfloat16()},
            plain_rows(170, 37, torch.float32),
            turned=("a.weight",),
        )
    ),
    "joined of two dtypes": rounded(
        in_pieces(
            {"a.weight": random_tensor(80, 37, seed=3).half()} | plain_rows(90, 37), plain_rows(170, 37, torch.float32)
        )
    ),
    "scaled fp8": rounded(in_pieces(scaled(170, 37, seed=4), plain_rows(170, 37))),
    "scaled fp8 by row, against two dtypes": rounded(
        in_pieces(
            scaled(170, 37, seed=4, by_row=True),
            {"a.weight": random_tensor(80, 37, seed=3)} | plain_rows(90, 37),
        )
    ),
    "wide in scaled fp8": rounded(in_pieces(scaled(37, 170, seed=4, by_row=True), plain_rows(37, 170))),
    "turned in scaled fp8": rounded(
        in_pieces(scaled(37, 170, seed=4, by_row=True), plain_rows(170, 37), turned=("a.weight",))
    ),
    "scaled fp8 joined with plain rows": rounded(
        in_pieces(scaled(100, 37, seed=4) | plain_rows(70, 37), plain_rows(170, 37, torch.float32))
    ),
    "scaled fp8 original, both ways": rounded(in_pieces(plain_rows(170, 37), scaled(170, 37, seed=4)), "on"),
}


@pytest.mark.parametrize("case", ROUNDED.values(), ids=ROUNDED)
def test_a_rounded_delta_is_the_same_bit_by_bit_whichever_way_it_is_read(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        assert weight.rounding.rounded is not None
        whole, parts = held_rounded(checkpoints, weight), filled(checkpoints, weight)
        assert whole is not None
        assert torch.equal(parts.values, whole.values)
        assert norms_of(parts) == norms_of(whole)
        assert not torch.equal(whole.values, held(checkpoints, replace(weight, rounding=None)).values)
        measured = unread(checkpoints, weight).measured()
        assert norms_of(measured) == norms_of(whole)
        matrix = whole.values.reshape(whole.values.shape[0], -1)
        for place, piece in measured.pieces:
            assert torch.equal(piece, matrix[place] if measured.pieces.tall else matrix[:, place])
        measured.pieces.free()


@pytest.mark.parametrize("case", ROUNDED.values(), ids=ROUNDED)
def test_a_weight_that_changed_is_not_taken_for_a_rounded_one_in_parts_either(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        assert not unread(checkpoints, weight).only_rounded()


def only_saved_again(tuned: torch.dtype, base: torch.dtype, shape: tuple[int, int] = (170, 37)) -> Case:
    """One side is the other one cast to its dtype."""
    values = random_tensor(*shape, seed=5)
    finer = values.to(base if torch.finfo(base).bits > torch.finfo(tuned).bits else tuned)
    sides = finer.to(tuned), finer.to(base)
    return rounded(lambda folder: opened(folder, *sides), "off")


SAVED_AGAIN: dict[str, Case] = {
    "in bf16": only_saved_again(torch.bfloat16, torch.float32),
    "in fp8": only_saved_again(torch.float8_e4m3fn, torch.bfloat16),
    "wide": only_saved_again(torch.float16, torch.float32, (37, 170)),
    "the original in fp8": only_saved_again(torch.bfloat16, torch.float8_e4m3fn),
}


@pytest.mark.parametrize("case", SAVED_AGAIN.values(), ids=SAVED_AGAIN)
def test_a_weight_that_was_only_saved_again_is_known_in_parts_and_whole(tmp_path: Path, case: Case) -> None:
    with case(tmp_path) as (checkpoints, weight):
        pair = unread(checkpoints, weight)
        assert pair.only_rounded()
        pair.free()
        assert held_rounded(checkpoints, weight) is None
        assert held(checkpoints, weight).energy > 0.0, "so that there is something to be known"


def test_comparing_stops_at_the_first_part_that_changed(tmp_path: Path) -> None:
    counted: list[int] = []
    with ROUNDED["fp8 against bf16"](tmp_path) as (checkpoints, weight):
        as_stored = replace(weight, rounding=weight.rounding.under("off"))
        assert not UnreadPair(checkpoints, as_stored, counted.append).only_rounded()
    assert 0 < sum(counted) <= 3 * PART


@pytest.mark.parametrize(
    ("way", "case"),
    [
        ("filled", "fp8 against bf16"),
        ("pieces", "fp8 against bf16"),
        ("pieces", "scaled fp8"),
        ("pieces", "scaled fp8 joined with plain rows"),
    ],
)
def test_rounding_in_parts_takes_no_more_than_was_planned(
    tmp_path: Path, way: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine.planning.costs", "engine.streamed_delta"):
        monkeypatch.setattr(f"{module}.PART_VALUES", PART)
    monkeypatch.setattr("engine.planning.costs.CASTING_BYTES", 0)
    method = LayerMethod.of(ExtractionSettings(rank=2))
    with ROUNDED[case](tmp_path) as (checkpoints, weight):
        stated = need_within(weight, method, 1, measured=way == "pieces")  # measuring does nothing but to go over it

        def work() -> object:
            pair = unread(checkpoints, weight)
            pair.only_rounded()
            return filled(checkpoints, weight) if way == "filled" else pair.measured()

        if way == "filled":
            ceiling = need(weight, method, host=True).total - 1
            stated = need_within(weight, method, ceiling, measured=False)
        assert stated.way == way
        assert peak_bytes(work) <= stated.total
