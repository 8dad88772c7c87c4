"""From observations to a network's tensors. Every refusal says what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.policy.flow.config import MASK, InputConfig
from vla_mbpo_ros.policy.flow.images import check_image, to_network
from vla_mbpo_ros.policy.flow.net import Inputs
from vla_mbpo_ros.policy.flow.normalisation import Normalisation
from vla_mbpo_ros.policy.flow.text import Tokenizer, padded, prompt_tokens
from vla_mbpo_ros.schema import FloatArray, Observation


@dataclass(frozen=True)
class InputMaker:
    """Turns observations into `Inputs`."""

    cfg: InputConfig
    normalisation: Normalisation
    tokenizer: Tokenizer
    state_dim: int  # the network's

    def states(self, observations: Sequence[Observation]) -> FloatArray:
        """(B, N) in the robot's units; (B, 0) for a policy that does not read them."""
        if not self.cfg.uses_state:
            return np.zeros((len(observations), 0))
        return np.stack([self._state(observation.state) for observation in observations])

    def __call__(self, observations: Sequence[Observation], device: torch.device | str) -> Inputs:
        if not observations:
            raise ContractError("A policy got no observation.", "Give at least one.")
        states = self.states(observations)
        normalised = self.normalisation.state.normalise(states) if self.cfg.uses_state else states
        images, image_mask = self._images(observations)
        tokens, token_mask = self._tokens(observations, normalised)
        made = (images, image_mask, tokens, token_mask, self._padded_state(normalised))
        return Inputs(*(tensor.to(device) for tensor in made))

    def _state(self, state: FloatArray) -> FloatArray:
        names = self.normalisation.state.names
        if np.shape(state) != (len(names),):
            cause = f"The policy got a state of shape {np.shape(state)}, it was trained on ({len(names)},)."
            raise ContractError(cause, f"It expects: {', '.join(names)}.")
        if not np.isfinite(state).all():
            bad = [name for name, number in zip(names, state, strict=True) if not np.isfinite(number)]
            raise NotFinite(f"The state is not finite at {', '.join(bad)}.", "Look at the robot's joint states.")
        return np.asarray(state, dtype=np.float64)

    def _padded_state(self, normalised: FloatArray) -> Tensor:
        made = torch.zeros(len(normalised), self.state_dim)
        if self.cfg.state_input:
            made[:, : normalised.shape[1]] = torch.from_numpy(normalised).float()
        return made

    def _images(self, observations: Sequence[Observation]) -> tuple[Tensor, Tensor]:
        """(B, V, 3, H, W) and (B, V)"""
        rows = [self._row(observation) for observation in observations]
        mask = torch.tensor([[image is not None for image in row] for row in rows])
        black = torch.full((3, self.cfg.image_size, self.cfg.image_size), -1.0)
        return torch.stack([torch.stack([black if one is None else one for one in row]) for row in rows]), mask

    def _row(self, observation: Observation) -> list[Tensor | None]:
        self._check_cameras(observation)
        row: list[Tensor | None] = []
        for camera in self.cfg.cameras.values():
            image = observation.images.get(camera)
            if image is not None:
                check_image(image, camera)
            row.append(None if image is None else to_network(image, self.cfg.image_size, self.cfg.antialias))
        return row

    def _check_cameras(self, observation: Observation) -> None:
        known, came = self.cfg.camera_names, tuple(observation.images)
        missing = [camera for camera in known if camera not in came]
        extra = [camera for camera in came if camera not in known]
        if not extra and (not missing or (self.cfg.missing_camera == MASK and len(missing) < len(known))):
            return
        parts = [("missing", missing), ("unknown", extra)]
        detail = "; ".join(f"{word}: {', '.join(found)}" for word, found in parts if found)
        cause = f"The policy looks through {', '.join(known)}, it got {', '.join(came) or 'no image'} ({detail})."
        raise ContractError(cause, "Give it every camera by that name, and no other.")

    def _tokens(self, observations: Sequence[Observation], states: FloatArray) -> tuple[Tensor, Tensor]:
        """(B, L) and (B, L)"""
        rows = [
            padded(
                prompt_tokens(self.tokenizer, self.cfg.prompt, observation.instruction, state),
                self.cfg.max_tokens,
                observation.instruction,
            )
            for observation, state in zip(observations, states, strict=True)
        ]
        return torch.tensor([tokens for tokens, _ in rows]), torch.tensor([mask for _, mask in rows])
