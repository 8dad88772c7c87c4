"""An update does what the advantages say, stops in time, and can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.models.randomness import mix  # noqa: E402 (after the check)
from vla_mbpo_ros.rl.ppo import PpoConfig  # noqa: E402
from vla_mbpo_ros.rl.rollout import Player  # noqa: E402
from vla_mbpo_ros.rl.samples import Samples, samples_of  # noqa: E402
from vla_mbpo_ros.rl.update import Learner, UpdateConfig, follow, minibatches  # noqa: E402

Make = Callable[..., Any]
PPO = PpoConfig(clip=0.2)


@pytest.fixture
def samples(small: Make, ground: Make) -> Samples:
    """Of the policy `small(0)`."""
    played = Player(small(0), ground(), keep=True).play(["go"] * 60, range(60), 3, "noise")
    return samples_of(played, 0.95, 0.95, False)


def log_prob(policy: Any, samples: Samples) -> Any:
    return policy.log_prob(samples.prefix, samples.chain).detach()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_good_chunks_become_likelier_and_bad_ones_rarer(small: Make, samples: Samples, sign: float) -> None:
    policy = small(0)
    good = torch.zeros(len(samples))
    good[: len(samples) // 2] = sign
    cfg = UpdateConfig(passes=2, kl_stop=1e9, lr=3e-4, warmup=0, minibatch=len(samples))
    Learner(policy, PPO, cfg).update(replace(samples, advantage=good), 0)
    moved = log_prob(policy, samples) - samples.log_prob
    assert sign * float(moved[good != 0].mean() - moved[good == 0].mean()) > 0.01


def test_without_leave_to_act_only_the_values_learn(small: Make, samples: Samples) -> None:
    policy = small(0)
    learner = Learner(policy, PPO, UpdateConfig())
    report = learner.update(samples, 0, act=False)
    assert report.steps == 0
    assert torch.equal(log_prob(policy, samples), log_prob(small(0), samples))
    before = (samples.value - samples.target).square().mean()
    after = (policy.value_of(samples.prefix).detach() - samples.target).square().mean()
    assert after < before


def test_the_trunk_stays_as_it_was(small: Make, samples: Samples) -> None:
    policy = small(0)
    Learner(policy, PPO, UpdateConfig(lr=1e-2, kl_stop=1e9)).update(samples, 0)
    for ours, theirs in zip(policy.net.trunk(), small(0).net.trunk(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert not torch.equal(policy.net.head.out.weight, small(0).net.head.out.weight)


def test_the_policy_rests_beyond_the_kl_stop(small: Make, samples: Samples) -> None:
    bold = UpdateConfig(lr=1e-2, passes=5, minibatch=32)
    free = Learner(small(0), PPO, replace(bold, kl_stop=1e9)).update(samples, 0)
    stopped = Learner(small(0), PPO, replace(bold, kl_stop=0.05)).update(samples, 0)
    assert free.steps == 5 * -(-len(samples) // 32)
    assert 0 < stopped.steps < free.steps
    assert stopped.kl > 0.05


def test_a_policy_that_moves_too_far_is_braked_and_let_go_again(small: Make, samples: Samples) -> None:
    assert follow(1.0, 0.02, 0.02) == 1.0
    assert follow(0.5, 0.05, 0.02) < 0.5 < follow(0.5, 0.005, 0.02)
    assert follow(1.0, 0.005, 0.02) == 1.0
    learner = Learner(small(0), PPO, UpdateConfig(lr=1e-2, kl_stop=1e9, warmup=0, kl_target=0.02))
    first, second = (learner.update(samples, number).lr for number in range(2))
    assert first == 1e-2
    assert second < first
    free = Learner(small(0), PPO, UpdateConfig(lr=1e-2, kl_stop=1e9, warmup=0, kl_target=0.0))
    assert [free.update(samples, number).lr for number in range(2)] == [1e-2, 1e-2]


def test_an_update_can_be_repeated(small: Make, samples: Samples) -> None:
    made = [small(0), small(0), small(0)]
    for policy, seed in zip(made, (4, 4, 5), strict=True):
        Learner(policy, PPO, UpdateConfig(minibatch=32)).update(samples, seed)
    same, again, other = (log_prob(policy, samples) for policy in made)
    assert torch.equal(same, again)
    assert not torch.equal(same, other)


def test_the_price_of_leaving_the_imitation_policy_holds_back(small: Make, samples: Samples) -> None:
    cfg = UpdateConfig(lr=2e-3, passes=6, kl_stop=1e9, minibatch=32)
    far = []
    for weight in (0.0, 20.0):
        policy, reference = small(0), small(0)
        Learner(policy, replace(PPO, reference_weight=weight), cfg).update(samples, 0, reference)
        far.append(float((log_prob(policy, samples) - log_prob(reference, samples)).abs().mean()))
    assert far[1] < 0.7 * far[0]


@given(st.integers(1, 300), st.integers(1, 4), st.integers(1, 64), st.integers(0, 5))
def test_every_sample_comes_once_in_each_pass(rows: int, passes: int, size: int, seed: int) -> None:
    parts = list(minibatches(rows, passes, size, seed))
    each = len(parts) // passes
    assert max(map(len, parts)) <= size
    for number in range(passes):
        together = [row for part in parts[number * each : (number + 1) * each] for row in part]
        assert sorted(together) == list(range(rows))


@pytest.mark.slow
def test_ppo_learns_to_go_right(small: Make, ground: Make) -> None:
    policy = small(1)
    learner = Learner(policy, PPO, UpdateConfig(lr=1e-3, kl_stop=0.1))
    player = Player(policy, ground(), keep=True)
    shares = []
    for iteration in range(25):
        played = player.play(["go"] * 64, [mix(9, iteration, row) for row in range(64)], mix(1, iteration), "noise")
        learner.update(samples_of(played, 0.95, 0.95, False), iteration)
        shares.append(float(played.success.mean()))
    assert np.mean(shares[-5:]) > np.mean(shares[:3]) + 0.3
