"""Forward and inverse kinematics of one arm, in the frame of its own base. Needs no cell and no picture.

The tool is the point between the fingertips: x along the fingers, y the way they open.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from vla_mbpo_ros.robots import Joint
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.arx_x5.model import GRIPPER, arm_spec
from vla_mbpo_ros.sim.camera import Pose

_DAMPING = 0.05  # m/rad: keeps steps small beside a singularity and costs nothing elsewhere
_MAX_STEP_RAD = 0.3
_ITERATIONS = 200
_TOLERANCE_M = 1e-5
_TOLERANCE_RAD = 1e-4


class ArmKinematics:
    """`joints` are the arm's in order, as in the robot's description; a gripper among them is left out."""

    def __init__(self, joints: Sequence[Joint], prefix: str) -> None:
        self._model = arm_spec(joints, prefix).compile()
        self._data = mujoco.MjData(self._model)
        moving = [joint for joint in joints if joint.name != f"{prefix}{GRIPPER}"]
        names = [joint.name.removeprefix(prefix) for joint in moving]
        self._qpos = np.array([int(self._model.joint(name).qposadr[0]) for name in names])
        self._dofs = np.array([int(self._model.joint(name).dofadr[0]) for name in names])
        self._tool = int(self._model.site("tool").id)
        self.low = np.array([joint.low for joint in moving])
        self.high = np.array([joint.high for joint in moving])

    def forward(self, joints: FloatArray) -> Pose:
        """The tool at `joints` (6,)."""
        self._data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        rotation = np.array(self._data.site_xmat[self._tool]).reshape(3, 3)
        return Pose(np.array(self._data.site_xpos[self._tool]), rotation)

    def inverse(self, goal: Pose, start: FloatArray) -> FloatArray | None:
        """Joints (6,) within their limits that bring the tool to `goal`; None if not reached from `start`.

        Damped least squares: each step solves (J Jᵀ + λ²) x = error and moves by Jᵀ x.
        """
        joints = np.clip(start, self.low, self.high)
        for _ in range(_ITERATIONS):
            error = _error(goal, self.forward(joints))
            if np.linalg.norm(error[:3]) < _TOLERANCE_M and np.linalg.norm(error[3:]) < _TOLERANCE_RAD:
                return joints
            joints = np.clip(joints + self._step(error), self.low, self.high)
        return None

    def _step(self, error: FloatArray) -> FloatArray:
        jacobian = self._jacobian()
        # far away the full damping, close by less: the last digits then take few iterations
        damping = _DAMPING * min(1.0, float(np.linalg.norm(error)) + 0.01)
        step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping**2 * np.eye(6), error)
        return np.asarray(np.clip(step, -_MAX_STEP_RAD, _MAX_STEP_RAD))

    def _jacobian(self) -> FloatArray:
        """(6, 6): three rows of position, three of rotation, at the joints of the last `forward`."""
        mujoco.mj_comPos(self._model, self._data)
        full = np.empty((6, self._model.nv))
        mujoco.mj_jacSite(self._model, self._data, full[:3], full[3:], self._tool)
        return full[:, self._dofs]


def looking_down(position: FloatArray, yaw_rad: float) -> Pose:
    """A tool at `position` (3,) pointing straight down; at yaw 0 its fingers open along y of the base."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return Pose(position, np.array([[0.0, -sin, cos], [0.0, cos, sin], [-1.0, 0.0, 0.0]]))


def _error(goal: Pose, now: Pose) -> FloatArray:
    """(6,) way still to go: metres, then a rotation vector in radians."""
    quaternion, turn = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, (goal.rotation @ now.rotation.T).ravel())
    mujoco.mju_quat2Vel(turn, quaternion, 1.0)
    return np.concatenate([goal.position - now.position, turn])
