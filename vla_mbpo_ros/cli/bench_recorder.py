"""`vla-mbpo bench recorder`: what recorder_node loses and what it costs, while it records a robot's whole contract.

`lost` is what was published once the bag was open and is not in the closed bag, message by message. `cpu_cores` is
all threads of the recorder, user and system, while messages came. Beside it, on the same disk and in the same run,
the cost of the bare writing of as many bytes: a ratio that other machines can be compared by.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command

_DOC = "What the recorder loses and costs: a robot's whole contract, read back message by message."
_LOOK_S = 0.5  # between two steps of the progress bar
_BLOCK = 1 << 20
_FLOOR_BYTES = 1 << 29


def add(subparsers: Any) -> None:
    from vla_mbpo_ros.cli.bench_recorder_run import add_scene

    parser = new_command(subparsers, "recorder", _DOC, run)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the recording")
    add_scene(parser)
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.cli.bench_recorder_run import refuse_below

    refuse_below(args, "seconds", 0.5)
    if args.folder:
        args.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=args.folder) as folder:
        result = _measure(args, Path(folder))
    return conclude(args, "recorder", result)


def _measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from vla_mbpo_ros.cli.bench_recorder_run import Scene, kind_of, machine_load, recorder_run, stamps_in

    with recorder_run(Scene.of(args), folder, args.seconds) as recording:
        bag = Path(recording.wait_for("recording")["bag"])
        cpu_s, began_s = recording.cpu_s(), time.monotonic()
        _show_progress(args.seconds)
        recording.wait_for("published")
        cpu_s, took_s = recording.cpu_s() - cpu_s, time.monotonic() - began_s
        load = machine_load()
        sent: dict[str, list[int]] = recording.wait_for("sent")["topics"]
    found = stamps_in(bag, sent)
    lost = {topic: len(set(stamps) - found.get(topic, set())) for topic, stamps in sent.items()}
    size_mb = sum(file.stat().st_size for file in bag.glob("*.mcap")) * 1e-6
    cpu_cores, mb_per_s = cpu_s / took_s, size_mb / took_s
    floor_cores = _bare_writing_s_per_mb(folder / "floor") * mb_per_s
    return {
        "sent": sum(map(len, sent.values())),
        "lost": sum(lost.values()),
        **{f"lost_{kind}": sum(n for t, n in lost.items() if kind_of(t) == kind) for kind in ("images", "joints")},
        "cpu_cores": cpu_cores,
        "mb_per_s": mb_per_s,
        "messages_per_s": sum(map(len, sent.values())) / took_s,
        "cpu_ms_per_mb": 1e3 * cpu_s / size_mb,
        "vs_bare_writing": cpu_cores / floor_cores,
        "machine_load": load,
        "seconds": args.seconds,
        **{name: getattr(args, name) for name in ("cameras", "width", "height", "hz", "joints_hz")},
    }


def _show_progress(seconds: float) -> None:
    from vla_mbpo_ros.cli.bench_recorder_run import progress

    end_s = time.monotonic() + seconds
    with progress("recording [s]") as bar:
        task = bar.add_task("", total=round(seconds))
        while (left_s := end_s - time.monotonic()) > 0.0:
            bar.update(task, completed=round(seconds - left_s))
            time.sleep(min(_LOOK_S, left_s))


def _bare_writing_s_per_mb(path: Path) -> float:
    """User and system time of writing random bytes to the same disk, waiting for it, and nothing else."""
    block = os.urandom(_BLOCK)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for number in range(_FLOOR_BYTES // _BLOCK):
        os.write(fd, block)
        if number % 100 == 99:
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.fdatasync(fd)
    after = resource.getrusage(resource.RUSAGE_SELF)
    os.close(fd)
    path.unlink()
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / (_FLOOR_BYTES * 1e-6)
