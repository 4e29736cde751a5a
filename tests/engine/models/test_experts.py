"""The experts of a mixture are one layer each, and meet however the two files keep them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from extraction_runs import run, verified
from gguf_files import GgufModel, save_gguf
from model_files import Tensors, random_tensor, save_model
from safetensors.torch import load_file
from tiny_language_models import EXPERTS, LAYERS, files, in_memory, model, paired, saved

from engine.checkpoints import open_checkpoint
from engine.checkpoints.tensors import read_view
from engine.decompose.delta import subtract
from engine.decompose.method import LayerMethod
from engine.devices.buffer_pool import BufferPool
from engine.events import NoticeCode
from engine.models.pairing import PairedWeight, Pairing, pair
from engine.planning.costs import need_within
from engine.settings import ExtractionSettings
from engine.streamed_delta import UnreadPair

SINGLE = ["mixtral", "qwen2_moe", "qwen3_moe"]  # whose files have a matrix for each expert and projection
MIXTURES = [*SINGLE, "granite_moe", "gpt_oss", "llama4"]


def experts(pairing: Pairing) -> list[PairedWeight]:
    return [weight for weight in pairing.weights if ".experts." in weight.name and weight.kind == "matrix"]


@pytest.mark.parametrize("tuned_form", ["memory", "file"])
@pytest.mark.parametrize("base_form", ["memory", "file"])
@pytest.mark.parametrize("family", MIXTURES)
def test_a_model_is_equal_to_itself_in_memory_and_as_its_own_program_writes_it(
    family: str, base_form: str, tuned_form: str, tmp_path: Path
) -> None:
    made = model(family)
    forms = {"memory": in_memory(made), "file": saved(made, tmp_path / "saved")}
    pairing, deltas = paired(tmp_path, forms[tuned_form], forms[base_form])
    assert pairing.left_out == ()
    assert not any(delta.any() for delta in deltas.values())
    single = family in SINGLE and tuned_form == base_form == "file"
    assert len(experts(pairing)) == LAYERS * EXPERTS * (3 if single else 2)
    numel = sum(weight.numel for weight in pairing.weights)
    assert numel == sum(tensor.numel() for tensor in forms["memory"].values())


@pytest.mark.parametrize("family", MIXTURES)
def test_a_change_of_one_expert_is_found_in_its_layer_alone(family: str, tmp_path: Path) -> None:
    made = model(family)
    base = saved(made, tmp_path / "saved")
    name = next(name for name in in_memory(made) if "layers.1." in name and name.endswith("experts.down_proj"))
    change = random_tensor(*in_memory(made)[name].shape[1:], seed=5)
    with torch.no_grad():
        dict(made.named_parameters())[name][2].add_(change)
    _, deltas = paired(tmp_path, in_memory(made), base)
    (changed,) = [found for found, delta in deltas.items() if delta.any()]
    module = name.removesuffix(".down_proj")
    assert changed == f"diffusion_model.{module}.2.down_proj.weight"
    turned = family in ("gpt_oss", "llama4")  # whose matrices are (in, out)
    torch.testing.assert_close(deltas[changed], change.T if turned else change, rtol=0, atol=1e-6)


def test_every_layer_has_its_rank_for_each_expert(tmp_path: Path) -> None:
    """64 experts in a tensor, each changed by rank 2: a whole tensor as one layer would keep almost nothing."""
    base = {
        "model.embed_tokens.weight": random_tensor(30, 16, seed=0),
        "model.layers.0.self_attn.q_proj.weight": random_tensor(16, 16, seed=1),
        "model.layers.0.mlp.experts.gate_up_proj": random_tensor(64, 16, 40, seed=2),
        "model.layers.0.mlp.experts.w1.weight": random_tensor(64, 20, 16, seed=3),
    }
    tuned = dict(base)
    for seed, name in enumerate(list(base)[2:]):
        count, rows, columns = base[name].shape
        change = random_tensor(count, rows, 2, seed=10 + seed) @ random_tensor(count, 2, columns, seed=20 + seed)
        tuned[name] = base[name] + 0.1 * change
    pair_of = files(tmp_path, tuned, base)
    ran = run(pair_of, tmp_path, rank=2, output_dtype="fp32", clamp_quantile=False)
    assert len(ran.result.rows) == 2 * 64
    assert ran.result.outputs[0].worst_energy_retained > 1 - 1e-6
    assert verified(pair_of, ran.lora).worst_energy_retained > 1 - 1e-6
    lora = load_file(ran.lora)
    for name, leaf, turned in (("gate_up_proj", "gate_up_proj", True), ("w1.weight", "w1", False)):
        whole = f"model.layers.0.mlp.experts.{name}"
        for expert in (0, 31, 63):
            stem = f"diffusion_model.model.layers.0.mlp.experts.{expert}.{leaf}"
            up, down = lora[f"{stem}.lora_up.weight"].double(), lora[f"{stem}.lora_down.weight"].double()
            delta = (tuned[whole][expert] - base[whole][expert]).double()
            delta = delta.T if turned else delta
            found = (up @ down * float(lora[f"{stem}.alpha"]) / 2).numpy()
            u, s, vh = np.linalg.svd(delta.numpy(), full_matrices=False)
            np.testing.assert_allclose(found, (u[:, :2] * s[:2]) @ vh[:2], atol=1e-5)


def mixture(leafs: dict[str, tuple[int, ...]], width: int = 16, **other: tuple[int, ...]) -> Tensors:
    shapes = {"model.embed_tokens.weight": (30, width), "model.layers.0.self_attn.q_proj.weight": (width, width)}
    shapes |= {f"model.layers.0.{name}": shape for name, shape in leafs.items()}
    return {name: random_tensor(*shape, seed=at) for at, (name, shape) in enumerate((shapes | other).items())}


def shapes_of(folder: Path, tensors: Tensors) -> dict[str, tuple[int, ...]]:
    pairing, _ = paired(folder, tensors, tensors)
    return {weight.name.split("layers.0.")[-1]: weight.shape for weight in pairing.weights if ".0.mlp" in weight.name}


@pytest.mark.parametrize(
    ("gate_up", "down", "width", "expected"),
    [
        ((2, 24, 16), (2, 16, 12), 16, [(24, 16), (16, 12)]),
        ((2, 16, 24), (2, 12, 16), 16, [(24, 16), (16, 12)]),
        ((2, 16, 16), (2, 16, 8), 16, [(16, 16), (16, 8)]),  # square: as the other one of the layer
        ((2, 16, 16), (2, 8, 16), 16, [(16, 16), (16, 8)]),
        ((2, 24, 16), (2, 16, 12), 7, [(24, 16), (16, 12)]),  # of another width: by each other
        ((2, 16, 24), (2, 12, 16), 7, [(24, 16), (16, 12)]),
    ],
)
def test_the_matrices_are_out_by_in_whichever_way_they_are_stored(
    gate_up: tuple[int, ...], down: tuple[int, ...], width: int, expected: list[tuple[int, int]], tmp_path: Path
) -> None:
    names = {"mlp.experts.gate_up_proj": gate_up, "mlp.experts.down_proj": down}
    found = shapes_of(tmp_path, mixture(names, width))
    assert [found[f"mlp.experts.1.{leaf}.weight"] for leaf in ("gate_up_proj", "down_proj")] == expected


def test_square_matrices_are_turned_where_the_others_of_their_layer_are(tmp_path: Path) -> None:
    names = {"mlp.experts.gate_up_proj": (2, 16, 16), "mlp.experts.down_proj": (2, 8, 16)}
    tensors = mixture(names)
    paths = files(tmp_path, tensors, tensors)
    with open_checkpoint(paths[0]) as left, open_checkpoint(paths[1]) as right:
        weight = next(item for item in pair(left, right).weights if item.name.endswith("experts.1.gate_up_proj.weight"))
        assert torch.equal(read_view(left, weight.finetuned), tensors["model.layers.0.mlp.experts.gate_up_proj"][1].T)
        assert weight.finetuned.source.name == "model.layers.0.mlp.experts.gate_up_proj"
        assert weight.finetuned.expert == 1


def single_experts(stacked: Tensors, *, turned: bool = False) -> Tensors:
    """The same with a matrix for each expert, as Qwen's files have them."""
    found: Tensors = {}
    for name, tensor in stacked.items():
        module, _, leaf = name.rpartition(".experts.")
        if not module:
            found[name] = tensor
            continue
        for expert, matrix in enumerate(tensor.transpose(1, 2) if turned else tensor):
            start = f"{module}.experts.{expert}."
            if leaf == "gate_up_proj":
                gate, up = matrix.chunk(2)
                found |= {f"{start}gate_proj.weight": gate, f"{start}up_proj.weight": up}
            else:
                found[f"{start}{leaf.removesuffix('.weight')}.weight"] = matrix
    return found


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("stacked_side", ["tuned", "base"])
def test_stacked_experts_meet_experts_with_matrices_of_their_own(
    stacked_side: str, turned: bool, tmp_path: Path
) -> None:
    names = {"mlp.experts.gate_up_proj": (4, 24, 16), "mlp.experts.down_proj": (4, 16, 12)}
    if turned:
        names = {name: (shape[0], *shape[:0:-1]) for name, shape in names.items()}
    base = mixture(names)
    change = mixture(names)
    tuned = {name: tensor + 0.1 * change[name].flip(0) for name, tensor in base.items()}
    sides = [tuned, base]
    _, expected = paired(tmp_path, *sides)
    at = 1 if stacked_side == "tuned" else 0
    sides[at] = single_experts(sides[at], turned=turned)
    pairing, deltas = paired(tmp_path, *sides)
    assert pairing.left_out == ()
    assert deltas.keys() == expected.keys()
    for name, delta in deltas.items():
        assert torch.equal(delta, expected[name]), name


