"""World models by name, and the rehearsal that every one must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_mbpo_ros.config import Config, WorldModelConfig
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.robots.settings import resolve
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.factory import load_checkpoint, make_world_model, rehearse
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, StateSource, go_on
from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast


def config(kind: str, checkpoint: str = "") -> Config:
    return replace(resolve(Config(robot="tabletop")), world_model=WorldModelConfig(kind=kind, checkpoint=checkpoint))


def test_copy_last_sees_what_the_cameras_see() -> None:
    cfg = config(kind="copy_last")
    model = make_world_model(cfg, TABLETOP)
    assert (model.views, model.size) == (("head", "wrist"), (480, 640))
    assert model.horizon == cfg.policy.horizon
    rehearse(model, TABLETOP, "press the red button")


@pytest.mark.parametrize(
    ("kind", "checkpoint", "words"),
    [
        ("copy_last", "somewhere", "copy_last has nothing to load"),
        ("umm", "", "world_model.checkpoint is empty"),
        ("umm", "/no/such/folder", "There is no folder at /no/such/folder"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(kind: str, checkpoint: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_world_model(config(kind=kind, checkpoint=checkpoint), TABLETOP)


def test_no_kind_is_no_model() -> None:
    with pytest.raises(UnknownName, match="Known: copy_last, umm"):
        make_world_model(config(kind="none"), TABLETOP)


def test_a_folder_that_holds_no_world_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"world\.json"):
        load_checkpoint(tmp_path, config(kind="umm"), TABLETOP)


class Nonsense(CopyLast):
    """It forgets a view."""

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        return Dreams(scenes.images[:, :1], np.zeros(len(scenes)), scenes.state, StateSource.PREDICTED)


def test_a_model_that_dreams_nonsense_is_found_before_anybody_asks_it() -> None:
    with pytest.raises(ContractError, match=r"dreamt images uint8 \(1, 1, 8, 8, 3\)"):
        rehearse(Nonsense(TABLETOP.camera_names, (8, 8), horizon=2), TABLETOP, "press")
