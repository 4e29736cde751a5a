"""Where layers stand in their models, by the names that the families really have."""

import pytest

from engine.models.layer_blocks import BIASES, NORMS, block_of

CLIP = "text_encoders.clip_l.transformer.text_model.encoder.layers"


@pytest.mark.parametrize(
    ("name", "block", "kind"),
    [
        ("diffusion_model.double_blocks.3.img_mlp.0.weight", ("double_blocks", 3), "img_mlp.0"),
        ("diffusion_model.double_blocks.3.img_mlp.0.bias", ("double_blocks", 3), BIASES),
        ("diffusion_model.double_blocks.3.img_attn.norm.query_norm.scale", ("double_blocks", 3), NORMS),
        (
            "diffusion_model.input_blocks.4.1.transformer_blocks.7.attn1.to_q.weight",
            ("input_blocks.4.1.transformer_blocks", 7),
            "attn1.to_q",
        ),
        ("diffusion_model.input_blocks.4.0.in_layers.2.weight", ("input_blocks", 4), "in_layers.2"),
        ("diffusion_model.input_blocks.0.0.weight", ("input_blocks", 0), "conv"),
        (
            "diffusion_model.middle_block.1.transformer_blocks.3.ff.net.0.proj.weight",
            ("middle_block.1.transformer_blocks", 3),
            "ff.net.0.proj",
        ),
        ("diffusion_model.middle_block.1.proj_in.weight", ("middle_block", 0), "proj_in"),
        ("diffusion_model.down_blocks.1.attentions.0.proj_in.weight", ("down_blocks.1.attentions", 0), "proj_in"),
        (
            "down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_out.0.weight",
            ("down_blocks.1.attentions.0.transformer_blocks", 1),
            "attn2.to_out.0",
        ),
        ("down_blocks.1.resnets.1.conv1.weight", ("down_blocks.1.resnets", 1), "conv1"),
        ("down_blocks.1.downsamplers.0.conv.weight", ("down_blocks", 1), "downsamplers.0.conv"),
        ("layers.2.mlp.experts.7.w1.weight", ("layers", 2), "mlp.experts.7.w1"),
        (
            "text_encoders.t5xxl.transformer.encoder.block.5.layer.1.DenseReluDense.wo.weight",
            ("text_encoders.t5xxl.transformer.encoder.block", 5),
            "DenseReluDense.wo",
        ),
        ("diffusion_model.label_emb.0.0.weight", ("", 0), "label_emb"),
        ("diffusion_model.time_embed.2.weight", ("", 0), "time_embed"),
        ("diffusion_model.blocks.0.modulation", ("blocks", 0), "modulation"),
        (f"{CLIP}.11.mlp.fc1.weight", (CLIP, 11), "mlp.fc1"),
        ("model.layers.11.self_attn.q_proj.weight", ("model.layers", 11), "self_attn.q_proj"),
        ("lm_head.weight", ("", 0), "lm_head"),
    ],
)
def test_a_name_says_block_and_kind(name: str, block: tuple[str, int], kind: str) -> None:
    found = block_of(name)
    assert (found.inner, found.kind) == (block, kind)


def test_nested_blocks_know_the_outermost_one() -> None:
    found = block_of("diffusion_model.input_blocks.4.1.transformer_blocks.7.attn1.to_q.weight")
    assert (found.outer, found.nested, found.inside) == (("input_blocks", 4), True, True)
    assert not block_of("diffusion_model.double_blocks.3.img_mlp.0.weight").nested
    assert not block_of("lm_head.weight").inside
