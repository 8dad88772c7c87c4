from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.builders import (
    Context,
    DropOut,
    Shape,
    drop_out,
    dynamics_sequence,
    only,
    reward_sequence,
)
from vla_mbpo_ros.world_model.mask import mask
from vla_mbpo_ros.world_model.sequence import NO_ID, Block, Kind, Markers, layout, stages, text

MARKERS = Markers(90, 91)
SHAPES = st.builds(
    Shape,
    views=st.integers(1, 4),
    latent_tokens=st.integers(1, 3),
    vit_tokens=st.integers(0, 2),
    ivd=st.booleans(),
    text_room=st.sampled_from([0, 6]),
    prompt_room=st.sampled_from([0, 7]),
)


def _dynamics(shape: Shape) -> tuple[Block, ...]:
    return dynamics_sequence(shape, [1, 2, 3], [[4, 5 + view] for view in range(shape.views)])


def _words(blocks: tuple[Block, ...]) -> str:
    letters = {Kind.TEXT: "T", Kind.VIT: "v", Kind.LATENT: "l", Kind.NOISE: "N"}
    return " ".join(letters[b.kind] + (f"{b.view}{'+' * b.time}" if b.view >= 0 else "") for b in blocks)


def test_the_order_is_that_of_the_paper() -> None:
    shape = Shape(views=3, vit_tokens=4)
    assert _words(_dynamics(shape)) == ("T l0 v0 l1 v1 l2 v2 T0+ N0+ l0+ v0+ T1+ N1+ l1+ v1+ T2+ N2+")
    assert _words(_dynamics(replace(shape, ivd=False))) == "T l0 v0 l1 v1 l2 v2 T0+ N0+ T1+ N1+ T2+ N2+"
    assert _words(_dynamics(replace(shape, vit_tokens=0, views=2))) == "T l0 l1 T0+ N0+ l0+ T1+ N1+"


def test_the_reward_is_read_from_the_last_token_of_clean_views() -> None:
    blocks = reward_sequence(Shape(vit_tokens=4, text_room=9), [1, 2], [7])
    assert _words(blocks) == "v0 v1 T T"
    whole = layout(blocks, MARKERS)
    assert whole.ids[-1] == 7
    assert not whole.generation.any()
    assert _words(reward_sequence(Shape(), [1, 2], [7])) == "l0 l1 T T"  # no vision encoder


def test_positions_of_one_sequence_written_out() -> None:
    """A text a step a token; an image one place; the clean copy shares the place of the noise before it."""
    whole = layout(dynamics_sequence(Shape(2, 1, 1), [1, 2], [[3], [4, 5]]), MARKERS)
    lists = [
        [0, 1],  # task
        *[[place] * 3 for place in (2, 3, 4, 5)],  # head and wrist now
        [6],  # predict head
        [7] * 3,  # noise
        [7] * 3,  # its clean copy
        [8] * 3,
        [9, 10],  # predict wrist
        [11] * 3,
    ]
    assert whole.position.tolist() == [place for places in lists for place in places]


def test_experts_ids_and_offsets_of_an_image() -> None:
    for kind, generation in ((Kind.VIT, False), (Kind.LATENT, True), (Kind.NOISE, True)):
        whole = layout([text([1]), Block(kind, view=2, time=1, tokens=3)], MARKERS)
        assert whole.ids.tolist() == [1, 90, NO_ID, NO_ID, NO_ID, 91]
        assert whole.generation.tolist() == [False, False, generation, generation, generation, False]
        assert whole.offset.tolist() == [-1, -1, 0, 1, 2, -1]
        assert whole.image_place(1) == slice(2, 5)
        assert whole.view.tolist() == [-1, 2, 2, 2, 2, 2]
        assert whole.time.tolist() == [0, 1, 1, 1, 1, 1]


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.data())
def test_a_sequence_begins_as_it_would_without_its_end(shape: Shape, data: st.DataObject) -> None:
    """So a cache that was filled for one view serves the next."""
    blocks = _dynamics(shape)
    cut = data.draw(st.integers(1, len(blocks)))
    whole, part = layout(blocks, MARKERS), layout(blocks[:cut], MARKERS)
    for name in ("ids", "kind", "generation", "position", "block", "offset", "padding"):
        np.testing.assert_array_equal(getattr(whole, name)[: len(part)], getattr(part, name))


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.integers(0, 1000))
def test_dropped_blocks_leave_the_rest_where_it_is_dense_or_not(shape: Shape, seed: int) -> None:
    rates = DropOut(0.5, 0.5, 0.5, together=False)
    blocks = drop_out(_dynamics(shape), rates, np.random.default_rng(seed))
    sparse, dense = layout(blocks, MARKERS), layout(blocks, MARKERS, dense=True)
    assert len(dense) == len(layout(_dynamics(shape), MARKERS))
    there = np.array([not blocks[number].dropped for number in dense.block])
    for name in ("ids", "generation", "position", "block", "offset", "padding"):
        np.testing.assert_array_equal(getattr(dense, name)[there], getattr(sparse, name))
    np.testing.assert_array_equal(mask(dense)[np.ix_(there, there)], mask(sparse))


