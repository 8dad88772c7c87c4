"""Sizes of pi0 and pi0.5, any of them by configuration.

| | pi0 | pi0.5 |
|---|---|---|
| state | a token in front of the actions | bins in the prompt, or not at all |
| flow time | mixed into every action token | scales, shifts and gates every norm of the expert (adaRMS) |
| statistics | z-score | quantile |
| prompt | 48 tokens | 200 tokens |
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.errors import ConfigError, UnknownName
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Z_SCORE

PI0, PI05 = "pi0", "pi05"
KINDS = (PI0, PI05)
STATISTICS = {PI0: Z_SCORE, PI05: QUANTILE}
SLOTS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
MAX_TOKENS = {PI0: 48, PI05: 200}


@dataclass(frozen=True)
class VisionConfig:
    """The image tower: patches, then a plain transformer."""

    width: int = leaf(1152, "Width of a token.", low=1)
    depth: int = leaf(27, "Layers.", low=1)
    mlp: int = leaf(4304, "Width inside a layer.", low=1)
    heads: int = leaf(16, "Attention heads.", low=1)
    patch: int = leaf(14, "Side of a patch.", unit="pixel", low=1)
    image: int = leaf(224, "Side of an image.", unit="pixel", low=1)

    @property
    def tokens(self) -> int:
        """Of one image."""
        return (self.image // self.patch) ** 2


@dataclass(frozen=True)
class GemmaConfig:
    """A decoder: the trunk or the action expert."""

    width: int = leaf(2048, "Width of a token.", low=2)
    mlp: int = leaf(16384, "Width inside a layer.", low=1)


@dataclass(frozen=True)
class PiConfig:
    """The whole network. Trunk and expert share depth and heads: layer i of one reads layer i of the other."""

    kind: str = leaf(PI05, "Which of the two.", choices=KINDS)
    horizon: int = leaf(50, "Steps in a chunk.", low=1, high=1000)
    action_dim: int = leaf(32, "Dimensions of an action, padding included; those of the state are as many.", low=1)
    vocabulary: int = leaf(257152, "Tokens that text may have.", low=1)
    depth: int = leaf(18, "Layers of trunk and expert.", low=1)
    heads: int = leaf(8, "Attention heads of both.", low=1)
    kv_heads: int = leaf(1, "Heads of keys and values; several heads share one.", low=1)
    head_dim: int = leaf(256, "Width of a head.", low=2)
    vision: VisionConfig = field(default_factory=VisionConfig)
    trunk: GemmaConfig = field(default_factory=GemmaConfig)
    expert: GemmaConfig = field(default_factory=lambda: GemmaConfig(1024, 4096))

    def __post_init__(self) -> None:
        for what, whole, part in (
            ("vision.image by vision.patch", self.vision.image, self.vision.patch),
            ("vision.width by vision.heads", self.vision.width, self.vision.heads),
            ("heads by kv_heads", self.heads, self.kv_heads),
            ("head_dim by 2", self.head_dim, 2),
            ("expert.width by 2", self.expert.width, 2),
        ):
            if whole % part:
                raise ConfigError(f"{what} is {whole} by {part}.", "The first must be a multiple of the second.")

    @property
    def adaptive(self) -> bool:
        """Flow time comes by the norms, not by the tokens."""
        return self.kind == PI05


def _tiny(kind: str) -> PiConfig:
    """Everything there, and small: for tests and for a look at a machine."""
    vision = VisionConfig(width=32, depth=2, mlp=48, heads=4, patch=14, image=28)
    sizes = {"horizon": 6, "action_dim": 8, "vocabulary": 259, "depth": 2, "heads": 4, "kv_heads": 1, "head_dim": 8}
    return PiConfig(kind, **sizes, vision=vision, trunk=GemmaConfig(32, 64), expert=GemmaConfig(16, 40))


_PRESETS = {
    "pi0": PiConfig(PI0),
    "pi05": PiConfig(PI05),
    "pi05_libero": PiConfig(PI05, horizon=10),
    "tiny_random": _tiny(PI05),
    "tiny_random_pi0": _tiny(PI0),
}
PRESETS = tuple(_PRESETS)


def preset(name: str, horizon: int = 0) -> PiConfig:
    """A configuration by name, with another horizon if one is given."""
    if name not in _PRESETS:
        raise UnknownName("preset", name, _PRESETS)
    return replace(_PRESETS[name], horizon=horizon) if horizon else _PRESETS[name]
