from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from vla_mbpo_ros.config import TASKS, CameraConfig, Config, SimConfig
from vla_mbpo_ros.config_io import load_config
from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.share import share_dir
from vla_mbpo_ros.sim import tasks as arx_tasks
from vla_mbpo_ros.sim.benchmark import measure
from vla_mbpo_ros.sim.camera import project
from vla_mbpo_ros.sim.factory import make_twin
from vla_mbpo_ros.sim.protocol import SimulatedRobot
from vla_mbpo_ros.sim.tabletop import task_names
from vla_mbpo_ros.sim.tabletop.layout import layout

ROBOT = get_robot("tabletop")
CFG = Config(robot="tabletop", sim=SimConfig(task="press_red", seed=3))
HOLD = np.where(ROBOT.is_velocity, 0.0, ROBOT.home)


@pytest.fixture(scope="module")
def twin() -> Iterator[SimulatedRobot]:
    twin = make_twin(CFG)
    yield twin
    twin.close()


def test_a_task_is_changed_at_a_reset_and_not_before(twin: SimulatedRobot) -> None:
    twin.choose("press_red")
    twin.reset(3)
    kept = twin.snapshot()
    twin.choose("place_bowl")
    assert (twin.task_name, twin.instruction) == ("press_red", "press the red button")
    twin.reset(3)
    assert (twin.task_name, twin.instruction) == ("place_bowl", "put the cube into the bowl")
    twin.step(HOLD)
    twin.restore(kept)
    assert (twin.task_name, twin.ticks) == ("press_red", 0)
    with pytest.raises(UnknownName, match="Did you mean 'place_plate'"):
        twin.choose("place_plat")


def test_joint_states_are_the_tool_and_the_gripper_under_the_robots_names(twin: SimulatedRobot) -> None:
    twin.reset(3)
    state = twin.joint_state()
    np.testing.assert_allclose(state.position[:6], layout("buttons", 3).start, atol=1e-12)
    assert np.isclose(state.position[6], 0.08)
    twin.step(HOLD)
    assert twin.joint_state().stamp_ns == 50_000_000


@pytest.mark.parametrize("camera", ROBOT.camera_names)
@pytest.mark.parametrize(("width", "height"), [(64, 64), (160, 120)])
def test_a_camera_shows_the_buttons_where_geometry_says(
    twin: SimulatedRobot, camera: str, width: int, height: int
) -> None:
    """Any flip, mirror or swapped channel would put them elsewhere."""
    seen = 0
    for seed in range(6):
        twin.choose("press_red")
        twin.reset(seed)
        image = twin.render(camera, width, height).astype(int)
        intrinsics, pose = twin.camera_intrinsics(camera, width, height), twin.camera_pose(camera)
        for name, channel in (("red_button", 0), ("blue_button", 2)):
            place = layout("buttons", seed).places[name]
            column, row = project(np.array([place.x, place.y, 0.036]), intrinsics, pose)
            if 0 <= column < width - 1 and 0 <= row < height - 1:
                pixel = image[round(float(row)), round(float(column))]
                is_seen = pixel[channel] > 1.5 * max(np.delete(pixel, channel))
                assert is_seen or camera == "wrist"  # a finger may stand before it
                seen += bool(is_seen)
    assert seen == 12 if camera == "head" else seen >= 6


def test_the_head_sees_every_thing_whole() -> None:
    """The corners of all that can be laid out are inside its picture."""
    twin = make_twin(CFG)
    intrinsics, pose = twin.camera_intrinsics("head", 64, 64), twin.camera_pose("head")
    for x in (-0.10 - 0.065, 0.10 + 0.065):
        for y in (-0.15 - 0.065, 0.15 + 0.065):
            column, row = project(np.array([x, y, 0.0]), intrinsics, pose)
            assert -0.5 <= column <= 63.5
            assert -0.5 <= row <= 63.5
    twin.close()


def test_the_settings_name_every_task_and_the_file_is_valid() -> None:
    assert set(TASKS) == {*task_names(), *arx_tasks.task_names()}
    cfg = load_config(share_dir() / "config" / "tabletop.yaml")
    assert cfg.sim.task in task_names()
    make_twin(cfg).close()


def test_a_task_of_another_robot_is_refused() -> None:
    with pytest.raises(UnknownName, match="tabletop"):
        make_twin(replace(CFG, sim=SimConfig(task="pick_place")))
    with pytest.raises(UnknownName, match="press_red"):
        make_twin(Config(sim=SimConfig(task="press_red")))
    arx = make_twin(Config())
    arx.choose("pick_place")
    with pytest.raises(UnknownName, match="pick_place"):
        arx.choose("press_red")
    arx.close()


def test_its_speed_can_be_measured() -> None:
    cameras = {name: CameraConfig(width=32, height=24) for name in ROBOT.camera_names}
    result = json.loads(json.dumps(measure(replace(CFG, cameras=cameras), steps=3)))
    assert result["steps_per_s"] > 0
    assert result["cameras"] == {name: [32, 24] for name in cameras}
