"""Sizes of an autoencoder. The defaults are the small one's."""

from __future__ import annotations

from dataclasses import dataclass

from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.errors import ConfigError


@dataclass(frozen=True)
class AutoencoderConfig:
    """One network for all: what differs between ours and FLUX's is written here."""

    widths: tuple[int, ...] = leaf((40, 56, 64), "Channels of each level; between two of them the side halves.")
    encoder_blocks: int = leaf(1, "Residual blocks of a level on the way in.", low=1, high=8)
    decoder_blocks: int = leaf(1, "Residual blocks of a level on the way out.", low=1, high=8)
    patch: int = leaf(4, "Pixels side by side that the first layer takes as channels of one place.", low=1, high=8)
    latent_channels: int = leaf(32, "Numbers of a latent token.", low=1, high=256)
    groups: int = leaf(8, "Groups of channels that are normalised together.", low=1, high=64)
    middle: bool = leaf(False, "Two blocks and attention at the coarsest level.")
    sampled: bool = leaf(False, "The encoder says mean and log-variance of a latent, not the latent.")
    scale: float = leaf(1.0, "Latents are scale · (z - shift).", low=1e-6)
    shift: float = leaf(0.0, "Latents are scale · (z - shift).")

    def __post_init__(self) -> None:
        uneven = [width for width in self.widths if width % self.groups]
        if not self.widths or uneven:
            cause = f"Widths {self.widths} cannot be normalised in {self.groups} groups."
            raise ConfigError(cause, "Give widths that are multiples of the number of groups.")

    @property
    def downsample(self) -> int:
        """Pixels of a side for one latent token."""
        return int(self.patch * 2 ** (len(self.widths) - 1))


TINY = AutoencoderConfig()  # 64x64 -> 4x4 tokens of 32 numbers
FLUX = AutoencoderConfig(
    widths=(128, 256, 512, 512),
    encoder_blocks=2,
    decoder_blocks=3,
    patch=1,
    latent_channels=16,
    groups=32,
    middle=True,
    sampled=True,
    scale=0.3611,
    shift=0.1159,
)
