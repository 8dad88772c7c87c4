"""Who is waited for, and for how long."""

from __future__ import annotations

from vla_mbpo_ros.sim.lockstep import Lockstep


def test_nobody_is_waited_for_at_first() -> None:
    step = Lockstep()
    step.begin(10, 0.0)
    assert step.missing == ()


def test_who_has_answered_once_is_waited_for() -> None:
    step = Lockstep()
    step.begin(10, 0.0)
    step.answer("policy", 10)
    step.begin(20, 1.0)
    assert step.missing == ("policy",)
    step.answer("policy", 20)
    assert step.missing == ()


def test_an_answer_to_an_old_tick_does_not_count() -> None:
    step = Lockstep()
    step.answer("policy", 20)
    step.begin(20, 0.0)
    step.answer("policy", 10)
    assert step.missing == ()
    step.begin(30, 0.0)
    step.answer("policy", 20)
    assert step.missing == ("policy",)


def test_who_is_late_is_dropped_and_may_come_back() -> None:
    step = Lockstep()
    step.answer("policy", 10)
    step.answer("recorder", 20)
    step.begin(20, 5.0)
    assert step.expire(5.9, timeout_s=1.0) == ()
    assert step.expire(6.0, timeout_s=1.0) == ("policy",)
    assert step.missing == ()
    step.begin(30, 7.0)
    assert step.missing == ("recorder",)
    step.answer("policy", 30)
    step.begin(40, 8.0)
    assert step.missing == ("policy", "recorder")


def test_who_leaves_is_not_waited_for() -> None:
    step = Lockstep()
    step.answer("policy", 10)
    step.begin(20, 0.0)
    step.leave("policy")
    assert step.missing == ()
