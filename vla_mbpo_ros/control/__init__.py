"""From chunks to commands, and from commands to the arm: the chunk executor and the safety gate.

    ActionChunk ──> ChunkExecutor ──Command──> Gate ──Command──> arm
                    time alignment, crossfade   lease, limits, ages, e-stop, hold

`buttons.py` decides what a press of a button asks of the recorder.

No ROS and no clock in here: every method is told the time, `now_ns` in graph time (it may be simulated) and,
for watchdogs, `steady_ns`. So the same inputs always give the same commands. Objects are not thread-safe: one
thread, or one lock, calls them.

Imports `robots`, `schema`, `config` and `errors`. `nodes`, `cli` and what lies between may import this room.
"""

from vla_mbpo_ros.control.executor import ChunkExecutor
from vla_mbpo_ros.control.gate import Gate
from vla_mbpo_ros.control.rate import RateMeter, RateSummary
from vla_mbpo_ros.control.safety import GateState, Refusal, SafetyState
from vla_mbpo_ros.control.status import ExecutorState, ExecutorStatus

__all__ = [
    "ChunkExecutor",
    "ExecutorState",
    "ExecutorStatus",
    "Gate",
    "GateState",
    "RateMeter",
    "RateSummary",
    "Refusal",
    "SafetyState",
]
