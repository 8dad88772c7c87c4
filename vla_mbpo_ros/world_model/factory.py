"""World models by name, and tried out before anybody relies on them.

oracle_sim is not among them: it needs snapshots of the simulator, which no camera gives (`rivals/oracle.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.world_model.protocol import Scenes, WorldModel

VIDEO = "video.json"  # what only the folder of a video model has


def make_world_model(cfg: Config, robot: RobotSpec) -> WorldModel:
    """The one that `cfg.world_model.kind` names, with the judge that it names."""
    kind = cfg.world_model.kind
    if kind not in _KINDS:
        raise UnknownName("world model", kind, _KINDS)
    return _judged(_KINDS[kind](cfg, robot), cfg)


def load_checkpoint(path: Path, cfg: Config, robot: RobotSpec) -> WorldModel:
    """The learnt world model of either sort in `path`, checked against the robot whose cameras and joints it is to
    imagine."""
    return _judged((_video if (path / VIDEO).is_file() else _umm)(path, cfg, robot), cfg)


def rehearse(model: WorldModel, robot: RobotSpec, instruction: str) -> None:
    """Imagine from a blank scene at home; ContractError if what comes is no dream of this robot's.

    So the first request is not the slow one, and a model that dreams nonsense is found before anybody asks it.
    """
    blank = np.zeros((1, len(model.views), *model.size, 3), dtype=np.uint8)
    scene = Scenes(blank, robot.home[None], (instruction,))
    still = np.where(robot.is_velocity, 0.0, robot.home)  # what commands nothing
    dreams = model.imagine(scene, np.tile(still, (1, model.horizon, 1)), seeds=[0])
    if dreams.images.shape != blank.shape or dreams.images.dtype != np.uint8 or dreams.state.shape != (1, robot.dof):
        cause = (
            f"{model.version} dreamt images {dreams.images.dtype} {dreams.images.shape}, states {dreams.state.shape}."
        )
        raise ContractError(cause, f"Load one that was trained for {robot.name}.")


def _copy_last(cfg: Config, robot: RobotSpec) -> WorldModel:
    # imported late, as every kind is: only one of them is needed
    from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast

    if cfg.world_model.checkpoint:
        raise ConfigError("copy_last has nothing to load, and world_model.checkpoint is not empty.", "Use umm.")
    head = cfg.cameras[robot.camera_names[0]]
    return CopyLast(robot.camera_names, (head.height, head.width), cfg.policy.horizon)


def _umm(path: Path, cfg: Config, robot: RobotSpec) -> WorldModel:
    _check_folder(path)
    from vla_mbpo_ros.world_model.umm.checkpoint import load_world

    return load_world(path, robot, cfg.world_model.device, cfg.world_model.quantize)


def _video(path: Path, cfg: Config, robot: RobotSpec) -> WorldModel:
    _check_folder(path)
    from vla_mbpo_ros.world_model.rivals.video.checkpoint import load_video

    return load_video(path, robot, cfg.world_model.device)


def _configured(load: Callable[[Path, Config, RobotSpec], WorldModel]) -> Callable[[Config, RobotSpec], WorldModel]:
    """The learnt one in the folder that the settings name."""

    def make(cfg: Config, robot: RobotSpec) -> WorldModel:
        given = cfg.world_model
        if not given.checkpoint:
            cause = f"{given.kind} imagines by what it has learnt, and world_model.checkpoint is empty."
            raise ConfigError(cause, "Give the folder of a trained world model, or use copy_last.")
        return load(Path(given.checkpoint).expanduser(), cfg, robot)

    return make


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        raise ConfigError(f"There is no folder at {path}.", "Give the folder of a world model on this node's machine.")


def _judged(world: WorldModel, cfg: Config) -> WorldModel:
    if not cfg.world_model.judge:
        return world
    from vla_mbpo_ros.world_model.rivals.judged import Judged
    from vla_mbpo_ros.world_model.rivals.vlm_judge import VlmJudge

    return Judged(world, VlmJudge(Path(cfg.world_model.judge).expanduser(), cfg.world_model.device))


_KINDS: dict[str, Callable[[Config, RobotSpec], WorldModel]] = {
    "copy_last": _copy_last,
    "umm": _configured(_umm),
    "video": _configured(_video),
}
