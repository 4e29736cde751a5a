"""The names under which programs hold the weights of a file: what they rename and divide before a LoRA is looked up.

Facts read in the programs' sources, written down as tables; none of their code.

- ComfyUI, comfy/supported_models.py, ``process_unet_state_dict``: Flux and Flux.2 rename ``*_norm.scale`` to
  ``*_norm.weight``; Chroma and the HunyuanVideo family every ``*.scale``; the latter take Tencent's names, too. Stable
  Cascade divides ``in_proj_weight`` and ``in_proj_bias`` of its attention into ``to_q``, ``to_k`` and ``to_v``.
- ComfyUI 0.3.64, the same file: the norms keep the name ``.scale``.
- ComfyUI, comfy/supported_models.py, ``process_clip_state_dict``; comfy/utils.py, ``clip_text_transformers_convert``:
  CLIP-L under ``clip_l.transformer.text_model.``, OpenCLIP's encoders under ``clip_g.`` and ``clip_h.`` in the names of
  transformers, fused attention divided, the projection turned.
- ComfyUI, comfy/utils.py, ``pixart_to_diffusers``: PixArt in diffusers' names, whose attention it has fused.
- Forge, backend/nn/flux.py and backend/nn/chroma.py: the norms keep the name ``.scale``; backend/loader.py: text
  encoders under the same prefixes as ComfyUI's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

Tensors = Mapping[str, torch.Tensor]
State = dict[str, torch.Tensor]

DENOISER = "diffusion_model."
TENCENT = (
    # what the file calls it, what ComfyUI does; in this order
    ("txt_in.t_embedder.mlp.0.", "txt_in.t_embedder.in_layer."),
    ("txt_in.t_embedder.mlp.2.", "txt_in.t_embedder.out_layer."),
    ("txt_in.c_embedder.linear_1.", "txt_in.c_embedder.in_layer."),
    ("txt_in.c_embedder.linear_2.", "txt_in.c_embedder.out_layer."),
    ("_mod.linear.", "_mod.lin."),
    ("_attn_qkv.", "_attn.qkv."),
    ("mlp.fc1.", "mlp.0."),
    ("mlp.fc2.", "mlp.2."),
    ("_attn_q_norm.weight", "_attn.norm.query_norm.weight"),
    ("_attn_k_norm.weight", "_attn.norm.key_norm.weight"),
    (".q_norm.weight", ".norm.query_norm.weight"),
    (".k_norm.weight", ".norm.key_norm.weight"),
    ("_attn_proj.", "_attn.proj."),
    (".modulation.linear.", ".modulation.lin."),
    ("_in.mlp.2.", "_in.out_layer."),
    ("_in.mlp.0.", "_in.in_layer."),
)
RENAMED_NORMS = {"flux": "_norm.scale", "flux2": "_norm.scale", "chroma": ".scale"}
RENAMED_NORMS |= dict.fromkeys(("hunyuan_video", "hunyuan_video15", "hunyuan_image"), ".scale")


def denoiser(family: str, file: Tensors, *, renames_norms: bool = True) -> State:
    """The state of a denoiser from its file in native names, prefix taken off.

    Args:
        family: key of the model's family.
        file: names without prefix -> tensors.
        renames_norms: as ComfyUI does since 2026; False for its earlier versions and for Forge.
    """
    if family == "pixart_diffusers":
        return pixart(file)
    state: State = {}
    for name, tensor in file.items():
        if family.startswith("hunyuan"):
            for theirs, ours in TENCENT:
                name = name.replace(theirs, ours)
            if not renames_norms:
                name = name.replace("_norm.weight", "_norm.scale")
        ending = RENAMED_NORMS.get(family, "\n")
        if renames_norms and name.endswith(ending):
            name = name.removesuffix(".scale") + ".weight"
        start, fused, kind = name.partition("in_proj_")
        if family == "stable_cascade" and fused:
            for part, rows in zip("qkv", tensor.chunk(3), strict=True):
                state[f"{DENOISER}{start}to_{part}.{kind}"] = rows
        else:
            state[DENOISER + name] = tensor
    return state


PIXART = {
    # diffusers' name of a module or parameter, ComfyUI's
    "pos_embed.proj": "x_embedder.proj",
    "caption_projection.linear_1": "y_embedder.y_proj.fc1",
    "caption_projection.linear_2": "y_embedder.y_proj.fc2",
    "caption_projection.y_embedding": "y_embedder.y_embedding",
    "adaln_single.emb.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "adaln_single.emb.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "adaln_single.linear": "t_block.1",
    "proj_out": "final_layer.linear",
    "scale_shift_table": "final_layer.scale_shift_table",
}
PIXART_BLOCK = {
    "scale_shift_table": "scale_shift_table",
    "attn1.to_out.0": "attn.proj",
    "ff.net.0.proj": "mlp.fc1",
    "ff.net.2": "mlp.fc2",
    "attn2.to_out.0": "cross_attn.proj",
    "attn2.to_q": "cross_attn.q_linear",
}
PIXART_FUSED = {
    "attn.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    "cross_attn.kv_linear": ("attn2.to_k", "attn2.to_v"),
}


def pixart(file: Tensors) -> State:
    """The state of PixArt from diffusers' names."""
    state: State = {}
    for theirs, ours in PIXART.items():
        for ending in ("", ".weight", ".bias"):
            if theirs + ending in file:
                state[DENOISER + ours + ending] = file[theirs + ending]
    for number in sorted({int(name.split(".")[1]) for name in file if name.startswith("transformer_blocks.")}):
        there, here = f"transformer_blocks.{number}.", f"{DENOISER}blocks.{number}."
        for theirs, ours in PIXART_BLOCK.items():
            for ending in ("", ".weight", ".bias"):
                if there + theirs + ending in file:
                    state[here + ours + ending] = file[there + theirs + ending]
        for ours, parts in PIXART_FUSED.items():
            for ending in (".weight", ".bias"):
                state[here + ours + ending] = torch.cat([file[there + part + ending] for part in parts])
    return state


