"""`vla-mbpo bench dataset`: random chunk samples a second, from our cache, from the bags afresh, and from LeRobot.

A sample is the same for all: o_t and o_{t+k} of every camera and of the joints, and the k actions between. One
process, no workers; every file has been read before, so that no rival waits for the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.data.dataset import Transitions

_DOC = "Random chunk samples a second: our cache, the bags themselves, LeRobot's data set class."
_MORE = "Without --folder, episodes with textured images are made for it, and deleted again."
_WARM_UP = 8  # samples that are not counted


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "dataset", _DOC, run, _MORE)
    parser.add_argument("--folder", type=Path, help="bags to read instead of made-up ones")
    parser.add_argument("--episodes", type=int, default=8, metavar="N", help="episodes to make (default: 8)")
    parser.add_argument("--rows", type=int, default=100, metavar="N", help="control ticks in each (default: 100)")
    parser.add_argument("--width", type=int, default=320, help="pixels")
    parser.add_argument("--height", type=int, default=240, help="pixels")
    parser.add_argument("--k", type=int, default=8, help="control ticks in a window (default: 8)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement (default: 5)")
    parser.add_argument("--lerobot-python", type=Path, metavar="PATH", help="an interpreter that can import lerobot")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    if min(args.episodes, args.k, args.width, args.height) < 1 or args.rows <= args.k or args.seconds <= 0.0:
        raise ConfigError("There is nothing to measure.", "Give 1 or more of each, and more rows than k.")
    from vla_mbpo_ros.data.dataset import DatasetSettings, open_episodes

    with _bags(args) as folder, tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        settings = DatasetSettings(k=args.k, outcomes=("success", "failure", "unknown"))
        episodes = open_episodes(folder, settings, Path(cache), progress=True)
        build_s = time.perf_counter() - began
        samples = episodes.transitions()
        if not len(samples):
            raise ConfigError(f"{folder} has no sample. {' '.join(episodes.report.lines())}", "Give other bags.")
        result = _measure(samples, args, folder)
    result["build_s"] = build_s
    return conclude(args, "dataset", result)


@contextmanager
def _bags(args: argparse.Namespace) -> Iterator[Path]:
    if args.folder:
        yield args.folder
        return
    from vla_mbpo_ros.data.dataset.synthetic import write_synthetic_bag

    with tempfile.TemporaryDirectory() as name:
        for index in range(args.episodes):
            say(f"Making episode {index + 1} of {args.episodes}.")
            facts = {"outcome": "success", "success_time_s": 0.9 * args.rows / 15.0}
            size = (args.height, args.width)
            write_synthetic_bag(Path(name) / f"episode_{index:03d}", rows=args.rows, size=size, seed=index, **facts)
        yield Path(name)


def _measure(samples: Transitions, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from vla_mbpo_ros.cli.bench_dataset_rivals import BagRival, lerobot_rate

    order = samples.order(0).tolist()
    ours = rate(lambda index: use(samples, index), order, args.seconds)
    bag = rate(BagRival(samples).use, order, args.seconds)
    kept = rate(BagRival(samples, keep=True).use, order, args.seconds)
    lerobot, reason = lerobot_rate(samples, args.lerobot_python, args.seconds)
    shape = next(iter(samples[0].images.values())).shape
    return {
        "samples_per_s": ours,
        "vs_lerobot": ours / lerobot if lerobot else None,
        "vs_bag": ours / bag,
        "vs_open_bag": ours / kept,
        "lerobot_samples_per_s": lerobot,
        "bag_samples_per_s": bag,
        "open_bag_samples_per_s": kept,
        "lerobot_reason": reason,
        "samples": len(samples),
        "episodes": len(samples.episodes),
        "cameras": len(samples[0].images),
        "height": shape[0],
        "width": shape[1],
        "k": samples.settings.k,
    }


def rate(take: Callable[[int], Any], order: list[int], seconds: float) -> float:
    """Samples a second of `take`, over and over in this order."""
    for index in order[:_WARM_UP]:
        take(index)
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        take(order[count % len(order)])
        count += 1
    return count / spent


def use(samples: Transitions, index: int) -> list[Any]:
    """One sample, its images copied into memory of our own: a view alone has read nothing."""
    import numpy as np

    sample = samples[index]
    images = [np.array(image) for images in (sample.images, sample.next_images) for image in images.values()]
    return [*images, np.array(sample.state), np.array(sample.next_state), np.array(sample.action)]
