"""The pip side of the build: runs the same CMake as colcon, then puts its results where pip wants them.

Everything that can be said declaratively is in pyproject.toml. What is here cannot:

- messages, libraries and share files are made by CMake (`BuildInterfaces`);
- the wheel is bound to one Python and one platform, though setuptools sees no extension module;
- an editable install must carry the share files too (`RosDistribution`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Distribution, setup
from setuptools.command.build import build

NAME = "vla_mbpo_ros"
ROOT = Path(__file__).resolve().parent
TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"
GENERATED = ("msg", "srv", "action")


class RosDistribution(Distribution):
    """A distribution that is never "pure Python" and whose data files reach editable installs."""

    def has_ext_modules(self) -> bool:
        return True

    def has_data(self) -> bool:
        # editable_wheel asks for has_data(), but the method of Distribution is has_data_files(): without this
        # line setuptools forgets data_files in editable installs, and no one finds the share folder.
        return bool(self.has_data_files())


class BuildInterfaces(Command):
    """A sub-command of `build`: setuptools swallows the errors of a custom build_py in editable mode."""

    description = "generate messages, services and actions with CMake"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    editable_mode = False  # set by setuptools

    def initialize_options(self) -> None:
        self.build_lib: str | None = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        stage = run_cmake(find_ros())
        package = ROOT / NAME if self.editable_mode else Path(str(self.build_lib)) / NAME
        copy_generated(stage, package)
        self.distribution.data_files = share_files(stage)

    def get_source_files(self) -> list[str]:
        files = [*ROOT.glob("cmake/*"), *(f for kind in GENERATED for f in ROOT.glob(f"{kind}/*.{kind}"))]
        return [str(f.relative_to(ROOT)) for f in [ROOT / "CMakeLists.txt", ROOT / "package.xml", *files]]

    def get_outputs(self) -> list[str]:
        return []  # in the wheel already, or in the source tree: nothing for setuptools to map

    def get_output_mapping(self) -> dict[str, str]:
        return {}


def find_ros() -> list[Path]:
    """Prefixes of ROS: a sourced install, or else wheels, of this environment or of pip's build environment."""
    sourced = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    if any(has_generators(p) for p in sourced):
        return sourced
    on_path = [Path(p).parents[2] for p in sys.path if len(Path(p).parents) > 2]
    for prefix in [Path(sys.prefix), *on_path]:
        if has_generators(prefix):
            return [prefix]
    raise SystemExit(
        f"{NAME}: no ROS 2 found to generate the messages with. Either source an install\n"
        "(`source /opt/ros/jazzy/setup.bash`), or put the ROS wheels into this environment\n"
        "(`pip install -c constraints.txt -r tools/requirements-build.txt`), or let `make setup` do it."
    )


def has_generators(prefix: Path) -> bool:
    return (prefix / "share" / "rosidl_default_generators" / "cmake").is_dir()


def run_cmake(prefixes: list[Path]) -> Path:
    """Configure, build and install into build/ros-<python>/stage; quick when nothing has changed."""
    work = ROOT / "build" / f"ros-{TAG}"
    stage = work / "stage"
    key = "\n".join([sys.executable, sys.version, *map(str, prefixes)])
    if not (work / "key").is_file() or (work / "key").read_text() != key:
        shutil.rmtree(work, ignore_errors=True)  # CMake's cache names paths of another Python or another ROS
        work.mkdir(parents=True)
        (work / "key").write_text(key)
        (ROOT / "build" / "COLCON_IGNORE").touch()  # else colcon takes the staged package.xml for a package
    shutil.rmtree(stage, ignore_errors=True)
    env = cmake_environment(prefixes)
    configure = [
        "cmake", "-S", str(ROOT), "-B", str(work / "cmake"),
        f"-DCMAKE_INSTALL_PREFIX={stage}",
        f"-DCMAKE_PREFIX_PATH={';'.join(map(str, prefixes))}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DPYTHON_INSTALL_DIR=python",
        "-DBUILD_TESTING=OFF",
    ]  # fmt: skip
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    subprocess.run(configure, check=True, env=env)
    subprocess.run(["cmake", "--build", str(work / "cmake"), "--parallel", jobs], check=True, env=env)
    subprocess.run(["cmake", "--install", str(work / "cmake")], check=True, env=env, stdout=subprocess.DEVNULL)
    return stage


def cmake_environment(prefixes: list[Path]) -> dict[str, str]:
    """The environment, with ROS's own Python modules in reach.

    pip's build isolation replaces PYTHONPATH with its own folder, which hides ament_package. So the path is made
    anew from the prefixes: the same that sourcing ROS would give.
    """
    names = (f"python{sys.version_info.major}.{sys.version_info.minor}", "python3")
    folders = [
        folder
        for prefix in prefixes
        for name in names
        for folder in (
            prefix / "lib" / name / "site-packages",
            prefix / "local" / "lib" / name / "dist-packages",
        )
        if folder.is_dir()
    ]
    own = Path(sysconfig.get_path("purelib"))  # on the path anyway; naming it again would only reorder it
    return {
        **os.environ,
        "AMENT_PREFIX_PATH": os.pathsep.join(map(str, prefixes)),
        "PYTHONPATH": os.pathsep.join(str(f) for f in folders if f != own),
    }


def copy_generated(stage: Path, package: Path) -> None:
    """Put the generated modules beside ours, and the libraries that they need into a private folder.

    `__init__.py` loads those libraries: so neither LD_LIBRARY_PATH nor RPATH must know where pip puts packages.
    """
    made = stage / "python" / NAME
    for name in (*GENERATED, "_lib"):
        shutil.rmtree(package / name, ignore_errors=True)
    for kind in GENERATED:
        shutil.copytree(made / kind, package / kind, ignore=shutil.ignore_patterns("__pycache__", "*.c"))
    for extension in made.glob(f"{NAME}_s__*.so"):
        # A running process may have it mapped: replace the file, never write into it.
        (package / extension.name).unlink(missing_ok=True)
        shutil.copy2(extension, package)
    (package / "_lib").mkdir()
    for library in (stage / "lib").glob("lib*.so"):
        if not library.stem.endswith("_cpp"):  # rclpy speaks C
            shutil.copy2(library, package / "_lib")


def share_files(stage: Path) -> list[tuple[str, list[str]]]:
    """What the ament index and `ros2 run` look for, as setuptools' data_files.

    Left out: CMake and shell files, which no one can use from a wheel, and the prefixes of the building machine.
    """
    index = [p for p in (stage / "share" / "ament_index").rglob(NAME) if p.parent.name != "parent_prefix_path"]
    kept = ("package.xml", "launch", "config", *GENERATED)
    share = [p for top in kept for p in [stage / "share" / NAME / top, *(stage / "share" / NAME / top).rglob("*")]]
    folders: dict[str, list[str]] = {}
    for path in [*index, *share, *(stage / "lib" / NAME).glob("*")]:
        if path.is_file() and "__pycache__" not in path.parts:
            folders.setdefault(str(path.parent.relative_to(stage)), []).append(str(path.relative_to(ROOT)))
    return sorted(folders.items())


class Build(build):
    """The ordinary `build`, and then the interfaces."""

    sub_commands: ClassVar = [*build.sub_commands, ("build_interfaces", None)]


if __name__ == "__main__":
    setup(distclass=RosDistribution, cmdclass={"build": Build, "build_interfaces": BuildInterfaces})
