"""What sim_node and the benchmark ask of a simulated robot. `Twin` and `TabletopTwin` are such."""

from __future__ import annotations

from typing import Any, Protocol

from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray, ImageArray, Intrinsics, JointState
from vla_mbpo_ros.sim.camera import Pose


class SimulatedRobot(Protocol):
    """One robot in its world. For one thread at a time."""

    robot: RobotSpec
    control_hz: float
    substeps: int  # physics steps in a control period

    @property
    def task_name(self) -> str: ...

    @property
    def task_names(self) -> tuple[str, ...]:
        """What may be chosen."""
        ...

    @property
    def instruction(self) -> str: ...

    @property
    def success(self) -> bool:
        """Whether the task was done at any tick since the reset: once done, it stays done."""
        ...

    @property
    def ticks(self) -> int:
        """Control periods since the reset."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]: ...

    def choose(self, task: str) -> None:
        """The task from the next reset on."""
        ...

    def reset(self, seed: int) -> None:
        """Begin anew, with the layout that `seed` names."""
        ...

    def step(self, target: FloatArray) -> None:
        """Advance by one control period under `target` (N,) in the robot's order, units and modes."""
        ...

    def joint_state(self) -> JointState: ...

    def render(self, camera: str, width: int, height: int) -> ImageArray: ...

    def camera_intrinsics(self, camera: str, width: int, height: int) -> Intrinsics: ...

    def camera_pose(self, camera: str) -> Pose: ...

    def snapshot(self) -> Any:
        """Everything that the future depends on; `restore` brings it back to the last bit."""
        ...

    def restore(self, snapshot: Any) -> None: ...

    def close(self) -> None: ...
