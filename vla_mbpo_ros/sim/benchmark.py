"""How fast the twin runs: control steps per second with a picture of every camera at each step."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.robots.settings import resolve
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.factory import make_twin
from vla_mbpo_ros.sim.protocol import SimulatedRobot
from vla_mbpo_ros.sim.render import backend

_WARM_UP_STEPS = 10  # the first pictures also upload textures


def measure(cfg: Config, steps: int) -> dict[str, Any]:
    """Ready for JSON. Image sizes are those of `cfg.cameras`; every camera gives a picture at each step."""
    cfg = resolve(cfg)
    sizes = {name: (camera.width, camera.height) for name, camera in cfg.cameras.items()}
    twin = make_twin(cfg)
    _run(twin, sizes, _WARM_UP_STEPS)
    physics_s, pictures_s = _run(twin, sizes, steps)
    twin.close()
    return {
        "steps_per_s": round(steps / (physics_s + pictures_s), 1),
        "steps": steps,
        "control_hz": cfg.control_hz,
        "physics_steps_per_control_step": twin.substeps,
        "physics_ms": round(1e3 * physics_s / steps, 3),
        "pictures_ms": round(1e3 * pictures_s / steps, 3),
        "cameras": {name: list(size) for name, size in sizes.items()},
        "gl": backend(),
    }


def _run(twin: SimulatedRobot, sizes: dict[str, tuple[int, int]], steps: int) -> tuple[float, float]:
    """Seconds spent in physics and in pictures while the arms swing between home and another posture."""
    spent = [0.0, 0.0]
    home, away = _swing(twin.robot)
    for step in range(steps):
        begin = time.perf_counter()
        twin.step(home if step % 30 < 15 else away)
        stepped = time.perf_counter()
        for name, (width, height) in sizes.items():
            twin.render(name, width, height)
        spent[0] += stepped - begin
        spent[1] += time.perf_counter() - stepped
    return spent[0], spent[1]


def _swing(robot: RobotSpec) -> tuple[FloatArray, FloatArray]:
    """(N,) two commands: home and a posture away from it, or there and back for joints that go by velocity."""
    speed = 0.3 * robot.max_velocity
    home = np.where(robot.is_velocity, -speed, robot.home)
    return home, np.where(robot.is_velocity, speed, (robot.home + robot.high) / 2.0)
