"""Quality of service by kind of topic. Every publisher and subscription can be changed by the standard
`qos_overrides` parameters of ROS 2.

Image publishers offer "reliable" so that the recorder may ask for it; who only wants the newest frame subscribes
best effort. In lock-step every frame counts, so simulated time asks for reliable.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

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
# Everything else that is recorded waits there while the recorder waits for the disk: 10 s at 100 Hz.
RECORDED = _profile(depth=1000)
STATE = _profile(depth=10)
COMMAND = _profile(depth=1)
EVENT = _profile(depth=100)
LATCHED = _profile(depth=1, latched=True)
HEARTBEAT = _profile(depth=10, reliable=False)

BY_KIND = {"image": IMAGE, "state": STATE, "command": COMMAND, "event": EVENT, "latched": LATCHED}


def fitting(profile: QoSProfile, offered: Iterable[QoSProfile]) -> QoSProfile:
    """`profile`, asking for no more than these publishers offer: who asks for more hears nothing."""
    fit, offers = copy(profile), list(offered)
    if any(offer.reliability == ReliabilityPolicy.BEST_EFFORT for offer in offers):
        fit.reliability = ReliabilityPolicy.BEST_EFFORT
    if any(offer.durability == DurabilityPolicy.VOLATILE for offer in offers):
        fit.durability = DurabilityPolicy.VOLATILE
    return fit
