"""Messages in, observations out."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vla_mbpo_ros.data.episodes.observations import COMPRESSED_IMAGE, JOINTS, ObservationBuilder, decode_color
from vla_mbpo_ros.errors import ContractError, StaleError
from vla_mbpo_ros.robots import get_robot

ROBOT = get_robot("arx_x5")
S = 10**9


def stamped(ns: int) -> SimpleNamespace:
    sec, nanosec = divmod(ns, S)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))


def image(ns: int, shade: int) -> SimpleNamespace:
    data = np.full(2 * 3 * 3, shade, np.uint8)
    return SimpleNamespace(header=stamped(ns), height=2, width=3, step=9, encoding="rgb8", data=data, is_bigendian=0)


def joints(ns: int, first: float) -> SimpleNamespace:
    names = list(reversed(ROBOT.names))
    position = [first if name == ROBOT.names[0] else 0.0 for name in names]
    return SimpleNamespace(header=stamped(ns), name=names, position=position, velocity=[])


@pytest.fixture
def builder() -> ObservationBuilder:
    made = ObservationBuilder(ROBOT, {"head": 0.2, "left_wrist": 0.5}, 0.1)
    for tick in range(5):
        made.add_image("head", image(tick * S // 10, tick))
        made.add_joints(joints(tick * S // 10, float(tick)))
    made.add_image("left_wrist", image(0, 100))
    return made


def test_an_observation_is_the_latest_of_everything_in_the_robots_order(builder: ObservationBuilder) -> None:
    seen = builder.at(350_000_000, "go")
    assert (seen.stamp_ns, seen.instruction) == (350_000_000, "go")
    assert {name: int(picture[0, 0, 0]) for name, picture in seen.images.items()} == {"head": 3, "left_wrist": 100}
    assert seen.state[0] == 3.0
    assert dict(seen.source_stamps_ns) == {"head": 300_000_000, "left_wrist": 0, JOINTS: 300_000_000}


def test_each_source_has_its_own_age_limit(builder: ObservationBuilder) -> None:
    with pytest.raises(StaleError, match=r"'left_wrist' is 0.55 s old, 0.50 s is the most"):
        builder.at(550_000_000, "go")
    builder.set_max_age({"head": 9.0, "left_wrist": 9.0}, 0.1)
    with pytest.raises(StaleError, match=r"'joint_states' is 0.15 s old"):
        builder.at(550_000_000, "go")


def test_a_chunks_observation_is_made_of_exactly_what_it_lists(builder: ObservationBuilder) -> None:
    listed = {"head": 100_000_000, "left_wrist": 0, JOINTS: 200_000_000, "a microphone": 7}
    seen = builder.exactly(listed, 250_000_000, "go")
    assert (int(seen.images["head"][0, 0, 0]), seen.state[0]) == (1, 2.0)
    with pytest.raises(StaleError, match="'head' is stamped 42 ns"):
        builder.exactly({**listed, "head": 42}, 250_000_000, "go")
    with pytest.raises(ContractError, match="do not name left_wrist"):
        builder.exactly({"head": 0, JOINTS: 0}, 0, "go")


def test_a_forgotten_past_gives_no_observation(builder: ObservationBuilder) -> None:
    assert builder.newest_ns("head") == 400_000_000
    builder.clear()
    assert builder.newest_ns("head") == -1
    with pytest.raises(StaleError, match="nothing has come from 'head'"):
        builder.at(S, "go")


def test_raw_and_compressed_images_are_read_by_one_function() -> None:
    stream = io.BytesIO()
    picture = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    Image.fromarray(picture).save(stream, format="PNG")
    packed: Any = SimpleNamespace(header=stamped(5), format="png", data=np.frombuffer(stream.getvalue(), np.uint8))
    frame = decode_color(packed, COMPRESSED_IMAGE)
    assert (frame.stamp_ns, frame.image.tolist()) == (5, picture.tolist())
    with pytest.raises(ContractError, match="sensor_msgs/msg/PointCloud2 is no colour image"):
        decode_color(packed, "sensor_msgs/msg/PointCloud2")
