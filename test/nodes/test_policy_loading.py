"""Loading a policy beside the one that acts: one at a time, and nothing by mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vla_mbpo_ros.config import Config, PolicyConfig
from vla_mbpo_ros.errors import ConfigError, VlaMbpoError
from vla_mbpo_ros.nodes.policy_loading import Loader
from vla_mbpo_ros.robots.settings import resolve
from vla_mbpo_ros.robots.tabletop import TABLETOP


@pytest.fixture
def loader() -> Loader:
    cfg = replace(resolve(Config(robot="tabletop")), policy=PolicyConfig(kind="tiny"))
    return Loader(cfg, TABLETOP)


def test_no_path_is_refused_also_after_another_was_loaded(loader: Loader, tmp_path: Path) -> None:
    job = loader.begin(str(tmp_path / "nothing"))
    with pytest.raises(VlaMbpoError):
        job.result(timeout=30.0)
    with pytest.raises(ConfigError, match="No path came"):
        loader.begin("")
    loader.close()


def test_what_has_been_answered_is_not_kept(loader: Loader, tmp_path: Path) -> None:
    job = loader.begin(str(tmp_path / "nothing"))
    with pytest.raises(VlaMbpoError):
        job.result(timeout=30.0)
    loader.forget(job)
    assert loader._job is None
    loader.close()
