"""What there is to know of one bag, quickly: its facts, topics and files. `bags/report.py` judges it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.bags.bag import Bag
from vla_mbpo_ros.data.bags.content import CHUNK
from vla_mbpo_ros.data.bags.find import SUFFIXES
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import VlaMbpoError

_SAMPLE_NS = 2_000_000_000  # sizes are known from so much of the start of a bag


@dataclass(frozen=True)
class TopicFacts:
    """One topic of a bag."""

    name: str
    type: str
    count: int
    hz: float  # over the whole bag; 0 of a single message
    size_bytes: int  # of all its messages
    estimated: bool  # the size is that of the first seconds, carried on


@dataclass(frozen=True)
class BagInfo:
    """One bag."""

    path: Path
    complete: bool
    start_ns: int
    length_s: float
    size_bytes: int
    messages: int
    files: tuple[tuple[str, int], ...]  # name, bytes
    topics: tuple[TopicFacts, ...]
    facts: EpisodeFacts
    says: bool  # somebody has said something of the episode
    policies: dict[str, int]  # version -> chunks
    problems: tuple[str, ...]  # what could not be found out

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        files = [{"name": name, "size_bytes": size} for name, size in self.files]
        return {**asdict(self), "path": str(self.path), "files": files}


def bag_info(bag: Bag) -> BagInfo:
    facts, problems = EpisodeFacts(), []
    try:
        facts = EpisodeFacts.from_custom_data(bag.custom_data, str(bag.path))
    except VlaMbpoError as error:
        problems.append(str(error))
    topics: tuple[TopicFacts, ...] = ()
    policies: dict[str, int] = {}
    try:
        topics, policies = _topics(bag), _policies(bag)
    except VlaMbpoError as error:
        problems.append(str(error))
    return BagInfo(
        path=bag.path,
        complete=bag.complete,
        start_ns=bag.start_ns,
        length_s=max(bag.end_ns - bag.start_ns, 0) * 1e-9,
        size_bytes=bag.size_bytes,
        messages=sum(info.count for info in bag.topics.values()),
        files=_files(bag.path),
        topics=topics,
        facts=facts,
        says=bool(bag.custom_data),
        policies=policies,
        problems=tuple(problems),
    )


def _topics(bag: Bag) -> tuple[TopicFacts, ...]:
    seen, sizes = Counter[str](), Counter[str]()
    for message in bag.messages(end_ns=bag.start_ns + _SAMPLE_NS):
        seen[message.topic] += 1
        sizes[message.topic] += len(message.data)
    for name, info in bag.topics.items():
        if info.count and not seen[name]:  # its first message comes later
            first = next(iter(bag.messages([name])))
            seen[name], sizes[name] = 1, len(first.data)
    return tuple(_topic(bag, name, seen[name], sizes[name]) for name in bag.topics)


def _topic(bag: Bag, name: str, seen: int, size: int) -> TopicFacts:
    info, length_s = bag.topics[name], (bag.end_ns - bag.start_ns) * 1e-9
    hz = info.count / length_s if length_s > 0.0 and info.count > 1 else 0.0
    whole = round(size * info.count / seen) if seen else 0
    return TopicFacts(name, info.type, info.count, hz, whole, seen < info.count)


def _policies(bag: Bag) -> dict[str, int]:
    """Who proposed how many chunks."""
    names = [name for name, info in bag.topics.items() if info.type == CHUNK and info.count]
    versions = [str(bag.decode(message).policy_version) for message in bag.messages(names)] if names else []
    return dict(Counter(versions).most_common())


def _files(path: Path) -> tuple[tuple[str, int], ...]:
    files = [path] if path.is_file() else sorted(path.iterdir())
    wanted = [file for file in files if file.name.endswith((*SUFFIXES, ".yaml"))]
    return tuple((file.name, file.stat().st_size) for file in wanted if file.is_file())
