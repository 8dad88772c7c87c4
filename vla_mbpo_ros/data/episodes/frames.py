"""The images of one camera in a bag: found by a first pass, which also compares checksums; then read one by one."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from vla_mbpo_ros.data.bags import BagMessage
from vla_mbpo_ros.data.episodes.contract_bag import ContractBag
from vla_mbpo_ros.data.episodes.episode import IndexArray
from vla_mbpo_ros.data.episodes.observations import decode_color
from vla_mbpo_ros.errors import BagError, ContractError
from vla_mbpo_ros.schema import ImageArray


class BagFrames:
    """`Frames` of an `Episode`."""

    def __init__(self, bag: ContractBag, topic: str) -> None:
        self._bag, self._topic, self._type = bag, bag.name(topic), bag.type_of(topic)
        self._stamps: list[int] = []
        self._places: list[int] = []  # of each, among all messages of the topic
        self.bad: set[int] = set()  # those that are known not to decode

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, place: int, stamp_ns: int) -> None:
        """The next frame, which is the topic's message number `place`; stamps must rise."""
        self._stamps.append(stamp_ns)
        self._places.append(place)

    def check(self, message: BagMessage) -> None:
        """Of the frame that was added last. Raises what decoding raises, and remembers it."""
        try:
            decode_color(self._bag.decode(message), self._type)
        except (ContractError, BagError):
            self.bad.add(len(self._stamps) - 1)
            raise

    @staticmethod
    def peek(bag: ContractBag, topic: str, message: BagMessage) -> ImageArray:
        """One image of a topic, by the name of the contract, without a first pass."""
        return decode_color(bag.decode(message), bag.type_of(topic)).image

    @cached_property
    def stamps_ns(self) -> IndexArray:
        """(F,), rising."""
        return np.array(self._stamps, dtype=np.int64)

    def __getitem__(self, index: int) -> ImageArray:
        """(H, W, 3) uint8 RGB; BagError if it cannot be decoded."""
        message = self._bag.bag.read(self._refs[index])
        try:
            return decode_color(self._bag.decode(message), self._type).image
        except ContractError as error:
            raise BagError(f"{self._topic} of {self._bag.path} has a bad image: {error.cause}", error.cure) from error

    @cached_property
    def _refs(self) -> IndexArray:
        """(F, 4) where each lies in the bag."""
        return np.asarray(self._bag.bag.locate(self._topic).refs[self._places])
