"""The vocabulary of Bagel: a Qwen2 tokenizer from a local folder.

The folder has `tokenizer.json`; or `vocab.json`, `merges.txt` and `tokenizer_config.json`, which numbers the control
tokens. Every text begins with <|im_start|> and ends with <|im_end|>; images stand between <|vision_start|> and
<|vision_end|>. Nothing is added to the vocabulary: actions are numbers in sentences.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vla_mbpo_ros.errors import ConfigError, ContractError, MissingDependency
from vla_mbpo_ros.models.need import need
from vla_mbpo_ros.world_model import prompts
from vla_mbpo_ros.world_model.sequence import Markers
from vla_mbpo_ros.world_model.vocabulary import Levels

BEGIN, END = "<|im_start|>", "<|im_end|>"
IMAGE, IMAGE_END = "<|vision_start|>", "<|vision_end|>"

# Qwen2's pieces before byte-pair encoding: contractions, words, single digits, punctuation, line ends, blanks.
_PIECES = "|".join(
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


class QwenVocabulary:
    """Sentences and numbers, by a tokenizer from a folder."""

    name = "qwen"

    def __init__(self, folder: Path, views: Sequence[str], environment: str = prompts.ROBOT) -> None:
        """`views` are camera names, the head first; `environment` is a sentence of the reward prompt."""
        self._folder, self._views, self._environment = folder, tuple(views), environment
        self._tokenizer = _load(folder)
        self.size = int(self._tokenizer.get_vocab_size(with_added_tokens=True))
        self.markers = Markers(self._control(IMAGE), self._control(IMAGE_END))
        self._begin, self._end = self._control(BEGIN), self._control(END)
        self.answer = (self._begin,)
        self.yes, self.no = self._first("Yes"), self._first("No")

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def task(self, instruction: str) -> tuple[int, ...]:
        return self._whole(prompts.task(instruction))

    def prompt(self, view: int, levels: Levels, state: Sequence[int] = ()) -> tuple[int, ...]:
        if not 0 <= view < len(self._views):
            raise ContractError(f"View {view} was asked for.", f"There are {len(self._views)}, counted from 0.")
        return self._whole(prompts.prompt(self._views[view], levels, state))

    def question(self, instruction: str) -> tuple[int, ...]:
        return self._whole(prompts.question(instruction, self._environment))

    def _whole(self, text: str) -> tuple[int, ...]:
        return (self._begin, *self.encode(text), self._end)

    def _control(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ConfigError(f"The tokenizer in {self._folder} has no {token}.", "Give the one of the weights.")
        return int(found)

    def _first(self, word: str) -> int:
        """The answer is one token: the model's next, where the two are compared."""
        found = self.encode(word)
        if len(found) != 1:
            cause = f"The tokenizer in {self._folder} makes {len(found)} tokens of '{word}'."
            raise ConfigError(cause, "Give the one of the weights: in it the answer is one token.")
        return found[0]


def _load(folder: Path) -> Any:
    """A `tokenizers.Tokenizer`."""
    whole, words, merges = folder / "tokenizer.json", folder / "vocab.json", folder / "merges.txt"
    config = folder / "tokenizer_config.json"
    if not whole.is_file() and not all(path.is_file() for path in (words, merges, config)):
        files = "tokenizer.json; or vocab.json, merges.txt and tokenizer_config.json"
        raise ConfigError(f"There is no tokenizer in {folder}.", f"Give a folder with {files}.")
    library = _library()
    try:
        return library.Tokenizer.from_file(str(whole)) if whole.is_file() else _build(library, words, merges, config)
    except (ValueError, KeyError, OSError) as error:
        raise ConfigError(f"The tokenizer in {folder} cannot be read: {error}.", "Download its files anew.") from error
    except Exception as error:  # what the library raises has no class of its own
        if type(error) is not Exception:
            raise
        raise ConfigError(f"The tokenizer in {folder} cannot be read: {error}.", "Download its files anew.") from error


def _library() -> Any:
    try:
        return need("tokenizers")
    except MissingDependency as error:
        raise MissingDependency(error.cause, "pip install tokenizers") from error


def _build(library: Any, words: Path, merges: Path, config: Path) -> Any:
    """Byte-pair encoding of Qwen2 from its parts; control tokens get the numbers of the configuration."""
    tokenizer = library.Tokenizer(library.models.BPE.from_file(str(words), str(merges)))
    tokenizer.normalizer = library.normalizers.NFC()
    split = library.pre_tokenizers.Split(library.Regex(_PIECES), behavior="isolated")
    level = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([split, level])
    tokenizer.decoder = library.decoders.ByteLevel()
    added = json.loads(config.read_text(encoding="utf-8"))["added_tokens_decoder"]
    for number in sorted(map(int, added)):
        token = str(added[str(number)]["content"])
        tokenizer.add_special_tokens([library.AddedToken(token, special=True, normalized=False)])
        if tokenizer.token_to_id(token) != number:
            raise ValueError(f"{token} should be number {number}")
    return tokenizer
