"""How long the unified model takes for a chunk, against slower ways and against what the machine can do.

Weights are random: speed does not depend on them. Measured is the whole way, from pictures and a chunk to pictures and
a probability, in one process and turn by turn, so that all ways meet the same machine.

    ours         one cache, all branches of the guidance in one batch      `sampling.sample`
    plain        no cache, every branch and step anew                      `slow.plain`
    sequential   a cache for each branch, one branch after the other       `slow.sequential`
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.autoencoder import FLUX, TINY, Autoencoder
from vla_mbpo_ros.models.peaks import device_name, peak_of, wait_for
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.world_model import prompts
from vla_mbpo_ros.world_model.actions import for_robot
from vla_mbpo_ros.world_model.protocol import Scenes
from vla_mbpo_ros.world_model.umm.config import preset
from vla_mbpo_ros.world_model.umm.model import Around, UmmWorld
from vla_mbpo_ros.world_model.umm.net import UmmNet
from vla_mbpo_ros.world_model.umm.sampling import Sampler, contexts, forwards, sample
from vla_mbpo_ros.world_model.umm.slow import plain, sequential
from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary, Levels

HORIZON = 10
GUIDED_STEPS = (10, 49)  # Euler steps at which a guided preset is measured
_INSTRUCTION = "press the red button"
_WAYS: dict[str, Sampler] = {"ours": sample, "plain": plain, "sequential": sequential}


@dataclass(frozen=True)
class Run:
    """One measurement."""

    preset: str
    device: str = "cpu"
    repeats: int = 10
    batch: int = 16
    peak_tflops: float | None = None  # of the device; None: what its vendor states, if that is known here

    def __post_init__(self) -> None:
        if self.repeats < 1 or self.batch < 1:
            raise ConfigError(f"Cannot measure repeats {self.repeats}, batch {self.batch}.", "Give 1 or more of each.")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError("This machine has no CUDA device.", "Measure with --device cpu.")
        if self.preset == "bagel_7b" and not self.device.startswith("cuda"):
            raise ConfigError("bagel_7b has 14.6 B parameters, too many for a CPU.", "Measure with --device cuda.")


class Sentences(ByteVocabulary):
    """The paper's sentences, a token for each word, digit and mark: about as many as Qwen2's tokenizer makes, which
    so does not have to be there."""

    def task(self, instruction: str) -> tuple[int, ...]:
        return self._said(prompts.task(instruction))

    def prompt(self, view: int, levels: Levels, state: Sequence[int] = ()) -> tuple[int, ...]:
        return self._said(prompts.prompt(TABLETOP.camera_names[view], levels, state))

    def question(self, instruction: str) -> tuple[int, ...]:
        return self._said(prompts.question(instruction))

    def _said(self, text: str) -> tuple[int, ...]:
        return self.encode("".join(piece[0] for piece in re.findall(r"[A-Za-z]+|\S", text)))


def random_world(name: str, device: str = "cpu", seed: int = 0) -> UmmWorld:
    """A preset with random weights, made where they are wanted: bfloat16 on a CUDA device, else float32."""
    cfg = preset(name)
    torch.manual_seed(seed)
    with torch.device("meta"):
        net, autoencoder = UmmNet(cfg), Autoencoder(TINY if cfg.latent.channels == TINY.latent_channels else FLUX)
    kind = torch.bfloat16 if device.startswith("cuda") else torch.float32
    for part in (net, autoencoder):
        part.to(kind).to_empty(device=device)
        _randomise(part)
    net.make_tables(device)
    words = Sentences() if name == "bagel_7b" else ByteVocabulary()
    around = Around(
        autoencoder.eval().requires_grad_(False), words, for_robot(TABLETOP, HORIZON), TABLETOP, TABLETOP.camera_names
    )
    return UmmWorld(net.requires_grad_(False), around, f"{name}-random")


def measure(run: Run) -> dict[str, Any]:
    """Seconds a chunk, chunks a second, and how the ways compare; of a guided preset at both numbers of steps."""
    world = random_world(run.preset, run.device)
    if run.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    own = world.net.cfg.sampler.euler_steps
    steps = GUIDED_STEPS if len(contexts(world.net.cfg.sampler)) > 1 else (own,)
    rows = [_compared(world, run, count) for count in steps]
    world.sample_by(euler_steps=own)
    one = next(row for row in rows if row["euler_steps"] == own)
    many = [_seconds(world, run, run.batch) for _ in range(1 + min(run.repeats, 5))][1:]
    return {
        "batch1_s": one["ours_s"],
        "batch16_chunks_per_s": run.batch / float(np.median(many)),
        "plain_ratio": one["plain_ratio"],
        "device_name": device_name(run.device),
        "parameters": sum(parameter.numel() for parameter in world.net.parameters()),
        "dtype": str(world.net.dtype).removeprefix("torch."),
        "batch": run.batch,
        "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if run.device.startswith("cuda") else None,
        "by_steps": rows,
    }


def _compared(world: UmmWorld, run: Run, steps: int) -> dict[str, Any]:
    """All ways, turn by turn, at this number of Euler steps."""
    world.sample_by(euler_steps=steps)
    cfg = world.net.cfg
    ways = dict(_WAYS) if len(contexts(cfg.sampler)) > 1 else {name: _WAYS[name] for name in ("ours", "plain")}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + run.repeats):  # the first turn warms up
        for name, draw in ways.items():
            world.sampler = draw
            spent[name].append(_seconds(world, run, 1))
    world.sampler = sample
    took = {name: float(np.median(times[1:])) for name, times in spent.items()}
    flop = _flop(world)
    peak = run.peak_tflops or (peak_of(run.device) or (None,))[0]
    return {
        "euler_steps": steps,
        "passes_a_view": forwards(cfg.sampler, cfg.timestep_shift),
        **{f"{name}_s": seconds for name, seconds in took.items()},
        **{f"{name}_ratio": took[name] / took["ours"] for name in ways if name != "ours"},
        "gflop": flop / 1e9,
        "roofline_share": flop / (took["ours"] * peak * 1e12) if peak else None,
    }


def _seconds(world: UmmWorld, run: Run, rows: int) -> float:
    """Of one call, all of its work done."""
    scenes, chunks = _request(world, rows)
    wait_for(run.device)
    began_s = time.perf_counter()
    world.imagine(scenes, chunks, range(rows))
    wait_for(run.device)
    return time.perf_counter() - began_s


def _request(world: UmmWorld, rows: int) -> tuple[Scenes, Any]:
    shape = (rows, len(world.views), *world.size, 3)
    images = np.random.default_rng(rows).integers(0, 256, shape, dtype=np.uint8)
    scenes = Scenes(images, np.tile(TABLETOP.home, (rows, 1)), (_INSTRUCTION,) * rows)
    return scenes, np.zeros((rows, world.horizon, TABLETOP.dof))


def _flop(world: UmmWorld) -> float:
    """Floating-point operations of one chunk as we make it: products of matrices, convolutions, attention."""
    scenes, chunks = _request(world, 1)
    with FlopCounterMode(display=False) as counter:
        world.imagine(scenes, chunks, [0])
    return float(counter.get_total_flops())


@torch.no_grad()
def _randomise(module: nn.Module) -> None:
    """Numbers that neither die out nor blow up on their way."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=parameter[0].numel() ** -0.5)
        else:
            parameter.fill_(float(name.endswith("weight")))
