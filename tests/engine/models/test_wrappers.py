"""What trainers leave in a model's names is taken off, and of several models in a file the right one is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from extraction_runs import EXACT, run
from hypothesis import given
from hypothesis import strategies as st
from model_files import Tensors, matrices, random_tensor, save_model
from native_models import NATIVE_MODELS, state_of
from safetensors.torch import load_file

from app.text.errors import error_text
from engine.checkpoints import open_checkpoint
from engine.checkpoints.header_snapshot import HeaderSnapshot, remember
from engine.checkpoints.pair_ref import ModelRef
from engine.errors import EngineError, ErrorCode
from engine.events import Notice, NoticeCode
from engine.models.names import name_tensors
from engine.models.pairing import Pairing, pair
from engine.models.wrappers import ALWAYS, WRAPPERS, dotted
from engine.planning.inspection import inspect_model
from engine.results import LeaveOutReason
from engine.session import Session

Renaming = Callable[[str], str]


def native(family: str, seed: int) -> Tensors:
    return NATIVE_MODELS[family].native(state_of(family, seed))


def tuned_and_base(family: str) -> tuple[Tensors, Tensors]:
    base, step = native(family, 0), native(family, 1)
    return {name: tensor + 0.1 * step[name] for name, tensor in base.items()}, base


def renamed(tensors: Tensors, rename: Renaming) -> Tensors:
    return {rename(name): tensor.clone() for name, tensor in tensors.items()}


def before(start: str) -> Renaming:
    return lambda name: start + name


def inside(word: str, *, stacks: tuple[str, ...] = ("blocks", "double_blocks")) -> Renaming:
    """The word behind every block's number, as compiling or wrapping single blocks leaves it."""

    def rename(name: str) -> str:
        parts = name.split(".")
        return ".".join((*parts[:2], word, *parts[2:])) if parts[0] in stacks else name

    return rename


def paired(folder: Path, tuned: Tensors, base: Tensors) -> Pairing:
    with (
        open_checkpoint(save_model(folder / "tuned.safetensors", tuned)) as left,
        open_checkpoint(save_model(folder / "base.safetensors", base)) as right,
    ):
        return pair(left, right)


def sources(pairing: Pairing) -> dict[str, str]:
    return {weight.name: weight.finetuned.source.name for weight in pairing.weights}


STARTS = (
    "_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "_fsdp_wrapped_module.", "dit.", "pipe.dit.",
    "generator.model.", "generator._fsdp_wrapped_module.model.", "student.", "base_model.model.", "model.",
    "transformer.", "unet.", "net.", "state_dict.", "state_dict.model.", "ema.", "ema_model.", "ema_model.module.",
    "generator_ema.model.", "model_ema.", "net_ema.", "model.diffusion_model.", "model.diffusion_model._orig_mod.",
    "module.model.diffusion_model.", "model.diffusion_model.module.", "state_dict.model.diffusion_model.",
)  # fmt: skip
INSIDE = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module._checkpoint_wrapped_module", "module")
RENAMINGS = {start: before(start) for start in STARTS} | {f"N.{word}": inside(word) for word in INSIDE}


@pytest.mark.parametrize("renaming", RENAMINGS)
@pytest.mark.parametrize("side", ["tuned", "base", "both"])
@pytest.mark.parametrize("family", ["flux", "wan"])
def test_wrapper_words_are_taken_off_on_either_side(family: str, side: str, renaming: str, tmp_path: Path) -> None:
    tuned, base = tuned_and_base(family)
    names = {f"diffusion_model.{name}" for name in base}
    tuned = renamed(tuned, RENAMINGS[renaming]) if side != "base" else tuned
    base = renamed(base, RENAMINGS[renaming]) if side != "tuned" else base
    pairing = paired(tmp_path, tuned, base)
    assert ({weight.name for weight in pairing.weights}, pairing.left_out) == (names, ())
    assert pairing.family.key == family


@pytest.mark.parametrize("start", ["wan.", "flow.inner_model.", "ddp.engine.module."])
@pytest.mark.parametrize("side", ["tuned", "both"])
def test_words_that_nobody_listed_are_taken_off_where_every_name_begins_with_them(
    side: str, start: str, tmp_path: Path
) -> None:
    tuned, base = tuned_and_base("wan")
    names = {f"diffusion_model.{name}" for name in base}
    base = renamed(base, before(start)) if side == "both" else base
    pairing = paired(tmp_path, renamed(tuned, before(start)), base)
    assert ({weight.name for weight in pairing.weights}, pairing.left_out) == (names, ())


