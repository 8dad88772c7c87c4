"""A rosbag2 directory of .mcap files, split or not (or one such file) -> raw messages in time order, and decoded ones.

    bag = BagReader(path)
    for message in bag.messages(["/joint_states"]):
        state = bag.decode(message)

A file that ended in the middle, without an index, is read as far as it is good; `complete` is False then.
`foreign.open_bag` opens bags of other storages as well.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from vla_mbpo_ros.data.bags.bag import FOREVER_NS, Bag, BagMessage, Integers, Positions, TopicInfo, merge_topics
from vla_mbpo_ros.data.bags.mcap_blocks import McapFile, Row
from vla_mbpo_ros.data.bags.mcap_index import Block
from vla_mbpo_ros.data.bags.metadata import FILE_NAME, read_metadata
from vla_mbpo_ros.errors import BagError

__all__ = ["BagMessage", "BagReader", "Positions", "TopicInfo"]


class BagReader(Bag):
    """`verify=False` leaves checksums alone: three times as fast where the disk is not the limit, and blind to bits
    that flipped."""

    def __init__(self, path: Path, *, verify: bool = True) -> None:
        super().__init__(path)
        files = self._find_files()
        self._files = [McapFile(file, number, verify) for number, file in enumerate(files)]
        self.complete = self.complete and all(file.index.complete for file in self._files)
        if not self.custom_data:
            for file in self._files:
                self.custom_data.update(file.index.custom_data)

    @cached_property
    def topics(self) -> dict[str, TopicInfo]:
        return merge_topics(info for file in self._files for info in file.index.topics.values())

    @property
    def start_ns(self) -> int:
        return min((file.index.start_ns for file in self._files if file.index.count), default=0)

    @property
    def end_ns(self) -> int:
        return max((file.index.end_ns for file in self._files if file.index.count), default=0)

    @property
    def size_bytes(self) -> int:
        return sum(file.path.stat().st_size for file in self._files)

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int = 0, end_ns: int = FOREVER_NS
    ) -> Iterator[BagMessage]:
        self.require(topics)
        return self._messages(topics, start_ns, end_ns)

    def locate(self, topic: str) -> Positions:
        self.require([topic])
        blocks = self._blocks([topic])
        heads = sorted(head for file, number, channels in blocks for head in file.heads(number, channels))
        return Positions.of([(head.log_ns, head.publish_ns, head[1:5], head.stamp) for head in heads])

    def read(self, ref: Sequence[int] | Integers) -> BagMessage:
        file, block, place, size = map(int, ref)
        return self._files[file].message(block, place, size)

    # -- order of time -----------------------------------------------------------------------------------------------

    def _messages(self, topics: Collection[str] | None, start_ns: int, end_ns: int) -> Iterator[BagMessage]:
        """Blocks may overlap: a message goes out as soon as no later block can hold an earlier one."""
        waiting: list[Row] = []
        for file, number, channels in self._blocks(topics, start_ns, end_ns):
            ready = bisect_left(waiting, (file.index.blocks[number].start_ns,))
            yield from (row[-1] for row in waiting[:ready])
            del waiting[:ready]
            waiting += file.rows(number, channels, start_ns, end_ns)
            waiting.sort()
        yield from (row[-1] for row in waiting)

    def _blocks(
        self, topics: Collection[str] | None, start_ns: int = 0, end_ns: int = FOREVER_NS
    ) -> Iterator[tuple[McapFile, int, Collection[int]]]:
        """(file, number of the block, wanted channels) for every block that may hold something, by its start."""
        wanted = [_channels(file, topics) for file in self._files]
        found = [
            (block.start_ns, file.number, number)
            for file in self._files
            for number, block in enumerate(file.index.blocks)
            if _may_hold(block, wanted[file.number], start_ns, end_ns)
        ]
        for _, file_number, number in sorted(found):
            yield self._files[file_number], number, wanted[file_number]

    # -- files -------------------------------------------------------------------------------------------------------

    def _find_files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise BagError(f"{self.path} does not exist.", "Give the folder of a bag.")
        return self._listed_files() if (self.path / FILE_NAME).exists() else self._loose_files()

    def _listed_files(self) -> list[Path]:
        metadata = read_metadata(self.path)
        custom, names = metadata.get("custom_data") or {}, metadata["relative_file_paths"]
        if not isinstance(custom, dict) or not isinstance(names, list):
            raise BagError(f"{self.path / FILE_NAME} is not the metadata of a bag.", "Run `vla-mbpo bags recover`.")
        self.custom_data = {str(name): str(value) for name, value in custom.items()}
        files = [self.path / Path(str(name)).name for name in names]
        missing = [file.name for file in files if not file.exists()]
        if missing:
            cause = f"{self.path} lacks {', '.join(missing)}, which its {FILE_NAME} lists."
            cure = f"Copy it again; `vla-mbpo bags recover {self.path}` makes a bag of what is there."
            raise BagError(cause, cure)
        return files

    def _loose_files(self) -> list[Path]:
        """A recorder that was killed leaves no metadata; the file that it had just begun may be empty."""
        self.complete = False
        files = sorted(self.path.glob("*.mcap"), key=_number_last)
        if not files:
            cause = f"{self.path} is not a bag: it has no {FILE_NAME} and no .mcap file."
            raise BagError(cause, "Give the folder of a bag.")
        return [file for file in files if file.stat().st_size] or files[:1]


def _number_last(path: Path) -> tuple[str, int, str]:
    """name_10 comes after name_9."""
    found = re.fullmatch(r"(.*_)(\d+)", path.stem)
    return (found[1], int(found[2]), path.name) if found else (path.stem, -1, path.name)


def _channels(file: McapFile, topics: Collection[str] | None) -> frozenset[int]:
    known = file.index.topics.items()
    return frozenset(key for key, info in known if topics is None or info.name in topics)


def _may_hold(block: Block, wanted: Collection[int], start_ns: int, end_ns: int) -> bool:
    if block.end_ns < start_ns or block.start_ns > end_ns:
        return False
    return block.channels is None or any(key in wanted for key in block.channels)