def clip_encoder(clip: str, file: Tensors) -> State:
    """The state of a CLIP encoder from its file, names without prefix: those of transformers, of 2022 or OpenCLIP's."""
    state: State = {}
    for name, tensor in file.items():
        for ours, part in _clip_names(name, tensor):
            state[f"{clip}.transformer.{ours}"] = part
    return state


def _clip_names(name: str, tensor: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    if name == "logit_scale":
        return [(name, tensor)]
    if name == "text_projection":
        return [("text_projection.weight", tensor.T)]
    whole = {
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "ln_final.weight": "text_model.final_layer_norm.weight",
        "ln_final.bias": "text_model.final_layer_norm.bias",
    }
    if name in whole:
        return [(whole[name], tensor)]
    if not name.startswith("transformer.resblocks."):
        there = name if name.startswith(("text_model.", "text_projection")) else f"text_model.{name}"
        return [(there, tensor)]
    number, _, rest = name.removeprefix("transformer.resblocks.").partition(".")
    layer = f"text_model.encoder.layers.{number}."
    _, fused, kind = rest.partition("in_proj_")
    if fused:
        parts = zip("qkv", tensor.chunk(3), strict=True)
        return [(f"{layer}self_attn.{part}_proj.{kind}", rows) for part, rows in parts]
    inner = {"ln_1.": "layer_norm1.", "ln_2.": "layer_norm2.", "mlp.c_fc.": "mlp.fc1.", "mlp.c_proj.": "mlp.fc2."}
    for theirs, ours in (inner | {"attn.": "self_attn."}).items():
        if rest.startswith(theirs):
            return [(layer + ours + rest.removeprefix(theirs), tensor)]
    raise AssertionError(f"no name of an encoder: {name}")


def other_encoder(clip: str, file: Tensors) -> State:
    """The state of any other text encoder: the names of transformers below ComfyUI's prefix."""
    return {f"{clip}.transformer.{name}": tensor for name, tensor in file.items()}
