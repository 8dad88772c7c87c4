"""What is to be done in a twin: the things on the table, where they lie for a seed, when the work is done."""

from vla_mbpo_ros.sim.tasks.registry import get_task, task_names
from vla_mbpo_ros.sim.tasks.task import Task

__all__ = ["Task", "get_task", "task_names"]
