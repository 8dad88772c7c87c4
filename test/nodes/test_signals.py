"""Ctrl-C reaches a node twice when its launcher passes it on: the second one must not spoil an orderly end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
LIMIT_S = 30.0


def test_a_node_that_is_interrupted_again_and_again_still_ends_with_exit_code_0(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vla_mbpo_ros.nodes.robot_node", "--ros-args", "-p", "gate.driver:=sink"]
    own = {"ROS_DOMAIN_ID": str(random.randint(1, 100)), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stderr=log, env={**os.environ, **own}) as node:
        end = time.monotonic() + LIMIT_S
        time.sleep(2.0)  # long enough for most machines to be spinning; a signal before that must do as well
        while node.poll() is None and time.monotonic() < end:
            node.send_signal(signal.SIGINT)
            time.sleep(0.02)
        assert node.poll() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
