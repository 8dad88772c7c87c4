"""What may be asked of the tabletop.

    scene     two tasks that share it                                    done when
    buttons   press the red button · press the blue button               its cap is 7 mm down
    push      push the block to the yellow zone · to the purple zone     it is 3 cm from the zone at most, along x and y
    cubes     lift the red cube · lift the green cube                    it is 5 cm above the table
    place     put the cube on the plate · put the cube into the bowl     it lies there, released

Success is absorbing. So is its contrary: who does the *other* task of the scene first has spoiled the episode, or
else a policy could do both and need no instruction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.sim.tabletop import sizes
from vla_mbpo_ros.sim.tabletop.state import TableState

Judge = Callable[[TableState, str], bool]

IN_ZONE_M = 0.030
LIFTED_M = 0.050
RELEASED_M = 2.0 * sizes.CUBE_HALF_M + 0.006  # fingers wider apart than the cube
AT_REST_M_S = 0.10


@dataclass(frozen=True)
class TableTask:
    """One task. `target` is the thing that it is about; the scene's other task is about `other`. `moved` is what the
    tool touches: the target itself, or what is brought there."""

    name: str
    instruction: str
    scene: str
    target: str
    other: str
    moved: str
    max_steps: int  # control steps; a later success does not count
    judge: Judge
    other_judge: Judge

    def is_done(self, state: TableState) -> bool:
        return self.judge(state, self.target)

    def is_spoiled(self, state: TableState) -> bool:
        return self.other_judge(state, self.other)


def _pressed(state: TableState, button: str) -> bool:
    return state.things[button].position[2] <= sizes.BUTTON_TOP_M - sizes.PRESSED_M


def _in_zone(state: TableState, zone: str) -> bool:
    block, there = state.things["block"].position, state.things[zone].position
    near = abs(block[0] - there[0]) <= IN_ZONE_M and abs(block[1] - there[1]) <= IN_ZONE_M
    return near and block[2] <= sizes.BLOCK_HALF_M + 0.01


def _lifted(state: TableState, cube: str) -> bool:
    return state.things[cube].position[2] >= sizes.CUBE_HALF_M + LIFTED_M


def _on_plate(state: TableState, plate: str) -> bool:
    height = state.things["cube"].position[2] - sizes.CUBE_HALF_M - sizes.PLATE_TOP_M
    return _lies_within(state, plate, 0.045) and abs(height) <= 0.01


def _in_bowl(state: TableState, bowl: str) -> bool:
    height = state.things["cube"].position[2] - sizes.CUBE_HALF_M - sizes.BOWL_FLOOR_M
    return _lies_within(state, bowl, 0.04) and abs(height) <= 0.016


def _lies_within(state: TableState, thing: str, radius_m: float) -> bool:
    cube = state.things["cube"]
    released = state.opening >= RELEASED_M and cube.speed <= AT_REST_M_S
    return released and cube.distance_xy(state.things[thing]) <= radius_m


_BROUGHT = {"push": "block", "place": "cube"}  # scene -> what is brought somewhere


def _pair(scene: str, steps: int, *sides: tuple[str, str, str, Judge]) -> list[TableTask]:
    """Two tasks of one scene. A side is (name, instruction, target, judge)."""
    return [
        TableTask(name, text, scene, target, other[2], _BROUGHT.get(scene, target), steps, judge, other[3])
        for (name, text, target, judge), other in zip(sides, reversed(sides), strict=True)
    ]


_ALL = [
    *_pair(
        "buttons",
        60,
        ("press_red", "press the red button", "red_button", _pressed),
        ("press_blue", "press the blue button", "blue_button", _pressed),
    ),
    *_pair(
        "push",
        100,
        ("push_yellow", "push the block to the yellow zone", "yellow_zone", _in_zone),
        ("push_purple", "push the block to the purple zone", "purple_zone", _in_zone),
    ),
    *_pair(
        "cubes",
        80,
        ("lift_red", "lift the red cube", "red_cube", _lifted),
        ("lift_green", "lift the green cube", "green_cube", _lifted),
    ),
    *_pair(
        "place",
        140,
        ("place_plate", "put the cube on the plate", "plate", _on_plate),
        ("place_bowl", "put the cube into the bowl", "bowl", _in_bowl),
    ),
]
TASKS = {task.name: task for task in _ALL}


def task_names() -> tuple[str, ...]:
    return tuple(TASKS)


def get_table_task(name: str) -> TableTask:
    if name not in TASKS:
        raise UnknownName("task of the tabletop", name, TASKS)
    return TASKS[name]


def sibling(task: TableTask) -> TableTask:
    """The other task of the same scene."""
    return next(other for other in TASKS.values() if other.scene == task.scene and other is not task)
