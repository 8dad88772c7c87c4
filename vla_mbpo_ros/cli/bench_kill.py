"""`vla-mbpo bench kill`: what is lost when the recorder is killed, again and again, at moments drawn by lot.

Each time a recorder_node starts, records a robot's whole contract, and gets SIGKILL. Then the bag is recovered and
read by us, by `rosbags` and by `mcap`. Lost is everything that was published before the kill and is not in the bag:
also what the recorder had not received yet. The lost time reaches back from the kill to the oldest lost message.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import say

if TYPE_CHECKING:
    from vla_mbpo_ros.cli.bench_recorder_run import RecorderRun, Scene

_DOC = "What is lost when the recorder is killed at random moments, and whether every reader opens what is left."
_COLUMNS = ("recorded_s", "lost_s", "images", "joints", "others", "recovered", "rosbags", "mcap")
_LONGEST_S = 600.0  # of the load, should nobody end it


def add(subparsers: Any) -> None:
    from vla_mbpo_ros.cli.bench_recorder_run import add_scene

    parser = new_command(subparsers, "kill", _DOC, run)
    parser.add_argument("--times", type=int, default=50, help="how often it is killed")
    parser.add_argument("--least", type=float, default=0.5, help="shortest recording [s]")
    parser.add_argument("--most", type=float, default=2.5, help="longest recording [s]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    add_scene(parser)
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.cli.bench_recorder_run import Scene, machine_load, progress, refuse_below

    for name, least in (("times", 1), ("least", 0.0), ("most", args.least)):
        refuse_below(args, name, least)
    chance, rows = random.Random(args.seed), []
    if args.folder:
        args.folder.mkdir(parents=True, exist_ok=True)
    with progress("killed") as bar:
        task = bar.add_task("", total=args.times)
        for _ in range(args.times):
            with TemporaryDirectory(dir=args.folder) as folder:
                rows.append(_kill_once(Scene.of(args), Path(folder), chance.uniform(args.least, args.most)))
            bar.advance(task)
    if not args.json:
        _show(rows)
    facts = {name: getattr(args, name) for name in ("cameras", "width", "height", "hz", "joints_hz", "seed")}
    result = {**summarise(rows), **facts, "machine_load": machine_load()}
    return conclude(args, "kill", {**result, "kills": rows} if args.json or args.out else result)


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over all kills."""
    import numpy as np

    lost_s = np.array([row["lost_s"] for row in rows])
    return {
        "times": len(rows),
        "lost_max_s": float(lost_s.max()),
        "lost_mean_s": float(lost_s.mean()),
        "lost_p95_s": float(np.percentile(lost_s, 95)),
        "lost_messages_mean": float(np.mean([row["images"] + row["joints"] + row["others"] for row in rows])),
        **{f"{name}_ok": sum(bool(row[name]) for row in rows) for name in ("recovered", "rosbags", "mcap")},
    }


def _kill_once(scene: Scene, folder: Path, after_s: float) -> dict[str, Any]:
    from vla_mbpo_ros.cli.bench_recorder_run import recorder_run

    with recorder_run(scene, folder, _LONGEST_S, stop=False) as recording:
        bag = Path(recording.wait_for("recording")["bag"])
        time.sleep(after_s)
        killed_ns = time.time_ns()
        recording.recorder.kill()
        recording.recorder.wait()
        sent = _sent(recording)
    return {"recorded_s": after_s, **_look_at(bag, sent, killed_ns)}


def _sent(recording: RecorderRun) -> dict[str, list[int]]:
    recording.end_load()
    recording.wait_for("published")
    sent: dict[str, list[int]] = recording.wait_for("sent")["topics"]
    return sent


def _look_at(bag: Path, sent: dict[str, list[int]], killed_ns: int) -> dict[str, Any]:
    """One row of the table."""
    from vla_mbpo_ros.cli.bench_recorder_run import kind_of, stamps_in
    from vla_mbpo_ros.data.bags.recover import recover
    from vla_mbpo_ros.errors import BagError

    row: dict[str, Any] = {"images": 0, "joints": 0, "others": 0}
    try:
        messages = recover(bag).messages
        row["recovered"] = recover(bag).was_whole
        found = stamps_in(bag, sent)
    except BagError as error:
        say(f"error: {error}")
        messages, row["recovered"], found = -1, False, {}
    oldest_ns = killed_ns
    for topic, stamps in sent.items():
        lost = [stamp for stamp in stamps if stamp <= killed_ns and stamp not in found.get(topic, set())]
        row[kind_of(topic)] += len(lost)
        oldest_ns = min([oldest_ns, *lost])
    row["lost_s"] = (killed_ns - oldest_ns) * 1e-9
    row["rosbags"], row["mcap"] = _rosbags_reads(bag, messages), _mcap_reads(bag, messages)
    return row


def _rosbags_reads(bag: Path, messages: int) -> bool:
    from rosbags.highlevel import AnyReader

    try:
        with AnyReader([bag]) as reader:
            return sum(1 for _ in reader.messages()) == messages
    except Exception as error:  # whatever it is, this reader does not open the bag
        say(f"error: rosbags: {error}")
        return False


def _mcap_reads(bag: Path, messages: int) -> bool:
    from mcap.reader import make_reader

    try:
        count = 0
        for file in bag.glob("*.mcap"):
            with file.open("rb") as stream:
                count += sum(1 for _ in make_reader(stream, validate_crcs=True).iter_messages())
    except Exception as error:  # the same
        say(f"error: mcap: {error}")
        return False
    return count == messages


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from vla_mbpo_ros.cli.bags_common import make_console

    table = Table(*("kill", *_COLUMNS))
    for number, row in enumerate(rows, 1):
        table.add_row(str(number), *(_text(row[name]) for name in _COLUMNS))
    make_console().print(table)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
