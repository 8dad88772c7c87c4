"""Names in an HDF5 file of demonstrations."""

from __future__ import annotations

import re

DATA, OBS, RGB = "data", "obs", "_rgb"
ACTIONS, REWARDS, DONES = "actions", "rewards", "dones"
JOINTS, GRIPPERS = "joint_states", "gripper_states"
CONVENTION = "macros_image_convention"  # robosuite's: "opengl" is upside down, "opencv" has the first row on top
OPENGL, OPENCV = "opengl", "opencv"
CONVENTIONS = (OPENCV, OPENGL)
NAMES = "names"  # attribute of a dataset: JSON list, one name a column
OWN = "vla_mbpo_ros"  # our group in a demo
TIMES, STAMPS, CONTROL = f"{OWN}/times_ns", f"{OWN}/frame_stamps_ns", f"{OWN}/control_source"
FACTS = "vla_mbpo_ros_facts"  # attribute of a demo: JSON
ORDER = "vla_mbpo_ros_state_names"  # attribute of data: JSON list, the order of the whole state
SUFFIXES = (".hdf5", ".h5")


def file_name(instruction: str) -> str:
    """As LIBERO names its files: put_the_cube_into_the_bowl_demo.hdf5"""
    slug = re.sub(r"[^a-z0-9]+", "_", instruction.lower()).strip("_")[:120]
    return f"{slug or 'episodes'}_demo.hdf5"


def demo_number(name: str) -> tuple[int, str]:
    """For sorting: demo_2 before demo_10."""
    digits = re.search(r"(\d+)$", name)
    return (int(digits.group(1)) if digits else -1, name)
