"""What a bag that is made of an `Episode` says of itself: rates, counts, and what of the contract it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone

from vla_mbpo_ros import __version__
from vla_mbpo_ros.data.episodes.episode import Episode, IndexArray
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.robots import RobotSpec, get_robot, robot_names
from vla_mbpo_ros.robots.contract import camera_topics, robot_topics

_HUMAN = "human"


def bag_facts(
    episode: Episode, facts: EpisodeFacts, counts: Mapping[str, int], span_ns: tuple[int, int]
) -> EpisodeFacts:
    """`facts` with all that only the finished bag knows; `counts` are its messages by topic, `span_ns` its ends."""
    start_ns, end_ns = span_ns
    hz = 1e9 / episode.dt_ns if episode.dt_ns > 0 else 0.0
    rates = {camera: _rate(frames.stamps_ns, hz) for camera, frames in episode.frames.items()}
    known = get_robot(facts.robot).camera_names if facts.robot in robot_names() else ()
    return replace(
        facts,
        control_hz=round(hz, 6),
        camera_hz={**dict.fromkeys(known, round(hz, 6)), **rates},
        without=_without(facts.robot, tuple(rates), facts.color, counts),
        success_time_s=None if episode.success_ns is None else (episode.success_ns - start_ns) * 1e-9,
        interventions=_interventions(episode, start_ns, end_ns),
        received=dict(counts),
        lost={},
        recorded_at=facts.recorded_at or datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
        software=__version__,
    )


def _without(robot: str, cameras: tuple[str, ...], color: str, present: Iterable[str]) -> list[str]:
    """Topics of the contract that the bag lacks."""
    there = set(present)
    if robot in robot_names():
        spec = get_robot(robot)
        names = [topic.name for topic in robot_topics(spec, 0.0, dict.fromkeys(spec.camera_names, 0.0), color)]
    else:
        names = [topic.name for camera in cameras for topic in camera_topics(camera, 0.0, color)]
        names += [topic.name for topic in robot_topics(RobotSpec(robot, robot, (), (), 0.0), 0.0, {}, color)]
    missing = [name for name in names if name not in there and f"/{name.lstrip('/')}" not in there]
    gone = [name for name in missing if name.endswith("/color/frame_info")]  # of a camera that the bag does not have
    # Who asks for a camera asks for its raw topic, whatever the colour.
    return [*missing, *(raw for raw in (_raw(name) for name in gone) if raw not in missing)]


def _raw(frame_info: str) -> str:
    return f"{frame_info.rsplit('/', 1)[0]}/image_raw"


def _rate(stamps_ns: IndexArray, default_hz: float) -> float:
    if len(stamps_ns) < 2 or stamps_ns[-1] <= stamps_ns[0]:
        return round(default_hz, 6)
    return float(round((len(stamps_ns) - 1) / (int(stamps_ns[-1] - stamps_ns[0]) * 1e-9), 6))


def _interventions(episode: Episode, start_ns: int, end_ns: int) -> list[tuple[str, float, float]]:
    """Runs of rows in which a person was obeyed."""
    spans: list[tuple[str, float, float]] = []
    begin: int | None = None
    for stamp, source in [*zip(episode.times_ns.tolist(), episode.source, strict=True), (end_ns, "")]:
        if source == _HUMAN and begin is None:
            begin = stamp
        elif source != _HUMAN and begin is not None:
            spans.append((_HUMAN, round((begin - start_ns) * 1e-9, 6), round((stamp - start_ns) * 1e-9, 6)))
            begin = None
    return spans
