"""The tree of settings: what is read is what was meant, and everything else is refused with its cure."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.config_io import build, describe, flatten, load_config, nested, update
from vla_mbpo_ros.errors import ConfigError, UnknownName
from vla_mbpo_ros.robots.settings import resolve


def test_every_leaf_says_what_it_is() -> None:
    for name, facts in describe(resolve(Config())).items():
        assert facts.doc.endswith("."), name


def test_every_default_keeps_its_own_rules() -> None:
    cfg = resolve(Config())
    assert update(cfg, flatten(cfg)) == cfg


def test_the_tree_survives_a_file(tmp_path: Path) -> None:
    cfg = update(resolve(Config()), {"policy.horizon": 7, "cameras.head.width": 64, "gate.sources": ["human"]})
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump(nested(cfg)))
    assert load_config(path) == cfg


def test_a_file_in_the_form_of_ros_parameters_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "ros.yaml"
    path.write_text("/**:\n  ros__parameters:\n    policy: {horizon: 3}\n")
    assert load_config(path).policy.horizon == 3


def test_the_shipped_files_are_valid() -> None:
    for path in Path("config").glob("*.yaml"):
        resolve(load_config(path))


@pytest.mark.parametrize(
    ("values", "named", "cure"),
    [
        ({"polcy": {}}, "'polcy'", "'policy'"),
        ({"policy": {"horizn": 3}}, "'policy.horizn'", "'policy.horizon'"),
        ({"cameras": {"head": {"widht": 3}}}, "'cameras.head.widht'", "'cameras.head.width'"),
        ({"policy": {"horizon": 0}}, "'policy.horizon'", "The least is 1"),
        ({"policy": {"horizon": 2.5}}, "must be a int", "type"),
        ({"policy": {"horizon": True}}, "must be a int", "type"),
        ({"gate": {"lease_s": float("nan")}}, "'gate.lease_s'", "finite"),
        ({"gate": {"lease_s": 99}}, "99.0 s", "The most is 10.0 s"),
        ({"gate": {"driver": "topic"}}, "'topic'", "'topics'"),
        ({"gate": "fast"}, "key: value", "Indent"),
        ({"gate": {"sources": "human"}}, "list of strings", "type"),
    ],
)
def test_a_wrong_value_is_refused_with_cause_and_cure(values: dict[str, object], named: str, cure: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Config, values, "bad.yaml")
    assert named in caught.value.cause
    assert "bad.yaml" in caught.value.cause
    assert cure in caught.value.cure


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("policy: {horizon: 3")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(broken)


def test_an_unknown_robot_or_camera_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'arx_x5'"):
        resolve(Config(robot="arx_x4"))
    with pytest.raises(UnknownName, match="Did you mean 'head'"):
        resolve(build(Config, {"cameras": {"haed": {}}}, "x.yaml"))


def test_update_does_not_touch_the_original() -> None:
    cfg = resolve(Config())
    update(cfg, {"cameras.head.width": 64})
    assert cfg.cameras["head"].width == 640


def test_a_camera_takes_the_control_rate_unless_it_says_otherwise() -> None:
    cfg = resolve(build(Config, {"control_hz": 30, "cameras": {"head": {"hz": 10}}}, "x.yaml"))
    assert {name: camera.hz for name, camera in cfg.cameras.items()} == {
        "head": 10.0,
        "left_wrist": 30.0,
        "right_wrist": 30.0,
    }
