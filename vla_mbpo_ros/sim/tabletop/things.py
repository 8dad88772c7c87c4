"""The things of the scenes, as parts of a MuJoCo specification. Where they stand is a matter of `layout.py`.

What a person moves has a free joint; what stands is a body whose place in the model a layout sets.
"""

from __future__ import annotations

import math
from typing import Any

import mujoco

from vla_mbpo_ros.sim.tabletop import sizes

_BOX, _CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
_SEEN = {"contype": 0, "conaffinity": 0, "mass": 0.0}
BUTTON_STIFFNESS, BUTTON_DAMPING = 250.0, 4.0  # N/m, N s/m: three newtons press it
_STIFF = (0.01, 1.0)  # contacts give way by little: as fast as the physics step allows
BOWL_SIDES = 10


def add_button(cell: Any, name: str) -> None:
    """A cap on a foot. The cap's joint is 0 at rest and negative when it is pressed."""
    foot = cell.worldbody.add_body(name=name)
    half = sizes.BUTTON_BASE_M / 2.0
    foot.add_geom(name=f"{name}_foot", type=_CYLINDER, size=(sizes.BUTTON_RADIUS_M + 0.008, half, 0), pos=(0, 0, half))
    cap = foot.add_body(name=f"{name}_cap", gravcomp=1.0)
    cap.add_joint(
        name=f"{name}_cap",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=(0, 0, 1),
        range=(-sizes.BUTTON_TRAVEL_M, 0.0),
        limited=True,
        stiffness=BUTTON_STIFFNESS,
        damping=[BUTTON_DAMPING, 0, 0],
        armature=0.02,
    )
    half = (sizes.BUTTON_TOP_M - sizes.BUTTON_TRAVEL_M) / 2.0
    middle = sizes.BUTTON_TOP_M - half
    cap.add_geom(name=name, type=_CYLINDER, size=(sizes.BUTTON_RADIUS_M, half, 0), pos=(0, 0, middle), mass=0.03)
    cell.add_exclude(bodyname1=name, bodyname2=f"{name}_cap")


def add_cube(cell: Any, name: str, half_m: float, mass_kg: float) -> None:
    """A box that may go anywhere."""
    body = cell.worldbody.add_body(name=name)
    body.add_freejoint(name=name)
    body.add_geom(name=name, type=_BOX, size=[half_m] * 3, mass=mass_kg, solref=_STIFF)


def add_zone(cell: Any, name: str) -> None:
    """A painted square; nothing touches it."""
    body = cell.worldbody.add_body(name=name)
    size = (sizes.ZONE_HALF_M, sizes.ZONE_HALF_M, sizes.FLAT_M / 2.0)
    body.add_geom(name=name, type=_BOX, size=size, pos=(0, 0, sizes.FLAT_M / 2.0), **_SEEN)


def add_plate(cell: Any, name: str) -> None:
    body = cell.worldbody.add_body(name=name)
    half = sizes.PLATE_TOP_M / 2.0
    body.add_geom(name=name, type=_CYLINDER, size=(sizes.PLATE_RADIUS_M, half, 0), pos=(0, 0, half))
    inner = (0.7 * sizes.PLATE_RADIUS_M, 0.0004, 0)
    body.add_geom(name=f"{name}_inner", type=_CYLINDER, size=inner, pos=(0, 0, sizes.PLATE_TOP_M), **_SEEN)


def add_bowl(cell: Any, name: str) -> None:
    """A floor and a ring of walls that lean outwards."""
    body = cell.worldbody.add_body(name=name)
    half = sizes.BOWL_FLOOR_M / 2.0
    body.add_geom(name=name, type=_CYLINDER, size=(sizes.BOWL_RADIUS_M, half, 0), pos=(0, 0, half))
    height = sizes.BOWL_RIM_M / 2.0
    width = sizes.BOWL_RADIUS_M * math.tan(math.pi / BOWL_SIDES) * 1.08
    for side in range(BOWL_SIDES):
        angle = 2.0 * math.pi * side / BOWL_SIDES
        body.add_geom(
            name=f"{name}_{side}",
            type=_BOX,
            size=(sizes.BOWL_WALL_M, width, height),
            pos=(sizes.BOWL_RADIUS_M * math.cos(angle), sizes.BOWL_RADIUS_M * math.sin(angle), height),
            quat=_leaning(angle),
        )


def _leaning(angle: float) -> list[float]:
    """Turned by `angle` about z, then tilted outwards by 0.25 rad."""
    turn = [math.cos(angle / 2.0), 0.0, 0.0, math.sin(angle / 2.0)]
    tilt = [math.cos(0.125), 0.0, math.sin(0.125), 0.0]
    w = turn[0] * tilt[0]
    return [w, -turn[3] * tilt[2], turn[0] * tilt[2], turn[3] * tilt[0]]
