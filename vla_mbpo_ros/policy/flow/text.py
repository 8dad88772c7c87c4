"""Instructions as tokens.

    plain    "press the red button" and a line feed
    state    "Task: press the red button, State: 131 127 -1 255;", a line feed, "Action: "

Each begins with the token that begins sentences. In the second form the normalised state is part of the sentence,
each number as one of 256 bins over [-1, 1): -1.0 is 0, 0.0 is 128; 255 is everything from the last bin up, -1
everything below the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.models.need import need
from vla_mbpo_ros.schema import FloatArray

PLAIN, STATE = "plain", "state"
PROMPTS = (PLAIN, STATE)
_BINS = np.linspace(-1.0, 1.0, 257)[:-1]  # their lower edges


class Tokenizer(Protocol):
    """Text to numbers below `vocab_size`."""

    name: str  # "bytes" or "sentencepiece"
    vocab_size: int
    bos: int  # begins a sentence

    def encode(self, text: str) -> list[int]: ...


class ByteTokenizer:
    """UTF-8 bytes after three special numbers: padding, end, beginning."""

    name = "bytes"
    vocab_size = 259
    bos = 2

    def encode(self, text: str) -> list[int]:
        return [3 + byte for byte in text.encode("utf-8")]


class SentencePieceTokenizer:
    """A sentencepiece model from a local file, such as PaliGemma's `tokenizer.model`."""

    name = "sentencepiece"

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ConfigError(f"There is no tokenizer at {path}.", "Give the path of a sentencepiece *.model file.")
        self.path = path
        try:
            self._pieces = need("sentencepiece").SentencePieceProcessor(model_file=str(path))
        except (RuntimeError, OSError) as error:
            cure = "Give the path of a sentencepiece *.model file; PaliGemma's comes with its weights."
            raise ConfigError(f"{path} is no sentencepiece model.", cure) from error
        self.vocab_size = int(self._pieces.vocab_size())
        self.bos = int(self._pieces.bos_id())
        if self.bos < 0:
            raise ConfigError(f"{path} has no token that begins a sentence.", "Give the tokenizer of the weights.")

    def encode(self, text: str) -> list[int]:
        return [int(token) for token in self._pieces.encode(text)]


def make_tokenizer(path: str | Path) -> Tokenizer:
    """The one in a file; "bytes" needs none."""
    return ByteTokenizer() if str(path) == "bytes" else SentencePieceTokenizer(Path(path))


def bins(state: FloatArray) -> list[int]:
    """The bin of each normalised number, from -1 to 255."""
    return [int(found) - 1 for found in np.digitize(state, _BINS)]


def prompt_tokens(tokenizer: Tokenizer, form: str, text: str, state: FloatArray) -> list[int]:
    """The whole prompt; `state` (N,) is normalised and used in the second form only."""
    clean = text.strip().replace("_", " ").replace("\n", " ")
    if form == PLAIN:
        return [tokenizer.bos, *tokenizer.encode(clean), *tokenizer.encode("\n")]
    numbers = " ".join(map(str, bins(state)))
    return [tokenizer.bos, *tokenizer.encode(f"Task: {clean}, State: {numbers};\nAction: ")]


def padded(tokens: list[int], length: int, text: str) -> tuple[list[int], list[bool]]:
    """Tokens and mask of that length. A prompt that does not fit is refused: its end would be cut off unseen."""
    if len(tokens) > length:
        cause = f"The instruction '{text[:60]}' makes {len(tokens)} tokens, the policy takes {length}."
        raise ContractError(cause, "Give a shorter instruction.")
    rest = length - len(tokens)
    return tokens + [0] * rest, [True] * len(tokens) + [False] * rest
