"""One episode on the tabletop: begin, step, look, keep, go back.

    world = World()
    world.begin("press_red", seed=0)
    world.step(to_command(action))              # one control period
    world.position(), world.render("head", 64, 64), world.success

The same task, seed, slip and commands give bit-identical states and pictures on the same machine and versions. A
snapshot is small, can be pickled, and may be restored in another World in another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np

from vla_mbpo_ros.errors import ContractError, NotFinite, UnknownName
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.render import Renderer
from vla_mbpo_ros.sim.tabletop.arm_links import pose_links
from vla_mbpo_ros.sim.tabletop.layout import DEFAULT_SLIP, DRAG_TICKS, Layout, layout
from vla_mbpo_ros.sim.tabletop.model import Stage
from vla_mbpo_ros.sim.tabletop.state import TableState
from vla_mbpo_ros.sim.tabletop.tasks import TableTask, get_table_task

NOT_YET = -1
CONTROL_HZ = TABLETOP.control_hz
# all that the next step depends on, the solver's warm start included; the links are only seen and follow the tool
_LINKS = int(mujoco.mjtState.mjSTATE_MOCAP_POS) | int(mujoco.mjtState.mjSTATE_MOCAP_QUAT)
_STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION) & ~_LINKS
# a set-point is at most this far ahead of what the tool has reached: it bounds the force against an obstacle
_LEAD = np.array([0.02, 0.02, 0.02, 0.1, 0.1, 0.1])  # m, rad

_layout = lru_cache(maxsize=4096)(layout)


@dataclass(frozen=True)
class Snapshot:
    """Everything that the future of an episode depends on. With another `luck` it is another future."""

    task: str
    seed: int
    slip: float
    luck: int
    physics: FloatArray  # (S,) MuJoCo's integration state
    ticks: int
    success_tick: int  # NOT_YET, or control steps after the reset
    spoiled_tick: int

    @property
    def over(self) -> bool:
        """Done, spoiled, or out of time."""
        ended = self.success_tick != NOT_YET or self.spoiled_tick != NOT_YET
        return ended or self.ticks >= get_table_task(self.task).max_steps


class World:
    """For one thread at a time. Models are built when their scene is first asked for."""

    def __init__(self, control_hz: float = CONTROL_HZ) -> None:
        self.control_hz = control_hz
        self._stages: dict[str, tuple[Stage, Any]] = {}
        self._renderers: dict[str, Renderer] = {}

    # -- episodes ------------------------------------------------------------------------------------------------

    def begin(self, task: str, seed: int, slip: float = DEFAULT_SLIP, luck: int = 0) -> None:
        """A new episode: things where `seed` puts them, the hidden part of the dynamics from `seed` and `luck`."""
        self._enter(task, seed, slip, luck)
        self._stage.put(self._data, self._layout)
        self.ticks, self.success_tick, self.spoiled_tick = 0, NOT_YET, NOT_YET

    def step(self, command: FloatArray) -> None:
        """One control period under `command` (7,) in the robot's order and units."""
        wanted = self._checked(command)
        data, stage = self._data, self._stage
        here = data.qpos[stage.tool_qpos]
        data.act[:6] = np.clip(data.act[:6], here - _LEAD, here + _LEAD)
        reach = TABLETOP.max_velocity[6] / self.control_hz
        data.ctrl[:6] = wanted[:6]
        data.ctrl[:3] *= self._layout.drive[self.ticks // DRAG_TICKS % len(self._layout.drive)]
        data.ctrl[6] = min(max(wanted[6], data.ctrl[6] - reach), data.ctrl[6] + reach)
        mujoco.mj_step(stage.model, data, stage.substeps)
        self.ticks += 1
        if self.success_tick == self.spoiled_tick == NOT_YET:
            self._judge()

    def _judge(self) -> None:
        state = self.state()
        if self.task.is_done(state):
            self.success_tick = self.ticks
        elif self.task.is_spoiled(state):
            self.spoiled_tick = self.ticks

    @property
    def substeps(self) -> int:
        """Physics steps in a control period."""
        return self._stage.substeps

    @property
    def success(self) -> bool:
        """Whether the task was done at any tick since the reset: once done, it stays done."""
        return self.success_tick != NOT_YET

    @property
    def over(self) -> bool:
        """Done, spoiled, or out of time."""
        ended = self.success or self.spoiled_tick != NOT_YET
        return ended or self.ticks >= self.task.max_steps

    # -- what is true --------------------------------------------------------------------------------------------

    def position(self) -> FloatArray:
        """(7,) measured, in the robot's order and units."""
        return self._stage.position(self._data)

    def velocity(self) -> FloatArray:
        """(7,) measured, in the robot's order and units."""
        return self._stage.velocity(self._data)

    def state(self) -> TableState:
        """Privileged."""
        return self._stage.read(self._data, self._layout)

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        """(height, width, 3) RGB of what `camera` sees now, the first row on top."""
        index = self.camera_id(camera)
        self.refresh()
        return self._renderer.render(self._data, index, width, height)

    def views(self, width: int, height: int) -> ImageArray:
        """(V, height, width, 3) of every camera, in the robot's order."""
        self.refresh()
        indices = [self.camera_id(camera) for camera in TABLETOP.camera_names]
        return np.stack([self._renderer.render(self._data, index, width, height) for index in indices])

    @property
    def _renderer(self) -> Renderer:
        scene = self.task.scene
        if scene not in self._renderers:
            self._renderers[scene] = Renderer(self._stage.model)
        return self._renderers[scene]

    def refresh(self) -> None:
        """Places of bodies and cameras for the joints of now; a step leaves those of its beginning."""
        mujoco.mj_kinematics(self._stage.model, self._data)
        pose_links(self._data, self._stage.tool_body)
        mujoco.mj_kinematics(self._stage.model, self._data)
        mujoco.mj_camlight(self._stage.model, self._data)

    # -- snapshots -----------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        model = self._stage.model
        physics = np.empty(mujoco.mj_stateSize(model, _STATE))
        mujoco.mj_getState(model, self._data, physics, _STATE)
        return Snapshot(*self._key, physics, self.ticks, self.success_tick, self.spoiled_tick)

    def restore(self, snapshot: Snapshot) -> None:
        """Back to `snapshot`: what follows is what followed then, to the last bit."""
        self._enter(snapshot.task, snapshot.seed, snapshot.slip, snapshot.luck)
        size = mujoco.mj_stateSize(self._stage.model, _STATE)
        if snapshot.physics.shape != (size,):
            raise ContractError(
                f"A snapshot of {snapshot.task} has {snapshot.physics.size} numbers, this world {size}.",
                "Restore it with the version of the tabletop that made it.",
            )
        mujoco.mj_setState(self._stage.model, self._data, snapshot.physics, _STATE)
        self.ticks = snapshot.ticks
        self.success_tick, self.spoiled_tick = snapshot.success_tick, snapshot.spoiled_tick

    def close(self) -> None:
        """Free the renderers."""
        while self._renderers:
            self._renderers.popitem()[1].close()

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Any:
        return self._stage.model

    @property
    def data(self) -> Any:
        return self._data

    def camera_id(self, camera: str) -> int:
        if camera not in TABLETOP.camera_names:
            raise UnknownName("camera", camera, TABLETOP.camera_names)
        return self._stage.camera_ids[camera]

    def _enter(self, task: str, seed: int, slip: float, luck: int) -> None:
        """The scene of `task`, dressed for `seed`."""
        self.task: TableTask = get_table_task(task)
        scene = self.task.scene
        self._layout: Layout = _layout(scene, seed, slip, luck)
        self._key = task, seed, slip, luck
        if scene not in self._stages:
            stage = Stage(scene, self.control_hz)
            self._stages[scene] = stage, mujoco.MjData(stage.model)
        self._stage, self._data = self._stages[scene]
        self._stage.dress(self._layout)

    def _checked(self, command: FloatArray) -> FloatArray:
        if np.shape(command) != (TABLETOP.dof,):
            raise ContractError(f"A command of shape {np.shape(command)}.", f"Send ({TABLETOP.dof},) values.")
        if not np.all(np.isfinite(command)):
            raise NotFinite("A command with a NaN or an infinity.", "Mend its source; the twin did not move.")
        inside = np.clip(command, -TABLETOP.max_velocity, TABLETOP.max_velocity)
        inside[6] = min(max(float(command[6]), 0.0), float(TABLETOP.high[6]))
        return inside
