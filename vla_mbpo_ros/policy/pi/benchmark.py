"""How long a pi policy takes from images to a chunk, and how near that is to what the machine can do.

Weights are random: speed does not depend on them. Measured are the network's tensors in, its chunk out; reading
cameras and the node around it come on top.

        cached     encode once, then S steps of the expert       what a policy here does
        uncached   encode before every step                      for comparison
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.flow import euler
from vla_mbpo_ros.models.peaks import device_name, peak_of, wait_for
from vla_mbpo_ros.policy.flow.net import Inputs
from vla_mbpo_ros.policy.pi.config import MAX_TOKENS, SLOTS, PiConfig
from vla_mbpo_ros.policy.pi.net import PiNet, randomise


@dataclass(frozen=True)
class Run:
    """One measurement."""

    cfg: PiConfig
    device: str
    steps: int = 3
    views: int = 2
    repeats: int = 20
    compile: bool = False  # the expert's step by torch.compile

    def __post_init__(self) -> None:
        if min(self.steps, self.views, self.repeats) < 1 or self.views > len(SLOTS):
            told = f"steps {self.steps}, views {self.views}, repeats {self.repeats}"
            raise ConfigError(f"Cannot measure {told}.", f"Each from 1 on, and at most {len(SLOTS)} views.")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError("This machine has no CUDA device.", "Measure with --device cpu.")


@torch.no_grad()
def measure(run: Run) -> dict[str, Any]:
    """Times in ms: from tensors to a chunk, with one encoding and with one before every step."""
    net, inputs, noise = _make(run)
    step: Any = torch.compile(net.velocity) if run.compile else net.velocity

    def cached() -> Tensor:
        cache = net.encode(inputs)
        return euler(lambda x, t: step(cache, x, t)[0], noise, run.steps)[-1]

    def uncached() -> Tensor:
        return euler(lambda x, t: step(net.encode(inputs), x, t)[0], noise, run.steps)[-1]

    once, each = _times_ms(cached, run), _times_ms(uncached, run)
    return {
        "device": device_name(run.device),
        "dtype": str(net.words.weight.dtype).removeprefix("torch."),
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "steps": run.steps,
        "views": run.views,
        "horizon": run.cfg.horizon,
        "compiled": run.compile,
        "median_ms": float(np.median(once)),
        "p99_ms": float(np.percentile(once, 99)),
        "encode_median_ms": float(np.median(_times_ms(lambda: net.encode(inputs).pooled, run))),
        "uncached_median_ms": float(np.median(each)),
        "uncached_p99_ms": float(np.percentile(each, 99)),
        "n": run.repeats,
        **_roofline(run, net, float(np.median(once))),
    }


def least_work(run: Run, net: PiNet) -> list[tuple[float, float]]:
    """(FLOP, bytes of weights) of the parts one after the other: the image tower, the trunk, each step.

    Two FLOP for each weight and token, and attention; what moves between layers is left out, so the time that
    follows from it is a lower bound.
    """
    cfg, size = run.cfg, net.words.weight.element_size()
    patches, text = run.views * cfg.vision.tokens, MAX_TOKENS[cfg.kind]
    prefix, suffix = patches + text, cfg.horizon + (0 if cfg.adaptive else 1)
    vision, trunk, expert = (_count(part) for part in (net.vision, net.language, net.expert))
    looks = 4.0 * cfg.depth * cfg.heads * cfg.head_dim  # FLOP of one token looking at one other
    image_looks = 4.0 * cfg.vision.depth * cfg.vision.width * cfg.vision.tokens
    see = (2.0 * vision * patches + image_looks * patches, float(vision * size))
    read = (2.0 * trunk * prefix + looks * prefix * prefix, float(trunk * size))
    step = (2.0 * expert * suffix + looks * suffix * (prefix + suffix), float(expert * size))
    return [see, read, *[step] * run.steps]


def _roofline(run: Run, net: PiNet, median_ms: float) -> dict[str, Any]:
    """The least time that the work takes at the device's stated peaks, and the share of it that was reached."""
    work = least_work(run, net)
    found: dict[str, Any] = {"gflop": sum(flop for flop, _ in work) / 1e9, "weight_mb": sum(b for _, b in work) / 1e6}
    peak = peak_of(run.device)
    if peak is None:
        return found
    least_ms = sum(max(flop / (peak[0] * 1e12), moved / (peak[1] * 1e12)) for flop, moved in work) * 1e3
    return {**found, "roofline_ms": least_ms, "roofline_share": least_ms / median_ms}


def _make(run: Run) -> tuple[PiNet, Inputs, Tensor]:
    cfg, side, length = run.cfg, run.cfg.vision.image, MAX_TOKENS[run.cfg.kind]
    with torch.device("meta"):
        net = PiNet(cfg)
    net.eval().requires_grad_(False)
    if run.device.startswith("cuda"):
        net.to_precision(torch.bfloat16)
    net = net.to_empty(device=run.device)
    randomise(net, seed=0)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, run.views, 3, side, side, generator=generator) * 2.0 - 1.0
    tokens = torch.randint(cfg.vocabulary, (1, length), generator=generator)
    mask = torch.ones(1, run.views, dtype=torch.bool)
    made = Inputs(images, mask, tokens, torch.ones(1, length, dtype=torch.bool), torch.zeros(1, net.state_dim))
    inputs = Inputs(*(tensor.to(run.device) for tensor in vars(made).values()))
    return net, inputs, torch.randn(1, cfg.horizon, cfg.action_dim, generator=generator).to(run.device)


def _times_ms(work: Callable[[], Tensor], run: Run) -> list[float]:
    """Each repetition waits for the device, as acting does."""
    for _ in range(3):
        work()
    times = []
    for _ in range(run.repeats):
        wait_for(run.device)
        begin = time.perf_counter()
        work()
        wait_for(run.device)
        times.append((time.perf_counter() - begin) * 1e3)
    return times


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
