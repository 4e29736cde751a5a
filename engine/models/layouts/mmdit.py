"""SD3 and AuraFlow: transformers of two streams, whose last modulation diffusers stores with its halves swapped."""

from __future__ import annotations

from engine.models.layouts.layout import Layout, Rename, Row, Swap, fused, renamed

_SINGLE_FILE = "diffusers 0.42, loaders/single_file_utils.py, "
_SD3_BLOCK = "transformer_blocks.{n}."
_SD3_IMAGE, _SD3_TEXT = "joint_blocks.{n}.x_block.", "joint_blocks.{n}.context_block."


def _sd3_attention(there: str, here: str) -> tuple[Row, ...]:
    """The image stream's attention, or the second one of SD 3.5's first blocks."""
    start = (f"{_SD3_BLOCK}{there}.", f"{_SD3_IMAGE}{here}.")
    return (
        fused(tuple(f"{start[0]}to_{part}" for part in "qkv"), f"{start[1]}qkv"),
        *renamed(("to_out.0", "proj"), ("norm_q", "ln_q"), ("norm_k", "ln_k"), start=start),
    )


SD3 = Layout(
    "sd3_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_sd3_transformer_checkpoint_to_diffusers",
    (
        Rename("pos_embed.pos_embed", "pos_embed"),
        *renamed(
            ("pos_embed.proj", "x_embedder.proj"),
            *(
                (f"time_text_embed.{there}.linear_{number}", f"{here}.mlp.{at}")
                for there, here in (("timestep_embedder", "t_embedder"), ("text_embedder", "y_embedder"))
                for number, at in ((1, 0), (2, 2))
            ),
            ("proj_out", "final_layer.linear"),
        ),
        *_sd3_attention("attn", "attn"),
        *_sd3_attention("attn2", "attn2"),
        fused(tuple(f"{_SD3_BLOCK}attn.add_{part}_proj" for part in "qkv"), f"{_SD3_TEXT}attn.qkv"),
        *renamed(
            ("attn.norm_added_q", "attn.ln_q"),
            ("attn.norm_added_k", "attn.ln_k"),
            ("attn.to_add_out", "attn.proj"),
            ("ff_context.net.0.proj", "mlp.fc1"),
            ("ff_context.net.2", "mlp.fc2"),
            start=(_SD3_BLOCK, _SD3_TEXT),
        ),
        # The text stream ends with attention in the last block, which has a final modulation of two parts there.
        Swap(
            f"{_SD3_BLOCK}norm1_context.linear.{{rest}}",
            f"{_SD3_TEXT}adaLN_modulation.1.{{rest}}",
            unless=f"{_SD3_BLOCK}ff_context.net.0.proj.weight",
        ),
        *renamed(("norm1_context.linear", "adaLN_modulation.1"), start=(_SD3_BLOCK, _SD3_TEXT)),
        *renamed(
            ("norm1.linear", "adaLN_modulation.1"),
            ("ff.net.0.proj", "mlp.fc1"),
            ("ff.net.2", "mlp.fc2"),
            start=(_SD3_BLOCK, _SD3_IMAGE),
        ),
        Swap("norm_out.linear.{rest}", "final_layer.adaLN_modulation.1.{rest}"),
    ),
    family="sd3",
    signature=(
        "pos_embed.proj.weight",
        "time_text_embed.text_embedder.linear_1.weight",
        "transformer_blocks.0.attn.add_q_proj.weight",
    ),
    absent=("single_transformer_blocks.0.attn.to_q.weight",),
    ran=True,
)

_AURA_DOUBLE = ("joint_transformer_blocks.{n}.", "double_layers.{n}.")
_AURA_SINGLE = ("single_transformer_blocks.{n}.", "single_layers.{n}.")
_AURA_FEED_FORWARD = (("linear_1", "c_fc1"), ("linear_2", "c_fc2"), ("out_projection", "c_proj"))
AURAFLOW = Layout(
    "auraflow_diffusers",
    "diffusers names",
    _SINGLE_FILE + "convert_auraflow_transformer_checkpoint_to_diffusers",
    (
        *renamed(
            *((f"attn.to_{part}", f"attn.w2{part}") for part in "qkv"),
            *((f"attn.add_{part}_proj", f"attn.w1{part}") for part in "qkv"),
            ("attn.to_out.0", "attn.w2o"),
            ("attn.to_add_out", "attn.w1o"),
            *((f"ff.{there}", f"mlpX.{here}") for there, here in _AURA_FEED_FORWARD),
            *((f"ff_context.{there}", f"mlpC.{here}") for there, here in _AURA_FEED_FORWARD),
            ("norm1.linear", "modX.1"),
            ("norm1_context.linear", "modC.1"),
            start=_AURA_DOUBLE,
        ),
        *renamed(
            *((f"attn.to_{part}", f"attn.w1{part}") for part in "qkv"),
            ("attn.to_out.0", "attn.w1o"),
            *((f"ff.{there}", f"mlp.{here}") for there, here in _AURA_FEED_FORWARD),
            ("norm1.linear", "modCX.1"),
            start=_AURA_SINGLE,
        ),
        *renamed(
            ("time_step_proj.linear_1", "t_embedder.mlp.0"),
            ("time_step_proj.linear_2", "t_embedder.mlp.2"),
            ("context_embedder", "cond_seq_linear"),
            ("proj_out", "final_linear"),
            ("pos_embed.proj", "init_x_linear"),
        ),
        Rename("pos_embed.pos_embed", "positional_encoding"),
        Swap("norm_out.linear.{rest}", "modF.1.{rest}"),
    ),
    family="auraflow",
    signature=("joint_transformer_blocks.0.attn.add_q_proj.weight", "time_step_proj.linear_1.weight"),
    ran=True,
)
