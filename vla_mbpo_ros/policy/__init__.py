"""Who proposes action chunks: from observations to joint targets, behind one protocol.

Lives here: `protocol.Policy`, `factory.make_policy`, and the policies themselves, a folder each; for learned ones
`checkpoint` (on disk and back), `weights` (safetensors), `networks` (by name) and `inspection`. No ROS, and torch only
where a learned policy is made: importing this package does not import it.
A policy sees `Observation`s only: never a simulator's state. `evaluation`, `nodes`, `cli` and `bringup` may
import this room.
"""

from vla_mbpo_ros.policy.factory import make_policy
from vla_mbpo_ros.policy.protocol import Policy, Prefix, Sample, TrainablePolicy

__all__ = ["Policy", "Prefix", "Sample", "TrainablePolicy", "make_policy"]
