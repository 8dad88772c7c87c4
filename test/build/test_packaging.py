"""The files that describe the package to ROS, to pip and to CMake agree with each other and with the tree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import vla_mbpo_ros

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vla_mbpo_ros"
NODES = sorted(PACKAGE.glob("nodes/*_node.py"))
PYPROJECT = (ROOT / "pyproject.toml").read_text()
CMAKE = (ROOT / "CMakeLists.txt").read_text()
MANIFEST = ET.parse(ROOT / "package.xml").getroot()
PIN = re.compile(r"^\"?([a-z0-9.-]+)(?:\[\w+\])?==([\w.]+)", re.M | re.I)


def pins(text: str) -> dict[str, str]:
    return {name.lower(): version for name, version in PIN.findall(text)}


def dependencies(*tags: str) -> set[str]:
    return {str(e.text) for tag in tags for e in MANIFEST.findall(tag)}


def test_every_description_names_the_same_version() -> None:
    assert MANIFEST.findtext("version") == vla_mbpo_ros.__version__
    assert 'version = { attr = "vla_mbpo_ros.__version__" }' in PYPROJECT


def test_catkin_accepts_package_xml() -> None:
    package = pytest.importorskip("catkin_pkg.package").parse_package(str(ROOT))
    package.validate()
    assert package.name == "vla_mbpo_ros"


def test_cmake_finds_every_interface_package_that_our_messages_use() -> None:
    text = "".join(p.read_text() for kind in ("msg", "srv", "action") for p in ROOT.glob(f"{kind}/*.{kind}"))
    used = set(re.findall(r"^(\w+)/\w+", text, re.M)) - {"vla_mbpo_ros"}
    assert used
    for name in used:
        assert f"find_package({name} REQUIRED)" in CMAKE
        assert re.search(rf"DEPENDENCIES [\w\s]*\b{name}\b", CMAKE)
        assert name in dependencies("depend")


def test_every_ros_package_that_the_nodes_import_is_declared() -> None:
    declared = dependencies("depend", "exec_depend")
    known = {"launch", "launch_ros", "rclpy", "diagnostic_updater", "ament_index_python"}
    imported = {
        name
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in ("msg", "srv", "action")
        for name in imports(path)
        if name in known or name.endswith(("_msgs", "_srvs", "_interfaces"))
    }
    assert imported <= declared, sorted(imported - declared)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", NODES, ids=lambda p: p.stem)
def test_a_node_module_has_a_main(path: Path) -> None:
    functions = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
    main = [f for f in functions if f.name == "main"]
    assert main, f"{path.name}: CMake makes an executable that calls main()"
    required = len(main[0].args.args) - len(main[0].args.defaults)
    assert required == 0, f"{path.name}: main() is called without arguments"


def test_pins_of_the_ros_wheels_agree() -> None:
    constraints = pins((ROOT / "constraints.txt").read_text())
    build = pins((ROOT / "tools" / "requirements-build.txt").read_text())
    extra = pins(re.sub(r"^\s+", "", PYPROJECT, flags=re.M))
    assert len(build) > 10
    for name, version in {**build, **{n: v for n, v in extra.items() if n.startswith("ros-")}}.items():
        assert constraints.get(name) == version, f"{name}: {version} here, {constraints.get(name)} in constraints.txt"


def test_nothing_is_pinned_that_would_bring_cuda_or_another_ros() -> None:
    names = {re.split(r"[=\[ ;]", line)[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert not names & {"torch", "torchvision", "pyzed", "launch", "cv-bridge", "lerobot-libero"}
    assert not {name for name in names if name.startswith("nvidia-")}


@pytest.mark.parametrize("module", ["vla_mbpo_ros", "vla_mbpo_ros.cli.main", "vla_mbpo_ros.bringup"])
def test_importing_this_needs_neither_ros_nor_torch(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{'rclpy', 'launch', 'torch'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