@pytest.mark.parametrize("renaming", ["pipe.dit.", "generator_ema.model.", "N._checkpoint_wrapped_module", "N.module"])
def test_the_lora_is_that_of_the_plain_pair(renaming: str, tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    loras = []
    for folder, side in (("plain", tuned), ("wrapped", renamed(tuned, RENAMINGS[renaming]))):
        (tmp_path / folder).mkdir()
        files = [
            save_model(tmp_path / folder / f"{name}.safetensors", tensors)
            for name, tensors in (("tuned", side), ("base", base))
        ]
        loras.append(load_file(run((files[0], files[1]), tmp_path / folder, **EXACT).lora))
    plain, wrapped = loras
    assert plain.keys() == wrapped.keys()
    assert all(torch.equal(plain[key], wrapped[key]) for key in plain)


def test_blocks_of_which_only_some_are_wrapped_meet_too(tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    wrap = inside("_checkpoint_wrapped_module")
    partly = {wrap(name) if name.startswith("blocks.1.") else name: tensor for name, tensor in tuned.items()}
    assert paired(tmp_path, partly, base).left_out == ()


@pytest.mark.parametrize("word", ["module", "net", "model.module"])
def test_words_inside_a_model_of_no_known_family_are_taken_off_where_the_other_side_lacks_them(
    word: str, tmp_path: Path
) -> None:
    plain = {f"stages.{index}.mixer.weight": tensor for index, tensor in enumerate(matrices(6).values())}
    wrapped = renamed(plain, inside(word, stacks=("stages",)))
    expected = {f"diffusion_model.{name}" for name in plain}
    for tuned, base in ((plain, wrapped), (wrapped, plain)):
        pairing = paired(tmp_path, tuned, base)
        assert ({weight.name for weight in pairing.weights}, pairing.left_out) == (expected, ())


@pytest.mark.parametrize("word", sorted(WRAPPERS))
def test_a_module_that_both_sides_call_so_keeps_its_name(word: str, tmp_path: Path) -> None:
    names = {
        f"{part}.weight": random_tensor(4, 4, seed=index)
        for index, part in enumerate(("encoder.proj", f"encoder.{word}.proj", f"{word}.proj", "head"))
    }
    pairing = paired(tmp_path, names, names)
    assert sources(pairing) == {f"diffusion_model.{name}": name for name in names}


def test_the_names_of_language_models_keep_their_own_model(tmp_path: Path) -> None:
    names = {
        "model.layers.0.self_attn.q_proj.weight": torch.ones(4, 4),
        "model.embed_tokens.weight": torch.ones(8, 4),
        "lm_head.weight": torch.ones(8, 4),
    }
    for start in ("", "base_model.model.", "module."):
        pairing = paired(tmp_path, renamed(names, before(start)), names)
        assert {weight.name for weight in pairing.weights} == {f"diffusion_model.{name}" for name in names}
        assert pairing.family.key == "llama"


def test_two_tensors_that_meet_without_the_words_are_named(tmp_path: Path) -> None:
    base = renamed(native("wan", 0), before(""))
    name = "blocks.0.self_attn.q.weight"
    tuned = {**base, f"_orig_mod.{name}": base[name] + 1}
    pairing = paired(tmp_path, tuned, base)
    assert sources(pairing)[f"diffusion_model.{name}"] == name
    assert [(item.name, item.reason) for item in pairing.left_out] == [
        (f"_orig_mod.{name}", LeaveOutReason.DUPLICATE_NAME)
    ]


WORDS = st.sampled_from(["blocks", "0", "attn", "proj", *sorted(ALWAYS)[:2], "module", "model", "ema", "net_ema"])
NAMES = st.builds(
    lambda start, words, last: ".".join([*start, *words, last]),
    st.lists(st.sampled_from(["generator", "critic", "model", "module", "ema_model", "_orig_mod"]), max_size=2),
    st.lists(WORDS, min_size=1, max_size=3),
    st.sampled_from(["weight", "bias"]),
)


@given(names=st.lists(NAMES, min_size=1, max_size=12, unique=True), wan=st.booleans())
def test_stripping_never_merges_two_tensors_in_silence(names: list[str], wan: bool) -> None:
    known = ["generator.model.head.modulation", "generator.model.blocks.0.self_attn.q.weight"] if wan else []
    names = list(dict.fromkeys((*names, *known)))
    with TemporaryDirectory() as folder:
        file = save_model(Path(folder) / "model.safetensors", {name: torch.zeros(2, 2) for name in names})
        with open_checkpoint(file) as checkpoint:
            model = name_tensors(checkpoint)
    used = [part.name for view in model.views.values() for part in view.parts]
    assert sorted([*used, *(item.name for item in model.left_out)]) == sorted(names)


@given(tuned=st.lists(NAMES, min_size=1, max_size=8, unique=True), base=st.lists(NAMES, max_size=8, unique=True))
def test_a_pairing_uses_or_names_every_tensor(tuned: list[str], base: list[str]) -> None:
    anchor = "head.final.weight"
    sides = [{name: torch.zeros(2, 2) for name in (*names, anchor)} for names in (tuned, base)]
    with TemporaryDirectory() as folder:
        pairing = paired(Path(folder), *sides)
    for side, names in zip(("finetuned", "original"), sides, strict=True):
        used = [getattr(weight, side).source.name for weight in pairing.weights]
        assert len(set(used)) == len(used)
        named = {item.name.removeprefix("diffusion_model.") for item in pairing.left_out}
        lost = [name for name in set(names) - set(used) if name not in named and not _stands_for(name, named)]
        assert lost == []


def _stands_for(name: str, named: set[str]) -> bool:
    """Whether a tensor is named by its canonical name: its own without words in front or between."""
    words = name.split(".")
    return any(set(other.split(".")) <= set(words) and other.endswith(words[-1]) for other in named)


def codes(notices: tuple[Notice, ...]) -> list[tuple[NoticeCode, str | None]]:
    return [(notice.code, notice.name) for notice in notices]


@pytest.mark.parametrize("start", ["model_ema.", "ema.", "ema_model.", "generator_ema.model.", "net_ema."])
def test_an_ema_copy_alone_is_used_and_said(start: str, tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    pairing = paired(tmp_path, renamed(tuned, before(start)), base)
    assert codes(pairing.notices) == [(NoticeCode.EMA_USED, start.rstrip("."))]
    assert len(pairing.weights) == len(base)


@pytest.mark.parametrize("start", ["model_ema.", "ema.", "ema_model.", "ema_model.module."])
@pytest.mark.parametrize("plain", ["", "model.", "module."])
def test_an_ema_copy_beside_the_weights_is_left_out(start: str, plain: str, tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    both = {**renamed(tuned, before(plain)), **renamed(base, before(start))}
    pairing = paired(tmp_path, both, base)
    assert set(sources(pairing).values()) == {plain + name for name in tuned}
    assert {(item.name, item.reason) for item in pairing.left_out} == {
        (start + name, LeaveOutReason.EMA_COPY) for name in base
    }
    assert pairing.notices == ()


def flat(name: str) -> str:
    """The name of an EMA copy in a Stable Diffusion checkpoint: without its dots."""
    return "model_ema." + f"diffusion_model.{name}".replace(".", "")


def test_the_names_without_dots_of_stable_diffusions_ema_copies_are_read() -> None:
    for name in native("sdxl", 0):
        assert dotted(f"diffusion_model.{name}".replace(".", "")) == name


def test_a_stable_diffusion_checkpoint_with_nothing_but_ema_weights_is_read(tmp_path: Path) -> None:
    tuned, base = tuned_and_base("sdxl")
    vae = {"first_stage_model.decoder.conv_in.weight": torch.ones(4, 4)}
    counters = {"model_ema.decay": torch.tensor(0.9), "model_ema.num_updates": torch.tensor(3)}
    pairing = paired(
        tmp_path,
        {**renamed(tuned, flat), **counters, **vae},
        {**renamed(base, before("model.diffusion_model.")), **vae},
    )
    assert {weight.name for weight in pairing.weights} == {
        *(f"diffusion_model.{name}" for name in base), "vae.decoder.conv_in.weight"
    }  # fmt: skip
    assert {item.name for item in pairing.left_out} >= counters.keys()
    assert codes(pairing.notices) == [(NoticeCode.EMA_USED, "model_ema")]


def test_ema_weights_without_dots_beside_the_plain_ones_are_left_out(tmp_path: Path) -> None:
    tuned, base = tuned_and_base("sdxl")
    plain = before("model.diffusion_model.")
    pairing = paired(tmp_path, {**renamed(base, flat), **renamed(tuned, plain)}, renamed(base, plain))
    assert set(sources(pairing).values()) == set(renamed(tuned, plain))
    assert {item.reason for item in pairing.left_out} == {LeaveOutReason.EMA_COPY}


def self_forcing(tuned: Tensors, other: Tensors) -> Tensors:
    return {
        **renamed(other, before("critic.model.")),
        **renamed(other, before("generator_ema.model.")),
        **renamed(tuned, before("generator.model.")),
        "critic.model.cls_head.weight": torch.ones(4, 4),
    }


def test_of_several_models_in_a_file_the_generator_is_used_and_said(tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    pairing = paired(tmp_path, self_forcing(tuned, base), base)
    assert set(sources(pairing).values()) == {f"generator.model.{name}" for name in tuned}
    (notice,) = pairing.notices
    assert (notice.code, notice.name) == (NoticeCode.SEVERAL_MODELS, "generator.model")
    assert notice.data["others"] == ["generator_ema.model", "critic.model"]
    reasons = {item.name: item.reason for item in pairing.left_out}
    assert reasons["critic.model.cls_head.weight"] is LeaveOutReason.OTHER_MODEL
    assert reasons["generator_ema.model.head.modulation"] is LeaveOutReason.EMA_COPY


def test_of_several_models_in_a_file_the_one_is_used_whose_shapes_are_those_of_the_other_side(tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    smaller = {name: tensor[:1].clone() for name, tensor in tuned.items()}
    file = {**renamed(smaller, before("student.")), **renamed(tuned, before("teacher."))}
    pairing = paired(tmp_path, file, base)
    assert set(sources(pairing).values()) == {f"teacher.{name}" for name in tuned}


def test_both_sides_may_hold_several_models(tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    pairing = paired(tmp_path, self_forcing(tuned, base), self_forcing(base, tuned))
    assert set(sources(pairing).values()) == {f"generator.model.{name}" for name in tuned}


def test_each_of_several_models_can_be_named(tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    file = save_model(tmp_path / "all.safetensors", self_forcing(tuned, base))
    with open_checkpoint(file) as checkpoint:
        models = name_tensors(checkpoint).models
        assert models == ("generator.model.", "generator_ema.model.", "critic.model.")
        for model in models:
            views = name_tensors(checkpoint, model).views
            assert views["diffusion_model.head.modulation"].source.name == f"{model}head.modulation"


@pytest.mark.parametrize("part", ["critic", "critic.model", "generator_ema"])
def test_a_model_in_a_file_is_chosen_behind_its_path(part: str, tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    file = save_model(tmp_path / "all.safetensors", self_forcing(tuned, {name: 2 * it for name, it in base.items()}))
    original = save_model(tmp_path / "base.safetensors", base)
    with Session(file.with_name(f"all.safetensors#{part}"), original) as session:
        used = {weight.finetuned.source.name for weight in session.pairing.weights}
        assert used == {f"{part.removesuffix('.model')}.model.{name}" for name in base}
        with Session(file, original) as likeliest:
            assert session.finetuned.fingerprint() != likeliest.finetuned.fingerprint()  # no record answers for both
        again = HeaderSnapshot(remember(session.finetuned))
        assert (again.part, again.name) == (part, f"all.safetensors#{part}")
        assert name_tensors(again).views.keys() == name_tensors(session.finetuned).views.keys()
        with ModelRef.of(session.finetuned).open() as elsewhere:
            assert elsewhere.part == part


def test_two_models_of_one_file_are_a_pair(tmp_path: Path) -> None:
    tuned, base = tuned_and_base("wan")
    file = save_model(tmp_path / "all.safetensors", self_forcing(tuned, base))
    with Session(file, file.with_name("all.safetensors#generator_ema")) as session:
        assert len(session.pairing.weights) == len(base)
    with pytest.raises(EngineError) as caught, Session(file, file):
        pass
    assert caught.value.code is ErrorCode.SAME_FILE


@pytest.mark.parametrize(
    ("several", "available"), [(True, ["generator.model", "generator_ema.model", "critic.model"]), (False, [])]
)
def test_a_model_that_the_file_does_not_hold_is_refused_with_those_it_holds(
    several: bool, available: list[str], tmp_path: Path
) -> None:
    tuned, base = tuned_and_base("wan")
    file = save_model(tmp_path / "model.safetensors", self_forcing(tuned, base) if several else tuned)
    with pytest.raises(EngineError) as caught:
        inspect_model(file.with_name("model.safetensors#teacher"))
    assert (caught.value.code, caught.value.data["available"]) == (ErrorCode.PART_UNKNOWN, available)
    message, remedy = error_text(caught.value)
    assert "teacher" in message
    assert all(name in remedy for name in available)


def test_a_file_whose_own_name_has_the_sign_is_opened(tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", {"a.weight": torch.ones(2, 2)})
    file = save_model(tmp_path / "model.safetensors#2.safetensors", {"b.weight": torch.ones(2, 2)})
    assert inspect_model(file).path == file


def test_a_discriminator_that_is_part_of_a_model_of_no_family_stays_a_part(tmp_path: Path) -> None:
    names = {
        f"{part}.{index}.weight": torch.ones(4, 4)
        for part in ("generator.ups", "discriminator.convs")
        for index in "01"
    }
    pairing = paired(tmp_path, names, names)
    assert sources(pairing) == {f"diffusion_model.{name}": name for name in names}
