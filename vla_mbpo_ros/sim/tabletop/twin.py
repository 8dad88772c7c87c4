"""The tabletop as sim_node and others know a simulated robot (`sim/protocol.py`)."""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray, ImageArray, Intrinsics, JointState
from vla_mbpo_ros.sim.arx_x5.model import OPTICAL_TO_MUJOCO
from vla_mbpo_ros.sim.camera import Pose
from vla_mbpo_ros.sim.tabletop.layout import DEFAULT_SLIP
from vla_mbpo_ros.sim.tabletop.tasks import get_table_task, task_names
from vla_mbpo_ros.sim.tabletop.world import Snapshot, World


class TabletopTwin:
    """One world that changes its task, and with it its scene, at a reset. For one thread at a time."""

    robot = TABLETOP

    def __init__(self, task: str, control_hz: float, slip: float = DEFAULT_SLIP) -> None:
        self.control_hz, self._slip = control_hz, slip
        self._world = World(control_hz)
        self.choose(task)
        self.reset(0)
        self.substeps = self._world.substeps

    @property
    def task_name(self) -> str:
        return self._world.task.name

    @property
    def task_names(self) -> tuple[str, ...]:
        return task_names()

    @property
    def instruction(self) -> str:
        return self._world.task.instruction

    @property
    def success(self) -> bool:
        """Whether the task was done at any tick since the reset: once done, it stays done."""
        return self._world.success

    @property
    def ticks(self) -> int:
        """Control periods since the reset."""
        return self._world.ticks

    @property
    def cameras(self) -> tuple[str, ...]:
        return self.robot.camera_names

    def choose(self, task: str) -> None:
        """The task from the next reset on."""
        self._next = get_table_task(task).name

    def reset(self, seed: int) -> None:
        """Begin the chosen task with the layout that `seed` names."""
        self._world.begin(self._next, seed, self._slip)

    def step(self, target: FloatArray) -> None:
        """One control period; `target` (7,) is six velocities and the gripper's opening."""
        self._world.step(target)

    def joint_state(self) -> JointState:
        """Measured positions and velocities; stamped from the reset on."""
        stamp_ns = round(self._world.ticks * 1e9 / self.control_hz)
        return JointState(stamp_ns, self._world.position(), self._world.velocity())

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        """(height, width, 3) RGB of what `camera` sees now, the first row on top."""
        return self._world.render(camera, width, height)

    def camera_intrinsics(self, camera: str, width: int, height: int) -> Intrinsics:
        fovy_rad = float(np.radians(self._world.model.cam_fovy[self._world.camera_id(camera)]))
        return Intrinsics.from_fovy(width, height, fovy_rad)

    def camera_pose(self, camera: str) -> Pose:
        """The camera's optical frame in the world, now."""
        index = self._world.camera_id(camera)
        self._world.refresh()
        rotation = np.array(self._world.data.cam_xmat[index]).reshape(3, 3) * OPTICAL_TO_MUJOCO
        return Pose(np.array(self._world.data.cam_xpos[index]), rotation)

    def snapshot(self) -> Snapshot:
        return self._world.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Back to `snapshot`, its task included: what follows is what followed then, to the last bit."""
        self._world.restore(snapshot)
        self._next = snapshot.task

    def close(self) -> None:
        """Free the renderers."""
        self._world.close()
