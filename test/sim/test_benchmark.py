from __future__ import annotations

import json

from vla_mbpo_ros.config import CameraConfig, Config
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.sim.benchmark import measure


def test_the_result_is_json_that_names_what_was_measured() -> None:
    cameras = {name: CameraConfig(width=32, height=24) for name in get_robot("arx_x5").camera_names}
    result = json.loads(json.dumps(measure(Config(cameras=cameras), steps=3)))
    assert result["steps_per_s"] > 0
    assert result["steps"] == 3
    assert result["cameras"] == {name: [32, 24] for name in cameras}
    assert result["physics_steps_per_control_step"] == 33
