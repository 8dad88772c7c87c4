"""A network behind the queue: who shares its calls changes nothing, and it stops between two denoising steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_umm import SMALL, WORDS, small_net

from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.world_model.actions import for_robot
from vla_mbpo_ros.world_model.protocol import Scenes
from vla_mbpo_ros.world_model.queue import ImagineQueue
from vla_mbpo_ros.world_model.requests import Ticket, TimeUp, Wish
from vla_mbpo_ros.world_model.umm.model import Around, UmmWorld

HORIZON, SIDE, CHANNELS = 3, 16, 6
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def model() -> UmmWorld:
    torch.manual_seed(0)
    cfg = AutoencoderConfig(widths=(8, 8), groups=4, latent_channels=CHANNELS, patch=2)
    autoencoder = Autoencoder(cfg).eval().requires_grad_(False)
    around = Around(autoencoder, WORDS, for_robot(TABLETOP, HORIZON), TABLETOP, TABLETOP.camera_names)
    return UmmWorld(small_net(SMALL), around, "umm-test")


@pytest.fixture
def queue() -> Iterator[ImagineQueue]:
    queue = ImagineQueue(max_batch=8, max_waiting=8)
    yield queue
    queue.close()


def wish(seed: int, samples: int = 1, chunks: int = 2) -> Wish:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (1, 2, SIDE, SIDE, 3), dtype=np.uint8)
    actions = rng.uniform(-1.0, 1.0, (chunks, HORIZON, TABLETOP.dof)) * TABLETOP.max_velocity
    actions[..., -1] = 0.03
    return Wish(Scenes(images, TABLETOP.home[None], (f"push button {seed}",)), actions, samples, seed, LIMIT_S)


def finish(*tickets: Ticket) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not all(ticket.done for ticket in tickets):
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_company_in_a_call_changes_no_dream(queue: ImagineQueue, model: UmmWorld) -> None:
    alone = queue.submit(model, wish(1, samples=2))
    finish(alone)
    crowd = [queue.submit(model, wish(seed, samples=2)) for seed in (0, 1, 2)]
    finish(*crowd)
    assert queue.calls < 4 * 2  # they did share
    for one, other in zip(alone.result(), crowd[1].result(), strict=True):
        assert np.abs(one.images.astype(int) - other.images).max() <= 1  # rounding of sums in another order
        assert one.success == pytest.approx(other.success, abs=1e-4)
        np.testing.assert_array_equal(one.state, other.state)
    first, second = (step.images for step in alone.result() if step.chunk == 0)
    assert (first != second).any()  # two samples


def test_it_stops_between_two_denoising_steps(queue: ImagineQueue, model: UmmWorld) -> None:
    finish(queue.submit(model, wish(3)))
    calls = queue.calls
    ticket = queue.submit(model, replace(wish(4, samples=8, chunks=50), time_limit_s=0.05))
    finish(ticket)
    with pytest.raises(TimeUp, match="of 400 steps"):
        ticket.result()
    time.sleep(0.2)
    assert queue.calls - calls < 50  # nobody imagines on for who does not wait
