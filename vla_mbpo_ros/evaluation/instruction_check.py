"""Does a policy listen? The same starts of the tabletop, told the sentence of the scene's other task.

    told        press the red button       press the blue button
    judged by   red pressed                red pressed
                └── right ─────┐           └── wrong ──────────┐
                               └──────────── drop ─────────────┘

Two tasks of a scene look the same to the last pixel, so what is lost is what the sentence was worth. Who does what he
is told spoils the episode: `followed` tells a policy that listens from one that is only confused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vla_mbpo_ros.algorithms.grounds.tabletop import TabletopGround
from vla_mbpo_ros.evaluation.intervals import Share
from vla_mbpo_ros.evaluation.tabletop_eval import CHANCE, Result
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.rl.rollout import Ground, IntArray, Outcome, Player, Seen
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import TASKS, Pool, get_table_task, sibling

LEAST_DROP = 0.40  # of success, in every scene: a policy that loses less does not listen
_OTHER_TEXT = {task.instruction: sibling(task).instruction for task in TASKS.values()}


@dataclass(frozen=True)
class Heed:
    """What the instruction is worth in one scene."""

    scene: str
    right: Share  # told what is judged
    wrong: Share  # told the other sentence, judged as before
    followed: Share  # told the other sentence, and did that

    @property
    def drop(self) -> float:
        return self.right.share - self.wrong.share

    @property
    def listens(self) -> bool:
        return self.drop >= LEAST_DROP


def check_instructions(policy: FlowPolicy, pool: Pool, right: Result) -> tuple[Heed, ...]:
    """Play the starts of `right`, an evaluation of the same policy, with the wrong sentence. One row a scene."""
    player = Player(policy, _Misled(TabletopGround(pool)), keep=False)
    wrong = player.play(right.tasks, right.seeds, CHANCE).success
    followed = pool.spoiled  # the slots are still those episodes
    scenes = np.array([get_table_task(task).scene for task in right.tasks])
    was_right = np.array(right.success)
    return tuple(
        Heed(scene, *(_share(each[scenes == scene]) for each in (was_right, wrong, followed)))
        for scene in dict.fromkeys(scenes.tolist())
    )


def to_json(rows: Sequence[Heed]) -> dict[str, Any]:
    """For a report."""
    return {
        row.scene: {
            "right": row.right.share,
            "wrong": row.wrong.share,
            "drop": row.drop,
            "followed": row.followed.share,
            "episodes": row.right.n,
            "listens": row.listens,
        }
        for row in rows
    }


class _Misled:
    """A ground that says the other task's sentence."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self.cameras = ground, ground.cameras

    def reset(self, tasks: Sequence[str], seeds: Sequence[int]) -> Seen:
        return _misled(self._ground.reset(tasks, seeds))

    def step(self, chunks: FloatArray, slots: IntArray) -> Outcome:
        outcome = self._ground.step(chunks, slots)
        return replace(outcome, seen=_misled(outcome.seen))


def _misled(seen: Seen) -> Seen:
    return replace(seen, instructions=tuple(_OTHER_TEXT[text] for text in seen.instructions))


def _share(outcomes: Any) -> Share:
    return Share(int(outcomes.sum()), len(outcomes))
