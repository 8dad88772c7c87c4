"""Episodes are kept as they were played, and do not depend on their company."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ConfigError, ContractError  # noqa: E402 (after the check)
from vla_mbpo_ros.rl.arrays import ArrayReader  # noqa: E402
from vla_mbpo_ros.rl.rollout import Player  # noqa: E402
from vla_mbpo_ros.rl.samples import against_group, samples_of  # noqa: E402
from vla_mbpo_ros.schema import Observation  # noqa: E402

Make = Callable[..., Any]


def test_arrays_give_the_same_inputs_as_observations_one_by_one(small: Make, ground: Make) -> None:
    policy = small()
    seen = ground().reset(["left", "right", "left"], [1, 2, 3])
    ours = ArrayReader(policy.maker, ("head", "wrist"))(seen.images, seen.state, seen.instructions)
    rows = [
        Observation(0, {"head": seen.images[row, 0], "wrist": seen.images[row, 1]}, seen.state[row], text)
        for row, text in enumerate(seen.instructions)
    ]
    theirs = policy.maker(rows, "cpu")
    for name in ("images", "image_mask", "tokens", "token_mask", "state"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


def test_arrays_of_another_size_are_resized_as_observations_are(small: Make) -> None:
    policy = small()
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 24, 32, 3), dtype=np.uint8)
    ours = ArrayReader(policy.maker, ("wrist", "head"))(images, np.zeros((2, 3)), ["left", "right"])
    rows = [Observation(0, {"wrist": one[0], "head": one[1]}, np.zeros(3), "left") for one in images]
    assert torch.equal(ours.images, policy.maker(rows, "cpu").images)


def test_a_world_without_one_of_the_cameras_is_refused(small: Make) -> None:
    with pytest.raises(ContractError, match="looks through wrist, the world shows head"):
        ArrayReader(small().maker, ("head",))


def test_an_episode_does_not_depend_on_its_company(small: Make, ground: Make) -> None:
    policy = small()
    seeds = list(range(70))
    together = Player(policy, ground(), keep=True).play(["go"] * 70, seeds, 5, "noise")
    for row in (0, 33, 69):
        alone = Player(policy, ground(), keep=True).play(["go"], [seeds[row]], 5, "noise")
        assert bool(alone.success[0]) == bool(together.success[row])
        for ours, theirs in zip(alone.turns, together.turns, strict=False):
            place = int(np.flatnonzero(theirs.slots == row)[0])
            assert torch.equal(ours.chain[0], theirs.chain[place])


def test_the_ratio_of_kept_samples_is_exactly_one_before_the_first_update(small: Make, ground: Make) -> None:
    policy = small()
    turn = Player(policy, ground(), keep=True).play(["go"] * 32, range(32), 5, "noise").turns[0]
    assert torch.equal(policy.log_prob(turn.prefix, turn.chain), turn.log_prob)


def test_the_ratio_of_shuffled_samples_is_one_up_to_rounding(small: Make, ground: Make) -> None:
    policy = small()
    samples = samples_of(Player(policy, ground(), keep=True).play(["go"] * 40, range(40), 5, "noise"), 0.9, 0.9, False)
    rows = np.random.default_rng(0).permutation(len(samples))[:17].tolist()
    ratio = (policy.log_prob(samples.prefix.select(rows), samples.chain[rows]) - samples.log_prob[rows]).exp()
    assert (ratio - 1.0).abs().max() < 1e-3


def test_turns_are_of_episodes_that_still_go_on(small: Make, ground: Make) -> None:
    played = Player(small(), ground(), keep=True).play(["go"] * 50, range(50), 3, "noise")
    for before, after in zip(played.turns, played.turns[1:], strict=False):
        going = before.slots[~before.outcome.over]
        np.testing.assert_array_equal(after.slots, going)
        torch.testing.assert_close(
            after.prefix.content.cache.context, before.after.content.cache.context[~before.outcome.over]
        )
    assert all(turn.outcome.over[turn.outcome.timeout].all() for turn in played.turns)
    assert played.turns[-1].outcome.over.all()
    assert played.steps.max() <= 12


def test_every_chunk_is_a_sample_with_its_own_values(small: Make, ground: Make) -> None:
    policy = small()
    torch.nn.init.normal_(policy.value_head.mlp.last.weight)
    played = Player(policy, ground(), keep=True).play(["go"] * 50, range(50), 3, "noise")
    samples = samples_of(played, 0.9, 0.8, False)
    assert len(samples) == sum(len(turn.slots) for turn in played.turns)
    torch.testing.assert_close(samples.value, policy.value_of(samples.prefix).detach(), atol=1e-5, rtol=1e-5)
    last = played.turns[-1]
    rest = len(samples) - len(last.slots)
    for row, slot in enumerate(last.slots):  # nothing follows: one-step targets
        won, late = bool(played.success[slot]), bool(last.outcome.timeout[row])
        wanted = 1.0 if won else 0.9 * float(last.value_after[row]) if late else 0.0
        assert float(samples.target[rest + row]) == pytest.approx(wanted, abs=1e-5)


def test_with_chance_in_the_last_step_only_what_comes_before_is_the_flow(small: Make, ground: Make) -> None:
    policy, every = small(noise_steps=1), small()
    turn = Player(policy, ground(), keep=True).play(["go"] * 32, range(32), 5, "noise").turns[0]
    plain = Player(policy, ground(), keep=True).play(["go"] * 32, range(32), 5, "ode").turns[0]
    assert torch.equal(turn.chain[:, :-1], plain.chain[:, :-1])
    assert not torch.equal(turn.chain[:, -1], plain.chain[:, -1])
    assert torch.equal(policy.log_prob(turn.prefix, turn.chain), turn.log_prob)
    assert not torch.equal(every.log_prob(turn.prefix, turn.chain), turn.log_prob)
    assert torch.all(policy.entropy(turn.prefix, turn.chain) != every.entropy(turn.prefix, turn.chain))
    with pytest.raises(ConfigError, match="noise_steps is 4, the flow has 3"):
        small(noise_steps=4)


def test_the_value_knows_how_much_time_is_left(small: Make, ground: Make) -> None:
    policy = small()
    torch.nn.init.normal_(policy.value_head.mlp.last.weight)
    played = Player(policy, ground(), keep=True).play(["go"] * 40, range(40), 3, "noise")
    for number, turn in enumerate(played.turns):
        left = torch.full((len(turn.slots),), 1.0 - number / 3.0)
        torch.testing.assert_close(turn.prefix.content.time_left, left)
    late, early = played.turns[0].prefix, replace(played.turns[0].prefix.content, time_left=torch.zeros(40))
    assert not torch.equal(policy.value_of(late), policy.value_of(replace(late, content=early)))


def test_a_world_without_a_limit_has_all_its_time_left(small: Make, ground: Make) -> None:
    policy = small()
    seen = replace(ground().reset(["go"] * 2, [1, 2]), time_left=None)
    inputs = ArrayReader(policy.maker, ("head", "wrist"))(seen.images, seen.state, seen.instructions)
    assert torch.equal(policy.encode_inputs(inputs, seen.state).content.time_left, torch.ones(2))


def test_an_ending_time_limit_is_worth_nothing(small: Make, ground: Make) -> None:
    policy = small()
    torch.nn.init.constant_(policy.value_head.mlp.last.bias, 0.7)
    played = Player(policy, ground(), keep=True).play(["go"] * 30, range(30), 3, "noise")
    last = played.turns[-1]
    late = torch.from_numpy(last.outcome.timeout)
    assert late.any()
    cut, ended = (samples_of(played, 0.9, 0.8, ends).target[-len(last.slots) :][late] for ends in (False, True))
    torch.testing.assert_close(cut, torch.full_like(cut, 0.63))
    torch.testing.assert_close(ended, torch.zeros_like(ended))


def test_episodes_from_one_start_differ_and_are_judged_against_each_other(small: Make, ground: Make) -> None:
    starts = [seed for seed in range(10) for _ in range(4)]
    played = Player(small(), ground(), keep=True).play(["go"] * 40, starts, 3, "noise")
    first = played.turns[0].chain
    assert torch.unique(first.flatten(1), dim=0).shape[0] == 40
    judged = against_group(samples_of(played, 0.95, 0.95, False), played)
    success = played.success.astype(float).reshape(10, 4)
    wanted = (success - (success.sum(1, keepdims=True) - success) / 3.0).reshape(-1)
    slots = np.concatenate([turn.slots for turn in played.turns])
    np.testing.assert_allclose(judged.advantage.numpy(), wanted[slots], atol=1e-6)
    assert 0 < played.success.sum() < 40


def test_an_episode_without_another_from_its_start_is_refused(small: Make, ground: Make) -> None:
    played = Player(small(), ground(), keep=True).play(["go"] * 3, [1, 1, 2], 3, "noise")
    with pytest.raises(ContractError, match="no other from its start"):
        against_group(samples_of(played, 0.95, 0.95, False), played)
