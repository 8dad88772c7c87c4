"""Recording one robot: which sources are fresh, what was received, written, lost, and the bag that is open now.

    IDLE ── begin() ──> RECORDING ── end() ──> IDLE
                            └── a write failed ──> FAILED ── begin() ──> RECORDING

No ROS: raw CDR bytes come in, with the graph's time given from outside.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vla_mbpo_ros.config import RecorderConfig
from vla_mbpo_ros.data.bags import BagReader, BagWriter, Qos, update_custom_data
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.robots.contract import Topic

FRESH_PERIODS = 3.0  # a source is fresh if its newest message is not older than this many periods …
FRESH_S = 0.5  # … or than this, whichever is more
GB = 1e9


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
        self._bag: BagWriter | None = None

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

    def free_bytes(self) -> int:
        """Free disk where bags go."""
        folder = Path(self._cfg.folder).absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def stale(self, now_ns: int) -> list[str]:
        """Sources without which no bag may start."""
        return [source.name for source in self.sources.values() if source.is_stale(now_ns)]

    def begin(self, facts: EpisodeFacts, now_ns: int) -> None:
        """Open a bag; it starts with the last message of every latched topic."""
        if self.is_open:
            raise BagError(f"Episode {self.facts.episode_id} is being recorded.", "Stop or discard it first.")
        self._refuse_full_disk()
        self.failure, self.facts = "", facts
        self.start_ns = self.newest_ns = 0
        self._bag = BagWriter(Path(self._cfg.folder) / facts.episode_id, compression=self._cfg.compression)
        for source in self.sources.values():
            source.begin()
            self._bag.add_topic(source.name, source.topic.type, source.offered)
        for source in self.sources.values():
            for data in source.latched.values():
                source.received += 1
                self._write(source, data, now_ns, now_ns, 0)

    def add(self, name: str, data: bytes, log_ns: int, publish_ns: int, sequence: int) -> None:
        """A message arrived; it is written if a bag is open. BagError when it could not be."""
        source = self.sources[name]
        source.count(sequence)
        source.newest_ns = max(source.newest_ns, log_ns)
        if source.topic.kind == "latched":
            source.latched = {"last": data}
        if self.is_open:
            self._write(source, data, log_ns, publish_ns, sequence)

    def tick(self) -> None:
        """Now and then: flush, and stop before the disk is full."""
        if self._bag is None:
            return
        try:
            self._refuse_full_disk()
            self._bag.tick()
        except BagError as error:
            self._give_up(error)

    def end(self, outcome: str, note: str = "", success_time_s: float | None = None, policy_version: str = "") -> Path:
        """Close the bag. BagError unless every received message is in it.

        What `label` has said before holds where nothing is said now.
        """
        if self._bag is None:
            raise BagError("No episode is being recorded.", self.failure or "Start one by recorder/start.")
        bag, self._bag = self._bag, None
        self.facts = replace(
            self.facts,
            outcome=self.facts.outcome if outcome == "unknown" else outcome,
            note=note or self.facts.note,
            success_time_s=self.facts.success_time_s if success_time_s is None else success_time_s,
            policy_version=self.facts.policy_version or policy_version,
            received={source.name: source.received for source in self.sources.values()},
            lost={source.name: source.lost for source in self.sources.values() if source.lost},
        )
        bag.close(self.facts.to_custom_data())
        return bag.path

    def label(self, episode_id: str, **said: Any) -> Path:
        """Change facts of an episode, the running one or a closed one in our folder; empty: the newest."""
        episode_id = episode_id or self.facts.episode_id
        if not episode_id or Path(episode_id).name != episode_id:
            raise BagError(f"'{episode_id}' is no episode.", "Give the name of a bag's folder.")
        path = Path(self._cfg.folder) / episode_id
        if self.is_open and episode_id == self.facts.episode_id:
            self.facts = replace(self.facts, **said)
        else:
            facts = EpisodeFacts.from_custom_data(BagReader(path).custom_data, str(path))
            update_custom_data(path, replace(facts, **said).to_custom_data())
        return path

    def discard(self) -> Path:
        """Close the bag and throw it away."""
        path = self.end("discarded")
        shutil.rmtree(path)
        return path

    def written(self) -> Mapping[str, int]:
        return self._bag.counts if self._bag else {}

    def _write(self, source: Source, data: bytes, log_ns: int, publish_ns: int, sequence: int) -> None:
        assert self._bag is not None  # callers have looked
        self.start_ns = self.start_ns or log_ns
        self.newest_ns = max(self.newest_ns, log_ns)
        try:
            self._bag.write(source.name, data, log_ns, publish_ns, sequence)
        except BagError as error:
            self._give_up(error)

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
