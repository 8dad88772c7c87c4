from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
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


@pytest.fixture
def look() -> Callable[..., list[Observation]]:
    """Observations of a robot with three joints and the cameras `views`, all different."""

    def make(rows: int, views: tuple[str, ...] = ("head", "wrist"), seed: int = 0) -> list[Observation]:
        rng = np.random.default_rng(seed)
        return [
            Observation(
                stamp_ns=row,
                images={view: rng.integers(0, 256, (40, 56, 3), dtype=np.uint8) for view in views},
                state=rng.uniform(-1.0, 1.0, 3),
                instruction=f"press button {row}",
            )
            for row in range(rows)
        ]

    return make


@pytest.fixture
def tiny() -> Callable[..., Any]:
    """A pi policy of random weights, a few ten thousand of them; `flow` and `inputs` change its settings."""
    pytest.importorskip("torch", reason="torch is not installed")

    def make(kind: str = "pi05", flow: Any = None, seed: int = 0, **inputs: Any) -> Any:
        from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
        from vla_mbpo_ros.policy.flow.inputs import InputMaker
        from vla_mbpo_ros.policy.flow.normalisation import Columns, Normalisation
        from vla_mbpo_ros.policy.flow.policy import FlowPolicy
        from vla_mbpo_ros.policy.flow.text import ByteTokenizer
        from vla_mbpo_ros.policy.pi.config import preset
        from vla_mbpo_ros.policy.pi.net import PiNet, randomise

        cfg = preset("tiny_random" if kind == "pi05" else "tiny_random_pi0")
        net = PiNet(cfg)
        randomise(net, seed)
        columns = Columns(("a", "b", "c"), (0.0, 0.1, 0.2), (1.0, 2.0, 0.5))
        normalisation = Normalisation("quantile" if kind == "pi05" else "z-score", columns, columns)
        settings: dict[str, Any] = {
            "cameras": {"base_0_rgb": "head", "left_wrist_0_rgb": "wrist"},
            "image_size": cfg.vision.image,
            "missing_camera": "mask",
            "prompt": "state" if kind == "pi05" else "plain",
            "state_input": kind == "pi0",
            **inputs,
        }
        maker = InputMaker(InputConfig(**settings), normalisation, ByteTokenizer(), net.state_dim)
        return FlowPolicy(kind, net, flow or FlowConfig(), maker, f"{kind}-random")

    return make
