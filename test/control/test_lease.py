"""At most one source at a time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.control.lease import Lease

SOURCES = ("human", "script", "policy")


@given(asked=st.lists(st.tuples(st.sampled_from((*SOURCES, "stranger")), st.integers(0, 30)), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_whoever_takes_it_holds_it_alone_and_only_a_higher_one_or_silence_ends_it(asked: list[tuple[str, int]]) -> None:
    lease, now, since = Lease(SOURCES, 20), 0, 0
    for source, waited in asked:
        now += waited
        lease.expire(now)
        holder = lease.holder
        assert (holder == "") or now - since <= 20
        may = source in SOURCES and (holder == "" or SOURCES.index(source) <= SOURCES.index(holder))
        assert lease.free_for(source) == may
        assert lease.take(source, now) == may
        assert lease.holder == (source if may else holder)
        since = now if may else since


def test_silence_is_reported_once() -> None:
    lease = Lease(SOURCES, 20)
    lease.take("policy", 0)
    assert lease.expire(20) == ""
    assert lease.expire(21) == "policy"
    assert lease.expire(22) == ""