@settings(max_examples=40, deadline=None)
@given(SHAPES)
def test_room_left_in_a_text_changes_nothing_for_the_others(shape: Shape) -> None:
    tight = layout(_dynamics(replace(shape, text_room=0, prompt_room=0)), MARKERS)
    wide = layout(_dynamics(replace(shape, text_room=8, prompt_room=9)), MARKERS)
    used = ~wide.padding
    np.testing.assert_array_equal(wide.position[used], tight.position)
    np.testing.assert_array_equal(wide.ids[used], tight.ids)
    np.testing.assert_array_equal(mask(wide)[np.ix_(used, used)], mask(tight))


def test_missing_pictures_take_their_step_and_a_missing_prompt_does_not() -> None:
    blocks = _dynamics(Shape(2, 2, 1))
    whole, blind, idle = (layout(only(blocks, context), MARKERS) for context in Context)
    texts = whole.kind == Kind.TEXT
    assert idle.position[idle.kind == Kind.TEXT].tolist() == whole.position[texts].tolist()
    head = stages(blind)[0].noise.start
    assert blind.position[head] == whole.position[np.flatnonzero((whole.view == 0) & texts & (whole.time == 1))[0]]


def test_contexts_leave_out_the_prompts_of_all_views_or_all_pictures() -> None:
    blocks = _dynamics(Shape(3, 2, 1))
    kept = {
        context: _words(tuple(block for block in only(blocks, context) if not block.dropped)) for context in Context
    }
    assert kept[Context.ALL] == _words(blocks)
    assert kept[Context.NO_ACTIONS] == "T l0 v0 l1 v1 l2 v2 N0+ l0+ v0+ N1+ l1+ v1+ N2+"
    assert kept[Context.NO_IMAGES] == "T T0+ N0+ T1+ N1+ T2+ N2+"


def test_drop_out_keeps_its_rates_and_its_seed() -> None:
    blocks, rates, rounds = _dynamics(Shape(2, 2, 1)), DropOut(), 4000
    generator = np.random.default_rng(0)
    gone = np.array([[block.dropped for block in drop_out(blocks, rates, generator)] for _ in range(rounds)])
    wanted = {Kind.TEXT: 0.1, Kind.LATENT: 0.3, Kind.VIT: 0.3, Kind.NOISE: 0.0}
    for index, block in enumerate(blocks):
        assert abs(gone[:, index].mean() - wanted[block.kind]) < 4.0 * (0.25 / rounds) ** 0.5  # four standard errors
    again = np.random.default_rng(0)
    assert [block.dropped for block in drop_out(blocks, rates, again)] == gone[0].tolist()
    pictures = [index for index, block in enumerate(blocks) if block.kind in (Kind.LATENT, Kind.VIT)]
    assert 0.06 < gone[:, pictures].all(axis=1).mean() < 0.12  # 0.3 x 0.3: guidance's other context is learnt


def test_coins_of_their_own_almost_never_drop_all_pictures() -> None:
    blocks, rates = _dynamics(Shape(2, 2, 1)), DropOut(together=False)
    generator = np.random.default_rng(0)
    pictures = [index for index, block in enumerate(blocks) if block.kind in (Kind.LATENT, Kind.VIT)]
    gone = np.array([[block.dropped for block in drop_out(blocks, rates, generator)] for _ in range(2000)])
    assert gone[:, pictures].any(axis=1).mean() > 0.8
    assert gone[:, pictures].all(axis=1).mean() < 0.01


def test_what_cannot_be_a_sequence_is_refused() -> None:
    with pytest.raises(ContractError, match="shorter instruction"):
        dynamics_sequence(Shape(text_room=2), [1, 2, 3], [[4], [4]])
    with pytest.raises(ContractError, match="1 prompts for 2 views"):
        dynamics_sequence(Shape(), [1], [[4]])
    with pytest.raises(ContractError, match="at least one token"):
        Block(Kind.NOISE, view=0)
    with pytest.raises(ContractError, match="no tokens"):
        layout([replace(text([1]), dropped=True)], MARKERS)
