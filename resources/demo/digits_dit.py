"""Gives the demo a real diffusion transformer that is small enough to ship and to run on a CPU.

The model paints 8x8 grey digits. It is a class-conditional DiT trained with rectified flow: time ``t`` runs from
0 (pure noise) to 1 (picture), the point in between is ``x_t = (1 - t) * noise + t * picture`` and the network predicts
the velocity ``picture - noise``. Pictures are float tensors of shape (n, 1, 8, 8) with values in [-1, 1].

Everything here draws from its own ``torch.Generator``; the global random state is never read nor advanced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

IMAGE_SIZE = 8
PATCH_SIZE = 2
WIDTH = 128
DEPTH = 6
HEADS = 4
MLP_RATIO = 4
FREQUENCIES = 128
NUM_CLASSES = 10
NULL_CLASS = NUM_CLASSES
"""Label that stands for "no class": learned by label dropout, used by classifier-free guidance."""

CHECKPOINT_PREFIX = "model.diffusion_model."
"""Prefix that the stored checkpoints carry on every key, as checkpoints of whole pipelines do."""

DEMO_DIR = Path(__file__).resolve().parent
ORIGINAL_FILE = DEMO_DIR / "original.safetensors"
FINETUNED_FILE = DEMO_DIR / "finetuned.safetensors"
HELD_OUT_FILE = DEMO_DIR / "held_out.safetensors"


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Shift and scale tokens ``x`` (n, tokens, d) by one vector (n, d) per picture."""
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class PatchEmbed(nn.Module):
    """Cuts a picture into patches and projects each one to a token."""

    def __init__(self) -> None:
        """Create the strided convolution."""
        super().__init__()
        self.proj = nn.Conv2d(1, WIDTH, kernel_size=PATCH_SIZE, stride=PATCH_SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (n, 1, 8, 8) to tokens (n, 16, d)."""
        tokens: Tensor = self.proj(x)
        return tokens.flatten(2).transpose(1, 2)


class TimestepEmbedder(nn.Module):
    """Embeds the flow time with sinusoids followed by a small MLP."""

    def __init__(self) -> None:
        """Create the MLP."""
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, t: Tensor) -> Tensor:
        """Map times (n,) in [0, 1] to vectors (n, d)."""
        half = FREQUENCIES // 2
        rates = torch.exp(torch.arange(half, device=t.device) * (-math.log(10_000.0) / half))
        # The sinusoids were designed for step numbers up to 1000, so the unit interval is stretched to that.
        angles = 1000.0 * t[:, None] * rates[None]
        embedded: Tensor = self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))
        return embedded


class RMSNorm(nn.Module):
    """Normalises queries and keys per head; its weight is a bare parameter called ``scale``."""

    def __init__(self, dim: int) -> None:
        """Create the norm for heads of ``dim`` channels."""
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of ``x`` (..., dim)."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.scale


class Attention(nn.Module):
    """Multi-head self-attention with fused qkv and normalised queries and keys."""

    def __init__(self) -> None:
        """Create the projections."""
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.q_norm = RMSNorm(WIDTH // HEADS)
        self.k_norm = RMSNorm(WIDTH // HEADS)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens (n, tokens, d) into tokens of the same shape."""
        n, tokens, _ = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, tokens, WIDTH))
        return out


class Mlp(nn.Module):
    """Two-layer feed-forward network applied to each token."""

    def __init__(self) -> None:
        """Create both layers."""
        super().__init__()
        self.fc1 = nn.Linear(WIDTH, MLP_RATIO * WIDTH)
        self.fc2 = nn.Linear(MLP_RATIO * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens (n, tokens, d) into tokens of the same shape."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))
        return out


class Block(nn.Module):
    """Transformer block whose norms and residuals are modulated by the condition vector (adaLN)."""

    def __init__(self) -> None:
        """Create the layers of one block."""
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp = Mlp()
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, 6 * WIDTH))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Transform tokens (n, tokens, d) under conditions (n, d)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(condition).chunk(6, dim=-1)
        x = x + gate1.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift1, scale1))
        out: Tensor = x + gate2.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift2, scale2))
        return out


