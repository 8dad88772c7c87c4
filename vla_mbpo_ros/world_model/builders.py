"""The two sequences of a unified world model, and what training and guidance leave out of them.

    dynamics   task | views now | for each view: its prompt with the actions, NOISE, and its clean copy for the next one
    reward     views now | question | where the answer begins

The clean copy is encoded anew (LATENT and VIT) before the next view is made. Without interleaved view decoding
(`ivd=False`) there are no clean copies, and no view knows another's future.

Guidance compares three versions of one sequence:

    ALL         everything
    NO_ACTIONS  no prompt of any view: what would be seen whatever is done
    NO_IMAGES   texts only

The reference model leaves out the last text alone. With one text a view that would keep the actions of the views
before, and what guidance then amplifies is which view is asked for, not what is done; so all prompts go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.sequence import Block, Kind, text


@dataclass(frozen=True)
class Shape:
    """What a model's sequences are made of."""

    views: int = leaf(2, "Cameras: the head's, then the wrists'.", low=1, high=16)
    latent_tokens: int = leaf(16, "Tokens of a view as it is made.", low=1)
    vit_tokens: int = leaf(0, "Tokens of a view as a vision encoder sees it; 0: there is no such encoder.", low=0)
    ivd: bool = leaf(True, "Interleaved view decoding: a view sees the views that were made before it.")
    draws: int = leaf(1, "Training: so often every view is made, each time of other noise; they do not see each other.")
    text_room: int = leaf(0, "Tokens kept for the task and for the question; 0: as many as they have.", low=0)
    prompt_room: int = leaf(0, "Tokens kept for the actions and the prompt of a view; 0: as many as they have.", low=0)

    def now(self, *kinds: Kind) -> list[Block]:
        """Every view as the cameras see it."""
        return [block for view in range(self.views) for block in self.clean(view, 0, *kinds)]

    def clean(self, view: int, time: int, *kinds: Kind) -> list[Block]:
        """A view in the forms that the model has of these kinds: LATENT, VIT or, by default, both."""
        tokens = {Kind.LATENT: self.latent_tokens, Kind.VIT: self.vit_tokens}
        wanted = [kind for kind in tokens if tokens[kind] and (not kinds or kind in kinds)]
        return [Block(kind, view=view, time=time, tokens=tokens[kind]) for kind in wanted]


def dynamics_sequence(
    shape: Shape, task: Sequence[int], prompts: Sequence[Sequence[int]], rooms: Sequence[int] = ()
) -> tuple[Block, ...]:
    """What imagines the views after a chunk; `prompts` has one text a view, with the actions in it, and `rooms` the
    tokens that are kept for each, where they are not all the same."""
    if len(prompts) != shape.views:
        raise ContractError(f"{len(prompts)} prompts for {shape.views} views.", "Give one a view, the head's first.")
    blocks = [text(task, shape.text_room), *shape.now()]
    for view, prompt in enumerate(prompts):
        room = rooms[view] if rooms else shape.prompt_room
        blocks += [text(prompt, room, view), *[Block(Kind.NOISE, (), view, 1, shape.latent_tokens)] * shape.draws]
        if shape.ivd and view + 1 < shape.views:
            blocks += shape.clean(view, 1)
    return tuple(blocks)


def reward_sequence(shape: Shape, question: Sequence[int], answer: Sequence[int]) -> tuple[Block, ...]:
    """What judges the views now. The last token of `answer` is where Yes or No comes next: the last of all."""
    kind = Kind.VIT if shape.vit_tokens else Kind.LATENT
    return (*shape.now(kind), text(question, shape.text_room), text(answer))


# ---- leaving out ---------------------------------------------------------------------------------------------------


class Context(Enum):
    """What a guided prediction is compared with."""

    ALL = "all"
    NO_ACTIONS = "no actions"
    NO_IMAGES = "no images"


def only(blocks: Sequence[Block], context: Context) -> tuple[Block, ...]:
    """The same sequence with the rest dropped."""
    return tuple(_marked(block, _leaves_out(context, block)) for block in blocks)


def _leaves_out(context: Context, block: Block) -> bool:
    if context is Context.NO_ACTIONS:
        return _group(block) == "prompts"
    return context is Context.NO_IMAGES and block.kind in (Kind.LATENT, Kind.VIT)


@dataclass(frozen=True)
class DropOut:
    """How often training leaves something out, so that guidance has something to compare with."""

    text: float = leaf(0.1, "Of the task; and, by a coin of its own, of all prompts.", low=0.0, high=1.0)
    latent: float = leaf(0.3, "Of the clean latent blocks.", low=0.0, high=1.0)
    vit: float = leaf(0.3, "Of the blocks of the vision encoder.", low=0.0, high=1.0)
    together: bool = leaf(
        True, "One coin for all images of a kind; False: one each, as the reference does, and almost never all of them."
    )


def drop_out(blocks: Sequence[Block], rates: DropOut, generator: np.random.Generator) -> tuple[Block, ...]:
    """A training sequence with some blocks dropped; NOISE never is."""
    rate = {"task": rates.text, "prompts": rates.text, "LATENT": rates.latent, "VIT": rates.vit, "NOISE": 0.0}
    coins: dict[str, bool] = {}
    found = []
    for block in blocks:
        group = _group(block)
        if group not in coins or (block.is_image and not rates.together):
            coins[group] = bool(generator.random() < rate[group])
        found.append(_marked(block, coins[group]))
    return tuple(found)


def _marked(block: Block, gone: bool) -> Block:
    return replace(block, dropped=block.dropped or gone)


def _group(block: Block) -> str:
    """What is dropped together."""
    if block.is_image:
        return block.kind.name
    return "task" if block.view < 0 else "prompts"
