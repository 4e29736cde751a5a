"""Some rows of two models say before a run whether they are a model and its original. Truth is formed in float64."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from encoded_weights import KINDS, save_encoded, weight_of
from model_files import PREFIX, Tensors, random_tensor, save_model
from streamed_pairs import sides_of, turned
from toys.encoding import WholeNibbles, encoded

from engine.analysis import sampled_pair
from engine.analysis.pair_verdict import PairSample, PairVerdict
from engine.analysis.sampled_pair import in_turns, sample_pair
from engine.cancel import CancelToken
from engine.checkpoints.encodings import ENCODINGS
from engine.errors import Cancelled
from engine.session import Session
from engine.settings import ExtractionSettings

WIDTH = 64
PLACES = {"attn.q": (64, 64), "attn.k": (64, 64), "attn.v": (64, 64), "mlp.up": (256, 64), "mlp.down": (64, 256)}
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def model(blocks: int = 8, *, seed: int = 0) -> Tensors:
    """A transformer's matrices in float64, with rows of uneven size, and a norm in every block."""
    weights: Tensors = {}
    for block in range(blocks):
        for place, (rows, columns) in PLACES.items():
            seed += 1
            size = torch.exp(0.7 * random_tensor(rows, 1, seed=1000 + seed).double())
            weights[f"{PREFIX}blocks.{block}.{place}.weight"] = (
                0.02 * size * random_tensor(rows, columns, seed=seed).double()
            )
        weights[f"{PREFIX}blocks.{block}.norm.weight"] = torch.ones(WIDTH, dtype=torch.float64)
    return weights


def changed(
    base: Tensors, size: float, where: Callable[[str], bool] = lambda name: True, rank: int | None = None
) -> Tensors:
    """Every matrix that is meant, changed by a share of its norm."""
    tuned = dict(base)
    for seed, (name, weight) in enumerate(base.items()):
        if weight.dim() < 2 or not where(name):
            continue
        rows, columns = weight.shape
        step = random_tensor(rows, columns, seed=5000 + seed).double()
        if rank is not None:
            step = random_tensor(rows, rank, seed=1).double() @ random_tensor(rank, columns, seed=2).double()
        tuned[name] = weight + step * (size * weight.norm() / step.norm())
    return tuned


def saved(
    folder: Path, tuned: Tensors, base: Tensors, dtypes: tuple[torch.dtype, torch.dtype] = (torch.float32,) * 2
) -> tuple[Path, Path]:
    sides = zip(("tuned", "base"), (tuned, base), dtypes, strict=True)
    first, second = (
        save_model(folder / f"{side}.safetensors", {name: tensor.to(dtype) for name, tensor in weights.items()})
        for side, weights, dtype in sides
    )
    return first, second


def sample(pair: tuple[Path, Path], **settings: object) -> PairSample:
    with Session(*pair) as session:
        found = session.sample(ExtractionSettings(**settings), CancelToken())  # type: ignore[arg-type]
    assert found is not None
    return found


def true_change(tuned: Tensors, base: Tensors) -> float:
    change = sum(float((tuned[name] - base[name]).square().sum()) for name in base)
    return math.sqrt(change / sum(float(weight.square().sum()) for weight in base.values()))


