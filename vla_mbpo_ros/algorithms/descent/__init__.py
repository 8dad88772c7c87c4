"""What every gradient descent here shares.

    settings.py   what the settings of every training have
    loop.py       descend(trainer): until the last step, advance ──> row of the curve; now and then a saved state
    weights.py    Descent.take(loss): gradient clipped, AdamW, warm-up then cosine; the moving average follows
    rows.py       Epochs, evenly: which rows a step takes, and a look
    log.py        one CSV row a step or iteration, TensorBoard if it is installed
    saved.py      the state of a training on disk, to go on bit for bit

All of it is a matter of (seed, step), so that a training that was interrupted goes on bit for bit on the same device
with the same number of threads. With several processes (`models/distributed.py`) weights, memory and average are
sharded; what is saved is whole.
"""

from vla_mbpo_ros.algorithms.descent.log import Log, Watch, read_log
from vla_mbpo_ros.algorithms.descent.loop import CURVE, descend
from vla_mbpo_ros.algorithms.descent.rows import Epochs, evenly
from vla_mbpo_ros.algorithms.descent.settings import (
    BFLOAT16,
    FLOAT32,
    PRECISIONS,
    DescentSettings,
    TrainingSettings,
    with_default,
)
from vla_mbpo_ros.algorithms.descent.weights import Descent, learning_rate

__all__ = [
    "BFLOAT16",
    "CURVE",
    "FLOAT32",
    "PRECISIONS",
    "Descent",
    "DescentSettings",
    "Epochs",
    "Log",
    "TrainingSettings",
    "Watch",
    "descend",
    "evenly",
    "learning_rate",
    "read_log",
    "with_default",
]
