"""Model families as data: how to recognise one, its stacks of blocks, what its keys are called. One row each.

`source` says where the names come from. `ran` tells whether a consumer that really ran (diffusers' own
converter and model, or transformers' model, in the tests) has confirmed them; the other rows were checked against the
source only, and `by_names_only` where that is no package that could be run.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace

_DIFFUSERS_KEYS = "diffusers 0.42, loaders/single_file_utils.py, CHECKPOINT_KEY_NAMES"
_DIFFUSERS_CONVERTER = "diffusers 0.42, loaders/single_file_utils.py, convert_*_to_diffusers"
_TRANSFORMERS = "transformers 5, models/*/modeling_*.py"
_DETECTION = "ComfyUI, comfy/model_detection.py, detect_unet_config"


@dataclass(frozen=True)
class Variant:
    """A member of a family that its header tells: another title, the same names and blocks.

    Attributes:
        title: what people call it.
        name: of a weight that it has.
        dimension: of that weight, where its size is what tells; None where the name does.
        size: along that dimension.
    """

    title: str
    name: str
    dimension: int | None = None
    size: int = 0


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
        by_names_only: whether neither a reference package nor a cited header covers the names.
        text_encoder: whether it is a text encoder, see `engine.models.text_encoders`.
        variants: members that have titles of their own; the first that fits counts.
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
    by_names_only: bool = False
    text_encoder: bool = False
    variants: tuple[Variant, ...] = ()

    def fits(self, names: Container[str]) -> bool:
        """Whether names, their component's prefix removed, carry the signature."""
        return all(name in names for name in self.signature) and not any(name in names for name in self.absent)

    def as_variant(self, shapes: Mapping[str, tuple[int, ...]]) -> Family:
        """The family under the title of the member that a header tells, by the canonical names without their start."""
        for variant in self.variants:
            shape = shapes.get(variant.name)
            at = variant.dimension
            if shape is not None and (at is None or (at < len(shape) and shape[at] == variant.size)):
                return replace(self, title=variant.title)
        return self


_UNET_PARTS = {"input_blocks": "input", "middle_block": "middle", "output_blocks": "output"}
_UNET_STACKS = ("input_blocks", "middle_block", "output_blocks")

