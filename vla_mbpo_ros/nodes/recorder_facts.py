"""What the recorder knows of an episode before its first message."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timezone

from vla_mbpo_ros import __version__
from vla_mbpo_ros.config import Config
from vla_mbpo_ros.data.bags.report import full_name
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.recording.recording import Source
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.robots.contract import Topic, robot_topics


def promised_topics(
    robot: RobotSpec, cfg: Config, simulated: bool, without: Collection[str], unlatched: Collection[str]
) -> list[Topic]:
    """What this graph promises, and so what is recorded."""
    rates = {name: camera.hz for name, camera in cfg.cameras.items()}
    return [
        replace(topic, kind="event") if topic.name in unlatched else topic
        for topic in robot_topics(robot, cfg.control_hz, rates, cfg.recorder.color)
        if topic.name not in without and (simulated or not topic.sim_only)
    ]


def graph_facts(
    cfg: Config, namespace: str, simulated: bool, sources: Collection[Source], without: Collection[str]
) -> EpisodeFacts:
    """What holds for every episode of this graph."""
    renamed = {
        source.topic.name: source.name for source in sources if source.name != full_name(source.topic.name, namespace)
    }
    return EpisodeFacts(
        robot=cfg.robot,
        namespace=namespace.strip("/"),
        instruction=cfg.instruction,
        simulated=simulated,
        control_hz=cfg.control_hz,
        camera_hz={name: camera.hz for name, camera in cfg.cameras.items()},
        color=cfg.recorder.color,
        names=renamed,
        without=[name for name in without if name],
        software=__version__,
    )


def new_episode(facts: EpisodeFacts) -> EpisodeFacts:
    """The same with a name and a time of its own."""
    now = datetime.now(timezone.utc).astimezone()
    return replace(
        facts,
        episode_id=f"{facts.robot}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        recorded_at=now.isoformat(timespec="seconds"),
    )
