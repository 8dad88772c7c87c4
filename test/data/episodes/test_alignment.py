"""What belongs together: the latest at or before T, if not too old."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.data.episodes.alignment import KEEP, Aligner, ApproximateTime
from vla_mbpo_ros.errors import ConfigError, StaleError

S = 10**9
NS = 1e-9
STAMPS = st.lists(st.integers(0, 300), min_size=1, max_size=KEEP, unique=True).map(sorted)


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


def test_of_two_items_with_one_stamp_the_first_counts_and_the_other_is_counted() -> None:
    aligner = Aligner({"head": 1.0})
    assert [aligner.add("head", 5, "first"), aligner.add("head", 5, "second")] == [True, False]
    assert aligner.at(6)["head"] == (5, "first")
    assert aligner.dropped == {"head": 1}


@given(stamps=STAMPS, time=st.integers(0, 350), delay=st.integers(0, 50))
def test_the_nearest_is_nearest_of_what_has_come_by_the_stated_delay(stamps: list[int], time: int, delay: int) -> None:
    aligner = Aligner({"head": 1e9}, nearest={"head": delay * NS})
    for stamp in stamps:
        aligner.add("head", stamp, stamp)
    here = [stamp for stamp in stamps if stamp <= time + delay]
    if here:
        assert aligner.pick("head", time)[0] == min(here, key=lambda stamp: (abs(stamp - time), stamp))
    else:
        with pytest.raises(StaleError):
            aligner.pick("head", time)


@given(stamps=STAMPS, delay=st.integers(0, 50))
def test_a_node_that_asks_with_the_delay_picks_what_the_bag_picks(stamps: list[int], delay: int) -> None:
    """The node asks for `now - delay` when the message of `now` has come; the bag has all messages from the start."""
    rules = {"head": delay * NS}
    live, offline = Aligner({"head": 1e9}, rules), Aligner({"head": 1e9}, rules, keep=None)
    for stamp in stamps:
        offline.add("head", stamp, stamp)
    for stamp in stamps:
        live.add("head", stamp, stamp)
        assert live.pick("head", stamp - delay) == offline.pick("head", stamp - delay)


def test_too_old_is_too_old_on_either_side() -> None:
    aligner = Aligner({"head": 10 * NS}, nearest={"head": 100 * NS})
    aligner.add("head", 50, None)
    assert aligner.pick("head", 40) == aligner.pick("head", 60) == (50, None)
    for time in (39, 61):
        with pytest.raises(StaleError):
            aligner.pick("head", time)


@given(stamps=STAMPS)
def test_exactly_gives_the_very_item_or_says_which_is_missing(stamps: list[int]) -> None:
    aligner = Aligner({"head": 1.0}, keep=None)
    for stamp in stamps:
        aligner.add("head", stamp, f"frame {stamp}")
    for stamp in stamps:
        assert aligner.exactly({"head": stamp}) == {"head": (stamp, f"frame {stamp}")}
    with pytest.raises(StaleError, match="'head' is stamped 1000"):
        aligner.exactly({"head": 1000})
    with pytest.raises(StaleError, match="wrist"):
        aligner.exactly({"wrist": stamps[0]})


def test_a_node_keeps_only_the_newest_a_bag_keeps_all() -> None:
    node, bag = Aligner({"head": 1e9}), Aligner({"head": 1e9}, keep=None)
    for stamp in range(KEEP + 5):
        node.add("head", stamp, None)
        bag.add("head", stamp, None)
    assert bag.pick("head", 0) == (0, None)
    with pytest.raises(StaleError, match="nothing has come"):
        node.pick("head", 4)


# -- sets of sources without a common clock ----------------------------------------------------------------------

EVENTS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60)), max_size=30)


@given(events=EVENTS, slop=st.integers(0, 20))
def test_sets_lie_within_the_slop_go_forward_and_share_nothing(events: list[tuple[str, int]], slop: int) -> None:
    matcher, sets = ApproximateTime("ab", slop * NS), []
    for number, (name, stamp) in enumerate(events):
        found = matcher.add(name, stamp, number)
        if found:
            assert found[name] == (stamp, number), "a set is given when its last item comes"
            sets.append(found)
    for found in sets:
        assert set(found) == {"a", "b"}
        assert abs(found["a"][0] - found["b"][0]) <= slop
    for name in "ab":
        items = [found[name] for found in sets]
        assert len({number for _, number in items}) == len(items), "an item is used once"
        stamps = [stamp for stamp, _ in items]
        assert stamps == sorted(stamps)


@given(
    waiting=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=14),
    stamp=st.integers(0, 40),
    slop=st.integers(0, 12),
)
def test_of_all_sets_that_an_item_completes_the_closest_is_given(
    waiting: list[tuple[str, int]], stamp: int, slop: int
) -> None:
    matcher = ApproximateTime("abc", slop * NS)
    for name, at in waiting:
        assert matcher.add(name, at, None) is None, "nothing of the third source has come"
    found = matcher.add("c", stamp, None)
    spans = [
        max(a, b, stamp) - min(a, b, stamp)
        for a, b in product(*([at for name, at in waiting if name == which] for which in "ab"))
    ]
    best = min((span for span in spans if span <= slop), default=None)
    if best is None:
        assert found is None
    else:
        assert found is not None
        stamps = [at for at, _ in found.values()]
        assert max(stamps) - min(stamps) == best


def test_a_source_that_stays_silent_does_not_eat_memory() -> None:
    matcher = ApproximateTime(["a", "b"], 1.0, keep=3)
    for stamp in range(100):
        assert matcher.add("a", stamp * S, stamp) is None
    assert matcher.add("b", 97 * S, "b") is not None
    assert matcher.add("b", 5 * S, "b") is None


@pytest.mark.parametrize(("names", "slop_s", "keep"), [([], 1.0, 3), (["a"], -1.0, 3), (["a"], 1.0, 0)])
def test_a_matcher_that_can_find_nothing_is_refused(names: list[str], slop_s: float, keep: int) -> None:
    with pytest.raises(ConfigError, match="cannot be found"):
        ApproximateTime(names, slop_s, keep)
