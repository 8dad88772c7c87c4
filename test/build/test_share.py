"""Finding share files, with and without a sourced ROS."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from vla_mbpo_ros.errors import MissingDependency
from vla_mbpo_ros.share import package_share, ros_prefixes, share_dir

ROOT = Path(__file__).parents[2]


def install(prefix: Path, name: str) -> Path:
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / name
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return prefix / "share" / name


def test_the_configuration_lies_in_the_share_folder() -> None:
    assert (share_dir() / "config" / "arx_x5.yaml").is_file()


def test_pip_installs_every_file_of_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CMake installs the whole folder; what pip takes of that is chosen in setup.py."""
    spec = importlib.util.spec_from_file_location("our_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    share = tmp_path / "share" / "vla_mbpo_ros"
    shutil.copytree(ROOT / "config", share / "config")
    taken = {Path(name) for _, names in setup.share_files(tmp_path) for name in names}
    ours = {path.relative_to(ROOT) for path in (ROOT / "config").rglob("*") if path.is_file()}
    assert {Path("config/rviz/imagination.rviz"), Path("config/foxglove/imagination.json")} <= ours
    assert taken == {share.relative_to(tmp_path) / path for path in ours}
    assert "install(DIRECTORY launch config " in (ROOT / "CMakeLists.txt").read_text()


def test_an_overlay_hides_what_lies_under_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    over, under = tmp_path / "over", tmp_path / "under"
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{over}:{under}")
    share_under = install(under, "some_msgs")
    assert package_share("some_msgs") == share_under
    share_over = install(over, "some_msgs")
    assert package_share("some_msgs") == share_over


def test_a_pip_install_is_found_though_nothing_is_sourced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    share = install(tmp_path, "some_msgs")
    assert ros_prefixes() == [tmp_path]
    assert package_share("some_msgs") == share


def test_a_missing_package_is_named_together_with_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"'no_such_msgs'.*make setup"):
        package_share("no_such_msgs")
