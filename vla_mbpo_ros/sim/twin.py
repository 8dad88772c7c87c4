"""The twin of the robot at its table: commands go in, joint states and pictures come out.

    twin = Twin(get_robot("arx_x5"), get_task("pick_place"), control_hz=15.0)
    twin.reset(seed=0)
    twin.step(target)                           # one control period
    twin.joint_state(), twin.render("head", 64, 64), twin.success

The same seed and the same commands give bit-identical states on the same machine and MuJoCo version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from vla_mbpo_ros.errors import ContractError, NotFinite, UnknownName
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray, ImageArray, Intrinsics, JointState
from vla_mbpo_ros.sim.arx_x5.model import OPTICAL_TO_MUJOCO, cell_spec
from vla_mbpo_ros.sim.camera import Pose
from vla_mbpo_ros.sim.joints import JointMap
from vla_mbpo_ros.sim.render import Renderer
from vla_mbpo_ros.sim.tasks import Task

VENDOR_STEP_S = 0.002  # the vendor's controller runs at 500 Hz
# of the velocity limit: joints that pull on each other outrun their set-point by a tenth
SET_POINT_SHARE = 0.85
# all that the next step depends on, the solver's warm start included
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True)
class Snapshot:
    """Everything that the future of a twin depends on."""

    physics: FloatArray
    ticks: int
    success: bool


class Twin:
    """One robot, one task. For one thread at a time."""

    def __init__(self, robot: RobotSpec, task: Task, control_hz: float) -> None:
        self.robot, self.task, self.control_hz = robot, task, control_hz
        self.substeps = max(1, round(1.0 / control_hz / VENDOR_STEP_S))
        self._model = self._build()
        self._data = mujoco.MjData(self._model)
        self._joints = JointMap(self._model, robot)
        self._renderer: Renderer | None = None
        self.reset(0)

    @property
    def task_name(self) -> str:
        return self.task.name

    @property
    def task_names(self) -> tuple[str, ...]:
        return (self.task.name,)

    @property
    def instruction(self) -> str:
        return self.task.instruction

    @property
    def success(self) -> bool:
        """Whether the task was done at any tick since the reset: once done, it stays done."""
        return self._success

    @property
    def ticks(self) -> int:
        """Control periods since the reset."""
        return self._ticks

    @property
    def cameras(self) -> tuple[str, ...]:
        """The robot's own, and "overview" for pictures of the whole cell."""
        return (*self.robot.camera_names, "overview")

    def choose(self, task: str) -> None:
        """This cell was built for one task; only that one may be chosen."""
        if task not in self.task_names:
            raise UnknownName("task of this twin", task, self.task_names)

    def reset(self, seed: int) -> None:
        """Begin anew: arms at home, things where `seed` puts them."""
        if seed < 0:
            raise ContractError(f"The seed of a layout is {seed}.", "Give a whole number from 0 on.")
        mujoco.mj_resetData(self._model, self._data)
        self._joints.put(self._data, self.robot.home)
        self.task.lay_out(self._model, self._data, seed)
        self._ticks, self._success = 0, False
        self._refresh()

    def step(self, target: FloatArray) -> None:
        """Advance by one control period towards `target` (N,) in the robot's order and units.

        As with the vendor's controller, the set-point moves in a straight line, no faster than joints may.
        """
        start = self._joints.command(self._data)
        reach = SET_POINT_SHARE * self.robot.max_velocity / self.control_hz
        way = np.clip(self._checked(target) - start, -reach, reach)
        for substep in range(1, self.substeps + 1):
            self._joints.set_command(self._data, start + way * (substep / self.substeps))
            mujoco.mj_step(self._model, self._data)
        self._ticks += 1
        self._refresh()
        self._success = self._success or self.task.is_done(self._model, self._data)

    def joint_state(self) -> JointState:
        """Measured positions and velocities; stamped from the reset on."""
        stamp_ns = round(self._ticks * 1e9 / self.control_hz)
        return JointState(stamp_ns, self._joints.position(self._data), self._joints.velocity(self._data))

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        """(height, width, 3) RGB of what `camera` sees now, the first row on top."""
        if self._renderer is None:
            self._renderer = Renderer(self._model)
        return self._renderer.render(self._data, self._camera_id(camera), width, height)

    def camera_intrinsics(self, camera: str, width: int, height: int) -> Intrinsics:
        fovy_rad = float(np.radians(self._model.cam_fovy[self._camera_id(camera)]))
        return Intrinsics.from_fovy(width, height, fovy_rad)

    def camera_pose(self, camera: str) -> Pose:
        """The camera's optical frame in the world, now."""
        index = self._camera_id(camera)
        rotation = np.array(self._data.cam_xmat[index]).reshape(3, 3) * OPTICAL_TO_MUJOCO
        return Pose(np.array(self._data.cam_xpos[index]), rotation)

    def snapshot(self) -> Snapshot:
        physics = np.empty(mujoco.mj_stateSize(self._model, _STATE))
        mujoco.mj_getState(self._model, self._data, physics, _STATE)
        return Snapshot(physics, self._ticks, self._success)

    def restore(self, snapshot: Snapshot) -> None:
        """Back to `snapshot`: what follows is what followed then, to the last bit."""
        mujoco.mj_setState(self._model, self._data, snapshot.physics, _STATE)
        self._ticks, self._success = snapshot.ticks, snapshot.success
        self._refresh()

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _build(self) -> Any:
        cell = cell_spec(self.robot)
        self.task.furnish(cell)
        # a whole number of physics steps fills a control period exactly: 33 of 2.02 ms at 15 Hz
        cell.option.timestep = 1.0 / self.control_hz / self.substeps
        return cell.compile()

    def _refresh(self) -> None:
        """Places of bodies and cameras for the joints of now; a step leaves those of its beginning."""
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def _checked(self, target: FloatArray) -> FloatArray:
        if target.shape != (self.robot.dof,):
            raise ContractError(f"A command of shape {target.shape}.", f"Send ({self.robot.dof},) values.")
        if not np.all(np.isfinite(target)):
            raise NotFinite("A command with a NaN or an infinity.", "Mend its source; the twin did not move.")
        return np.clip(target, self.robot.low, self.robot.high)

    def _camera_id(self, camera: str) -> int:
        if camera not in self.cameras:
            raise UnknownName("camera", camera, self.cameras)
        return int(self._model.camera(camera).id)
