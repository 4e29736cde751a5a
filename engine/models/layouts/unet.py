"""Stable Diffusion's U-Nets and their VAE, whose blocks diffusers counts otherwise: the rows depend on the model.

The original numbers the layers of all levels through, down- and upsampling among them; diffusers has levels, each with
its own numbers. How many of what there are is read off the names, of either kind.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from engine.models.layouts.layout import Layout, Rename, Row, renamed

_RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
)
_STORED = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.")
_CANONICAL = re.compile(r"(input|output)_blocks\.(\d+)\.(\d+)\.(\w+)")


@dataclass
class _Level:
    """One level of a U-Net on its way down or up.

    Attributes:
        resnets: how many residual blocks it has.
        attention: whether a block of attention follows each of them.
        resampled: whether it ends with down- or upsampling.
    """

    resnets: int = 0
    attention: bool = False
    resampled: bool = False


def _levels_of_stored(names: Collection[str], way: str) -> list[_Level]:
    """The levels ``down`` or ``up`` by diffusers' names."""
    levels: dict[int, _Level] = {}
    for name in names:
        match = _STORED.match(name)
        if match is None or match[1] != way:
            continue
        level = levels.setdefault(int(match[2]), _Level())
        if match[3] in ("resnets", "attentions"):
            level.resnets = max(level.resnets, int(match[4]) + 1)
            level.attention |= match[3] == "attentions"
        else:
            level.resampled = True
    return [levels.get(number, _Level()) for number in range(max(levels, default=-1) + 1)]


def _levels_of_canonical(names: Collection[str], way: str) -> list[_Level]:
    """The levels ``input`` or ``output`` by the original's names; none where a layer is missing among them."""
    layers: dict[int, set[tuple[int, str]]] = {}
    for name in names:
        match = _CANONICAL.match(name)
        if match is not None and match[1] == way:
            layers.setdefault(int(match[2]), set()).add((int(match[3]), match[4]))
    if layers.keys() != set(range(len(layers))):
        return []
    if way == "input":
        layers.pop(0, None)  # the first convolution
    levels = [_Level()]
    for _, modules in sorted(layers.items()):
        level = levels[-1]
        down = (0, "op") in modules
        level.resnets += not down
        level.attention |= any(at == 1 and inner != "conv" for at, inner in modules)
        level.resampled = down or any(at > 0 and inner == "conv" for at, inner in modules)
        if level.resampled:
            levels.append(_Level())
    return [level for level in levels if level.resnets]


def _unet_rows(down: list[_Level], up: list[_Level]) -> tuple[Row, ...]:
    """The rows of a whole U-Net; none of one that lacks levels, or the sampling between them, by which they count."""
    whole = all(all(level.resampled for level in levels[:-1]) for levels in (down, up))
    if not whole or not down or len(down) != len(up) or not all(level.resnets for level in (*down, *up)):
        return ()
    rows = list[Row](
        renamed(
            ("conv_in", "input_blocks.0.0"),
            ("conv_norm_out", "out.0"),
            ("conv_out", "out.2"),
            ("time_embedding.linear_1", "time_embed.0"),
            ("time_embedding.linear_2", "time_embed.2"),
            ("add_embedding.linear_1", "label_emb.0.0"),
            ("add_embedding.linear_2", "label_emb.0.2"),
            ("class_embedding.linear_1", "label_emb.0.0"),
            ("class_embedding.linear_2", "label_emb.0.2"),
        )
    )
    rows.append(Rename("class_embedding.weight", "label_emb.weight"))
    for at in range(2):
        rows += renamed(*_RESNET, start=(f"mid_block.resnets.{at}.", f"middle_block.{2 * at}."))
    rows += renamed(("mid_block.attentions.0", "middle_block.1"))
    layer = 1
    for number, level in enumerate(down):
        rows += _level_rows(f"down_blocks.{number}", "input_blocks", layer, level)
        layer += level.resnets
        if level.resampled:
            rows += renamed((f"down_blocks.{number}.downsamplers.0.conv", f"input_blocks.{layer}.0.op"))
            layer += 1
    layer = 0
    for number, level in enumerate(up):
        rows += _level_rows(f"up_blocks.{number}", "output_blocks", layer, level)
        layer += level.resnets
        if level.resampled:
            place = f"output_blocks.{layer - 1}.{2 if level.attention else 1}.conv"
            rows += renamed((f"up_blocks.{number}.upsamplers.0.conv", place))
    return tuple(rows)


def _level_rows(there: str, here: str, first: int, level: _Level) -> Iterator[Row]:
    for at in range(level.resnets):
        yield from renamed(*_RESNET, start=(f"{there}.resnets.{at}.", f"{here}.{first + at}.0."))
        if level.attention:
            yield from renamed((f"{there}.attentions.{at}", f"{here}.{first + at}.1"))


