"""ROS 2, its messages and tools, and our own messages."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vla_mbpo_ros.cli.checks.check import Check, has_module, module_check, version_of

_PACKAGES = (
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "diagnostic_msgs",
    "lifecycle_msgs",
    "trajectory_msgs",
    "visualization_msgs",
)
_INSTALL = "`make setup` installs ROS 2 as Python wheels; on a ROS machine `source /opt/ros/<distro>/setup.bash`."
_REAL_ONLY = "Comes with a ROS install (`source /opt/ros/<distro>/setup.bash`); there are no wheels of it."
_SAFE_DOMAINS = 101  # above it the ports of DDS meet those that Linux hands out itself


def checks() -> Iterator[Check]:
    yield _rclpy()
    yield _messages()
    yield _own_messages()
    yield _rmw()
    yield _domain()
    yield _profile()
    yield module_check("launch", "launch_ros", f"{_REAL_ONLY} `vla-mbpo up` starts the same graph without it.")
    yield _executable("ros2 command", "ros2")
    yield module_check("rosbag2_py", "rosbag2_py", f"{_REAL_ONLY} Bags are written and read without it.")
    yield _diagnostics()
    yield module_check("tf2", "tf2_ros", f"{_REAL_ONLY} Frames are published only where it is.")
    yield _cv_bridge()
    yield _executable("RViz", "rviz2")


def _rclpy() -> Check:
    try:
        import rclpy
    except Exception as error:  # a broken ROS fails in many ways
        return Check("ROS 2 (rclpy)", False, f"{type(error).__name__}: {error}", _INSTALL, required=True)
    origin = Path(rclpy.__file__).parent
    distro = os.environ.get("ROS_DISTRO") or _distro_of(version_of("rclpy"))
    return Check(
        "ROS 2 (rclpy)",
        True,
        f"{version_of('rclpy') or 'unknown version'}, {distro}, {origin}",
        required=True,
    )


def _distro_of(rclpy_version: str) -> str:
    """Wheels set no ROS_DISTRO; each distribution has its own major version of rclpy."""
    return {"3": "humble", "7": "jazzy", "9": "kilted"}.get(rclpy_version.split(".")[0], "unknown distribution")


def _messages() -> Check:
    missing = [name for name in _PACKAGES if not has_module(name)]
    found = f"missing: {', '.join(missing)}" if missing else f"{len(_PACKAGES)} packages"
    return Check("message packages", not missing, found, _INSTALL if missing else "", required=True)


def _own_messages() -> Check:
    import vla_mbpo_ros

    if vla_mbpo_ros.message_problem:
        return Check("our own messages", False, vla_mbpo_ros.message_problem, "Run `make setup`.", required=True)
    try:
        importlib.import_module("vla_mbpo_ros.msg")
    except Exception as error:
        cure = "Run `make setup`, or `colcon build` and source its setup.bash."
        return Check("our own messages", False, f"{type(error).__name__}: {error}", cure, required=True)
    return Check("our own messages", True, "built", required=True)


def _rmw() -> Check:
    try:
        import rclpy

        name = str(rclpy.get_rmw_implementation_identifier())
    except Exception as error:
        cure = "Set RMW_IMPLEMENTATION to an installed one, for example rmw_fastrtps_cpp."
        return Check("RMW_IMPLEMENTATION", False, f"{type(error).__name__}: {error}", cure, required=True)
    ok = "fastrtps" in name
    cure = "" if ok else "It works, but our profile for large images is for Fast DDS: `vla-mbpo bench transport` tells."
    return Check("RMW_IMPLEMENTATION", ok, name, cure)


def _domain() -> Check:
    text = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    ok = text.isdigit() and int(text) <= _SAFE_DOMAINS
    cure = "" if ok else f"Set ROS_DOMAIN_ID to a number from 0 to {_SAFE_DOMAINS}."
    return Check("ROS_DOMAIN_ID", ok, text, cure, required=True)


def _profile() -> Check:
    from vla_mbpo_ros.bringup.transport import own_profiles, transport_profile
    from vla_mbpo_ros.config import SHARED_MEMORY, SOCKETS
    from vla_mbpo_ros.errors import MissingDependency

    try:
        own = own_profiles(os.environ)
        if own:
            return Check("Fast DDS profile", True, f"your own: {os.environ[own[0]]}")
        ours = [transport_profile(kind, local) for kind in (SOCKETS, SHARED_MEMORY) for local in (False, True)]
    except MissingDependency as error:
        return Check("Fast DDS profile", False, error.cause, error.cure, required=True)
    missing = [str(path) for path in ours if not path.is_file()]
    cure = "Install vla_mbpo_ros again." if missing else ""
    return Check("Fast DDS profile", not missing, ", ".join(missing) or str(ours[0].parent), cure, required=True)


def _diagnostics() -> Check:
    real = has_module("diagnostic_updater")
    return Check("diagnostic_updater", True, "ROS's own" if real else "our fallback")


def _cv_bridge() -> Check:
    """PyPI's cv-bridge is for ROS 1; Jazzy's wants a numpy below 2."""
    foreign, numpy = version_of("cv-bridge"), version_of("numpy")
    if foreign.startswith("1."):
        return Check("cv_bridge", False, f"{foreign} from PyPI, made for ROS 1", "`pip uninstall cv-bridge`.")
    if not has_module("cv_bridge"):
        return Check("cv_bridge", True, "not installed; not needed")
    ok = numpy.startswith("1.")
    cure = "" if ok else "Jazzy's cv_bridge needs `pip install 'numpy<2'`; we do not use it ourselves."
    return Check("cv_bridge", ok, f"present, numpy {numpy}", cure)


def _executable(name: str, program: str) -> Check:
    path = shutil.which(program)
    return Check(name, path is not None, path or "not installed", "" if path else _REAL_ONLY)
