"""A transformer over the tokens of all frames and views; the first frame is now and clean, the others are noise.

    frames 0 … F of V views, T tokens each ──linear, + what is now there, place, view, frame──┐
                                                                                              ▼
    frame 0:  state, t = 0                      ──> hints (B, F + 1, W) ──steer──> layers, attention over all
    frame f:  actions that lead to it, state, t ──┘                                           │
                                                                                              ▼
                                                           velocity of the frames 1 … F  (B, F, V, T, D)

Each frame is told its own actions, as a camera's move is told to each frame of a film (Ctrl-World does so by
attention; here they scale, shift and gate what a layer does, as DiT does with the time). Each token is told the
latent that is now at its place, as video models are that begin from a picture: most of it stays. It is told no words.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig
from vla_mbpo_ros.world_model.umm.embed import TimeEmbedder, sine_table


@dataclass(frozen=True)
class Told:
    """What B predictions begin with."""

    now: Tensor  # (B, V, T, D) latents
    actions: Tensor  # (B, K, N) levels, brought to [-1, 1]
    state: Tensor  # (B, N) the same


class VideoNet(nn.Module):
    """Its velocity is zero before it has learnt anything."""

    place: Tensor

    def __init__(self, cfg: VideoConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.latent_in = nn.Linear(cfg.latent.width, cfg.width)
        self.now_in = nn.Linear(cfg.latent.width, cfg.width, bias=False)
        self.view = nn.Parameter(torch.randn(cfg.views, 1, cfg.width) * 0.02)
        self.frame = nn.Parameter(torch.randn(cfg.frames + 1, 1, 1, cfg.width) * 0.02)
        self.time = TimeEmbedder(cfg.width)
        self.action = _two_layers(cfg.every * cfg.dof, cfg.width)
        self.state = _two_layers(cfg.dof, cfg.width)
        self.layers = nn.ModuleList(Layer(cfg) for _ in range(cfg.layers))
        self.last = nn.Linear(cfg.width, 2 * cfg.width)  # scale and shift
        self.latent_out = nn.Linear(cfg.width, cfg.latent.width)
        self.make_table()
        for layer in (self.last, self.latent_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def make_table(self, device: torch.device | str | None = None) -> None:
        """The table of places follows from its formula and is in no checkpoint."""
        self.register_buffer("place", sine_table(self.cfg.width, self.cfg.latent.grid).to(device), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.latent_in.weight.device

    def forward(self, x: Tensor, t: Tensor, told: Told) -> Tensor:
        """x (B, F, V, T, D) at flow time t (B,) -> velocity of that shape."""
        frames = torch.cat([told.now[:, None], x], dim=1)
        seen = self.latent_in(frames) + self.now_in(told.now)[:, None]
        tokens = seen + self.place + self.view + self.frame  # (B, F + 1, V, T, W)
        hidden, hints = tokens.flatten(2, 3), self._hints(t, told)
        for layer in self.layers:
            hidden = layer(hidden, hints)
        scale, shift = self.last(F.silu(hints))[:, 1:, None].chunk(2, dim=-1)
        found: Tensor = self.latent_out(_unit(hidden[:, 1:]) * (1.0 + scale) + shift)
        return found.float().reshape(x.shape)

    def _hints(self, t: Tensor, told: Told) -> Tensor:
        """(B, F + 1, W) what each frame is told."""
        times = torch.cat([torch.zeros_like(t)[:, None], t[:, None].expand(-1, self.cfg.frames)], dim=1)
        leading = self.action(told.actions.reshape(len(t), self.cfg.frames, -1))
        actions = F.pad(leading, (0, 0, 1, 0))  # nothing leads to the first frame
        hints: Tensor = self.time(times) + actions + self.state(told.state)[:, None]
        return hints


class Layer(nn.Module):
    """Attention of every token to every token, then two layers on each; the hints steer both."""

    def __init__(self, cfg: VideoConfig) -> None:
        super().__init__()
        self.heads = cfg.heads
        self.qkv, self.out = nn.Linear(cfg.width, 3 * cfg.width), nn.Linear(cfg.width, cfg.width)
        self.up, self.down = nn.Linear(cfg.width, cfg.mlp), nn.Linear(cfg.mlp, cfg.width)
        self.steer = nn.Linear(cfg.width, 6 * cfg.width)
        nn.init.zeros_(self.steer.weight)
        nn.init.zeros_(self.steer.bias)

    def forward(self, x: Tensor, hints: Tensor) -> Tensor:
        """x (B, F + 1, V T, W), hints (B, F + 1, W)"""
        scale1, shift1, gate1, scale2, shift2, gate2 = self.steer(F.silu(hints))[:, :, None].chunk(6, dim=-1)
        x = x + gate1 * self._attention(_unit(x) * (1.0 + scale1) + shift1)
        inner = _unit(x) * (1.0 + scale2) + shift2
        result: Tensor = x + gate2 * self.down(F.gelu(self.up(inner), approximate="tanh"))
        return result

    def _attention(self, x: Tensor) -> Tensor:
        tokens = x.shape[1] * x.shape[2]
        flat = self.qkv(x).reshape(len(x), tokens, 3, self.heads, -1)
        q, k, v = flat.permute(2, 0, 3, 1, 4)  # (B, heads, tokens, width of one)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        result: Tensor = self.out(mixed).reshape(x.shape)
        return result


def _unit(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def _two_layers(inputs: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))
