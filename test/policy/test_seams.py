"""Seams between the chunks of a learnt policy that changes its mind: what the arm is told has no jump."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.config import ExecutorConfig  # noqa: E402 (after the check)
from vla_mbpo_ros.control import ChunkExecutor  # noqa: E402
from vla_mbpo_ros.models.flow import sample_time  # noqa: E402
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig  # noqa: E402
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Columns, Normalisation  # noqa: E402
from vla_mbpo_ros.policy.tiny.config import TinyConfig  # noqa: E402
from vla_mbpo_ros.policy.tiny.factory import make_tiny  # noqa: E402
from vla_mbpo_ros.robots import Joint, RobotSpec  # noqa: E402
from vla_mbpo_ros.schema import ActionChunk, FloatArray, Observation  # noqa: E402

STEPS, EVERY, LATE = 16, 8, 2  # of a chunk; ticks between two; ticks until one can be used
HZ = 20.0
DT_NS = round(1e9 / HZ)
BULGE = 0.4  # rad: how far a chunk goes to one side, as around an obstacle
ROBOT = RobotSpec("slider", "One joint", (Joint("x", -3.0, 3.0, 10.0, 0.0),), cameras=(), control_hz=HZ)
DARK = np.zeros((16, 16, 3), dtype=np.uint8)


def look(state: float, stamp_ns: int = 0) -> Observation:
    return Observation(stamp_ns, {"head": DARK}, np.array([state]), "pass")


@pytest.fixture(scope="module")
def policy() -> Any:
    """It has learnt to go forth and back from where it is: to the left or to the right, as chance will have it."""
    columns = Columns(("x",), (0.0,), (BULGE,))
    tiny = TinyConfig(
        views=1, horizon=STEPS, action_dim=1, state_dim=1, keypoints=1, channels=4, context=16, width=64, blocks=2
    )
    inputs = InputConfig(cameras={"head": "head"}, image_size=16, max_tokens=16, state_input=False, relative=("x",))
    made = make_tiny(tiny, FlowConfig(steps=5, value_hidden=(8,)), inputs, Normalisation(QUANTILE, columns, columns))
    net: Any = made.net
    side = torch.tensor([-1.0, 1.0]).repeat(16)
    wanted = side[:, None, None] * torch.sin(torch.pi * torch.arange(STEPS) / STEPS)[None, :, None]
    prefix = made.encode([look(0.0)]).select([0] * len(side))
    optimiser, chance = torch.optim.Adam(net.head.parameters(), 3e-3), torch.Generator().manual_seed(0)
    for _ in range(250):
        eps = torch.randn(wanted.shape, generator=chance)
        t = sample_time(torch.rand(len(side), generator=chance))
        optimiser.zero_grad()
        loss: Any = made.flow_loss(prefix, wanted, eps, t, None).mean()
        loss.backward()
        optimiser.step()
    return made.eval()


def drive(policy: Any, blend_s: float, ticks: int = 400) -> tuple[FloatArray, list[FloatArray], list[int]]:
    """Commands of every tick, the chunks, and the first tick of each chunk."""
    run = ChunkExecutor(ROBOT, ExecutorConfig(enabled=True, blend_s=blend_s), DT_NS, LATE * DT_NS)
    run.start_from(np.zeros(1))
    commands, chunks, firsts = [np.zeros(1)], [], []
    for tick in range(ticks):
        now_ns = (tick + 1) * DT_NS
        if tick % EVERY == 0:
            values = policy.sample(policy.encode([look(commands[-1][0])]), seed=tick).values[0]
            chunks.append(values)
            run.add(ActionChunk(now_ns, len(chunks), DT_NS, values), now_ns)
        command = run.command(now_ns)
        if command is not None:
            firsts += [len(commands)] if command.step == LATE else []
            commands.append(command.values)
    return np.array(commands)[:, 0], chunks, firsts


def test_the_policy_changes_sides(policy: Any) -> None:
    """Else there is nothing to blend."""
    _, chunks, _ = drive(policy, 0.2)
    bulges = np.array([chunk[STEPS // 2, 0] - chunk[0, 0] for chunk in chunks])
    assert 0.2 < np.mean(bulges > 0.0) < 0.8
    assert np.median(np.abs(bulges)) > 0.7 * BULGE


def test_a_seam_has_no_jump(policy: Any) -> None:
    """Measured in the first tick of each new chunk, and as the largest bend anywhere."""
    hard, _, hard_seams = drive(policy, 0.0)
    soft, chunks, soft_seams = drive(policy, 0.2)
    own_step = max(np.abs(np.diff(chunk[:, 0])).max() for chunk in chunks)
    own_bend = max(np.abs(np.diff(chunk[:, 0], 2)).max() for chunk in chunks)
    jumps, steps = (
        np.abs(np.diff(commands))[np.array(seams[1:]) - 1]
        for commands, seams in ((hard, hard_seams), (soft, soft_seams))
    )
    assert jumps.max() > 1.2 * own_step  # what the crossfade has to take away
    assert steps.max() < own_step
    assert np.abs(np.diff(soft, 2)).max() < 1.1 * own_bend
