from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from vla_mbpo_ros.config import Config, PolicyConfig
from vla_mbpo_ros.policy import Policy, make_policy
from vla_mbpo_ros.schema import ImageArray, Observation
from vla_mbpo_ros.sim.factory import make_twin
from vla_mbpo_ros.sim.twin import Twin

CONTROL_HZ = 15.0
REPLAN_STEPS = 8
LONGEST_TICKS = 300  # 20 s, three tries


@pytest.fixture(scope="session")
def shared_twin() -> Iterator[Twin]:
    twin = make_twin(Config())
    yield twin
    twin.close()


@pytest.fixture
def twin(shared_twin: Twin) -> Twin:
    """At home with layout 0."""
    shared_twin.reset(0)
    return shared_twin


@pytest.fixture(scope="session")
def shared_policy(shared_twin: Twin) -> Policy:
    return make_policy(PolicyConfig(), shared_twin.robot, CONTROL_HZ)


@pytest.fixture
def policy(shared_policy: Policy) -> Policy:
    """With an episode just begun."""
    shared_policy.reset()
    return shared_policy


Change = Callable[[ImageArray], ImageArray]
Observe = Callable[..., Observation]
Solve = Callable[..., bool]


@pytest.fixture
def observe(twin: Twin) -> Observe:
    """What a policy sees of the twin now; `change` spoils the head image on its way."""

    def now(width: int = 64, height: int = 64, change: Change | None = None) -> Observation:
        head = twin.render("head", width, height)
        state = twin.joint_state()
        image = head if change is None else change(head)
        return Observation(state.stamp_ns, {"head": image}, state.position, twin.instruction)

    return now


@pytest.fixture
def solve(twin: Twin, policy: Policy, observe: Observe) -> Solve:
    """One episode in closed loop, directly on the twin: a chunk every REPLAN_STEPS ticks."""

    def episode(seed: int, width: int = 64, height: int = 64, change: Change | None = None) -> bool:
        twin.reset(seed)
        policy.reset()
        while not twin.success and twin.ticks < LONGEST_TICKS:
            chunk = policy.sample(policy.encode([observe(width, height, change)]), seed=0).values[0]
            for target in chunk[:REPLAN_STEPS]:
                twin.step(target)
        return twin.success

    return episode
