"""The computer: Python, cores, memory for images, disk."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from vla_mbpo_ros.cli.checks.check import Check, version_of

_GB = 1e9
# Each process of a graph holds a segment of 32 MB (config/fastdds/shared_memory.xml); a graph has about ten.
_SHM_GB = 0.5
_DISK_GB = 5.0  # an hour of three 640x480 cameras is far more; this is for a first try
_CORES = 2


def checks() -> Iterator[Check]:
    yield _python()
    yield _cores()
    yield _shared_memory()
    yield _sockets()
    yield _disk()
    yield _robots()


def _python() -> Check:
    ok = (3, 10) <= sys.version_info[:2] <= (3, 13)
    cure = "" if ok else "ROS 2 has wheels for Python 3.10 to 3.13; with another, use a ROS install."
    return Check("Python", ok, f"{platform.python_version()}, {sys.executable}", cure, required=True)


def _cores() -> Check:
    cores = len(os.sched_getaffinity(0))
    cure = "" if cores >= _CORES else f"A graph is made for {_CORES} cores or more; it will be slow."
    return Check("cores", cores >= _CORES, str(cores), cure)


def _shared_memory() -> Check:
    try:
        total_gb = shutil.disk_usage("/dev/shm").total / _GB
    except OSError:
        return Check("shared memory", False, "no /dev/shm", "Large images will be lost. Mount a tmpfs there.")
    ok = total_gb >= _SHM_GB
    cure = "" if ok else f"Large images need {_SHM_GB:g} GB: `docker run --shm-size=1g`, or `--ipc=host`."
    return Check("shared memory", ok, f"{total_gb:.2f} GB", cure)


def _sockets() -> Check:
    from vla_mbpo_ros.bringup.transport import WANTED_BYTES, socket_bytes

    found = socket_bytes()
    ok = found >= WANTED_BYTES
    why = "Large images go through shared memory, which does not always outlive a killed node."
    cure = "" if ok else f"{why} `sudo sysctl -w net.core.rmem_max={WANTED_BYTES} net.core.wmem_max={WANTED_BYTES}`."
    return Check("socket buffers", ok, f"{found / 1e6:.1f} MB", cure)


def _disk() -> Check:
    free_gb = shutil.disk_usage(Path.cwd()).free / _GB
    ok = free_gb >= _DISK_GB
    return Check("disk", ok, f"{free_gb:.1f} GB free here", "" if ok else f"Bags need space: free {_DISK_GB:g} GB.")


def _robots() -> Check:
    """Every robot's own file is there and valid."""
    from vla_mbpo_ros.bringup.options import Options
    from vla_mbpo_ros.bringup.settings import settings_for
    from vla_mbpo_ros.errors import VlaMbpoError
    from vla_mbpo_ros.robots import robot_names

    try:
        for name in robot_names():
            settings_for(Options(name))
    except VlaMbpoError as error:
        return Check("robots", False, error.cause, error.cure, required=True)
    return Check("robots", True, f"{', '.join(robot_names())}; numpy {version_of('numpy')}", required=True)
