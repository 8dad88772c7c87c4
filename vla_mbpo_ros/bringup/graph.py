"""The node graph of a robot as data: which nodes, with what names, parameters and remaps, in what order.

sim        sim_node ─> robot_node ─> recorder_node ─> policy_node ─> chunk_executor_node ─> supervisor_node
hardware   cameras ─> robot_node ─> …               (no cameras of ours with `cameras:=external`)
                                    operator_node follows recorder_node with `operator.enabled`,
                                    world_model_node follows the policy with a `world_model`, and then
                                    imagination_view_node, which starts by itself; nothing needs them
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vla_mbpo_ros.bringup.environment import Environment, environment_for
from vla_mbpo_ros.bringup.mapping import checked_mapping
from vla_mbpo_ros.bringup.node_spec import CONTROL_PRIORITY, PRIORITY, NodeSpec, ParameterValue
from vla_mbpo_ros.bringup.options import AUTO, NO_POLICY, NO_WORLD_MODEL, Options
from vla_mbpo_ros.bringup.settings import settings_for
from vla_mbpo_ros.bringup.transport import transport_for
from vla_mbpo_ros.config import Config
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.robots import RobotSpec, get_robot
from vla_mbpo_ros.robots.contract import Topic, robot_topics

SUPERVISOR = "supervisor_node"
_CONTROL = ("robot_node", "chunk_executor_node")
_POLICY_TOPICS = ("joint_command", "policy/action_chunk", "executor/status", "instruction")
_NAMESPACE = re.compile(r"/?([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*/?)?")


@dataclass(frozen=True)
class GraphSpec:
    """Everything that is known of a graph before it starts."""

    options: Options
    robot: RobotSpec
    config: Config
    nodes: tuple[NodeSpec, ...]  # in start-up order; the supervisor, if any, is last
    topics: tuple[Topic, ...]  # the part of the robot's contract that this graph keeps
    environment: Environment
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the lifecycle nodes, in start-up order."""
        return tuple(node.name for node in self.nodes if node.lifecycle)

    def node(self, name: str) -> NodeSpec:
        return next(node for node in self.nodes if node.name == name)

    @property
    def acts(self) -> bool:
        """Whether the policy commands without a person's doing."""
        return self.options.sim and self.options.act and self.options.policy != NO_POLICY

    @property
    def remaps(self) -> Mapping[str, str]:
        """Our name -> the name on the wire, for a tool that looks at the graph."""
        return self.nodes[-1].remaps


def graph_for(options: Options, base: Mapping[str, str] | None = None) -> GraphSpec:
    """The graph of these options, with `base` (this process's own) as the environment it starts from."""
    _refuse_nonsense(options)
    cfg = settings_for(options)
    if options.policy == AUTO and cfg.policy.kind == NO_POLICY:
        options = replace(options, policy=NO_POLICY)
    robot = replace(get_robot(cfg.robot), robot_id=cfg.robot_id)
    rates = {name: camera.hz for name, camera in cfg.cameras.items()}
    mapping = checked_mapping(cfg.topics, [topic.name for topic in robot_topics(robot, cfg.control_hz, rates, "both")])
    contract = robot_topics(robot, cfg.control_hz, rates, _color(options, cfg))
    environment = environment_for(options.sim, os.environ if base is None else base, transport_for(cfg))
    return GraphSpec(
        options=options,
        robot=robot,
        config=cfg,
        nodes=_nodes(options, cfg, {} if options.sim else mapping, contract),
        topics=tuple(_as_given(topic, options) for topic in contract if _promised(topic, options)),
        environment=environment,
        notes=(*_notes(options, cfg), *environment.notes),
    )


