"""What belongs together: the latest at or before T, if not too old."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.data.alignment import KEEP, Aligner
from vla_mbpo_ros.errors import StaleError

S = 10**9


@given(
    stamps=st.lists(st.integers(0, 1000), min_size=1, max_size=KEEP, unique=True).map(sorted),
    time=st.integers(0, 1200),
)
def test_the_pick_is_the_latest_at_or_before(stamps: list[int], time: int) -> None:
    aligner = Aligner({"head": 1e9})
    for stamp in stamps:
        aligner.add("head", stamp, f"frame {stamp}")
    past = [stamp for stamp in stamps if stamp <= time]
    if past:
        assert aligner.at(time) == {"head": (past[-1], f"frame {past[-1]}")}
    else:
        with pytest.raises(StaleError, match="head"):
            aligner.at(time)


def test_too_old_names_source_age_and_limit() -> None:
    aligner = Aligner({"head": 0.2, "joint_states": 1.0})
    aligner.add("head", 0, None)
    aligner.add("joint_states", S, None)
    with pytest.raises(StaleError, match=r"'head' is 1\.00 s old, 0\.20 s is the most"):
        aligner.at(S)
    aligner.set_max_age({"head": 2.0})
    assert set(aligner.at(S)) == {"head", "joint_states"}


def test_a_source_that_goes_back_in_time_is_not_believed() -> None:
    aligner = Aligner({"head": 1.0})
    aligner.add("head", 5, "new")
    aligner.add("head", 3, "old")
    assert aligner.at(5)["head"] == (5, "new")
