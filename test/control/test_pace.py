from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.control.pace import Pace

MS = 10**6
START_NS = 1_700_000_000 * 10**9


@given(looks=st.lists(st.integers(1 * MS, 20 * MS), min_size=400, max_size=400), period_ms=st.integers(25, 100))
def test_the_mean_rate_is_right_and_nothing_is_later_than_one_look(looks: list[int], period_ms: int) -> None:
    pace, now_ns, done = Pace(period_ms * MS), START_NS, []
    for step_ns in looks:
        now_ns += step_ns
        if pace.is_due(now_ns):
            pace.done(now_ns)
            done.append(now_ns)
    for count, at_ns in enumerate(done):
        assert 0 <= at_ns - done[0] - count * period_ms * MS + 20 * MS <= 40 * MS


def test_a_pause_is_not_made_up_for() -> None:
    pace = Pace(100 * MS)
    pace.done(START_NS)
    pace.done(START_NS + 950 * MS)
    assert not pace.is_due(START_NS + 1049 * MS)
    assert pace.is_due(START_NS + 1050 * MS)


def test_a_clock_that_was_set_back_does_not_silence_it() -> None:
    pace = Pace(100 * MS)
    pace.done(START_NS)
    assert pace.is_due(START_NS - 10**12)
