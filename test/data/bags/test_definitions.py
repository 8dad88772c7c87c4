import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.errors import BagError

OWN = (
    "ActionChunk",
    "ExecutorStatus",
    "FrameInfo",
    "ImaginedStep",
    "JointCommand",
    "SafetyState",
    "SimState",
)
COMMON = (
    "diagnostic_msgs/msg/DiagnosticArray",
    "rosgraph_msgs/msg/Clock",
    "sensor_msgs/msg/CameraInfo",
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/JointState",
    "std_msgs/msg/Bool",
)


@pytest.mark.parametrize("name", [*COMMON, *(f"vla_mbpo_ros/msg/{name}" for name in OWN)])
def test_text_and_hash_agree_with_what_rosbags_computes_from_the_text(name: str) -> None:
    definition = load_definition(name)
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition.text, name))
    assert store.hash_rihs01(name) == definition.hash


def test_common_types_agree_with_the_definitions_that_rosbags_ships() -> None:
    jazzy = get_typestore(Stores.ROS2_JAZZY)
    for name in COMMON:
        jazzy.register(get_types_from_msg(load_definition(name).text, name))  # refuses any difference


def test_a_type_that_is_not_installed_is_named_with_a_cure() -> None:
    with pytest.raises(BagError, match=r"no_msgs/msg/Nothing is not installed.*Source a ROS 2 that has it"):
        load_definition("no_msgs/msg/Nothing")
    with pytest.raises(BagError, match=r"std_msgs/msg/Nothing is not installed.*Install std_msgs again"):
        load_definition("std_msgs/msg/Nothing")


@pytest.mark.parametrize("name", ["JointState", "sensor_msgs/JointState", "../msg/Evil", ""])
def test_a_name_in_another_form_is_refused(name: str) -> None:
    with pytest.raises(BagError, match="package/msg/Name"):
        load_definition(name)
