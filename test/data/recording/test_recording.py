"""Recording one robot: what is fresh, what is counted, and that a failed write is never called a success."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.config import RecorderConfig
from vla_mbpo_ros.data.bags import BagReader
from vla_mbpo_ros.data.catalogue.labels import Label
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.recording.lease_spans import LeaseSpans, text_of_cdr
from vla_mbpo_ros.data.recording.recording import Recording, Source
from vla_mbpo_ros.errors import BagError, ConfigError, ContractError
from vla_mbpo_ros.robots.contract import Topic

S = 10**9
STATE = Topic("joint_states", "sensor_msgs/msg/JointState", "state", 10.0)
COMMAND = Topic("joint_command", "sensor_msgs/msg/JointState", "command", 10.0)
LATCHED = Topic("instruction", "std_msgs/msg/String", "latched")
LEASE = Topic("control_source", "std_msgs/msg/String", "latched")
TEXT = "std_msgs/msg/String"
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


def test_a_discarded_bag_that_cannot_be_removed_says_so_and_is_labelled(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    begin(recording)
    path = Path(recording.path)
    with monkeypatch.context() as patched:
        patched.setattr("vla_mbpo_ros.data.recording.recording.shutil.rmtree", refuse)
        with pytest.raises(BagError, match="cannot be removed: Operation not permitted"):
            recording.discard()
    assert facts_of(path).outcome == "discarded"


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


def facts_of(path: Path) -> EpisodeFacts:
    return EpisodeFacts.from_custom_data(BagReader(path).custom_data, str(path))


def test_a_second_bag_of_the_same_name_is_refused_and_the_first_is_left_alone(recording: Recording) -> None:
    begin(recording)
    recording.add("/joint_states", DATA, S, S, 1)
    path = recording.end("success")
    with pytest.raises(BagError, match="exists already, not overwriting"):
        begin(recording)
    assert not recording.is_open
    assert facts_of(path).outcome == "success"
    assert len(list(BagReader(path).messages())) == 1
    begin(recording, "two")  # and the recorder goes on


def test_what_is_known_at_the_start_is_in_the_file_before_the_end(recording: Recording, tmp_path: Path) -> None:
    begin(recording)
    (file,) = (tmp_path / "one").glob("*.mcap")
    recording.tick()
    assert b"arx_x5" in file.read_bytes()
    assert b"episode_id" in file.read_bytes()


def test_every_file_of_a_split_bag_begins_with_what_is_latched(tmp_path: Path) -> None:
    sources = [Source(topic, f"/{topic.name}") for topic in (STATE, LATCHED)]
    recording = Recording(sources, RecorderConfig(folder=str(tmp_path), min_free_gb=0.0, split_s=1.0))
    recording.add("/instruction", DATA, S, S, 1)
    begin(recording)
    for tick in range(40):
        now_ns = S + tick * S // 10
        recording.add("/joint_states", DATA, now_ns, now_ns, tick + 1)
    path = recording.end("success")
    files = sorted(path.glob("*.mcap"))
    assert len(files) >= 3
    for file in files:
        first = next(iter(BagReader(file).messages()))
        assert (first.topic, first.data) == ("/instruction", DATA), file.name
    states = [message for message in BagReader(path).messages() if message.topic == "/joint_states"]
    assert len(states) == 40
    assert facts_of(path).received == {"/joint_states": 40, "/instruction": 1}


def test_whoever_took_the_lease_from_the_policy_is_an_intervention(tmp_path: Path, cdr: Callable[..., bytes]) -> None:
    recording = Recording([Source(LEASE, "/control_source")], RecorderConfig(folder=str(tmp_path), min_free_gb=0.0))

    def holds(name: str, at_s: float) -> None:
        now_ns = int(at_s * S)
        recording.add("/control_source", cdr(TEXT, data=name), now_ns, now_ns, 1)

    holds("human", 0.5)
    begin(recording, now_ns=S)
    for name, at_s in (("policy", 2.0), ("human", 3.0), ("human", 3.5), ("", 4.0), ("policy", 5.0), ("pilot", 6.5)):
        holds(name, at_s)
    holds("pilot", 8.0)
    facts = facts_of(recording.end("success"))
    assert [tuple(span) for span in facts.interventions] == [
        ("human", 0.0, 1.0),  # it had the lease already when the bag began
        ("human", 2.0, 3.0),
        ("pilot", 5.5, 7.0),  # until the end of the bag
    ]
    begin(recording, "two", now_ns=9 * S)
    assert facts_of(recording.end("success")).interventions == []  # a bag of no length


@given(steps=st.lists(st.tuples(st.sampled_from(["policy", "", "human", "pilot"]), st.integers(1, S)), max_size=30))
def test_at_every_moment_the_spans_say_who_held_the_lease(steps: list[tuple[str, int]]) -> None:
    lease, now_ns = LeaseSpans(), 0
    lease.begin(0)
    truth: list[tuple[float, str]] = []
    for name, length_ns in steps:
        lease.see(name, now_ns)
        truth.append(((now_ns + length_ns / 2) * 1e-9, name))
        now_ns += length_ns
    spans = lease.end(now_ns, 0)
    for moment_s, name in truth:
        found = [source for source, start_s, end_s in spans if start_s - 1e-6 <= moment_s <= end_s + 1e-6]
        assert name in found if name not in ("policy", "") else name not in found


@pytest.mark.parametrize("text", ["", "human", "a pilot, ä"])
def test_a_text_is_read_from_its_bytes(text: str, cdr: Callable[..., bytes]) -> None:
    assert text_of_cdr(cdr(TEXT, data=text)) == text


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x01\x00\x00", b"\x07\x01" + bytes(20), b"\x00\x01\x00\x00\x09\x00\x00\x00a"]
)
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(ContractError):
        text_of_cdr(data)


@pytest.mark.parametrize(
    ("outcome", "said", "truncated"),
    [("unknown", "", True), ("failure", "", True), ("success", "", False), ("unknown", "success", False)],
)
def test_time_that_ran_out_is_a_truncation_unless_it_was_a_success(
    recording: Recording, outcome: str, said: str, truncated: bool
) -> None:
    begin(recording)
    if said:
        recording.label("", Label(said))
    assert facts_of(recording.end(outcome, truncated=True)).truncated is truncated


def test_a_label_for_an_unknown_episode_names_the_nearest(recording: Recording) -> None:
    for name in ("arx_x5-20250102-101500-ab12", "arx_x5-20250102-113000-cd34"):
        begin(recording, name)
        recording.end("unknown")
    cure = r"does not exist in .*Did you mean 'arx_x5-20250102-113000-cd34'\?"
    with pytest.raises(BagError, match=cure):
        recording.label("arx_x5-20250102-113000-cd35", Label("success"))
    with pytest.raises(BagError, match="is no episode"):
        recording.label("../elsewhere", Label("success"))
    assert recording.label("arx_x5-20250102-101500-ab12", Label("success")).name.endswith("ab12")


def test_without_any_episode_there_is_nothing_to_label(recording: Recording) -> None:
    with pytest.raises(BagError, match="Nothing was recorded since"):
        recording.label("", Label("success"))


def test_who_calls_the_running_episode_a_success_means_now(recording: Recording) -> None:
    begin(recording)
    for second in (1, 3, 5):
        recording.add("/joint_states", DATA, second * S, second * S, second)
        if second == 3:
            recording.label("", Label("success"))
    facts = facts_of(recording.end("unknown"))
    assert (facts.outcome, facts.success_time_s) == ("success", 2.0)


def test_a_label_given_afterwards_says_the_same_as_one_given_in_time(recording: Recording) -> None:
    begin(recording)
    recording.add("/joint_states", DATA, S, S, 1)
    recording.add("/joint_states", DATA, 3 * S, 3 * S, 2)
    path = recording.end("failure", note="dropped", truncated=True)
    recording.label("", Label("success", success_time_s=1.5))
    facts = facts_of(path)
    assert (facts.outcome, facts.success_time_s, facts.truncated, facts.note) == ("success", 1.5, False, "dropped")
    assert recording.facts.outcome == "success"
    with pytest.raises(ConfigError, match="is not in"):
        recording.label("", Label("success", success_time_s=60.0))


def test_times_count_from_the_first_message_even_if_it_was_taken_late(recording: Recording) -> None:
    begin(recording, now_ns=2 * S)
    recording.add("/joint_states", DATA, 2 * S, 2 * S, 2)
    recording.add("/joint_states", DATA, 2 * S - S // 25, 2 * S - S // 25, 1)  # waited while the bag was opened
    assert BagReader(recording.end("unknown")).start_ns == recording.start_ns == 2 * S - S // 25


def test_what_turns_out_a_failure_has_no_time_of_success(recording: Recording) -> None:
    begin(recording)
    recording.add("/joint_states", DATA, S, S, 1)
    recording.label("", Label("success"))
    assert facts_of(recording.end("failure")).success_time_s is None


def test_a_lease_that_cannot_be_read_is_recorded_and_told(tmp_path: Path) -> None:
    recording = Recording([Source(LEASE, "/control_source")], RecorderConfig(folder=str(tmp_path), min_free_gb=0.0))
    begin(recording)
    with pytest.raises(ContractError, match="Mend its sender"):
        recording.add("/control_source", b"broken", S, S, 1)
    assert [message.data for message in BagReader(recording.end("unknown")).messages()] == [b"broken"]


@pytest.mark.parametrize(("said", "kept"), [("", "success"), ("failure", "failure"), ("discarded", "discarded")])
def test_what_a_person_has_said_holds_against_who_runs_the_episode(recording: Recording, said: str, kept: str) -> None:
    begin(recording)
    recording.add("/joint_states", DATA, S, S, 1)
    if said:
        recording.label("", Label(said))
    facts = EpisodeFacts.from_custom_data(BagReader(recording.end("success", if_unlabelled=True)).custom_data)
    assert facts.outcome == kept
