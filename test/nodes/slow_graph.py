"""The twin with a world model that takes its time (slow_world_node.py), and who looks at its dreams."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from live_graph import LiveGraph, make_graph
from slow_world_node import SlowSpec

from vla_mbpo_ros.bringup.graph import GraphSpec

VIEWER, MODEL = "imagination_view_node", "world_model_node"
VIEWS = ("head", "left_wrist", "right_wrist")
STEPS = 8
_NODES = ("sim_node", "robot_node", "policy_node", "chunk_executor_node", MODEL, VIEWER)


def enter_slow_graph(
    enter_graph: Callable[..., LiveGraph], own: dict[str, Any], settings: tuple[str, ...], **options: Any
) -> LiveGraph:
    """`own` are parameters of the slow node, such as `wait_for`."""

    def make(known: tuple[str, ...]) -> GraphSpec:
        graph = make_graph(known, only=_NODES, sim=True, record=False, world_model="copy_last", **options)
        slow = SlowSpec(**{**vars(graph.node(MODEL)), "respawn": False})
        slow = replace(slow, parameters={**slow.parameters, **own})
        return replace(graph, nodes=tuple(slow if node.name == MODEL else node for node in graph.nodes))

    os.environ["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    chunks = (f"policy.horizon={STEPS}", "policy.replan_steps=4", "sim.realtime_factor=1.0")
    # One row at a time, so that samples take a while.
    return enter_graph(make, (*chunks, "world_model.max_batch=1", *settings))
