"""Episodes made in memory, with pictures that a codec can be measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.data.episodes.episode import Episode, IndexArray
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import ImageArray

ROBOT = get_robot("arx_x5")
START_NS = 5_000_000_000
HZ = 15
HEIGHT, WIDTH = 48, 64


def picture(camera: int, index: int, height: int = HEIGHT, width: int = WIDTH) -> ImageArray:
    """Smooth colours with a bright square that moves: something that every frame can be told by."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([columns * 180 // width + 20, rows * 180 // height + 20, np.full_like(rows, 40 + 60 * camera)], -1)
    left, top = 8 * index % (width - 16), 8 * (8 * index // (width - 16)) % (height - 16)
    image[top : top + 16, left : left + 16] = [250 - 5 * (index % 40), 30 + 5 * (index % 40), 120]
    return image.astype(np.uint8)


@dataclass
class MadeFrames:
    """Frames that are computed."""

    camera: int
    stamps_ns: IndexArray
    height: int = HEIGHT
    width: int = WIDTH

    def __getitem__(self, index: int) -> ImageArray:
        return picture(self.camera, index, self.height, self.width)


def make_episode(rows: int = 12, seed: int = 0, **changes: Any) -> Episode:
    """An episode of the ARX X5: three cameras, each with a frame at every row."""
    random = np.random.default_rng(seed)
    times_ns = START_NS + np.round(np.arange(rows) / HZ * 1e9).astype(np.int64)
    frames = {name: MadeFrames(index, times_ns) for index, name in enumerate(ROBOT.camera_names)}
    facts = EpisodeFacts(
        episode_id=f"ep_{seed:04d}",
        robot="arx_x5",
        robot_id="arx_x5",
        instruction="put the cube into the bowl",
        outcome="success",
        policy_version="scripted/1",
        note="second try",
        control_hz=HZ,
    )
    success_ns = int(times_ns[-3]) + 1_000_000 if rows > 3 else None
    episode = Episode(
        path=Path(f"bags/ep_{seed:04d}"),
        facts=replace(facts, outcome="success" if success_ns else "unknown"),
        state_names=ROBOT.names,
        action_names=ROBOT.names,
        dt_ns=round(1e9 / HZ),
        times_ns=times_ns,
        state=random.normal(size=(rows, ROBOT.dof)),
        action=random.normal(size=(rows, ROBOT.dof)),
        source=("policy",) * (rows - 2) + ("human",) * 2,
        frames=frames,
        image_row={name: np.arange(rows) for name in frames},
        success_ns=success_ns,
    )
    return replace(episode, **changes)


def psnr(one: ImageArray, other: ImageArray) -> float:
    """dB; infinite for equal images."""
    error = np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
    return float("inf") if error == 0.0 else float(10.0 * np.log10(255.0**2 / error))
