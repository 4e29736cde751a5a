"""What each program loads, held against tables of its own names, and what that makes of a file before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from extraction_runs import EXACT, run
from model_files import random_tensor, save_model
from safetensors import safe_open

from engine.errors import EngineError, ErrorCode
from engine.events import NoticeCode
from engine.formats import programs, registry
from engine.formats.programs import PROGRAMS, Loads, Program, limits, program_named
from engine.formats.registry import FORMATS, format_named
from engine.models.families import FAMILIES, GENERIC, Family
from engine.models.text_encoders import TEXT_ENCODERS
from engine.planning.plan import Plan
from engine.results import LeaveOutReason
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

FAMILY = {family.key: family for family in (*FAMILIES, GENERIC)}
EMBEDDING = "text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight"
T5 = "text_encoders.t5xxl.transformer.encoder."
LAYER = "text_encoders.clip_l.transformer.text_model.encoder.layers.0."
BLOCK = "input_blocks.1.1.transformer_blocks.0.attn1.to_q"


def loads(program: str, family: str) -> Loads:
    found = program_named(program).loads(FAMILY[family])
    assert found is not None
    return found


def takes(program: str, family: str, name: str, kind: str = "matrix", *, factors: bool = True) -> bool:
    return loads(program, family).takes(name, kind, factors=factors)


def test_every_program_has_a_key_a_title_and_families_that_there_are() -> None:
    assert [row.key for row in PROGRAMS] == ["comfyui", "forge", "a1111", "invokeai", "diffusers", "peft", "vllm"]
    assert len({row.title for row in PROGRAMS}) == len(PROGRAMS)
    for row in PROGRAMS:
        assert set(row.families) <= {family.key for family in FAMILIES}


def test_a_program_of_a_newer_version_is_named_with_those_there_are() -> None:
    with pytest.raises(EngineError) as caught:
        program_named("of_tomorrow")
    assert caught.value.code is ErrorCode.PROGRAM_UNKNOWN
    assert caught.value.data == {"name": "of_tomorrow", "available": [row.key for row in PROGRAMS]}


@pytest.mark.parametrize(
    "program", [row for row in PROGRAMS if row.format in {"comfyui", "kohya"}], ids=lambda row: row.key
)
def test_the_format_of_a_program_has_names_for_every_family_that_it_loads(program: Program) -> None:
    for family in FAMILIES:
        if program.loads(family) is not None:
            assert format_named(program.format).problem(family) is None, family.key


@pytest.mark.parametrize("family", [*FAMILIES, GENERIC, TEXT_ENCODERS[0].family], ids=lambda family: family.key)
def test_there_is_a_program_for_every_family(family: Family) -> None:
    assert [row for row in PROGRAMS if row.loads(family) is not None]


@pytest.mark.parametrize(
    ("program", "family", "name", "kind", "factors", "taken"),
    [
        # Forge, comfyui_lora_collection/lora.py: six modules of a CLIP layer by lora_te*, T5 by any .weight
        ("forge", "sd1", LAYER + "mlp.fc1.weight", "matrix", True, True),
        ("forge", "sd1", LAYER + "self_attn.out_proj.bias", "bias", False, True),
        ("forge", "sd1", LAYER + "layer_norm1.weight", "norm", False, False),
        ("forge", "sd1", EMBEDDING, "matrix", True, False),
        ("forge", "sdxl", "text_encoders.clip_g.transformer.text_projection.weight", "matrix", True, True),
        ("forge", "sd3", T5 + "final_layer_norm.weight", "norm", False, True),
        ("forge", "flux", "text_encoders.clip_g.transformer.text_projection.weight", "matrix", True, False),
        ("forge", "sd1", f"diffusion_model.{BLOCK}.weight", "matrix", False, True),
        ("forge", "flux", "diffusion_model.single_blocks.0.norm.key_norm.scale", "norm", False, False),
        ("forge", "sd3", "diffusion_model.pos_embed", "parameter", False, False),
        # InvokeAI: a Flux file with one module outside of the blocks is refused, and T5 is lora_te2_ there
        ("invokeai", "flux", "diffusion_model.double_blocks.3.img_attn.qkv.weight", "matrix", True, True),
        ("invokeai", "flux", "diffusion_model.single_blocks.3.modulation.lin.weight", "matrix", True, True),
        ("invokeai", "flux", "diffusion_model.img_in.weight", "matrix", True, False),
        ("invokeai", "flux", T5 + "block.0.layer.0.SelfAttention.q.weight", "matrix", True, False),
        ("invokeai", "flux", LAYER + "self_attn.q_proj.weight", "matrix", True, True),
        ("invokeai", "wan", "diffusion_model.blocks.0.self_attn.q.weight", "matrix", True, True),
        ("invokeai", "wan", "diffusion_model.time_embedding.0.weight", "matrix", True, False),
        ("invokeai", "qwen_image", "diffusion_model.transformer_blocks.0.attn.to_out.0.weight", "matrix", True, True),
        ("invokeai", "qwen_image", "diffusion_model.img_in.weight", "matrix", True, False),
        ("invokeai", "anima", "diffusion_model.llm_adapter.blocks.0.cross_attn.q_proj.weight", "matrix", True, True),
        # diffusers 0.42, _lora_loadable_modules: no T5 of Flux or SD 3
        ("diffusers", "flux", LAYER + "self_attn.q_proj.weight", "matrix", True, True),
        ("diffusers", "flux", "text_encoders.t5xxl.transformer.shared.weight", "matrix", True, False),
        ("diffusers", "wan", "diffusion_model.blocks.0.self_attn.q.weight", "matrix", True, True),
        ("diffusers", "sd1", f"diffusion_model.{BLOCK}.weight", "matrix", False, False),
        # vLLM: linear layers alone
        ("vllm", "llama", "model.layers.0.self_attn.q_proj.weight", "matrix", True, True),
        ("vllm", "llama", "model.embed_tokens.weight", "matrix", True, False),
        ("vllm", "llama", "lm_head.weight", "matrix", True, False),
        ("vllm", "llama", "model.norm.weight", "norm", False, False),
        ("peft", "llama", "model.embed_tokens.weight", "matrix", True, True),
        ("comfyui", "flux", "diffusion_model.single_blocks.0.norm.key_norm.scale", "norm", False, True),
    ],
)  # fmt: skip
def test_a_program_loads_what_its_source_maps(
    program: str, family: str, name: str, kind: str, factors: bool, taken: bool
) -> None:
    assert takes(program, family, name, kind, factors=factors) is taken


@pytest.mark.parametrize(
    ("program", "families"),
    [
        ("forge", {"sd1", "sdxl", "sd3", "flux", "chroma"}),
        ("a1111", {"sd1", "sdxl"}),
        ("invokeai", {"sd1", "sdxl", "flux", "wan", "qwen_image", "anima"}),
        ("vllm", {"llama"}),
    ],
)
def test_a_program_without_a_loader_for_a_family_loads_nothing_of_it(program: str, families: set[str]) -> None:
    assert {family.key for family in FAMILIES if program_named(program).loads(family)} == families
    assert program_named(program).loads(GENERIC) is None


def test_of_text_encoders_in_files_of_their_own_a_program_loads_those_that_it_has_names_for() -> None:
    known = {row.family.key for row in TEXT_ENCODERS if program_named("forge").loads(row.family) is not None}
    assert known == {"clip_l", "clip_g", "clip_h"}
    assert all(program_named("comfyui").loads(row.family) is not None for row in TEXT_ENCODERS)


def test_forge_knows_text_encoders_by_the_names_of_trainers_alone() -> None:
    found = loads("forge", "flux")
    assert found.takes_key(LAYER + "mlp.fc1.weight", "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha")
    assert not found.takes_key(LAYER + "mlp.fc1.weight", LAYER + "mlp.fc1.alpha")
    block = "diffusion_model.single_blocks.0.linear1"
    assert found.takes_key(block + ".weight", block + ".lora_up.weight")
    assert not found.takes_key(block + ".weight", "diffusion_model.single_blocks.0.to_qkv.lora_up.weight")


def test_only_programs_that_cast_factors_take_fp8() -> None:
    for row in PROGRAMS:
        of_families = {found.fp8 for family in FAMILIES if (found := row.loads(family)) is not None}
        assert of_families == {row.key in ("comfyui", "forge")}


def test_a_format_alone_is_written_for_the_program_that_reads_it_whole() -> None:
    assert limits("comfyui", FAMILY["sd1"]) == loads("comfyui", "sd1")
    assert limits("peft", FAMILY["llama"]) == loads("peft", "llama")
    assert limits("kohya", FAMILY["flux"]) is None, "of the programs that read it whole none knows Flux"
    assert {row.format for row in PROGRAMS} >= {row.key for row in FORMATS}


def sd1_pair(folder: Path) -> tuple[Path, Path]:
    """A file of Stable Diffusion 1.x with the fewest weights that show it, its text encoder trained too."""
    denoiser, clip = "model.diffusion_model.", "cond_stage_model.transformer.text_model."
    shapes = {
        denoiser + BLOCK + ".weight": (32, 32),
        denoiser + "input_blocks.1.1.norm.weight": (32,),
        denoiser + "time_embed.0.weight": (32, 16),
        denoiser + "time_embed.0.bias": (32,),
        clip + "encoder.layers.0.layer_norm1.weight": (32,),
        clip + "encoder.layers.0.layer_norm1.bias": (32,),
        clip + "encoder.layers.0.mlp.fc1.weight": (64, 32),
        clip + "encoder.layers.0.mlp.fc1.bias": (64,),
        clip + "embeddings.token_embedding.weight": (100, 32),
    }
    base = {name: random_tensor(*shape, seed=at) for at, (name, shape) in enumerate(shapes.items())}
    tuned = {
        name: tensor + 0.05 * random_tensor(*tensor.shape, seed=100 + at)
        for at, (name, tensor) in enumerate(base.items())
    }
    return save_model(folder / "tuned.safetensors", tuned), save_model(folder / "base.safetensors", base)


def planned(pair: tuple[Path, Path], folder: Path, **settings: Any) -> Plan:
    with Session(*pair) as session:
        return session.plan(ExtractionSettings(**settings), HardwareSettings(device="cpu"), folder)


def refused(pair: tuple[Path, Path], folder: Path, **settings: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        planned(pair, folder, **settings)
    assert caught.value.code is ErrorCode.PROGRAM_UNSUITABLE
    return caught.value


def test_what_a_program_does_not_load_is_said_before_the_start_is_not_written_and_counts_as_not_kept(
    tmp_path: Path,
) -> None:
    pair = sd1_pair(tmp_path)
    plan = planned(pair, tmp_path / "out", program="forge")
    left = [item for item in plan.left_out if item.reason is LeaveOutReason.NOT_LOADED]
    assert {item.name.rsplit("layers.0.")[-1].rsplit("text_model.")[-1] for item in left} == {
        "layer_norm1.weight", "layer_norm1.bias", "embeddings.token_embedding.weight",
    }  # fmt: skip
    assert {item.detail for item in left} == {"Forge"}
    (notice,) = [notice for notice in plan.notices if notice.code is NoticeCode.NOT_LOADED]
    assert notice.data == {"layers": 3, "program": "Forge"}
    whole, forge = (run(pair, tmp_path / key, program=key, **EXACT) for key in ("comfyui", "forge"))
    outputs = whole.result.outputs[0], forge.result.outputs[0]
    assert [output.program for output in outputs] == ["comfyui", "forge"]
    assert outputs[0].mean_energy_retained == pytest.approx(1.0, abs=1e-6)
    energies = {row.name: row.delta_energy for row in whole.result.rows}
    lost = sum(energies[item.name] for item in left)
    assert outputs[1].mean_energy_retained == pytest.approx(1.0 - lost / sum(energies.values()), rel=1e-6)
    with safe_open(forge.lora, "pt") as file:
        keys = set(file.keys())
        assert '"program":"forge"' in file.metadata()["lora_extractor.settings"].replace(" ", "")
    assert not [key for key in keys if "norm1.diff" in key or "token_embedding" in key]


def test_a_program_chooses_its_format_whatever_the_settings_say_beside(tmp_path: Path) -> None:
    plan = planned(sd1_pair(tmp_path), tmp_path / "out", program="a1111", key_format="comfyui")
    assert plan.outputs[0].format.key == "kohya"
    assert plan.settings.key_format == "kohya"


def test_a_program_without_a_loader_for_the_models_is_refused_with_those_that_have_one(tmp_path: Path) -> None:
    error = refused(sd1_pair(tmp_path), tmp_path / "out", program="vllm")
    assert (error.data["reason"], error.data["program"]) == ("family", "vLLM")
    assert error.data["available"][:4] == ["ComfyUI", "Forge", "A1111", "InvokeAI"]


def test_a_grown_first_layer_is_offered_whole_where_the_program_can_enlarge_it(tmp_path: Path) -> None:
    """An inpainting model against the plain one, as a row of the field has it."""
    files = sd1_pair(tmp_path)
    first = "model.diffusion_model.input_blocks.0.0.weight"
    sides = []
    for path, channels in zip(files, (9, 4), strict=True):
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        tensors[first] = random_tensor(32, channels, 3, 3, seed=channels)
        sides.append(save_model(tmp_path / f"{channels}.safetensors", tensors))
    pair = sides[0], sides[1]

    def remark(**settings: Any) -> dict[str, Any]:
        notices = planned(pair, tmp_path / "out", **settings).notices
        return next(notice.data for notice in notices if notice.code is NoticeCode.COMMON_PART_PAIRED)

    assert remark(program="comfyui")["offered"]
    assert remark(program="comfyui", set_weight=True)["enlarged"]
    told = remark(program="forge", set_weight=True)
    assert (told["offered"], told["enlarged"], told["program"]) == (False, False, "Forge")


def test_a_program_that_loads_nothing_of_what_is_chosen_is_refused(tmp_path: Path) -> None:
    error = refused(sd1_pair(tmp_path), tmp_path / "out", program="forge", include="*layer_norm*")
    assert error.data["reason"] == "nothing"
    assert "ComfyUI" in error.data["available"]


def test_a_program_that_loads_nothing_of_what_changed_is_refused_at_the_end(tmp_path: Path) -> None:
    files = sd1_pair(tmp_path)
    with safe_open(files[1], "pt") as file:
        base = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    norm = "cond_stage_model.transformer.text_model.encoder.layers.0.layer_norm1.weight"
    tuned = save_model(tmp_path / "norm.safetensors", base | {norm: base[norm] + 1.0})
    with pytest.raises(EngineError) as caught:
        run((tuned, files[1]), tmp_path / "out", program="forge")
    assert (caught.value.code, caught.value.data["reason"]) == (ErrorCode.PROGRAM_UNSUITABLE, "nothing_changed")


def test_a_program_that_takes_factors_alone_refuses_the_type_full(tmp_path: Path) -> None:
    error = refused(sd1_pair(tmp_path), tmp_path / "out", program="a1111", lora_type="full")
    assert error.data["reason"] == "full"


def with_toy(monkeypatch: pytest.MonkeyPatch, toy: Program) -> None:
    for room in (programs, registry):
        monkeypatch.setattr(room, "PROGRAMS", (*PROGRAMS, toy))


@pytest.mark.parametrize(
    ("limit", "rank", "refusal", "option"),
    [
        (None, 16, None, None),
        (16, 16, None, "--rank-of-toy 16"),
        (16, 4096, "rank", None),
        (64, 17, None, "--rank-of-toy 64"),
    ],
)  # fmt: skip
def test_a_limit_of_the_rank_is_refused_and_one_that_an_option_raises_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: int | None,
    rank: int,
    refusal: str | None,
    option: str | None,
) -> None:
    steps = (8, 16, 64) if limit else ()
    toy = Program(
        "toy", "Toy", "comfyui", {"sd1": Loads(rank_limit=limit)},
        rank_option="--rank-of-toy", rank_default=8, rank_steps=steps,
    )  # fmt: skip
    with_toy(monkeypatch, toy)
    pair = sd1_pair(tmp_path)
    if refusal is not None:
        error = refused(pair, tmp_path / "out", program="toy", rank=rank)
        assert (error.data["reason"], error.data["limit"]) == (refusal, limit)
        return
    notices = planned(pair, tmp_path / "out", program="toy", rank=rank).notices
    said = [notice.data["option"] for notice in notices if notice.code is NoticeCode.RANK_OPTION]
    assert said == ([] if option is None else [option])


def test_a_program_that_needs_equal_ranks_refuses_ranks_by_a_rule_for_each_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Program("toy", "Toy", "comfyui", {"sd1": Loads(equal_ranks=True)})
    with_toy(monkeypatch, toy)
    pair = sd1_pair(tmp_path)
    assert planned(pair, tmp_path / "out", program="toy").outputs
    error = refused(pair, tmp_path / "out", program="toy", lora_type="adaptive_fro", adaptive_param=0.9)
    assert error.data["reason"] == "equal_ranks"


def test_without_a_program_nothing_of_it_stands_in_the_file(tmp_path: Path) -> None:
    ran = run(sd1_pair(tmp_path), tmp_path / "out")
    with safe_open(ran.lora, "pt") as file:
        assert "program" not in file.metadata()["lora_extractor.settings"]
    assert "program" not in ran.result.outputs[0].report.read_text()
