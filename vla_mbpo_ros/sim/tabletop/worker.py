"""The process that does a pool's work: snapshots and actions come in, snapshots and observations go out.

It keeps no episode. Whatever it is asked depends on the message alone, so it is no matter which worker does it.

    message  (operation, arguments)      answer   ("done", result) or ("error", exception)

Its arguments are the file descriptor of the connection, and the pictures' width and height.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import DeviceError, VlaMbpoError
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop.actions import to_command
from vla_mbpo_ros.sim.tabletop.teacher import Demonstration, Lesson, demonstrate, look_ahead
from vla_mbpo_ros.sim.tabletop.world import Snapshot, World


@dataclass(frozen=True)
class Rows:
    """Episodes after some work. `images` has no views where none were asked for."""

    snapshots: list[Snapshot]
    images: ImageArray  # (B, V, H, W, 3)
    state: FloatArray  # (B, 7)


class Worker:
    """The operations, as methods."""

    def __init__(self, width: int, height: int) -> None:
        self._world = World()
        self._size = width, height

    def begin(self, starts: Sequence[tuple[str, int, float]]) -> Rows:
        """Episodes at their first moment; a start is (task, seed, slip)."""
        snapshots = []
        for start in starts:
            self._world.begin(*start)
            snapshots.append(self._world.snapshot())
        return self.look(snapshots)

    def look(self, snapshots: Sequence[Snapshot]) -> Rows:
        """What is seen where they are."""
        return self.advance(snapshots, np.zeros((len(snapshots), 0, TABLETOP.dof)), True)

    def advance(self, snapshots: Sequence[Snapshot], actions: FloatArray, render: bool) -> Rows:
        """Execute actions (B, K, 7); pictures at the end only.

        A chunk ends where its episode does: what is seen then is the moment of success. One that begins after that is
        executed to its own end.
        """
        ends, images, states = [], [], []
        for snapshot, commands in zip(snapshots, to_command(actions), strict=True):
            self._world.restore(snapshot)
            for command in commands:
                self._world.step(command)
                if self._world.over and not snapshot.over:
                    break
            ends.append(self._world.snapshot())
            states.append(self._world.position())
            if render:
                images.append(self._world.views(*self._size))
        return Rows(ends, _stacked(images, len(ends), self._size), np.array(states))

    def plan(self, snapshots: Sequence[Snapshot], horizon: int) -> FloatArray:
        """(B, K, 7) what the experts would do from there."""
        plans = []
        for snapshot in snapshots:
            self._world.restore(snapshot)
            plans.append(look_ahead(self._world, horizon))
        return np.stack(plans)

    def demonstrate(self, lessons: Sequence[Lesson]) -> list[Demonstration]:
        return [demonstrate(self._world, lesson, *self._size) for lesson in lessons]


def _stacked(images: list[ImageArray], rows: int, size: tuple[int, int]) -> ImageArray:
    return np.stack(images) if images else np.zeros((rows, 0, size[1], size[0], 3), dtype=np.uint8)


def serve(connection: Connection, worker: Worker) -> None:
    """Until the other end is closed."""
    while True:
        try:
            operation, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_answer(worker, operation, arguments))


def _answer(worker: Worker, operation: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "done", getattr(worker, operation)(*arguments)
    except VlaMbpoError as error:
        return "error", error
    except Exception:  # a defect: the parent shows where
        return "error", DeviceError(f"A tabletop worker failed: {traceback.format_exc()}", "Report it.")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end ends us
    descriptor, width, height = (int(text) for text in sys.argv[1:])
    try:
        serve(Connection(descriptor), Worker(width, height))
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent has gone
