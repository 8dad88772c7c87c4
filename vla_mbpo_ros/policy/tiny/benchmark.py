"""How long the small policy takes from an observation to a chunk. Weights are random: speed does not depend on them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Columns, Normalisation
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.tiny.config import TinyConfig
from vla_mbpo_ros.policy.tiny.factory import make_tiny
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import Observation

SIDE = 64  # pixels


def random_policy(robot: RobotSpec, steps: int, views: int, horizon: int = 0) -> FlowPolicy:
    """For the first `views` cameras of that robot, in the size that the tabletop's policies have."""
    if not 1 <= views <= len(robot.camera_names):
        raise ConfigError(f"Cannot measure {views} views.", f"{robot.name} has {len(robot.camera_names)} cameras.")
    if steps < 1:
        raise ConfigError(f"Cannot measure steps {steps}.", "Give 1 or more.")
    columns = Columns(robot.names, tuple(map(float, robot.home)), (0.1,) * robot.dof)
    cameras = {name: name for name in robot.camera_names[:views]}
    tiny = TinyConfig(views=views, action_dim=robot.dof, state_dim=robot.dof)
    sized = TinyConfig(**{**vars(tiny), "horizon": horizon or tiny.horizon})
    flow = FlowConfig(steps=steps, value_hidden=(256, 256))
    return make_tiny(sized, flow, InputConfig(cameras, SIDE), Normalisation(QUANTILE, columns, columns))


def blank(policy: FlowPolicy, robot: RobotSpec) -> Observation:
    """Noise before every camera that it looks through."""
    noise = np.random.default_rng(0)
    pictures = {name: noise.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for name in policy.maker.cfg.camera_names}
    return Observation(0, pictures, robot.home, "press the red button")


def timed_ms(policy: FlowPolicy, observation: Observation, seed: int) -> float:
    """One chunk of the policy alone."""
    began = time.perf_counter()
    policy.sample(policy.encode([observation]), seed)
    return (time.perf_counter() - began) * 1e3


def facts_of(policy: FlowPolicy) -> dict[str, Any]:
    device = policy.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return {
        "device": name,
        "parameters": sum(parameter.numel() for parameter in policy.parameters()),
        "steps": policy.cfg.steps,
        "views": len(policy.maker.cfg.camera_names),
        "horizon": policy.horizon,
    }
