"""`vla-mbpo dataset`: bags made ready for a learner, what is in them, and the statistics that a model needs."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, say
from vla_mbpo_ros.errors import BagError, ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.data.dataset import ColumnStatistics, EpisodeSet

_BUILD = "Decode the images of every bag once, into memory-mapped arrays; says what is used and what is left out."
_STATS = "Statistics of states and actions over one split, for normalisation."


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("dataset", help="Make bags ready for a learner.", description="Bags for a learner.")
    names = parser.add_subparsers(title="commands", required=True, metavar="NAME")
    _add_options(new_command(names, "build", _BUILD, build))
    stats_parser = new_command(names, "stats", _STATS, stats)
    _add_options(stats_parser)
    stats_parser.add_argument("--split", default="train", help="episodes of which split (default: train)")
    stats_parser.add_argument("--out", type=Path, metavar="FILE", help="save them as JSON")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder that the bags are in")
    parser.add_argument("--k", type=int, default=8, help="control ticks in a window (default: 8)")
    parser.add_argument("--starts", default="every", help="windows start at every row, or at observed chunks")
    parser.add_argument("--size", metavar="HxW", help="resize images to this height and width, as 224x224")
    parser.add_argument("--cameras", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--unknown", action="store_true", help="use episodes of unknown outcome too")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where the arrays go (default: FOLDER/.cache)")


def build(args: argparse.Namespace) -> int:
    episodes = _open(args)
    result = {"ok": bool(episodes.episodes), **episodes.report.as_dict()}
    emit(args, result, lambda: print("\n".join(episodes.report.lines())))
    return 0 if episodes.episodes else _nothing_used(args.folder)


def stats(args: argparse.Namespace) -> int:
    episodes = _open(args)
    if not episodes.episodes:
        raise BagError(f"No episode of {args.folder} can be used.", "`vla-mbpo dataset build` says why.")
    found = episodes.statistics(args.split)
    if args.out:
        found.save(args.out)
        say(f"Saved to {args.out}.")
    columns = {"state": vars(found.state), "action": vars(found.action)}
    result = {"ok": True, "robot": found.robot, "episodes": found.episodes, "split": args.split, **columns}
    emit(args, result, lambda: _show(found.state, found.action))
    return 0


def _open(args: argparse.Namespace) -> EpisodeSet:
    from vla_mbpo_ros.data.dataset import DatasetSettings, open_episodes
    from vla_mbpo_ros.data.dataset.settings import LABELLED

    outcomes = (*LABELLED, "unknown") if args.unknown else LABELLED
    settings = DatasetSettings(
        k=args.k, starts=args.starts, size=_size(args.size), cameras=tuple(args.cameras), outcomes=outcomes
    )
    return open_episodes(args.folder, settings, args.cache, progress=True)


def _size(text: str | None) -> tuple[int, int] | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise ConfigError(f"'{text}' is no size.", "Give height and width in pixels, as 224x224.")
    return int(found[1]), int(found[2])


def _nothing_used(folder: Path) -> int:
    say(f"error: No episode of {folder} can be used.")
    return BagError.exit_code


def _show(*kinds: ColumnStatistics) -> None:
    for kind, name in zip(kinds, ("state", "action"), strict=True):
        print(f"{name} ({kind.count} rows)")
        width = max(map(len, kind.names))
        print(f"  {'':{width}}  {'mean':>9} {'std':>9} {'min':>9} {'q01':>9} {'q99':>9} {'max':>9}")
        for index, column in enumerate(kind.names):
            numbers = (kind.mean, kind.std, kind.min, kind.q01, kind.q99, kind.max)
            print(f"  {column:{width}}  " + " ".join(f"{values[index]:9.4f}" for values in numbers))
