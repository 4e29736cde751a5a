"""Words that trainers leave in front of a model's names or inside them, and what they say of models in one file.

Three kinds of words: those that no module is ever called, dropped wherever they stand; those that may well be a module
of the model (``model``, ``transformer``), which count only where the rest matches exactly; and those that say which of
several models in one file a weight belongs to (``generator``, ``critic``, an EMA copy).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

ALWAYS = frozenset(
    (
        "_orig_mod",  # torch.compile
        "_fsdp_wrapped_module",  # torch.distributed.fsdp
        "_checkpoint_wrapped_module",  # torch.distributed.algorithms._checkpoint
        "_fpw_module",  # the first FSDP, of fairscale and torch 1.11
        "_forward_module",  # lightning.fabric
    )
)
WRAPPERS = frozenset(
    (
        *("module", "model", "base_model", "state_dict", "model_state_dict", "params", "weights"),
        *("transformer", "unet", "net", "network", "dit", "pipe", "pipeline", "denoiser", "backbone"),
        *("bert", "language_model"),
    )
)
_ROLES = {
    # which of several models a word stands for, by how likely it is the one that was meant; 0 is a model without a word
    **dict.fromkeys(("generator", "student"), 1),
    **dict.fromkeys(("teacher", "real_score"), 2),
    **dict.fromkeys(("critic", "fake_score", "discriminator", "guidance_model"), 3),
}
_ENDINGS = ("_model", "_state_dict", "_net", "_transformer", "_unet", "_dit")


def role_of(word: str) -> int:
    """The rank of the model that a word stands for; 0 where it names none."""
    word = _without_ema(word) or word
    return next((_ROLES[short] for short in (word, *map(word.removesuffix, _ENDINGS)) if short in _ROLES), 0)


def is_ema(word: str) -> bool:
    """Whether a word stands for averaged weights: ``ema``, ``model_ema``, ``ema_model``, ``generator_ema`` ..."""
    return _without_ema(word) is not None


def _without_ema(word: str) -> str | None:
    """What a word says besides ``ema``; None where it does not say that."""
    if word == "ema":
        return ""
    for rest in (word.removesuffix("_ema"), word.removeprefix("ema_")):
        if rest != word and (rest in WRAPPERS or rest in _ROLES):
            return rest
    return None


@lru_cache(maxsize=4096)
def _is_leading(word: str) -> bool:
    return word in WRAPPERS or is_ema(word) or role_of(word) > 0


def leading_words(name: str) -> tuple[str, ...]:
    """The words of all three kinds that a name begins with. The last word, a parameter, is never one of them."""
    begin = 0
    while (end := name.find(".", begin)) >= 0 and _is_leading(name[begin:end]):
        begin = end + 1
    return tuple(name[:begin].split(".")[:-1])


def model_start(name: str) -> str:
    """The beginning of a name up to the last leading word that tells models apart; empty where none does."""
    return _model_start(leading_words(name))


@lru_cache(maxsize=4096)
def _model_start(words: tuple[str, ...]) -> str:
    last = max((at for at, word in enumerate(words) if is_ema(word) or role_of(word)), default=-1)
    return "".join(word + "." for word in words[: last + 1])


def starts(names: Iterable[str]) -> list[str]:
    """All beginnings of the names that consist of leading words, shortest first; the empty one is always there."""
    found = {""}
    for words in set(map(leading_words, names)):
        found.update("".join(word + "." for word in words[:count]) for count in range(1, len(words) + 1))
    return sorted(found, key=lambda start: (start.count("."), start))


def preference(start: str) -> tuple[bool, bool, int]:
    """Sort key of the models in a file: no word, a generator, their EMA copies, a teacher, a critic."""
    words = start.split(".")[:-1]
    role = max(map(role_of, words), default=0)
    return role > 1, any(map(is_ema, words)), role


def without_always(name: str) -> str:
    """A name without the words that no module is called."""
    if "._" not in name and not name.startswith("_"):  # as all of them begin
        return name
    return ".".join(word for word in name.split(".") if word not in ALWAYS)


def without_module(name: str) -> str:
    """A name without the word ``module``, which stands inside the names too where single blocks were wrapped."""
    if "module." not in name:
        return name
    *words, last = name.split(".")
    return ".".join((*(word for word in words if word != "module"), last))


def bare(name: str) -> str:
    """What is left of a name without any wrapper word, wherever it stands: equal for names that may be the same."""
    *words, last = name.split(".")
    return ".".join((*(word for word in words if not _is_leading(word)), last))


_FLAT = re.compile(
    r"input_blocks\d+|output_blocks\d+|middle_block\d|transformer_blocks\d+|time_embed\d|label_emb0\d"
    r"|in_layers\d|out_layers\d|emb_layers\d|skip_connection|proj_in|proj_out|attn\d|to_out\d|to_[qkv]"
    r"|ffnet\d|norm\d?|conv|proj|op|out\d|weight|bias"
)


def dotted(flat: str) -> str | None:
    """A name in a Stable Diffusion U-Net from its letters alone: the EMA copies of such checkpoints lack the dots.

    ``diffusion_modelinput_blocks41transformer_blocks0attn1to_qweight`` is
    ``input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight``. None where the letters are no such name.
    Source: diffusers 0.42, loaders/single_file_utils.py, ``convert_ldm_unet_checkpoint`` (``flat_ema_key``).
    """
    text = flat.removeprefix("diffusion_model")
    if text == flat:
        return None
    found = "".join(_FLAT.findall(text))
    return ".".join(_flat_words(text)) if found == text else None


def _flat_words(text: str) -> Iterator[str]:
    for word in _FLAT.findall(text):
        letters = word.rstrip("0123456789")
        digits = word[len(letters) :]
        if letters == "ffnet":
            yield from ("ff", "net", digits)
        elif letters in ("input_blocks", "output_blocks", "label_emb"):  # a list of short lists
            yield from (letters, digits[:-1], digits[-1])
        elif digits and letters not in ("attn", "norm"):
            yield from (letters, digits)
        else:
            yield word