def test_experts_with_matrices_of_their_own_on_both_sides_keep_their_names(tmp_path: Path) -> None:
    base = single_experts(mixture({"mlp.experts.gate_up_proj": (2, 24, 16), "mlp.experts.down_proj": (2, 16, 12)}))
    pairing, _ = paired(tmp_path, base, base)
    assert {weight.name.removeprefix("diffusion_model.") for weight in pairing.weights} == base.keys()


def test_a_stack_without_a_counterpart_is_named_once(tmp_path: Path) -> None:
    base = mixture({})
    tuned = base | mixture({"mlp.experts.down_proj": (4, 16, 12)})
    pairing, _ = paired(tmp_path, tuned, base)
    assert [item.name for item in pairing.left_out] == ["diffusion_model.model.layers.0.mlp.experts.down_proj"]


def test_more_experts_on_one_side_are_named(tmp_path: Path) -> None:
    tuned, base = (mixture({"mlp.experts.down_proj": (count, 16, 12)}) for count in (4, 3))
    pairing, _ = paired(tmp_path, tuned, base)
    assert len(experts(pairing)) == 3
    assert [item.name for item in pairing.left_out] == ["diffusion_model.model.layers.0.mlp.experts.3.down_proj.weight"]


def codes(pairing: Pairing) -> list[NoticeCode]:
    return [notice.code for notice in pairing.notices]


