"""`vla-mbpo bench imagine`: how fast a world model imagines, and what asking it over ROS adds.

    this process       request: two views, state, chunk ───────────────────────> reply: two views
    world_model_node        └─ decode ─ queue ─ model ─ encode ─┘

What is called overhead is the whole way without the model's own call: both transports, both conversions, the queue.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.graph import GraphSpec
    from vla_mbpo_ros.world_model.protocol import WorldModel

COPY_LAST, TINY = "copy_last", "tiny"
PRESETS = (COPY_LAST, TINY, "small", "bagel_7b")
_DOC = "Time of imagining a chunk: of the model alone, and what the service world_model/imagine adds to it."
_MORE = """copy_last imagines nothing, so what is left is the cost of the service. The others have random weights and
are compared with slower ways to the same numbers (plain: no cache, every step anew; sequential: the branches of the
guidance one after the other). Only copy_last and tiny are asked over ROS."""
_BATCH = 16
_WARM = 5  # measurements that do not count


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    preset: str
    device: str
    size: int  # pixels, of a square camera picture
    repeats: int


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "imagine", _DOC, run, _MORE)
    parser.add_argument("--preset", default=COPY_LAST, choices=PRESETS, help=f"default: {COPY_LAST}")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: cpu")
    parser.add_argument("--size", type=int, default=256, help="pixels of a square view; there are two (default: 256)")
    parser.add_argument("--repeats", type=int, default=50, help="measurements (default: 50)")
    text = "what the device can do in TFLOP/s (default: what its vendor states)"
    parser.add_argument("--peak", type=float, metavar="TFLOPS", help=text)
    parser.add_argument("--without-node", action="store_true", help="the model alone; needs no ROS 2")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    if args.repeats < 1:
        raise ConfigError(f"Cannot measure repeats {args.repeats}.", "Give 1 or more.")
    plan = Plan(args.preset, args.device, args.size, args.repeats)
    result: dict[str, Any] = {"preset": plan.preset, "device": plan.device}
    with _graph(plan) as graph:
        result |= _alone(graph, plan) if plan.preset == COPY_LAST else _learnt(plan, args.peak)
        if args.without_node or plan.preset not in (COPY_LAST, TINY):
            result["service_overhead_ms"] = None
        else:
            from vla_mbpo_ros.cli.bench_imagine_node import measure_service

            result |= measure_service(graph, _WARM, plan.repeats)
    load = {"views": 2, "size": plan.size, "n": plan.repeats, "machine_load": round(os.getloadavg()[0], 2)}
    return conclude(args, "imagine", {**result, **load})


@contextmanager
def _graph(plan: Plan) -> Iterator[GraphSpec]:
    """The tabletop's, for its two cameras; only its world_model_node is started."""
    from vla_mbpo_ros.bringup.environment import kept_here
    from vla_mbpo_ros.bringup.graph import graph_for
    from vla_mbpo_ros.bringup.options import Options
    from vla_mbpo_ros.cli.bench_imagine_node import NODE

    sides = tuple(f"cameras.{view}.{side}={plan.size}" for view in ("head", "wrist") for side in ("width", "height"))
    with TemporaryDirectory() as folder:
        learnt = plan.preset == TINY
        if learnt:
            _save_random(Path(folder))
        options = Options(
            "tabletop",
            sim=True,
            record=False,
            supervise=False,
            world_model="umm" if learnt else COPY_LAST,
            namespace=f"bench_{os.getpid()}",
            set=(
                *sides,
                f"world_model.device={plan.device}",
                *([f"world_model.checkpoint={folder}"] if learnt else []),
            ),
        )
        graph = graph_for(options, kept_here(os.environ))
        yield replace(graph, nodes=(graph.node(NODE),))


def _save_random(folder: Path) -> None:
    from vla_mbpo_ros.models.need import need

    need("torch")
    from vla_mbpo_ros.world_model.umm.benchmark import random_world
    from vla_mbpo_ros.world_model.umm.checkpoint import save_world

    save_world(random_world(TINY), folder)


def _learnt(plan: Plan, peak: float | None) -> dict[str, Any]:
    from vla_mbpo_ros.models.need import need

    need("torch")
    from vla_mbpo_ros.world_model.umm.benchmark import Run, measure

    return measure(Run(plan.preset, plan.device, plan.repeats, _BATCH, peak))


def _alone(graph: GraphSpec, plan: Plan) -> dict[str, float | None]:
    import numpy as np

    from vla_mbpo_ros.world_model.factory import make_world_model

    model = make_world_model(graph.config, graph.robot)
    one = [_timed(model, graph, 1, turn) for turn in range(_WARM + plan.repeats)][_WARM:]
    many = [_timed(model, graph, _BATCH, turn) for turn in range(_WARM + plan.repeats)][_WARM:]
    rate = _BATCH / float(np.median(many))
    return {"batch1_s": float(np.median(one)), "batch16_chunks_per_s": rate, "plain_ratio": None}


def _timed(model: WorldModel, graph: GraphSpec, rows: int, turn: int) -> float:
    """Seconds of one call."""
    import numpy as np

    from vla_mbpo_ros.world_model.protocol import Scenes

    shape = (rows, len(model.views), *model.size, 3)
    images = np.random.default_rng(turn).integers(0, 256, shape, dtype=np.uint8)
    scenes = Scenes(images, np.tile(graph.robot.home, (rows, 1)), ("press the red button",) * rows)
    chunks = np.zeros((rows, model.horizon, graph.robot.dof))
    began_s = time.perf_counter()
    model.imagine(scenes, chunks, seeds=range(rows))
    return time.perf_counter() - began_s
