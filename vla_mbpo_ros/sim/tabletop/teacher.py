"""One demonstration: an expert acts, disturbed on purpose, and says at every chunk start what it would do from there.

    the hand's way      o~~~~o~~~~o~~~~o   disturbed by `noise`, so that places beside the straight way are visited
    the label there     o----------        the expert's next K actions from there, undisturbed, on a copy of the world

So a label is what leads to the goal from a place where a learner may find itself, and never the disturbance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop.actions import to_command
from vla_mbpo_ros.sim.tabletop.experts import expert_action
from vla_mbpo_ros.sim.tabletop.layout import DEFAULT_SLIP
from vla_mbpo_ros.sim.tabletop.tasks import task_names
from vla_mbpo_ros.sim.tabletop.world import World

_KEPT = 0.85  # of the disturbance, from one control step to the next
_SHARE = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 1.0])  # of `noise`, for x y z rx ry rz


@dataclass(frozen=True)
class Lesson:
    """What to demonstrate."""

    task: str
    seed: int
    noise: float = 0.0  # standard deviation of the disturbance, in units of an action
    horizon: int = 10  # K
    stride: int = 10  # control steps between two chunk starts
    slip: float = DEFAULT_SLIP


@dataclass(frozen=True)
class Demonstration:
    """Its chunk starts before success, in order."""

    images: ImageArray  # (M, V, H, W, 3)
    state: FloatArray  # (M, 7)
    actions: FloatArray  # (M, K, 7) in [-1, 1]
    tick: FloatArray  # (M,) control steps since the reset
    places: FloatArray  # (M, 2, 4) of what the tool touches and of the target: x y z [m], yaw [rad]; privileged
    success_tick: int  # -1: failed
    steps: int  # control steps of the demonstration
    looked_ahead: int  # control steps on copies of the world


def demonstrate(world: World, lesson: Lesson, width: int, height: int) -> Demonstration:
    """From the start to success, failure or the time limit."""
    disturbance = _Disturbance(lesson)
    world.begin(lesson.task, lesson.seed, lesson.slip)
    images, states, actions, ticks, places = [], [], [], [], []
    while not world.over:
        images.append(world.views(width, height))
        states.append(world.position())
        ticks.append(world.ticks)
        places.append(_places(world))
        actions.append(look_ahead(world, lesson.horizon))
        for _ in range(lesson.stride):
            if not world.over:
                world.step(to_command(expert_action(world.task, world.state()) + disturbance.next()))
    return Demonstration(
        images=np.stack(images),
        state=np.array(states),
        actions=np.array(actions),
        tick=np.array(ticks, dtype=np.float64),
        places=np.array(places),
        success_tick=world.success_tick,
        steps=world.ticks,
        looked_ahead=len(actions) * lesson.horizon,
    )


def _places(world: World) -> FloatArray:
    """(2, 4)"""
    things, task = world.state().things, world.task
    return np.array([(*things[name].position, things[name].yaw) for name in (task.moved, task.target)])


def look_ahead(world: World, horizon: int) -> FloatArray:
    """(K, 7) what the expert does from here, undisturbed. The world is as before."""
    here = world.snapshot()
    actions = np.empty((horizon, TABLETOP.dof))
    for step in range(horizon):
        actions[step] = expert_action(world.task, world.state())
        world.step(to_command(actions[step]))
    world.restore(here)
    return actions


class _Disturbance:
    """Coloured noise on the six velocities, from the lesson alone."""

    def __init__(self, lesson: Lesson) -> None:
        self._random = np.random.default_rng((lesson.seed, task_names().index(lesson.task), 7))
        self._scale = lesson.noise * _SHARE
        self._now = self._scale * self._random.standard_normal(6)

    def next(self) -> FloatArray:
        """(7,)"""
        fresh = self._scale * self._random.standard_normal(6)
        self._now = _KEPT * self._now + np.sqrt(1.0 - _KEPT**2) * fresh
        return np.append(self._now, 0.0)
