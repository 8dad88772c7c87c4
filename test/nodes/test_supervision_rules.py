"""The supervisor's rules, without ROS."""

from __future__ import annotations

from itertools import pairwise

from vla_mbpo_ros.nodes.supervision import ACTIVE, INACTIVE, UNCONFIGURED, Roster, Step

A, B = "/robot_node", "/policy_node"


def roster() -> Roster:
    return Roster([A, B], timeout_s=3.0)


def bring_up(members: Roster, now_s: float = 0.0) -> None:
    for pid, name in enumerate((A, B), start=1):
        members.heard(name, pid, ACTIVE, "", now_s)


def test_nodes_come_up_in_order_each_configured_then_activated() -> None:
    members, states, steps = roster(), {A: UNCONFIGURED, B: UNCONFIGURED}, []
    for now in range(10):
        for pid, (name, state) in enumerate(states.items(), start=1):
            members.heard(name, pid, state, "", now)
        step = members.next_step(now)
        if step is None:
            break
        steps.append(step)
        members.asked(step)
        members.answered(step, True, now)
        states[step.node] = INACTIVE if step.transition == "configure" else ACTIVE
    assert steps == [Step(A, "configure"), Step(A, "activate"), Step(B, "configure"), Step(B, "activate")]
    assert members.problems(5) == []


def test_a_node_waits_for_one_before_it_that_is_not_there() -> None:
    members = roster()
    members.heard(B, 2, UNCONFIGURED, "", 0)
    assert members.next_step(0) is None
    assert members.problems(0)[0] == f"{A} has not been heard yet."


def test_a_node_that_was_started_again_is_brought_back_to_active() -> None:
    members = roster()
    bring_up(members)
    assert members.heard(B, 77, UNCONFIGURED, "", 1.0)
    assert members.next_step(1.0) == Step(B, "configure")
    members.heard(B, 77, INACTIVE, "", 1.1)
    assert members.next_step(1.1) == Step(B, "activate")


def test_what_a_person_deactivated_stays_so_even_when_started_again() -> None:
    members = roster()
    bring_up(members)
    members.heard(B, 2, INACTIVE, "", 1.0)
    assert members.next_step(1.0) is None
    members.heard(B, 78, UNCONFIGURED, "", 2.0)
    members.heard(A, 1, ACTIVE, "", 2.0)
    assert members.next_step(2.0) == Step(B, "configure")
    members.heard(B, 78, INACTIVE, "", 2.1)
    assert members.next_step(2.1) is None


def test_a_refused_transition_is_tried_again_later_and_later() -> None:
    members = roster()
    tries, now = [], 0.0
    while len(tries) < 4:
        members.heard(A, 1, UNCONFIGURED, "no camera", now)
        if members.next_step(now):
            tries.append(now)
            members.asked(Step(A, "configure"))
            members.answered(Step(A, "configure"), False, now)
        now += 0.5
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == [1.0, 2.0, 4.0]
    assert "no camera" in members.problems(now)[0]


def test_nothing_is_asked_twice_while_an_answer_is_awaited() -> None:
    members = roster()
    members.heard(A, 1, UNCONFIGURED, "", 0)
    members.asked(Step(A, "configure"))
    assert members.next_step(0) is None


def test_a_silent_node_is_named() -> None:
    members = roster()
    bring_up(members)
    members.heard(A, 1, ACTIVE, "", 4.0)
    assert members.silent(4.0) == [B]
    assert "silent for 4.0 s" in members.problems(4.0)[0]


def test_a_heartbeat_that_is_older_than_our_own_transition_is_not_taken_for_a_persons_wish() -> None:
    members = roster()
    members.heard(A, 1, UNCONFIGURED, "", 0.0)
    for index, transition in enumerate(("configure", "activate")):
        step = Step(A, transition)
        members.asked(step)
        members.heard(A, 1, INACTIVE, "", 0.1 * index)  # may come before the answer, or after it
        members.answered(step, True, 0.1 * index)
        members.heard(A, 1, INACTIVE, "", 0.1 * index + 0.05)
    assert members.members[A].state == ACTIVE
    assert members.members[A].wanted == ACTIVE
