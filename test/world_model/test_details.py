"""The picture's details in a dream where nothing has changed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.world_model.details import Details  # noqa: E402 (after the check)

REACH = 0.5
SIDE = 32
CHANGED = (slice(None), slice(None), slice(8, 16), slice(8, 16))


def pictures(seed: int) -> torch.Tensor:
    return torch.rand((2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed)) - 0.5


def blurred(sharp: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2)


def kept(sharp: torch.Tensor, reach: float = REACH) -> Details:
    """Two views, the first of which is empty."""
    both = torch.stack([torch.zeros_like(sharp), sharp], dim=1)
    return Details(both, torch.stack([torch.zeros_like(sharp), blurred(sharp)], dim=1), reach)


def test_a_dream_in_which_nothing_changes_is_the_real_picture() -> None:
    sharp = pictures(0)
    torch.testing.assert_close(kept(sharp).given_to(blurred(sharp), 1), sharp)


def test_what_has_changed_is_left_as_the_dream_has_it() -> None:
    sharp = pictures(0)
    dream = blurred(sharp)
    dream[CHANGED] += 1.1 * REACH
    found = kept(sharp).given_to(dream, 1)
    torch.testing.assert_close(found[CHANGED], dream[CHANGED])
    still = (found - sharp).abs()[:, :, 20:].mean()
    assert still < 0.2 * (dream - sharp).abs()[:, :, 20:].mean()


def test_a_camera_that_moved_keeps_nothing() -> None:
    sharp = pictures(0)
    dream = blurred(pictures(1)) + REACH  # another picture; a few pixels are alike by chance
    found = kept(sharp).given_to(dream, 1)
    assert (found - dream).abs().mean() < 0.02 * (sharp - blurred(sharp)).abs().mean()


def test_numbers_stay_those_of_a_picture() -> None:
    now, before = (torch.full((1, 1, 3, SIDE, SIDE), value) for value in (1.0, 0.8))
    assert Details(now, before, reach=2.0).given_to(torch.ones(1, 3, SIDE, SIDE), 0).max() == 1.0
