"""Bags as a learner thinks of them: observations put together by one rule, and an episode as rows.

alignment.py      what belongs together: latest at or before T, nearest, or the closest set
observations.py   messages -> Observation; the same object live in policy_node and offline here
contract_bag.py   a bag, asked by the names of the contract
frames.py         the images of one camera, decoded when asked for
episode.py        Episode: rows on the control grid
reader.py         bag -> Episode
"""

from vla_mbpo_ros.data.episodes.episode import NO_FRAME, Episode, Frames
from vla_mbpo_ros.data.episodes.reader import read_episode

__all__ = ["NO_FRAME", "Episode", "Frames", "read_episode"]
