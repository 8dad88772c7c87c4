"""Bags -> what a learner eats: transitions over chunks of k steps, and labelled images for the success classifier.

    bags ──cache.py──> memory-mapped arrays ──windows.py──> windows ──transitions.py──> samples
                               │                                        rewards.py ─────> samples
                               └──statistics.py──> normalisation        loader.py ──────> batches

    settings.py     what is made of an episode           report.py     what was left out, and why
    folder.py       where the bags are, what they are    splits.py     by episode, never by frame
    episode_set.py   the whole set of episodes: start here

    episodes = open_episodes("bags", DatasetSettings(k=8, size=(224, 224)))
    batches = make_loader(episodes.transitions("train"), batch_size=32, workers=2, seed=0)   # loader.py, needs torch

Only `loader.py` imports torch. The rest of the room is as free of it as of ROS.
"""

from vla_mbpo_ros.data.dataset.episode_set import EpisodeSet, open_episodes
from vla_mbpo_ros.data.dataset.rewards import RewardSample, RewardSamples
from vla_mbpo_ros.data.dataset.settings import DatasetSettings
from vla_mbpo_ros.data.dataset.statistics import ColumnStatistics, Statistics, load_statistics
from vla_mbpo_ros.data.dataset.transitions import Transition, Transitions

__all__ = [
    "ColumnStatistics",
    "DatasetSettings",
    "EpisodeSet",
    "RewardSample",
    "RewardSamples",
    "Statistics",
    "Transition",
    "Transitions",
    "load_statistics",
    "open_episodes",
]