@pytest.mark.parametrize("size", [0.003, 0.02, 0.2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_change_is_about_that_of_all_numbers(dtype: torch.dtype, size: float, tmp_path: Path) -> None:
    base = {name: weight.to(dtype).double() for name, weight in model(16).items()}
    tuned = {name: weight.to(dtype).double() for name, weight in changed(base, size).items()}
    found = sample(saved(tmp_path, tuned, base, (dtype, dtype)))
    assert found.relative_change == pytest.approx(true_change(tuned, base), rel=0.1)
    assert found.verdict is PairVerdict.RELATED
    assert found.changed == 16 * len(PLACES)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", DTYPES)
def test_two_models_of_one_shape_are_no_model_and_its_original(dtype: torch.dtype, seed: int, tmp_path: Path) -> None:
    found = sample(saved(tmp_path, model(seed=100 * (seed + 1)), model(), (dtype, torch.float32)))
    assert found.verdict is PairVerdict.UNRELATED
    assert (found.large.layers, found.large.of) == (8 * len(PLACES), 8 * len(PLACES))


@pytest.mark.parametrize(("size", "verdict"), [(0.4, PairVerdict.RELATED), (0.6, PairVerdict.UNRELATED)])
def test_more_than_half_changed_is_the_limit(size: float, verdict: PairVerdict, tmp_path: Path) -> None:
    base = model()
    assert sample(saved(tmp_path, changed(base, size), base)).verdict is verdict


def test_the_limit_holds_for_most_layers_and_not_for_a_few(tmp_path: Path) -> None:
    base = model()
    tuned = changed(base, 2.0, lambda name: ".attn.q" in name or ".attn.k" in name)
    found = sample(saved(tmp_path, tuned, base))
    assert (found.verdict, found.large.layers) == (PairVerdict.RELATED, 16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_copy_is_identical_in_any_dtype(dtype: torch.dtype, tmp_path: Path) -> None:
    found = sample(saved(tmp_path, model(), model(), (dtype, torch.float32)))
    assert (found.verdict, found.changed, found.relative_change) == (PairVerdict.IDENTICAL, 0, 0.0)
    assert found.rounding_share is None


def test_a_finer_copy_of_a_coarser_original_is_identical_but_for_rounding(tmp_path: Path) -> None:
    found = sample(saved(tmp_path, model(), model(), (torch.float32, torch.bfloat16)))
    assert (found.verdict, found.rounded) == (PairVerdict.IDENTICAL, found.layers)


@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("place", ["attn", "attn.q", "mlp.down"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_change_of_one_kind_of_layer_is_no_near_copy(
    dtype: torch.dtype, place: str, rank: int | None, tmp_path: Path
) -> None:
    base = {name: weight.to(dtype).double() for name, weight in model(24).items()}
    tuned = changed(base, 0.004, lambda name: place in name, rank)
    found = sample(saved(tmp_path, tuned, base, (dtype, dtype)))
    assert found.verdict is PairVerdict.RELATED


def test_the_one_layer_that_changed_is_found_and_the_pair_is_nearly_identical(tmp_path: Path) -> None:
    base = model(40)  # 200 matrices, more than are looked at first
    tuned = changed(base, 0.1, lambda name: "blocks.33.mlp.up" in name)
    found = sample(saved(tmp_path, tuned, base))
    assert (found.verdict, found.changed, found.few_layers) == (PairVerdict.NEARLY_IDENTICAL, 1, True)
    assert found.layers == found.of == 240


@pytest.mark.parametrize(
    ("dtype", "size", "verdict"),
    [
        (torch.bfloat16, 0.0005, PairVerdict.NEARLY_IDENTICAL),
        (torch.bfloat16, 0.003, PairVerdict.RELATED),
        (torch.float16, 0.00005, PairVerdict.NEARLY_IDENTICAL),
        (torch.float16, 0.0005, PairVerdict.RELATED),
        (torch.float32, 0.00005, PairVerdict.RELATED),
    ],
)
def test_a_change_below_what_the_dtype_resolves_is_nearly_identical(
    dtype: torch.dtype, size: float, verdict: PairVerdict, tmp_path: Path
) -> None:
    base = {name: weight.to(dtype).double() for name, weight in model().items()}
    tuned = changed(base, size)
    stored = {name: weight.to(dtype).double() for name, weight in tuned.items()}
    lost = sum(float((stored[name] - tuned[name]).square().sum()) for name in base)
    noise = lost / sum(float((stored[name] - base[name]).square().sum()) for name in base)
    found = sample(saved(tmp_path, tuned, base, (dtype, dtype)))
    assert found.verdict is verdict
    assert (noise > 0.5) == (verdict is PairVerdict.NEARLY_IDENTICAL)


FP8 = torch.float8_e4m3fn


@pytest.mark.parametrize("size", [0.0, 0.002, 0.05])
def test_the_rounding_of_a_coarser_original_is_not_taken_for_a_change(size: float, tmp_path: Path) -> None:
    base = {name: 10 * weight for name, weight in model().items()}
    coarse = {name: weight.to(torch.float32).to(FP8).double() for name, weight in base.items()}
    tuned = changed(base, size) if size else {name: weight * (1 + 1e-4) for name, weight in base.items()}
    found = sample(saved(tmp_path, tuned, base, (torch.bfloat16, FP8)))
    noise = true_change(coarse, base) / true_change(tuned, coarse)
    assert found.verdict is (PairVerdict.NEARLY_IDENTICAL if size < 0.01 else PairVerdict.RELATED)
    assert (noise**2 > 0.7) == (size < 0.01)
    assert found.coarse_rounding_share == pytest.approx(noise**2, rel=0.1)


def test_a_change_trained_from_the_coarse_numbers_themselves_is_one(tmp_path: Path) -> None:
    base = {name: (10 * weight).to(torch.float32).to(FP8).double() for name, weight in model().items()}
    found = sample(saved(tmp_path, changed(base, 0.01), base, (torch.float32, FP8)))
    assert found.verdict is PairVerdict.RELATED
    assert found.relative_change == pytest.approx(0.01, rel=0.15)


def test_the_same_pair_always_gives_the_same_sample(tmp_path: Path) -> None:
    pair = saved(tmp_path, changed(model(40), 0.01), model(40))
    assert sample(pair) == sample(pair)


def test_no_more_is_read_than_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = model(24)
    pair = saved(tmp_path, changed(base, 0.01), base, (torch.bfloat16, torch.bfloat16))
    monkeypatch.setattr(sampled_pair, "SAMPLE_BYTES", 1 << 16)
    found = sample(pair)
    assert found.read_bytes <= 2.5 * (1 << 16) < 0.1 * sum(path.stat().st_size for path in pair)
    assert found.layers >= 90
    assert found.relative_change == pytest.approx(0.01, rel=0.15)


def test_only_the_rows_that_are_needed_are_read_of_stacked_experts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = {
        "model.embed_tokens.weight": random_tensor(30, 64, seed=0).double(),
        "model.layers.0.self_attn.q_proj.weight": random_tensor(64, 64, seed=1).double(),
        "model.layers.0.mlp.experts.w1.weight": random_tensor(64, 96, 64, seed=3).double(),
    }
    tuned = {name: weight + 0.02 * random_tensor(*weight.shape, seed=9).double() for name, weight in base.items()}
    pair = saved(tmp_path, tuned, base, (torch.bfloat16, torch.bfloat16))
    monkeypatch.setattr(sampled_pair, "SAMPLE_BYTES", 1 << 16)
    found = sample(pair)
    assert (found.verdict, found.layers) == (PairVerdict.RELATED, 66)
    assert found.relative_change == pytest.approx(0.02, rel=0.1)
    assert found.read_bytes < 0.25 * sum(path.stat().st_size for path in pair)


def test_a_model_in_several_files_is_sampled_as_in_one(tmp_path: Path) -> None:
    base = {name: weight.float() for name, weight in model().items()}
    tuned = {name: weight.float() for name, weight in changed(model(), 0.05).items()}
    whole = sample(saved(tmp_path, tuned, base))
    folder = tmp_path / "tuned"
    folder.mkdir()
    files = [f"model-{number:05}-of-00002.safetensors" for number in (1, 2)]
    table = {name: files[place % 2] for place, name in enumerate(tuned)}
    for file in files:
        save_model(folder / file, {name: tuned[name] for name in tuned if table[name] == file})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    assert sample((folder, tmp_path / "base.safetensors")) == whole


@pytest.mark.parametrize("shape", [(170, 37), (37, 170)])
@pytest.mark.parametrize("which", [(True, True), (True, False), (False, True)])
def test_sides_that_are_stored_the_other_way_round_are_sampled(
    which: tuple[bool, bool], shape: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with turned(which, shape)(tmp_path) as (checkpoints, weight):
        tuned, base = (side.double() for side in sides_of(checkpoints, weight))
        truth = float((tuned - base).norm() / base.norm())
        for budget in (1 << 16, 1 << 12):
            monkeypatch.setattr(sampled_pair, "SAMPLE_BYTES", budget)
            found = sample_pair(*checkpoints, [weight], CancelToken())
            assert found.relative_change == pytest.approx(truth, rel=1e-5 if found.whole else 0.2)
            assert found.whole == (budget == 1 << 16)
            assert found.read_bytes <= 2.2 * budget


@pytest.mark.parametrize("kind", KINDS)
def test_every_encoding_is_sampled_by_what_its_numbers_stand_for(kind: str, tmp_path: Path) -> None:
    shape = KINDS[kind].shapes[0] if kind == "comfy int8 rotated" else (130, 192)
    layers = [f"{PREFIX}blocks.{number}.attn.proj" for number in range(2)]
    weights = {layer: KINDS[kind].encode(layer, weight_of(shape, seed)) for seed, layer in enumerate(layers)}
    base = {f"{layer}.weight": weight_of(shape, 70 + seed) for seed, layer in enumerate(layers)}
    (tmp_path / "tuned").mkdir()
    tuned = save_encoded(tmp_path / "tuned" / "model.safetensors", weights)
    found = sample((tuned, save_model(tmp_path / "base.safetensors", base)), round_original="off")
    numbers = {f"{layer}.weight": weight.numbers.double() for layer, weight in weights.items()}
    truth = true_change(numbers, {name: weight.double() for name, weight in base.items()})
    assert found.relative_change == pytest.approx(truth, rel=1e-4)
    assert (found.verdict, found.whole) == (PairVerdict.UNRELATED, True)


@pytest.mark.parametrize("kind", ["fp8", "int8 by rows", "nf4", "int4 in groups", "comfy nvfp4", "comfy mxfp8"])
def test_a_quantised_copy_is_nearly_identical_and_a_model_trained_from_it_is_not(kind: str, tmp_path: Path) -> None:
    layer = f"{PREFIX}blocks.0.attn.proj"
    weight = 0.02 * random_tensor(128, 512, seed=1)
    coarse = KINDS[kind].encode(layer, weight)
    for folder in ("coarse", "plain"):
        (tmp_path / folder).mkdir()
    stored = save_encoded(tmp_path / "coarse" / "model.safetensors", {layer: coarse})
    plain = save_model(tmp_path / "plain" / "model.safetensors", {f"{layer}.weight": weight.bfloat16()})
    trained = coarse.numbers.float() + 0.0004 * random_tensor(128, 512, seed=2)
    tuned = save_model(tmp_path / "tuned.safetensors", {f"{layer}.weight": trained})
    assert sample((stored, plain)).verdict is PairVerdict.NEARLY_IDENTICAL
    assert sample((plain, stored)).verdict is PairVerdict.NEARLY_IDENTICAL
    assert sample((tuned, stored)).verdict is PairVerdict.RELATED


@pytest.fixture
def whole_nibbles() -> Iterator[None]:
    """An encoding of which no rows can be read by themselves."""
    toy = WholeNibbles()
    ENCODINGS.insert(0, toy)
    yield
    ENCODINGS.remove(toy)


def nibbles(folder: Path, count: int) -> tuple[tuple[Path, Path], int]:
    """A pair whose fine-tuned side has such weights, and the bytes of one of them."""
    base = {f"{PREFIX}blocks.{number}.weight": random_tensor(64, 128, seed=number) for number in range(count)}
    tuned: Tensors = {}
    for name, weight in base.items():
        tuned |= encoded(name.removesuffix(".weight"), weight + 0.1 * random_tensor(64, 128, seed=99))
    one = sum(tensor.nbytes for tensor in tuned.values()) // count
    return (save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)), one


@pytest.mark.usefixtures("whole_nibbles")
def test_what_cannot_be_read_in_part_is_read_whole_within_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, size = nibbles(tmp_path, 20)
    monkeypatch.setattr(sampled_pair, "SAMPLE_BYTES", 4 * size)
    found = sample(pair)
    assert 1 <= found.layers <= 4
    assert (found.of, found.verdict) == (20, PairVerdict.RELATED)


@pytest.mark.usefixtures("whole_nibbles")
def test_where_nothing_fits_the_budget_one_layer_is_read_all_the_same_and_its_bytes_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, size = nibbles(tmp_path, 20)
    monkeypatch.setattr(sampled_pair, "SAMPLE_BYTES", size // 4)
    found = sample(pair)
    assert found.layers == 1
    assert found.read_bytes > size


def test_numbers_that_are_not_finite_spoil_nothing(tmp_path: Path) -> None:
    base = model()
    tuned = changed(base, 0.05)
    truth = true_change(tuned, base)
    tuned[f"{PREFIX}blocks.2.attn.q.weight"] = torch.full((64, 64), torch.nan, dtype=torch.float64)
    found = sample(saved(tmp_path, tuned, base))
    assert found.verdict is PairVerdict.RELATED
    assert found.relative_change == pytest.approx(truth, rel=0.1)


def test_only_chosen_layers_are_looked_at(tmp_path: Path) -> None:
    base = model()
    pair = saved(tmp_path, changed(base, 0.1, lambda name: ".attn.q" in name), base)
    found = sample(pair, exclude=("*.attn.q.*",))
    assert (found.verdict, found.changed, found.of) == (PairVerdict.IDENTICAL, 0, 8 * len(PLACES))


def test_a_sample_can_be_stopped(tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with Session(*saved(tmp_path, model(), model())) as session, pytest.raises(Cancelled):
        session.sample(ExtractionSettings(), cancel)


def test_layers_are_taken_in_turns_from_every_kind_and_all_depths(tmp_path: Path) -> None:
    with Session(*saved(tmp_path, model(), model())) as session:
        weights = session.weights(ExtractionSettings())
    order = [weights[index].name for index in in_turns(weights)]
    assert sorted(order) == sorted(weight.name for weight in weights)
    first = {name.split(".", 3)[3] for name in order[: len(PLACES)]}
    assert first == {f"{place}.weight" for place in PLACES}
    halves = [int(name.split(".")[2]) >= 4 for name in order[: 2 * len(PLACES)]]
    assert halves == [False] * len(PLACES) + [True] * len(PLACES)
