"""Tasks by name."""

from __future__ import annotations

from collections.abc import Callable

from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.sim.tasks.pick_place import PickPlace
from vla_mbpo_ros.sim.tasks.task import Task

_TASKS: dict[str, Callable[[], Task]] = {"pick_place": PickPlace}


def task_names() -> tuple[str, ...]:
    return tuple(sorted(_TASKS))


def get_task(name: str) -> Task:
    if name not in _TASKS:
        raise UnknownName("task", name, _TASKS)
    return _TASKS[name]()
