"""Who proposes action chunks: from observations to joint targets, behind one protocol.

Lives here: `protocol.Policy`, `factory.make_policy`, and the policies themselves, a folder each. No ROS.
A policy sees `Observation`s only: never a simulator's state. `evaluation`, `nodes`, `cli` and `bringup` may
import this room.
"""

from vla_mbpo_ros.policy.factory import make_policy
from vla_mbpo_ros.policy.protocol import Policy, Prefix, Sample

__all__ = ["Policy", "Prefix", "Sample", "make_policy"]
