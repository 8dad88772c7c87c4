"""Proves that an installed vla_mbpo_ros is whole: messages, rooms, share files, executables, a round trip.

    python tools/check_install.py       run it outside the source tree, with the Python to be proven

tools/prove_builds.sh runs it after every way to install.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
EXTRAS = ("torch", "safetensors", "sentencepiece", "av", "h5py", "pyarrow")  # of pip's `learn` and `formats`
MAY_WAIT = ("algorithms", "data", "evaluation", "models", "policy", "rl", "world_model")  # rooms


def check_messages() -> str:
    """Every interface of the tree can be imported, and brings no torch."""
    count = 0
    for kind in ("msg", "srv", "action"):
        module = importlib.import_module(f"vla_mbpo_ros.{kind}")
        for path in sorted(TREE.glob(f"{kind}/*.{kind}")):
            getattr(module, path.stem)
            count += 1
    assert "torch" not in sys.modules, "importing the messages imported torch"
    return f"{count} interfaces"


def check_share() -> str:
    """The share folder has what launch and the bag writer read, and ROS's own look-up finds the same folder."""
    from ament_index_python.packages import get_package_share_directory

    from vla_mbpo_ros.share import package_share, ros_prefixes

    share = package_share("vla_mbpo_ros")
    os.environ["AMENT_PREFIX_PATH"] = os.pathsep.join(map(str, ros_prefixes()))
    found = Path(get_package_share_directory("vla_mbpo_ros"))
    assert found == share, f"ament_index finds {found}, vla_mbpo_ros.share finds {share}"
    wanted = [p.relative_to(TREE) for p in [TREE / "package.xml", *TREE.glob("msg/*"), *TREE.glob("srv/*")]]
    wanted += [p.relative_to(TREE) for top in ("launch", "config") for p in (TREE / top).rglob("*.*")]
    missing = [str(p) for p in wanted if "__pycache__" not in p.parts and not (share / p).is_file()]
    assert not missing, f"not in {share}: {', '.join(missing)}"
    description = json.loads((share / "msg" / "ActionChunk.json").read_text())
    assert description["type_hashes"][0]["hash_string"].startswith("RIHS01_")
    return str(share)


def check_executables() -> str:
    """One for each node, where `ros2 run` and launch look; and the command."""
    from vla_mbpo_ros.share import package_share

    folder = package_share("vla_mbpo_ros").parents[1] / "lib" / "vla_mbpo_ros"
    names = [p.stem for p in TREE.glob("vla_mbpo_ros/nodes/*_node.py")] + ["vla-mbpo"]
    missing = [name for name in names if not os.access(folder / name, os.X_OK)]
    assert not missing, f"no executable in {folder}: {', '.join(missing)}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(folder / "vla-mbpo"), "--version"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": path})
    return f"{len(names)} in {folder}"


def check_rooms() -> str:
    """Every module of the package can be imported; only what learns or exchanges files may wait for an extra."""
    import vla_mbpo_ros

    names = [m.name for m in pkgutil.walk_packages(vla_mbpo_ros.__path__, "vla_mbpo_ros.")]
    names = [name for name in names if not name.rpartition(".")[2].startswith(("vla_mbpo_ros_s__", "__main__"))]
    waiting = [name for name in names if not _imports(name)]
    wrong = [name for name in waiting if name.split(".")[1] not in MAY_WAIT]
    assert not wrong, f"need an extra without which the robot must run: {', '.join(wrong)}"
    return f"{len(names)} modules, {len(waiting)} of them wait for an extra that is not installed"


def _imports(name: str) -> bool:
    from vla_mbpo_ros.errors import MissingDependency

    try:
        importlib.import_module(name)
    except MissingDependency:
        return False
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in EXTRAS:
            raise
        return False
    return True


def check_package_data() -> str:
    """Every file of the package that is not Python (scenes, tables) came along."""
    import vla_mbpo_ros

    skipped = {".py", ".pyc", ".so"}
    files = [p for p in (TREE / "vla_mbpo_ros").rglob("*") if p.is_file() and p.suffix not in skipped]
    installed = Path(vla_mbpo_ros.__file__).parent
    missing = [str(p) for p in files if not (installed / p.relative_to(TREE / "vla_mbpo_ros")).is_file()]
    assert not missing, f"not in {installed}: {', '.join(missing)}"
    return f"{len(files)} files"


def check_round_trip() -> str:
    """An ActionChunk between two processes."""
    subprocess.run([sys.executable, str(TREE / "tools" / "round_trip.py")], check=True)
    return "done"


def main() -> int:
    checks = (check_messages, check_share, check_executables, check_rooms, check_package_data, check_round_trip)
    for check in checks:
        print(f"{check.__name__.removeprefix('check_').replace('_', ' ')}: {check()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
