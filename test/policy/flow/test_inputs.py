"""What a policy sees, and what it refuses to see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ContractError, NotFinite  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.schema import Observation  # noqa: E402

Make = Callable[..., Any]


def _changed(observation: Observation, **changes: Any) -> Observation:
    return replace(observation, **changes)


def test_images_take_their_slots_and_a_missing_one_is_masked(tiny: Make, look: Make) -> None:
    maker = tiny().maker
    both, one = look(1)[0], look(1, ("wrist",))[0]
    made = maker([both, one], "cpu")
    assert made.images.shape == (2, 2, 3, 28, 28)
    assert made.image_mask.tolist() == [[True, True], [False, True]]
    assert bool((made.images[1, 0] == -1.0).all())
    assert made.images.min() >= -1.0
    assert made.images.max() <= 1.0


def test_a_missing_camera_changes_nothing_but_itself(tiny: Make, look: Make) -> None:
    """Its black picture is seen by nobody: any other picture there would give the same chunk."""
    policy = tiny()
    inputs = policy.maker(look(1, ("head",)), "cpu")
    noisy = replace(inputs, images=inputs.images.clone())
    noisy.images[0, 1] = torch.rand(3, 28, 28)
    states = np.zeros((1, 3))
    first, second = (policy.sample(policy.encode_inputs(made, states), 0).values for made in (inputs, noisy))
    np.testing.assert_array_equal(first, second)


def test_a_policy_that_needs_every_camera_refuses_less(tiny: Make, look: Make) -> None:
    with pytest.raises(ContractError, match=r"through head, wrist, it got wrist \(missing: head\)"):
        tiny(missing_camera="refuse").encode(look(1, ("wrist",)))


def test_a_policy_without_any_image_refuses(tiny: Make, look: Make) -> None:
    with pytest.raises(ContractError, match="it got no image"):
        tiny().encode(look(1, ()))


def test_an_unknown_camera_is_refused_by_name(tiny: Make, look: Make) -> None:
    """Not left aside: a camera under another name would be masked, and nobody would notice."""
    with pytest.raises(ContractError, match="missing: head; unknown: haed"):
        tiny().encode(look(1, ("haed", "wrist")))


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((40, 40), dtype=np.uint8), r"\(40, 40\) and the type uint8"),
        (np.zeros((3, 40, 40), dtype=np.uint8), r"\(3, 40, 40\)"),
        (np.zeros((40, 40, 3), dtype=np.float32), "type float32"),
        (np.zeros((4, 40, 3), dtype=np.uint8), r"H and W from 8 on"),
    ],
)
def test_an_image_of_the_wrong_form_is_refused(tiny: Make, look: Make, image: Any, told: str) -> None:
    observation = look(1)[0]
    with pytest.raises(ContractError, match=told):
        tiny().encode([_changed(observation, images={**observation.images, "head": image})])


def test_a_state_of_the_wrong_width_is_refused_with_the_names(tiny: Make, look: Make) -> None:
    with pytest.raises(ContractError, match=r"state of shape \(4,\), it was trained on \(3,\). It expects: a, b, c"):
        tiny().encode([_changed(look(1)[0], state=np.zeros(4))])


def test_a_state_that_is_not_finite_is_refused_by_joint(tiny: Make, look: Make) -> None:
    with pytest.raises(NotFinite, match="not finite at b, c"):
        tiny().encode([_changed(look(1)[0], state=np.array([0.0, np.nan, np.inf]))])


def test_a_policy_that_reads_no_state_takes_any(tiny: Make, look: Make) -> None:
    blind = tiny("pi05", prompt="plain")
    assert blind.encode([_changed(look(1)[0], state=np.full(9, np.nan))]).size == 1


def test_no_observation_is_refused(tiny: Make) -> None:
    with pytest.raises(ContractError, match="no observation"):
        tiny().encode([])


def test_a_prompt_that_does_not_fit_is_refused_whole(tiny: Make, look: Make) -> None:
    with pytest.raises(ContractError, match="the policy takes 64"):
        tiny().encode([_changed(look(1)[0], instruction="press " * 30)])


def test_images_of_another_size_than_the_networks_are_refused(tiny: Make, look: Make) -> None:
    with pytest.raises(ContractError, match=r"images of 42x42\. It takes 28x28"):
        tiny(image_size=42).encode(look(1))


def test_the_continuous_state_is_normalised_and_padded(tiny: Make, look: Make) -> None:
    observation = look(1)[0]
    made = tiny("pi0").maker([observation], "cpu").state[0]
    wanted = (observation.state - [0.0, 0.1, 0.2]) / [1.0, 2.0, 0.5]
    np.testing.assert_allclose(made[:3], wanted, atol=1e-6)
    assert not made[3:].any()
    assert not tiny("pi05").maker([observation], "cpu").state.any()
