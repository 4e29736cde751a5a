"""What a run did for want of memory, in words: for the log and for the marks in the plot."""

from __future__ import annotations

from app.text.notices import counted, format_bytes
from app.text.translation import plural, translator
from engine.events import BatchSizeChanged, BlocksResident, Offloaded, OutOfMemory

_tr = translator("memory")

NAMES_SHOWN = 3


def offloaded_text(event: Offloaded) -> str:
    """``Freed 1.2 GB: offloaded block double_blocks.3 (memory limit reached); 7 blocks stay``."""
    prefetched = event.what == "prefetched"
    template = _tr("Freed {size}: gave up {blocks}, read ahead ({cause}); what was given up is read again")
    if not prefetched:
        template = _tr("Freed {size}: offloaded {blocks} ({cause}); {kept}")
    kept = plural("memory", "{blocks} stays", "{blocks} stay", event.kept_blocks)
    if event.kept_blocks == 0:
        kept = _tr("no block stays")
    return template.format(
        size=format_bytes(event.freed_bytes),
        blocks=_blocks(event.blocks),
        cause=_cause(event.cause),
        kept=kept.format(blocks=counted(event.kept_blocks, "block")),
    )


def batch_size_text(event: BatchSizeChanged) -> str:
    """``From now on 2 layers at once instead of 4 (memory limit reached)``."""
    layers = counted(event.after, "layer")
    if event.after > event.before:
        text = _tr("There is memory again: {after} at once instead of {before}")
        return text.format(after=layers, before=event.before)
    text = _tr("From now on {after} at once instead of {before} ({cause})")
    return text.format(after=layers, before=event.before, cause=_cause(event.cause))


def out_of_memory_text(event: OutOfMemory) -> str:
    """What failed, and what is done about it before the layer is tried again."""
    steps = {
        "drop_resident": _tr("blocks kept from earlier make room, then it is tried again"),
        "drop_prefetched": _tr("what was read ahead makes room, then it is tried again"),
        "halve_batch": _tr("it is tried again with fewer layers beside it"),
        "alone": _tr("it is tried again alone"),
        "cpu": _tr("the processor works on it instead"),
    }
    return _tr("Out of memory in {name}: {step}").format(name=event.name, step=steps[event.step])


def blocks_kept_text(event: BlocksResident) -> str:
    """What stays on the device for the next extraction."""
    text = plural(
        "memory",
        "{blocks} ({size}) stays on the device for the next extraction",
        "{blocks} ({size}) stay on the device for the next extraction",
        event.kept,
    )
    if event.offloaded:
        text = plural(
            "memory",
            "{blocks} ({size}) stays on the device for the next extraction; {others} did not fit",
            "{blocks} ({size}) stay on the device for the next extraction; {others} did not fit",
            event.kept,
        )
    return text.format(blocks=counted(event.kept, "block"), size=format_bytes(event.kept_bytes), others=event.offloaded)


def short_name(block: str) -> str:
    """A block's name without the part of the model it is in: ``denoiser:double_blocks.3``."""
    return block.rpartition(":")[2]


def _blocks(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return _tr("block {name}").format(name=short_name(names[0]))
    shown = ", ".join(short_name(name) for name in names[:NAMES_SHOWN])
    text = _tr("{count} blocks: {names}")
    if len(names) > NAMES_SHOWN:
        text = _tr("{count} blocks: {names} and {more} more")
    return text.format(count=len(names), names=shown, more=len(names) - NAMES_SHOWN)


def _cause(cause: str) -> str:
    return {
        "ceiling": _tr("this run's share is full"),
        "threshold": _tr("memory limit reached"),
        "out_of_memory": _tr("out of memory"),
        "limit": _tr("more than \u201cBlocks in GPU\u201d allows"),
    }[cause]
