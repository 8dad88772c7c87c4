"""The tabletop: a light single-arm world with LIBERO's face, on which everything learns in minutes.

    tasks.py      what may be asked: eight tasks in four scenes; two of a scene differ by the instruction alone
    layout.py     what a seed decides: places, looks, and the chance in the dynamics
    table.xml     table, arm, cameras            things.py    buttons, cubes, zones, plate and bowl (sizes.py)
    model.py      a scene as a MuJoCo model      world.py     one episode in it: steps, snapshots, success
    state.py      what is true on the table      arm_links.py the links of the arm, seen only
    twin.py       the same behind sim_node       actions.py   actions in [-1, 1] and the robot's commands
    experts.py    privileged scripted experts    teacher.py   one demonstration, disturbed on purpose
    vector.py     many episodes on many cores    crew.py, worker.py   the processes that do its work
    demos.py      demonstrations as arrays       gallery.py   a picture of every task's start
    journeys.py   episodes chunk by chunk        hands.py     who acts in them: clumsy experts
    films.py      what is seen inside of chunks
    kept_arrays.py   arrays in one file, whole or not at all

No ROS and no torch. What a learner needs is exported here.
"""

from vla_mbpo_ros.sim.tabletop.actions import ACTION_DIM, to_action, to_command
from vla_mbpo_ros.sim.tabletop.demos import Demonstrations, collect
from vla_mbpo_ros.sim.tabletop.hands import ClumsyExperts
from vla_mbpo_ros.sim.tabletop.journeys import Act, Journeys, Moment, travel
from vla_mbpo_ros.sim.tabletop.tasks import TASKS, TableTask, get_table_task, sibling, task_names
from vla_mbpo_ros.sim.tabletop.vector import ChunkResult, Ledger, Observations, Pool
from vla_mbpo_ros.sim.tabletop.world import Snapshot

__all__ = [
    "ACTION_DIM",
    "TASKS",
    "Act",
    "ChunkResult",
    "ClumsyExperts",
    "Demonstrations",
    "Journeys",
    "Ledger",
    "Moment",
    "Observations",
    "Pool",
    "Snapshot",
    "TableTask",
    "collect",
    "get_table_task",
    "sibling",
    "task_names",
    "to_action",
    "to_command",
    "travel",
]
