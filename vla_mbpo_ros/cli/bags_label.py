"""`vla-mbpo bags label EPISODE OUTCOME`: say afterwards how an episode went."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bags_common import add_folder, locate
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit

if TYPE_CHECKING:
    from vla_mbpo_ros.data.facts import EpisodeFacts

_DOC = "Say how an episode went. What is not said stays as it is; messages are never touched."


def add(verbs: Any) -> None:
    parser = new_command(verbs, "label", _DOC, run)
    parser.add_argument("episode", metavar="EPISODE", help="id of an episode, or path of a bag")
    parser.add_argument("outcome", metavar="OUTCOME", help="success, failure, unknown or discarded")
    parser.add_argument("--note", metavar="TEXT", help="what a person has to say")
    parser.add_argument("--success-time", metavar="S", type=float, help="seconds from the start of the bag")
    parser.add_argument("--instruction", metavar="TEXT", help="what the robot was told to do")
    add_folder(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.data.catalogue.labels import Label, label

    said = Label(args.outcome, args.note, args.success_time, args.instruction)
    path = locate(args.episode, args.folder)
    before, after = label(path, said)
    changed = {name: (old, vars(after)[name]) for name, old in vars(before).items() if old != vars(after)[name]}
    result = {
        "ok": True,
        "bag": str(path),
        "episode_id": after.episode_id or path.resolve().name,
        "changed": {name: {"before": old, "after": new} for name, (old, new) in changed.items()},
        "outcome": after.outcome,
        "success_time_s": after.success_time_s,
    }
    emit(args, result, lambda: _show(path, after, changed))
    return 0


def _show(path: Path, after: EpisodeFacts, changed: dict[str, tuple[Any, Any]]) -> None:
    if not changed:
        print(f"{path} says that already: {after.outcome}.")
    for name, (old, new) in changed.items():
        print(f"{path.name}: {name} {_text(old)} -> {_text(new)}")


def _text(value: Any) -> str:
    return "nothing" if value in (None, "") else str(value)
