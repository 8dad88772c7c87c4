"""Recording one robot: which sources are fresh, what was received, written, lost, and the bag that is open now.

    IDLE ── begin() ──> RECORDING ── end() ──> IDLE
                            └── a write failed ──> FAILED ── begin() ──> RECORDING

No ROS: raw CDR bytes come in, with the graph's time given from outside.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from vla_mbpo_ros.config import RecorderConfig
from vla_mbpo_ros.data.bags import Qos, Writer, open_writer
from vla_mbpo_ros.data.catalogue.labels import Label, label, labelled
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.recording.lease_spans import TOPIC as LEASE
from vla_mbpo_ros.data.recording.lease_spans import LeaseSpans, text_of_cdr
from vla_mbpo_ros.errors import BagError, ContractError
from vla_mbpo_ros.robots.contract import Topic

FRESH_PERIODS = 3.0  # a source is fresh if its newest message is not older than this many periods …
FRESH_S = 0.5  # … or than this, whichever is more
MB, GB = 1e6, 1e9


@dataclass
class Source:
    """One recorded topic."""

    topic: Topic
    name: str  # fully qualified, as in the bag
    offered: tuple[Qos, ...] = ()
    received: int = 0  # during this bag
    newest_ns: int = -1
    latched: dict[str, bytes] = field(default_factory=dict)  # the last message, to begin every bag with
    _sequence: int = -1
    _missing: int = 0  # during this bag
    _mixed: bool = False  # during this bag

    def begin(self) -> None:
        """A new bag."""
        self.received = self._missing = 0
        self._mixed = False

    def count(self, sequence: int) -> None:
        """A message with the publisher's own number arrived.

        Numbers that fall are those of several publishers, or of one that was started again. They cannot be told
        apart: then nothing is said of losses.
        """
        self.received += 1
        if self.topic.kind == "latched":  # only the newest matters, older ones may be passed over
            return
        self._mixed = self._mixed or sequence <= self._sequence
        if 0 <= self._sequence < sequence - 1:
            self._missing += sequence - 1 - self._sequence
        self._sequence = sequence

    @property
    def lost(self) -> int:
        """During this bag, by the publisher's numbers."""
        return 0 if self._mixed else self._missing

    def is_stale(self, now_ns: int) -> bool:
        """Commands and events without a rate may be silent."""
        if not self.topic.hz or self.topic.kind == "command":
            return False
        limit_s = max(FRESH_S, FRESH_PERIODS / self.topic.hz)
        return self.newest_ns < 0 or now_ns - self.newest_ns > limit_s * 1e9


