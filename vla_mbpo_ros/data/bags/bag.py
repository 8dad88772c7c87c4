"""What every bag can do, whoever wrote it: `reader.py` reads our own and all MCAP, `foreign.py` the rest.

bag = open_bag(path)                      bag.topics["/joint_states"].type
for message in bag.messages([...]):       raw, in order of log time
    state = bag.decode(message)           by the definition in the bag

places = bag.locate("/head/color/image_raw")     where each message lies, nothing of it is kept
image = bag.decode(bag.read(places.refs[17]))    one message, without what is before it
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.data.bags.decode import Decoder
from vla_mbpo_ros.errors import BagError, UnknownName

Integers = npt.NDArray[np.int64]
FOREVER_NS = 2**63 - 1
_FIRST_BYTES = 12  # of a message: as many as hold a stamp


class BagMessage(NamedTuple):
    """One raw message. Small data is its own; large data is a read-only view, which keeps its chunk in memory."""

    topic: str
    log_ns: int  # the bag's own time
    publish_ns: int
    sequence: int  # counted by the publisher; 0 if unknown
    data: bytes | memoryview  # CDR


@dataclass(frozen=True)
class TopicInfo:
    """What a bag says of one topic."""

    name: str
    type: str
    hash: str
    qos_yaml: str
    definition: str
    count: int
    encoding: str = "cdr"  # of the messages
    language: str = "ros2msg"  # of the definition


@dataclass(frozen=True)
class Positions:
    """Every message of one topic in order of log time, as it can be read alone. M messages."""

    log_ns: Integers  # (M,)
    publish_ns: Integers  # (M,) equal to log_ns where the bag does not say
    refs: Integers  # (M, 4) each row is for `Bag.read` of the same bag, and of nobody else
    first: npt.NDArray[np.uint8]  # (M, 12) how each message begins; 255 where it is shorter

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, Sequence[int], bytes | memoryview]]) -> Positions:
        """From (log time, publish time, ref, first bytes) of each message."""
        first = b"".join(bytes(row[3][:_FIRST_BYTES]).ljust(_FIRST_BYTES, b"\xff") for row in rows)
        return cls(
            log_ns=np.array([row[0] for row in rows], dtype=np.int64),
            publish_ns=np.array([row[1] for row in rows], dtype=np.int64),
            refs=np.array([row[2] for row in rows], dtype=np.int64).reshape(len(rows), 4),
            first=np.frombuffer(first, dtype=np.uint8).reshape(len(rows), _FIRST_BYTES),
        )


class Bag(ABC):
    """Reads; never changes anything. Can be pickled and survives a fork."""

    path: Path
    complete: bool  # False: it was not closed, its last moments may be missing
    custom_data: dict[str, str]

    def __init__(self, path: Path) -> None:
        self.path, self.complete, self.custom_data = path, True, {}
        self._decoders: dict[str, Decoder | BagError] = {}

    @property
    @abstractmethod
    def topics(self) -> dict[str, TopicInfo]:
        """By fully qualified name, sorted."""

    @property
    @abstractmethod
    def start_ns(self) -> int:
        """Log time of the first message; 0 without one."""

    @property
    @abstractmethod
    def end_ns(self) -> int:
        """Log time of the last message."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """Of all its files."""

    @abstractmethod
    def messages(
        self, topics: Collection[str] | None = None, start_ns: int = 0, end_ns: int = FOREVER_NS
    ) -> Iterator[BagMessage]:
        """Messages of `topics` (all, if None) with start_ns <= log_ns <= end_ns, in order of log_ns."""

    @abstractmethod
    def locate(self, topic: str) -> Positions:
        """Where the messages of `topic` lie."""

    @abstractmethod
    def read(self, ref: Sequence[int] | Integers) -> BagMessage:
        """The message at a row of `Positions.refs`."""

    def stamps(self, topic: str, places: Positions | None = None) -> Integers:
        """(M,) the time inside each message, in the order of `locate`; log time for a type without one.

        `places` of the same topic spares looking again.
        """
        decoder, found = self.decoder(topic), places or self.locate(topic)
        rows = zip(found.first, found.log_ns, strict=True)
        return np.array([decoder.time_ns(first.tobytes(), int(log_ns)) for first, log_ns in rows], dtype=np.int64)

    def decoder(self, topic: str) -> Decoder:
        """Made once for each topic; a topic that cannot be decoded says why, the others are not concerned."""
        self.require([topic])
        if topic not in self._decoders:
            info = self.topics[topic]
            try:
                self._decoders[topic] = self._same_type(info) or Decoder(
                    info.type, info.definition, info.language, info.encoding
                )
            except BagError as error:
                self._decoders[topic] = error
        found = self._decoders[topic]
        if isinstance(found, BagError):
            raise BagError(f"'{topic}' in {self.path}: {found.cause}", found.cure)
        return found

    def decode(self, message: BagMessage) -> Any:
        return self.decoder(message.topic)(message.data)

    def require(self, topics: Collection[str] | None) -> None:
        """Refuse names that are not in the bag."""
        for name in topics or ():
            if name not in self.topics:
                raise UnknownName("topic", name, self.topics, str(self.path))

    def _same_type(self, info: TopicInfo) -> Decoder | None:
        """Definitions take a while to be understood; several topics of one type share it."""
        for name, known in self._decoders.items():
            if isinstance(known, Decoder) and replace(self.topics[name], name="", count=0, qos_yaml="") == replace(
                info, name="", count=0, qos_yaml=""
            ):
                return known
        return None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_decoders": {}}  # their classes are made when needed and have no module


def merge_topics(infos: Collection[TopicInfo] | Iterator[TopicInfo]) -> dict[str, TopicInfo]:
    """By name, sorted; the counts of equal names together."""
    found: dict[str, TopicInfo] = {}
    for info in infos:
        before = found[info.name].count if info.name in found else 0
        found[info.name] = replace(info, count=info.count + before)
    return dict(sorted(found.items()))
