"""Settings of the small network, kept beside its weights."""

from __future__ import annotations

from dataclasses import dataclass

from vla_mbpo_ros.config import leaf


@dataclass(frozen=True)
class TinyConfig:
    """Sizes of the small network."""

    views: int = leaf(2, "Image slots.", low=1, high=8)
    horizon: int = leaf(10, "Steps of a chunk.", low=1, high=1000)
    action_dim: int = leaf(7, "Numbers of one action.", low=1, high=64)
    state_dim: int = leaf(7, "Numbers of a state.", low=0, high=64)
    keypoints: int = leaf(24, "Places that the network follows in each view.", low=1, high=256)
    channels: int = leaf(16, "Width of the first picture layer; the others have twice as many.", low=4, high=512)
    text_width: int = leaf(64, "Width of what is understood of the instruction.", low=4, high=1024)
    context: int = leaf(256, "Width of what is known of an observation.", low=8, high=4096)
    width: int = leaf(320, "Width of the flow head.", low=8, high=4096)
    blocks: int = leaf(3, "Blocks of the flow head.", low=1, high=32)
    features: int = leaf(64, "Width of the features of one step, which the noise head reads.", low=4, high=1024)