def test_rows_in_turns_are_never_compared_with_halves(tmp_path: Path) -> None:
    stacked = mixture(
        {
            "mlp.experts.gate_up_proj": (2, 16, 24),
            "mlp.experts.gate_up_proj_bias": (2, 24),
            "mlp.experts.down_proj": (2, 12, 16),
        }
    )
    single = single_experts({name: tensor for name, tensor in stacked.items() if "bias" not in name}, turned=True)
    pairing, deltas = paired(tmp_path, stacked, single)
    assert not any("gate" in name or "up_proj" in name for name in deltas)
    assert NoticeCode.EXPERTS_INTERLEAVED in codes(pairing)


def test_square_matrices_that_nothing_decides_are_said(tmp_path: Path) -> None:
    stacked = {f"layers.{at}.w": random_tensor(4, 4, seed=at) for at in range(9)}
    single = dict(stacked)
    stacked["moe.experts.w1.weight"] = random_tensor(2, 8, 8, seed=20)
    single |= {f"moe.experts.{at}.w1.weight": stacked["moe.experts.w1.weight"][at] for at in range(2)}
    pairing, deltas = paired(tmp_path, stacked, single)
    assert NoticeCode.EXPERTS_SQUARE in codes(pairing)
    assert not any(delta.any() for delta in deltas.values())


