"""The path that takes the cube to the pad: over it, down, close, up, across, down, open, up, home.

Vertical moves are straight lines of the tool, the others straight lines of the joints. The other arm stays
where it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.policy.scripted.path import Move, move
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.arx_x5.kinematics import ArmKinematics, looking_down
from vla_mbpo_ros.sim.arx_x5.layout import ARM_BASES, SIDES
from vla_mbpo_ros.sim.arx_x5.model import joints_of
from vla_mbpo_ros.sim.tasks.pick_place import CUBE_HALF_M, PAD_THICK_M

VELOCITY_SHARE = 0.45  # of the joints' limit; the gate lets half of it pass by default
_HOVER_M = 0.10  # of the tool above the table: higher, a hand pointing down reaches less far
_GRASP_M = CUBE_HALF_M
_RELEASE_M = PAD_THICK_M + CUBE_HALF_M + 0.003  # a little above: the cube is let go, not pressed down
_CLOSED_M = 0.0  # closes on the cube with the gripper's full force
_LINE_POINTS = 9
_LINE_S, _REACH_S, _GRIP_S = 0.5, 0.6, 0.4  # least durations


@dataclass(frozen=True)
class _Arm:
    """One arm as part of the robot's vector."""

    side: str
    kinematics: ArmKinematics
    joints: slice
    gripper: int


class Picker:
    """Makes paths for one robot."""

    def __init__(self, robot: RobotSpec) -> None:
        self._home = robot.home
        self._open = robot.high
        self._max_velocity = VELOCITY_SHARE * robot.max_velocity
        self._arms = {side: _arm(robot, side) for side in SIDES}

    def plan(self, start: FloatArray, cube: FloatArray, pad: FloatArray) -> tuple[Move, ...] | None:
        """Moves from `start` (N,) that bring the cube (3,) to the pad (3,); None if no arm reaches both."""
        for arm in self._by_distance(cube):
            lines = self._lines(arm, cube, pad)
            if lines is not None:
                return self._moves(arm, start, *lines)
        return None

    def go_home(self, start: FloatArray) -> tuple[Move, ...]:
        return (move([start, self._home], self._max_velocity, _REACH_S),)

    def _by_distance(self, cube: FloatArray) -> list[_Arm]:
        return sorted(self._arms.values(), key=lambda arm: abs(float(cube[1]) - ARM_BASES[arm.side][1]))

    def _lines(self, arm: _Arm, cube: FloatArray, pad: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Joints of the arm (_LINE_POINTS, 6) down to the cube and down to the pad."""
        down = _line(arm, cube, _GRASP_M, self._home[arm.joints])
        put = None if down is None else _line(arm, pad, _RELEASE_M, down[0])
        return None if down is None or put is None else (down, put)

    def _moves(self, arm: _Arm, start: FloatArray, down: FloatArray, put: FloatArray) -> tuple[Move, ...]:
        wide, shut = float(self._open[arm.gripper]), _CLOSED_M
        stages = (  # joints to pass, opening at the end, least duration
            (down[:1], wide, _REACH_S),
            (down, wide, _LINE_S),
            (down[-1:], shut, _GRIP_S),
            (down[::-1], shut, _LINE_S),
            (put[:1], shut, _REACH_S),
            (put, shut, _LINE_S),
            (put[-1:], wide, _GRIP_S),
            (put[::-1], wide, _LINE_S),
            (self._home[None, arm.joints], wide, _REACH_S),
        )
        moves: list[Move] = []
        now = start
        for joints, opening, least_s in stages:
            points = [now, *(self._posture(arm, now, pose, opening) for pose in joints)]
            moves.append(move(points if len(joints) == 1 else points[1:], self._max_velocity, least_s))
            now = points[-1]
        return tuple(moves)

    def _posture(self, arm: _Arm, others: FloatArray, joints: FloatArray, opening_m: float) -> FloatArray:
        """(N,) with one arm and its gripper set, the rest as in `others`."""
        posture: FloatArray = others.copy()
        posture[arm.joints], posture[arm.gripper] = joints, opening_m
        return posture


def _arm(robot: RobotSpec, side: str) -> _Arm:
    prefix = f"{side}_"
    indices = [index for index, name in enumerate(robot.names) if name.startswith(prefix)]
    kinematics = ArmKinematics(joints_of(robot, side), prefix)
    return _Arm(side, kinematics, slice(indices[0], indices[-1]), indices[-1])


def _line(arm: _Arm, place: FloatArray, lowest_m: float, start: FloatArray) -> FloatArray | None:
    """(_LINE_POINTS, 6) straight down over `place` from the hover to `lowest_m`, in the arm's azimuth."""
    x, y = place[:2] - np.array(ARM_BASES[arm.side][:2])
    yaw_rad = float(np.arctan2(y, x))
    now = start.copy()
    now[0] = yaw_rad
    points = []
    for height in np.linspace(_HOVER_M, lowest_m, _LINE_POINTS):
        found = arm.kinematics.inverse(looking_down(np.array([x, y, height]), yaw_rad), now)
        if found is None:
            return None
        points.append(found)
        now = found
    return np.stack(points)
