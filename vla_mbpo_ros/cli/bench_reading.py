"""`vla-mbpo bench reading`: raw messages of a bag from the first to the last, by us, by `rosbags` and by `mcap`.

All three read the same file of VGA images out of the page cache, take every message in order of time, and compare
the checksum of every chunk, which is also what touches every byte. They take turns; each one's best round counts.
`unverified_…` is the same without checksums, where a reader can leave them out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.errors import ConfigError

_DOC = "Sequential reading of a bag of camera images, beside the readers of `rosbags` and `mcap`."
_WIDTH, _HEIGHT, _HZ = 640, 480, 30.0
_ROUNDS = 5
_IMAGE = "sensor_msgs/msg/Image"
_TOPIC = "/head/color/image_raw"


def add(names: Any) -> None:
    parser = new_command(names, "reading", _DOC, run)
    parser.add_argument("--mb", type=int, default=1000, help="size of the bag")
    parser.add_argument("--folder", type=Path, help="where the bag is made for the time of the benchmark")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    if args.mb < 1:
        raise ConfigError(f"--mb is {args.mb}.", "Give a whole number above 0.")
    with tempfile.TemporaryDirectory(prefix="bench_reading_", dir=args.folder) as folder:
        say(f"writing {args.mb} MB of images")
        bag = Path(folder) / "bag"
        messages = write_images(bag, args.mb)
        return conclude(args, "reading", {"mb": args.mb, **measure(bag, messages)})


def write_images(bag: Path, mb: int) -> int:
    """A bag of noise, which nothing can shorten. How many messages it has."""
    import numpy as np

    from vla_mbpo_ros.data.bags import BagWriter
    from vla_mbpo_ros.data.bags.encode import Encoder

    images, noise = Encoder(_IMAGE), np.random.default_rng(0)
    pixels = noise.integers(0, 256, _HEIGHT * _WIDTH * 3, dtype=np.uint8)
    message = images.new(height=_HEIGHT, width=_WIDTH, step=3 * _WIDTH, encoding="rgb8", data=pixels)
    count = max(round(mb * 1e6 / pixels.size), 1)
    with BagWriter(bag) as writer:
        writer.add_topic(_TOPIC, _IMAGE)
        for index in range(count):
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(round((1 + index / _HZ) * 1e9), 10**9)
            writer.write(_TOPIC, images(message), log_ns=round((1 + index / _HZ) * 1e9))
    return count


def measure(bag: Path, messages: int) -> dict[str, Any]:
    """Each reader's best of some rounds [GB/s of message data]."""
    from vla_mbpo_ros.errors import BagError

    readers: dict[str, Callable[[Path], Iterator[int]]] = {
        "ours": _ours,
        "rosbags": _rosbags,
        "mcap": _mcap,
        "ours, unverified": partial(_ours, verify=False),
        "mcap, unverified": partial(_mcap, verify=False),
    }
    best = dict.fromkeys(readers, 0.0)
    for turn in range(_ROUNDS):
        for name, sizes in readers.items():
            say(f"round {turn + 1} of {_ROUNDS}: {name}")
            began_s = time.perf_counter()
            found = list(sizes(bag))
            elapsed_s = time.perf_counter() - began_s
            if len(found) != messages:
                raise BagError(f"{name} read {len(found)} of {messages} messages.", "Report it.")
            best[name] = max(best[name], sum(found) / elapsed_s / 1e9)
    return {
        "messages": messages,
        "gb_per_s": best["ours"],
        "rosbags_gb_per_s": best["rosbags"],
        "mcap_gb_per_s": best["mcap"],
        "vs_rosbags": best["ours"] / best["rosbags"],
        "vs_mcap": best["ours"] / best["mcap"],
        "unverified_gb_per_s": best["ours, unverified"],
        "unverified_vs_mcap": best["ours, unverified"] / best["mcap, unverified"],
    }


def _ours(bag: Path, verify: bool = True) -> Iterator[int]:
    """Bytes of every message."""
    from vla_mbpo_ros.data.bags import BagReader

    for message in BagReader(bag, verify=verify).messages():
        yield len(message.data)


def _rosbags(bag: Path) -> Iterator[int]:
    from rosbags.rosbag2 import Reader

    with Reader(bag) as reader:
        for _, _, data in reader.messages():
            yield len(data)


def _mcap(bag: Path, verify: bool = True) -> Iterator[int]:
    from mcap.reader import make_reader

    for path in sorted(bag.glob("*.mcap")):
        with path.open("rb") as stream:
            for _, _, message in make_reader(stream, validate_crcs=verify).iter_messages():
                yield len(message.data)
