"""Sizes and settings of a unified world model: small ones for two CPU cores, and Bagel's.

| | tiny | small | bagel_7b |
|---|---|---|---|
| parameters | 2.2 M | 0.34 B | 14.6 B |
| sees a view as | 16 latents | 64 latents, 64 patches | 256 latents, 324 patches |
| text | our own vocabulary | our own vocabulary | Qwen2's tokenizer |
| says the actions | once | once | before every view |
| guidance | off | off | the paper's Table 4 |

Both experts have the same sizes, so they are not told apart here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.errors import ConfigError, UnknownName
from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary


@dataclass(frozen=True)
class TrunkConfig:
    """The transformer that everything goes through."""

    width: int = leaf(128, "Width of a token.", low=2)
    layers: int = leaf(4, "Layers.", low=1)
    heads: int = leaf(2, "Attention heads; width / heads is the width of one.", low=1)
    kv_heads: int = leaf(1, "Heads of keys and values; several heads share one.", low=1)
    mlp: int = leaf(384, "Width inside a layer.", low=1)
    vocabulary: int = leaf(ByteVocabulary().size, "Tokens that text may have.", low=2)
    rope_theta: float = leaf(10_000.0, "Longest turn of the rotary embedding: its slowest wave.", low=1.0)
    norm_eps: float = leaf(1e-6, "Added to the mean square under the root.", low=0.0)

    @property
    def head_width(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True)
class VitConfig:
    """The encoder through which the understanding expert sees a view."""

    layers: int = leaf(0, "Layers; 0: there is no such encoder, latents are all that is seen.", low=0)
    width: int = leaf(1152, "Width of a patch.", low=1)
    heads: int = leaf(16, "Attention heads.", low=1)
    mlp: int = leaf(4304, "Width inside a layer.", low=1)
    patch: int = leaf(14, "Side of a patch.", unit="pixel", low=1)
    height: int = leaf(252, "Height that a view is brought to.", unit="pixel", low=1)
    breadth: int = leaf(252, "Its breadth.", unit="pixel", low=1)
    max_side: int = leaf(70, "Patches along the longest side that has a position.", low=1)
    norm_eps: float = leaf(1e-6, "Added to the variance under the root.", low=0.0)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches (rows, columns) of a view."""
        return self.height // self.patch, self.breadth // self.patch

    @property
    def tokens(self) -> int:
        return self.grid[0] * self.grid[1] if self.layers else 0


@dataclass(frozen=True)
class LatentConfig:
    """What the autoencoder makes of a view, and how it is cut into tokens."""

    height: int = leaf(4, "Rows of the autoencoder's latents.", low=1)
    breadth: int = leaf(4, "Their columns.", low=1)
    channels: int = leaf(32, "Numbers at each place.", low=1)
    patch: int = leaf(1, "Side of a token, in latents.", low=1)
    max_side: int = leaf(64, "Tokens along the longest side that has a position (the paper's max latent size).", low=1)
    details: float = leaf(
        0.0,
        "A dream keeps the details of the picture now where it differs by less than this (1: black from white); "
        "0: nowhere, for an autoencoder that does not blur.",
        low=0.0,
        high=1.0,
    )

    @property
    def grid(self) -> tuple[int, int]:
        """Tokens (rows, columns) of a view."""
        return self.height // self.patch, self.breadth // self.patch

    @property
    def tokens(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def width(self) -> int:
        """Numbers in a token."""
        return self.channels * self.patch**2


@dataclass(frozen=True)
class SamplerConfig:
    """How a view is made out of noise. A scale of 1 leaves its part of the guidance out, and its cost."""

    euler_steps: int = leaf(10, "Steps from noise to a view; the reference's 'num_timesteps' is one more.", low=1)
    text_scale: float = leaf(1.0, "How far to go from what is seen without the actions to what is seen with.", low=1.0)
    image_scale: float = leaf(1.0, "The same for the views now.", low=1.0)
    guided_from: float = leaf(0.4, "Guidance begins above this flow time; 1 is noise.", low=0.0, high=1.0)
    guided_to: float = leaf(1.0, "And ends at this one.", low=0.0, high=1.0)
    spread: float = leaf(
        1.0, "Deviation of the noise that a view begins with; 0: one dream, whatever the seed.", low=0.0, high=1.0
    )


@dataclass(frozen=True)
class LossConfig:
    """What is learnt, and how much of it."""

    ce_weight: float = leaf(0.1, "Of the cross entropy of Yes and No.", low=0.0)
    mse_weight: float = leaf(1.0, "Of the squared error of the velocity.", low=0.0)


@dataclass(frozen=True)
class UmmConfig:
    """The whole model, without its autoencoder."""

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    vit: VitConfig = field(default_factory=VitConfig)
    latent: LatentConfig = field(default_factory=LatentConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    repeat_actions: bool = leaf(
        False, "Say the actions before every view, not only before the first: guidance then amplifies them in each."
    )
    timestep_shift: float = leaf(
        4.0, "s in t -> s t / (1 + (s - 1) t), of training and sampling: more of the time is spent near noise.", low=1.0
    )

    def __post_init__(self) -> None:
        trunk, vit, latent = self.trunk, self.vit, self.latent
        for what, whole, part in (
            ("trunk.width by trunk.heads", trunk.width, trunk.heads),
            ("trunk.heads by trunk.kv_heads", trunk.heads, trunk.kv_heads),
            ("the width of a head by 2", trunk.head_width, 2),
            ("trunk.width by 4", trunk.width, 4),
            ("vit.width by vit.heads", vit.width, vit.heads),
            ("vit.height by vit.patch", vit.height, vit.patch),
            ("vit.breadth by vit.patch", vit.breadth, vit.patch),
            ("latent.height by latent.patch", latent.height, latent.patch),
            ("latent.breadth by latent.patch", latent.breadth, latent.patch),
        ):
            if whole % part:
                raise ConfigError(f"{what} is {whole} by {part}.", "The first must be a multiple of the second.")
        for name, grid, most in (("vit", vit.grid, vit.max_side), ("latent", latent.grid, latent.max_side)):
            if max(grid) > most:
                cause = f"{name} has a side of {max(grid)} tokens and positions for {most}."
                raise ConfigError(cause, f"Raise {name}.max_side, or take smaller views.")


_SMALL = UmmConfig(
    trunk=TrunkConfig(width=896, layers=12, heads=14, kv_heads=2, mlp=4096, rope_theta=1e6),
    vit=VitConfig(layers=12, width=384, heads=6, mlp=1536, patch=14, height=112, breadth=112),
    latent=LatentConfig(height=16, breadth=16, channels=16, patch=2),
    sampler=SamplerConfig(euler_steps=20),
)
_BAGEL = UmmConfig(
    trunk=TrunkConfig(
        width=3584, layers=28, heads=28, kv_heads=4, mlp=18944, vocabulary=152_064, rope_theta=1e6, norm_eps=1e-6
    ),
    vit=VitConfig(layers=26),
    latent=LatentConfig(height=32, breadth=32, channels=16, patch=2),
    sampler=SamplerConfig(euler_steps=49, text_scale=6.0, image_scale=2.0),
    loss=LossConfig(ce_weight=0.01),
    repeat_actions=True,
)
TINY_LATENT = LatentConfig(details=0.25)
_PRESETS = {"tiny": UmmConfig(latent=TINY_LATENT), "small": _SMALL, "bagel_7b": _BAGEL}
PRESETS = tuple(_PRESETS)


def preset(name: str) -> UmmConfig:
    """A configuration by name."""
    if name not in _PRESETS:
        raise UnknownName("preset", name, _PRESETS)
    return _PRESETS[name]
