"""`vla-mbpo bags info BAG`: everything that is known of one bag."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bags_common import (
    WIDE,
    add_folder,
    locate,
    make_console,
    make_table,
    show_lines,
    size_text,
    span_text,
)
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit

if TYPE_CHECKING:
    from rich.table import Table

    from vla_mbpo_ros.data.catalogue.bag_info import BagInfo, TopicFacts

_DOC = "Tell everything that is known of one bag: facts, topics, files."
_WALL_NS = 10**18  # bags that start later are on wall time: 2001 and after


def add(verbs: Any) -> None:
    parser = new_command(verbs, "info", _DOC, run)
    parser.add_argument("bag", metavar="BAG", help="path of a bag, or the id of an episode")
    add_folder(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.data.bags.foreign import open_bag
    from vla_mbpo_ros.data.catalogue.bag_info import bag_info

    info = bag_info(open_bag(locate(args.bag, args.folder)))
    emit(args, {"ok": not info.problems, **info.as_dict()}, lambda: _show(info))
    return 0


def _show(info: BagInfo) -> None:
    rows = [(word, text) for word, text in _facts(info) if text]
    width = max(len(word) for word, _ in rows)
    console = make_console()
    for word, text in rows:
        head, rest = f"{word:<{width}}  ", " " * (width + 2)
        print(textwrap.fill(text, console.width, initial_indent=head, subsequent_indent=rest, break_on_hyphens=False))
    if info.topics:
        print()
        console.print(_table(info.topics))
    show_lines("Problems:", info.problems)


def _facts(info: BagInfo) -> Iterator[tuple[str, str]]:
    yield "bag", f"{info.path}" + ("" if info.complete else "  (not closed: `vla-mbpo bags recover` makes it whole)")
    if not info.says:
        yield "", "Nothing is said of the episode: no recorder_node wrote it, and nobody has labelled it."
    yield from _said(info)
    start = datetime.fromtimestamp(info.start_ns * 1e-9, timezone.utc) if info.start_ns > _WALL_NS else None
    began = f", from {start.astimezone():%Y-%m-%d %H:%M:%S}" if start else f", from {info.start_ns * 1e-9:.3f} s"
    yield "length", f"{span_text(info.length_s)}{began}, {info.messages} messages"
    yield "files", ", ".join(f"{name} ({size_text(size)})" for name, size in info.files)


def _said(info: BagInfo) -> Iterator[tuple[str, str]]:
    facts = info.facts
    at = "" if facts.success_time_s is None else f" at {facts.success_time_s:.2f} s"
    yield "episode", facts.episode_id
    yield "robot", " ".join([facts.robot, *([f"({facts.robot_id})"] if facts.robot_id != facts.robot else [])])
    yield "instruction", facts.instruction
    yield "outcome", f"{facts.outcome}{at}{', out of time' if facts.truncated else ''}" if info.says else ""
    yield "note", facts.note
    yield "policy", ", ".join(f"{version or 'unnamed'}: {count} chunks" for version, count in info.policies.items())
    yield "rates", _rates(info)
    people = [f"{source} {begin:.1f} to {end:.1f} s" for source, begin, end in facts.interventions]
    yield "interventions", ", ".join(people)
    yield "lost", ", ".join(f"{count} of {name}" for name, count in facts.lost.items())
    yield "imported", facts.origin
    yield "seed", "" if facts.seed is None else str(facts.seed)
    recorded = " by vla_mbpo_ros ".join(filter(None, [facts.recorded_at, facts.software]))
    yield "recorded", recorded + (", simulated" if facts.simulated else "")


def _rates(info: BagInfo) -> str:
    facts = info.facts
    cameras = [f"{name} {hz:g} Hz" for name, hz in facts.camera_hz.items()]
    return ", ".join([f"control {facts.control_hz:g} Hz", *cameras]) if facts.control_hz else ""


def _table(topics: tuple[TopicFacts, ...]) -> Table:
    wide = make_console().width >= WIDE
    rows = [_cells(topic, wide) for topic in topics]
    return make_table(("topic", "type", "count", "Hz", "size"), rows, right=("count", "Hz", "size"), flexible="topic")


def _cells(topic: TopicFacts, wide: bool) -> list[Any]:
    about = "≈" if topic.estimated else ""
    package, _, name = topic.type.partition("/msg/")
    return [
        topic.name,
        f"{package}/{name}" if wide else name,
        topic.count,
        f"{topic.hz:.1f}" if topic.hz else "",
        f"{about}{size_text(topic.size_bytes)}" if topic.count else "",
    ]
