"""Views, text and actions as one sequence of blocks (interleaved view decoding).

    task | head_t LATENT VIT | wrist_t LATENT VIT | "do … , predict head"  | head_t+1 NOISE | head_t+1 LATENT VIT
                                                  | "do … , predict wrist" | wrist_t+1 NOISE

A text is its tokens. An image is a start marker, its tokens, an end marker. Who sees whom is in `mask.py`.

    kind    what its tokens are                   expert (markers: understanding)  its place for the rotary embedding
    TEXT    ids                                   understanding                    one step a token
    VIT     patches, as a vision encoder sees     understanding                    one place for all, then one step
    LATENT  a view as it is                       generation                       one place for all, then one step
    NOISE   the view that is being made           generation                       that of the clean copy: no step

A dropped image takes its step all the same, a dropped text does not: so a picture that is missing leaves a hole, and
a context without the prompt ends where the prompt would begin. Training and sampling walk over one and the same
layout: training all of it at once, sampling by `stages`, which cut it at the NOISE blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
NO_ID = -1  # where an image token stands


class Kind(IntEnum):
    TEXT = 0
    VIT = 1
    LATENT = 2  # a clean view
    NOISE = 3  # the view that is being made


@dataclass(frozen=True)
class Markers:
    """Token ids around every image."""

    start: int
    end: int


@dataclass(frozen=True)
class Block:
    """One piece of a sequence. `text` and the builders make them."""

    kind: Kind
    ids: tuple[int, ...] = ()  # of a text
    view: int = -1  # of an image; of a text the view that it asks for, -1 if none
    time: int = 0  # 0 now, 1 after the chunk
    tokens: int = 0  # image tokens without markers; of a text its room: what `ids` leave free is padding
    dropped: bool = False

    def __post_init__(self) -> None:
        if self.kind is Kind.TEXT:
            if self.tokens < len(self.ids):
                cause = f"A text of {len(self.ids)} tokens was to fit into {self.tokens}."
                raise ContractError(cause, "Give a shorter instruction, or train a model with more room for text.")
        elif self.ids or self.tokens < 1 or self.view < 0:
            raise ContractError(
                f"A block of kind {self.kind.name} has {len(self.ids)} ids, {self.tokens} image tokens and is of view "
                f"{self.view}.",
                "An image has no ids, at least one token and a view.",
            )

    @property
    def is_image(self) -> bool:
        return self.kind is not Kind.TEXT


def text(ids: Sequence[int], room: int = 0, view: int = -1) -> Block:
    """A text block; with `room` it takes so many tokens however short it is."""
    return Block(Kind.TEXT, tuple(ids), view, 0 if view < 0 else 1, room or len(ids))


@dataclass(frozen=True)
class Layout:
    """Every token of a sequence. Arrays of length L; the tokens of a block lie side by side."""

    blocks: tuple[Block, ...]
    markers: Markers
    starts: tuple[int, ...]  # of each block, its first token; -1 if it is not there
    ids: IntArray  # NO_ID where an image token stands
    kind: IntArray  # `Kind` of the block, markers included
    generation: BoolArray  # which expert: True generation, False understanding
    position: IntArray  # for the rotary embedding
    block: IntArray  # index into `blocks`
    view: IntArray
    time: IntArray
    offset: IntArray  # place inside the image, -1 elsewhere
    padding: BoolArray  # seen by nobody

    def __len__(self) -> int:
        return len(self.ids)

    def place(self, block: int) -> slice:
        """All tokens of a block, its markers included; empty if it is not there."""
        start = self.starts[block]
        return slice(0, 0) if start < 0 else slice(start, start + _length(self.blocks[block]))

    def image_place(self, block: int) -> slice:
        """The image tokens of a block, without its markers."""
        found = self.place(block)
        return slice(found.start + 1, found.stop - 1) if found.stop else found

    def images(self, *kinds: Kind) -> tuple[int, ...]:
        """Blocks of these kinds that are in the sequence, in order."""
        pairs = zip(self.blocks, self.starts, strict=True)
        return tuple(index for index, (block, start) in enumerate(pairs) if block.kind in kinds and start >= 0)


def layout(blocks: Sequence[Block], markers: Markers, dense: bool = False) -> Layout:
    """The tokens of these blocks. `dense` keeps dropped blocks as padding: all samples of a batch have one shape."""
    starts: list[int] = []
    columns: list[list[IntArray]] = []
    length = position = 0
    for index, block in enumerate(blocks):
        here = dense or not block.dropped
        starts.append(length if here and _length(block) else -1)
        if here:
            columns.append(_columns(block, index, position, markers))
            length += _length(block)
        position += _advance(block)
    if not length:
        raise ContractError("A sequence has no tokens.", "Leave at least one block in it.")
    joined = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    ids, kind, generation, places, number, view, time, offset, padding = joined
    return Layout(
        tuple(blocks),
        markers,
        tuple(starts),
        ids,
        kind,
        generation.astype(np.bool_),
        places,
        number,
        view,
        time,
        offset,
        padding.astype(np.bool_),
    )


def _length(block: Block) -> int:
    return block.tokens + 2 * block.is_image


def _advance(block: Block) -> int:
    """By how much the next block stands further on."""
    if block.kind is Kind.TEXT:
        return 0 if block.dropped else len(block.ids)
    return 0 if block.kind is Kind.NOISE else 1


def _columns(block: Block, index: int, position: int, markers: Markers) -> list[IntArray]:
    """ids, kind, generation, position, block, view, time, offset, padding of one block."""
    length = _length(block)
    same = [np.full(length, value, np.int64) for value in (block.kind, index, block.view, block.time)]
    padding = np.full(length, int(block.dropped), np.int64)
    if block.is_image:
        ids, offset = np.full(length, NO_ID, np.int64), np.arange(-1, length - 1)
        ids[0], ids[-1], offset[-1] = markers.start, markers.end, -1
        places = np.full(length, position, np.int64)
        generation = (offset >= 0) & (block.kind in (Kind.LATENT, Kind.NOISE))
    else:
        free = length - len(block.ids)
        ids, offset = np.array((*block.ids, *[0] * free), np.int64), np.full(length, -1, np.int64)
        places = position + np.minimum(np.arange(length), max(len(block.ids) - 1, 0))
        generation = np.zeros(length, np.bool_)
        padding[len(block.ids) :] = 1
    kind, number, view, time = same
    return [ids, kind, generation.astype(np.int64), places, number, view, time, offset, padding]


# ---- sampling ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One view is made: `fill` joins the cache, then `noise` is solved, seeing the cache and itself."""

    block: int  # the NOISE block
    view: int
    fill: slice  # tokens since the stage before; the clean copy of the view made there is among them
    noise: slice


def stages(whole: Layout) -> tuple[Stage, ...]:
    """The steps of sampling through a layout, one a view."""
    found, begin = [], 0
    for index in whole.images(Kind.NOISE):
        place = whole.place(index)
        found.append(Stage(index, whole.blocks[index].view, slice(begin, place.start), place))
        begin = place.stop
    return tuple(found)
