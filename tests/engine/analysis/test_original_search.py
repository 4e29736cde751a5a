"""Which model in some folders is the original of another: made families, in every form in which models lie about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from encoded_weights import KINDS, save_encoded, weight_of
from gguf_files import decoded as gguf_decoded
from gguf_files import encoded as gguf_encoded
from model_families import (
    PREFIX,
    changed,
    fresh,
    merged,
    save,
    save_blocks,
    save_scaled,
    stored,
)
from model_files import Tensors, save_model
from native_models import NATIVE_MODELS, state_of

from engine.analysis.candidates import Candidate, OriginalSearch, SkipReason
from engine.analysis.original_search import find_original
from engine.cancel import CancelToken
from engine.checkpoints.checkpoint import Checkpoint
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.store.samples import SampleIndex

ROOT = fresh(0)
BASES = [changed(ROOT, 1, 0.04), changed(ROOT, 2, 0.04), changed(ROOT, 3, 0.06)]


class Finder:
    """Searches with one index."""

    def __init__(self, folder: Path) -> None:
        self.index = SampleIndex(folder)

    def __call__(self, model: Path, *folders: Path) -> OriginalSearch:
        *_, found = find_original(model, folders, self.index, CancelToken())
        assert isinstance(found, OriginalSearch)
        return found


@pytest.fixture
def find(tmp_path: Path) -> Finder:
    return Finder(tmp_path / "index")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The three bases in bf16, and models of the same shapes that have nothing to do with them."""
    place = tmp_path / "models"
    for number, base in enumerate(BASES):
        save(place / f"base{number}.safetensors", base)
    for number in range(3):
        save(place / "unrelated" / f"other{number}.safetensors", fresh(50 + number))
    return place


def named(search: OriginalSearch) -> dict[str, Candidate]:
    return {one.path.name: one for one in search.candidates}


def distance(model: Tensors, candidate: Tensors) -> float:
    """|model - candidate| / |candidate| over all numbers, in float64."""
    apart = sum(float((model[name].double() - candidate[name].double()).square().sum()) for name in model)
    return float((apart / sum(float(tensor.double().square().sum()) for tensor in candidate.values())) ** 0.5)


@pytest.mark.parametrize("number", range(3))
def test_a_fine_tune_is_nearest_to_the_base_that_it_was_made_from(
    folder: Path, find: Finder, tmp_path: Path, number: int
) -> None:
    tuned = changed(stored(BASES[number]), 20 + number, 0.01)
    found = find(save(tmp_path / "tuned.safetensors", tuned), folder)
    assert found.best is not None
    assert found.best.path.name == f"base{number}.safetensors"
    true = [distance(stored(tuned), stored(base)) for base in BASES]
    measured = [named(found)[f"base{at}.safetensors"].relative_distance for at in range(3)]
    assert measured == pytest.approx(true, rel=1e-4)
    assert found.margin == pytest.approx(sorted(true)[1] - sorted(true)[0], rel=1e-3)
    assert found.merge is None
    assert all(one.coefficient is None for one in found.candidates)


def test_unrelated_models_of_the_same_shape_are_named_as_such(folder: Path, find: Finder, tmp_path: Path) -> None:
    found = find(save(tmp_path / "tuned.safetensors", changed(BASES[0], 30, 0.01)), folder)
    assert {name for name, one in named(found).items() if one.unrelated} == {
        f"other{at}.safetensors" for at in range(3)
    }


def test_nothing_near_is_no_original(folder: Path, find: Finder, tmp_path: Path) -> None:
    found = find(save(tmp_path / "strange.safetensors", fresh(77)), folder)
    assert (found.best, found.margin, found.merge) == (None, None, None)
    assert len(found.candidates) == 6


def test_copies_of_the_original_in_other_encodings_are_behind_it_and_known_as_copies(
    folder: Path, find: Finder, tmp_path: Path
) -> None:
    base = stored(BASES[1])
    copies = [
        save_scaled(folder / "fp8.safetensors", base),
        save_blocks(folder / "q8.gguf", base, "Q8_0"),
        save_blocks(folder / "q4.gguf", base, "Q4_0"),
        save(folder / "fp16.safetensors", base, torch.float16),
    ]
    found = find(save(tmp_path / "tuned.safetensors", changed(base, 21, 0.01)), folder)
    assert found.best is not None
    assert found.best.relative_distance == pytest.approx(0.01, rel=0.05)
    same = {"base1.safetensors", *(copy.name for copy in copies)}
    others = {one.path.name for one in found.candidates if one.copy_of == found.best.path}
    assert others == same - {found.best.path.name}
    assert found.runner_up is not None
    assert found.runner_up.path.name == "base0.safetensors"


