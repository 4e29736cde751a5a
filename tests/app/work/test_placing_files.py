"""Where dropped files go: nothing is replaced or ignored in silence."""

from pathlib import Path

import pytest

from app.text.window_text import ignored_text, whose_place_text
from app.work.model_placement import Models, distinguish, in_place_of, place

TUNED, BASE = Path("my_finetune.safetensors"), Path("sdxl-base.safetensors")
NEW, OTHER = Path("new.safetensors"), Path("other.safetensors")


@pytest.mark.parametrize(
    ("present", "models"),
    [((None, None), (NEW, None)), ((TUNED, None), (TUNED, NEW)), ((None, BASE), (NEW, BASE))],
)
def test_one_file_goes_where_there_is_room(present: Models, models: Models) -> None:
    placement = place([NEW], present)
    assert (placement.models, placement.undecided, placement.ignored) == (models, None, ())


def test_one_file_replaces_none_of_two_without_being_asked_about() -> None:
    placement = place([NEW], (TUNED, BASE))
    assert (placement.models, placement.undecided) == ((TUNED, BASE), NEW)
    assert in_place_of("finetuned", NEW, (TUNED, BASE)) == (NEW, BASE)
    assert in_place_of("original", NEW, (TUNED, BASE)) == (TUNED, NEW)


@pytest.mark.parametrize("present", [(TUNED, BASE), (TUNED, None), (None, BASE)])
def test_a_file_that_is_there_already_changes_nothing(present: Models) -> None:
    file = next(path for path in present if path is not None)
    placement = place([file, file], present)
    assert (placement.models, placement.undecided, placement.ignored) == (present, None, ())


@pytest.mark.parametrize("present", [(None, None), (TUNED, None), (NEW, OTHER)])
def test_two_files_fill_both_cards_and_more_are_named(present: Models) -> None:
    placement = place([BASE, TUNED, NEW, OTHER], present)
    assert (placement.models, placement.undecided) == ((TUNED, BASE), None)
    assert placement.ignored == (NEW, OTHER)
    text = ignored_text(placement.ignored)
    assert text == (
        "Two models are needed; these of the dropped files were not opened: new.safetensors, other.safetensors."
    )
    assert "this one of the dropped files was not opened: new.safetensors." in ignored_text([NEW])


def test_nothing_dropped_is_nothing_placed() -> None:
    assert place([], (TUNED, None)).models == (TUNED, None)


def test_the_question_names_the_file() -> None:
    assert "new.safetensors" in whose_place_text(Path("/models") / NEW)[0]


def test_folders_are_told_apart_by_their_whole_names(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("flux1.finetune", "flux1.base")]
    for folder in folders:
        folder.mkdir()
    assert distinguish(*folders) == tuple(folders)
    assert distinguish(*reversed(folders)) == tuple(folders)


def test_the_parts_of_a_model_that_are_dropped_together_are_one_model() -> None:
    parts = [Path(f"tuned/model-0000{number}-of-00003.safetensors") for number in (2, 1, 3)]
    index = Path("tuned/model.safetensors.index.json")
    assert place([*parts, index], (None, None)).models == (parts[0], None)
    assert place([*parts, Path("base/model-00001-of-00002.safetensors")], (None, None)).models == (
        parts[0],
        Path("base/model-00001-of-00002.safetensors"),
    )


def test_a_model_in_parts_is_told_apart_by_its_folder() -> None:
    tuned, base = (Path(f"{name}/model.safetensors.index.json") for name in ("my-finetune", "qwen-base"))
    assert distinguish(base, tuned) == (tuned, base)
