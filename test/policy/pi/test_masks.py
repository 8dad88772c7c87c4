"""The masks, against the rules said one pair at a time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.policy.pi.masks import (  # noqa: E402 (after the check for torch)
    expert_mask,
    expert_places,
    trunk_mask,
    trunk_places,
)

VALID = st.lists(st.booleans(), min_size=1, max_size=12).filter(any)


@settings(deadline=None)
@given(VALID, st.integers(0, 1), st.integers(1, 5))
def test_the_expert_sees_what_it_may(valid: list[bool], states: int, steps: int) -> None:
    mask = expert_mask(torch.tensor([valid]), states, steps)[0, 0]
    before, own = len(valid), states + steps
    assert mask.shape == (own, before + own)
    for row in range(own):
        for column in range(before + own):
            # the state sees the state; a step sees everything of the expert
            own_rule = column - before < states or row >= states
            assert bool(mask[row, column]) == (valid[column] if column < before else own_rule)


@settings(deadline=None)
@given(VALID, st.integers(1, 5))
def test_places_count_valid_tokens_only(valid: list[bool], steps: int) -> None:
    flags = torch.tensor([valid])
    places = trunk_places(flags)[0].tolist()
    assert [place for place, is_valid in zip(places, valid, strict=True) if is_valid] == list(range(sum(valid)))
    assert expert_places(flags, steps)[0].tolist() == list(range(sum(valid), sum(valid) + steps))


def test_every_row_of_the_trunk_sees_something() -> None:
    """Also rows of padding: a softmax over nothing would be NaN, and NaN times 0 is NaN."""
    valid = torch.tensor([[True, True, False], [False, False, True]])
    mask = trunk_mask(valid).expand(2, 1, 3, 3)
    assert bool(mask.any(dim=-1).all())
    assert mask[0, 0, 2].tolist() == [True, True, False]


def test_the_drawing_is_true() -> None:
    valid = torch.tensor([[True, True, False, False, True, True, False]])
    wanted = [[1, 1, 0, 0, 1, 1, 0, 1, 0, 0, 0], *[[1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1]] * 3]
    assert expert_mask(valid, 1, 3)[0, 0].int().tolist() == wanted
