"""The generated messages: all there, light to import, and the same on both sides of a process boundary."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from vla_mbpo_ros.errors import MissingDependency
from vla_mbpo_ros.share import package_share

pytest.importorskip("rclpy", reason="needs ROS 2: `make setup`, or source an install")

ROOT = Path(__file__).parents[2]
INTERFACES = sorted(p for kind in ("msg", "srv", "action") for p in (ROOT / kind).glob(f"*.{kind}"))
pytestmark = pytest.mark.ros


@pytest.mark.parametrize("path", INTERFACES, ids=lambda p: p.stem + p.suffix)
def test_an_interface_is_generated_from_the_text_in_the_tree(path: Path) -> None:
    kind = path.suffix[1:]
    assert hasattr(importlib.import_module(f"vla_mbpo_ros.{kind}"), path.stem)
    installed = package_share("vla_mbpo_ros") / kind / path.name
    assert installed.read_text() == path.read_text(), "the built messages are old: `make setup`"


def test_importing_the_messages_brings_no_torch() -> None:
    code = "import sys, vla_mbpo_ros.msg, vla_mbpo_ros.srv, vla_mbpo_ros.action; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_every_message_has_its_type_description_beside_it() -> None:
    try:
        share = package_share("vla_mbpo_ros")
    except MissingDependency as error:
        pytest.fail(str(error))
    for path in INTERFACES:
        description = json.loads((share / path.parent.name / f"{path.stem}.json").read_text())
        hashes = {row["type_name"]: row["hash_string"] for row in description["type_hashes"]}
        assert hashes[f"vla_mbpo_ros/{path.suffix[1:]}/{path.stem}"].startswith("RIHS01_")


def test_a_chunk_travels_between_two_processes_unchanged() -> None:
    command = [sys.executable, str(ROOT / "tools" / "round_trip.py")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
