"""Bags made from the installed message definitions; no ROS is running, none is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vla_mbpo_ros.data.bags import BagWriter
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.errors import BagError

STATE, INFO, TEXT = "sensor_msgs/msg/JointState", "vla_mbpo_ros/msg/FrameInfo", "std_msgs/msg/String"
Row = tuple[str, int, bytes]  # topic, log time [ns], CDR


@pytest.fixture(scope="session", autouse=True)
def installed_messages() -> None:
    for name in (STATE, INFO, TEXT):
        try:
            load_definition(name)
        except BagError as error:
            pytest.skip(f"message definitions are not installed: {error}")


@pytest.fixture(scope="session")
def cdr() -> Callable[..., bytes]:
    """cdr(type, stamp_ns, **fields) -> bytes."""
    encoders: dict[str, Encoder] = {}

    def encode(type_name: str, stamp_ns: int | None = None, **fields: Any) -> bytes:
        if type_name not in encoders:
            encoders[type_name] = Encoder(type_name)
        encoder = encoders[type_name]
        message = encoder.new(**fields)
        if stamp_ns is not None:
            stamp = message.clock if hasattr(message, "clock") and not fields else message.header.stamp
            stamp.sec, stamp.nanosec = divmod(stamp_ns, 10**9)
        return encoder(message)

    return encode


@pytest.fixture
def rows(cdr: Callable[..., bytes]) -> list[Row]:
    """Ten seconds of joint states at 10 Hz, frame infos at 5 Hz, one text."""
    return list(_rows(cdr))


def _rows(cdr: Callable[..., bytes]) -> Iterator[Row]:
    yield "/instruction", 10**9, cdr(TEXT, data="put the cube into the bowl")
    for tick in range(100):
        stamp_ns = 10**9 + tick * 10**8
        yield "/joint_states", stamp_ns, cdr(STATE, stamp_ns, name=["a", "b"], position=[0.1 * tick, 1.0])
        if tick % 2 == 0:
            yield "/head/color/frame_info", stamp_ns, cdr(INFO, stamp_ns, frame_number=tick // 2)


@pytest.fixture(scope="session")
def start_bag() -> Callable[..., BagWriter]:
    """start_bag(path, **options of the writer) -> a writer that knows the topics of `rows`."""

    def start(path: Path, **options: Any) -> BagWriter:
        writer = BagWriter(path, **options)
        writer.add_topic("/joint_states", STATE)
        writer.add_topic("/head/color/frame_info", INFO)
        writer.add_topic("/instruction", TEXT)
        return writer

    return start


@pytest.fixture
def write_bag(tmp_path: Path, start_bag: Callable[..., BagWriter]) -> Callable[..., Path]:
    """write_bag(rows, name, custom data, **options of the writer) -> path of the closed bag."""

    def write(rows: list[Row], name: str = "bag", custom: dict[str, str] | None = None, **options: Any) -> Path:
        writer = start_bag(tmp_path / name, **options)
        for topic, log_ns, data in rows:
            writer.write(topic, data, log_ns, log_ns + 1, writer.counts[topic] + 1)
        writer.close(custom)
        return writer.path

    return write
