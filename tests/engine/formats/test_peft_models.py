"""PEFT loads our adapters into transformers' own models: the fine-tuned model's logits, and nothing to complain of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft_consumer as consumer
import pytest
import torch
from extraction_runs import EXACT, Run, run
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    GraniteMoeConfig,
    GraniteMoeForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from engine.session import Session

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing"),  # PEFT asks transformers in the old way
    pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings=True"),
]

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
MOE: dict[str, Any] = {"num_experts": 3, "moe_intermediate_size": 12, "num_experts_per_tok": 2}
UNTIED = {"tie_word_embeddings": False}
GPT2 = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16}
GPT2 |= {"bos_token_id": 0, "eos_token_id": 0}
BERT = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"} | {"max_position_embeddings": 16}
T5 = {"vocab_size": 40, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
T5 |= {"decoder_start_token_id": 0}

MODELS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "llama_tied": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "llama_body": lambda: LlamaModel(LlamaConfig(**SIZES)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=8)),
    "gemma2_tied": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=8)),
    "phi": lambda: PhiForCausalLM(PhiConfig(**SIZES)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**SIZES)),
    "gpt2_tied": lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
    "bert": lambda: BertModel(BertConfig(**BERT)),
    "bert_classifier": lambda: BertForSequenceClassification(BertConfig(**BERT)),
    "t5": lambda: T5ForConditionalGeneration(T5Config(**T5, **UNTIED)),
    "t5_tied": lambda: T5ForConditionalGeneration(T5Config(**T5, tie_word_embeddings=True)),
    "mixtral": lambda: MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=3)),
    "qwen2_moe": lambda: Qwen2MoeForCausalLM(Qwen2MoeConfig(**SIZES, **MOE, shared_expert_intermediate_size=8)),
    "qwen3_moe": lambda: Qwen3MoeForCausalLM(Qwen3MoeConfig(**SIZES, **MOE, head_dim=8)),
    "granite_moe": lambda: GraniteMoeForCausalLM(GraniteMoeConfig(**SIZES, num_local_experts=3)),
    "gpt_oss": lambda: GptOssForCausalLM(GptOssConfig(**SIZES, num_local_experts=3, num_experts_per_tok=2, head_dim=8)),
    "llama4": lambda: Llama4ForCausalLM(
        Llama4TextConfig(**SIZES, num_local_experts=3, intermediate_size_mlp=20, head_dim=8)
    ),
}
NO_PLACE = {
    "gpt_oss": ("_bias", "sinks"),  # bare parameters, which PEFT has no place for
    "llama_body": ("norm",),  # of which PEFT would take `norm` for every name that ends so
}
FAMILIES = {"gpt2_tied": "gpt2", "bert": "bert", "bert_classifier": "bert", "llama_body": "llama_base"}
FAMILIES |= {"t5": "t5xxl", "t5_tied": "t5xxl", "gemma2_tied": "gemma2_2b", "phi3": "generic"}


def shown(pair: str) -> list[dict[str, str]]:
    """What a test of a pair proves, see docs/make_formats.py."""
    return [{"family": FAMILIES.get(pair, "llama"), "program": "peft"}]


_TYING = ("Model has `tie_word_embeddings=True`", "Input and output embeddings are no longer tied")
SAID = {"t5": _TYING, "t5_tied": _TYING}
"""What PEFT says of embeddings that several modules share, which are in the adapter whole; never of any key."""


@dataclass(frozen=True)
class Pair:
    """A tiny model and its fine-tune."""

    key: str
    kind: type[Any]
    folder: Path
    wanted: torch.Tensor
    before: torch.Tensor

    @property
    def paths(self) -> tuple[Path, Path]:
        return self.folder / "tuned", self.folder / "base"

    def extracted(self, **settings: Any) -> Run:
        return run(self.paths, self.folder, key_format="peft", **settings)

    def loaded(self, adapter: Path) -> Any:
        return consumer.loaded(self.kind, self.folder / "base", adapter)


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    base = MODELS[request.param]().eval()
    tuned = consumer.fine_tuned(base, frozen=NO_PLACE.get(request.param, ()))
    consumer.saved(base, folder / "base")
    consumer.saved(tuned, folder / "tuned")
    return Pair(request.param, type(base), folder, consumer.logits(tuned), consumer.logits(base))


@pytest.mark.shows(shown)
def test_the_loaded_and_the_merged_model_are_the_fine_tuned_one_at_full_rank(pair: Pair) -> None:
    adapter = pair.extracted(**EXACT).lora
    with consumer.heard() as said:
        model = pair.loaded(adapter)
        assert consumer.error(consumer.logits(model), pair.wanted) < 1e-5
        assert consumer.error(consumer.logits(model.merge_and_unload()), pair.wanted) < 1e-5
    assert [line for line in said if not line.startswith(SAID.get(pair.key, "\0"))] == []


def test_the_family_is_the_one_that_the_page_names(pair: Pair) -> None:
    with Session(*pair.paths) as session:
        assert session.pairing.family.key == FAMILIES.get(pair.key, "llama")


def test_a_low_rank_is_nearer_to_the_fine_tuned_model_than_the_original_is(pair: Pair) -> None:
    model = pair.loaded(pair.extracted(rank=4, output_dtype="fp32").lora)
    assert consumer.error(consumer.logits(model), pair.wanted) < 0.9 * consumer.error(pair.before, pair.wanted)
