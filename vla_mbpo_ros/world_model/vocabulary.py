"""Text, actions and markers as token ids.

    ByteVocabulary   of our own, for small models: bytes, a token for each word that is always the same (predict this
                     view, is it done?, yes, no), and for each joint a token for each of its levels
    QwenVocabulary   a tokenizer of a Qwen2 model, as Bagel has it, from a local folder: sentences, actions as numbers

A chunk of 10 x 7 actions is 70 tokens in the first and about 320 in the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.actions import LEVELS
from vla_mbpo_ros.world_model.prompts import clean
from vla_mbpo_ros.world_model.sequence import Markers

Levels = Sequence[Sequence[int]]  # (K, N)


class Vocabulary(Protocol):
    """Token ids below `size`. A text that it gives is whole: nothing has to be put around it."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def markers(self) -> Markers:
        """Around every image."""
        ...

    @property
    def yes(self) -> int: ...

    @property
    def no(self) -> int: ...

    @property
    def answer(self) -> tuple[int, ...]:
        """What stands before `yes` or `no`."""
        ...

    def encode(self, text: str) -> tuple[int, ...]:
        """Any text, plain."""
        ...

    def task(self, instruction: str) -> tuple[int, ...]:
        """What opens a dynamics sequence."""
        ...

    def prompt(self, view: int, levels: Levels, state: Sequence[int] = ()) -> tuple[int, ...]:
        """The actions (K, N) and which view comes next; `state` (N,) where actions are differences from it."""
        ...

    def question(self, instruction: str) -> tuple[int, ...]:
        """Is the task done?"""
        ...


_VIEWS = 16  # a predict token for each
_WORDS = ("image", "end of image", "task", "question", "state", "answer", "yes", "no")


class ByteVocabulary:
    """0 padding · 1..256 bytes of UTF-8 · words · a predict token for each view · 257 levels of each joint.

    A level is a token of its joint, so a small network need not find out from its place in the chunk what it moves.
    """

    name = "bytes"
    _words = 1 + 256
    _predict = _words + len(_WORDS)
    _levels = _predict + _VIEWS

    def __init__(self, joints: int = 7) -> None:
        self.joints = joints
        self.size = self._levels + joints * LEVELS

    @property
    def markers(self) -> Markers:
        return Markers(self._word("image"), self._word("end of image"))

    @property
    def yes(self) -> int:
        return self._word("yes")

    @property
    def no(self) -> int:
        return self._word("no")

    @property
    def answer(self) -> tuple[int, ...]:
        return (self._word("answer"),)

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(1 + byte for byte in text.encode("utf-8"))

    def decode(self, ids: Sequence[int]) -> str:
        """The bytes among the ids as text."""
        return bytes(index - 1 for index in ids if 1 <= index <= 256).decode("utf-8", errors="replace")

    def task(self, instruction: str) -> tuple[int, ...]:
        return (self._word("task"), *self.encode(clean(instruction)))

    def prompt(self, view: int, levels: Levels, state: Sequence[int] = ()) -> tuple[int, ...]:
        if not 0 <= view < _VIEWS:
            raise ContractError(f"View {view} was asked for.", f"There are tokens for views 0 to {_VIEWS - 1}.")
        before = (self._word("state"), *self._tell(state)) if len(state) else ()
        return (*before, *(token for row in levels for token in self._tell(row)), self._predict + view)

    def question(self, instruction: str) -> tuple[int, ...]:
        return (self._word("question"), *self.encode(clean(instruction)))

    def levels_of(self, joint: int) -> range:
        """The tokens of a joint's levels, from the lowest to the highest."""
        first = self._levels + joint * LEVELS
        return range(first, first + LEVELS)

    def _tell(self, levels: Sequence[int]) -> list[int]:
        """Of the joints, in order."""
        if len(levels) > self.joints:
            raise ContractError(f"{len(levels)} joints were told to a vocabulary of {self.joints}.", "Give as many.")
        if wrong := [int(level) for level in levels if not 0 <= level < LEVELS]:
            raise ContractError(f"{wrong[0]} is no action level.", f"Give 0 to {LEVELS - 1}.")
        return [self.levels_of(joint)[int(level)] for joint, level in enumerate(levels)]

    def _word(self, word: str) -> int:
        return self._words + _WORDS.index(word)