@pytest.mark.parametrize("kind", ["fp8", "q8", "q4"])
def test_a_quantised_copy_of_the_original_is_found_where_there_is_no_other(
    find: Finder, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / kind
    for number, base in enumerate(BASES):
        if kind == "fp8":
            save_scaled(place / f"base{number}.safetensors", stored(base))
        else:
            save_blocks(place / f"base{number}.gguf", stored(base), f"{kind.upper()}_0")
    for number, base in enumerate(BASES):
        found = find(save(tmp_path / f"tuned{number}.safetensors", changed(stored(base), 60, 0.01)), place)
        assert found.best is not None
        assert found.best.path.stem == f"base{number}"
        assert found.merge is None


@pytest.mark.parametrize("shares", [(0.3, 0.7, 0.0), (0.9, 0.0, 0.1), (0.5, 0.3, 0.2), (0.34, 0.33, 0.33)], ids=str)
def test_a_merge_has_its_coefficients_within_a_hundredth(
    folder: Path, find: Finder, tmp_path: Path, shares: Sequence[float]
) -> None:
    save(folder / "root.safetensors", ROOT)  # nearer to a mean of three than any of them
    save(folder / "sibling.safetensors", changed(BASES[0], 44, 0.03))
    parts = [(share, stored(base)) for share, base in zip(shares, BASES, strict=True)]
    found = find(save(tmp_path / "merge.safetensors", merged(*parts)), folder)
    assert found.merge is not None
    assert found.merge.explained > 0.99
    for number, share in enumerate(shares):
        one = named(found)[f"base{number}.safetensors"]
        assert one.coefficient == pytest.approx(share, abs=0.01)
        assert share == 0 or (one.interval is not None and one.interval[0] <= share <= one.interval[1])
    others = [one for name, one in named(found).items() if not name.startswith("base")]
    assert len(others) == 5
    assert all(one.coefficient == 0 for one in others)


@pytest.mark.parametrize("shares", [(0.3, 0.7, 0.0), (0.5, 0.3, 0.2)], ids=str)
@pytest.mark.parametrize("kind", ["fp8", "q8"])
def test_of_quantised_candidates_the_true_coefficient_lies_in_the_interval(
    find: Finder, tmp_path: Path, kind: str, shares: Sequence[float]
) -> None:
    place = tmp_path / "quantised"
    for number, base in enumerate(BASES):
        if kind == "fp8":
            save_scaled(place / f"base{number}.file", stored(base)).rename(place / f"base{number}.safetensors")
        else:
            save_blocks(place / f"base{number}.gguf", stored(base), "Q8_0")
    parts = [(share, stored(base)) for share, base in zip(shares, BASES, strict=True)]
    found = find(save(tmp_path / "merge.safetensors", merged(*parts)), place)
    assert found.merge is not None
    by_name = {one.path.stem: one for one in found.candidates}
    for number, share in enumerate(shares):
        one = by_name[f"base{number}"]
        low, high = one.interval or (one.coefficient, one.coefficient)
        assert low is not None
        assert high is not None
        assert low <= share <= high
        assert high - low < 0.6


def test_with_a_copy_of_every_parent_only_one_of_each_is_fitted(folder: Path, find: Finder, tmp_path: Path) -> None:
    for number, base in enumerate(BASES):
        save_scaled(folder / f"fp8-{number}.safetensors", stored(base))
        save_blocks(folder / f"q8-{number}.gguf", stored(base), "Q8_0")
    found = find(save(tmp_path / "merge.safetensors", merged((0.6, stored(BASES[0])), (0.4, stored(BASES[2])))), folder)
    assert found.merge is not None
    fitted = {name: one.coefficient for name, one in named(found).items() if one.coefficient}
    assert fitted == {
        "base0.safetensors": pytest.approx(0.6, abs=0.01),
        "base2.safetensors": pytest.approx(0.4, abs=0.01),
    }


def test_a_difference_that_was_added_is_a_merge_with_a_negative_coefficient(
    folder: Path, find: Finder, tmp_path: Path
) -> None:
    added = merged((1.0, stored(BASES[0])), (1.0, stored(BASES[1])), (-1.0, stored(BASES[2])))
    found = find(save(tmp_path / "added.safetensors", added), folder)
    assert found.merge is not None
    values = [named(found)[f"base{at}.safetensors"].coefficient for at in range(3)]
    assert values == pytest.approx([1, 1, -1], abs=0.01)


def test_the_model_itself_and_its_copies_are_left_out_and_named(folder: Path, find: Finder, tmp_path: Path) -> None:
    tuned = changed(BASES[0], 33, 0.2)  # so far that its own fp8 copy is nearer than the original
    model = save(folder / "tuned.safetensors", tuned)
    os.link(model, folder / "hard-link.safetensors")
    (folder / "copy.safetensors").write_bytes(model.read_bytes())
    save(folder / "single.safetensors", stored(tuned), torch.float32)
    save_scaled(folder / "fp8.safetensors", stored(tuned))
    found = find(model, folder)
    assert found.best is not None
    assert found.best.path.name == "base0.safetensors"
    assert {item.path.name: item.reason for item in found.itself} == {
        "copy.safetensors": SkipReason.SAME_BYTES,
        "hard-link.safetensors": SkipReason.SAME_FILE,  # the first of its names
        "single.safetensors": SkipReason.SAME_NUMBERS,
        "fp8.safetensors": SkipReason.ROUNDED_COPY,
    }


def test_an_adapter_merged_into_the_numbers_of_a_quantised_original_is_no_rounding_of_it(
    find: Finder, tmp_path: Path
) -> None:
    """Every number of it rounds to the original's, but it is much nearer than rounding would leave it."""
    place = tmp_path / "models"
    save_blocks(place / "base.gguf", BASES[0], "Q4_0")
    decoded = {name: gguf_decoded("Q4_0", gguf_encoded("Q4_0", tensor)) for name, tensor in BASES[0].items()}
    found = find(save(tmp_path / "tuned.safetensors", changed(decoded, 34, 0.01)), place)
    assert found.best is not None
    assert found.best.path.name == "base.gguf"
    assert found.best.relative_distance == pytest.approx(0.01, rel=0.05)
    assert not found.best.within_rounding


def test_a_quantised_original_that_rounding_alone_may_explain_is_named_so(find: Finder, tmp_path: Path) -> None:
    place = tmp_path / "models"
    save_scaled(place / "base.safetensors", BASES[0])
    found = find(save(tmp_path / "tuned.safetensors", changed(BASES[0], 35, 0.002)), place)
    assert found.best is not None
    assert found.best.within_rounding


def test_a_change_of_a_layer_that_was_not_sampled_is_no_copy(
    find: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.analysis.sample_choice.MOST_WEIGHTS", 3)
    base = stored(BASES[0])
    tuned = {**base, "img_in.weight": base["img_in.weight"] * 1.5, "final_layer.linear.weight": base["img_in.weight"].T}
    save(tmp_path / "models" / "base.safetensors", base)
    found = find(save(tmp_path / "tuned.safetensors", tuned), tmp_path / "models")
    assert found.best is not None
    assert found.best.relative_distance > 0
    assert find(tmp_path / "tuned.safetensors", tmp_path / "models").best == found.best


def test_the_other_layout_of_a_model_is_compared_weight_by_weight(find: Finder, tmp_path: Path) -> None:
    flux = NATIVE_MODELS["flux"]
    step = state_of("flux", 9)
    bases = [state_of("flux", seed) for seed in range(3)]
    place = tmp_path / "models"
    place.mkdir()
    for number, base in enumerate(bases):  # under diffusers' names: divided matrices, swapped halves
        save_model(place / f"base{number}.safetensors", base)
    for number, base in enumerate(bases):
        tuned = {name: tensor + 0.01 * step[name] for name, tensor in base.items()}
        native = {PREFIX + name: tensor for name, tensor in flux.native(tuned).items()}
        found = find(save_model(tmp_path / f"tuned{number}.safetensors", native), place)
        assert found.best is not None
        assert found.best.path.name == f"base{number}.safetensors"
        assert found.best.relative_distance < 0.03
        assert found.best.matched_share == pytest.approx(1.0)


def test_a_folder_of_components_and_a_model_in_parts_are_candidates(find: Finder, tmp_path: Path) -> None:
    base = state_of("flux", 0)
    part = tmp_path / "models" / "pipeline" / "transformer"
    part.mkdir(parents=True)
    (part.parent / "model_index.json").write_text('{"transformer": ["diffusers", "FluxTransformer2DModel"]}')
    save_model(part / "diffusion_pytorch_model.safetensors", base)
    parts = tmp_path / "models" / "parts"
    parts.mkdir()
    names = sorted(base)
    other = state_of("flux", 1)
    for number, some in enumerate((names[::2], names[1::2]), 1):
        save_model(parts / f"model-0000{number}-of-00002.safetensors", {name: other[name] for name in some})
    tuned = {name: 1.01 * tensor for name, tensor in base.items()}
    found = find(save_model(tmp_path / "tuned.safetensors", tuned), tmp_path / "models")
    assert [one.path.name for one in found.candidates] == ["pipeline", "model-00001-of-00002.safetensors"]
    assert found.best is not None
    assert found.best.path == part.parent
    assert found.best.relative_distance == pytest.approx(0.01, rel=1e-3)


def test_a_few_layers_that_a_candidate_lacks_do_not_matter(find: Finder, tmp_path: Path) -> None:
    place = tmp_path / "models"
    lacking = {name: tensor for name, tensor in BASES[0].items() if not name.startswith("double_blocks.3")}
    save(place / "base0.safetensors", lacking)
    save(place / "base1.safetensors", BASES[1])
    found = find(save(tmp_path / "tuned.safetensors", changed(BASES[0], 70, 0.01)), place)
    assert found.best is not None
    assert found.best.path.name == "base0.safetensors"
    assert found.best.relative_distance == pytest.approx(0.01, rel=0.1)
    assert 0.7 < found.best.matched_share < 0.8


def test_of_two_that_are_the_same_the_one_that_has_more_of_the_model_is_the_original(
    find: Finder, tmp_path: Path
) -> None:
    place = tmp_path / "models"
    base = stored(BASES[0])
    other = {
        name: torch.cat([tensor, tensor], dim=1) if name == "img_in.weight" else tensor for name, tensor in base.items()
    }
    save(place / "a-with-more-channels.safetensors", other)
    save(place / "base.safetensors", base)
    tuned = changed(base, 71, 0.01)
    tuned["img_in.weight"] = 1.2 * base["img_in.weight"]  # farther away than the rest
    found = find(save(tmp_path / "tuned.safetensors", tuned), place)
    assert [one.path.name for one in found.candidates] == ["base.safetensors", "a-with-more-channels.safetensors"]
    assert found.margin == 0


def test_headers_that_cannot_match_are_skipped_without_a_weight_being_read(
    find: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "models"
    place.mkdir()
    save_model(place / "names.safetensors", {f"other.{at}.weight": torch.ones(8, 8) for at in range(4)})
    save(place / "shapes.safetensors", {name: torch.ones(8, 8) for name in ROOT})
    model = save(tmp_path / "tuned.safetensors", BASES[0])
    monkeypatch.setattr(Checkpoint, "read_into", lambda *_: pytest.fail("a weight was read"))
    found = find(model, place)
    assert not found.candidates
    assert [(item.path.name, item.reason) for item in found.skipped] == [
        ("names.safetensors", SkipReason.OTHER_MODEL),
        ("shapes.safetensors", SkipReason.OTHER_MODEL),
    ]


class _WantsMore:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_what_cannot_be_read_is_named_with_the_reason_and_the_rest_is_compared(
    folder: Path, find: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cut.safetensors").write_bytes(b"\x10")
    (folder / "empty.safetensors").touch()
    torch.save({"weight": _WantsMore()}, folder / "wants-more.ckpt")
    torch.save({PREFIX + name: tensor for name, tensor in stored(BASES[0]).items()}, folder / "pickle.pt")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self.safetensors").symlink_to("self.safetensors")
    (folder / "dead.safetensors").symlink_to("nowhere.safetensors")
    (folder / "lora.safetensors").write_bytes(save_model(tmp_path / "lora.safetensors", _lora()).read_bytes())
    (folder / "forbidden.safetensors").write_bytes((folder / "base0.safetensors").read_bytes())
    opened = Path.open

    def open_unless_forbidden(self: Path, *arguments: object, **more: object) -> object:
        if self.name == "forbidden.safetensors":
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_unless_forbidden)
    found = find(save(tmp_path / "tuned.safetensors", changed(BASES[0], 80, 0.01)), folder)
    assert {item.path.name: item.code for item in found.skipped} == {
        "cut.safetensors": "file_truncated",
        "empty.safetensors": "file_empty",
        "wants-more.ckpt": "pickle_refused",
        "loop": "link_loop",
        "self.safetensors": "link_loop",
        "dead.safetensors": "dead_link",
        "lora.safetensors": "not_a_model",
        "forbidden.safetensors": "file_unreadable",
    }
    assert {"base0.safetensors", "pickle.pt"} <= named(found).keys()
    assert found.best is not None
    assert found.best.path.name in ("base0.safetensors", "pickle.pt")


def _lora() -> Tensors:
    module = "lora_unet_double_blocks_0_img_attn_qkv"
    return {f"{module}.lora_down.weight": torch.ones(4, 64), f"{module}.lora_up.weight": torch.ones(192, 4)}


def test_the_second_search_reads_no_candidate_and_says_the_same(
    folder: Path, find: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_scaled(folder / "fp8.safetensors", stored(BASES[1]))
    model = save(tmp_path / "merge.safetensors", merged((0.6, stored(BASES[0])), (0.4, stored(BASES[1]))))
    first = find(model, folder)
    monkeypatch.setattr(Checkpoint, "read_into", lambda *_: pytest.fail("a weight was read"))
    second = find(model, folder)
    assert (first.known, second.known) == (0, 7)
    assert (second.candidates, second.merge) == (first.candidates, first.merge)


def test_a_candidate_that_changed_is_looked_at_again(folder: Path, find: Finder, tmp_path: Path) -> None:
    model = save(tmp_path / "tuned.safetensors", changed(BASES[0], 90, 0.01))
    assert find(model, folder).known == 0
    save(folder / "base1.safetensors", changed(BASES[0], 91, 0.001))
    status = (folder / "base1.safetensors").stat()
    os.utime(folder / "base1.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    found = find(model, folder)
    assert found.known == 5
    assert found.best is not None
    assert named(found)["base1.safetensors"].relative_distance < 0.02


def test_another_fine_tune_of_the_same_kind_uses_the_samples_of_the_first(
    folder: Path, find: Finder, tmp_path: Path
) -> None:
    find(save(tmp_path / "one.safetensors", changed(BASES[0], 92, 0.01)), folder)
    other = save(tmp_path / "two.safetensors", changed(BASES[1], 93, 0.01))
    first, again = find(other, folder), find(other, folder)
    assert first.best is not None
    assert first.best.path.name == "base1.safetensors"
    assert again.known == 6


def test_numbers_that_are_not_finite_are_no_original(find: Finder, tmp_path: Path) -> None:
    place = tmp_path / "models"
    save(place / "broken.safetensors", {name: torch.full_like(tensor, torch.nan) for name, tensor in ROOT.items()})
    found = find(save(tmp_path / "tuned.safetensors", BASES[0]), place)
    assert [(item.path.name, item.code) for item in found.skipped] == [("broken.safetensors", "non_finite")]


def test_a_folder_that_is_not_there_is_named_and_none_is_an_error(folder: Path, find: Finder, tmp_path: Path) -> None:
    model = save(tmp_path / "tuned.safetensors", BASES[0])
    found = find(model, tmp_path / "gone", folder)
    assert (found.skipped[0].path.name, found.skipped[0].code) == ("gone", "file_missing")
    with pytest.raises(EngineError) as caught:
        find(model, tmp_path / "gone")
    assert caught.value.code is ErrorCode.FILE_MISSING


def test_a_search_stops_when_it_is_asked_to_and_keeps_what_it_has(folder: Path, find: Finder, tmp_path: Path) -> None:
    model = save(tmp_path / "tuned.safetensors", changed(BASES[0], 94, 0.01))
    cancel = CancelToken()
    search = find_original(model, [folder], find.index, cancel)
    while not isinstance(event := next(search), OriginalSearch) and event.done < 3:
        pass
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(search)
    assert find(model, folder).known == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_fine_tune_is_found_among_originals_in_every_encoding(find: Finder, tmp_path: Path, kind: str) -> None:
    layers = [f"{PREFIX}blocks.{number}.attn.proj" for number in range(2)]
    weights = [{layer: weight_of((130, 192), 10 * seed + at) for at, layer in enumerate(layers)} for seed in range(2)]
    for number, some in enumerate(weights):
        place = tmp_path / "models" / str(number)
        place.mkdir(parents=True)
        encoded = {name: KINDS[kind].encode(name, weight) for name, weight in some.items()}
        save_encoded(place / "model.safetensors", encoded, in_header=False, others={})
    tuned = {f"{name}.weight": 1.01 * weight.numbers.float() for name, weight in encoded.items()}
    found = find(save_model(tmp_path / "tuned.safetensors", tuned), tmp_path / "models")
    assert found.best is not None, [item.error for item in found.skipped]
    assert found.best.path.parent.name == "1"
    assert found.best.relative_distance == pytest.approx(0.01, rel=1e-3)
    assert [one.unrelated for one in found.candidates] == [False, True]
