"""The losses of PPO, as laws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.rl.ppo import PpoConfig, explained_variance, kl_of, losses, normalise, policy_loss, value_loss

CFG = PpoConfig(clip=0.2, dual_clip=3.0)


def draw(seed: int, size: int = 32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    new, old, advantage = (torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(3))
    return new, old, advantage


@given(st.integers(0, 1000))
def test_before_the_first_step_the_gradient_is_that_of_plain_policy_gradient(seed: int) -> None:
    old, _, advantage = draw(seed)
    new = old.clone().requires_grad_()
    policy_loss(new, old, advantage, CFG).backward()
    torch.testing.assert_close(new.grad, -advantage / len(advantage))


@given(st.integers(0, 1000))
def test_no_sample_pulls_further_once_its_ratio_is_clipped(seed: int) -> None:
    new, old, advantage = draw(seed)
    new.requires_grad_()
    policy_loss(new, old, advantage, CFG).backward()
    assert new.grad is not None
    ratio = (new - old).exp().detach()
    done = ((ratio > 1.2) & (advantage > 0)) | ((ratio < 0.8) & (advantage < 0)) | ((ratio > 3.0) & (advantage < 0))
    assert torch.all(new.grad[done] == 0)
    assert torch.all(new.grad[~done] != 0)


@given(st.integers(0, 1000))
def test_the_loss_of_a_bad_chunk_is_bounded_by_the_dual_clip(seed: int) -> None:
    new, old, advantage = draw(seed)
    bad = -advantage.abs()
    assert float(policy_loss(new + 10.0, old, bad, CFG)) <= 3.0 * float(bad.abs().mean()) + 1e-12


@given(st.integers(0, 1000))
def test_a_kl_is_never_negative_and_zero_for_the_same_policy(seed: int) -> None:
    new, old, _ = draw(seed)
    assert float(kl_of(new, old)) >= 0.0
    assert float(kl_of(new, new)) == 0.0


def test_the_kl_estimate_of_two_gaussians_is_the_true_one() -> None:
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(400_000, generator=generator, dtype=torch.float64)
    log_prob, other = -0.5 * sample**2, -0.5 * (sample - 0.3) ** 2
    assert float(kl_of(log_prob, other)) == pytest.approx(0.3**2 / 2, rel=0.03)


def test_a_value_far_from_the_old_one_is_not_pulled_further_away() -> None:
    value = torch.tensor([1.0], requires_grad=True)
    value_loss(value, torch.tensor([0.0]), torch.tensor([0.5]), PpoConfig(value_clip=0.2)).backward()
    assert value.grad is not None
    assert float(value.grad) > 0  # back towards the target, although it is outside of the clip
    far = torch.tensor([0.4], requires_grad=True)
    value_loss(far, torch.tensor([0.0]), torch.tensor([2.0]), PpoConfig(value_clip=0.2)).backward()
    assert far.grad is not None
    assert float(far.grad) == 0.0  # it has moved enough for these samples


def test_what_people_watch_says_nothing_moved_before_the_first_step() -> None:
    log_prob, _, advantage = draw(3)
    value = torch.zeros_like(advantage)
    found = losses(log_prob, log_prob, normalise(advantage), value, value, advantage, CFG)
    assert (found.kl, found.clipped, found.reference_kl) == (0.0, 0.0, 0.0)


def test_normalised_advantages_have_no_mean_and_constant_ones_vanish() -> None:
    advantage = normalise(torch.tensor([1.0, 2.0, 6.0]))
    assert float(advantage.mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(advantage.std(unbiased=False)) == pytest.approx(1.0, abs=1e-6)
    assert normalise(torch.full((4,), 7.0)).abs().max() == 0.0


def test_explained_variance_is_one_for_a_perfect_value_and_zero_for_a_constant() -> None:
    target = torch.tensor([0.0, 1.0, 3.0])
    assert explained_variance(target, target) == 1.0
    assert explained_variance(torch.ones(3), target) == pytest.approx(0.0, abs=1e-6)
