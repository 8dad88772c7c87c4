"""Settings of a flow policy, kept beside its weights: what it sees, and how it samples. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.policy.flow.text import PROMPTS, STATE

MASK, REFUSE = "mask", "refuse"


@dataclass(frozen=True)
class FlowConfig:
    """How a chunk is made from noise, and what of it counts as the policy's choice."""

    steps: int = leaf(3, "Denoising steps from noise to action.", low=1, high=1000)
    executed_steps: int = leaf(
        0, "Leading steps of a chunk that are executed, and so left to chance and counted; 0: all.", low=0
    )
    logprob_reduce: str = leaf(
        "sum",
        "The log-probability of a chain: the sum over its S + 1 terms, or their mean.",
        choices=("sum", "mean"),
    )
    noise_low: float = leaf(0.08, "Flow-Noise: the least standard deviation.", low=1e-6, high=10.0)
    noise_high: float = leaf(0.16, "Flow-Noise: the greatest standard deviation.", low=1e-6, high=10.0)
    noise_start: float = leaf(
        0.0, "Flow-Noise: the standard deviation before training; 0: the geometric middle.", low=0.0, high=10.0
    )
    noise_level: float = leaf(0.5, "Flow-SDE: how far it strays from the flow.", low=1e-6, high=10.0)
    noise_steps: int = leaf(
        0, "So many last denoising steps are left to chance; what comes before follows the flow. 0: all.", low=0
    )
    noise_basis: int = leaf(
        0, "Noise in so many lowest cosines over the executed steps; 0: at every step by itself.", low=0, high=1000
    )
    noise_dims: tuple[str, ...] = leaf((), "Names of the action dimensions that get noise; none named: all.")
    noise_hidden: tuple[int, ...] = leaf((128, 64), "Flow-Noise: widths of the hidden layers of its head.")
    value_hidden: tuple[int, ...] = leaf((1024, 512, 256), "Widths of the hidden layers of the value head.")


@dataclass(frozen=True)
class InputConfig:
    """What a policy sees, kept beside its weights."""

    cameras: dict[str, str] = leaf(  # noqa: RUF009 (leaf makes a field)
        {"head": "head"}, "The network's image slots in order, and the robot's camera in each; '' leaves one empty."
    )
    image_size: int = leaf(64, "Side of the square image.", unit="pixel", low=8, high=1024)
    antialias: bool = leaf(True, "Shrink images as image libraries do, not by picking pixels.")
    missing_camera: str = leaf(
        REFUSE, "An observation without one of the cameras: masked, or refused.", choices=(MASK, REFUSE)
    )
    prompt: str = leaf("plain", "The instruction alone, or with the state in it.", choices=PROMPTS)
    max_tokens: int = leaf(64, "Longest prompt.", low=1, high=4096)
    state_input: bool = leaf(True, "The network takes the normalised state as numbers.")
    relative: tuple[str, ...] = leaf((), "Names of the actions that are relative to the state of the same name.")

    @property
    def uses_state(self) -> bool:
        """Whether the joint state changes the proposal."""
        return self.state_input or self.prompt == STATE or bool(self.relative)

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The robot's cameras that the policy looks through."""
        return tuple(camera for camera in self.cameras.values() if camera)
