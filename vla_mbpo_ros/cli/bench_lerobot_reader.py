"""Run by another interpreter, one that has lerobot: random samples a second of its own data set class.

    python bench_lerobot_reader.py FOLDER K SECONDS  ->  one line of JSON

Imports nothing of this package, which that interpreter need not have.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

_WARM_UP = 8  # samples that are not counted


def main() -> None:
    folder, k, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    sys.path.pop(0)  # our own folder, whose modules would hide others of the same name
    import lerobot  # type: ignore[import-not-found, unused-ignore]

    samples = open_set(folder, k)
    order = list(range(len(samples)))
    random.Random(0).shuffle(order)
    for index in order[:_WARM_UP]:
        samples[index]
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        samples[order[count % len(order)]]
        count += 1
    backend = getattr(samples, "video_backend", None) or getattr(samples, "_video_backend", "unknown backend")
    answer = {"samples_per_s": count / spent, "version": getattr(lerobot, "__version__", "?"), "backend": str(backend)}
    print(json.dumps(answer), flush=True)


def open_set(folder: Path, k: int) -> Any:
    """Images and states at t and t + k, the actions between."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # type: ignore[import-not-found, unused-ignore]

    info = json.loads((folder / "meta" / "info.json").read_text(encoding="utf-8"))
    fps = info["fps"]
    ends = [name for name in info["features"] if name.startswith("observation.")]
    times = {**{name: [0.0, k / fps] for name in ends}, "action": [step / fps for step in range(k)]}
    return LeRobotDataset("local/bench", root=folder, delta_timestamps=times)


if __name__ == "__main__":
    main()
