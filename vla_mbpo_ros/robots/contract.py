"""The topics that a robot's graph promises: what the recorder records, `up` measures and `bags check` expects.

kind       QoS (nodes/qos.py)                          gaps are
image      best effort, depth 1 (recorder: reliable)   a lost frame
state      reliable, depth 10                          a lost sample
command    reliable, depth 1                           a lost command
event      reliable, depth 100                         a lost event
latched    reliable, transient local                   not counted: sent on change
"""

from __future__ import annotations

from dataclasses import dataclass

from vla_mbpo_ros.config import COLORS
from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.robots.spec import RobotSpec

PACKAGE = "vla_mbpo_ros"
RAW, COMPRESSED = "color/image_raw", "color/image_raw/compressed"  # names as image_transport gives them
_IMAGES = {"raw": (RAW,), "compressed": (COMPRESSED,), "both": (RAW, COMPRESSED)}
_TYPES = {RAW: "sensor_msgs/msg/Image", COMPRESSED: "sensor_msgs/msg/CompressedImage"}


@dataclass(frozen=True)
class Topic:
    """One promised topic. `hz` is in the graph's own time; 0 means on change."""

    name: str
    type: str  # as "package/msg/Name"
    kind: str  # "image", "state", "command", "event" or "latched"
    hz: float = 0.0
    sim_only: bool = False


def image_topics(camera: str, color: str = "raw") -> tuple[str, ...]:
    """Names of a camera's image topics; `color` is one of `COLORS`."""
    if color not in _IMAGES:
        raise UnknownName("choice of colour topics", color, COLORS)
    return tuple(f"{camera}/{name}" for name in _IMAGES[color])


def camera_topics(camera: str, hz: float, color: str = "raw") -> tuple[Topic, ...]:
    return (
        *(Topic(name, _TYPES[name[len(camera) + 1 :]], "image", hz) for name in image_topics(camera, color)),
        Topic(f"{camera}/color/frame_info", f"{PACKAGE}/msg/FrameInfo", "event", hz),
        Topic(f"{camera}/color/camera_info", "sensor_msgs/msg/CameraInfo", "latched"),
    )


def robot_topics(
    robot: RobotSpec, control_hz: float, camera_hz: dict[str, float], color: str = "raw"
) -> tuple[Topic, ...]:
    """Every topic of the contract. `camera_hz` maps camera name to its rate, `color` says which images."""
    cameras = tuple(topic for name in robot.camera_names for topic in camera_topics(name, camera_hz[name], color))
    return (
        *cameras,
        Topic("joint_states", "sensor_msgs/msg/JointState", "state", control_hz),
        Topic("joint_command", f"{PACKAGE}/msg/JointCommand", "command", control_hz),
        Topic("robot/executed_command", f"{PACKAGE}/msg/JointCommand", "event", control_hz),
        Topic("policy/action_chunk", f"{PACKAGE}/msg/ActionChunk", "event"),
        Topic("executor/status", f"{PACKAGE}/msg/ExecutorStatus", "event", control_hz),
        Topic("robot/safety_state", f"{PACKAGE}/msg/SafetyState", "latched"),
        Topic("control_source", "std_msgs/msg/String", "latched"),
        Topic("instruction", "std_msgs/msg/String", "latched"),
        Topic("estop", "std_msgs/msg/Bool", "latched"),
        Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "event"),
        Topic("sim/state", f"{PACKAGE}/msg/SimState", "event", control_hz, sim_only=True),
        Topic("/clock", "rosgraph_msgs/msg/Clock", "event", control_hz, sim_only=True),
    )
