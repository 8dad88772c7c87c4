"""Ports in shared memory that nobody will ever finish."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vla_mbpo_ros.bringup.environment import environment_for, kept_here
from vla_mbpo_ros.bringup.shared_memory import FOLDER, free_half_made_ports
from vla_mbpo_ros.config import SHARED_MEMORY

PORT = "fastrtps_port7004"
READY = (2).to_bytes(4, "little") + bytes(60)
FIRST_PORT = 7400 + 11  # of the first participant in domain 0; the RTPS standard adds 250 for each domain
DOMAIN = 101  # the last that is safe; our tests take those up to 100
NODE = "import rclpy; rclpy.init(); rclpy.create_node('waiting'); print('up', flush=True)"


@pytest.mark.parametrize("content", [b"", bytes(64), (1).to_bytes(4, "little") + bytes(60), b"\0"])
def test_a_port_without_a_whole_header_is_freed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / PORT).write_bytes(content)
    with (tmp_path / PORT).open("rb") as waiting:
        assert free_half_made_ports(tmp_path) == [PORT]
        assert int.from_bytes(waiting.read(4), "little") == 3  # "corrupted", for whoever has opened it
    assert list(tmp_path.iterdir()) == []


def test_what_is_whole_or_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / PORT).write_bytes(READY)
    others = [f"{PORT}_el", f"sem.{PORT}_mutex", "fastrtps_0123456789abcdef", "something"]
    for name in others:
        (tmp_path / name).touch()
    began_s = time.monotonic()
    assert free_half_made_ports(tmp_path) == []
    assert time.monotonic() - began_s < 0.5
    assert {path.name for path in tmp_path.iterdir()} == {PORT, *others}


def test_a_port_that_is_being_made_is_waited_for(tmp_path: Path) -> None:
    port = tmp_path / PORT
    port.touch()
    maker = threading.Timer(0.3, lambda: port.write_bytes(READY))
    maker.start()
    assert free_half_made_ports(tmp_path) == []
    maker.join()
    assert port.read_bytes() == READY


def test_several_starts_at_once_free_it_once(tmp_path: Path) -> None:
    (tmp_path / PORT).touch()
    with ThreadPoolExecutor(4) as starts:
        found = list(starts.map(free_half_made_ports, [tmp_path] * 4))
    assert sorted(found) == [[], [], [], [PORT]]


def test_a_machine_without_shared_memory_has_no_ports(tmp_path: Path) -> None:
    assert free_half_made_ports(tmp_path / "nothing") == []


@pytest.fixture
def half_made() -> Iterator[list[Path]]:
    """The port of the first participant in a domain that no other graph uses, in the name of either Fast DDS."""
    ports = [FOLDER / f"{dds}_port{FIRST_PORT + 250 * DOMAIN}" for dds in ("fastrtps", "fastdds")]
    for port in ports:
        port.write_bytes(b"")
    yield ports
    for port in ports:
        port.unlink(missing_ok=True)


@pytest.mark.ros
@pytest.mark.skipif(not importlib.util.find_spec("rclpy"), reason="ROS 2 is not installed")
def test_a_process_that_hangs_at_such_a_port_goes_on(half_made: list[Path]) -> None:
    base = kept_here({**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)})
    environment = environment_for(True, base, SHARED_MEMORY).over(base)
    node = subprocess.Popen([sys.executable, "-c", NODE], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(3.0)
        hangs = node.poll() is None
        assert hangs or not any(port.exists() for port in half_made)  # a node that starts now may have freed it
        free_half_made_ports()
        out, _ = node.communicate(timeout=30.0)
    finally:
        node.kill()
    assert (node.returncode, out) == (0, "up\n")