@pytest.mark.parametrize(
    "name", ["mixer.conv1d.weight", "feature_extractor.conv_layers.0.conv.weight", "pos_conv.weight"]
)
def test_convolutions_stay_convolutions(name: str, tmp_path: Path) -> None:
    tensors = mixture({name: (8, 8, 32)})
    pairing, _ = paired(tmp_path, tensors, tensors)
    weight = next(weight for weight in pairing.weights if weight.name.endswith(name))
    assert (weight.kind, weight.shape) == ("conv", (8, 8, 32))
    assert pairing.notices == ()


def test_what_may_be_either_is_taken_for_a_convolution_and_said(tmp_path: Path) -> None:
    tensors = mixture({"mixer.proj.weight": (8, 24, 32), "mixer.small.weight": (8, 4, 3)})
    pairing, _ = paired(tmp_path, tensors, tensors)
    (notice,) = pairing.notices
    assert (notice.code, notice.data["layers"]) == (NoticeCode.TAKEN_FOR_CONVOLUTIONS, 1)
    assert notice.name == "diffusion_model.model.layers.0.mixer.proj.weight"


def test_the_name_of_the_stack_is_no_layer_that_an_older_record_could_answer_for(tmp_path: Path) -> None:
    tensors = mixture({"mlp.experts.w1.weight": (4, 12, 16)})
    pairing, _ = paired(tmp_path, tensors, tensors)
    for weight in experts(pairing):
        assert weight.name != "diffusion_model.model.layers.0.mlp.experts.w1.weight"
        assert weight.finetuned.layout == weight.original.layout == "experts"


@pytest.mark.parametrize("side", ["tuned", "base"])
def test_experts_in_an_encoded_tensor_are_decoded_one_by_one(side: str, tmp_path: Path) -> None:
    """Also where the layer is read in parts; each matrix is stored turned."""
    names = {"mlp.experts.w1.weight": (3, 16, 12), "mlp.experts.w2.weight": (3, 12, 16)}
    tensors = mixture(names)
    encoded: Tensors = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}
    decoded: Tensors = {}
    for name, tensor in tensors.items():
        stored = (tensor / 0.01).to(torch.float8_e4m3fn)
        encoded |= {name: stored, name.removesuffix("weight") + "scale_weight": torch.tensor(0.01)}
        decoded[name] = stored.to(torch.float32) * 0.01
    paths = files(tmp_path, *((encoded, tensors) if side == "tuned" else (tensors, encoded)))
    with open_checkpoint(paths[0]) as left, open_checkpoint(paths[1]) as right:
        found = experts(pair(left, right))
        assert len(found) == 6
        for weight in found:
            whole = subtract(read_view(left, weight.finetuned), read_view(right, weight.original)).values
            name = weight.finetuned.source.name
            expected = decoded[name] - tensors[name] if side == "tuned" else tensors[name] - decoded[name]
            assert torch.equal(whole, expected[weight.finetuned.expert].T)
            memory = BufferPool(0, pinned=False).acquire(4 * weight.numel)
            parts = UnreadPair((left, right), weight, lambda count: None).filled(memory)
            assert torch.equal(parts.values, whole)
            assert need_within(weight, LayerMethod.of(ExtractionSettings()), 1, measured=False).total > 0