def _unet_of_stored(names: Collection[str]) -> tuple[Row, ...]:
    return _unet_rows(_levels_of_stored(names, "down"), _levels_of_stored(names, "up"))


def _unet_of_canonical(names: Collection[str]) -> tuple[Row, ...]:
    return _unet_rows(_levels_of_canonical(names, "input"), _levels_of_canonical(names, "output"))


_UNET_SIGNATURE = ("down_blocks.0.resnets.0.conv1.weight", "mid_block.resnets.0.conv1.weight", "conv_in.weight")
_UNET_SOURCE = "diffusers 0.42, loaders/single_file_utils.py, convert_ldm_unet_checkpoint"
SDXL = Layout(
    "sdxl_diffusers",
    "diffusers names",
    _UNET_SOURCE,
    family="sdxl",
    signature=(*_UNET_SIGNATURE, "add_embedding.linear_1.weight"),
    rows_of_stored=_unet_of_stored,
    rows_of_canonical=_unet_of_canonical,
    ran=True,
)
SD1 = Layout(
    "sd1_diffusers",
    "diffusers names",
    _UNET_SOURCE,
    family="sd1",
    signature=(*_UNET_SIGNATURE, "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"),
    absent=("add_embedding.linear_1.weight", "controlnet_mid_block.weight"),
    rows_of_stored=_unet_of_stored,
    rows_of_canonical=_unet_of_canonical,
    ran=True,
)

_VAE_RESNET = ("norm1", "conv1", "norm2", "conv2")
_VAE_ATTENTION = (
    ("q", "to_q", "query"),
    ("k", "to_k", "key"),
    ("v", "to_v", "value"),
    ("proj_out", "to_out.0", "proj_attn"),
)


def _vae_rows(levels: int) -> tuple[Row, ...]:
    """The rows of a VAE of so many levels; its decoder's are numbered from the other end."""
    rows = list[Row]()
    for half in ("encoder", "decoder"):
        rows += renamed((f"{half}.conv_norm_out", f"{half}.norm_out"))
        for at in range(2):
            start = (f"{half}.mid_block.resnets.{at}.", f"{half}.mid.block_{at + 1}.")
            rows += renamed(("conv_shortcut", "nin_shortcut"), *((name, name) for name in _VAE_RESNET), start=start)
        start = (f"{half}.mid_block.attentions.0.", f"{half}.mid.attn_1.")
        rows += renamed(("group_norm", "norm"), start=start)
        for here, *spellings in _VAE_ATTENTION:
            rows += (Rename(f"{start[0]}{name}.{{rest}}", f"{start[1]}{here}.{{rest}}", kernel=2) for name in spellings)
    for at in range(levels):
        for there, here in (
            (f"encoder.down_blocks.{at}", f"encoder.down.{at}"),
            (f"decoder.up_blocks.{at}", f"decoder.up.{levels - 1 - at}"),
        ):
            rows += renamed(
                ("conv_shortcut", "nin_shortcut"),
                *((name, name) for name in _VAE_RESNET),
                start=(f"{there}.resnets.{{n}}.", f"{here}.block.{{n}}."),
            )
        rows += renamed(
            (f"encoder.down_blocks.{at}.downsamplers.0.conv", f"encoder.down.{at}.downsample.conv"),
            (f"decoder.up_blocks.{at}.upsamplers.0.conv", f"decoder.up.{levels - 1 - at}.upsample.conv"),
        )
    return tuple(rows)


def _vae_of_stored(names: Collection[str]) -> tuple[Row, ...]:
    return _vae_rows(_count(r"decoder\.up_blocks\.(\d+)\.", names))


def _vae_of_canonical(names: Collection[str]) -> tuple[Row, ...]:
    return _vae_rows(_count(r"decoder\.up\.(\d+)\.", names))


def _count(pattern: str, names: Collection[str]) -> int:
    return len({match[1] for name in names if (match := re.match(pattern, name))})


VAE = Layout(
    "vae_diffusers",
    "diffusers names",
    "diffusers 0.42, loaders/single_file_utils.py, convert_ldm_vae_checkpoint",
    component="vae",
    signature=(
        "encoder.down_blocks.0.resnets.0.conv1.weight",
        "encoder.mid_block.attentions.0.group_norm.weight",
        "decoder.up_blocks.0.resnets.0.conv1.weight",
    ),
    rows_of_stored=_vae_of_stored,
    rows_of_canonical=_vae_of_canonical,
    ran=True,
)
