"""Sizes and settings of the video rival. The defaults are for 64x64 views and two CPU cores: 1.6 M parameters."""

from __future__ import annotations

from dataclasses import dataclass, field

from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.world_model.umm.config import LatentConfig


@dataclass(frozen=True)
class VideoConfig:
    """The whole model, without its autoencoder."""

    width: int = leaf(128, "Width of a token.", low=4)
    layers: int = leaf(5, "Layers.", low=1)
    heads: int = leaf(2, "Attention heads; width / heads is the width of one.", low=1)
    mlp: int = leaf(512, "Width inside a layer.", low=1)
    views: int = leaf(2, "Cameras: the head's, then the wrists'.", low=1, high=16)
    horizon: int = leaf(10, "Control steps of a chunk.", low=1)
    dof: int = leaf(7, "Numbers of an action and of the state.", low=1)
    every: int = leaf(2, "Control steps from one frame to the next.", low=1)
    latent: LatentConfig = field(default_factory=LatentConfig)
    euler_steps: int = leaf(10, "Steps from noise to the frames.", low=1)
    timestep_shift: float = leaf(
        4.0, "s in t -> s t / (1 + (s - 1) t), of training and sampling: more of the time is spent near noise.", low=1.0
    )

    def __post_init__(self) -> None:
        for what, whole, part in (
            ("width by heads", self.width, self.heads),
            ("width by 4", self.width, 4),
            ("horizon by every", self.horizon, self.every),
            ("latent.height by latent.patch", self.latent.height, self.latent.patch),
            ("latent.breadth by latent.patch", self.latent.breadth, self.latent.patch),
        ):
            if whole % part:
                raise ConfigError(f"{what} is {whole} by {part}.", "The first must be a multiple of the second.")

    @property
    def frames(self) -> int:
        """Frames that are predicted, the last one at the end of the chunk."""
        return self.horizon // self.every

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(F, V, T, D) of one prediction."""
        return self.frames, self.views, self.latent.tokens, self.latent.width