FAMILIES: tuple[Family, ...] = (
    Family(
        "sdxl",
        "SDXL",
        ("input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight", "label_emb.0.0.weight"),
        _UNET_STACKS,
        _DIFFUSERS_CONVERTER,
        absent=("input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight",),
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
        absent=("input_blocks.1.1.time_stack.0.attn1.to_q.weight",),
        parts=_UNET_PARTS,
        ran=True,
    ),
    Family(
        "svd",
        "Stable Video Diffusion",
        ("input_blocks.1.1.time_stack.0.attn1.to_q.weight", "time_embed.0.weight"),
        _UNET_STACKS,
        _DETECTION,
        parts=_UNET_PARTS,
        architecture="stable-video-diffusion/lora",
        by_names_only=True,
    ),
    Family(
        "sd3",
        "Stable Diffusion 3.x",
        ("joint_blocks.0.context_block.adaLN_modulation.1.bias",),
        ("joint_blocks",),
        _DIFFUSERS_KEYS,
        architecture="stable-diffusion-v3/lora",
        ran=True,
    ),
    Family(
        "flux2",
        "Flux.2",
        ("single_stream_modulation.lin.weight", "double_blocks.0.img_attn.qkv.weight"),
        ("double_blocks", "single_blocks"),
        _DIFFUSERS_KEYS,
        architecture="flux-2-dev/lora",
        ran=True,
    ),
    Family(
        "chroma",
        "Chroma",
        ("distilled_guidance_layer.in_proj.bias", "double_blocks.0.img_attn.qkv.weight"),
        ("double_blocks", "single_blocks"),
        _DIFFUSERS_KEYS,
        architecture="chroma/lora",
        ran=True,
    ),
    Family(
        "hunyuan_video",
        "HunyuanVideo",
        ("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",),
        ("double_blocks", "single_blocks"),
        _DIFFUSERS_KEYS,
        absent=("vision_in.proj.0.weight", "byt5_in.fc1.weight"),
        architecture="hunyuan-video/lora",
        ran=True,
    ),
    Family(
        "hunyuan_video15",
        "HunyuanVideo 1.5",
        ("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias", "vision_in.proj.0.weight"),
        ("double_blocks", "single_blocks"),
        "diffusers, scripts/convert_hunyuan_video1_5_to_diffusers.py; " + _DETECTION,
        architecture="hunyuan-video-1.5/lora",
        by_names_only=True,
    ),
    Family(
        "hunyuan_image",
        "HunyuanImage 2.1",
        ("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias", "byt5_in.fc1.weight"),
        ("double_blocks", "single_blocks"),
        "diffusers, scripts/convert_hunyuan_image_to_diffusers.py; " + _DETECTION,
        absent=("vision_in.proj.0.weight",),
        architecture="hunyuan-image-2.1/lora",
        by_names_only=True,
    ),
    Family(
        "flux",
        "Flux.1",
        ("double_blocks.0.img_attn.qkv.weight", "vector_in.in_layer.weight"),
        ("double_blocks", "single_blocks"),
        _DIFFUSERS_CONVERTER,
        absent=(
            "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",
            "distilled_guidance_layer.in_proj.bias",
            "single_stream_modulation.lin.weight",
        ),
        variants=(
            Variant("Flux.1 Fill", "img_in.weight", 1, 384),
            Variant("Flux.1 Depth / Canny", "img_in.weight", 1, 128),
        ),
        architecture="flux-1-dev/lora",
        ran=True,
    ),
    Family(
        "wan",
        "Wan 2.x",
        ("head.modulation", "blocks.0.self_attn.q.weight"),
        ("vace_blocks", "blocks"),
        _DIFFUSERS_CONVERTER,
        architecture="wan/lora",
        variants=(
            Variant("Wan 2.x VACE", "vace_patch_embedding.weight"),
            Variant("Wan 2.2 Animate", "face_adapter.fuser_blocks.0.k_norm.weight"),
            Variant("Wan 2.2 S2V", "casual_audio_encoder.encoder.final_linear.weight"),
            Variant("Wan 2.2 TI2V 5B", "patch_embedding.weight", 1, 48),
            Variant("Wan 2.x I2V", "patch_embedding.weight", 1, 36),
        ),
        ran=True,
    ),
    Family(
        "qwen_image",
        "Qwen-Image",
        ("transformer_blocks.0.attn.add_q_proj.weight", "txt_norm.weight", "img_in.weight"),
        ("transformer_blocks",),
        "diffusers 0.42, models/transformers/transformer_qwenimage.py; ComfyUI keeps these names",
        architecture="qwen-image/lora",
        ran=True,
    ),
    Family(
        "ltx",
        "LTX-Video",
        ("patchify_proj.weight", "transformer_blocks.0.scale_shift_table"),
        ("transformer_blocks",),
        _DIFFUSERS_KEYS,
        absent=("audio_adaln_single.linear.weight",),
        architecture="ltx-video/lora",
        ran=True,
    ),
    Family(
        "ltx2",
        "LTX-2",
        ("patchify_proj.weight", "audio_adaln_single.linear.weight"),
        ("transformer_blocks",),
        "diffusers 0.42, loaders/single_file_utils.py, convert_ltx2_transformer_to_diffusers; " + _DETECTION,
        architecture="ltx-2/lora",
    ),
    Family(
        "z_image",
        "Z-Image",
        ("cap_embedder.0.weight", "layers.0.adaLN_modulation.0.weight"),
        ("context_refiner", "noise_refiner", "layers"),
        _DIFFUSERS_KEYS,
        architecture="z-image/lora",
        ran=True,
    ),
    Family(
        "lumina2",
        "Lumina 2",
        ("cap_embedder.0.weight", "layers.0.attention.qkv.weight"),
        ("context_refiner", "noise_refiner", "layers"),
        _DIFFUSERS_KEYS,
        absent=("layers.0.adaLN_modulation.0.weight",),
        architecture="lumina-2/lora",
        ran=True,
    ),
    Family(
        "auraflow",
        "AuraFlow",
        ("double_layers.0.attn.w2q.weight", "cond_seq_linear.weight"),
        ("double_layers", "single_layers"),
        _DIFFUSERS_KEYS,
        architecture="auraflow/lora",
        ran=True,
    ),
    Family(
        "cosmos",
        "Cosmos 1",
        ("blocks.block0.blocks.0.block.attn.to_q.0.weight", "x_embedder.proj.1.weight"),
        ("blocks.block",),
        "diffusers 0.42, loaders/single_file_utils.py, convert_cosmos_transformer_checkpoint_to_diffusers",
        architecture="cosmos-1/lora",
    ),
    Family(
        "cosmos_predict2",
        "Cosmos Predict 2",
        ("blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_self_attn.1.weight"),
        ("blocks",),
        "diffusers 0.42, loaders/single_file_utils.py, convert_cosmos_transformer_checkpoint_to_diffusers",
        absent=("llm_adapter.blocks.0.cross_attn.q_proj.weight",),
        architecture="cosmos-predict2/lora",
    ),
    Family(
        "anima",
        "Anima",
        ("blocks.0.mlp.layer1.weight", "llm_adapter.blocks.0.cross_attn.q_proj.weight"),
        ("llm_adapter.blocks", "blocks"),
        _DETECTION,
        architecture="anima/lora",
        by_names_only=True,
    ),
    Family(
        "hidream",
        "HiDream",
        ("caption_projection.0.linear.weight", "double_stream_blocks.0.block.attn1.to_q.weight"),
        ("double_stream_blocks", "single_stream_blocks"),
        "diffusers 0.42, loaders/single_file_utils.py, convert_hidream_transformer_to_diffusers; ComfyUI has them",
        architecture="hidream-i1/lora",
        ran=True,
    ),
    Family(
        "pixart",
        "PixArt",
        ("t_block.1.weight", "blocks.0.cross_attn.kv_linear.weight"),
        ("blocks",),
        "diffusers, scripts/convert_pixart_sigma_to_diffusers.py; " + _DETECTION,
        architecture="pixart-sigma/lora",
        variants=(Variant("PixArt-alpha", "ar_embedder.mlp.0.weight"), Variant("PixArt-Sigma", "t_block.1.weight")),
        by_names_only=True,
    ),
    Family(
        "pixart_diffusers",
        "PixArt (diffusers names)",
        ("adaln_single.emb.timestep_embedder.linear_1.bias", "pos_embed.proj.bias"),
        ("transformer_blocks",),
        "diffusers 0.42, models/transformers/pixart_transformer_2d.py; ComfyUI reads transformer.<name>, comfy/lora.py",
        architecture="pixart-sigma/lora",
        ran=True,
    ),
    Family(
        "stable_cascade",
        "Stable Cascade",
        ("clf.1.weight", "embedding.1.weight"),
        ("down_blocks", "up_blocks"),
        "diffusers 0.42, loaders/single_file_utils.py, convert_stable_cascade_unet_single_file_to_diffusers",
        absent=("down_blocks.0.2.attention.to_q.weight", "down_blocks.2.2.attention.to_q.weight"),  # diffusers' names
        parts={"down_blocks": "input", "up_blocks": "output"},
        architecture="stable-cascade/lora",
        variants=(
            Variant("Stable Cascade, stage C", "clip_txt_mapper.weight"),
            Variant("Stable Cascade, stage B", "clip_mapper.weight"),
        ),
    ),
    Family(
        "llama",
        "Language model (Llama, Qwen, Mistral, Gemma)",
        ("model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight"),
        ("model.layers",),
        _TRANSFORMERS,
        ran=True,
    ),
    Family(
        "llama_base",
        "Language model (Llama, Qwen, Mistral, Gemma)",
        ("layers.0.self_attn.q_proj.weight", "embed_tokens.weight"),
        ("layers",),
        _TRANSFORMERS,
        ran=True,
    ),
    Family(
        "gpt2",
        "GPT-2",
        ("h.0.attn.c_attn.weight", "wte.weight"),
        ("h",),
        _TRANSFORMERS,
        ran=True,
    ),
    Family(
        "bert",
        "BERT",
        ("encoder.layer.0.attention.self.query.weight", "embeddings.word_embeddings.weight"),
        ("encoder.layer",),
        _TRANSFORMERS,
        ran=True,
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

# Prefixes seen before a whole model's names.
WRAPPER_PREFIXES = ("model.", "transformer.", "unet.", "net.", "module.", "bert.", "language_model.")

# Where a vocabulary may have grown: the common rows of these are paired.
VOCABULARY_NAMES = ("embed_tokens.", "lm_head.", "token_embedding.", "wte.", "word_embeddings.", "shared.")
