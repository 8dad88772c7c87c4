"""Text, actions and markers as token ids.

    ByteVocabulary   of our own, for small models: bytes, a token for each action level, a token for each word that
                     is always the same (predict this view, is it done?, yes, no)
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
    """0 padding · 1..256 bytes of UTF-8 · 257 action levels · words · a predict token for each view."""

    name = "bytes"
    _actions = 1 + 256
    _words = _actions + LEVELS
    _predict = _words + len(_WORDS)
    size = _predict + _VIEWS

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
        before = (self._word("state"), *self._action(state)) if len(state) else ()
        return (*before, *(token for row in levels for token in self._action(row)), self._predict + view)

    def question(self, instruction: str) -> tuple[int, ...]:
        return (self._word("question"), *self.encode(clean(instruction)))

    def _action(self, levels: Sequence[int]) -> list[int]:
        if wrong := [int(level) for level in levels if not 0 <= level < LEVELS]:
            raise ContractError(f"{wrong[0]} is no action level.", f"Give 0 to {LEVELS - 1}.")
        return [self._actions + int(level) for level in levels]

    def _word(self, word: str) -> int:
        return self._words + _WORDS.index(word)
