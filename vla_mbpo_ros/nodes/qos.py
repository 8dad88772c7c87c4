"""Quality of service by kind of topic. Every publisher and subscription can be changed by the standard
`qos_overrides` parameters of ROS 2.

Image publishers offer "reliable" so that the recorder may ask for it; who only wants the newest frame subscribes
best effort. In lock-step every frame counts, so simulated time asks for reliable.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, reliable: bool = True, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


IMAGE = _profile(depth=5)
NEWEST_IMAGE = _profile(depth=1, reliable=False)
RECORDED_IMAGE = _profile(depth=60)
STATE = _profile(depth=10)
COMMAND = _profile(depth=1)
EVENT = _profile(depth=100)
LATCHED = _profile(depth=1, latched=True)
HEARTBEAT = _profile(depth=10, reliable=False)

BY_KIND = {"image": IMAGE, "state": STATE, "command": COMMAND, "event": EVENT, "latched": LATCHED}
