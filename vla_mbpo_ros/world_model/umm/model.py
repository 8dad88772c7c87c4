"""UMM-World behind the protocol: pictures, instructions and chunks in; pictures, success and state out.

    pictures ──autoencoder──> latents ─┐
    chunks ──codec──> levels ──────────┼──> sequences ──sampling──> latents ──autoencoder──> pictures ──judge──> success
    instructions ──vocabulary──────────┘

A view that was made is decoded to the picture that the caller gets and encoded again before the next view sees it:
what one view is conditioned on is what the other one shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder import Autoencoder
from vla_mbpo_ros.models.pictures import fit_all, from_network, to_network
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.world_model.actions import ActionCodec
from vla_mbpo_ros.world_model.arrival import Arrival
from vla_mbpo_ros.world_model.builders import Context, Shape
from vla_mbpo_ros.world_model.commanded import state_after
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, StateSource, WorldModel, go_on, refuse_misfit
from vla_mbpo_ros.world_model.sequence import Block, Kind
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.net import UmmNet
from vla_mbpo_ros.world_model.umm.reward import success
from vla_mbpo_ros.world_model.umm.sampling import Sampler, contexts, repeated, sample, seeded_noise
from vla_mbpo_ros.world_model.vocabulary import Vocabulary


@dataclass(frozen=True)
class Around:
    """What the network needs to be a world model of a robot."""

    autoencoder: Autoencoder
    vocabulary: Vocabulary
    codec: ActionCodec
    robot: RobotSpec
    views: tuple[str, ...]  # camera names, the head first
    ivd: bool = True  # interleaved view decoding
    commands: bool = True  # chunks are in the robot's units, so their last step says a state; False: in [-1, 1]
    arrival: Arrival | None = None  # what says the state after a chunk; None: its last command does


class UmmWorld:
    """A `WorldModel`."""

    def __init__(self, net: UmmNet, around: Around, version: str, sampler: Sampler = sample) -> None:
        _check(net, around)
        self.net, self.around, self.version, self.sampler = net.eval(), around, version, sampler
        latent = net.cfg.latent
        self.shape = Shape(len(around.views), latent.tokens, net.cfg.vit.tokens, around.ivd)
        self.size = (latent.height * around.autoencoder.downsample, latent.breadth * around.autoencoder.downsample)
        self.views, self.horizon = around.views, around.codec.horizon

    @torch.inference_mode()
    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        around = self.around
        refuse_misfit(self, around.codec.dof, scenes, chunks, seeds)
        images = from_network(torch.stack(self._made(scenes, chunks, seeds, pause), dim=1))
        pause()
        seen = self.clean(images)
        state, source = self._state_after(scenes, chunks, seen)
        return Dreams(images, self._judged(seen, scenes.instructions), state, source)

    @torch.inference_mode()
    def judge(self, scenes: Scenes) -> FloatArray:
        return self._judged(self.clean(scenes.images), scenes.instructions)

    def sample_by(self, details: float | None = None, **changes: Any) -> None:
        """Other settings of the sampler from now on, such as `spread=0.0`; and of `latent.details`."""
        cfg = self.net.cfg
        latent = cfg.latent if details is None else replace(cfg.latent, details=details)
        self.net.cfg = replace(cfg, sampler=replace(cfg.sampler, **changes), latent=latent)

    def dynamics_blocks(
        self, instructions: Sequence[str], chunks: FloatArray, state: FloatArray, draws: int = 1
    ) -> list[tuple[Block, ...]]:
        """A sequence for each row; `draws` views of noise side by side, for training."""
        around, shape = self.around, replace(self.shape, draws=draws)
        levels = around.codec.encode(chunks, state).levels
        told = around.codec.encode_state(state) if around.codec.needs_state else None
        repeat = self.net.cfg.repeat_actions
        return assemble.dynamics_blocks(shape, around.vocabulary, instructions, levels, told, repeat)

    def _judged(self, seen: assemble.Clean, instructions: Sequence[str]) -> FloatArray:
        words, device = self.around.vocabulary, self.net.device
        blocks = assemble.reward_blocks(self.shape, words, instructions)
        layout = assemble.branches(blocks, words, (Context.ALL,), device)
        tokens = self.net.image_tokens(assemble.images(layout, [seen]))
        found: FloatArray = success(self.net, layout, tokens, words).double().cpu().numpy()
        return found

    def _state_after(self, scenes: Scenes, chunks: FloatArray, seen: assemble.Clean) -> tuple[FloatArray, StateSource]:
        around = self.around
        if around.arrival is None:
            return state_after(around.robot, scenes, chunks, around.commands)
        return around.arrival.state_after(around.robot, scenes, chunks, seen.latents), StateSource.PREDICTED

    def _made(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1], every view after the chunk."""
        around, cfg = self.around, self.net.cfg
        blocks = self.dynamics_blocks(scenes.instructions, chunks, scenes.state)
        which = contexts(cfg.sampler)
        layout = assemble.branches(blocks, around.vocabulary, which, self.net.device)
        now = self._pixels(scenes.images)
        seen = assemble.clean(now, around.autoencoder, cfg)
        tokens = repeated(self.net.image_tokens(assemble.images(layout, [seen])), len(which))
        noise = seeded_noise(seeds, layout, self.net)
        details = assemble.details(now, seen.latents, around.autoencoder, cfg)

        def picture(view: int, latents: Tensor) -> Tensor:
            return assemble.picture(view, latents, around.autoencoder, cfg, details)

        def again(view: int, latents: Tensor) -> Mapping[Kind, Tensor]:
            """A view that was made, as the next ones see it."""
            shown = self.clean(from_network(picture(view, latents)[:, None]))
            held = {Kind.LATENT: shown.latents[:, 0]}
            return held if shown.pixels is None else {**held, Kind.VIT: shown.pixels[:, 0]}

        latents = self.sampler(self.net, layout, tokens, noise, again, pause)
        return [picture(view, each) for view, each in enumerate(latents)]

    def clean(self, images: ImageArray) -> assemble.Clean:
        """Pictures (B, V, H, W, 3) as the network sees them."""
        return assemble.clean(self._pixels(images), self.around.autoencoder, self.net.cfg)

    def _pixels(self, images: ImageArray) -> Tensor:
        """(B, V, 3, H, W) in [-1, 1]"""
        return to_network(fit_all(images, self.size[0]), self.net.device)


def _check(net: UmmNet, around: Around) -> None:
    latent = net.cfg.latent
    if latent.channels != around.autoencoder.latent_channels:
        cause = f"The network takes latents of {latent.channels} channels, the autoencoder makes "
        raise ContractError(f"{cause}{around.autoencoder.latent_channels}.", "Give the one that it was trained with.")
    if latent.height != latent.breadth:
        cause = f"The network's views have {latent.height} x {latent.breadth} latents."
        raise ContractError(cause, "Pictures are square here: give as many rows as columns.")
    if net.cfg.trunk.vocabulary < around.vocabulary.size:
        cause = f"The vocabulary has {around.vocabulary.size} tokens, the network knows {net.cfg.trunk.vocabulary}."
        raise ContractError(cause, "Give the one that it was trained with.")


if TYPE_CHECKING:  # it keeps the protocol
    _KEPT: type[WorldModel] = UmmWorld
