"""What the recorder says of itself, and how it understands what is said to it."""

from __future__ import annotations

from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.data.catalogue.labels import Label
from vla_mbpo_ros.data.recording.recording import Recording
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.messages.stamps import fill_stamp
from vla_mbpo_ros.msg import EpisodeStatus
from vla_mbpo_ros.srv import LabelEpisode


def status_of(recording: Recording, state: int, now_ns: int, snapshot_s: float) -> EpisodeStatus:
    """The counts of this moment."""
    failed = bool(recording.failure) and not recording.is_open
    status = EpisodeStatus(state=EpisodeStatus.FAILED if failed else state, message=recording.failure)
    fill_stamp(status.header.stamp, now_ns)
    facts, written, sources = recording.facts, recording.written(), list(recording.sources.values())
    status.episode_id, status.instruction = facts.episode_id, facts.instruction
    status.outcome = OUTCOMES.index(facts.outcome)
    status.bag_path, status.duration_s = recording.path, recording.duration_s
    status.topics = [source.name for source in sources]
    status.received = [source.received for source in sources]
    status.written = [written.get(source.name, 0) for source in sources]
    status.lost = [source.lost for source in sources]
    status.bytes_written, status.disk_free_bytes = recording.bytes_written, recording.free_bytes()
    status.snapshot_s = snapshot_s
    return status


def outcome_of(number: int) -> str:
    """The word for a number of EpisodeStatus."""
    if number >= len(OUTCOMES):
        raise BagError(f"{number} is no outcome.", f"Say 0 to {len(OUTCOMES) - 1}: {', '.join(OUTCOMES)}.")
    return OUTCOMES[number]


def label_of(request: LabelEpisode.Request) -> Label:
    """What it does not say stays as it is."""
    outcome = outcome_of(request.outcome)
    at_s = request.success_time_s if outcome == "success" and request.success_time_s > 0.0 else None
    return Label(outcome, request.note or None, at_s)
