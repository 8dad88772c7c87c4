"""VLA-MBPO on ROS 2: a vision-language-action policy gets better inside a world model of your own rosbags.

Importing this package needs neither ROS nor torch. docs/architecture.md says what lives where.
"""

import ctypes
from pathlib import Path

__version__ = "0.1.0"

# Each library comes after those it needs.
_LIBRARIES = (
    "rosidl_generator_c",
    "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_introspection_c",
    "rosidl_typesupport_c",
    "rosidl_generator_py",
)


def _preload_message_libraries() -> str:
    """Load the libraries behind `vla_mbpo_ros.msg`, and return what went wrong (empty if nothing did).

    Only a pip install has `_lib`: it is on no library search path, but what is loaded already is found by its
    name. With colcon the environment's LD_LIBRARY_PATH does this.
    """
    folder = Path(__file__).parent / "_lib"
    if not folder.is_dir():
        return ""
    try:
        for name in _LIBRARIES:
            ctypes.CDLL(str(folder / f"libvla_mbpo_ros__{name}.so"), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:  # ROS has been removed or replaced since; all that needs no ROS goes on working
        return f"{error}: the messages were built for another ROS; run `make setup` or install again"
    return ""


#: Why messages cannot be used; empty when they can, or were never built. `vla-mbpo doctor` shows it.
message_problem = _preload_message_libraries()
