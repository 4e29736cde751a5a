"""What a file in Kohya's format says of its model is what the trainers that go on from it write themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import unet_layout_models
from model_files import random_tensor, save_model

from engine.formats.kohya import Kohya
from engine.formats.lora_format import LoraFacts
from engine.models.families import FAMILIES, Family
from engine.session import Session
from engine.settings import ExtractionSettings, HardwareSettings

SAID = {
    # family -> sd-scripts' or musubi-tuner's module, base model version and architecture
    "sd1": ("networks.lora", "sd_v1", "stable-diffusion-v1/lora"),
    "sdxl": ("networks.lora", "sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora"),
    "sd3": ("networks.lora_sd3", "3-medium", "stable-diffusion-3-3-medium/lora"),
    "flux": ("networks.lora_flux", "flux1", "flux-1-dev/lora"),
    "chroma": ("networks.lora_flux", "chroma", "chroma/lora"),
    "lumina2": ("networks.lora_lumina", "lumina2", "lumina-2/lora"),
    "hunyuan_image": ("networks.lora_hunyuan_image", "hunyuan-image-2.1", "hunyuan-image-2.1/lora"),
    "anima": ("networks.lora_anima", "anima", "anima-preview/lora"),
    "hunyuan_video": ("networks.lora", "hunyuan_video", "hunyuan-video/lora"),
    "hunyuan_video15": ("networks.lora_hv_1_5", "hunyuan_video_1_5", "hunyuan-video-1.5/lora"),
    "wan": ("networks.lora_wan", "wan", "wan2.1/lora"),
    "flux2": ("networks.lora_flux_2", "flux_2_dev", "Flux.2-dev/lora"),
    "qwen_image": ("networks.lora_qwen_image", "qwen_image", "Qwen-Image/lora"),
    "z_image": ("networks.lora_zimage", "z_image", "Z-Image/lora"),
}
WRITABLE = [family for family in FAMILIES if Kohya().problem(family) is None]


@pytest.mark.parametrize("family", WRITABLE, ids=lambda family: family.key)
def test_every_family_has_a_base_model_and_an_architecture(family: Family) -> None:
    texts = Kohya().metadata(LoraFacts(family=family, rank=8, largest_rank=8, alpha=8.0))
    module, version, architecture = (
        texts[key] for key in ("ss_network_module", "ss_base_model_version", "modelspec.architecture")
    )
    own = family.architecture
    expected = SAID.get(family.key, ("networks.lora", own.removesuffix("/lora"), own))
    assert (module, version, architecture) == expected
    assert version
    assert architecture.endswith("/lora")


def unet(context: int) -> dict[str, tuple[int, ...]]:
    """A U-Net of Stable Diffusion, with a text encoder's width."""
    shapes = unet_layout_models.unet_shapes((8, 16), (1, 1), 1, pooled=0, linears=True)
    keys = (".attn2.to_k.", ".attn2.to_v.")
    return {name: (shape[0], context) if any(key in name for key in keys) else shape for name, shape in shapes.items()}


SD3 = {
    "joint_blocks.0.context_block.adaLN_modulation.1.bias": (8,), "joint_blocks.0.x_block.attn.qkv.weight": (24, 8)
}  # fmt: skip
FLUX = {"double_blocks.0.img_attn.qkv.weight": (24, 8), "vector_in.in_layer.weight": (8, 4)}
FLUX2 = {"single_stream_modulation.lin.weight": (24, 8), "double_blocks.0.img_attn.qkv.weight": (24, 8)}


@pytest.mark.parametrize(
    ("shapes", "v2", "version", "architecture"),
    [
        (unet(768), "False", "sd_v1", "stable-diffusion-v1"),
        (unet(1024), "True", "sd_v2", "stable-diffusion-v2-512"),
        (SD3, "False", "3-medium", "stable-diffusion-3-3-medium"),
        (
            {**SD3, "joint_blocks.0.x_block.attn.ln_q.weight": (4,)},
            "False", "3-5-large", "stable-diffusion-3-3-5-large",
        ),
        (
            {
                **SD3, "joint_blocks.0.x_block.attn.ln_q.weight": (4,),
                "joint_blocks.0.x_block.attn2.ln_q.weight": (4,),
            },
            "False", "3-5-medium", "stable-diffusion-3-3-5-medium",
        ),
        ({**FLUX, "guidance_in.in_layer.weight": (8, 4)}, "False", "flux1", "flux-1-dev"),
        (FLUX, "False", "flux1", "flux-1-schnell"),
        ({**FLUX2, "img_in.weight": (6144, 4)}, "False", "flux_2_dev", "Flux.2-dev"),
        ({**FLUX2, "img_in.weight": (3072, 4)}, "False", "flux_2_klein_4b", "Flux.2-klein-4b"),
        ({**FLUX2, "img_in.weight": (4096, 4)}, "False", "flux_2_klein_9b", "Flux.2-klein-9b"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_members_of_a_family_are_told_by_their_weights(
    shapes: dict[str, tuple[int, ...]], v2: str, version: str, architecture: str, tmp_path: Path
) -> None:
    base = {name: random_tensor(*shape, seed=at) for at, (name, shape) in enumerate(shapes.items())}
    tuned = {name: tensor + 0.1 * random_tensor(*tensor.shape, seed=9) for name, tensor in base.items()}
    pair = save_model(tmp_path / "tuned.safetensors", tuned), save_model(tmp_path / "base.safetensors", base)
    with Session(*pair) as session:
        plan = session.plan(ExtractionSettings(key_format="kohya"), HardwareSettings(device="cpu"), tmp_path)
        facts = LoraFacts(family=session.pairing.family, rank=2, largest_rank=2, alpha=2.0)
    texts = plan.outputs[0].format.metadata(facts)
    assert (texts["ss_v2"], texts["ss_base_model_version"]) == (v2, version)
    assert texts["modelspec.architecture"] == f"{architecture}/lora"
    assert (texts["ss_network_dim"], texts["ss_network_alpha"]) == ("2", "2")
    assert json.loads(texts["ss_network_args"]) == {"conv_dim": "2", "conv_alpha": "2"}
