"""What the pages name exists: commands, arguments, nodes, topics, settings, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vla_mbpo_ros.bringup.options import ARGUMENTS
from vla_mbpo_ros.cli.main import COMMANDS
from vla_mbpo_ros.config import Config
from vla_mbpo_ros.config_io import flatten
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.robots.contract import robot_topics
from vla_mbpo_ros.robots.settings import resolve

PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), *Path("docs").glob("*.md"), Path("docker/README.md")]
NODES = {path.stem for path in Path("vla_mbpo_ros/nodes").glob("*_node.py")}


@pytest.fixture(params=PAGES, ids=str)
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_commands_exist(page: Path) -> None:
    for command in re.findall(r"`?vla-mbpo ([a-z]+)", page.read_text(encoding="utf-8")):
        assert command in COMMANDS, command


def test_nodes_exist(page: Path) -> None:
    later = {"trainer_node"}
    for node in re.findall(r"\b([a-z_]+_node)\b", page.read_text(encoding="utf-8")):
        assert node in NODES | later, node


def test_settings_exist(page: Path) -> None:
    known = flatten(resolve(Config()))
    sections = {name.split(".")[0] for name in known if "." in name}
    for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)[`=]", page.read_text(encoding="utf-8")):
        if name.split(".")[0] in sections - {"robot"} and not name.endswith((".py", ".md", ".yaml")):
            assert name in known, name


def test_every_launch_argument_is_in_the_table() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", Path("docs/real_ros.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [argument.name for argument in ARGUMENTS]


def test_the_picture_of_the_graph_names_what_exists() -> None:
    words = re.findall(r">([^<>]+)</text>", Path("docs/graph.svg").read_text(encoding="utf-8"))
    robot = get_robot("arx_x5")
    known = {topic.name for topic in robot_topics(robot, 15.0, dict.fromkeys(robot.camera_names, 15.0))}
    known |= {"sim/joint_states", "sim/tick_done"}
    assert {word for word in words if word.endswith("_node")} == NODES
    named = {name for word in words for name in re.findall(r"/?[a-z]+/[a-z_]+", word)}
    assert named <= known, named - known


def test_every_interface_is_listed() -> None:
    text = Path("docs/interfaces.md").read_text(encoding="utf-8")
    for file in (*Path("msg").glob("*.msg"), *Path("srv").glob("*.srv"), *Path("action").glob("*.action")):
        assert f"`{file.stem}`" in text, file.stem
