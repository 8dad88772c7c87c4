"""Recording one robot: what is fresh, what is counted, and that a failed write is never called a success."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_mbpo_ros.config import RecorderConfig
from vla_mbpo_ros.data.bags import BagReader
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.recording import Recording, Source
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.robots.contract import Topic

S = 10**9
STATE = Topic("joint_states", "sensor_msgs/msg/JointState", "state", 10.0)
COMMAND = Topic("joint_command", "sensor_msgs/msg/JointState", "command", 10.0)
LATCHED = Topic("instruction", "std_msgs/msg/String", "latched")
DATA = b"\x00\x01\x00\x00" + bytes(12)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    sources = [Source(topic, f"/{topic.name}") for topic in (STATE, COMMAND, LATCHED)]
    return Recording(sources, RecorderConfig(folder=str(tmp_path), min_free_gb=0.0))


def begin(recording: Recording, name: str = "one", now_ns: int = S) -> None:
    recording.begin(EpisodeFacts(episode_id=name, robot="arx_x5"), now_ns)


def test_only_sources_with_a_rate_must_be_fresh(recording: Recording) -> None:
    assert recording.stale(S) == ["/joint_states"]
    recording.add("/joint_states", DATA, S, S, 1)
    assert recording.stale(S + S // 2) == []
    assert recording.stale(2 * S) == ["/joint_states"]


def test_what_is_latched_begins_every_bag(recording: Recording) -> None:
    recording.add("/instruction", b"first" + DATA, S, S, 1)
    recording.add("/instruction", DATA, S, S, 2)
    for name in ("one", "two"):
        begin(recording, name)
        messages = list(BagReader(recording.end("success")).messages())
        assert [(message.topic, message.data) for message in messages] == [("/instruction", DATA)]


@pytest.mark.parametrize(
    ("sequences", "lost"),
    [
        ((7, 8, 11, 12), {"/joint_states": 2}),
        ((7, 8, 3, 4), {}),  # two publishers, or one that was started again: nothing can be said
        ((7, 8, 9), {}),
    ],
)
def test_losses_are_counted_by_the_publishers_numbers(
    recording: Recording, sequences: tuple[int, ...], lost: dict[str, int]
) -> None:
    begin(recording)
    for sequence in sequences:
        recording.add("/joint_states", DATA, S, S, sequence)
    facts = EpisodeFacts.from_custom_data(BagReader(recording.end("failure")).custom_data)
    assert facts.lost == lost
    assert facts.received["/joint_states"] == len(sequences)
    assert facts.outcome == "failure"


def test_counts_begin_anew_with_every_bag(recording: Recording) -> None:
    recording.add("/joint_states", DATA, S, S, 1)
    begin(recording)
    assert recording.sources["/joint_states"].received == 0


def test_a_second_bag_is_refused_while_one_is_open(recording: Recording) -> None:
    begin(recording)
    with pytest.raises(BagError, match="one is being recorded"):
        begin(recording, "two")


def test_without_a_bag_there_is_nothing_to_end(recording: Recording) -> None:
    with pytest.raises(BagError, match="No episode"):
        recording.end("success")


def test_a_discarded_bag_is_gone(recording: Recording) -> None:
    begin(recording)
    assert not recording.discard().exists()
    assert not recording.is_open


def test_a_full_disk_is_refused_before_and_ends_a_bag_during(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(STATE, "/joint_states")
    recording = Recording([source], RecorderConfig(folder=str(tmp_path), min_free_gb=1.0))
    monkeypatch.setattr(Recording, "free_bytes", lambda self: 2 * 10**9)
    begin(recording)
    recording.add("/joint_states", DATA, S, S, 1)
    monkeypatch.setattr(Recording, "free_bytes", lambda self: 10**8)
    with pytest.raises(BagError, match=r"Only 0\.10 GB are free"):
        recording.tick()
    assert not recording.is_open
    assert "Only 0.10 GB" in recording.failure
    assert len(list(BagReader(tmp_path / "one").messages())) == 1
    with pytest.raises(BagError, match="Only"):
        begin(recording, "two")
    with pytest.raises(BagError, match="Only"):  # nobody who stops it is told that all is well
        recording.end("success")
