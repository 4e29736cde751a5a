"""Which blocks stay, in which order they leave, and how the order of work is cut into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.checkpoints import StoredTensor, WeightSource, WeightView
from engine.checkpoints.stored import RAW
from engine.models.blocks import Block
from engine.models.pairing import PairedWeight
from engine.planning.residency import ALL_BLOCKS, OUTSIDE, batches, block_name, block_positions, blocks_to_keep

PARTS = ("middle", "output", "input", "other")  # the order in which they are worth keeping


def weight(block: Block, component: str = "denoiser", name: str = "w") -> PairedWeight:
    source = WeightSource(name, (1, 1), "F32", RAW, (StoredTensor(name, "F32", (1, 1), 4),))
    view = WeightView.of(source, component)
    return PairedWeight(name, "matrix", component, (1, 1), view, view, block)


@st.composite
def models(draw: st.DrawFn) -> list[PairedWeight]:
    """Weights in the order of work: runs of one to four per block, some outside of all blocks."""
    numbers = draw(st.lists(st.integers(0, 60), max_size=50, unique=True))
    found: list[PairedWeight] = []
    for number in numbers:
        part = draw(st.sampled_from((*PARTS, "")))
        block = Block(f"{part}_blocks.{number}", part, number) if part else Block()
        component = draw(st.sampled_from(("denoiser", "text_encoders")))
        found += [weight(block, component, f"{number}.{index}") for index in range(draw(st.integers(1, 4)))]
    return found


@given(models(), st.integers(0, ALL_BLOCKS))
def test_as_many_blocks_stay_as_are_asked_for_and_at_forty_all(weights: list[PairedWeight], count: int) -> None:
    names = {block_name(weight) for weight in weights if weight.block.name}
    outside = any(not weight.block.name for weight in weights)
    kept = blocks_to_keep(weights, count)
    if count == ALL_BLOCKS and outside:  # the last of all, and not a block
        assert kept[-1] == OUTSIDE
        kept = kept[:-1]
    assert len(kept) == len(set(kept)) == (len(names) if count == ALL_BLOCKS else min(count, len(names)))
    assert set(kept) <= names


@given(models(), st.integers(0, ALL_BLOCKS - 1))
def test_the_middle_blocks_stay_first_then_output_input_and_the_others(weights: list[PairedWeight], count: int) -> None:
    blocks = {block_name(weight): weight.block for weight in weights if weight.block.name}
    ranks = {name: (PARTS.index(block.part), block.order) for name, block in blocks.items()}
    kept = blocks_to_keep(weights, count)
    assert [ranks[name] for name in kept] == sorted(ranks.values())[:count]


@given(models(), st.integers(0, ALL_BLOCKS), st.randoms())
def test_what_stays_depends_on_no_order(weights: list[PairedWeight], count: int, chance: object) -> None:
    shuffled = weights.copy()
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert blocks_to_keep(shuffled, count) == blocks_to_keep(weights, count)


def test_the_same_block_of_two_components_is_two_blocks() -> None:
    block = Block("blocks.0", "middle", 0)
    kept = blocks_to_keep([weight(block), weight(block, "text_encoders")], ALL_BLOCKS)
    assert kept == ("denoiser:blocks.0", "text_encoders:blocks.0")


@given(models())
def test_positions_count_the_changes_of_block(weights: list[PairedWeight]) -> None:
    positions = block_positions(weights)
    assert len(positions) == len(weights)
    assert list(positions[:1]) == [0] * bool(weights)
    for index in range(1, len(weights)):
        before, here = weights[index - 1], weights[index]
        same = (before.component, before.block.name) == (here.component, here.block.name)
        assert positions[index] - positions[index - 1] == (0 if same else 1)


@given(models(), st.integers(1, 8), st.integers(0, 10))
def test_batches_cover_every_layer_once_in_order_within_their_size_and_blocks(
    weights: list[PairedWeight], size: int, ahead: int
) -> None:
    found, positions = batches(weights, size, ahead), block_positions(weights)
    assert [index for batch in found for index in batch] == list(range(len(weights)))
    for batch in found:
        assert 1 <= len(batch) <= size
        assert positions[batch[-1]] - positions[batch[0]] <= ahead


@given(models(), st.integers(1, 8), st.integers(0, 10))
def test_a_batch_ends_only_where_the_next_layer_may_not_join_it(
    weights: list[PairedWeight], size: int, ahead: int
) -> None:
    found, positions = batches(weights, size, ahead), block_positions(weights)
    for batch in found[:-1]:
        assert len(batch) == size or positions[batch[-1] + 1] - positions[batch[0]] > ahead