def _nodes(
    options: Options, cfg: Config, mapping: Mapping[str, str], contract: tuple[Topic, ...]
) -> tuple[NodeSpec, ...]:
    def node(
        executable: str, name: str = "", remaps: Mapping[str, str] | None = None, **more: ParameterValue
    ) -> NodeSpec:
        own: dict[str, ParameterValue] = {
            "use_sim_time": options.sim and executable != "sim_node"  # sim_node makes the clock
        }
        if executable in _CONTROL and not options.sim:  # in lock-step nobody is in a hurry
            own[PRIORITY] = CONTROL_PRIORITY
        return NodeSpec(
            name=name or executable,
            executable=executable,
            namespace=options.namespace.strip("/"),
            log_level=options.log_level,
            parameters={**own, **more},
            remaps={**mapping, **(remaps or {})},
            lifecycle=executable != SUPERVISOR,
            # Time would run backwards for all others if the simulator began anew: better to end.
            respawn=options.respawn and executable != "sim_node",
        )

    nodes: list[NodeSpec] = []
    if options.sim:
        nodes.append(node("sim_node"))
    if options.cameras_from == "synthetic":
        nodes += [node("camera_node", f"{name}_camera", camera=name) for name in cfg.cameras]
    bus = {"driver/joint_states": "sim/joint_states"} if options.sim else {}
    nodes.append(node("robot_node", remaps=bus))
    if options.record:
        nodes.append(node("recorder_node", **_left_out(options, contract)))
    if cfg.operator.enabled:
        nodes.append(node("operator_node"))
    if options.policy != NO_POLICY:
        nodes += [node("policy_node"), node("chunk_executor_node")]
    if cfg.world_model.kind != NO_WORLD_MODEL:
        nodes.append(replace(node("world_model_node"), required=False))
    supervised = tuple(each.name for each in nodes)
    if cfg.world_model.kind != NO_WORLD_MODEL and cfg.imagination_view.enabled:
        # By itself: no episode is given up because a view of it has ended.
        alone: dict[str, Any] = {"runtime.autostart": True}
        nodes.append(replace(node("imagination_view_node", **alone), required=False))
    if options.supervise:
        own: dict[str, Any] = {"nodes": supervised, "runtime.autostart": True}
        nodes.append(node(SUPERVISOR, **own))
    return tuple(nodes)


def _color(options: Options, cfg: Config) -> str:
    """Which images this graph needs: those that are recorded, and the raw ones for who looks at them."""
    if not options.record:
        return "raw"
    looked_at = options.policy != NO_POLICY or cfg.world_model.kind != NO_WORLD_MODEL
    return "both" if looked_at and cfg.recorder.color == "compressed" else cfg.recorder.color


def _left_out(options: Options, contract: tuple[Topic, ...]) -> dict[str, Any]:
    """What the recorder must not wait for: parameters of recorder_node."""
    here = [topic for topic in contract if options.sim or not topic.sim_only]
    without = tuple(topic.name for topic in here if not _promised(topic, options))
    unlatched = tuple(topic.name for topic in here if _as_given(topic, options) != topic)
    return {name: names for name, names in (("without", without), ("unlatched", unlatched)) if names}


def _promised(topic: Topic, options: Options) -> bool:
    """Whether this graph, with these drivers, gives the topic."""
    if topic.sim_only and not options.sim:
        return False
    if options.policy == NO_POLICY and topic.name in _POLICY_TOPICS:
        return False
    is_ours = topic.name.endswith("/frame_info")  # no driver but ours knows this message
    return not (is_ours and options.cameras_from == "external")


def _as_given(topic: Topic, options: Options) -> Topic:
    """Camera drivers publish camera_info with every image; only ours latches it."""
    if options.cameras_from == "external" and topic.name.endswith("/camera_info"):
        return replace(topic, kind="event")
    return topic


def _refuse_nonsense(options: Options) -> None:
    for name, source in (("cameras", options.cameras_from), ("robot", options.robot_from)):
        if options.sim and source != "sim":
            raise ConfigError(
                f"{name} is '{source}' with sim: the twin gives images and joints itself, and reaches no robot.",
                f"Leave {name} out, or start without sim.",
            )
        if not options.sim and source == "sim":
            raise ConfigError(f"{name} is 'sim' without a simulation.", "Say sim as well, or choose another source.")
    if not _NAMESPACE.fullmatch(options.namespace):
        raise ConfigError(f"'{options.namespace}' is no namespace.", "Use letters, digits and _, as in 'lab/robot_1'.")


def _notes(options: Options, cfg: Config) -> tuple[str, ...]:
    notes: list[str] = []
    if options.robot_from == "external" and cfg.gate.command_type == "none":
        notes.append("gate.command_type is none: your driver must obey robot/executed_command itself.")
    if options.sim and cfg.topics:
        notes.append("`topics` is not applied in simulation: the twin uses our own names.")
    return tuple(notes)
