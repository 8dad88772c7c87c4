"""`vla-mbpo reproduce table1`: world models side by side, on held-out episodes of the tabletop.

--model NAME=FOLDER …, copy_last ──HeldOut──> numbers ──> OUT/table1.md, .csv, .json, dreams_*.png, growth.png
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, plain, say
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.evaluation.world_model.held_out import HeldOut
    from vla_mbpo_ros.sim.tabletop import Pool
    from vla_mbpo_ros.world_model.protocol import WorldModel

TINY, COPY_LAST = "tiny", "copy_last"
_DOC = "World models side by side on held-out episodes: the paper's Table 1, in your size."
_MORE = """The episodes are kept in OUT and are the same for every model; copy_last is always among them.
Which name stands for which row of the paper: """
_HOW = {  # name -> what of the paper it is, how to come by it
    "umm": "UMM-World: `vla-mbpo train world-model`, with what it has learnt before as --parent",
    "no_ivd": "w/o IVD: the same training with --no-ivd; where there is a parent, its training",
    "no_pt": "w/o PT: the same training without --parent, from a random start",
    "video": "in Ctrl-World's place: `--model video`, which predicts every frame between, on the same episodes",
}


def add(names: Any) -> None:
    parser = new_command(names, "table1", _DOC, run, _MORE + "; ".join(f"{k}, {v}" for k, v in _HOW.items()) + ".")
    parser.add_argument("--preset", choices=(TINY,), default=TINY, help="size of pictures and data (default: tiny)")
    text = "a trained world model; may be given often"
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER", help=text)
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for tables and pictures")
    parser.add_argument("--policy", type=Path, metavar="FOLDER", help="who acts (default: clumsy experts)")
    parser.add_argument("--lpips", type=Path, metavar="FILE", help="weights for LPIPS (default: it is not computed)")
    parser.add_argument("--task", nargs="+", default=["all"], metavar="TASK", help="tasks (default: all)")
    parser.add_argument("--episodes", type=int, default=13, help="a task (default: 13)")
    parser.add_argument("--chunks", type=int, default=4, help="dreamt one after the other (default: 4)")
    parser.add_argument("--single", type=int, default=600, help="chunks from real pictures (default: 600)")
    parser.add_argument("--pairs", type=int, default=200, help="moments with two opposite chunks (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the dreams (default: 0)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where models compute (default: cpu)")
    parser.add_argument("--workers", type=int, default=2, help="simulator processes (default: 2)")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    need("torch")
    folders = _folders(args)
    from vla_mbpo_ros.evaluation.lpips import Lpips
    from vla_mbpo_ros.evaluation.world_model.drawings import draw_dreams, draw_growth
    from vla_mbpo_ros.evaluation.world_model.report import Examiner
    from vla_mbpo_ros.evaluation.world_model.table import to_csv, to_markdown
    from vla_mbpo_ros.sim.tabletop import Pool

    models = {name: _load(folder, args.device) for name, folder in folders.items()}
    with Pool(args.workers) as pool:
        held = _held_out(args, pool)
    models[COPY_LAST] = _copy_last(held)
    examiner = Examiner(held, Lpips(args.lpips) if args.lpips else None, args.seed)
    found: dict[str, Any] = {}
    rolled = {}
    for name, model in models.items():
        _check(name, model, held)
        examiner.say = lambda text, name=name: say(f"{name}: {text}")  # type: ignore[misc]
        found[name], rolled[name] = examiner.examine(model)
    result = {"truth": examiner.truth(), "models": found}
    text = to_markdown(found, result["truth"], _missing(folders))
    for name, content in (("md", text), ("csv", to_csv(found)), ("json", json.dumps(plain(result), indent=1) + "\n")):
        (args.out / f"table1.{name}").write_text(content, encoding="utf-8")
    pictures = [*draw_dreams(rolled, args.out), draw_growth(found, args.out / "growth.png")]
    files = [str(args.out / "table1.md"), str(args.out / "table1.csv"), *map(str, pictures)]
    emit(args, {"ok": True, **result, "files": files}, lambda: _show(text, files))
    return 0


def _folders(args: argparse.Namespace) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in args.model:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise ConfigError(f"--model got '{text}'.", "Write NAME=FOLDER, such as umm=runs/umm.")
        if name in found or name == COPY_LAST:
            raise ConfigError(f"Two models are called {name}.", "Give each a name of its own.")
        found[name] = Path(folder).expanduser()
    for name in ("episodes", "chunks", "single", "pairs"):
        if getattr(args, name) < (2 if name == "episodes" else 1):
            raise ConfigError(f"--{name} {getattr(args, name)} is too few.", "Give 1 or more, of episodes 2.")
    return found


def _held_out(args: argparse.Namespace, pool: Pool) -> HeldOut:
    from vla_mbpo_ros.algorithms.grounds.tabletop import acting, resolve_tasks
    from vla_mbpo_ros.cli.train_policy import load_parent
    from vla_mbpo_ros.evaluation.world_model.held_out import Size, hold_out

    size = Size(args.episodes, args.chunks, args.pairs, args.single, tasks=resolve_tasks(args.task))
    say("Held-out episodes are made, or read if they are there.")
    if args.policy is None:
        return hold_out(pool, size, args.out)
    policy = load_parent(args.policy)
    return hold_out(pool, size, args.out, lambda pool: acting(policy, pool, seed=0), policy.version)


def _load(folder: Path, device: str) -> WorldModel:
    from vla_mbpo_ros.config import Config
    from vla_mbpo_ros.config_io import update
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.world_model.factory import load_checkpoint

    return load_checkpoint(folder, update(Config(), {"world_model.device": device}, "--device"), TABLETOP)


def _copy_last(held: HeldOut) -> WorldModel:
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast

    height, width = held.journeys.images.shape[2:4]
    return CopyLast(TABLETOP.camera_names, (height, width), held.journeys.horizon)


def _check(name: str, model: WorldModel, held: HeldOut) -> None:
    from vla_mbpo_ros.robots.tabletop import TABLETOP

    if model.horizon != held.journeys.horizon or model.views != TABLETOP.camera_names:
        cause = f"{name} imagines {', '.join(model.views)} after {model.horizon} steps."
        wanted = f"Give one for {', '.join(TABLETOP.camera_names)} and chunks of {held.journeys.horizon} steps."
        raise ConfigError(cause, wanted)


def _missing(folders: Mapping[str, Path]) -> list[str]:
    """How to come by the rows that are not there."""
    lines = [f"- {name} is not among them. It is {how}." for name, how in _HOW.items() if name not in folders]
    return ["## Rows that are missing", "", *lines, ""] if lines else []


def _show(text: str, files: list[str]) -> None:
    print(text)
    print("\n".join(files))
