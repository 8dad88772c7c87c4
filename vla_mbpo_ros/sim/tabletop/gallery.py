"""A picture of every task: its start from both views, and how it looks when the expert has done it.

python -m vla_mbpo_ros.sim.tabletop.gallery docs/images/tabletop.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import ImageArray
from vla_mbpo_ros.sim.tabletop.actions import to_command
from vla_mbpo_ros.sim.tabletop.experts import expert_action
from vla_mbpo_ros.sim.tabletop.tasks import TableTask, task_names
from vla_mbpo_ros.sim.tabletop.world import World

PIXELS = 64
_INCHES = 1.5  # side of one picture
_AFTER = 4  # control steps past success
_SEED = 3


def draw(path: Path, seed: int = _SEED) -> None:
    """A column a task; the two of a scene stand side by side and begin alike."""
    world, names = World(), task_names()
    figure = Figure(figsize=(_INCHES * len(names) * 1.04, _INCHES * 4 * 1.12), layout="constrained")
    axes = figure.subplots(4, len(names))
    for column, name in enumerate(names):
        start, end = _episode(world, name, seed)
        for row, picture in enumerate((*start, *end)):
            axes[row, column].imshow(picture, interpolation="nearest")
            axes[row, column].set(xticks=[], yticks=[])
        axes[0, column].set_title(_broken(world.task), fontsize=8)
    for row, label in enumerate(f"{when}, {view}" for when in ("start", "done") for view in TABLETOP.camera_names):
        axes[row, 0].set_ylabel(label, fontsize=8)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    world.close()


def _episode(world: World, name: str, seed: int) -> tuple[ImageArray, ImageArray]:
    """(V, H, W, 3) before, and shortly after the expert's success."""
    world.begin(name, seed)
    start = world.views(PIXELS, PIXELS)
    while not world.over:
        world.step(to_command(expert_action(world.task, world.state())))
    for _ in range(_AFTER):
        world.step(to_command(expert_action(world.task, world.state())))
    return start, world.views(PIXELS, PIXELS)


def _broken(task: TableTask) -> str:
    """The instruction on two lines."""
    words = task.instruction.split()
    return " ".join(words[:3]) + "\n" + " ".join(words[3:])


if __name__ == "__main__":
    draw(Path(sys.argv[1] if len(sys.argv) > 1 else "tabletop.png"))