class FinalLayer(nn.Module):
    """Turns tokens back into patches of the predicted velocity."""

    def __init__(self) -> None:
        """Create the layers."""
        super().__init__()
        self.norm_final = nn.LayerNorm(WIDTH, eps=1e-6)
        self.linear = nn.Linear(WIDTH, PATCH_SIZE * PATCH_SIZE)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, 2 * WIDTH))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map tokens (n, tokens, d) to patches (n, tokens, 4)."""
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=-1)
        out: Tensor = self.linear(modulate(self.norm_final(x), shift, scale))
        return out


class DigitsDiT(nn.Module):
    """Class-conditional diffusion transformer for 8x8 grey digits."""

    def __init__(self) -> None:
        """Create the layers; use ``build_model`` or ``load_model`` to get defined weights."""
        super().__init__()
        self.x_embedder = PatchEmbed()
        self.t_embedder = TimestepEmbedder()
        self.y_embedder = nn.Embedding(NUM_CLASSES + 1, WIDTH)
        self.pos_embed = nn.Parameter(torch.zeros(1, (IMAGE_SIZE // PATCH_SIZE) ** 2, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.final_layer = FinalLayer()

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """Predict the velocity (n, 1, 8, 8) for noisy pictures ``x`` (n, 1, 8, 8).

        Args:
            x: Points on the way from noise to picture, (n, 1, 8, 8).
            t: Flow times in [0, 1], (n,); 0 is noise.
            labels: Digits 0..9 or ``NULL_CLASS``, (n,) int64.

        """
        condition = self.t_embedder(t) + self.y_embedder(labels)
        tokens = self.x_embedder(x) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens, condition)
        return functional.pixel_shuffle(self._grid(self.final_layer(tokens, condition)), PATCH_SIZE)

    @staticmethod
    def _grid(patches: Tensor) -> Tensor:
        """Lay patches (n, 16, 4) out as channels (n, 4, 4, 4) of the patch grid."""
        side = IMAGE_SIZE // PATCH_SIZE
        return patches.transpose(1, 2).reshape(patches.shape[0], -1, side, side)


def _blank_model() -> DigitsDiT:
    """Create a model with arbitrary weights, leaving the global random state as it was."""
    with torch.random.fork_rng(devices=[]):
        return DigitsDiT()


def build_model(seed: int) -> DigitsDiT:
    """Create an untrained model whose weights depend on ``seed`` alone."""
    generator = torch.Generator().manual_seed(seed)
    model = _blank_model()
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight.view(module.weight.shape[0], -1), generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02, generator=generator)
    nn.init.normal_(model.pos_embed, std=0.02, generator=generator)
    # Starting every block as the identity and the output at zero is what makes DiT training stable.
    for name, parameter in model.named_parameters():
        if "adaLN_modulation" in name or name.startswith("final_layer.linear"):
            nn.init.zeros_(parameter)
    return model


def load_model(state_dict: Mapping[str, Tensor]) -> DigitsDiT:
    """Create a float32 model in eval mode from a state dict, with or without ``CHECKPOINT_PREFIX`` on its keys."""
    model = _blank_model()
    model.load_state_dict({key.removeprefix(CHECKPOINT_PREFIX): value.float() for key, value in state_dict.items()})
    return model.eval()


def load_held_out() -> tuple[Tensor, Tensor, Tensor]:
    """Load the held-out pictures that neither training run has seen.

    Returns:
        Pictures in the original style (n, 1, 8, 8) in [-1, 1], the same pictures in the fine-tuned style, and their
        digits (n,) int64.

    """
    stored = load_file(HELD_OUT_FILE)
    plain, styled = (stored[key].float() / 127.5 - 1 for key in ("images_original_style", "images_new_style"))
    return plain, styled, stored["labels"].long()


@torch.no_grad()
def denoising_loss(model: DigitsDiT, images: Tensor, labels: Tensor, seed: int = 0, draws: int = 8) -> float:
    """Measure the mean squared velocity error, the same every time for the same seed.

    Args:
        model: Model to measure.
        images: Pictures (n, 1, 8, 8) in [-1, 1].
        labels: Their digits (n,) int64.
        seed: Decides the noise.
        draws: Number of (time, noise) draws for each picture; times are spread evenly over [0, 1].

    """
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for draw in range(draws):
        noise = torch.randn(images.shape, generator=generator)
        # Stratified times: each picture meets every part of the interval, at its own offset.
        t = (draw + torch.rand(len(images), generator=generator)) / draws
        mix = t.view(-1, 1, 1, 1)
        velocity = model((1 - mix) * noise + mix * images, t, labels)
        total += functional.mse_loss(velocity, images - noise).item()
    return total / draws


@torch.no_grad()
def sample(model: DigitsDiT, labels: Tensor, steps: int = 30, seed: int = 0, guidance: float = 2.0) -> Tensor:
    """Paint one picture per label with Euler steps from noise to picture.

    Args:
        model: Model that paints.
        labels: Wanted digits (n,) int64.
        steps: Number of Euler steps.
        seed: Decides the starting noise.
        guidance: Strength of classifier-free guidance; 1 switches it off.

    Returns:
        Pictures (n, 1, 8, 8) clipped to [-1, 1].

    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((len(labels), 1, IMAGE_SIZE, IMAGE_SIZE), generator=generator)
    nobody = torch.full_like(labels, NULL_CLASS)
    for step in range(steps):
        t = torch.full((len(labels),), step / steps)
        velocity = model(x, t, labels)
        if guidance != 1.0:
            unguided = model(x, t, nobody)
            velocity = unguided + guidance * (velocity - unguided)
        x = x + velocity / steps
    return x.clamp(-1, 1)