def in_llama_cpps_names(tensors: Tensors) -> Tensors:
    """A tiny Qwen3 MoE in memory as llama.cpp's converter names it: a tensor for each projection of all experts."""
    modules = {
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate": "ffn_gate_inp",
    }  # fmt: skip
    outside = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    found: Tensors = {}
    for name, tensor in tensors.items():
        start, _, rest = name.partition("layers.")
        module = rest.partition(".")[2].removesuffix(".weight")
        block = f"blk.{rest.partition('.')[0]}."
        if not rest:
            found[outside[start.removesuffix(".weight")] + ".weight"] = tensor
        elif module == "mlp.experts.gate_up_proj":
            found[f"{block}ffn_gate_exps.weight"], found[f"{block}ffn_up_exps.weight"] = tensor.chunk(2, dim=1)
        elif module == "mlp.experts.down_proj":
            found[f"{block}ffn_down_exps.weight"] = tensor
        else:
            found[f"{block}{modules[module]}.weight"] = tensor
    return found


@pytest.mark.parametrize("base_form", ["memory", "file", "gguf"])
def test_experts_in_llama_cpps_form_meet_those_of_others(base_form: str, tmp_path: Path) -> None:
    made = model("qwen3_moe")
    memory, file = in_memory(made), saved(made, tmp_path / "saved")
    tuned = save_gguf(tmp_path / "tuned.gguf", GgufModel(in_llama_cpps_names(memory), architecture="qwen3moe"))
    if base_form == "gguf":
        base = save_gguf(tmp_path / "base.gguf", GgufModel(in_llama_cpps_names(memory), architecture="qwen3moe"))
    else:
        base = save_model(tmp_path / "base.safetensors", memory if base_form == "memory" else file)
    with open_checkpoint(tuned) as left, open_checkpoint(base) as right:
        pairing = pair(left, right)
        assert pairing.left_out == ()
        assert len(experts(pairing)) == LAYERS * EXPERTS * (2 if base_form == "memory" else 3)
        for weight in pairing.weights:
            ours, theirs = read_view(left, weight.finetuned), read_view(right, weight.original)
            assert torch.equal(ours, theirs), weight.name


def test_mixtrals_matrices_meet_those_with_usual_names(tmp_path: Path) -> None:
    made = model("mixtral")
    base = saved(made, tmp_path / "saved")
    usual = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
    tuned = {name.replace("block_sparse_moe", "mlp"): tensor for name, tensor in base.items()}
    for old, new in usual.items():
        tuned = {name.replace(f".{old}.weight", f".{new}.weight"): tensor for name, tensor in tuned.items()}
    pairing, deltas = paired(tmp_path, tuned, base)
    assert pairing.left_out == ()
    assert not any(delta.any() for delta in deltas.values())


@pytest.mark.parametrize("side", ["tuned", "base", "both"])
def test_a_config_tells_experts_from_convolutions(side: str, tmp_path: Path) -> None:
    """Where neither name nor shape does; one side's is enough."""
    tensors = mixture({"mixer.proj.weight": (8, 24, 32)})
    found = {}
    for config in ({"num_local_experts": 8}, {"num_local_experts": 6}, {}):
        paths = []
        for name in ("tuned", "base"):
            folder = tmp_path / str(len(found)) / name
            folder.mkdir(parents=True)
            paths.append(save_model(folder / "model.safetensors", tensors))
            if side in (name, "both"):
                (folder / "config.json").write_text(json.dumps({"text_config": config}))
        with open_checkpoint(paths[0]) as left, open_checkpoint(paths[1]) as right:
            found[len(found)] = len(experts(pair(left, right)))
    assert list(found.values()) == [8, 0, 0]


def test_a_broken_config_is_no_hindrance(tmp_path: Path) -> None:
    tensors = mixture({"mlp.experts.w1.weight": (4, 12, 16)})
    (tmp_path / "config.json").write_text("{")
    pairing, _ = paired(tmp_path, tensors, tensors)
    assert len(experts(pairing)) == 4
