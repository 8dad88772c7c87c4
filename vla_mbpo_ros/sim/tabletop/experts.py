"""Privileged scripted experts: what is true on the table -> the next action in [-1, 1].

They have no memory. What to do follows from where things are now, so an expert may be asked anywhere, also in the
middle of what another policy began or after a slip; and it may look ahead on a copy of the world.

All of them come down in a funnel: the farther the tool is from being above its target, the higher it stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import sizes
from vla_mbpo_ros.sim.tabletop.state import TableState, Thing
from vla_mbpo_ros.sim.tabletop.tasks import TableTask

OPEN, CLOSED = -1.0, 1.0
_GAIN = 6.0  # 1/s: of the way that is left, a second
_SPEED = float(TABLETOP.max_velocity[0])
_TURN_SPEED = float(TABLETOP.max_velocity[5])
_OPEN_M = float(TABLETOP.high[6])

_GRASP_Z_M = 0.018  # the fingertips' height when they close
_CARRY_M = 0.075  # higher than where it is laid down
_PUSH_Z_M = 0.016
_PUSH_OPENING_M = 0.030  # two fingers touch the block apart, so it does not turn
_FINGER_HALF_M = 0.009
_TOUCH_M = sizes.BLOCK_HALF_M + _FINGER_HALF_M  # from the tool to the block's middle when they touch
_PUSH_STEP_M = 0.018  # ahead of the tool: three quarters of the speed, and room to steer
_PUSH_CONE_RAD = math.radians(20.0)  # off the face's normal: so far friction takes the block along, with room to spare
_STAND_M = 0.032  # from the block, where the tool comes down
_WIDE_M = 0.066  # open enough to come down over a cube, and to let it go inside the bowl


@dataclass(frozen=True)
class _Wish:
    """Where the tool should go."""

    x: float
    y: float
    z: float
    gripper: float  # as in an action
    yaw: float = 0.0
    slow: float = 1.0  # share of the speed


def expert_action(task: TableTask, state: TableState) -> FloatArray:
    """(7,) what the expert of `task` does now."""
    wish = _EXPERTS[task.scene](task, state)
    x, y, z, rx, ry, rz = (float(value) for value in state.tool)
    action = np.zeros(7)
    way = np.array([wish.x - x, wish.y - y, wish.z - z])
    speed = np.clip(way * (_GAIN / _SPEED), -wish.slow, wish.slow)
    action[:3] = speed
    action[3:5] = np.clip(np.array([-rx, -ry]) * (_GAIN / float(TABLETOP.max_velocity[3])), -1.0, 1.0)
    action[5] = np.clip((wish.yaw - rz) * (_GAIN / _TURN_SPEED), -1.0, 1.0)
    action[6] = wish.gripper
    return action


def _press(task: TableTask, state: TableState) -> _Wish:
    button = state.things[task.target]
    x, y, height = button.position
    if height <= sizes.BUTTON_TOP_M - sizes.PRESSED_M - 0.002:
        return _Wish(x, y, 0.10, CLOSED)  # done: away
    off = _off(state, x, y)
    return _Wish(x, y, 0.012 + _funnel(off, 0.010, 3.0, 0.07), CLOSED)


def _push(task: TableTask, state: TableState) -> _Wish:
    """From behind, two fingers flat against the block: so it goes where the tool goes, also sideways, by friction.

    The face that is pushed follows the way to the zone only as far as friction alone would not do. So where the tool
    begins depends on the block and on the zone's side, and where exactly the zone is matters while it pushes.
    """
    block, zone = state.things["block"], state.things[task.target]
    way = np.subtract(zone.position, block.position)[:2]
    narrow = _gripper_for(_PUSH_OPENING_M)
    x, y, z, yaw = (float(state.tool[index]) for index in (0, 1, 2, 5))
    if np.abs(way).max() < 0.018 or (z > 0.06 and task.is_done(state)):
        return _Wish(x, y, 0.12, narrow, yaw)  # done: away
    side, angle = math.copysign(1.0, way[1]), math.atan2(way[0], abs(way[1]))
    turn = angle - min(max(angle, -_PUSH_CONE_RAD), _PUSH_CONE_RAD)
    ahead = np.array([math.sin(turn), side * math.cos(turn)])  # across the face
    left = np.array([-ahead[1], ahead[0]])  # along it
    rel = np.array([x, y]) - block.position[:2]
    behind, aside = -float(rel @ ahead), float(rel @ left)
    if z < 0.035 and 0.5 * _TOUCH_M < behind < _TOUCH_M + 0.06 and abs(aside) < 0.026:
        drift = float(way @ left) / max(float(way @ ahead) - 0.02, 0.01)  # in line a little before it is there
        course = ahead + left * min(max(drift, -0.8), 0.8)
        step = course * (_PUSH_STEP_M * min(1.0, float(np.hypot(*way)) / 0.03) / float(np.hypot(*course)))
        step += ahead * (behind - _TOUCH_M) - left * (0.5 * aside)
        return _Wish(x + float(step[0]), y + float(step[1]), _PUSH_Z_M, narrow, -turn * side)
    goal = np.array(block.position[:2]) - ahead * (_TOUCH_M + _STAND_M)
    z_goal = _PUSH_Z_M + _funnel(_off(state, *goal), 0.014, 4.0, 0.075)
    return _Wish(float(goal[0]), float(goal[1]), z_goal, narrow, -turn * side)


def _lift(task: TableTask, state: TableState) -> _Wish:
    cube = state.things[task.target]
    if _is_held(state, cube):
        return _Wish(float(state.tool[0]), float(state.tool[1]), 0.16, CLOSED, float(state.tool[5]), slow=0.7)
    return _grasp(state, cube)


def _place(task: TableTask, state: TableState) -> _Wish:
    cube, goal = state.things["cube"], state.things[task.target]
    support = sizes.BOWL_FLOOR_M if task.target == "bowl" else sizes.PLATE_TOP_M
    lift = cube.position[2] - sizes.CUBE_HALF_M - support
    x, y, z = (float(value) for value in state.tool[:3])
    yaw = float(state.tool[5])
    wide = _gripper_for(_WIDE_M)
    if cube.distance_xy(goal) < 0.035 and lift < 0.016 and (z < 0.06 or not _is_held(state, cube)):
        return _Wish(x, y, 0.13 if state.opening > _WIDE_M - 0.006 else z, wide, yaw)  # lay down, then away
    if not _is_held(state, cube):
        return _grasp(state, cube)
    # carry: the cube's place in the hand is kept
    goal_x, goal_y = x + goal.position[0] - cube.position[0], y + goal.position[1] - cube.position[1]
    off = _off(state, goal_x, goal_y)
    low = z - lift + 0.006
    high = low + _funnel(off, 0.012, 3.0, _CARRY_M)
    is_low = off > 0.03 and high - z > 0.03  # up first
    return _Wish(x if is_low else goal_x, y if is_low else goal_y, high, CLOSED, yaw)


def _grasp(state: TableState, cube: Thing) -> _Wish:
    """Come down over the cube with open fingers, and close them when it is between."""
    x, y, z = cube.position
    yaw = _nearest_face(cube.yaw)
    along, across = _in_hand(state, cube)
    grasp_z = max(z - sizes.CUBE_HALF_M, 0.0) + _GRASP_Z_M
    over = float(state.tool[2]) - grasp_z
    if abs(along) < 0.014 and abs(across) < 0.011 and over < 0.010:
        return _Wish(float(state.tool[0]), float(state.tool[1]), grasp_z, CLOSED, float(state.tool[5]))
    off = math.hypot(along, across) + (0.05 if state.opening < _WIDE_M else 0.0)
    return _Wish(x, y, grasp_z + _funnel(off, 0.008, 3.0, 0.07), OPEN, yaw)


def _is_held(state: TableState, cube: Thing) -> bool:
    """The fingers have closed on the cube."""
    along, across = _in_hand(state, cube)
    inside = abs(along) < 0.012 and abs(across) < 0.016 and abs(float(state.tool[2]) - cube.position[2]) < 0.024
    return inside and state.opening < 2.0 * sizes.CUBE_HALF_M + 0.002


def _in_hand(state: TableState, thing: Thing) -> tuple[float, float]:
    """Where a thing is from the tool, along the fingers' way and across it."""
    dx, dy = thing.position[0] - float(state.tool[0]), thing.position[1] - float(state.tool[1])
    cos, sin = math.cos(float(state.tool[5])), math.sin(float(state.tool[5]))
    return dx * cos + dy * sin, -dx * sin + dy * cos


def _nearest_face(yaw: float) -> float:
    """The turn within 45 degrees that brings the fingers to two of a cube's faces."""
    quarter = math.pi / 2.0
    return (yaw + quarter / 2.0) % quarter - quarter / 2.0


def _off(state: TableState, x: float, y: float) -> float:
    return math.hypot(x - float(state.tool[0]), y - float(state.tool[1]))


def _funnel(off: float, free: float, slope: float, top: float) -> float:
    """Height above the target for a tool that is `off` from being over it."""
    return min(max(slope * (off - free), 0.0), top)


def _gripper_for(opening_m: float) -> float:
    return 1.0 - 2.0 * opening_m / _OPEN_M


_EXPERTS: dict[str, Callable[[TableTask, TableState], _Wish]] = {
    "buttons": _press,
    "push": _push,
    "cubes": _lift,
    "place": _place,
}
