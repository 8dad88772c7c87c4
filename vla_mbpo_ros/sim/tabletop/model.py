"""A scene as a MuJoCo model, and how a layout dresses it.

What differs from seed to seed without moving (colours, light, friction, masses, places of what stands) is written
into the model, what moves into the data. A model is dressed before every use, so one model serves all seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import sizes, things
from vla_mbpo_ros.sim.tabletop.layout import Layout
from vla_mbpo_ros.sim.tabletop.state import TableState, Thing

FILE = Path(__file__).parent / "table.xml"
FINGERS = ("finger_a", "finger_b")
AXES = TABLETOP.names[:6]
PHYSICS_STEP_S = 0.005
_TABLE_FRICTION, _GRIP_FRICTION, _OWN_FRICTION = 0.35, 1.3, 0.05  # MuJoCo takes the larger of two
_CUBE_KG, _BLOCK_KG = 0.06, 0.12
_DARKER = 0.82  # the plate's inner, the button's foot
_SUN = 0.45

_ADD: Mapping[str, tuple[tuple[Callable[[Any, str], None], tuple[str, ...]], ...]] = {
    "buttons": ((things.add_button, ("red_button", "blue_button")),),
    "push": (
        (lambda cell, name: things.add_cube(cell, name, sizes.BLOCK_HALF_M, _BLOCK_KG), ("block",)),
        (things.add_zone, ("yellow_zone", "purple_zone")),
    ),
    "cubes": (
        (lambda cell, name: things.add_cube(cell, name, sizes.CUBE_HALF_M, _CUBE_KG), ("red_cube", "green_cube")),
    ),
    "place": (
        (lambda cell, name: things.add_cube(cell, name, sizes.CUBE_HALF_M, _CUBE_KG), ("cube",)),
        (things.add_plate, ("plate",)),
        (things.add_bowl, ("bowl",)),
    ),
}


def scene_spec(scene: str) -> Any:
    """Table, arm and the scene's things, not compiled yet."""
    cell = mujoco.MjSpec.from_file(str(FILE))
    for joint in TABLETOP.joints[:6]:
        cell.joint(joint.name).range = (joint.low, joint.high)
        cell.actuator(joint.name).actrange = (joint.low, joint.high)
        cell.actuator(joint.name).ctrlrange = (-joint.max_velocity, joint.max_velocity)
    for add, names in _ADD[scene]:
        for name in names:
            add(cell, name)
    return cell


