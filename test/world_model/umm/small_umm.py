"""Networks of a few thousand numbers with everything in them, and sequences for them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from vla_mbpo_ros.world_model.builders import Shape
from vla_mbpo_ros.world_model.sequence import IntArray, Kind
from vla_mbpo_ros.world_model.umm.assemble import Clean
from vla_mbpo_ros.world_model.umm.config import LatentConfig, SamplerConfig, TrunkConfig, UmmConfig, VitConfig
from vla_mbpo_ros.world_model.umm.net import UmmNet
from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary

WORDS = ByteVocabulary()
TRUNK = TrunkConfig(width=32, layers=2, heads=4, kv_heads=2, mlp=48, vocabulary=WORDS.size)
VIT = VitConfig(layers=2, width=24, heads=2, mlp=32, patch=4, height=8, breadth=8, max_side=5)
SMALL = UmmConfig(TRUNK, VIT, LatentConfig(height=4, breadth=4, channels=6, patch=2), SamplerConfig(euler_steps=4))
BLIND = replace(SMALL, vit=VitConfig())
GUIDED = replace(SMALL, sampler=SamplerConfig(euler_steps=4, text_scale=6.0, image_scale=2.0))


def small_net(cfg: UmmConfig = SMALL, seed: int = 0) -> UmmNet:
    """Random weights, also where training begins at zero; the two experts differ."""
    net = UmmNet(cfg)
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        spread = 0.3 if parameter.ndim < 2 else parameter.shape[1] ** -0.5
        nn.init.normal_(parameter, mean=float(parameter.ndim < 2) * 0.5, std=spread, generator=generator)
    return net.eval()


def shape_of(cfg: UmmConfig, views: int = 2, ivd: bool = True) -> Shape:
    return Shape(views, cfg.latent.tokens, cfg.vit.tokens, ivd)


def clean_views(cfg: UmmConfig, rows: int, seed: int, views: int = 2) -> Clean:
    """Any views at one moment."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(rows, views, cfg.latent.tokens, cfg.latent.width, generator=generator)
    pixels = torch.rand(rows, views, 3, cfg.vit.height, cfg.vit.breadth, generator=generator) * 2 - 1
    return Clean(latents, pixels if cfg.vit.layers else None)


def held(moment: Clean, view: int) -> dict[Kind, torch.Tensor]:
    """What the clean copies of a view hold."""
    found = {Kind.LATENT: moment.latents[:, view]}
    return found if moment.pixels is None else {**found, Kind.VIT: moment.pixels[:, view]}


def some_levels(rows: int, seed: int = 0) -> IntArray:
    """(B, 3, 2)"""
    return torch.randint(0, 257, (rows, 3, 2), generator=torch.Generator().manual_seed(seed)).numpy()
