"""What a robot is: joints, units, limits, cameras, rates, and the topics it promises. Plain data.

Imports only `schema` and `errors`. Everyone may import this room; it knows nothing of ROS, simulators or drivers.
"""

from vla_mbpo_ros.robots.registry import get_robot, robot_names
from vla_mbpo_ros.robots.spec import Camera, Joint, RobotSpec

__all__ = ["Camera", "Joint", "RobotSpec", "get_robot", "robot_names"]
