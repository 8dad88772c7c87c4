"""What many worlds show at once, as a policy's inputs.

The same numbers as `InputMaker` makes of observations one by one, from whole arrays: pictures that have the network's
size already are only scaled, and an instruction is read once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.policy.flow.inputs import InputMaker
from vla_mbpo_ros.policy.flow.net import Inputs
from vla_mbpo_ros.policy.flow.text import PLAIN
from vla_mbpo_ros.schema import FloatArray, ImageArray, Observation

_Tokens = tuple[Tensor, Tensor]  # (1, L) and (1, L)


class ArrayReader:
    """`cameras` names the views of the arrays, in their order."""

    def __init__(self, maker: InputMaker, cameras: Sequence[str]) -> None:
        missing = [name for name in maker.cfg.camera_names if name not in cameras]
        if missing:
            raise ContractError(
                f"The policy looks through {', '.join(missing)}, the world shows {', '.join(cameras)}.",
                "Train a policy on this world's cameras.",
            )
        self.maker, self.cameras = maker, tuple(cameras)
        self._slots = [self.cameras.index(camera) for camera in maker.cfg.cameras.values() if camera]
        self._read: dict[str, _Tokens] = {}

    def __call__(
        self,
        images: ImageArray,  # (B, V, H, W, 3)
        state: FloatArray,  # (B, N) in the robot's units
        instructions: Sequence[str],  # (B)
        device: torch.device | str = "cpu",
    ) -> Inputs:
        if not self._is_plain(images):
            return self.maker(self._observations(images, state, instructions), device)
        pixels = torch.from_numpy(images[:, self._slots]).to(device).permute(0, 1, 4, 2, 3)
        tokens = [self._tokens(text) for text in instructions]
        return Inputs(
            images=pixels.float() / 127.5 - 1.0,
            image_mask=torch.ones(pixels.shape[:2], dtype=torch.bool, device=device),
            tokens=torch.cat([one[0] for one in tokens]).to(device),
            token_mask=torch.cat([one[1] for one in tokens]).to(device),
            state=self._state(state).to(device),
        )

    def _is_plain(self, images: ImageArray) -> bool:
        cfg = self.maker.cfg
        sized = images.shape[2:4] == (cfg.image_size, cfg.image_size) and images.dtype == np.uint8
        return sized and cfg.prompt == PLAIN and len(self._slots) == len(cfg.cameras)

    def _tokens(self, text: str) -> _Tokens:
        """By the policy's own maker, once for every instruction."""
        if text not in self._read:
            side = self.maker.cfg.image_size
            views = {camera: np.zeros((side, side, 3), dtype=np.uint8) for camera in self.maker.cfg.camera_names}
            nothing = Observation(0, views, np.array(self.maker.normalisation.state.zero), text)
            made = self.maker([nothing], "cpu")
            self._read[text] = made.tokens, made.token_mask
        return self._read[text]

    def _state(self, state: FloatArray) -> Tensor:
        """(B, S) normalised, padded to the network's width."""
        made = torch.zeros(len(state), self.maker.state_dim)
        if self.maker.cfg.state_input:
            normalised = self.maker.normalisation.state.normalise(state)
            made[:, : normalised.shape[1]] = torch.from_numpy(normalised).float()
        return made

    def _observations(self, images: ImageArray, state: FloatArray, instructions: Sequence[str]) -> list[Observation]:
        wanted = self.maker.cfg.camera_names
        places = [(name, index) for index, name in enumerate(self.cameras) if name in wanted]
        return [
            Observation(0, {name: images[row, index] for name, index in places}, state[row], text)
            for row, text in enumerate(instructions)
        ]
