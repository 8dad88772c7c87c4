"""The environment of the graph's processes."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from pathlib import Path

from vla_mbpo_ros.bringup.environment import PROFILE_NAMES, environment_for, transport_profile

PROFILE = Path("/share/fastdds.xml")


def test_the_profile_for_large_images_is_used_by_old_and_new_fast_dds() -> None:
    added = environment_for(False, PROFILE, {}).added
    assert {added[name] for name in PROFILE_NAMES} == {str(PROFILE)}


def test_a_profile_of_the_users_own_is_respected_and_said() -> None:
    environment = environment_for(False, PROFILE, {PROFILE_NAMES[0]: "/mine.xml"})
    assert not set(PROFILE_NAMES) & set(environment.added)
    assert "/mine.xml" in environment.notes[0]


def test_another_middleware_is_pointed_out() -> None:
    environment = environment_for(False, PROFILE, {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"})
    assert "rmw_cyclonedds_cpp" in environment.notes[0]


def test_a_simulation_cannot_be_found_from_another_machine_whatever_was_set() -> None:
    base = {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "ROS_STATIC_PEERS": "10.0.0.7",
        "ROS_DISCOVERY_SERVER": "10.0.0.7:11811",
    }
    environment = environment_for(True, PROFILE, base)
    whole = environment.over(base)
    assert whole["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_STATIC_PEERS" not in whole
    assert "ROS_DISCOVERY_SERVER" not in whole
    assert "ROS_STATIC_PEERS, ROS_DISCOVERY_SERVER" in environment.notes[0]


def test_a_robot_keeps_the_range_that_its_people_chose() -> None:
    base = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    assert environment_for(False, PROFILE, base).over(base)["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def test_threads_and_the_choice_of_opengl_are_the_users() -> None:
    added = environment_for(True, PROFILE, {"OMP_NUM_THREADS": "4", "MUJOCO_GL": "egl"}).added
    assert "OMP_NUM_THREADS" not in added
    assert "MUJOCO_GL" not in added
    assert added["MKL_NUM_THREADS"] == "1"


def test_the_shipped_profile_carries_an_image_in_one_piece() -> None:
    names = {"dds": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}
    root = Xml.parse(transport_profile()).getroot()
    shm = root.find(".//dds:transport_descriptor[dds:type='SHM']", names)
    assert shm is not None
    assert int(shm.findtext("dds:maxMessageSize", "0", names)) >= 1920 * 1080 * 3
    assert int(shm.findtext("dds:segment_size", "0", names)) >= 3 * 10 * 640 * 480 * 3
    assert root.findtext(".//dds:useBuiltinTransports", "", names) == "false"
