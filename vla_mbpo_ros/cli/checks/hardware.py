"""Drivers of cameras and arms, and the GPU. None is needed for a simulation."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from vla_mbpo_ros.cli.checks.check import Check, has_module, module_check, probe, version_of

_ZED_SDK = "Install the ZED SDK of Stereolabs and run its get_python_api.py."


def checks() -> Iterator[Check]:
    yield _realsense()
    yield _zed()
    yield module_check(
        "arx5-interface", "arx5_interface", "For ARX arms without a ROS driver: `pip install arx5-interface`."
    )
    yield _torch()


def _realsense() -> Check:
    if not has_module("pyrealsense2"):
        return Check("pyrealsense2", False, "not installed", "For RealSense cameras: `pip install pyrealsense2`.")
    ok, found = probe("import pyrealsense2 as rs; print(len(rs.context().devices), 'cameras')")
    cure = "" if ok else "`apt-get install libusb-1.0-0`, and allow the device by librealsense's udev rules."
    return Check("pyrealsense2", ok, f"{version_of('pyrealsense2')} {found}".strip(), cure)


def _zed() -> Check:
    """The driver is not on PyPI; what is there under this name is something else."""
    spec = importlib.util.find_spec("pyzed")
    if spec is None:
        return Check("pyzed", False, "not installed", f"For ZED cameras: {_ZED_SDK}")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if any(list(folder.glob("sl*.so")) for folder in folders):
        return Check("pyzed", True, version_of("pyzed") or "present")
    return Check("pyzed", False, "PyPI's pyzed, which is not the driver", f"`pip uninstall pyzed`. {_ZED_SDK}")


def _torch() -> Check:
    if not has_module("torch"):
        return Check("torch", False, "not installed", "For learnt models: `pip install torch`.")
    ok, found = probe("import torch; print('CUDA' if torch.cuda.is_available() else 'CPU only')")
    return Check("torch", ok, f"{version_of('torch')}, {found}", "" if ok else "Install torch again.")
