"""Put the red cube on the green pad.

The cube lies in the left or right half of the table, the pad near its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.arx_x5.layout import SIDES
from vla_mbpo_ros.sim.arx_x5.model import FINGERS

CUBE_HALF_M = 0.02
CUBE_MASS_KG = 0.05
CUBE_RGBA = (0.76, 0.07, 0.07, 1.0)
CUBE_X_M, CUBE_Y_M = (0.22, 0.38), (0.05, 0.17)  # y to either side
PAD_HALF_M = 0.05
PAD_THICK_M = 0.002
PAD_RGBA = (0.10, 0.52, 0.22, 1.0)
PAD_X_M, PAD_Y_M = (0.24, 0.35), (-0.05, 0.05)
APART_M = 0.115  # between the centres: the cube neither touches the pad nor hides it

ON_PAD_M = 0.035  # the cube's centre is this near to the pad's along x and y: at most a corner stands over
AT_REST_M_S = 0.02
LEVEL_M = 0.004  # lying on the pad, not on its edge
OPEN_M = 0.05  # the fingers of the nearest hand are wider apart
AWAY_M = 0.06  # and its tool is this far from the cube's centre


@dataclass(frozen=True)
class Places:
    """Where things lie on the table. Metres, radians."""

    cube_xy: FloatArray  # (2,)
    cube_yaw_rad: float
    pad_xy: FloatArray  # (2,)


def places(seed: int) -> Places:
    """A pure function of `seed`."""
    random = np.random.default_rng(seed)
    while True:
        side = random.choice((-1.0, 1.0))
        cube = np.array([random.uniform(*CUBE_X_M), side * random.uniform(*CUBE_Y_M)])
        pad = np.array([random.uniform(*PAD_X_M), random.uniform(*PAD_Y_M)])
        if np.linalg.norm(cube - pad) >= APART_M:
            return Places(cube, float(random.uniform(-np.pi / 4, np.pi / 4)), pad)


class PickPlace:
    """The task of the first flow."""

    name = "pick_place"
    instruction = "put the red cube on the green pad"

    def furnish(self, cell: Any) -> None:
        box = mujoco.mjtGeom.mjGEOM_BOX
        cube = cell.worldbody.add_body(name="cube")
        cube.add_freejoint(name="cube")
        cube.add_geom(
            name="cube",
            type=box,
            size=[CUBE_HALF_M] * 3,
            mass=CUBE_MASS_KG,
            rgba=CUBE_RGBA,
            friction=(1.0, 0.02, 0.0001),
        )
        # mocap: its place is state and not model, so that snapshots keep it
        pad = cell.worldbody.add_body(name="pad", mocap=True)
        pad.add_geom(name="pad", type=box, size=(PAD_HALF_M, PAD_HALF_M, PAD_THICK_M / 2), rgba=PAD_RGBA)

    def lay_out(self, model: Any, data: Any, seed: int) -> None:
        where = places(seed)
        half = where.cube_yaw_rad / 2.0
        data.joint("cube").qpos = (*where.cube_xy, CUBE_HALF_M, np.cos(half), 0.0, 0.0, np.sin(half))
        data.mocap_pos[model.body("pad").mocapid[0]] = (*where.pad_xy, PAD_THICK_M / 2.0)

    def is_done(self, model: Any, data: Any) -> bool:
        cube, pad = data.joint("cube").qpos[:3], data.mocap_pos[model.body("pad").mocapid[0]]
        on_pad = bool(np.all(np.abs(cube[:2] - pad[:2]) <= ON_PAD_M))
        level = abs(float(cube[2]) - PAD_THICK_M - CUBE_HALF_M) <= LEVEL_M
        at_rest = float(np.linalg.norm(data.joint("cube").qvel[:3])) <= AT_REST_M_S
        return on_pad and level and at_rest and _is_released(data, cube)


def _is_released(data: Any, cube: FloatArray) -> bool:
    distance, side = min((_distance(data, side, cube), side) for side in SIDES)
    opening = sum(float(data.joint(f"{side}_{finger}").qpos[0]) for finger in FINGERS)
    return distance >= AWAY_M and opening >= OPEN_M


def _distance(data: Any, side: str, cube: FloatArray) -> float:
    return float(np.linalg.norm(data.site(f"{side}_tool").xpos - cube))