class Stage:
    """One scene's model. `dress` it for a layout before anything else."""

    def __init__(self, scene: str, control_hz: float) -> None:
        self.scene = scene
        self.substeps = max(1, round(1.0 / control_hz / PHYSICS_STEP_S))
        spec = scene_spec(scene)
        spec.option.timestep = 1.0 / control_hz / self.substeps  # a whole number fills a control period
        self.model = spec.compile()
        self._things = [name for _, names in _ADD[scene] for name in names]
        self._body = {name: int(self.model.body(name).id) for name in self._things}
        joints = {self.model.joint(index).name: index for index in range(self.model.njnt)}
        self.free = {
            name: (int(self.model.jnt_qposadr[joints[name]]), int(self.model.jnt_dofadr[joints[name]]))
            for name in self._things
            if name in joints
        }
        self._caps = {
            name: int(self.model.jnt_qposadr[joints[f"{name}_cap"]]) for name in self._things if f"{name}_cap" in joints
        }
        self._mass = {name: float(self.model.body_mass[self._body[name]]) for name in self.free}
        self._inertia = {name: np.array(self.model.body_inertia[self._body[name]]) for name in self.free}
        self._shades = {name: self._shades_of(name) for name in (*self._things, "table")}
        self.tool_qpos = np.array([int(self.model.joint(name).qposadr[0]) for name in AXES])
        self.tool_dofs = np.array([int(self.model.joint(name).dofadr[0]) for name in AXES])
        self.finger_qpos = np.array([int(self.model.joint(name).qposadr[0]) for name in FINGERS])
        self.finger_dofs = np.array([int(self.model.joint(name).dofadr[0]) for name in FINGERS])
        self.tool_body = int(self.model.body("tool").id)
        self.camera_ids = {name: int(self.model.camera(name).id) for name in TABLETOP.camera_names}
        self._finger_geoms = [int(self.model.geom(name).id) for name in FINGERS]

    # -- dressing ------------------------------------------------------------------------------------------------

    def dress(self, layout: Layout) -> None:
        """Write into the model what `layout` says of looks, places of what stands, and chance."""
        model = self.model
        model.light_dir[0] = layout.sun / np.linalg.norm(layout.sun)
        model.light_diffuse[0] = _SUN * layout.brightness
        for name, color in layout.colors.items():
            geoms, shades = self._shades[name]
            model.geom_rgba[geoms, :3] = shades * color
        for name in self._things:
            if name not in self.free:
                place = layout.places[name]
                model.body_pos[self._body[name]] = (place.x, place.y, 0.0)
        model.geom_friction[:, 0] = _TABLE_FRICTION * layout.friction
        model.geom_friction[self._finger_geoms, 0] = _GRIP_FRICTION * layout.grip
        for name in self.free:
            self._weigh(name, layout)

    def _weigh(self, name: str, layout: Layout) -> None:
        body, model = self._body[name], self.model
        model.body_mass[body] = model.body_subtreemass[body] = self._mass[name] * layout.mass
        model.body_inertia[body] = self._inertia[name] * layout.mass
        model.body_ipos[body, :2] = layout.lopsided if name == "block" else 0.0
        model.geom_friction[self._shades[name][0], 0] = _OWN_FRICTION

    def _shades_of(self, name: str) -> tuple[list[int], FloatArray]:
        """The geoms of a thing (G), and (G, 1) how bright: all but the main one are darker, so edges are seen."""
        named = [(geom, self.model.geom(geom).name) for geom in range(self.model.ngeom)]
        own = [(geom, given) for geom, given in named if given == name or given.startswith(f"{name}_")]
        shades = np.array([1.0 if given == name else _DARKER for _, given in own])
        return [geom for geom, _ in own], shades[:, None]

    # -- the moving part -----------------------------------------------------------------------------------------

    def put(self, data: Any, layout: Layout) -> None:
        """The start of an episode: tool and things at rest where `layout` says, gripper open."""
        mujoco.mj_resetData(self.model, data)
        data.qpos[self.tool_qpos] = data.act[:6] = layout.start
        open_m = float(TABLETOP.high[6])
        data.qpos[self.finger_qpos] = open_m / 2.0
        data.ctrl[6] = open_m
        for name, (address, _) in self.free.items():
            place = layout.places[name]
            half = sizes.BLOCK_HALF_M if name == "block" else sizes.CUBE_HALF_M
            turn = (np.cos(place.yaw / 2.0), 0.0, 0.0, np.sin(place.yaw / 2.0))
            data.qpos[address : address + 7] = (place.x, place.y, half, *turn)

    def position(self, data: Any) -> FloatArray:
        """(7,) in the robot's order and units."""
        return np.append(data.qpos[self.tool_qpos], data.qpos[self.finger_qpos].sum())

    def velocity(self, data: Any) -> FloatArray:
        """(7,) in the robot's order and units."""
        return np.append(data.qvel[self.tool_dofs], data.qvel[self.finger_dofs].sum())

    def read(self, data: Any, layout: Layout) -> TableState:
        """What is true now."""
        seen = {}
        for name in self._things:
            place = layout.places[name]
            if name in self.free:
                seen[name] = _moving(data, *self.free[name])
            else:
                height = sizes.BUTTON_TOP_M + float(data.qpos[self._caps[name]]) if name in self._caps else 0.0
                seen[name] = Thing((place.x, place.y, height), place.yaw)
        return TableState(data.qpos[self.tool_qpos], float(data.qpos[self.finger_qpos].sum()), seen)


def _moving(data: Any, address: int, dof: int) -> Thing:
    x, y, z, qw, qx, qy, qz = (float(value) for value in data.qpos[address : address + 7])
    yaw = float(np.arctan2(2.0 * (qw * qz + qx * qy), 1.0 - 2.0 * (qy * qy + qz * qz)))
    vx, vy, vz = (float(value) for value in data.qvel[dof : dof + 3])
    return Thing((x, y, z), yaw, (vx * vx + vy * vy + vz * vz) ** 0.5)