class Recording:
    """The sources of one robot, and at most one open bag."""

    def __init__(self, sources: Iterable[Source], cfg: RecorderConfig) -> None:
        self.sources = {source.name: source for source in sources}
        self.facts = EpisodeFacts()
        self.failure = ""
        self.start_ns = self.newest_ns = 0
        self._cfg = cfg
        self._bag: Writer | None = None
        self._lease = LeaseSpans()

    @property
    def is_open(self) -> bool:
        return self._bag is not None

    @property
    def path(self) -> str:
        return str(self._bag.path) if self._bag else ""

    @property
    def bytes_written(self) -> int:
        return self._bag.bytes_written if self._bag else 0

    @property
    def duration_s(self) -> float:
        return (self.newest_ns - self.start_ns) * 1e-9 if self.is_open and self.start_ns else 0.0

    @property
    def folder(self) -> Path:
        """Where bags go."""
        return Path(self._cfg.folder)

    def free_bytes(self) -> int:
        """Free disk there."""
        folder = self.folder.absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def stale(self, now_ns: int) -> list[str]:
        """Sources without which no bag may start."""
        return [source.name for source in self.sources.values() if source.is_stale(now_ns)]

    def begin(self, facts: EpisodeFacts, now_ns: int) -> None:
        """Open a bag; it starts with the last message of every latched topic, and so does each of its files."""
        if self.is_open:
            raise BagError(f"Episode {self.facts.episode_id} is being recorded.", "Stop or discard it first.")
        self._refuse_full_disk()
        self._bag = self._open(facts)
        self.failure, self.facts = "", facts
        self.start_ns = self.newest_ns = 0
        self._lease.begin(now_ns)
        for source in self.sources.values():
            for data in source.latched.values():
                source.received += 1
                self._write(source, data, now_ns, now_ns, 0)
                with suppress(ContractError):  # what is not understood was told when it came
                    self._see_lease(source, data, now_ns)

    def add(self, name: str, data: bytes, log_ns: int, publish_ns: int, sequence: int) -> None:
        """A message arrived; it is written if a bag is open. BagError when it could not be."""
        source = self.sources[name]
        source.count(sequence)
        source.newest_ns = max(source.newest_ns, log_ns)
        if source.topic.kind == "latched":
            source.latched = {"last": data}
        if self.is_open:
            self._write(source, data, log_ns, publish_ns, sequence)
        self._see_lease(source, data, log_ns)  # after it is written: what is not understood is recorded too

    def tick(self) -> None:
        """Now and then: flush, and stop before the disk is full."""
        if self._bag is None:
            return
        try:
            self._refuse_full_disk()
            self._bag.tick()
        except BagError as error:
            self._give_up(error)

    def end(
        self,
        outcome: str,
        note: str = "",
        success_time_s: float | None = None,
        policy_version: str = "",
        truncated: bool = False,
        if_unlabelled: bool = False,
    ) -> Path:
        """Close the bag. BagError unless every received message is in it.

        What `label` has said before holds where nothing is said now, and always with `if_unlabelled`.
        """
        if self._bag is None:
            raise BagError("No episode is being recorded.", self.failure or "Start one by recorder/start.")
        bag, self._bag = self._bag, None
        labelled = self.facts.outcome != "unknown"
        outcome = self.facts.outcome if outcome == "unknown" or (labelled and if_unlabelled) else outcome
        known_s = self.facts.success_time_s if success_time_s is None else success_time_s
        self.facts = replace(
            self.facts,
            outcome=outcome,
            note=note or self.facts.note,
            success_time_s=known_s if outcome in ("success", "unknown") else None,
            truncated=truncated and outcome != "success",
            policy_version=self.facts.policy_version or policy_version,
            interventions=self._lease.end(self.newest_ns, self.start_ns),
            received={source.name: source.received for source in self.sources.values()},
            lost={source.name: source.lost for source in self.sources.values() if source.lost},
        )
        bag.close(self.facts.to_custom_data())
        return bag.path

    def label(self, episode_id: str, said: Label) -> Path:
        """Change facts of an episode, the running one or a closed one in our folder; empty: the newest.

        Who calls the running one a success, and does not say since when, means now.
        """
        path = self._find(episode_id or self.facts.episode_id)
        is_newest = path.name == self.facts.episode_id
        if self.is_open and is_newest:
            if said.outcome == "success" and said.success_time_s is None and self.facts.success_time_s is None:
                said = replace(said, success_time_s=self.duration_s)
            self.facts = labelled(self.facts, said)
        else:
            _, after = label(path, said)
            self.facts = after if is_newest else self.facts
        return path

    def discard(self) -> Path:
        """Close the bag and throw it away."""
        path = self.end("discarded")
        try:
            shutil.rmtree(path)
        except OSError as error:
            cause = f"{path} cannot be removed: {error.strerror or error}."
            raise BagError(cause, "It is closed and says 'discarded'; remove it by hand.") from error
        return path

    def written(self) -> Mapping[str, int]:
        return self._bag.counts if self._bag else {}

    def _open(self, facts: EpisodeFacts) -> Writer:
        bag = open_writer(
            self._cfg.writer,
            self.folder / facts.episode_id,
            compression=self._cfg.compression,
            split_bytes=int(self._cfg.split_mb * MB),
            split_s=self._cfg.split_s,
            custom_data=facts.to_custom_data(),
        )
        try:
            for source in self.sources.values():
                source.begin()
                bag.add_topic(source.name, source.topic.type, source.offered, latched=source.topic.kind == "latched")
        except BagError:
            with suppress(BagError):  # the reason is known already
                bag.close()
            raise
        return bag

    def _find(self, episode_id: str) -> Path:
        """The folder of an episode that exists."""
        if not episode_id:
            raise BagError("Nothing was recorded since the recorder was started.", "Give an episode's id.")
        if Path(episode_id).name != episode_id:
            raise BagError(f"'{episode_id}' is no episode.", "Give the name of a bag's folder.")
        path = self.folder / episode_id
        if not path.is_dir():
            there = [entry.name for entry in self.folder.glob("*") if entry.is_dir()]
            near = difflib.get_close_matches(episode_id, there, n=1, cutoff=0.3)
            cure = f"Did you mean '{near[0]}'?" if near else "Give the name of a bag's folder there."
            raise BagError(f"Episode '{episode_id}' does not exist in {self.folder}.", cure)
        return path

    def _write(self, source: Source, data: bytes, log_ns: int, publish_ns: int, sequence: int) -> None:
        assert self._bag is not None  # callers have looked
        # What came just before the bag was opened may be taken just after; facts count from the bag's first message.
        self.start_ns = min(self.start_ns or log_ns, log_ns)
        self.newest_ns = max(self.newest_ns, log_ns)
        try:
            self._bag.write(source.name, data, log_ns, publish_ns, sequence)
        except BagError as error:
            self._give_up(error)

    def _see_lease(self, source: Source, data: bytes, now_ns: int) -> None:
        if source.topic.name == LEASE:
            self._lease.see(text_of_cdr(data), now_ns)

    def _give_up(self, error: BagError) -> None:
        """Close what can be closed, keep the reason, and tell."""
        self.failure = str(error)
        try:
            self.end("unknown", note=self.failure)
        except BagError as closing:
            self.failure = f"{error} {closing}"
        raise BagError(self.failure)

    def _refuse_full_disk(self) -> None:
        free = self.free_bytes()
        if free < self._cfg.min_free_gb * GB:
            raise BagError(
                f"Only {free / GB:.2f} GB are free where bags go, {self._cfg.min_free_gb:g} GB is the least.",
                "Free some, or set recorder.folder to another disk.",
            )
