"""What `bench dataset` is measured against: the same sample out of the bag, opened anew each time, and by LeRobot."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.errors import VlaMbpoError

if TYPE_CHECKING:
    from vla_mbpo_ros.data.dataset import Transitions

_LIMIT_S = 300.0
_NO_PYTHON = "no interpreter with lerobot was given (--lerobot-python)"


class BagRival:
    """Opens the bag, finds what belongs to the two moments, and decodes that.

    `keep` leaves bags open, with the places of their messages: what is left is to read and to decode.
    """

    def __init__(self, samples: Transitions, keep: bool = False) -> None:
        self._samples, self._keep = samples, keep
        self._kept: dict[Any, Any] = {}

    def use(self, index: int) -> list[Any]:
        from vla_mbpo_ros.data.episodes.contract_bag import ContractBag
        from vla_mbpo_ros.data.episodes.observations import JOINTS, decode_color
        from vla_mbpo_ros.data.episodes.reader import COMMANDS
        from vla_mbpo_ros.messages.joints import decode_command, decode_joint_state

        episode, row = self._samples.episodes[self._samples.episode_index[index]], int(self._samples.rows[index])
        bag, k = self._once(episode.bag, lambda: ContractBag(episode.bag)), self._samples.settings.k
        moments = [int(episode.times_ns[row]), int(episode.times_ns[row + k])]
        found: list[Any] = []
        for camera in bag.cameras:
            topic = bag.color_topic(camera)
            messages = self._read(bag, topic, moments)
            found += [np.array(decode_color(message, bag.type_of(topic)).image) for message in messages]
        found += [decode_joint_state(message, bag.state_spec) for message in self._read(bag, JOINTS, moments)]
        told = [int(time_ns) for time_ns in episode.times_ns[row : row + k]]
        return found + [decode_command(message, bag.action_spec) for message in self._read(bag, COMMANDS, told)]

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if not self._keep:
            return make()
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _read(self, bag: Any, topic: str, moments_ns: list[int]) -> list[Any]:
        """Of each moment the latest message at or before it."""
        name = bag.name(topic)
        refs, stamps = self._once((bag.path, name), lambda: (bag.bag.locate(name).refs, bag.bag.stamps(name)))
        places = np.searchsorted(stamps, moments_ns, side="right") - 1
        return [bag.decode(bag.bag.read(refs[place])) for place in places]


def lerobot_rate(samples: Transitions, python: Path | None, seconds: float) -> tuple[float | None, str]:
    """Samples a second of LeRobot's own class over the same episodes, exported to its format; or why there is none."""
    if python is None:
        return None, _NO_PYTHON
    try:
        from vla_mbpo_ros.data.formats.lerobot import export_lerobot
    except (ImportError, VlaMbpoError) as error:
        return None, f"the export to LeRobot is not available: {error}"
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "set"
        say("Exporting the episodes to LeRobot's format.")
        try:
            export_lerobot([episode.bag for episode in samples.episodes], target)
        except VlaMbpoError as error:
            return None, f"the export to LeRobot failed: {error}"
        return _ask(python, target, samples.settings.k, seconds)


def _ask(python: Path, target: Path, k: int, seconds: float) -> tuple[float | None, str]:
    """Measured by that interpreter."""
    script = Path(__file__).with_name("bench_lerobot_reader.py")
    # The ROS wheels' guard is not for it.
    words = [str(python), str(script), str(target), str(k), str(seconds)]
    blank = {"PYTHONPATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
    environment = {name: value for name, value in os.environ.items() if name not in blank}
    try:
        done = subprocess.run(
            words, env={**environment, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, timeout=_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{python} could not measure: {error}"
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return None, f"{python} could not measure: {last}"
    answer = json.loads(lines[-1])
    return float(answer["samples_per_s"]), f"lerobot {answer['version']}, {answer['backend']}"
