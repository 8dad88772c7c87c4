"""tools/setup.sh, with stand-ins for apt-get, sudo and Python: what it does, and what it leaves alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INPUTS = ("msg", "srv", "action", "cmake", "launch", "config")
FILES = ("CMakeLists.txt", "package.xml", "setup.py", "pyproject.toml", "constraints.txt")

pytestmark = pytest.mark.skipif(not shutil.which("sha256sum"), reason="needs bash and coreutils")


class Machine:
    """A copy of what the script reads, and commands that only write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.bin, self.calls = folder / "tree", folder / "bin", folder / "calls"
        for name in INPUTS:
            (self.tree / name).mkdir(parents=True)
        (self.tree / "msg" / "A.msg").write_text("# a message\n")
        (self.tree / "vla_mbpo_ros" / "msg").mkdir(parents=True)
        (self.tree / "vla_mbpo_ros" / "__init__.py").touch()
        (self.tree / "vla_mbpo_ros" / "msg" / "__init__.py").touch()
        for name in FILES:
            (self.tree / name).touch()
        shutil.copytree(ROOT / "tools", self.tree / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        self.bin.mkdir()
        self.command("dpkg-query", "echo installed")
        self.command("apt-cache", "true")
        self.command("apt-get", f'echo "apt-get $*" >> {self.calls}')
        self.command("sudo", "exit 1")
        self.command("id", "echo 0")

    def command(self, name: str, body: str, folder: Path | None = None) -> None:
        path = (folder or self.bin) / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def has_venv(self) -> None:
        (self.tree / ".venv" / "bin").mkdir(parents=True)
        (self.tree / ".venv" / "pyvenv.cfg").write_text("version = 3.12.1\n")
        self.command("python", f'echo "python $*" >> {self.calls}', self.tree / ".venv" / "bin")

    def setup(self, **env: str) -> subprocess.CompletedProcess[str]:
        self.calls.write_text("")
        env = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": "/nonexistent", **env}
        return subprocess.run([self.tree / "tools" / "setup.sh"], env=env, capture_output=True, text=True)

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_root_gets_missing_packages_from_apt(machine: Machine) -> None:
    machine.command("dpkg-query", '[[ "${@: -1}" == cmake ]] && exit 1; echo installed')
    machine.setup(PYTHON="/bin/false")
    installs = [call for call in machine.called() if " install " in call]
    assert len(installs) == 1
    assert installs[0].endswith(" cmake")


def test_without_root_the_one_line_to_run_is_printed(machine: Machine) -> None:
    machine.command("dpkg-query", '[[ "${@: -1}" == cmake ]] && exit 1; echo installed')
    machine.command("id", "echo 1000")
    result = machine.setup()
    assert result.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends cmake\n" in result.stderr
    assert machine.called() == []


def test_with_all_packages_there_apt_is_not_called(machine: Machine) -> None:
    machine.setup(PYTHON="/bin/false")
    assert machine.called() == []


@pytest.mark.parametrize("version", ["3.9", "3.14", "2.7"])
def test_a_python_that_has_no_ros_wheels_is_refused_by_name(machine: Machine, version: str) -> None:
    # The script asks the interpreter itself: an unfit one prints nothing.
    machine.command(f"python{version}", "true")
    result = machine.setup(PYTHON=f"python{version}")
    assert result.returncode == 1
    assert f"PYTHON=python{version} is not a CPython 3.10 to 3.13" in result.stderr


def test_a_second_setup_has_nothing_to_do(machine: Machine) -> None:
    machine.has_venv()
    assert machine.setup().returncode == 0
    torch, generators, package = machine.called()
    assert torch.endswith("torch==2.13.0")  # first and alone: nothing else may choose its build
    assert "requirements-build.txt" in generators
    assert "--editable" in package
    assert machine.setup().returncode == 0
    assert machine.called() == []


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_changed_interface_makes_the_messages_anew_and_nothing_else(machine: Machine, change: str) -> None:
    (machine.tree / "msg" / "B.msg").write_text("# another\n")
    machine.has_venv()
    machine.setup()
    if change == "edit":
        (machine.tree / "msg" / "A.msg").write_text("# changed\n")
    elif change == "add":
        (machine.tree / "srv" / "C.srv").write_text("---\n")
    else:
        (machine.tree / "msg" / "B.msg").unlink()
    assert machine.setup().returncode == 0
    assert len(machine.called()) == 1
    assert "--no-deps --editable ." in machine.called()[0]


def test_new_pins_install_the_dependencies_anew(machine: Machine) -> None:
    machine.has_venv()
    machine.setup()
    (machine.tree / "constraints.txt").write_text("numpy==2.0.0\n")
    machine.setup()
    assert len(machine.called()) == 3


def test_a_failed_step_is_tried_again_and_shows_its_log(machine: Machine) -> None:
    machine.has_venv()
    machine.command("python", "echo no such wheel; exit 1", machine.tree / ".venv" / "bin")
    for _ in range(2):
        result = machine.setup()
        assert result.returncode == 1
        assert "no such wheel" in result.stderr
