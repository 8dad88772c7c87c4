"""What the cameras see inside of chunks, every few control steps: journeys played again from their moments.

    moment ──every steps──> frame 1 ──every steps──> … ──> frame F = the next moment

A chunk ends where its episode does, as in a journey: the frames that would follow are that last one again.
"""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import ImageArray
from vla_mbpo_ros.sim.tabletop.actions import to_action
from vla_mbpo_ros.sim.tabletop.journeys import Journeys
from vla_mbpo_ros.sim.tabletop.vector import IntArray, Pool


def film(pool: Pool, journeys: Journeys, chunks: IntArray, every: int) -> ImageArray:
    """(B, F, V, H, W, 3) of these chunks, F = K / every. The pool is left at their ends."""
    if every < 1 or journeys.horizon % every:
        cause = f"A frame every {every} steps was asked for, of chunks of {journeys.horizon}."
        raise ContractError(cause, "The second must be a multiple of the first.")
    if not journeys.live[chunks].all():
        raise ContractError("Some of these chunks begin after their episode's end.", "Choose by `journeys.live`.")
    begin = journeys.start[chunks]
    actions = to_action(journeys.chunks[chunks])
    pool.restore(journeys.snapshots(begin), observe=False)
    going = np.arange(len(begin))
    frames = [journeys.images[begin]]
    for first in range(0, journeys.horizon, every):
        frame = frames[-1].copy()
        if going.size:
            result = pool.step_chunk(actions[going, first : first + every], going)
            frame[going] = result.observations.images
            going = going[~result.done]
        frames.append(frame)
    return np.stack(frames[1:], axis=1)
