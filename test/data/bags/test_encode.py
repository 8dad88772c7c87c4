import numpy as np
import pytest

from vla_mbpo_ros.data.bags.decode import Decoder
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.messages import decode_image, decode_joint_state, encode_joint_state, fill_image
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import JointState

ROBOT = get_robot("arx_x5")


def test_the_encoders_of_messages_work_without_ros() -> None:
    states = Encoder("sensor_msgs/msg/JointState")
    state = JointState(5_000_000_003, np.array(ROBOT.home), np.linspace(-1, 1, ROBOT.dof))
    data = states(encode_joint_state(state, ROBOT, states.new))
    again = decode_joint_state(Decoder(states.type_name, load_definition(states.type_name).text)(data), ROBOT)
    assert again.stamp_ns == state.stamp_ns
    np.testing.assert_array_equal(again.position, state.position)
    np.testing.assert_array_equal(again.velocity, state.velocity)


def test_images_come_back_bit_for_bit() -> None:
    images = Encoder("sensor_msgs/msg/Image")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    message = images.new()
    fill_image(message, pixels, 1, "head")
    decoder = Decoder(images.type_name, load_definition(images.type_name).text)
    np.testing.assert_array_equal(decode_image(decoder(images(message))), pixels)


@pytest.mark.parametrize("name", ["ActionChunk", "ExecutorStatus", "FrameInfo", "JointCommand", "SimState"])
def test_rclpy_reads_what_was_encoded_and_the_other_way_round(name: str) -> None:
    serialization = pytest.importorskip("rclpy.serialization", reason="rclpy is not installed")
    messages = pytest.importorskip("vla_mbpo_ros.msg", reason="the messages are not built")
    kind, encoder = getattr(messages, name), Encoder(f"vla_mbpo_ros/msg/{name}")
    assert serialization.deserialize_message(encoder(encoder.new()), kind) == kind()
    assert serialization.deserialize_message(encoder(kind()), kind) == kind()


def test_a_field_that_the_type_does_not_have_is_refused() -> None:
    with pytest.raises(AttributeError, match="positions"):
        Encoder("sensor_msgs/msg/JointState").new(positions=[1.0])
