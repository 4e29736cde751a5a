"""Model families as data: how to recognise one, its stacks of blocks, what its keys are called. One row each.

`source` says where the names come from. `ran` tells whether a consumer that really ran (diffusers' own
converter and model, in the tests) has confirmed them; the other rows were checked against the source only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_DIFFUSERS_KEYS = "diffusers 0.42, loaders/single_file_utils.py, CHECKPOINT_KEY_NAMES"
_DIFFUSERS_CONVERTER = "diffusers 0.42, loaders/single_file_utils.py, convert_*_to_diffusers"
_TRANSFORMERS = "transformers 5, models/*/modeling_*.py"


@dataclass(frozen=True)
class Family:
    """One family of models.

    Attributes:
        key: stable identifier.
        title: what people call it.
        signature: names that all must be present, component prefix removed.
        absent: names that must not be present.
        stacks: names of the numbered lists of blocks, in the order of depth. A stack in `parts` has a fixed
            place; the blocks of the others are input, middle and output by thirds of the depth.
        parts: stack or block name -> ``input``, ``middle`` or ``output``.
        architecture: value of the ``modelspec.architecture`` metadata.
        source: where the names come from.
        ran: whether a consumer that ran has confirmed them.
    """

    key: str
    title: str
    signature: tuple[str, ...]
    stacks: tuple[str, ...]
    source: str
    absent: tuple[str, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)
    architecture: str = ""
    ran: bool = False


_UNET_PARTS = {"input_blocks": "input", "middle_block": "middle", "output_blocks": "output"}
_UNET_STACKS = ("input_blocks", "middle_block", "output_blocks")

FAMILIES: tuple[Family, ...] = (
    Family(
        "sdxl",
        "SDXL",
        ("input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight", "label_emb.0.0.weight"),
        _UNET_STACKS,
        _DIFFUSERS_CONVERTER,
        parts=_UNET_PARTS,
        architecture="stable-diffusion-xl-v1-base/lora",
        ran=True,
    ),
    Family(
        "sd1",
        "Stable Diffusion 1.x / 2.x",
        ("input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", "time_embed.0.weight"),
        _UNET_STACKS,
        _DIFFUSERS_KEYS,
        absent=("label_emb.0.0.weight",),
        parts=_UNET_PARTS,
    ),
    Family(
        "sd3",
        "Stable Diffusion 3.x",
        ("joint_blocks.0.context_block.adaLN_modulation.1.bias",),
        ("joint_blocks",),
        _DIFFUSERS_KEYS,
        architecture="stable-diffusion-v3/lora",
    ),
    Family(
        "flux2",
        "Flux.2",
        ("single_stream_modulation.lin.weight", "double_blocks.0.img_attn.qkv.weight"),
        ("double_blocks", "single_blocks"),
        _DIFFUSERS_KEYS,
        architecture="flux-2-dev/lora",
    ),
    Family(
        "chroma",
        "Chroma",
        ("distilled_guidance_layer.in_proj.bias", "double_blocks.0.img_attn.qkv.weight"),
        ("double_blocks", "single_blocks"),
        _DIFFUSERS_KEYS,
        architecture="chroma/lora",
    ),
    Family(
        "hunyuan_video",
        "HunyuanVideo",
        ("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",),
        ("double_blocks", "single_blocks"),
        _DIFFUSERS_KEYS,
        architecture="hunyuan-video/lora",
    ),
    Family(
        "flux",
        "Flux.1",
        ("double_blocks.0.img_attn.norm.key_norm.scale", "vector_in.in_layer.weight"),
        ("double_blocks", "single_blocks"),
        _DIFFUSERS_CONVERTER,
        architecture="flux-1-dev/lora",
        ran=True,
    ),
    Family(
        "wan",
        "Wan 2.x",
        ("head.modulation", "blocks.0.self_attn.q.weight"),
        ("blocks",),
        _DIFFUSERS_CONVERTER,
        architecture="wan/lora",
        ran=True,
    ),
    Family(
        "qwen_image",
        "Qwen-Image",
        ("transformer_blocks.0.attn.add_q_proj.weight", "txt_norm.weight", "img_in.weight"),
        ("transformer_blocks",),
        "diffusers 0.42, models/transformers/transformer_qwenimage.py; ComfyUI keeps these names",
        architecture="qwen-image/lora",
    ),
    Family(
        "ltx",
        "LTX-Video",
        ("patchify_proj.weight", "transformer_blocks.0.scale_shift_table"),
        ("transformer_blocks",),
        _DIFFUSERS_KEYS,
        architecture="ltx-video/lora",
    ),
    Family(
        "z_image",
        "Z-Image",
        ("cap_embedder.0.weight", "layers.0.adaLN_modulation.0.weight"),
        ("context_refiner", "noise_refiner", "layers"),
        _DIFFUSERS_KEYS,
        architecture="z-image/lora",
    ),
    Family(
        "lumina2",
        "Lumina 2",
        ("cap_embedder.0.weight", "layers.0.attention.qkv.weight"),
        ("context_refiner", "noise_refiner", "layers"),
        _DIFFUSERS_KEYS,
        architecture="lumina-2/lora",
    ),
    Family(
        "auraflow",
        "AuraFlow",
        ("double_layers.0.attn.w2q.weight", "cond_seq_linear.weight"),
        ("double_layers", "single_layers"),
        _DIFFUSERS_KEYS,
        architecture="auraflow/lora",
    ),
    Family(
        "unet_diffusers",
        "Stable Diffusion U-Net (diffusers names)",
        ("down_blocks.0.resnets.0.conv1.weight", "mid_block.resnets.0.conv1.weight"),
        ("down_blocks", "mid_block", "up_blocks"),
        "ComfyUI comfy/lora.py reads lora_unet_<diffusers name with underscores>",
        parts={"down_blocks": "input", "mid_block": "middle", "up_blocks": "output"},
    ),
    Family(
        "llama",
        "Language model (Llama, Qwen, Mistral, Gemma)",
        ("model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight"),
        ("model.layers",),
        _TRANSFORMERS,
    ),
    Family(
        "llama_base",
        "Language model (Llama, Qwen, Mistral, Gemma)",
        ("layers.0.self_attn.q_proj.weight", "embed_tokens.weight"),
        ("layers",),
        _TRANSFORMERS,
    ),
    Family(
        "gpt2",
        "GPT-2",
        ("h.0.attn.c_attn.weight", "wte.weight"),
        ("h",),
        _TRANSFORMERS,
    ),
    Family(
        "bert",
        "BERT",
        ("encoder.layer.0.attention.self.query.weight", "embeddings.word_embeddings.weight"),
        ("encoder.layer",),
        _TRANSFORMERS,
    ),
)
GENERIC = Family("generic", "Model", (), (), "the file itself")

# Prefixes that name a component: start of the name in the file, component, canonical start, layout of the rest.
COMPONENT_PREFIXES: tuple[tuple[str, str, str, str], ...] = (
    ("model.diffusion_model.", "denoiser", "diffusion_model.", "native"),
    ("diffusion_model.", "denoiser", "diffusion_model.", "native"),
    ("cond_stage_model.transformer.", "text_encoders", "text_encoders.clip_l.transformer.", "clip_2022"),
    ("cond_stage_model.model.", "text_encoders", "text_encoders.clip_h.transformer.", "open_clip"),
    ("conditioner.embedders.0.transformer.", "text_encoders", "text_encoders.clip_l.transformer.", "clip_2022"),
    ("conditioner.embedders.1.model.", "text_encoders", "text_encoders.clip_g.transformer.", "open_clip"),
    ("conditioner.embedders.0.model.", "text_encoders", "text_encoders.clip_g.transformer.", "open_clip"),
    ("text_encoders.", "text_encoders", "text_encoders.", "native"),
    ("first_stage_model.", "vae", "vae.", "native"),
    ("vae.", "vae", "vae.", "native"),
)
EMA_PREFIXES = ("model_ema.", "ema_model.")

# Text encoders in a file of their own: a name that is always there, the canonical start of ComfyUI's names.
TEXT_ENCODER_FILES: tuple[tuple[str, tuple[int, ...], str], ...] = (
    # name of a tensor, its possible widths (last dimension; empty: any), canonical start
    ("text_model.encoder.layers.0.layer_norm1.weight", (768,), "text_encoders.clip_l.transformer."),
    ("text_model.encoder.layers.0.layer_norm1.weight", (1024,), "text_encoders.clip_h.transformer."),
    ("text_model.encoder.layers.0.layer_norm1.weight", (1280,), "text_encoders.clip_g.transformer."),
    ("encoder.block.0.layer.0.SelfAttention.q.weight", (), "text_encoders.t5xxl.transformer."),
)

# Prefixes seen before a whole model's names.
WRAPPER_PREFIXES = ("model.", "transformer.", "unet.", "net.", "module.", "bert.", "language_model.")

# Where a vocabulary may have grown: the common rows of these are paired.
VOCABULARY_NAMES = ("embed_tokens.", "lm_head.", "token_embedding.", "wte.", "word_embeddings.", "shared.")
