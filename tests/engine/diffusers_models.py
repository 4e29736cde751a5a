"""Tiny denoisers of diffusers whose names are the native ones, or have a row of their own."""

from __future__ import annotations

import diffusers
import torch


def hidream() -> torch.nn.Module:
    return diffusers.HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=2, caption_channels=[8, 8], text_emb_dim=8, num_routed_experts=2,
        num_activated_experts=1, axes_dims_rope=(4, 2, 2), max_resolution=(8, 8), llama_layers=[0, 0],
    )  # fmt: skip


def qwen_image() -> torch.nn.Module:
    return diffusers.QwenImageTransformer2DModel(
        num_layers=1, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=8, axes_dims_rope=(4, 2, 2)
    )


def pixart() -> torch.nn.Module:
    return diffusers.PixArtTransformer2DModel(
        num_layers=1, attention_head_dim=8, num_attention_heads=2, cross_attention_dim=16, caption_channels=8,
        sample_size=8,
    )  # fmt: skip
